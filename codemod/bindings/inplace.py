"""Units that register their own operators: the blocks become stable where they stand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from codemod.bindings.boxed import Boxed
from codemod.bindings.items import definition_item, implementation_item, stable_key
from codemod.bindings.model import Block, BlockKind, StatementKind
from codemod.bindings.registry import Registry
from codemod.bindings.schema import Schema
from codemod.bindings.select import Moved, Selection
from codemod.bindings.style import style_for
from codemod.bindings.text import decode, encode, newline_of
from codemod.bindings.write import block_order, render_block
from codemod.model import Edit, FileEdit, Span
from codemod.source.document import Document


def in_place_edits(
    registry: Registry,
    selection: Selection,
    boxed: Mapping[tuple[str, Span], Boxed],
    schemas: Mapping[tuple[str, Span], Schema],
) -> list[FileEdit]:
    """Edits of the units, named by their old paths.

    An IMPL block keeps its text: its head and its functions change. Other blocks are written anew, definitions in a
    FRAGMENT and implementations in one IMPL block per key.
    """
    blocks: dict[tuple[str, Span], list[Moved]] = {}
    for moved in selection.moved:
        if moved.in_place:
            block = moved.statement.block
            blocks.setdefault((block.path, block.span), []).append(moved)
    edits: list[FileEdit] = []
    for (path, _), members in blocks.items():
        document = registry.document(path)
        block = members[0].statement.block
        if block.kind is BlockKind.IMPL:
            found = _edit_impl(document, block, members, boxed)
        else:
            found = [_rewrite(registry, document, block, members, boxed, schemas)]
        adapters = [b.adapter.text for m in members if (b := boxed.get((path, m.statement.span))) and b.adapter]
        edits += [FileEdit(path, edit) for edit in found]
        if adapters:
            text = encode("\n\n".join(adapters) + "\n\n")
            edits.append(FileEdit(path, Edit(Span(block.span.start, block.span.start), text, "TSA511")))
    return edits


def _edit_impl(
    document: Document, block: Block, members: list[Moved], boxed: Mapping[tuple[str, Span], Boxed]
) -> list[Edit]:
    brace = document.code.rindex(b")", block.span.start, document.code.index(b"{", block.span.start)) + 1
    head = f"STABLE_TORCH_LIBRARY_IMPL({block.namespace}, {stable_key(block.key)}, {block.variable})"
    edits = [Edit(Span(block.span.start, brace), head.encode(), "TSA500")]
    for moved in members:
        function = moved.statement.function
        if function is not None and (found := boxed.get((block.path, moved.statement.span))):
            edits.append(Edit(function.span, f"TORCH_BOX({found.expression})".encode(), "TSA500"))
    return edits


def _rewrite(
    registry: Registry,
    document: Document,
    block: Block,
    members: list[Moved],
    boxed: Mapping[tuple[str, Span], Boxed],
    schemas: Mapping[tuple[str, Span], Schema],
) -> Edit:
    items = []
    for moved in members:
        statement = moved.statement
        if statement.kind is StatementKind.DEF:
            items.append(definition_item(document, statement, schemas.get((block.path, statement.span)), whole=True))
        if found := boxed.get((block.path, statement.span)):
            items.append(implementation_item(document, statement, found.expression, whole=True))
    style = style_for(registry.snapshot, block.path)
    plain = [replace(item, outer=()) for item in items]
    text = "\n\n".join(render_block(group, style) for group in block_order(plain))
    return Edit(block.span, encode(text.replace("\n", decode(newline_of(document.data)))), "TSA500")
