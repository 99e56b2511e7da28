"""The statement that loads the stable library next to the legacy one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch_stabilize.buildfiles.codes import LIBRARY_LOADED
from torch_stabilize.buildfiles.python.library import IMPORTERS, LOADERS, Sites, assigned_value
from torch_stabilize.buildfiles.python.syntax import PythonFile, dotted_name
from torch_stabilize.buildfiles.setup.text import add_statement
from torch_stabilize.model import Severity, Span

if TYPE_CHECKING:
    import libcst as cst


def has_twin(sites: Sites, statement: cst.CSTNode) -> bool:
    """Whether the stable library is loaded in the same function or module."""
    scope = sites.file.scope(statement)
    stable = re.compile(rf"(?<!\w){re.escape(sites.library.imported)}(?!\w)")
    import libcst as cst

    for node in (*sites.file.find(cst.Import), *sites.file.find(cst.ImportFrom), *sites.file.find(cst.Call)):
        if isinstance(node, cst.Call) and dotted_name(node.func).rpartition(".")[2] not in (*LOADERS, *IMPORTERS):
            continue
        same = sites.file.scope(node) is scope
        if same and stable.search(sites.file.text(node)) and _arms_agree(sites, node, statement):
            return True
    return False


def _arms_agree(sites: Sites, first: cst.CSTNode, second: cst.CSTNode) -> bool:
    """Whether both run in the same cases, as far as `if` statements tell."""
    return set(sites.file.conditions(first)) <= set(sites.file.conditions(second))


def add_twin(sites: Sites, node: cst.CSTNode, statement: cst.CSTNode) -> None:
    """The same load of the stable library, behind the legacy one or behind the `try` or `with` that is all about it."""
    import libcst as cst

    file = sites.file
    around = file.parent(statement)
    body = file.parent(around) if isinstance(around, cst.IndentedBlock) else None
    alone = isinstance(around, cst.IndentedBlock) and len(around.body) == 1
    if alone and isinstance(body, (cst.Try, cst.With)) and around is body.body and _can_repeat(body):
        text = _repeated(sites, node, statement, body)
        if sites.library.imported in text:
            add_statement(file, body, _spaced(file, body, text), sites.edits, LIBRARY_LOADED)
            return
    text = _twin(sites, node, statement)
    if text:
        add_statement(file, statement, text, sites.edits, LIBRARY_LOADED)
    else:
        sites.report(
            Severity.ERROR, node, f"{sites.library.stable} has to be loaded here too",
            f"Load {sites.library.stable} where {sites.library.legacy} is.",
        )  # fmt: skip


def _repeated(sites: Sites, node: cst.CSTNode, statement: cst.CSTNode, body: cst.Try | cst.With) -> str:
    """The `try` or `with` for the stable library. Handlers that give names a value are not repeated: `pass` does."""
    import libcst as cst

    names = node.names if isinstance(node, (cst.Import, cst.ImportFrom)) else ()
    has_alias = any(a.asname is not None for a in names) if isinstance(names, Sequence) else False
    assigns = isinstance(body, cst.Try) and any(
        isinstance(part, cst.Assign) and any(above is handler for above in sites.file.around(part))
        for handler in body.handlers
        for part in sites.file.find(cst.Assign)
    )
    if not (has_alias or assigns):
        return sites.library.renamed(_dedented(sites.file, body))
    twin = _twin(sites, node, statement)
    if isinstance(body, cst.With):
        head = _dedented(sites.file, body).split("\n")[0]
        return f"{head}\n    {twin}"
    handled = body.handlers[0].type
    caught = f" {sites.file.text(handled)}" if handled is not None else ""
    return f"try:\n    {twin}\nexcept{caught}:\n    pass"


def _can_repeat(node: cst.CSTNode) -> bool:
    import libcst as cst

    return not (isinstance(node, cst.Try) and (node.finalbody is not None or node.orelse is not None))


def _dedented(file: PythonFile, node: cst.CSTNode) -> str:
    span = file.span(node)
    indent = file.indent(span.start)
    text = file.slice(span).replace("\r\n", "\n").rstrip("\n")
    return "\n".join(line.removeprefix(indent) for line in text.split("\n"))


def _spaced(file: PythonFile, node: cst.CSTNode, text: str) -> str:
    """Module-level blocks keep the blank line that separates such blocks."""
    end = file.line_end(max(0, file.span(node).end - 1))
    blank = file.data[end : file.line_end(end)].strip() == b"" and end < len(file.data)
    return f"\n{text}" if blank and not file.indent(file.span(node).start) else text


def _twin(sites: Sites, node: cst.CSTNode, statement: cst.CSTNode) -> str:
    """The text of the statement that loads the stable library; "" where it cannot be told."""
    import libcst as cst

    stable = sites.library.imported
    if isinstance(node, cst.Import):
        module = next(dotted_name(a.name) for a in node.names if sites.is_legacy(dotted_name(a.name)))
        return f"import {module.rpartition('.')[0]}{'.' if '.' in module else ''}{stable}{remark(sites, statement)}"
    if isinstance(node, cst.ImportFrom):
        dots = "." * len(node.relative)
        name = dotted_name(node.module)
        if sites.is_legacy(sites.absolute(node)):  # from pkg._C import fwd
            package = name.rpartition(".")[0]
            where = f"{dots}{package}"
            if not where:
                return f"import {stable}{remark(sites, statement)}"
        else:
            where = f"{dots}{name}"
        return f"from {where} import {stable}{remark(sites, statement)}"
    if not isinstance(node, cst.Call) or not isinstance(statement, cst.SimpleStatementLine):
        return ""
    only = statement.body[0]
    if not isinstance(only, (cst.Expr, cst.Assign)) or only.value is not node:
        return ""
    assigned = assigned_value(sites, node)
    if assigned is not None:
        return f"{sites.file.text(node.func)}({loaded(sites, sites.file.text(assigned))})"
    return loaded(sites, _dedented(sites.file, node))


def loaded(sites: Sites, text: str) -> str:
    """`text`, a call that loads the legacy library, or its argument, for the stable one."""
    legacy = re.escape(sites.library.legacy)
    is_file = re.search(rf"{legacy}(?:\.abi3)?\.(?:so|pyd|dylib)", text) is not None
    stable = sites.library.stable if is_file else sites.library.imported
    return re.sub(rf"(?<![\w])(?<!ops\.){legacy}(?=(\.abi3)?\.(so|pyd|dylib)|[\"'])", stable, text)


def remark(sites: Sites, statement: cst.CSTNode) -> str:
    """The comment behind the import, with what keeps linters from removing one that is not used by name."""
    end = sites.file.span(statement).end
    line = sites.file.slice(Span(end, sites.file.line_end(end))).strip()
    if line.startswith("#") and "noqa" in line:
        return f"  {line}"
    return "  # noqa: F401"
