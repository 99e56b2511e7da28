"""Libraries loaded as their users load them: a Python module is imported, any other one is handed to torch.

What was a function of a Python module before the migration is called as such (`module.f`) under the name of the
operator that it becomes.
"""

from __future__ import annotations

import ctypes
import importlib.machinery
import importlib.util
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from torch_stabilize.verify.golden.inventory import all_names

_ARGUMENT = re.compile(r"(?P<name>[A-Za-z_]\w*)\s*:")
_BRACKETS = {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}


class ModuleFunction:
    """A function of a Python module, in the place of an operator. `full_name` is the operator's."""

    def __init__(self, full_name: str, called: str, function: Any) -> None:
        self.full_name = full_name
        self.called = called
        self._function = function

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call it."""
        return self._function(*args, **kwargs)

    @property
    def arguments(self) -> tuple[str, ...]:
        """The names of its arguments, as pybind11 writes them into its documentation; () where it says none.

        Arguments without a name are "arg0", "arg1"; those of an overloaded function are not told.
        """
        text = str(getattr(self._function, "__doc__", "") or "").partition("\n")[0]
        inside = text.partition("(")[2].rpartition(") ->")[0]
        found = (_ARGUMENT.match(part.strip()) for part in _parts(inside))
        return tuple(match["name"] for match in found if match is not None)

    @property
    def is_named(self) -> bool:
        """Whether it can be called by keyword."""
        names = self.arguments
        return bool(names) and not any(re.fullmatch(r"arg\d+", name) for name in names)


_functions: dict[str, ModuleFunction] = {}


class Loaded(NamedTuple):
    """What libraries brought along: operators, each with the name of its library, and what their modules offer."""

    operators: Mapping[str, str]
    names: tuple[str, ...]  # of functions and classes, without that of the module


def load_libraries(libraries: Iterable[Path], functions: Mapping[str, str], torch: Any) -> Loaded:
    """Load `libraries` in their order; `functions` are operators that are functions of their modules ("_C.f").

    Raises ImportError or OSError where one does not load.
    """
    modules: list[ModuleType] = []
    operators: dict[str, str] = {}
    present = all_names(torch)
    for library in libraries:
        if has_module(library):
            modules.append(import_library(library))
        else:
            torch.ops.load_library(str(library))
        now = all_names(torch)
        operators |= dict.fromkeys(now - present, module_name(library))
        present = now
    _functions.clear()
    for operator, called in functions.items():
        function = _find(called, modules)
        if function is not None and operator not in operators:
            _functions[operator] = ModuleFunction(operator, called, function)
    return Loaded(operators, tuple(sorted({name for module in modules for name in _offered(module)})))


def function_for(operator: str) -> ModuleFunction | None:
    """The function that `operator`, "ns::name" or "ns::name.overload", was; None where it was none."""
    return _functions.get(operator)


def module_name(library: Path) -> str:
    """The name that a library is imported by: that of its file, up to the first dot."""
    return library.name.partition(".")[0]


def has_module(library: Path) -> bool:
    """Whether `library` can be imported: it has the function that makes a module of its name."""
    try:
        return hasattr(ctypes.CDLL(str(library)), f"PyInit_{module_name(library)}")
    except OSError:
        return False  # whoever loads it next says why


def import_library(library: Path) -> ModuleType:
    """Import the module in the file `library`."""
    name = module_name(library)
    loader = importlib.machinery.ExtensionFileLoader(name, str(library))
    spec = importlib.util.spec_from_file_location(name, library, loader=loader)
    if spec is None:
        raise ImportError(f"{library} is no module")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    loader.exec_module(module)
    return module


def _find(called: str, modules: Iterable[ModuleType]) -> Any:
    """What `called` ("_C.f", or "_C.sub.f") is: in the module of that name, else in the only one that has it."""
    name, *path = called.split(".")
    found = [(module.__name__ == name, function) for module in modules for function in _reached(module, path)]
    exact = [function for same, function in found if same]
    if exact:
        return exact[0]
    return found[0][1] if len(found) == 1 else None


def _reached(module: ModuleType, path: Iterable[str]) -> Iterator[Any]:
    place: Any = module
    for part in path:
        place = getattr(place, part, None)
    if callable(place):
        yield place


def _offered(module: ModuleType, prefix: str = "") -> Iterator[str]:
    """The functions and classes of a module and of those that it made inside it, "f" and "inner.f"."""
    for name, value in vars(module).items():
        if name.startswith("_"):
            continue
        if isinstance(value, ModuleType):
            if value.__name__ == f"{module.__name__}.{name}":
                yield from _offered(value, f"{prefix}{name}.")
        elif callable(value) and getattr(value, "__module__", None) in (module.__name__, None):
            yield prefix + name


def _parts(text: str) -> Iterator[str]:
    """What commas outside of brackets part."""
    depth = start = 0
    for index, character in enumerate(text):
        depth += _BRACKETS.get(character, 0)
        if character == "," and depth == 0:
            yield text[start:index]
            start = index + 1
    yield text[start:]
