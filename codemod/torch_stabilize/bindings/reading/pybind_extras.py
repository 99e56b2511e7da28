"""What a Python module has besides functions, attributes and submodules, and what to write in their place."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from torch_stabilize.bindings.reading.model import BlockKind, Statement
from torch_stabilize.bindings.reading.text import decode, string_value
from torch_stabilize.source.document import Document

_ATTRIBUTE = re.compile(
    r'(?P<owner>\w+)\s*\.\s*attr\s*\(\s*"(?P<name>\w+)"\s*\)\s*=(?!=)\s*(?P<value>.*?)\s*;', re.DOTALL
)
_DOC = re.compile(r"(?P<owner>\w+)\s*\.\s*doc\s*\(\s*\)\s*=(?!=)\s*(?P<value>.*?)\s*;", re.DOTALL)
_SUBMODULE = re.compile(
    r'(?:[\w:]+\s*&?\s+(?P<variable>\w+)\s*=\s*)?\w+\s*\.\s*def_submodule\s*\(\s*"(?P<name>\w+)"', re.DOTALL
)
_FUNCTION = re.compile(r'\.\s*def\s*\(\s*"(?P<name>\w+)"\s*,\s*(?P<function>&?[\w:]+)')
_CAST = re.compile(r"(?:(?:py|pybind11)::)?(?:cast|str|int_|float_|bool_)\s*\((?P<value>.*)\)", re.DOTALL)
_WORDS = {"true": "True", "false": "False", "nullptr": "None", "py::none()": "None"}
_NUMBER = re.compile(r"(?P<value>-?(?:0[xX][0-9a-fA-F]+|\d+(?:\.\d*)?(?:[eE][-+]?\d+)?))[uUlLfF]*")


class WayOut(NamedTuple):
    """What a statement adds to a Python module, and what replaces it once there is none."""

    message: str
    advice: str


def ways_out(
    document: Document, statements: Iterable[Statement], namespace: str
) -> tuple[dict[Statement, WayOut], set[Statement]]:
    """The ways out for the attributes and submodules of one module's block, and the statements they speak for."""
    texts = {s: decode(document.uncommented[s.span.start : s.span.end]).strip() for s in statements}
    found: dict[Statement, WayOut] = {}
    covered: set[Statement] = set()
    for statement, text in texts.items():
        if statement.block.kind is not BlockKind.PYBIND:
            continue
        if match := _ATTRIBUTE.match(text):
            found[statement] = _attribute(match, namespace)
        elif match := _SUBMODULE.match(text):
            variable = match["variable"]
            own = [s for s, other in texts.items() if variable and re.match(rf"{variable}\s*\.\s*def\b", other)]
            functions = [*_FUNCTION.findall(text), *(pair for s in own for pair in _FUNCTION.findall(texts[s]))]
            found[statement] = _submodule(match["name"], functions, namespace)
            covered.update(own)
    return found, covered


def literal_attribute(document: Document, statement: Statement) -> tuple[str, str] | None:
    """Name and Python value of `m.attr("LIMIT") = 16;` or `m.doc() = "..."`, None for others and what is no literal."""
    text = decode(document.uncommented[statement.span.start : statement.span.end]).strip()
    if statement.block.kind is not BlockKind.PYBIND or statement.conditions:
        return None
    match = _ATTRIBUTE.fullmatch(text) or _DOC.fullmatch(text)
    if match is None or match["owner"] != statement.block.variable:
        return None
    if match.re is _DOC:
        said = string_value(match["value"])
        return None if said is None else ("__doc__", json.dumps(said, ensure_ascii=False))
    value = _python(match["value"])
    return None if value.startswith("...") else (match["name"], value)


def _attribute(match: re.Match[str], namespace: str) -> WayOut:
    name = match["name"]
    return WayOut(
        f"{name} is an attribute of the module {namespace}, and the stable library has no module",
        f"write it in Python, next to the functions that call operators:\n{name} = {_python(match['value'])}",
    )


def _submodule(name: str, functions: Sequence[tuple[str, str]], namespace: str) -> WayOut:
    inner = f"{namespace}_{name}"
    lines = "\n".join(f'  m.def("{python}", {function});' for python, function in functions)
    return WayOut(
        f"{name} is a submodule of the module {namespace}, and the stable library has no module",
        f"register its functions as operators of a namespace of their own, and migrate again:\n"
        f"TORCH_LIBRARY({inner}, m) {{\n{lines}\n}}\n"
        f"and write in Python, in the place of the submodule:\n{name} = torch.ops.{inner}",
    )


def _python(value: str) -> str:
    """A C++ literal in Python; what is none is left to do, as written."""
    while cast := _CAST.fullmatch(value):
        value = cast["value"].strip()
    if number := _NUMBER.fullmatch(value):
        return number["value"]
    if re.fullmatch(r'"(?:[^"\\]|\\.)*"', value):
        return value
    return _WORDS.get("".join(value.split()), f"...  # {value}")
