"""Whether a condition of one place means the same at another."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from torch_stabilize.buildfiles.setup.model import SetupModel
from torch_stabilize.buildfiles.setup.values import parameter_names

if TYPE_CHECKING:
    import libcst as cst


def is_visible(model: SetupModel, condition: str, at: cst.CSTNode, call: cst.CSTNode) -> bool:
    """Whether `condition`, which decides at the node `at`, says the same where `call` is."""
    try:
        tree = ast.parse(condition.strip(), mode="eval")
    except (SyntaxError, ValueError):
        return False
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    return all(_means_the_same(model, name, at, call) for name in names)


def _means_the_same(model: SetupModel, name: str, at: cst.CSTNode, call: cst.CSTNode) -> bool:
    import libcst as cst

    file = model.file
    if any(name in parameter_names(function) for function in file.find(cst.FunctionDef)) or _varies(model, name):
        return False
    bound = [*model.bindings(name), *_definitions(model, name)]
    if len(bound) > 1:
        return False
    if not bound:
        return True  # it is built in, or an import with a star brings it
    scope = file.scope(bound[0])
    if isinstance(scope, cst.Module):
        return file.scope(call) is not scope or file.span(bound[0]).start < file.span(call).start
    in_scope = all(any(around is scope for around in file.around(node)) for node in (at, call))
    return in_scope and file.span(bound[0]).start < file.span(call).start


def _varies(model: SetupModel, name: str) -> bool:
    """Whether a loop, a `with`, an `except` or a lambda gives the name a value."""
    import libcst as cst

    file = model.file
    targets: list[cst.CSTNode] = [loop.target for loop in file.find(cst.For)]
    targets += [part.target for part in file.find(cst.CompFor)]
    targets += [walrus.target for walrus in file.find(cst.NamedExpr)]
    targets += [alias.name for alias in file.find(cst.AsName) if not isinstance(file.parent(alias), cst.ImportAlias)]
    targets += [lambda_.params for lambda_ in file.find(cst.Lambda)]
    return any(used.value == name for target in targets for used in file.find_in(target, cst.Name))


def _definitions(model: SetupModel, name: str) -> list[cst.CSTNode]:
    """The imports, functions and classes that make the name; one of several that are alike."""
    import libcst as cst

    file = model.file
    found: list[cst.CSTNode] = [one for one in file.find(cst.FunctionDef) if one.name.value == name]
    found += [one for one in file.find(cst.ClassDef) if one.name.value == name]
    imports: list[cst.CSTNode] = []
    lines: list[cst.Import | cst.ImportFrom] = [*file.find(cst.Import), *file.find(cst.ImportFrom)]
    for line in lines:
        if not isinstance(line.names, cst.ImportStar):
            for alias in line.names:
                if (alias.evaluated_alias or alias.evaluated_name.partition(".")[0]) == name:
                    imports.append(line)
    imports.sort(key=lambda line: not isinstance(file.scope(line), cst.Module))
    return [*found, *imports[:1]]
