"""Units that register their own operators: the blocks become stable where they stand."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from torch_stabilize.bindings import codes
from torch_stabilize.bindings.boxing.adapters import adapters_text
from torch_stabilize.bindings.boxing.implementations import Boxed
from torch_stabilize.bindings.constants import constants_of
from torch_stabilize.bindings.keys import EXPLICIT, NO_KEY
from torch_stabilize.bindings.reading.model import Block, BlockKind, Statement, StatementKind
from torch_stabilize.bindings.reading.register_functions import (
    calls_one_of,
    declarations_of,
    idle_pybind,
    whole_functions,
)
from torch_stabilize.bindings.reading.registry import Registry
from torch_stabilize.bindings.reading.statements import python_module, unwrapped
from torch_stabilize.bindings.reading.text import decode, encode, newline_of
from torch_stabilize.bindings.select import Moved, Selection
from torch_stabilize.bindings.writing.blocks import block_order, render_blocks
from torch_stabilize.bindings.writing.items import definition_item, implementation_items
from torch_stabilize.bindings.writing.namespaces import edits_named_by_build
from torch_stabilize.bindings.writing.removal import removal_edits
from torch_stabilize.bindings.writing.style import formatted, style_for
from torch_stabilize.model import Edit, FileEdit, Span
from torch_stabilize.source.document import Document
from torch_stabilize.surface.schema import Schema


def in_place_edits(
    registry: Registry,
    selection: Selection,
    boxed: Mapping[tuple[str, Span], Boxed],
    schemas: Mapping[tuple[str, Span], Schema],
    keys: Mapping[tuple[str, Span], Sequence[str]],
    *,
    tags: Mapping[tuple[str, Span], str],
    has_items: bool = False,
    units: Sequence[str] = (),
) -> list[FileEdit]:
    """Edits of the units, named by their old paths.

    An IMPL block keeps its text: its head and its functions change. Other blocks are written anew, definitions in a
    FRAGMENT and implementations in one IMPL block per key. `has_items` says that there are registrations for the stable
    bindings file too, which makes the library importable then; `units` are those of the group.
    """
    gone = whole_functions(registry, selection)
    constants = frozenset(constants_of(registry, selection))
    made = _InPlace(registry, selection, boxed, schemas, keys, gone, units, constants, tags).edits(has_items)
    return edits_named_by_build(registry.layout, made)


@dataclass(frozen=True)
class _InPlace:
    """What the blocks of units are written with."""

    registry: Registry
    selection: Selection
    boxed: Mapping[tuple[str, Span], Boxed]
    schemas: Mapping[tuple[str, Span], Schema]
    keys: Mapping[tuple[str, Span], Sequence[str]]
    functions: frozenset[str]  # registering ones of which nothing stays
    paths: Sequence[str] = ()  # the units of the group
    constants: frozenset[Statement] = frozenset()  # what the Python side has
    tags: Mapping[tuple[str, Span], str] = field(default_factory=dict)

    def edits(self, has_items: bool) -> list[FileEdit]:
        """What `in_place_edits` says."""
        registry = self.registry
        blocks: dict[tuple[str, Span], list[Moved]] = {}
        for moved in self.selection.moved:
            if moved.in_place:
                block = moved.statement.block
                blocks.setdefault((block.path, block.span), []).append(moved)
        edits: list[FileEdit] = []
        home = None if has_items else _module_home(registry, list(blocks))
        for (path, place), members in blocks.items():
            document = registry.document(path)
            block = members[0].statement.block
            if block.kind is BlockKind.IMPL:
                found = self._edit_impl(document, block, members)
            else:
                found = [self._rewrite(document, block, members, is_home=(path, place) == home)]
            edits += [FileEdit(path, edit) for edit in found]
            adapters = [b.adapter for m in members if (b := self.boxed.get((path, m.statement.span))) and b.adapter]
            if adapters:
                text = formatted(adapters_text(adapters) + "\n", style_for(registry.snapshot, path)) + "\n"
                place = Span(block.span.start, block.span.start)
                edits.append(FileEdit(path, Edit(place, _encoded(document, text), codes.ADAPTER.code)))
        is_there = not registry.layout.is_whole and registry.snapshot.exists(registry.layout.stable_bindings)
        is_made = has_items or home is not None or is_there
        edits += self._empty_modules(set(blocks), is_made=is_made and not registry.layout.is_whole)
        for path in dict.fromkeys(path for path, _ in blocks):
            document = registry.document(path)
            declared = declarations_of(document, self.functions)
            gone = [place for other, place in blocks if other == path and self._goes(path, place)]
            idle = idle_pybind(document, [*gone, *declared])
            edits += [FileEdit(path, edit) for edit in removal_edits(document, [*declared, *idle], codes.MOVED.code)]
        return [*edits, *_module_names(registry, {path for path, _ in blocks})]

    def _empty_modules(self, known: set[tuple[str, Span]], *, is_made: bool) -> list[FileEdit]:
        """Python modules that bind nothing and are there to be imported: they go on being so without pybind11.

        `is_made` says that the stable library is made importable elsewhere.
        """
        found: list[FileEdit] = []
        for path in self.paths:
            document = self.registry.document(path)
            for block in self.registry.bindings[path].blocks if path in self.registry.bindings else ():
                is_module = block.kind is BlockKind.PYBIND and not block.function
                if is_module and (path, block.span) not in known and self._goes(path, block.span):
                    text = b"" if is_made else _encoded(document, _module(self.registry))
                    is_made = not self.registry.layout.is_whole
                    found.append(FileEdit(path, Edit(block.span, text, codes.MOVED.code)))
                    lines = idle_pybind(document, [block.span])
                    found += [FileEdit(path, edit) for edit in removal_edits(document, lines, codes.MOVED.code)]
        return found

    def _goes(self, path: str, place: Span) -> bool:
        """Whether nothing of a Python module's block stays."""
        document = self.registry.document(path)
        moved = {(m.statement.path, m.statement.span) for m in self.selection.moved}
        return all(
            (s.path, s.span) in moved or s in self.constants or is_idle(document, s, self.functions)
            for s in self.registry.bindings[path].statements
            if s.block.span == place
        )

    def _edit_impl(self, document: Document, block: Block, members: list[Moved]) -> list[Edit]:
        brace = document.code.rindex(b")", block.span.start, document.code.index(b"{", block.span.start)) + 1
        chosen = [self.keys.get((block.path, moved.statement.span), ()) for moved in members]
        key = block.key if block.key not in NO_KEY else next((keys[0] for keys in chosen if keys), EXPLICIT)
        head = f"STABLE_TORCH_LIBRARY_IMPL({block.namespace}, {key}, {block.variable})"
        edits = [Edit(Span(block.span.start, brace), head.encode(), codes.MOVED.code)]
        for moved in members:
            function, name = moved.statement.function, decode(document.text(moved.statement.first))
            if (plain := unwrapped(name)) != name:
                edits.append(Edit(moved.statement.first, plain.encode(), codes.MOVED.code))
            if function is not None and (found := self.boxed.get((block.path, moved.statement.span))):
                edits.append(Edit(function.span, f"TORCH_BOX({found.expression})".encode(), codes.MOVED.code))
        return edits

    def _rewrite(self, document: Document, block: Block, members: list[Moved], *, is_home: bool) -> Edit:
        """The block written anew; `is_home`: what makes the library importable is behind it."""
        items = []
        for moved in members:
            statement = moved.statement
            if statement.kind is StatementKind.DEF:
                place = (block.path, statement.span)
                schema, tags = self.schemas.get(place), self.tags.get(place, "")
                items.append(definition_item(document, statement, schema, tags, whole=True))
            if found := self.boxed.get((block.path, statement.span)):
                keys = self.keys[block.path, statement.span]
                items += implementation_items(document, statement, found.expression, keys, found.kernel, whole=True)
        style = style_for(self.registry.snapshot, block.path)
        plain = [replace(item, outer=()) for item in items]
        is_defining = self.registry.layout.is_whole and block.kind is BlockKind.LIBRARY
        texts = render_blocks(block_order(plain), style, defines=is_defining)
        if leftover := self._leftover(document, block, members):
            texts.append(leftover)
        if is_home:
            texts.append(_module(self.registry))
        return Edit(block.span, _encoded(document, "\n\n".join(texts)), codes.MOVED.code)

    def _leftover(self, document: Document, block: Block, members: list[Moved]) -> str:
        """What no stable block can hold stays in a block of its own, for somebody to look at."""
        moved = {m.statement.span for m in members}
        statements = [
            s for s in self.registry.bindings[block.path].statements
            if s.block == block and s.span not in moved and not is_idle(document, s, self.functions)
            and not python_module(document, s)  # said by the draft
            and s not in self.constants
        ]  # fmt: skip
        if not statements:
            return ""
        others = [s.span for s in self.registry.bindings[block.path].statements if s.block == block]
        places = [_own_lines(statement, block, others) for statement in statements]
        lines = "".join(decode(document.text(place)) for place in places).rstrip()
        head = decode(document.data[block.span.start : block.body.start])
        return f"{head}\n{lines}\n}}"


