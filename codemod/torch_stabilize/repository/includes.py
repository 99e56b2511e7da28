"""Who includes whom: the include graph of the repository's own files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from posixpath import dirname, normpath
from typing import NamedTuple

from torch_stabilize.model import Span
from torch_stabilize.repository.snapshot import Snapshot
from torch_stabilize.repository.written_headers import written_headers
from torch_stabilize.source.document import HEADER_SUFFIXES
from torch_stabilize.source.mask import mask
from torch_stabilize.source.reach import Reaching
from torch_stabilize.source.spans import line_end, line_start

_INCLUDE = re.compile(
    rb'^(?:\xef\xbb\xbf)?[ \t]*#[ \t]*include[ \t]*(?P<spelled>"(?P<quoted>[^"\n]+)"|<(?P<angle>[^>\n]+)>)',
    re.MULTILINE,
)
_DIRECTIVE_HEAD = re.compile(rb"\A(?:\xef\xbb\xbf)?[ \t]*#[ \t]*\Z")
_OF_C = frozenset({
    "assert.h", "complex.h", "ctype.h", "errno.h", "fenv.h", "float.h", "inttypes.h", "limits.h", "locale.h", "math.h",
    "setjmp.h", "signal.h", "stdarg.h", "stdbool.h", "stddef.h", "stdint.h", "stdio.h", "stdlib.h", "string.h",
    "time.h", "wchar.h",
})  # fmt: skip


class Include(NamedTuple):
    """One `#include` line: what it says, where, and the file of the repository it means (None: not one of ours)."""

    path: str
    name: str  # the text between the quotes or angle brackets
    quoted: bool
    span: Span  # of the name with its quotes or angle brackets
    target: str | None


@dataclass(frozen=True)
class IncludeGraph:
    """The includes of `files`. A quoted name is looked up next to the including file first, then below `roots`."""

    snapshot: Snapshot
    files: tuple[str, ...]
    roots: tuple[str, ...]

    @cached_property
    def _read(self) -> dict[str, tuple[Include, ...]]:
        """What was read so far, by any graph of the tree that looks in the same roots."""
        return self.snapshot.once((IncludeGraph, self.roots), dict[str, tuple[Include, ...]])

    def includes(self, path: str) -> tuple[Include, ...]:
        """The include lines of `path` in order, also those under conditions, not those in comments."""
        if path not in self._read:
            # Nothing behind the last include line has to be looked at, which is most of a file.
            code = mask(_up_to_last_include(self.snapshot.read(path)))
            self._read[path] = tuple(self._include(path, match) for match in _INCLUDE.finditer(code))
        return self._read[path]

    def _include(self, path: str, match: re.Match[bytes]) -> Include:
        quoted = match.group("quoted") is not None
        name = match.group("quoted" if quoted else "angle").decode("utf-8", "surrogateescape")
        return Include(path, name, quoted, Span(*match.span("spelled")), self.resolve(path, name, quoted=quoted))

    def resolve(self, path: str, name: str, *, quoted: bool = True) -> str | None:
        """The file of the repository that `#include` of `name` in `path` means, or None."""
        if not quoted and name in _OF_C:
            return None  # <math.h> is the compiler's, whatever a folder of the project calls its own
        if name.rpartition("/")[2] not in self.snapshot.names:
            return None
        places = [dirname(path)] if quoted else []
        for folder in [*places, *self.roots]:
            candidate = _joined(folder, name)
            if candidate != path and self.snapshot.exists(candidate):
                return candidate
        return None

    @cached_property
    def searched(self) -> tuple[str, ...]:
        """Those of `roots` that the build must search: some file includes through them what is not next to it."""
        needed: set[str] = set()
        for include in (include for path in self.files for include in self.includes(path)):
            if include.target is None or (include.quoted and self.is_beside(include.path, include.name)):
                continue
            needed.add(self.root_of(include))
        return tuple(root for root in self.roots if root in needed)

    def root_of(self, include: Include) -> str:
        """The root below which an include that is not next to its includer finds its target."""
        return next(root for root in self.roots if _joined(root, include.name) == include.target)

    def is_beside(self, path: str, name: str) -> bool:
        """Whether `#include "name"` finds its file from the place of `path` alone."""
        found = _joined(dirname(path), name)
        return found != path and self.snapshot.exists(found)

    def direct(self, path: str) -> tuple[str, ...]:
        """The files of the repository that `path` includes itself, each once, in order.

        What a header includes that a script writes is included in its place.
        """
        return tuple(dict.fromkeys(target for one in self.includes(path) for target in self._targets(one)))

    def _targets(self, include: Include) -> Iterable[str]:
        if include.target is not None:
            return (include.target,)
        return self.of_written(include) if include.quoted else ()

    def of_written(self, include: Include) -> Iterator[str]:
        """The files that a header in no tree includes, where a script writes it."""
        for written in written_headers(self.snapshot).get(include.name.rpartition("/")[2], ()):
            for line in written.includes:
                found = (
                    self.resolve(place, line[1:-1], quoted=line[0] == '"') for place in (written.script, include.path)
                )
                yield from list(filter(None, found))[:1]

    def closure(self, paths: Iterable[str]) -> tuple[str, ...]:
        """`paths` and every file of the repository they reach, sorted."""
        return tuple(sorted(frozenset[str]().union(*map(self._reaching, paths))))

    def reached(self, path: str) -> frozenset[str]:
        """The closure of one file; files that include each other share it."""
        return self._reaching(path)

    def includers(self, path: str) -> tuple[str, ...]:
        """The files that include `path` themselves, sorted."""
        return self._includers.get(path, ())

    def reached_from(self, path: str) -> tuple[str, ...]:
        """The files that include `path`, directly or through others, sorted; not `path` itself."""
        return tuple(sorted(self._reached(path) - {path}))

    def reaching(self, path: str) -> frozenset[str]:
        """Those and `path` itself; files that include each other share it."""
        return self._reached(path)

    def units_reaching(self, path: str) -> frozenset[str]:
        """Those of them that are no headers, and `path` itself where it is none."""
        found = self._reached(path)
        if found not in self._units:
            self._units[found] = frozenset(one for one in found if not one.endswith(HEADER_SUFFIXES))
        return self._units[found]

    @cached_property
    def _reaching(self) -> Reaching:
        return self.snapshot.once((Reaching, self.roots), lambda: Reaching(self.direct))

    @cached_property
    def _reached(self) -> Reaching:
        return Reaching(self.includers)

    @cached_property
    def _units(self) -> dict[frozenset[str], frozenset[str]]:
        return {}

    @cached_property
    def _includers(self) -> dict[str, tuple[str, ...]]:
        found: dict[str, list[str]] = {}
        for path in self.files:
            for target in self.direct(path):
                found.setdefault(target, []).append(path)
        return {target: tuple(sorted(paths)) for target, paths in found.items()}


def _joined(folder: str, name: str) -> str:
    return normpath(f"{folder}/{name}") if folder else normpath(name)


def _up_to_last_include(data: bytes) -> bytes:
    """`data` up to the end of its last line that looks like an include."""
    place = len(data)
    while (place := data.rfind(b"include", 0, place)) >= 0:
        line = line_start(data, place)
        if _DIRECTIVE_HEAD.search(data[line:place]):
            return data[: line_end(data, place)]
    return b""
