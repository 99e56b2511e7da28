"""Stable registrations as text: whole blocks, and items put into the blocks that a file has already."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

from torch_stabilize.bindings.keys import EXPLICIT, IMPLICIT
from torch_stabilize.bindings.reading.model import Bindings, Block, Side
from torch_stabilize.bindings.reading.text import decode, encode, newline_of
from torch_stabilize.bindings.writing.items import Item
from torch_stabilize.bindings.writing.style import Braced, formatted_together
from torch_stabilize.model import Edit, Span
from torch_stabilize.source.conditions import canonical, read_conditionals
from torch_stabilize.source.document import Document
from torch_stabilize.source.spans import line_end, line_start


class Insertion(NamedTuple):
    """Text to be added at a place of a file; texts of one place are joined in their order."""

    offset: int
    text: str


class _Planned(NamedTuple):
    """An insertion that is not formatted yet: a block under `conditions`, or only its body where they are None."""

    offset: int
    braced: Braced
    before: str
    after: str
    conditions: Sequence[str] | None = None

    def insertion(self, done: Braced) -> Insertion:
        """It with the formatted block."""
        text = done.body if self.conditions is None else _wrapped(done.text, self.conditions)
        return Insertion(self.offset, f"{self.before}{text}{self.after}")


def block_order(items: Sequence[Item]) -> list[list[Item]]:
    """The items of each block to be: per namespace its definitions, then CUDA, the other keys, the composite one."""
    groups: dict[tuple[str, str, tuple[str, ...]], list[Item]] = {}
    for item in items:
        outer = tuple(canonical(condition) for condition in item.outer)
        groups.setdefault((item.namespace, item.key, outer), []).append(item)
    namespaces = list(dict.fromkeys(item.namespace for item in items))
    rank = {"": 0, "CUDA": 1, IMPLICIT: 3, EXPLICIT: 4}
    keys = sorted(groups, key=lambda key: (namespaces.index(key[0]), rank.get(key[1], 2)))
    return [groups[key] for key in keys]


def render_blocks(groups: Sequence[Sequence[Item]], style: bytes, *, defines: bool = False) -> list[str]:
    """A new block for each of `groups`, all of one namespace, key and outer conditions, those conditions around it.

    `defines` says that the block of definitions is the one that defines its library, and no fragment.
    """
    done = formatted_together([_block_of(items, defines=defines) for items in groups], style)
    return [_wrapped(block.text, items[0].outer) for block, items in zip(done, groups, strict=True)]


def _block_of(items: Sequence[Item], *, defines: bool = False) -> Braced:
    first = items[0]
    defining = "STABLE_TORCH_LIBRARY" if defines else "STABLE_TORCH_LIBRARY_FRAGMENT"
    macro = "STABLE_TORCH_LIBRARY_IMPL" if first.key else defining
    arguments = [first.namespace, *([first.key] if first.key else []), first.variable]
    return Braced(f"{macro}({', '.join(arguments)}) {{", "\n".join(render_items(items, first.variable)))


def _wrapped(text: str, conditions: Sequence[str]) -> str:
    for condition in reversed(conditions):
        text = f"{condition}\n{text}\n#endif"
    return text


def render_items(items: Sequence[Item], variable: str, skip: int = 0) -> list[str]:
    """Lines of a block's body; runs of one condition share an `#if`. The first `skip` conditions hold already."""
    lines: list[str] = []
    for conditions, run in itertools.groupby(items, key=lambda item: _remaining(item, skip)):
        if lines and (conditions or lines[-1] == "#endif"):
            lines.append("")
        lines += conditions
        before: Item | None = None
        for item in run:
            if before is not None and (item.heading or (not item.follows(before) and _is_apart(item, before))):
                lines.append("")
            lines += item.lines(variable)
            before = item
        lines += ["#endif"] * len(conditions)
    return lines


def _is_apart(item: Item, before: Item) -> bool:
    """Definitions are set apart as they were in the source; implementations stand in one list."""
    return not item.key or bool(item.comments or before.trailing or item.blank_before)


def _remaining(item: Item, skip: int) -> tuple[str, ...]:
    """The conditions of an item that its block does not stand under."""
    return (*item.outer, *item.inner)[skip:] if skip >= 0 else item.inner


