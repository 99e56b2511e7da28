"""Python calls of functions that were bound with pybind11 and are operators now.

`ext.fwd(q, k, causal=True)` becomes `torch.ops.pkg.fwd(q, k, causal=True)`: arguments stay as they are, defaults are in
the operator's schema. Only names that are bound to the module, and by nothing else, count.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence, Set
from typing import TYPE_CHECKING

from torch_stabilize.buildfiles.codes import CALL_UNDECIDED, FUNCTION_CALLED
from torch_stabilize.buildfiles.python.library import Sites
from torch_stabilize.buildfiles.python.names import (
    FunctionName,
    ModuleName,
    alias_of,
    bound_otherwise,
    function_names,
    global_names,
    module_names,
    star_imports,
)
from torch_stabilize.buildfiles.python.syntax import dotted_name
from torch_stabilize.model import Severity, Span

if TYPE_CHECKING:
    import libcst as cst


def rewrite_calls(sites: Sites, functions: Mapping[str, str]) -> None:
    """Edit the calls in one file. `functions` maps a pybind name to its operator: "fwd" to "pkg.fwd" or "pkg::fwd".

    A name that other files import from this one stays bound here.
    """
    changed = False
    for node in star_imports(sites) if not sites.library.facade else ():
        _undecided(sites, node, "everything is imported from the module")
    for module in module_names(sites):
        changed |= _through_module(sites, module, functions)
    names: dict[cst.ImportFrom, set[str]] = {}
    for name in function_names(sites):
        if name.function in functions and not through_facade(sites, name.node):
            _direct(sites, name, _operator(functions[name.function]))
            names.setdefault(name.node, set()).add(name.name)
    for node, gone in names.items():
        _drop_names(sites, gone, node)
    if changed or names:
        _import_torch(sites)


def _operator(name: str) -> str:
    return f"torch.ops.{name.replace('::', '.')}"


def _undecided(sites: Sites, node: cst.CSTNode, why: str) -> None:
    sites.report(
        Severity.WARNING, node, f"{why}: whether it calls a function that is an operator now cannot be told",
        "Call torch.ops.<namespace>.<name> for the operators of this group.", CALL_UNDECIDED,
    )  # fmt: skip


def through_facade(sites: Sites, node: cst.ImportFrom) -> bool:
    """Whether names that are imported from the module come from its Python side.

    Those do that stay names of this file: all, such as others import from here, and such as have other values too.
    """
    import libcst as cst

    if not sites.library.facade or not sites.is_legacy(sites.absolute(node)):
        return False
    if not isinstance(node.names, Sequence):
        return True
    scope = sites.file.scope(node)
    home = None if isinstance(scope, cst.Module) else scope
    names = [alias_of(alias) or dotted_name(alias.name) for alias in node.names]
    if sites.replaces and any(dotted_name(alias.name) not in sites.functions for alias in node.names):
        return True  # an attribute, which only that side has from now on
    return any(
        name in sites.wanted or _is_public(sites, name) or bound_otherwise(sites, name, home) or _is_given(sites, name)
        for name in names
    )


def _is_given(sites: Sites, name: str) -> bool:
    """Whether the file gives `name` a value, such as None where the import fails."""
    import libcst as cst

    stores = (target.target for target in sites.file.find(cst.AssignTarget))
    return any(dotted_name(one) == name and not _is_shadowed(sites, name, one) for one in stores)


def is_used(sites: Sites, module: ModuleName, functions: Mapping[str, str]) -> bool:
    """Whether anything but a call of `functions` uses the module's name."""
    if is_shared(sites, module):
        return True
    others = any(function not in functions for _, function in _attributes(sites, module))
    return others or bool(other_uses(sites, module))


def is_shared(sites: Sites, module: ModuleName) -> bool:
    """Whether the name means another module in other branches: what is called through it is not known."""
    return "." not in module.name and bound_otherwise(sites, module.name, module.scope)


def _attributes(sites: Sites, module: ModuleName) -> Iterator[tuple[cst.Attribute, str]]:
    """Every `ext.name` with its name; `ext.a.b` counts for both "a" and "a.b"."""
    import libcst as cst

    for attribute in sites.file.find(cst.Attribute):
        dotted = dotted_name(attribute)
        if dotted.startswith(f"{module.name}.") and _means(sites, module, attribute):
            yield attribute, dotted[len(module.name) + 1 :]


def _through_module(sites: Sites, module: ModuleName, functions: Mapping[str, str]) -> bool:
    """`ext.fwd` for every `fwd` of the group; other uses of the module that may hide a call are listed."""
    changed = False
    if is_shared(sites, module):
        if not sites.library.facade:
            _undecided(sites, module.node, f"{module.name} is another module in other cases")
        return False
    for attribute, function in _attributes(sites, module):
        dotted = f"{module.name}.{function}"
        if function not in functions:
            facade = sites.library.facade
            if sites.replaces and not facade and "." not in function and not function.startswith("__"):
                _undecided(sites, attribute, f"{dotted} is no operator of this group")
            continue
        if _is_store(sites, attribute):
            _undecided(sites, attribute, f"{dotted} is given a value")
            continue
        sites.edits.replace(sites.file.span(attribute), _operator(functions[function]), FUNCTION_CALLED)
        changed = True
    _through_python_side(sites, module, functions)
    for use in other_uses(sites, module) if not sites.library.facade else ():
        if not _is_test(sites, use):
            _undecided(sites, use, f"the module {module.name} is passed on")
    return changed


