"""Write CMake: conditions as a maintainer writes them, and stretches of a file with some of its words replaced."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch_stabilize.buildfiles.cmake.syntax import CMakeFile
from torch_stabilize.model import Span


def condition_text(conditions: Sequence[str]) -> str:
    """One condition out of several."""
    parts = [condition.replace("( ", "(").replace(" )", ")") for condition in conditions]
    if len(parts) > 1:
        parts = [f"({part})" if " OR " in part and not part.startswith("NOT (") else part for part in parts]
    return " AND ".join(parts)


def wrap(conditions: Sequence[str], body: str, indent: str, step: str = "  ") -> str:
    """`body`, written at `indent`, inside an `if`; as it is where there is no condition."""
    if not conditions:
        return body
    inner = "".join(f"{step}{line}" if line.strip() else line for line in body.splitlines(keepends=True))
    return f"{indent}if({condition_text(conditions)})\n{inner}{indent}endif()\n"


def call(name: str, head: Sequence[str], items: Sequence[str], indent: str, step: str = "  ") -> str:
    """A call with `items` on lines of their own."""
    lines = "".join(f"\n{indent}{step}{item}" for item in items)
    return f"{indent}{name}({' '.join(head)}{lines})\n"


def rendered(file: CMakeFile, span: Span, replacements: Mapping[Span, str]) -> str:
    """The text of `span` with some stretches replaced, with plain line ends."""
    pieces = []
    done = span.start
    for place, text in sorted(replacements.items()):
        if span.contains(place):
            pieces += [file.text(Span(done, place.start)), text]
            done = place.end
    pieces.append(file.text(Span(done, span.end)))
    return "".join(pieces).replace("\r\n", "\n")
