"""Python files that register something for libraries that are loaded already, run without the package they are in."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

_RELATIVE = "_torch_stabilize_relative"


def run_files(files: Iterable[Path], libraries: Iterable[Path], torch: Any) -> None:
    """Run `files`; what they import from their package are the modules of `libraries`, by their names.

    Raises whatever a file raises.
    """
    loaded = {library.name.partition(".")[0]: sys.modules.get(library.name.partition(".")[0]) for library in libraries}
    for number, path in enumerate(files):
        text = path.read_bytes()
        with _packages(_packages_in(text), loaded), _loaded_once(loaded, torch):
            module = ModuleType(f"{_RELATIVE}.registrations{number}")
            module.__file__ = str(path)
            module.__package__ = _RELATIVE
            sys.modules[module.__name__] = module  # fakes are described with the module of their function
            exec(compile(text, str(path), "exec"), module.__dict__)


def _packages_in(text: bytes) -> frozenset[str]:
    """The packages that modules are imported from, each with those around it."""
    found = {_RELATIVE}
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            parts = node.module.split(".")
            if parts[0] != "torch" and parts[0] not in sys.stdlib_module_names:
                found |= {".".join(parts[:count]) for count in range(1, len(parts) + 1)}
    return frozenset(found)


@contextmanager
def _packages(names: Iterable[str], modules: Mapping[str, ModuleType | None]) -> Iterator[None]:
    """Empty packages of these names that have `modules`; what had those names before has them afterwards."""
    before = {name: sys.modules.get(name) for name in names}
    for name in names:
        package = ModuleType(name)
        package.__path__ = []
        for short, module in modules.items():
            setattr(package, short, module)
        sys.modules[name] = package
    try:
        yield
    finally:
        for name, module in before.items():
            if module is not None:
                sys.modules[name] = module
            else:
                sys.modules.pop(name, None)


@contextmanager
def _loaded_once(libraries: Mapping[str, object], torch: Any) -> Iterator[None]:
    """A library of a name that is loaded already is not loaded from another place."""
    load = torch.ops.load_library

    def load_other(path: Any) -> None:
        if Path(path).name.partition(".")[0].removeprefix("lib") not in libraries:
            load(path)

    torch.ops.load_library = load_other
    try:
        yield
    finally:
        torch.ops.load_library = load
