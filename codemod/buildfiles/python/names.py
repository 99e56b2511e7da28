"""What Python calls the legacy module and its functions: names that imports and assignments bind, also for other files.

`import pkg._C as ext`, `from . import _C`, `ext = importlib.import_module("pkg._C")` bind a name to the module; a file
that does so at its top level hands the name on to whoever imports it from there.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from codemod.buildfiles.python.library import IMPORTERS, Sites, module_spellings, string_value
from codemod.buildfiles.python.syntax import dotted_name


@dataclass(frozen=True)
class ModuleName:
    """A name for the module (`ext`, `pkg._C`, `self.ext`), where it is bound, and the node it holds in (None: all)."""

    name: str
    node: ast.AST
    scope: ast.AST | None = None


@dataclass(frozen=True)
class FunctionName:
    """A name for one function of the module: `from pkg._C import fwd as forward` binds `forward` to `fwd`."""

    name: str
    function: str
    node: ast.ImportFrom


def is_star(node: ast.ImportFrom) -> bool:
    """Whether an import is `from module import *`."""
    return node.names[0].name == "*"


def module_names(sites: Sites) -> list[ModuleName]:
    """Every name of one file that means the legacy module, each once per scope."""
    found = {(name.name, name.scope): name for name in (*_imported(sites), *_assigned(sites))}
    return list(found.values())


def function_names(sites: Sites) -> list[FunctionName]:
    """Every name of one file that means a function of the legacy module."""
    return [
        FunctionName(alias.asname or alias.name, alias.name, node)
        for node in sites.file.find(ast.ImportFrom)
        if sites.is_legacy(sites.absolute(node)) and not is_star(node)
        for alias in node.names
    ]


def star_imports(sites: Sites) -> list[ast.ImportFrom]:
    """`from pkg._C import *`."""
    return [n for n in sites.file.find(ast.ImportFrom) if is_star(n) and sites.is_legacy(sites.absolute(n))]


def handed_on(sites: Sites) -> frozenset[str]:
    """The full names under which other files can import the module from this one: "pkg.backend.ext"."""
    names = [name.name for name in module_names(sites) if name.scope is None and "." not in name.name]
    return frozenset(f"{sites.dotted}.{name}" for name in names) - sites.library.modules


def _imported(sites: Sites) -> Iterator[ModuleName]:
    known = sites.library.modules | sites.handed_on
    for imported in sites.file.find(ast.Import):
        scope = _scope(sites, imported)
        for alias in imported.names:
            module, bound = alias.name, alias.asname or alias.name
            if module in known:
                yield ModuleName(bound, imported, scope)
            for name in sites.handed_on:  # import pkg.backend; pkg.backend.ext.fwd(x)
                if name.startswith(f"{module}."):
                    yield ModuleName(f"{bound}{name[len(module) :]}", imported, scope)
    for imported_from in sites.file.find(ast.ImportFrom):
        module, scope = sites.absolute(imported_from), _scope(sites, imported_from)
        for alias in imported_from.names:
            full, bound = f"{module}.{alias.name}", alias.asname or alias.name
            if full in known:
                yield ModuleName(bound, imported_from, scope)
            for name in sites.handed_on:  # from pkg import backend; backend.ext.fwd(x)
                if name.startswith(f"{full}."):
                    yield ModuleName(f"{bound}{name[len(full) :]}", imported_from, scope)


def _assigned(sites: Sites) -> Iterator[ModuleName]:
    """`ext = importlib.import_module("pkg._C")`, also as an attribute of `self`."""
    for assign in sites.file.find(ast.Assign):
        value = assign.value
        if not isinstance(value, ast.Call) or not value.args:
            continue
        called = dotted_name(value.func).rpartition(".")[2]
        if called not in IMPORTERS or string_value(value.args[0]) not in module_spellings(sites):
            continue
        for target in assign.targets:
            name = dotted_name(target)
            if re.fullmatch(r"\w+", name):
                yield ModuleName(name, assign, _scope(sites, assign, name))
            elif re.fullmatch(r"self\.\w+", name):
                yield ModuleName(name, assign, sites.file.enclosing(assign, ast.ClassDef))


def _scope(sites: Sites, node: ast.AST, name: str = "") -> ast.AST | None:
    """The function that `node` binds a name in; None at module level and for a name declared global."""
    scope = sites.file.scope(node)
    if isinstance(scope, ast.Module) or (name and name in global_names(sites, scope)):
        return None
    return scope


def global_names(sites: Sites, scope: ast.AST) -> frozenset[str]:
    """The names that a function declares global or nonlocal."""
    statements: list[ast.Global | ast.Nonlocal] = [*sites.file.find(ast.Global), *sites.file.find(ast.Nonlocal)]
    return frozenset(name for s in statements if sites.file.scope(s) is scope for name in s.names)
