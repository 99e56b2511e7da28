"""Which of its tensors a function writes to, as far as its text and that of the kernels it calls tell.

Nothing here guesses: an access that is neither surely a read nor surely a write is unknown.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from torch_stabilize.bindings.effects.program import Program
from torch_stabilize.source.document import Document
from torch_stabilize.source.patterns import word_start
from torch_stabilize.source.signatures import Function
from torch_stabilize.source.types import parse_type
from torch_stabilize.source.uses import Access

_VIEW = rb"(?:\s*\.\s*(?:view|reshape|view_as|flatten|squeeze|unsqueeze|transpose|t)\s*\([^;]*\))?"
_RETURNED = re.compile(
    word_start(b"return") + rb"\s+(?:std::move\(\s*)?(?P<name>[A-Za-z_]\w*)" + _VIEW + rb"\s*\)?\s*;"
)
_ASSIGNED = re.compile(rb"[=?:]\s*([A-Za-z_]\w*)")
_LOCAL = rb"\b(?P<local>[A-Za-z_]\w*)\s*=\s*(?:[^;?]*\?\s*(?:[^;:]*:\s*)?)?%s%s\s*(?::[^;]*)?;"


def accesses(document: Document, function: Function, program: Program) -> dict[str, Access]:
    """What `function`, defined in `document`, does with each of its parameters that is a tensor or holds one."""
    return {
        parameter.name: program.uses.of_parameter(document, function, place) or Access.UNKNOWN
        for place, parameter in enumerate(function.parameters)
        if re.search(r"\bTensor\b|\bTensorList\b", parameter.type_text) and parameter.name
    }


def returned_parameters(document: Document, function: Function) -> tuple[str, ...]:
    """The tensor parameters that `function` may return: `return x;`, also through a local or as a view of it."""
    if function.body is None:
        return ()
    text = document.code[function.body.start : function.body.end]
    return tuple(
        parameter.name
        for parameter in function.parameters
        if parameter.name
        and parse_type(parameter.type_text).is_tensor
        and _is_returned(text, parameter.name.encode(), 0)
    )


def _is_returned(text: bytes, name: bytes, depth: int) -> bool:
    returned = {match.group("name") for match in _RETURNED.finditer(text)}
    if not returned or name in returned:
        return bool(returned)
    if depth == 2 or name not in _ASSIGNED.findall(text):
        return False
    local = _LOCAL % (re.escape(name), _VIEW)
    return any(
        match.group("local") != name and _is_returned(text, match.group("local"), depth + 1)
        for match in re.finditer(local, text)
    )


def written(found: Iterable[tuple[str, Access]], function: Function) -> frozenset[str]:
    """The parameters to mark as written: those that surely are, and references of which nothing is known.

    An annotation too many costs a copy, and one too few breaks compiled code.
    """
    types = {parameter.name: parameter.type_text for parameter in function.parameters}
    return frozenset(
        name
        for name, access in found
        if access is Access.WRITE
        or (access is Access.UNKNOWN and types[name].rstrip().endswith("&") and "const" not in types[name])
    )
