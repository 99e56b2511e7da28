"""What a unit says to its compiler once the headers of its own project are in it.

A migration edits headers that legacy units share. Where such a unit still reads the same, with the project's macros
expanded, its object is the same too, and nobody has to wait for a compiler that parses torch to say so.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from torch_stabilize.model import Refusal
from torch_stabilize.repository.includes import IncludeGraph
from torch_stabilize.source.patterns import INCLUDED
from torch_stabilize.source.spans import line_start
from torch_stabilize.verify.declarations import without_unused
from torch_stabilize.verify.headers import write_if_changed
from torch_stabilize.verify.side import CUDA_SUFFIX

_MARK = "torch_stabilize_elsewhere"
_MARKED = re.compile(rf'^\s*#pragma {_MARK} "(?P<name>[^"]+)"\s*$', re.M)
_SPACE = re.compile(r"""(?P<literal>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')|\s+""")
_CONDITION = re.compile(rb"^[ \t]*#[ \t]*(?:if|ifdef|ifndef|elif)\b(?P<text>(?:[^\n\\]|\\.|\\\n)*)", re.M)
_DEFINED = re.compile(rb"^[ \t]*#[ \t]*define[ \t]+(\w+)", re.M)
_NAME = re.compile(rb"[A-Za-z_]\w*")
_STABLE_ONLY = b"TORCH_TARGET_VERSION"  # no legacy build defines it
_HOST_OF_CUDA = ("__CUDACC__", "__NVCC__")
_VALUES = (None, "1", "999999")  # undefined, a switch, newer than any version


@dataclass(frozen=True)
class Reading:
    """A unit after the preprocessor, white space made one; `elsewhere` are the headers that are not the project's."""

    text: str
    elsewhere: tuple[str, ...]


@dataclass(frozen=True)
class Reader:
    """Reads units of one tree. `folder` takes copies of its files whose includes of other headers are marked."""

    graph: IncludeGraph
    compiler: str
    folder: Path
    includes: tuple[str, ...]  # folders of the tree that its build searches
    defines: tuple[str, ...]

    def read(self, unit: str, macros: Iterable[str] = ()) -> Reading | None:
        """The unit with `macros` defined in addition to those of the build; None where the preprocessor gives up."""
        for path in self.graph.closure([unit]):
            write_if_changed(self.folder / path, self._marked(path))
        command = [self.compiler, "-E", "-P", "-x", "c++", "-std=c++20", "-nostdinc", "-w"]
        command += [f"-I{self.folder / place}" for place in self.includes]
        command += [f"-D{define}" for define in (*self.defines, *macros)]
        try:
            ran = subprocess.run([*command, str(self.folder / unit)], capture_output=True, text=True, check=False)
        except (OSError, UnicodeDecodeError):
            return None
        if ran.returncode:
            return None
        text = _SPACE.sub(lambda match: match["literal"] or " ", _MARKED.sub("", ran.stdout)).strip()
        return Reading(text, tuple(dict.fromkeys(_MARKED.findall(ran.stdout))))

    def elsewhere(self, unit: str) -> tuple[str, ...]:
        """The headers from elsewhere that the unit includes, itself or through the project's headers."""
        found = self.read(unit)
        return found.elsewhere if found is not None else ()

    def _marked(self, path: str) -> str:
        data = self.graph.snapshot.read(path)
        for include in reversed(self.graph.includes(path)):
            if include.target is None:
                start = line_start(data, include.span.start)
                mark = f'#pragma {_MARK} "{include.name}"'.encode("utf-8", "surrogateescape")
                data = data[:start] + mark + data[include.span.end :]
        return data.decode("utf-8", "surrogateescape")


@dataclass(frozen=True)
class Readings:
    """Compares what units read before and after a migration."""

    before: Reader
    after: Reader
    torch: tuple[Path, ...]  # include folders of torch
    _reached: dict[str, frozenset[str]] = field(default_factory=dict, compare=False, repr=False)

    def same(self, unit: str) -> bool:
        """Whether legacy builds of `unit` see the same code, whatever macros hold that changed files ask for."""
        try:
            return all(self._same(unit, macros) for macros in self._configurations(unit))
        except Refusal:  # the copies cannot be written: the compiler will tell
            return False

    def brought(self, name: str) -> int:
        """How many headers of torch the header `name` brings along."""
        return len(self._brought(name))

    def _same(self, unit: str, macros: tuple[str, ...]) -> bool:
        before, after = self.before.read(unit, macros), self.after.read(unit, macros)
        if before is None or after is None:
            return False
        if before.text != after.text and without_unused(before.text, after.text) != after.text:
            return False
        lost = set(before.elsewhere) - set(after.elsewhere)
        return lost <= self._reach(after.elsewhere) if lost else True

    def _configurations(self, unit: str) -> Iterator[tuple[str, ...]]:
        passes: tuple[tuple[str, ...], ...] = ((),)
        if unit.endswith(CUDA_SUFFIX):
            passes = (_HOST_OF_CUDA, (*_HOST_OF_CUDA, "__CUDA_ARCH__=900"))
        asked = self._asked(unit)
        for macros in passes:
            for value in _VALUES if asked else (None,):
                yield (*macros, *(f"{name}={value}" for name in asked if value is not None))

    def _asked(self, unit: str) -> tuple[str, ...]:
        """The macros that the changed files behind `unit` ask for and that nobody here defines."""
        asked: set[bytes] = set()
        given: set[bytes] = {_STABLE_ONLY, b"defined", b"__CUDA_ARCH__", b"__CUDACC__", b"__NVCC__", b"__cplusplus"}
        given |= {name.split("=")[0].encode() for name in (*self.before.defines, *self.after.defines)}
        for reader, other in ((self.before, self.after), (self.after, self.before)):
            for path in reader.graph.closure([unit]):
                data = reader.graph.snapshot.read(path)
                given |= set(_DEFINED.findall(data))
                kept = other.graph.snapshot
                if not kept.exists(path) or kept.read(path) != data:
                    asked |= {name for text in _CONDITION.findall(data) for name in _NAME.findall(text)}
        return tuple(sorted(name.decode() for name in asked - given))

    def _reach(self, names: Iterable[str]) -> frozenset[str]:
        """The headers of torch that `names` bring along, themselves included, by the names one includes them by."""
        return frozenset().union(*(self._brought(name) for name in names))

    def _brought(self, name: str) -> frozenset[str]:
        if name not in self._reached:
            seen: set[str] = set()
            waiting = [name]
            while waiting:
                header = waiting.pop()
                if header in seen:
                    continue
                seen.add(header)
                place = next((folder / header for folder in self.torch if (folder / header).is_file()), None)
                if place is not None:
                    waiting += [found.decode("utf-8", "replace") for found in INCLUDED.findall(place.read_bytes())]
            self._reached[name] = frozenset(seen)
        return self._reached[name]
