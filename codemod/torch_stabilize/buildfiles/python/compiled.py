"""Python files that compile sources when they are imported: `torch.utils.cpp_extension.load(name, sources=[...])`."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from torch_stabilize.buildfiles.codes import COMPILED_AT_IMPORT, LIBRARY_LOADED
from torch_stabilize.buildfiles.python.library import Sites
from torch_stabilize.buildfiles.setup.text import add_statement
from torch_stabilize.model import Diagnostic, Severity, Span
from torch_stabilize.source.document import UNIT_SUFFIXES

if TYPE_CHECKING:
    import libcst as cst

_LITERAL = re.compile(rb"""(?P<quote>["'])(?P<name>[\w./-]+\.\w+)(?P=quote)""")
_LOADS = re.compile(rb"\bcpp_extension\b(?s:.*?)(?<![\w.])(?:(?:torch\.utils\.)?cpp_extension\.)?load\s*\(")


def compiled_sources(path: str, data: bytes, renames: Mapping[str, str], macro: str) -> Iterator[Diagnostic]:
    """What the Python file `path` says of sources that have become stable code: one diagnostic, or none.

    `renames` has where each source is now, which may be where it was; `macro` is the value of TORCH_TARGET_VERSION. A
    name in quotes is taken for a source's where a source of that name migrates, and nothing but the name of a folder,
    known or computed, is missing in front of it. A whole path may be there for other reasons.
    """
    folder = posixpath.dirname(path)
    is_below = not _LOADS.search(data)
    units = {old for old in renames if old.endswith(UNIT_SUFFIXES)}
    known = {old for old in units if not is_below or not folder or old.startswith(f"{folder}/")}
    known = {old for old in known if not is_below or renames[old] != old}
    found: dict[str, Span] = {}
    for literal in _LITERAL.finditer(data) if known else ():
        name = posixpath.normpath(literal["name"].decode())
        for old in sorted(known):
            if old.endswith(f"/{name}") or (old == name and b"cpp_extension" in data):
                found.setdefault(old, Span(*literal.span("name")))
    if found and b"ext_modules" not in data:
        names = ", ".join(map(posixpath.basename, found))
        moved = [renames[old] for old in found if renames[old] != old]
        flags = [f"-DTORCH_TARGET_VERSION={macro}"]
        flags += ["-DUSE_CUDA"] if any(old.endswith(".cu") for old in found) else []
        listed = ", ".join(f'"{flag}"' for flag in flags)
        cuda = f"extra_cuda_cflags=[{listed}], " if len(flags) > 1 else ""
        yield Diagnostic(
            COMPILED_AT_IMPORT, Severity.ERROR, path, min(found.values()),
            f"this compiles {names}: moved to {', '.join(moved)}" if moved
            else f"this compiles {names}, which is stable code from here on",
            f"{'Leave out here what has moved, and compile' if moved else 'Compile'} it as a library of its own, with "
            f"the stable bindings: load(..., extra_cflags=[{listed}], {cuda}is_python_module=False). That registers "
            "the operators: call torch.ops where Python called what load() returned.",
        )  # fmt: skip


def bind_compiled(sites: Sites, call: cst.CSTNode, functions: Mapping[str, str]) -> None:
    """What a call of `load` that gives no Python module any more is followed by: the Python side of the library.

    The name that it was given to means that side where something but calls of `functions` uses it.
    """
    import libcst as cst

    from torch_stabilize.buildfiles.python.names import module_names
    from torch_stabilize.buildfiles.python.pybind_calls import is_used

    file, statement, above = sites.file, sites.file.statement(call), sites.file.parent(call)
    package, _, name = sites.library.facade_module.rpartition(".")
    names = [one for one in module_names(sites) if one.node is above]
    if isinstance(above, cst.Return) and name:
        span = file.span(above)
        sites.edits.delete(Span(span.start, file.span(call).start), LIBRARY_LOADED)
        text = f"from {package} import {name}\n\nreturn {name}" if package else f"import {name}\n\nreturn {name}"
        add_statement(file, statement, text, sites.edits, LIBRARY_LOADED)
        return
    used = [one for one in names if is_used(sites, one, functions) or one.name in sites.wanted]
    if isinstance(above, cst.Expr) or (names and not used):
        if name and f"import {sites.library.facade_module}  # noqa".encode() not in file.data:
            add_statement(
                file,
                statement,
                f"import {sites.library.facade_module}  # noqa: E402, F401",
                sites.edits,
                LIBRARY_LOADED,
            )
        return
    if used and name and all("." not in one.name for one in used):
        head = f"from {package} import {name}" if package else f"import {name}"
        add_statement(file, statement, f"{head} as {used[0].name}  # noqa: E402", sites.edits, LIBRARY_LOADED)
        return
    sites.report(
        Severity.ERROR, call, f"load() gives no module any more, and what it gives is used: {sites.library.legacy}",
        "Call torch.ops for the operators of the library where its functions were called.", COMPILED_AT_IMPORT,
    )  # fmt: skip