def _through_python_side(sites: Sites, module: ModuleName, functions: Mapping[str, str]) -> None:
    """`pkg._C` as a value, and what only the Python side has of it: `hasattr(pkg._C, "fwd")`, `pkg._C.LIMIT`."""
    import libcst as cst

    if not sites.library.facade or "." not in module.name or module.name.startswith("self."):
        return
    for use in sites.file.find(cst.Attribute):
        if dotted_name(use) != module.name or not _means(sites, module, use) or _is_store(sites, use):
            continue
        above = sites.file.parent(use)
        asked = above.attr.value if isinstance(above, cst.Attribute) else ""
        if not asked or (sites.replaces and asked not in functions):
            sites.edits.replace(sites.file.span(use.attr), sites.library.facade, FUNCTION_CALLED)


def _means(sites: Sites, module: ModuleName, node: cst.CSTNode) -> bool:
    """Whether the module's name means the module where `node` is."""
    if _in_import(sites, node) or (module.scope and all(n is not module.scope for n in sites.file.around(node))):
        return False
    first = module.name.partition(".")[0]
    return first == "self" or not _is_shadowed(sites, first, node, module.scope)


def other_uses(sites: Sites, module: ModuleName) -> list[cst.Name]:
    """Uses of the module's name by itself: `ext is None`, `run(ext)`, neither a function of it nor a new value."""
    import libcst as cst

    found = []
    for use in sites.file.find(cst.Name):
        if use.value != module.name or not _means(sites, module, use):
            continue
        above = sites.file.parent(use)
        if isinstance(above, (cst.Attribute, cst.AssignTarget, cst.NameItem)) or _is_keyword(above, use):
            continue
        found.append(use)
    return found


def _is_keyword(above: cst.CSTNode | None, use: cst.Name) -> bool:
    import libcst as cst

    return isinstance(above, (cst.Arg, cst.Param)) and getattr(above, "keyword", getattr(above, "name", None)) is use


def _is_test(sites: Sites, use: cst.Name) -> bool:
    """`ext is None` and `if ext:` ask whether the library is there; that stays true."""
    import libcst as cst

    above = sites.file.parent(use)
    return isinstance(above, (cst.Comparison, cst.If, cst.Assert, cst.UnaryOperation, cst.BooleanOperation, cst.Del))


def _in_import(sites: Sites, node: cst.CSTNode) -> bool:
    import libcst as cst

    return sites.file.enclosing(node, (cst.Import, cst.ImportFrom)) is not None


def _is_store(sites: Sites, node: cst.CSTNode) -> bool:
    import libcst as cst

    return isinstance(sites.file.parent(node), cst.AssignTarget)


def _is_shadowed(sites: Sites, name: str, node: cst.CSTNode, home: cst.CSTNode | None = None) -> bool:
    """Whether a function around `node`, within `home`, has a parameter or a variable of the same name."""
    import libcst as cst

    for scope in sites.file.around(node):
        if scope is home:
            return False
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

    if name in global_names(sites, scope):
        return False
    for target in sites.file.find(cst.AssignTarget):
        if dotted_name(target.target) == name and sites.file.scope(target) is scope:
            return True
    loops: list[cst.For | cst.CompFor] = [*sites.file.find(cst.For), *sites.file.find(cst.CompFor)]
    return any(dotted_name(loop.target) == name and sites.file.scope(loop) is scope for loop in loops)


def _direct(sites: Sites, name: FunctionName, operator: str) -> None:
    """`fwd(...)` where `fwd` was imported from the module, or `fwd` as a name of the operator where others want it."""
    uses = _uses(sites, name)
    if _is_given(sites, name.name) and not sites.library.facade:
        sites.report(
            Severity.ERROR, name.node, f"{name.name} has another value where the import fails",
            f"Load {sites.library.stable} above it, in the same block: {operator} is asked for there.", CALL_UNDECIDED,
        )  # fmt: skip
    if not uses or name.name in sites.wanted or _is_public(sites, name.name) or _is_given(sites, name.name):
        _bind(sites, name, operator)
    else:
        for use in uses:
            sites.edits.replace(sites.file.span(use), operator, FUNCTION_CALLED)


def _uses(sites: Sites, name: FunctionName) -> list[cst.Name]:
    import libcst as cst

    found = []
    for use in sites.file.find(cst.Name):
        above = sites.file.parent(use)
        if use.value != name.name or _in_import(sites, use) or _is_shadowed(sites, name.name, use):
            continue
        if not ((isinstance(above, cst.Attribute) and above.attr is use) or _is_keyword(above, use)):
            found.append(use)
    return found


