"""Python calls of functions that were bound with pybind11 and are operators now.

`ext.fwd(q, k, causal=True)` becomes `torch.ops.pkg.fwd(q, k, causal=True)`: arguments stay as they are, defaults are in
the operator's schema. Only names that are bound to the module by an import, and by nothing else, count.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from codemod.buildfiles.codes import CALL_UNDECIDED, FUNCTION_CALLED
from codemod.buildfiles.python_sites import Sites
from codemod.buildfiles.python_syntax import dotted_name
from codemod.model import Severity, Span

if TYPE_CHECKING:
    import libcst as cst


def rewrite_calls(sites: Sites, functions: Mapping[str, str]) -> None:
    """Edit the calls in one file. `functions` maps a pybind name to its operator: "fwd" to "pkg.fwd" or "pkg::fwd"."""
    modules, direct = _aliases(sites)
    changed = False
    for name, node in modules:
        changed |= _through_module(sites, name, node, functions)
    for name, function, node in direct:
        if function in functions:
            changed |= _direct(sites, name, functions[function], node)
    if changed:
        _import_torch(sites)


def _operator(name: str) -> str:
    return f"torch.ops.{name.replace('::', '.')}"


def _aliases(sites: Sites) -> tuple[list[tuple[str, cst.CSTNode]], list[tuple[str, str, cst.ImportFrom]]]:
    """Names that mean the module, and names that mean one of its functions: (name, function, import)."""
    import libcst as cst

    modules: list[tuple[str, cst.CSTNode]] = []
    direct: list[tuple[str, str, cst.ImportFrom]] = []
    for imported in sites.file.find(cst.Import):
        for alias in imported.names:
            module = dotted_name(alias.name)
            if sites.is_legacy(module):
                modules.append((_alias(alias) or module, imported))
    for imported_from in sites.file.find(cst.ImportFrom):
        module = sites.absolute(imported_from)
        if not isinstance(imported_from.names, Sequence):
            if sites.is_legacy(module):
                _undecided(sites, imported_from, "everything is imported from the module")
            continue
        for alias in imported_from.names:
            name = dotted_name(alias.name)
            if sites.is_legacy(module):
                direct.append((_alias(alias) or name, name, imported_from))
            elif sites.is_legacy(f"{module}.{name}"):
                modules.append((_alias(alias) or name, imported_from))
    return list({name: (name, node) for name, node in modules}.values()), direct


def _alias(alias: cst.ImportAlias) -> str:
    return dotted_name(alias.asname.name) if alias.asname is not None else ""


def _undecided(sites: Sites, node: cst.CSTNode, why: str) -> None:
    sites.report(
        Severity.WARNING, node, f"{why}: whether it calls a function that is an operator now cannot be told",
        "Call torch.ops.<namespace>.<name> for the operators of this group.", CALL_UNDECIDED,
    )  # fmt: skip


def _through_module(sites: Sites, name: str, node: cst.CSTNode, functions: Mapping[str, str]) -> bool:
    """`ext.fwd` for every `fwd` of the group; other uses of the module that may hide a call are listed."""
    import libcst as cst

    changed = False
    for attribute in sites.file.find(cst.Attribute):
        dotted = dotted_name(attribute)
        if not dotted.startswith(f"{name}.") or _in_import(sites, attribute):
            continue
        function = dotted[len(name) + 1 :]
        if function not in functions:
            continue
        if _is_shadowed(sites, name.partition(".")[0], attribute):
            continue
        if _is_store(sites, attribute):
            _undecided(sites, attribute, f"{dotted} is given a value")
            continue
        sites.edits.replace(sites.file.span(attribute), _operator(functions[function]), FUNCTION_CALLED)
        changed = True
    for use in sites.file.find(cst.Name):
        if use.value != name or _in_import(sites, use) or _is_shadowed(sites, name, use):
            continue
        above = sites.file.parent(use)
        if isinstance(above, cst.Attribute) and above.value is use:
            continue
        if isinstance(above, (cst.Attribute, cst.AssignTarget)) or _is_keyword(above, use) or _is_test(sites, use):
            continue
        _undecided(sites, use, f"the module {name} is passed on")
    return changed


def _is_keyword(above: cst.CSTNode | None, use: cst.Name) -> bool:
    import libcst as cst

    return isinstance(above, (cst.Arg, cst.Param)) and getattr(above, "keyword", getattr(above, "name", None)) is use


def _is_test(sites: Sites, use: cst.Name) -> bool:
    """`ext is None` and `if ext:` ask whether the library is there; that stays true."""
    import libcst as cst

    above = sites.file.parent(use)
    return isinstance(above, (cst.Comparison, cst.If, cst.Assert, cst.UnaryOperation, cst.Del))


def _in_import(sites: Sites, node: cst.CSTNode) -> bool:
    import libcst as cst

    return sites.file.enclosing(node, (cst.Import, cst.ImportFrom)) is not None


def _is_store(sites: Sites, node: cst.CSTNode) -> bool:
    import libcst as cst

    return isinstance(sites.file.parent(node), cst.AssignTarget)


def _is_shadowed(sites: Sites, name: str, node: cst.CSTNode) -> bool:
    """Whether a function around `node` has a parameter or a variable of the same name that is no import."""
    import libcst as cst

    for scope in sites.file.around(node):
        if isinstance(scope, (cst.FunctionDef, cst.Lambda)):
            params = scope.params
            every = [*params.params, *params.kwonly_params, *params.posonly_params]
            if any(param.name.value == name for param in every):
                return True
            if isinstance(scope, cst.FunctionDef) and _assigned_in(sites, name, scope):
                return True
    return False


def _assigned_in(sites: Sites, name: str, scope: cst.FunctionDef) -> bool:
    import libcst as cst

    for target in sites.file.find(cst.AssignTarget):
        if dotted_name(target.target) == name and sites.file.scope(target) is scope:
            return True
    loops: list[cst.For | cst.CompFor] = [*sites.file.find(cst.For), *sites.file.find(cst.CompFor)]
    return any(dotted_name(loop.target) == name and sites.file.scope(loop) is scope for loop in loops)


def _direct(sites: Sites, name: str, operator: str, node: cst.ImportFrom) -> bool:
    """`fwd(...)` where `fwd` was imported from the module; the import goes, the last one with its statement."""
    import libcst as cst

    changed = False
    for use in sites.file.find(cst.Name):
        above = sites.file.parent(use)
        if use.value != name or _in_import(sites, use) or _is_shadowed(sites, name, use):
            continue
        if (isinstance(above, cst.Attribute) and above.attr is use) or _is_keyword(above, use):
            continue
        sites.edits.replace(sites.file.span(use), _operator(operator), FUNCTION_CALLED)
        changed = True
    return changed and _drop_name(sites, name, node)


def _drop_name(sites: Sites, name: str, node: cst.ImportFrom) -> bool:
    assert isinstance(node.names, Sequence)
    aliases = list(node.names)
    gone = [a for a in aliases if (_alias(a) or dotted_name(a.name)) == name]
    if len(aliases) == 1:
        # the library itself must still be loaded: that is what the import now says
        module = sites.absolute(node)
        sites.edits.replace(sites.file.span(node), f"import {module}  # noqa: F401", FUNCTION_CALLED)
        return True
    for alias in gone:
        span = sites.file.span(alias)
        after = sites.file.data[span.end :].lstrip(b" \t")
        if after.startswith(b","):
            end = sites.file.data.index(b",", span.end) + 1
            while sites.file.data[end : end + 1] in (b" ", b"\t"):
                end += 1
            sites.edits.delete(Span(span.start, end), FUNCTION_CALLED)
        else:
            previous = aliases[aliases.index(alias) - 1]
            sites.edits.delete(Span(sites.file.span(previous).end, span.end), FUNCTION_CALLED)
    return True


def _import_torch(sites: Sites) -> None:
    """`torch` has to be there for `torch.ops`."""
    import libcst as cst

    for imported in sites.file.find(cst.Import):
        if any(dotted_name(a.name).partition(".")[0] == "torch" and a.asname is None for a in imported.names):
            return
    first = next(
        (
            statement
            for statement in sites.file.module.body
            if isinstance(statement, cst.SimpleStatementLine)
            and isinstance(statement.body[0], (cst.Import, cst.ImportFrom))
            and not _is_future(statement.body[0])
        ),
        None,
    )
    if first is not None:
        sites.edits.insert(sites.file.line_start(sites.file.span(first).start), "import torch\n", FUNCTION_CALLED)


def _is_future(node: cst.Import | cst.ImportFrom) -> bool:
    import libcst as cst

    return isinstance(node, cst.ImportFrom) and dotted_name(node.module) == "__future__"
