"""The namespace of the operators that the functions of a Python module become.

Operators live in one registry for the whole process: a namespace called `_C` would be everybody's. The functions of
`softcap._C` become `softcap::...`, those of `pkg.sub._ext` `pkg_sub::...`. A module without a package is its own
namespace, unless it has a private name: then it is the project's.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator
from functools import partial
from posixpath import basename, dirname

from torch_stabilize import toml
from torch_stabilize.buildfiles.setup.evaluate.read import read_setup_file
from torch_stabilize.repository.layout import Layout
from torch_stabilize.repository.python_tree import python_tree
from torch_stabilize.repository.snapshot import Snapshot
from torch_stabilize.repository.stable_target import short_name

_NO_IDENTIFIER = re.compile(r"\W+")


def python_namespace(
    snapshot: Snapshot, layout: Layout, module: str, functions: Collection[str], taken: Collection[tuple[str, str]]
) -> str:
    """The namespace for `functions` of the extension module `module` (its name without packages).

    `taken` are the namespaces and names of operators that are none of the module's: where one has the name of a
    function, the module's own name is added. What is configured wins.
    """
    if layout.op_namespace:
        return layout.op_namespace
    package = package_of_module(snapshot, layout, module)
    if not package and not module.startswith("_"):
        return module
    found = _NO_IDENTIFIER.sub("_", package or project_name(snapshot, layout)) or module
    if any((found, function) in taken for function in functions):
        return f"{found}_{module.strip('_')}"
    return found


def package_of_module(snapshot: Snapshot, layout: Layout, module: str) -> str:
    """The dotted package that build files or imports put the extension module into, "" for none."""
    built = _built_as(snapshot, layout, module)
    if built is not None:
        return built.rpartition(".")[0]
    roots = [root for root in layout.python_roots if root and snapshot.exists(f"{root}/__init__.py")]
    imported = {found for root in roots for found in _imported_from(snapshot, root, module)}
    if len(imported) == 1:
        return imported.pop()
    return basename(roots[0]) if len(roots) == 1 and not imported else ""


def package_folder(snapshot: Snapshot, layout: Layout, package: str) -> str:
    """The folder of a dotted package, "" where there is none in the tree."""
    first, _, rest = package.partition(".")
    for root in layout.python_roots:
        folder = f"{root}/{rest.replace('.', '/')}" if rest else root
        if first and basename(root) == first and snapshot.exists(f"{folder}/__init__.py"):
            return folder
    return ""


def _imported_from(snapshot: Snapshot, root: str, module: str) -> Iterator[str]:
    """The packages below `root` that its files import `module` from."""
    top, word = basename(root), re.escape(module)
    line = re.compile(
        rf"^[ \t]*(?:from[ \t]+(?P<dots>\.*)(?P<package>[\w.]*?)(?:[ \t]+import\b[^\n#]*?(?<![\w.]){word}(?!\w)"
        rf"|\.?(?<![\w]){word}[ \t]+import\b)|import[ \t]+(?P<full>\w[\w.]*)\.{word}(?!\w))",
        re.MULTILINE,
    )
    for path in snapshot.below(root, (".py",)):
        folder = dirname(path)[len(root) :].replace("/", ".")
        for match in line.finditer(snapshot.read(path).decode("utf-8", "replace")):
            if match["full"]:
                found = match["full"]
            else:
                parts = f"{top}{folder}".split(".")
                base = parts[: len(parts) - len(match["dots"]) + 1] if match["dots"] else []
                found = ".".join([*base, *filter(None, [match["package"].strip(".")])])
            if found == top or found.startswith(f"{top}."):
                yield found


def _built_as(snapshot: Snapshot, layout: Layout, module: str) -> str | None:
    """The full name under which a setup.py builds the extension module; None where none is known to."""
    for path in layout.setup_files:
        if snapshot.exists(path):
            named = snapshot.once((_modules_of, path), partial(_modules_of, snapshot, path)).get(module, set())
            if len(named) == 1:
                return next(iter(named))
    return None


def _modules_of(snapshot: Snapshot, path: str) -> dict[str, set[str]]:
    """The full names of the modules that a setup.py builds, by their short names."""
    found: dict[str, set[str]] = {}
    for one in read_setup_file(snapshot, path).entries:
        if one.entry.module:
            found.setdefault(short_name(one.entry.module), set()).add(one.entry.module)
    return found


def project_name(snapshot: Snapshot, layout: Layout) -> str:
    """What the project calls itself in pyproject.toml or setup.py, "" where that cannot be told."""
    path = f"{layout.project_root}/pyproject.toml" if layout.project_root else "pyproject.toml"
    if snapshot.exists(path):
        try:
            name = toml.loads(snapshot.read(path).decode()).get("project", {}).get("name", "")
        except (toml.TOMLDecodeError, UnicodeDecodeError, AttributeError):
            name = ""
        if name:
            return str(name)
    for path in layout.setup_files:
        tree = python_tree(snapshot.read(path))
        for call in ast.walk(tree) if tree is not None else ():
            called = call.func if isinstance(call, ast.Call) else None
            if isinstance(call, ast.Call) and getattr(called, "attr", getattr(called, "id", "")) == "setup":
                values = [k.value for k in call.keywords if k.arg == "name"]
                if values and isinstance(values[0], ast.Constant):
                    return str(values[0].value)
    return ""
