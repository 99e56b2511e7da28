"""Python files that compile sources when they are imported: `torch.utils.cpp_extension.load(name, sources=[...])`."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping

from torch_stabilize.buildfiles.codes import COMPILED_AT_IMPORT
from torch_stabilize.model import Diagnostic, Severity, Span
from torch_stabilize.source.document import UNIT_SUFFIXES

_LITERAL = re.compile(rb"""(?P<quote>["'])(?P<name>[\w./-]+\.\w+)(?P=quote)""")


def compiled_sources(path: str, data: bytes, moved: Mapping[str, str]) -> Iterator[Diagnostic]:
    """What the Python file `path` says of sources next to or below it that have moved: one diagnostic, or none.

    A name in quotes is taken for a source's where a source of that name moves, and nothing but the name of a folder,
    known or computed, is missing in front of it. A whole path may be there for other reasons.
    """
    folder = posixpath.dirname(path)
    below = {old for old in moved if old.endswith(UNIT_SUFFIXES) and (not folder or old.startswith(f"{folder}/"))}
    found: dict[str, Span] = {}
    for literal in _LITERAL.finditer(data) if below else ():
        name = posixpath.normpath(literal["name"].decode())
        for old in sorted(below):
            if old.endswith(f"/{name}") or (old == name and b"cpp_extension" in data):
                found.setdefault(old, Span(*literal.span("name")))
    if found and b"ext_modules" not in data:
        places = ", ".join(moved[old] for old in found)
        yield Diagnostic(
            COMPILED_AT_IMPORT, Severity.ERROR, path, min(found.values()),
            f"this compiles {', '.join(map(posixpath.basename, found))}: moved to {places}",
            "Leave out here what has moved, and compile it as a library of its own: load(..., is_python_module=False) "
            "with -DTORCH_TARGET_VERSION among its flags, and with the stable bindings.",
        )  # fmt: skip