def _is_public(sites: Sites, name: str) -> bool:
    """Whether a package or `__all__` offers the name."""
    import libcst as cst

    if sites.file.path.endswith("__init__.py"):
        return True
    for target in sites.file.find(cst.AssignTarget):
        if dotted_name(target.target) == "__all__":
            text = sites.file.text(sites.file.statement(target))
            return re.search(rf"[\"']{re.escape(name)}[\"']", text) is not None
    return False


def _bind(sites: Sites, name: FunctionName, operator: str) -> None:
    """`fwd = torch.ops.pkg.fwd`, behind the imports that the statement is among."""
    file = sites.file
    statement = file.statement(name.node)
    body = list(getattr(file.parent(statement), "body", ()))
    last = statement
    for following in body[body.index(statement) :] if statement in body else ():
        if not _is_import(following):
            break
        last = following
    span = file.span(last)
    indent = file.indent(file.span(statement).start)
    at = file.line_end(max(span.start, span.end - 1))
    blank = "" if indent or at in sites.bound_at else "\n"
    sites.bound_at.add(at)
    sites.edits.insert(at, f"{blank}{indent}{name.name} = {operator}\n", FUNCTION_CALLED)


def _is_import(statement: cst.CSTNode) -> bool:
    import libcst as cst

    return isinstance(statement, cst.SimpleStatementLine) and isinstance(
        statement.body[0], (cst.Import, cst.ImportFrom)
    )


def _drop_names(sites: Sites, names: Set[str], node: cst.ImportFrom) -> None:
    """Take names out of an import; where none is left, the library itself must still be loaded."""
    assert isinstance(node.names, Sequence)
    aliases = list(node.names)
    gone = [a for a in aliases if (alias_of(a) or dotted_name(a.name)) in names]
    file = sites.file
    span = file.span(node)
    if len(gone) == len(aliases) and sites.replaces:
        sites.edits.delete(Span(file.line_start(span.start), file.line_end(span.end)), FUNCTION_CALLED)
        return
    if len(gone) == len(aliases):
        sites.edits.replace(span, f"import {sites.absolute(node)}  # noqa: F401", FUNCTION_CALLED)
        return
    for alias in gone:
        span = file.span(alias)
        after = re.compile(rb"[ \t]*,\s*").match(file.data, span.end)
        if after and alias is not aliases[-1]:
            sites.edits.delete(Span(span.start, after.end()), FUNCTION_CALLED)
        else:
            previous = file.span(aliases[aliases.index(alias) - 1])
            sites.edits.delete(Span(previous.end, span.end), FUNCTION_CALLED)


def _import_torch(sites: Sites) -> None:
    """`torch` has to be there for `torch.ops`."""
    import libcst as cst

    file = sites.file
    for imported in file.find(cst.Import):
        names = [dotted_name(a.name).partition(".")[0] for a in imported.names if a.asname is None]
        if "torch" in names and file.scope(imported) is file.module:
            return
    body = file.module.body
    heads = [s for s in body if _is_import(s) and not _is_future(s)]
    loads = [s for s in body if any(sites.loads(node) for node in _imports_in(sites, s))]
    before = next(iter(loads), None) or next(iter(heads), None)
    if before is not None:
        at = file.line_start(file.span(before).start)
    else:  # behind the docstring and what is imported from the future
        first = next((s for s in body if not _is_docstring(s) and not _is_import(s)), None)
        at = file.line_start(file.span(first).start) if first is not None else len(file.data)
    is_block = before is not None and not _is_import(before)
    blank = "\n" if is_block or (before in loads and _stands_apart(sites, at)) else ""
    sites.edits.insert(at, f"import torch\n{blank}", FUNCTION_CALLED)


def _stands_apart(sites: Sites, at: int) -> bool:
    """Whether imports of the project's own begin at `at`: other people's stand above them, after a blank line."""
    file = sites.file
    above = file.data[file.line_start(max(0, at - 1)) : at].strip()
    root = sites.module.partition(".")[0].encode()
    own = re.compile(rb"(?:from|import)\s+(?:\.|" + re.escape(root) + rb"\b)") if root else re.compile(rb"from\s+\.")
    return not above and own.match(file.data, at) is not None


def _imports_in(sites: Sites, statement: cst.CSTNode) -> list[cst.Import | cst.ImportFrom]:
    import libcst as cst

    found: list[cst.Import | cst.ImportFrom] = [*sites.file.find(cst.Import), *sites.file.find(cst.ImportFrom)]
    return [node for node in found if any(n is statement for n in sites.file.around(node))
            and sites.file.scope(node) is sites.file.module]  # fmt: skip


def _is_future(statement: cst.CSTNode) -> bool:
    import libcst as cst

    node = statement.body[0] if isinstance(statement, cst.SimpleStatementLine) else None
    return isinstance(node, cst.ImportFrom) and dotted_name(node.module) == "__future__"


def _is_docstring(statement: cst.CSTNode) -> bool:
    import libcst as cst

    if not isinstance(statement, cst.SimpleStatementLine) or not isinstance(statement.body[0], cst.Expr):
        return False
    return isinstance(statement.body[0].value, (cst.SimpleString, cst.ConcatenatedString))
