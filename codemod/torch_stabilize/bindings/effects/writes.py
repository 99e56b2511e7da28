"""Which of its tensors a function writes to, as far as its text and that of the kernels it calls tell.

Nothing here guesses: an access that is neither surely a read nor surely a write is unknown.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from torch_stabilize.bindings.effects.program import Program
from torch_stabilize.source.document import Document
from torch_stabilize.source.signatures import Function
from torch_stabilize.source.types import parse_type
from torch_stabilize.source.uses import Access


def accesses(document: Document, function: Function, program: Program) -> dict[str, Access]:
    """What `function`, defined in `document`, does with each of its parameters that is a tensor or holds one."""
    return {
        parameter.name: program.uses.of_parameter(document, function, place) or Access.UNKNOWN
        for place, parameter in enumerate(function.parameters)
        if re.search(r"\bTensor\b|\bTensorList\b", parameter.type_text) and parameter.name
    }


def written(found: Iterable[tuple[str, Access]], function: Function) -> frozenset[str]:
    """The parameters to mark as written: those that surely are, and references of which nothing is known.

    An annotation too many costs a copy, and one too few breaks compiled code.
    """
    types = {parameter.name: parameter.type_text for parameter in function.parameters}
    return frozenset(
        name
        for name, access in found
        if access is Access.WRITE
        or (access is Access.UNKNOWN and parse_type(types[name]).reference and not parse_type(types[name]).const)
    )
