"""Functions by the names that a captured call has for them, in the libraries that this process has loaded."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

_LIBRARIES: list[Path] = []
_MODULES: dict[str, Any] = {}


def libraries_loaded(libraries: Iterable[str]) -> None:
    """Say which files this process has loaded, for modules that are looked for among them."""
    _LIBRARIES.extend(Path(library) for library in libraries)


def find_function(targets: Iterable[str], torch: Any) -> Callable[..., Any]:
    """The first of `targets` ("ns::op.overload" or "module:function") that is here. Raises LookupError for none.

    An operator comes before a function of a module: where both are, the operator is what the function became.
    """
    names = tuple(targets)
    for name in sorted(names, key=lambda one: "::" not in one):
        found = _operator(name, torch) if "::" in name else _function(name)
        if found is not None:
            return found
    raise LookupError(f"{' or '.join(names)} is in no library here")


def _operator(name: str, torch: Any) -> Callable[..., Any] | None:
    namespace, _, rest = name.partition("::")
    base, _, overload = rest.partition(".")
    try:
        function: Callable[..., Any] = getattr(getattr(getattr(torch.ops, namespace), base), overload or "default")
    except (AttributeError, RuntimeError):
        return None
    return function


def _function(name: str) -> Callable[..., Any] | None:
    module_name, _, function = name.partition(":")
    modules = _modules(module_name.rpartition(".")[2])
    found: Iterator[Callable[..., Any]] = (getattr(module, function) for module in modules if hasattr(module, function))
    return next(found, None)


def _modules(last: str) -> Iterator[Any]:
    """The modules of that last name: those that are imported, then the libraries whose files are named so.

    torch has modules of its own with common names: torch._C is not the project's _C.
    """
    if last in _MODULES:
        yield _MODULES[last]
        return
    for known, module in list(sys.modules.items()):
        spec = getattr(module, "__spec__", None)
        is_extension = isinstance(getattr(spec, "loader", None), importlib.machinery.ExtensionFileLoader)
        if known.rpartition(".")[2] == last and is_extension and not known.startswith("torch."):
            yield module
    for library in _LIBRARIES:
        if library.name.partition(".")[0] == last:
            _MODULES[last] = _load(last, library)
            yield _MODULES[last]
            return


def _load(name: str, library: Path) -> Any:
    """The module in the file `library`, under this name."""
    loader = importlib.machinery.ExtensionFileLoader(name, str(library))
    spec = importlib.util.spec_from_file_location(name, library, loader=loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module
