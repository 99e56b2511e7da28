"""Function declarations in preprocessed text: one that nobody uses can go without the compiler noticing.

A migration takes declarations out of headers that legacy units share. A unit that never names such a function becomes
the same object without its declaration.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from torch_stabilize.model import Span

_PIECE = re.compile(r""""(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|[;{}]""")
_SCOPE = re.compile(r'(?:inline )?namespace(?: [\w:]+)?|extern "C"')  # its braces hold declarations
_DECLARATION = re.compile(r"(?P<type>[\w:<>,&* ]*[&* ])(?P<name>[A-Za-z_]\w*) ?\((?P<parameters>[^;{}]*)\)")
_NO_DECLARATION = re.compile(r"(?:extern )?template (?!<)|(?:using|typedef|return|throw|new|delete|goto|friend)\b")
_PARAMETER = re.compile(r"(?:const )?[A-Za-z_][\w:]*(?: ?<.*>[\w:]*)? ?[&* ].*|\.\.\.")
_BUILT_IN = frozenset(
    ["void", "bool", "char", "short", "int", "long", "float", "double", "int64_t", "int32_t", "size_t"]
)
_WORD = re.compile(r"[A-Za-z_]\w*")


@dataclass(frozen=True)
class Declaration:
    """A function declared in a namespace, with the span of its text, semicolon included."""

    name: str
    span: Span


def read_declarations(text: str) -> Iterator[Declaration]:
    """The function declarations in namespaces. What might be a variable or an instantiation is left out."""
    start = 0
    bodies = 0  # braces open that hold no declarations
    for match in _PIECE.finditer(text):
        piece = match.group()
        if piece == "{":
            scope = text[start : match.start()].strip()
            if bodies or not _SCOPE.fullmatch(scope):
                bodies += 1
            else:
                start = match.end()
        elif piece == "}":
            bodies = max(0, bodies - 1)
            if not bodies:
                start = match.end()
        elif piece == ";" and not bodies:
            found = _declared(text[start : match.start()])
            if found:
                yield Declaration(found, Span(start, match.end()))
            start = match.end()


def without_unused(text: str, other: str) -> str:
    """`text` less its declarations of functions that it uses nowhere and that `other` does not name."""
    named = Counter(_WORD.findall(text))
    kept = set(_WORD.findall(other))
    lost = [found for found in read_declarations(text) if found.name not in kept]
    declared = Counter(found.name for found in lost)
    pieces: list[str] = []
    done = 0
    for found in lost:
        if declared[found.name] == named[found.name]:
            pieces.append(text[done : found.span.start])
            done = found.span.end
    return "".join([*pieces, text[done:]]).strip()


def _declared(statement: str) -> str:
    """The name of the function that a statement declares, "" where it may be something else."""
    match = _DECLARATION.fullmatch(statement.strip())
    if match is None or _NO_DECLARATION.match(statement.strip()):
        return ""
    parameters = [one.strip() for one in re.split(r",(?![^<]*>)", match["parameters"]) if one.strip()]
    fine = all(one in _BUILT_IN or _PARAMETER.fullmatch(one) for one in parameters)
    return match["name"] if fine else ""