def insert_items(
    document: Document, bindings: Bindings, items: Sequence[Item], style: bytes, ending: str
) -> tuple[Edit, ...]:
    """Edits that put `items` into a stable bindings file: into its blocks where it has the right ones.

    `ending` is the macro that ends the file (`REGISTER_EXTENSION`): new blocks stand before it.
    """
    planned: list[_Planned] = []
    homeless: list[Item] = []
    by_block: dict[Span, tuple[Block, list[Item]]] = {}
    for item in items:
        block = _home(bindings, item)
        if block is None:
            homeless.append(item)
        else:
            by_block.setdefault(block.span, (block, []))[1].append(item)
    for block, found in by_block.values():
        planned += _into_block(document, bindings, block, found)
    planned += [_new_block(document, bindings, group, ending) for group in block_order(homeless)]
    done = formatted_together([one.braced for one in planned], style)
    return edits_of(document, [one.insertion(text) for one, text in zip(planned, done, strict=True)])


def edits_of(document: Document, insertions: Sequence[Insertion]) -> tuple[Edit, ...]:
    """One edit for each place, with the line ends of the file."""
    newline = decode(newline_of(document.data))
    places: dict[int, list[str]] = {}
    for insertion in insertions:
        places.setdefault(insertion.offset, []).append(insertion.text)
    return tuple(
        Edit(Span(offset, offset), encode("".join(texts).replace("\n", newline)), "TSA500")
        for offset, texts in sorted(places.items())
    )


def _home(bindings: Bindings, item: Item) -> Block | None:
    """The block that takes `item`: right namespace and key, under no condition that the item is not under."""
    best: Block | None = None
    for block in bindings.blocks:
        conditions = tuple(canonical(condition) for condition in block.conditions)
        fits = block.side is Side.STABLE and block.namespace == item.namespace and block.key == item.key
        deeper = best is None or len(block.conditions) > len(best.conditions)
        if fits and deeper and item.conditions[: len(conditions)] == conditions:
            best = block
    return best


def _into_block(document: Document, bindings: Bindings, block: Block, items: list[Item]) -> list[_Planned]:
    skip = len(block.conditions)
    inside = [s for s in bindings.statements if s.block == block]
    head = f"STABLE_TORCH_LIBRARY_FRAGMENT(n, {block.variable}) {{"
    regions: dict[int, list[Item]] = {}
    loose: list[Item] = []
    for item in items:
        wanted = item.conditions[skip:]
        anchors = [s for s in inside if wanted and tuple(map(canonical, s.inner_conditions)) == wanted]
        if anchors:
            regions.setdefault(anchors[-1].lines.end, []).append(item)
        else:
            loose.append(item)
    found = []
    for offset, members in regions.items():
        lines = render_items(members, block.variable, skip + len(members[0].conditions[skip:]))
        found.append(_Planned(offset, Braced(head, "\n".join(lines)), "\n", "\n"))
    if loose:
        braced = Braced(head, "\n".join(render_items(loose, block.variable, skip)))
        offset = line_start(document.data, block.body.end)
        gap = "\n" if inside else ""
        if block.body.start > offset:  # `{}` on one line
            found.append(_Planned(block.body.end, braced, "\n", "\n"))
        else:
            found.append(_Planned(offset, braced, gap, "\n"))
    return found


def _new_block(document: Document, bindings: Bindings, items: list[Item], ending: str) -> _Planned:
    """A block for which the file has none: behind the last one of its namespace, else before the file's end."""
    braced, outer = _block_of(items), items[0].outer
    last = [block for block in bindings.blocks if block.namespace == items[0].namespace and items[0].key]
    if items[0].key not in (EXPLICIT, IMPLICIT):  # composite blocks stay the last ones
        last = [block for block in last if block.key not in (EXPLICIT, IMPLICIT)] or last
    if last:
        return _Planned(_behind(document, last[-1]), braced, "\n", "\n", outer)
    place = document.code.find(ending.encode()) if ending else -1
    if place < 0:
        gap = "" if document.data.endswith(b"\n") else "\n"
        return _Planned(len(document.data), braced, f"{gap}\n", "\n", outer)
    return _Planned(line_start(document.data, place), braced, "", "\n\n", outer)


def _behind(document: Document, block: Block) -> int:
    """The line behind `block` and the conditionals that hold nothing but it."""
    end = block.span.end
    for conditional in reversed(read_conditionals(document)):
        if not conditional.is_guard and conditional.span.start < block.span.start and end < conditional.span.end:
            end = conditional.span.end - 1
    return line_end(document.data, end)
