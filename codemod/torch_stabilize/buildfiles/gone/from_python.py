"""Python code that loads a library that nothing is left of: it loads the counterpart alone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from torch_stabilize.buildfiles.codes import LIBRARY_LOADED
from torch_stabilize.buildfiles.gone.taken_out import TakenOut
from torch_stabilize.buildfiles.python.library import (
    Library,
    Sites,
    legacy_modules,
    load_sites,
    names_library,
    package_of,
    python_files,
    string_value,
)
from torch_stabilize.buildfiles.python.replace import replace_load
from torch_stabilize.buildfiles.python.shadowed import shadowed_modules
from torch_stabilize.buildfiles.python.syntax import PythonFile, dotted_name, read_python
from torch_stabilize.buildfiles.python.twins import has_twin
from torch_stabilize.buildfiles.text_edits import TextEdits
from torch_stabilize.model import FileEdit, Refusal, Span
from torch_stabilize.repository.layout import Layout
from torch_stabilize.repository.snapshot import Snapshot
from torch_stabilize.repository.stable_target import short_name

if TYPE_CHECKING:
    import libcst as cst


def take_out_of_python(snapshot: Snapshot, layout: Layout, named: Iterable[str]) -> TakenOut:
    """The edits of the Python files that load the library; `named` are its full names in setup files."""
    legacy, stable = short_name(layout.legacy_library), short_name(layout.stable_library)
    modules = legacy_modules(layout, named)
    library = Library(legacy, stable, modules, "", shadowed_modules(snapshot, layout, modules))
    edits: list[FileEdit] = []
    for path in python_files(snapshot, layout, library):
        try:
            file = read_python(path, snapshot.read(path))
        except Refusal as refusal:
            return TakenOut(kept=str(refusal))
        sites = Sites(file, library, package_of(layout, path), TextEdits(path, file.data), replaces=True)
        kept = _take_out(sites)
        if kept:
            return TakenOut(kept=kept)
        edits += sites.edits.edits()
    return TakenOut(tuple(edits))


def _take_out(sites: Sites) -> str:
    """Edit one file; why that cannot be done, "" where it can."""
    import libcst as cst

    from torch_stabilize.buildfiles.python.names import module_names
    from torch_stabilize.buildfiles.python.pybind_calls import is_used

    file = sites.file
    loads = load_sites(sites)
    if any(isinstance(one, cst.ImportFrom) and sites.is_legacy(sites.absolute(one)) for one in loads):
        return f"{file.path} takes names from {sites.library.legacy}"
    if any(is_used(sites, name, {}) for name in module_names(sites)):
        return f"{file.path} uses {sites.library.legacy}"
    handled = {file.statement(node) for node in loads}
    for text in file.find(cst.SimpleString):
        if file.statement(text) not in handled and _names_it(sites, string_value(text)):
            return f"{file.path} looks for {string_value(text)}"
    for node in loads:
        statement = file.statement(node)
        around = _all_about(file, statement)
        if _is_repeated(sites, around):
            span = file.span(around)
            end = file.line_end(max(span.start, span.end - 1))
            sites.edits.delete(Span(file.line_start(span.start), end), LIBRARY_LOADED)
        elif not (has_twin(sites, statement) and _drop_name(sites, node)):
            replace_load(sites, node, {})
    return ""


def _drop_name(sites: Sites, node: cst.CSTNode) -> bool:
    """Take the library out of an import of several names; False where it is the only one."""
    import libcst as cst

    if not isinstance(node, (cst.Import, cst.ImportFrom)) or not isinstance(node.names, Sequence):
        return False
    package = f"{sites.absolute(node)}." if isinstance(node, cst.ImportFrom) else ""
    leaving = [alias for alias in node.names if sites.is_legacy(f"{package}{dotted_name(alias.name)}")]
    if len(leaving) != 1 or len(node.names) == 1:
        return False
    spans = [sites.file.span(alias) for alias in node.names]
    at = next(index for index, alias in enumerate(node.names) if alias is leaving[0])
    if at + 1 < len(spans):
        sites.edits.delete(Span(spans[at].start, spans[at + 1].start), LIBRARY_LOADED)
    else:
        end = sites.file.span(leaving[0].asname.name if leaving[0].asname else leaving[0].name).end
        before = node.names[at - 1]
        start = sites.file.span(before.asname.name if before.asname else before.name).end
        sites.edits.delete(Span(start, end), LIBRARY_LOADED)
    return True


def _names_it(sites: Sites, text: str) -> bool:
    """Whether a string means the library: its module, its file or a pattern for that."""
    legacy = re.escape(sites.library.legacy)
    is_pattern = re.search(rf"(?<!\w){legacy}[^/\s]*\*[^/\s]*$", text) is not None
    return text in sites.library.modules or is_pattern or names_library(text, sites.library.legacy)


def _all_about(file: PythonFile, statement: cst.CSTNode) -> cst.CSTNode:
    """The `try` or `with` that holds nothing but `statement`, else the statement."""
    import libcst as cst

    block = file.parent(statement)
    around = file.parent(block) if isinstance(block, cst.IndentedBlock) and len(block.body) == 1 else None
    return around if isinstance(around, (cst.Try, cst.With)) and around.body is block else statement


def _is_repeated(sites: Sites, node: cst.CSTNode) -> bool:
    """Whether the same is done for the counterpart right behind `node`, or before it."""
    import libcst as cst

    file = sites.file
    block = file.parent(node)
    if not isinstance(block, (cst.Module, cst.IndentedBlock)):
        return False
    body: Sequence[cst.CSTNode] = block.body
    at = next(index for index, one in enumerate(body) if one is node)
    wanted = _plain(sites.library.renamed(file.text(node)))
    return any(_plain(file.text(one)) == wanted for one in (*body[:at], *body[at + 1 :]))


def _plain(text: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"#[^\n]*", "", text)).strip()
