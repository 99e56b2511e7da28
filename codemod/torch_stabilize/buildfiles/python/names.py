"""What Python calls the legacy module and its functions: names that imports and assignments bind, also for other files.

`import pkg._C as ext`, `from . import _C`, `ext = importlib.import_module("pkg._C")` bind a name to the module; a file
that does so at its top level hands the name on to whoever imports it from there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from torch_stabilize.buildfiles.python.library import (
    IMPORTERS,
    Sites,
    compiles_library,
    module_spellings,
    string_value,
)
from torch_stabilize.buildfiles.python.syntax import dotted_name

if TYPE_CHECKING:
    import libcst as cst


class ModuleName(NamedTuple):
    """A name for the module (`ext`, `pkg._C`, `self.ext`), where it is bound, and the node it holds in (None: all)."""

    name: str
    node: cst.CSTNode
    scope: cst.CSTNode | None = None


class FunctionName(NamedTuple):
    """A name for one function of the module: `from pkg._C import fwd as forward` binds `forward` to `fwd`."""

    name: str
    function: str
    node: cst.ImportFrom


def alias_of(alias: cst.ImportAlias) -> str:
    """The name behind `as`, "" where there is none."""
    return dotted_name(alias.asname.name) if alias.asname is not None else ""


def module_names(sites: Sites) -> list[ModuleName]:
    """Every name of one file that means the legacy module, each once per scope."""
    found = {(name.name, name.scope): name for name in (*_reached(sites), *_imported(sites), *_assigned(sites))}
    return list(found.values())


def function_names(sites: Sites) -> list[FunctionName]:
    """Every name of one file that means a function of the legacy module."""
    import libcst as cst

    return [
        FunctionName(alias_of(alias) or dotted_name(alias.name), dotted_name(alias.name), node)
        for node in sites.file.find(cst.ImportFrom)
        if sites.is_legacy(sites.absolute(node)) and isinstance(node.names, Sequence)
        for alias in node.names
    ]


def bound_otherwise(sites: Sites, name: str, scope: cst.CSTNode | None) -> bool:
    """Whether `name` also gets a value that is not the module or of it: by another import, an assignment, a `def`.

    None is no such value: it says that the module is not there.
    """
    import libcst as cst

    imports: list[cst.Import | cst.ImportFrom] = [*sites.file.find(cst.Import), *sites.file.find(cst.ImportFrom)]
    for imported in imports:
        if _scope(sites, imported) is not scope or sites.loads(imported) or not isinstance(imported.names, Sequence):
            continue
        named = [a for a in imported.names if (alias_of(a) or dotted_name(a.name)) == name]
        if any(_full_name(sites, imported, alias) not in sites.handed_on for alias in named):
            return True
    for assign in sites.file.find(cst.Assign):
        targets = [dotted_name(target.target) for target in assign.targets]
        if name in targets and _scope(sites, assign, name) is scope and not _is_module(sites, assign.value):
            return True
    functions: list[cst.FunctionDef | cst.ClassDef] = [
        *sites.file.find(cst.FunctionDef),
        *sites.file.find(cst.ClassDef),
    ]
    return any(one.name.value == name and _scope(sites, one) is scope for one in functions)


def _full_name(sites: Sites, node: cst.Import | cst.ImportFrom, alias: cst.ImportAlias) -> str:
    import libcst as cst

    name = dotted_name(alias.name)
    return name if isinstance(node, cst.Import) else f"{sites.absolute(node)}.{name}"


def _is_module(sites: Sites, value: cst.BaseExpression) -> bool:
    """Whether a value is None or the legacy module."""
    import libcst as cst

    if isinstance(value, cst.Name):
        return value.value == "None"
    if not isinstance(value, cst.Call) or not value.args:
        return False
    if compiles_library(sites, value):
        return True
    is_import = dotted_name(value.func).rpartition(".")[2] in IMPORTERS
    return is_import and string_value(value.args[0].value) in module_spellings(sites)


def star_imports(sites: Sites) -> list[cst.ImportFrom]:
    """`from pkg._C import *`."""
    import libcst as cst

    found = sites.file.find(cst.ImportFrom)
    return [n for n in found if not isinstance(n.names, Sequence) and sites.is_legacy(sites.absolute(n))]


def handed_on(sites: Sites) -> frozenset[str]:
    """The full names under which other files can import the module from this one: "pkg.backend.ext"."""
    names = [name.name for name in module_names(sites) if name.scope is None and "." not in name.name]
    return frozenset(f"{sites.dotted}.{name}" for name in names) - sites.library.modules


def _reached(sites: Sites) -> Iterator[ModuleName]:
    """`pkg._C` after `import pkg`, `p._C` after `import pkg as p`: the package has loaded the module."""
    import libcst as cst

    for imported in sites.file.find(cst.Import):
        scope = _scope(sites, imported)
        for alias in imported.names:
            package, bound = dotted_name(alias.name), alias_of(alias)
            around = package if bound else package.partition(".")[0]
            for name in sorted(sites.attributes):
                if name.startswith(f"{around}."):
                    yield ModuleName(f"{bound or around}{name[len(around) :]}", imported, scope)
    for imported_from in sites.file.find(cst.ImportFrom):
        if not isinstance(imported_from.names, Sequence):
            continue
        for alias in imported_from.names:  # from pkg import sub; sub._C.fwd(x)
            package, bound = _full_name(sites, imported_from, alias), alias_of(alias) or dotted_name(alias.name)
            for name in sorted(sites.attributes):
                if name.startswith(f"{package}."):
                    yield ModuleName(f"{bound}{name[len(package) :]}", imported_from, _scope(sites, imported_from))


def _imported(sites: Sites) -> Iterator[ModuleName]:
    import libcst as cst

    known = sites.library.modules | sites.handed_on
    for imported in sites.file.find(cst.Import):
        scope = _scope(sites, imported)
        for alias in imported.names:
            module, bound = dotted_name(alias.name), alias_of(alias)
            if module in known:
                yield ModuleName(bound or module, imported, scope)
            for name in sites.handed_on:  # import pkg.backend; pkg.backend.ext.fwd(x)
                if name.startswith(f"{module}."):
                    yield ModuleName(f"{bound or module}{name[len(module) :]}", imported, scope)
    for imported_from in sites.file.find(cst.ImportFrom):
        if not isinstance(imported_from.names, Sequence):
            continue
        module, scope = sites.absolute(imported_from), _scope(sites, imported_from)
        for alias in imported_from.names:
            full, bound = f"{module}.{dotted_name(alias.name)}", alias_of(alias) or dotted_name(alias.name)
            if full in sites.attributes | sites.handed_on:
                yield ModuleName(bound, imported_from, scope)
            for name in sites.handed_on:  # from pkg import backend; backend.ext.fwd(x)
                if name.startswith(f"{full}."):
                    yield ModuleName(f"{bound}{name[len(full) :]}", imported_from, scope)


def _assigned(sites: Sites) -> Iterator[ModuleName]:
    """`ext = importlib.import_module("pkg._C")`, also as an attribute of `self`."""
    import libcst as cst

    for assign in sites.file.find(cst.Assign):
        value = assign.value
        if not isinstance(value, cst.Call) or not value.args:
            continue
        called = dotted_name(value.func).rpartition(".")[2]
        is_imported = called in IMPORTERS and string_value(value.args[0].value) in module_spellings(sites)
        if not is_imported and not compiles_library(sites, value):
            continue
        for target in assign.targets:
            name = dotted_name(target.target)
            if re.fullmatch(r"\w+", name):
                yield ModuleName(name, assign, _scope(sites, assign, name))
            elif re.fullmatch(r"self\.\w+", name):
                yield ModuleName(name, assign, sites.file.enclosing(assign, cst.ClassDef))


def _scope(sites: Sites, node: cst.CSTNode, name: str = "") -> cst.CSTNode | None:
    """The function that `node` binds a name in; None at module level and for a name declared global."""
    import libcst as cst

    scope = sites.file.scope(node)
    if isinstance(scope, cst.Module) or (name and name in global_names(sites, scope)):
        return None
    return scope


def global_names(sites: Sites, scope: cst.CSTNode) -> frozenset[str]:
    """The names that a function declares global or nonlocal."""
    import libcst as cst

    statements: list[cst.Global | cst.Nonlocal] = [*sites.file.find(cst.Global), *sites.file.find(cst.Nonlocal)]
    return frozenset(item.name.value for s in statements if sites.file.scope(s) is scope for item in s.names)
