"""The load of the legacy library turned into one of the stable library, where nothing is left of the legacy one."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence

from codemod.buildfiles.codes import LIBRARY_LOADED
from codemod.buildfiles.python.library import Sites, assigned_value
from codemod.buildfiles.python.names import module_names
from codemod.buildfiles.python.pybind_calls import is_used
from codemod.buildfiles.python.twins import add_twin, loaded, remark
from codemod.model import Span


def replace_load(sites: Sites, node: ast.AST, functions: Mapping[str, str], *, is_first: bool = True) -> None:
    """Load the stable library at `node`. `functions` are the pybind functions that are called as operators now.

    The name that the import binds stays where something but a call of these uses it. An import that binds nothing and
    is not the first of its place is not repeated.
    """
    if isinstance(node, ast.Import):
        named = [alias for alias in node.names if sites.is_legacy(alias.name)]
        _renamed(sites, node, functions, named, is_first=is_first)
    elif isinstance(node, ast.ImportFrom) and sites.is_legacy(sites.absolute(node)):
        if is_first:
            add_twin(sites, node, sites.file.statement(node))  # its names are operators: the import itself goes
    elif isinstance(node, ast.ImportFrom):
        module = sites.absolute(node)
        named = [alias for alias in node.names if sites.is_legacy(f"{module}.{alias.name}")]
        _renamed(sites, node, functions, named, is_first=is_first)
    elif isinstance(node, ast.Call):
        for part in (node, assigned_value(sites, node)):
            if part is not None:
                text = sites.file.text(part)
                sites.edits.replace(sites.file.span(part), loaded(sites, text), LIBRARY_LOADED)


def _renamed(
    sites: Sites,
    node: ast.Import | ast.ImportFrom,
    functions: Mapping[str, str],
    aliases: Sequence[ast.alias],
    *,
    is_first: bool,
) -> None:
    """The module under its new name, with the old one behind `as` where that is still used."""
    file = sites.file
    statement = file.statement(node)
    used = {name.name for name in module_names(sites) if is_used(sites, name, functions)} | sites.wanted
    for alias in aliases:
        package, dot, last = alias.name.rpartition(".")
        name = f"{package}{dot}{sites.library.stable}"
        bound = alias.asname or ("" if dot else last)
        keeps = bound in used
        if not is_first and not keeps and _is_alone(sites, statement, node):
            span = file.span(statement)
            sites.edits.delete(Span(file.line_start(span.start), file.line_end(span.end)), LIBRARY_LOADED)
            return
        sites.edits.replace(file.span(alias), f"{name} as {bound}" if keeps else name, LIBRARY_LOADED)
        end = file.span(statement).end
        if not keeps and not file.slice(Span(end, file.line_end(end))).strip():
            sites.edits.insert(end, remark(sites, statement), LIBRARY_LOADED)


def _is_alone(sites: Sites, statement: ast.AST, node: ast.Import | ast.ImportFrom) -> bool:
    """Whether the import of one name is all of its line."""
    on_line = [one for one in sites.file.siblings(node) if one.lineno == node.lineno]
    return statement is node and len(node.names) == len(on_line) == 1
