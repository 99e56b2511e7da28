"""The extension modules that a setup.py leaves to CMake, without LibCST: enough where nothing in the file changes.

LibCST takes longer to import and to read one setup.py than all of the kernels take.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence

from torch_stabilize.buildfiles.setup.evaluate.functions import COMMANDS
from torch_stabilize.buildfiles.setup.evaluate.read import read_setup_file
from torch_stabilize.buildfiles.setup.tree import SetupTree, last_name
from torch_stabilize.repository.snapshot import Snapshot

_DEVICES = {"CUDA": ("cuda",), "HIP": ("hip", "rocm"), "ROCM": ("rocm", "hip")}
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_SCOPES = (*_FUNCTIONS, ast.ClassDef)
_LOOPS = (ast.For, ast.AsyncFor, ast.While, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def sourceless_extensions(snapshot: Snapshot, path: str) -> frozenset[str] | None:
    """The names of the extension modules in a setup.py that lists sources for none of them.

    None where one has sources, or where a name is not known: then it takes the model to tell.
    """
    names: set[str] = set()
    for one in read_setup_file(snapshot, path).entries:
        if one.has_sources:
            return None
        if one.entry.module:
            names.add(one.entry.module)
        elif not one.is_given_unread:
            return None
    return frozenset(names)


def telling_statements(tree: SetupTree, devices: Sequence[str]) -> list[ast.stmt] | None:
    """The statements that make extension modules, and those that define a name that speaks of one of `devices`.

    None where a loop or a function makes a module: what else that takes is not known.
    """
    calls = _extension_calls(tree)
    if any(isinstance(above, (*_FUNCTIONS, *_LOOPS)) for call in calls for above in tree.around(call)):
        return None
    named: list[tuple[ast.AST, str]] = [(function, function.name) for function in tree.find(ast.FunctionDef)]
    named += [(a, target.id) for a in tree.find(ast.Assign) for target in a.targets if isinstance(target, ast.Name)]
    about = [node for node, name in named if any(word in name.lower() for word in devices)]
    defining = [node for node in about if not any(isinstance(above, _SCOPES) for above in tree.around(node))]
    wanted = {tree.statement(node) for node in (*calls, *defining)}
    return [statement for statement in tree.module.body if statement in wanted]


def device_words(value: str) -> tuple[str, ...]:
    """What names of a setup file call the device that CMake calls `value`, in lower case."""
    return _DEVICES.get(value.upper(), (value.lower(),))


def _extension_calls(tree: SetupTree) -> list[ast.Call]:
    found = (call for call in tree.find(ast.Call) if last_name(call.func) not in COMMANDS)
    return [c for c in found if last_name(c.func).endswith("Extension") and not _is_in_class(tree, c)]


def _is_in_class(tree: SetupTree, node: ast.AST) -> bool:
    return any(isinstance(above, ast.ClassDef) for above in tree.around(node))