def _own_lines(statement: Statement, block: Block, others: Iterable[Span]) -> Span:
    """The lines of `statement`, less the braces of its block and other statements that share them."""
    own = statement.span
    start = max((block.body.start, statement.lines.start, *(one.end for one in others if one.end <= own.start)))
    end = min((block.body.end, statement.lines.end, *(one.start for one in others if one.start >= own.end)))
    return Span(start, max(start, end))


def _module_home(registry: Registry, blocks: list[tuple[str, Span]]) -> tuple[str, Span] | None:
    """The Python module's block behind which the library is made importable, None where it is already."""
    layout = registry.layout
    name = f"PyInit_{layout.stable_library}".encode()
    stable = [path for path in registry.sources if layout.is_stable(path)]
    is_there = registry.snapshot.exists(layout.stable_bindings) and not layout.is_whole
    if is_there or any(name in registry.snapshot.read(path) for path in stable):
        return None
    known = {(path, block.span): block for path, _ in blocks for block in registry.bindings[path].blocks}
    modules = [place for place in blocks if known[place].kind is BlockKind.PYBIND]
    return min(modules, key=lambda place: bool(known[place].function), default=None)


def _module(registry: Registry) -> str:
    """The function that makes the stable library importable."""
    from torch_stabilize.templates import render

    return render("bindings/module.cpp.jinja", library=registry.layout.stable_library.rpartition(".")[2]).rstrip()


def _module_names(registry: Registry, paths: set[str]) -> list[FileEdit]:
    """`PyInit_<legacy library>` that a unit spells out is that of the stable library from now on."""
    layout = registry.layout
    if layout.is_whole:
        return []
    pattern = re.compile(rb"\bPyInit_" + re.escape(layout.legacy_library.encode()) + rb"\b")
    name = f"PyInit_{layout.stable_library}".encode()
    return [
        FileEdit(path, Edit(Span(*match.span()), name, codes.MOVED.code))
        for path in sorted(paths)
        for match in pattern.finditer(registry.document(path).code)
    ]


def _encoded(document: Document, text: str) -> bytes:
    return encode(text.replace("\n", decode(newline_of(document.data))))


def is_idle(document: Document, statement: Statement, functions: frozenset[str]) -> bool:
    """Whether a statement of a Python module has nothing to say any more: its doc, and calls of what has gone."""
    return is_module_doc(document, statement) or calls_one_of(document, statement, functions)


def is_module_doc(document: Document, statement: Statement) -> bool:
    """`m.doc() = "..."`, which says nothing that the stable library could say."""
    return bool(re.match(rb"\w+\s*\.\s*doc\s*\(\s*\)\s*=", document.text(statement.span)))
