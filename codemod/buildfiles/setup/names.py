"""The extension modules that a setup.py leaves to CMake, without LibCST: enough where nothing in the file changes.

LibCST takes longer to import and to read one setup.py than all of the kernels take.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

_COMMANDS = ("BuildExtension", "build_ext")


def sourceless_extensions(data: bytes) -> frozenset[str] | None:
    """The names of the extension modules in a setup.py that lists sources for none of them.

    None where one has sources, where a name is not written down, or where the file cannot be read this way: then it
    takes the model to tell.
    """
    try:
        parsed = ast.parse(data)
    except (SyntaxError, ValueError):
        return None
    names: set[str] = set()
    for node in _outside_classes(parsed):
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and _holds_class(node.value):
            return None  # a variable is called in place of the class
        if not isinstance(node, ast.Call) or not _last_name(node.func).endswith("Extension"):
            continue
        keywords = {keyword.arg: keyword.value for keyword in node.keywords}
        positional = [argument for argument in node.args if not isinstance(argument, ast.Starred)]
        if _last_name(node.func) in _COMMANDS or not (positional or "name" in keywords):
            continue
        name = keywords.get("name", positional[0] if positional else None)
        if "sources" in keywords or len(positional) > 1:
            return None
        if not isinstance(name, ast.Constant) or not isinstance(name.value, str):
            return None
        names.add(name.value)
    return frozenset(names)


def _outside_classes(parsed: ast.Module) -> Iterator[ast.AST]:
    """Every node but those inside of a class."""
    waiting: list[ast.AST] = [parsed]
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, ast.ClassDef):
            waiting.extend(ast.iter_child_nodes(node))


def _last_name(node: ast.expr | None) -> str:
    """`c` of `a.b.c`, "" for what is no name."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _holds_class(value: ast.expr | None) -> bool:
    values = [value.body, value.orelse] if isinstance(value, ast.IfExp) else [value]
    return any(_last_name(one).endswith("Extension") for one in values)
