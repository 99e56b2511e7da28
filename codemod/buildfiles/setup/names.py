"""The extension modules that a setup.py leaves to CMake, without LibCST: enough where nothing in the file changes.

LibCST takes longer to import and to read one setup.py than all of the kernels take.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence

from codemod.repository.setup_tree import SetupTree, last_name

COMMANDS = frozenset({"BuildExtension", "build_ext"})  # what setuptools runs, no modules
_DEVICES = {"CUDA": ("cuda",), "HIP": ("hip", "rocm"), "ROCM": ("rocm", "hip")}
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_SCOPES = (*_FUNCTIONS, ast.ClassDef)
_LOOPS = (ast.For, ast.AsyncFor, ast.While, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def sourceless_extensions(tree: SetupTree) -> frozenset[str] | None:
    """The names of the extension modules in a setup.py that lists sources for none of them.

    None where one has sources, or where a name is not written down: then it takes the model to tell.
    """
    assigns: list[ast.Assign | ast.AnnAssign] = [*tree.find(ast.Assign), *tree.find(ast.AnnAssign)]
    if any(_holds_class(assign.value) and not _is_in_class(tree, assign) for assign in assigns):
        return None  # a variable is called in place of the class
    names: set[str] = set()
    for call in _extension_calls(tree):
        keywords = {keyword.arg: keyword.value for keyword in call.keywords}
        positional = [argument for argument in call.args if not isinstance(argument, ast.Starred)]
        if last_name(call.func) in COMMANDS or not (positional or "name" in keywords):
            continue
        name = keywords.get("name", positional[0] if positional else None)
        if "sources" in keywords or len(positional) > 1:
            return None
        if not isinstance(name, ast.Constant) or not isinstance(name.value, str):
            return None
        names.add(name.value)
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
    return [c for c in tree.find(ast.Call) if last_name(c.func).endswith("Extension") and not _is_in_class(tree, c)]


def _is_in_class(tree: SetupTree, node: ast.AST) -> bool:
    return any(isinstance(above, ast.ClassDef) for above in tree.around(node))


def _holds_class(value: ast.expr | None) -> bool:
    values = [value.body, value.orelse] if isinstance(value, ast.IfExp) else [value]
    return any(last_name(one).endswith("Extension") for one in values)
