"""The parameters of a function, read from the text between its parentheses."""

from __future__ import annotations

import re
from typing import NamedTuple

from torch_stabilize.model import Span
from torch_stabilize.source.brackets import split_spans
from torch_stabilize.source.document import Document

_PARAMETER = re.compile(r"^(?P<type>.*[\s&*>\])])(?P<name>[A-Za-z_]\w*)(?P<array>(?:\s*\[[^\]]*\])*)$", re.DOTALL)
_TYPE_WORD_LIST = (
    "const volatile unsigned signed int long short char bool float double auto void __restrict__ __restrict"
)
_TYPE_WORDS = frozenset(_TYPE_WORD_LIST.split())
_NO_TYPE_ALONE = re.compile(r"\W*(?:(?:const|volatile|struct|class|typename)\b\W*)*")
_PARAMETER_START = re.compile(r"[A-Za-z_:\[.]")
_ATTRIBUTE = re.compile(r"\[\[.*?\]\]")
_TO_DEFAULT = re.compile(r"[(\[{<)\]}>=]")


class Parameter(NamedTuple):
    """One parameter: its type and name as written (the name may be empty), its default, and where it is."""

    type_text: str
    name: str
    default: str
    span: Span


def read_parameters(document: Document, code: bytes, start: int, end: int) -> tuple[Parameter, ...] | None:
    """The parameters between two parentheses, or None where they cannot be ones (a constructor's arguments)."""
    found = []
    for first, last in split_spans(code, start, end):
        masked = code[first:last].decode("utf-8", "replace")
        if masked.strip() in ("void", ""):
            continue
        if not _PARAMETER_START.match(masked):
            return None
        declared, default = masked, ""
        equals = _top_level_equals(masked)
        if equals >= 0:
            text = document.uncommented[first:last].decode("utf-8", "replace")
            declared, default = (
                masked[:equals],
                " ".join(text.encode()[equals + 1 :].decode("utf-8", "replace").split()),
            )
        if "[[" in declared:
            declared = _ATTRIBUTE.sub(" ", declared)
        type_text, name = _split_parameter(declared.strip())
        found.append(Parameter(type_text, name, default, Span(first, last)))
    return tuple(found)


def _top_level_equals(text: str) -> int:
    if "=" not in text:
        return -1
    depth = 0
    for match in _TO_DEFAULT.finditer(text):
        if match[0] in "([{<":
            depth += 1
        elif match[0] != "=":
            depth -= 1
        elif depth == 0:
            return match.start()
    return -1


def _split_parameter(text: str) -> tuple[str, str]:
    """`const T& x` as type and name; a name that is none (`unsigned int`, `torch::Tensor`) stays with the type."""
    match = _PARAMETER.match(text)
    if match is None or match["name"] in _TYPE_WORDS:
        return " ".join(text.split()), ""
    if _NO_TYPE_ALONE.fullmatch(match["type"]):
        return " ".join(text.split()), ""
    return " ".join(match["type"].split()) + "*" * match["array"].count("["), match["name"]
