"""The include lines of a file of which some go and others come, sorted into those that are there."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from torch_stabilize.model import Edit, Span
from torch_stabilize.rules.include_block import REPLACED, IncludeLine, read_include_lines
from torch_stabilize.rules.includes import IncludeWish, write_includes
from torch_stabilize.rules.needed_headers import not_covered
from torch_stabilize.source.document import Document


def exchanged(document: Document, dropped: Collection[str], wanted: Iterable[str]) -> tuple[Edit, ...]:
    """Edits that take out the includes of `dropped` and add `wanted` system headers where they are missing."""
    lines = read_include_lines(document)
    staying = [line for line in lines if not line.conditions and line.name not in dropped]
    missing = not_covered(wanted, {line.name for line in staying})
    placed = {name: place for name in missing if (place := _place(name, staying)) is not None}
    texts: dict[int, bytes] = {}
    for name in sorted(placed):
        texts[placed[name]] = texts.get(placed[name], b"") + f"#include <{name}>\n".encode()
    edits = [Edit(Span(place, place), text, REPLACED) for place, text in texts.items()]
    rest = IncludeWish(frozenset(name for name in missing if name not in placed))
    other, _ = write_includes(
        document, (), rest, lambda name, quoted: "" if name in dropped else None, lambda word: True
    )
    return (*edits, *other)


def _place(name: str, lines: Iterable[IncludeLine]) -> int | None:
    """Where a header is included among those of its kind, which are sorted; None where there are none."""
    kind = [line for line in lines if not line.quoted and line.name.startswith("torch/") == name.startswith("torch/")]
    if not kind:
        return None
    behind = [line for line in kind if line.name < name]
    return behind[-1].span.end if behind else kind[0].span.start
