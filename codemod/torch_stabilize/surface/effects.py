"""What functions do with what they are given, by torch's schemas and the table `effects.json`."""

from __future__ import annotations

import functools
import json
import re
from pathlib import Path

from torch_stabilize.source.uses.held import Effects
from torch_stabilize.surface.schemas import call_arguments, cpp_arguments, fitting, overloads
from torch_stabilize.surface.table import load_surface

TABLE = Path(__file__).with_name("tables") / "effects.json"
_CHECKS = frozenset({"TSA201", "TSA202", "TSA203", "TSA204", "TSA205", "TSA206"})
_OF_STD = ("std::", "::", "thrust::", "cuda::std::")


def known_effects() -> Effects:
    """The effects that are known without a definition."""
    return Effects(method_effect, torch_effect, function_effect)


@functools.cache
def _raw() -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = json.loads(TABLE.read_text(encoding="utf-8"))
    return found


@functools.cache
def _table() -> dict[str, dict[str, str]]:
    """Letters by name: of methods of a tensor, and of functions a letter per argument, the last one for the rest."""
    raw = _raw()
    return {
        "methods": {name: letter for letter, names in raw["methods"].items() for name in names.split()},
        "functions": {name: letters for letters, names in raw["functions"].items() for name in names.split()},
    }


def method_effect(name: str) -> str:
    """What a method of a tensor does with the tensor."""
    return _table()["methods"].get(name) or torch_effect(name, 0)


@functools.lru_cache(maxsize=1024)
def torch_effect(name: str, index: int) -> str:
    """What torch's function `name` does with its argument `index`; a method's receiver is the first."""
    found = set()
    for op in overloads(name):
        arguments = cpp_arguments(op)
        if index < len(arguments) and arguments[index].type.startswith("Tensor"):
            is_view = op.aliases and not arguments[index].is_written and index == 0
            found.add("W" if arguments[index].is_written else "V" if is_view else "R")
    if found == {"R", "V"}:
        return "V"
    return found.pop() if len(found) == 1 else ""


def takes_sizes(name: str, index: int, count: int, *, method: bool) -> bool:
    """Whether torch's function or method `name` makes a braced list at argument `index` of `count` an IntArrayRef.

    The receiver of a method is not counted.
    """
    given = [""] * (count + method)
    given[index + method] = "list"
    found = fitting(name, given, method=method) if 0 <= index < count else ()
    kinds = {call_arguments(op, method=method)[index + method].type.rstrip("?") for op in found}
    return kinds == {"int[]"}


def function_effect(name: str, index: int, count: int) -> str:
    """What a function or macro of C, CUDA, the standard library or torch's checks does with its argument `index`.

    Where that depends on how many arguments there are, the table has a row for the name with their number: `f/4`.
    """
    bare = next((name.removeprefix(space) for space in _OF_STD if name.startswith(space)), name)
    functions = _table()["functions"]
    letters = functions.get(f"{bare}/{count}") or functions.get(bare, "")
    if not letters:
        return "R" if is_check(name) else ""
    letter = letters[min(index, len(letters) - 1)]
    return "" if letter == "?" else letter


def changes_nothing(name: str) -> bool:
    """Whether a function or class of the standard library only reads, or passes on, what it is given."""
    bare = name.removeprefix("std::")
    letters = [row for known, row in _table()["functions"].items() if known.partition("/")[0] == bare]
    return bool(letters) and not set("".join(letters)) - set("RVAX")


@functools.cache
def _devices() -> dict[str, str]:
    return {name: key for key, names in _raw()["devices"].items() for name in names.split()}


@functools.cache
def _of_libraries() -> re.Pattern[str]:
    """The functions of the GPU's libraries: C has their namespace in their names, `cublasSgemm`, `rocblas_sgemm`."""
    names = sorted(_raw()["libraries"]["CUDA"].split(), key=len, reverse=True)
    return re.compile(rf"(?:{'|'.join(names)})(?:[A-Z]|_[a-z])\w*")


def device_of(name: str) -> str:
    """The dispatch key of the device that a function or class of torch or of a device's library works on, else ""."""
    return _devices().get(name) or ("CUDA" if _of_libraries().fullmatch(name) else "")


def is_check(name: str) -> bool:
    """Whether a macro is one of torch's checks or warnings, which only read."""
    entry = load_surface().macro(name)
    return name == "STD_TORCH_CHECK" or (entry is not None and entry.rule in _CHECKS)
