"""The load of the legacy library turned into one of the stable library, where nothing is left of the legacy one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from torch_stabilize.buildfiles.codes import LIBRARY_LOADED
from torch_stabilize.buildfiles.python.library import Sites, assigned_value
from torch_stabilize.buildfiles.python.names import alias_of, module_names
from torch_stabilize.buildfiles.python.pybind_calls import is_used, through_facade
from torch_stabilize.buildfiles.python.syntax import dotted_name
from torch_stabilize.buildfiles.python.twins import add_twin, loaded, remark
from torch_stabilize.model import Span

if TYPE_CHECKING:
    import libcst as cst


def replace_load(sites: Sites, node: cst.CSTNode, functions: Mapping[str, str], *, is_first: bool = True) -> None:
    """Load the stable library at `node`. `functions` are the pybind functions that are called as operators now.

    The name that the import binds stays where something but a call of these uses it. An import that binds nothing and
    is not the first of its place is not repeated.
    """
    import libcst as cst

    if isinstance(node, cst.Import):
        named = [a for a in node.names if sites.is_legacy(dotted_name(a.name))]
        _renamed(sites, node, functions, named, is_first=is_first)
    elif isinstance(node, cst.ImportFrom) and through_facade(sites, node):
        assert node.module is not None
        name = node.module.attr if isinstance(node.module, cst.Attribute) else node.module
        sites.edits.replace(sites.file.span(name), sites.library.imported, LIBRARY_LOADED)
    elif isinstance(node, cst.ImportFrom) and sites.is_legacy(sites.absolute(node)):
        if is_first:
            add_twin(sites, node, sites.file.statement(node))  # its names are operators: the import itself is removed
    elif isinstance(node, cst.ImportFrom) and isinstance(node.names, Sequence):
        module = sites.absolute(node)
        named = [a for a in node.names if sites.is_legacy(f"{module}.{dotted_name(a.name)}")]
        _renamed(sites, node, functions, named, is_first=is_first)
    elif isinstance(node, cst.Call):
        for part in (node, assigned_value(sites, node)):
            if part is not None:
                text = sites.file.text(part)
                sites.edits.replace(sites.file.span(part), loaded(sites, text), LIBRARY_LOADED)


def _renamed(
    sites: Sites,
    node: cst.Import | cst.ImportFrom,
    functions: Mapping[str, str],
    aliases: Sequence[cst.ImportAlias],
    *,
    is_first: bool,
) -> None:
    """The module under its new name, with the old one behind `as` where that is still used."""
    file = sites.file
    statement = file.statement(node)
    used = {name.name for name in module_names(sites) if is_used(sites, name, functions)} | sites.wanted
    for alias in aliases:
        old = dotted_name(alias.name)
        package, dot, _ = old.rpartition(".")
        name = f"{package}{dot}{sites.library.imported}"
        bound = alias_of(alias) or (old if "." not in old else "")
        keeps = bound in used
        if not is_first and not keeps and _is_alone(statement, node):
            span = file.span(statement)
            sites.edits.delete(Span(file.line_start(span.start), file.line_end(span.end)), LIBRARY_LOADED)
            return
        whole = Span(file.span(alias.name).start, file.span(alias.asname.name if alias.asname else alias.name).end)
        sites.edits.replace(whole, f"{name} as {bound}" if keeps else name, LIBRARY_LOADED)
        end = file.span(statement).end
        if not keeps and not file.slice(Span(end, file.line_end(end))).strip():
            sites.edits.insert(end, remark(sites, statement), LIBRARY_LOADED)


def _is_alone(statement: cst.CSTNode, node: cst.Import | cst.ImportFrom) -> bool:
    """Whether the import of one name is all of its statement."""
    import libcst as cst

    one = isinstance(node.names, Sequence) and len(node.names) == 1
    return one and isinstance(statement, cst.SimpleStatementLine) and len(statement.body) == 1
