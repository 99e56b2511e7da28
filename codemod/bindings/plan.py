"""The bindings of a group, from the legacy library to the stable one, as one Change."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping

from codemod.bindings import codes
from codemod.bindings.declarations import (
    aliases_used,
    find_declarations,
    legacy_edits,
    stable_edits,
    standard_headers,
    wanted_declarations,
)
from codemod.bindings.draft import Draft, make_draft
from codemod.bindings.inplace import in_place_edits
from codemod.bindings.model import Bindings, BlockKind
from codemod.bindings.registry import Registry
from codemod.bindings.removal import removal_edits
from codemod.bindings.select import Located, Selection, select
from codemod.bindings.style import formatted, style_for
from codemod.bindings.text import decode, encode, line_start, newline_of
from codemod.bindings.write import block_order, insert_items, render_block
from codemod.model import Change, Edit, FileEdit, NewFile, Span
from codemod.repository.layout import Group, Layout
from codemod.repository.snapshot import Snapshot
from codemod.source.conditions import read_directives
from codemod.source.document import Document

_ENDING = re.compile(
    r"#[ \t]*define[ \t]+(?P<name>\w+)\s*\(\s*\w+\s*\)(?P<body>(?:\\\r?\n|[^\n])*PyInit_(?:\\\r?\n|[^\n])*)"
)


def plan_bindings(
    snapshot: Snapshot,
    layout: Layout,
    group: Group,
    *,
    target: str,
    definitions: Mapping[str, str] | None = None,
) -> Change:
    """Everything that registering the units of `group` with the stable library takes.

    Legacy registrations and declarations go, stable ones come, units that register themselves are edited in place.
    `target` is the oldest torch that has to run the result, `definitions` are macros of the legacy build.
    """
    registry = Registry(snapshot, layout, definitions or {})
    selection = select(registry, group)
    title = f"Register {group.name} with the stable library"
    if not selection.moved:
        return Change(title, diagnostics=selection.diagnostics)
    draft = make_draft(registry, group, selection)
    edits: list[FileEdit] = []
    created: list[NewFile] = []
    edits += _legacy_removals(registry, selection)
    edits += in_place_edits(registry, selection, draft.boxed, draft.schemas)
    declarations = find_declarations(registry, selection.functions)
    gone, notes = legacy_edits(registry, group, selection, declarations)
    edits += gone
    wanted = wanted_declarations(registry, _to_declare(registry, group, selection, declarations), declarations)
    changed, new = stable_edits(
        registry, wanted, aliases_used(registry, wanted, declarations), style_for(snapshot, layout.stable_declarations)
    )
    edits += changed
    created += new
    changed, new = _stable_file(registry, draft)
    edits += changed
    created += new
    return Change(title, tuple(edits), (), tuple(created), (*selection.diagnostics, *draft.diagnostics, *notes))


def _legacy_removals(registry: Registry, selection: Selection) -> list[FileEdit]:
    spans: dict[str, list[Span]] = {}
    for moved in selection.moved:
        if not moved.in_place:
            spans.setdefault(moved.statement.path, []).append(moved.statement.lines)
    edits = []
    for path, found in spans.items():
        blocks = [block for block in registry.bindings[path].blocks if block.kind is not BlockKind.PYBIND]
        edits += [
            FileEdit(path, edit) for edit in removal_edits(registry.document(path), found, codes.MOVED.code, blocks)
        ]
    return edits


def _to_declare(
    registry: Registry, group: Group, selection: Selection, declarations: Mapping[str, object]
) -> list[Located]:
    """Functions that the stable bindings file names, or that another moved unit calls through the header."""
    named: dict[tuple[str, str], Located] = {}
    for moved in selection.moved:
        for located in moved.functions:
            if not moved.in_place or _called_elsewhere(registry, group, located, declarations):
                named.setdefault((located.function.qualified, located.path), located)
    return list(named.values())


def _called_elsewhere(registry: Registry, group: Group, located: Located, declarations: Mapping[str, object]) -> bool:
    if located.function.qualified not in declarations:
        return False
    pattern = re.compile(rb"(?<![\w.>])" + re.escape(located.function.name.encode()) + rb"\s*\(")
    return any(
        pattern.search(registry.document(path).code)
        for path in (*group.units, *group.moving_headers)
        if path != located.path and registry.snapshot.exists(path)
    )


def _stable_file(registry: Registry, draft: Draft) -> tuple[list[FileEdit], list[NewFile]]:
    layout, snapshot = registry.layout, registry.snapshot
    path = layout.stable_bindings
    style = style_for(snapshot, path)
    adapters = formatted("\n\n".join(a.text for a in draft.adapters) + "\n", style).rstrip() if draft.adapters else ""
    if snapshot.exists(path):
        document = registry.document(path)
        bindings = registry.bindings.get(path, Bindings(path))
        ending = _ending(registry)[0]
        edits = [*insert_items(document, bindings, draft.items, style, ending)]
        if adapters:
            first = bindings.blocks[0].span.start if bindings.blocks else len(document.data)
            place = _above_comments(document.data, first)
            block = encode(f"{adapters}\n\n".replace("\n", decode(newline_of(document.data))))
            edits.append(Edit(Span(place, place), block, codes.ADAPTER.code))
            edits += _missing_includes(document, adapters)
        return [FileEdit(path, edit) for edit in edits], []
    if not draft.items:
        return [], []
    from codemod.templates import render

    macro, header = _ending(registry)
    blocks = "\n\n".join(render_block(items, style) for items in block_order(draft.items))
    includes = [f'"{posixpath.basename(layout.stable_declarations)}"', *([header] if header else [])]
    text = render(
        "bindings/torch_bindings.cpp.jinja",
        includes=includes, registration=macro, library=layout.stable_library, adapters=adapters, blocks=blocks,
    )  # fmt: skip
    return [], [NewFile(path, encode(text), "bindings/torch_bindings.cpp.jinja")]


def _missing_includes(document: Document, text: str) -> list[Edit]:
    """The standard headers that generated text needs and the file does not include, behind its last include."""
    includes = [directive for directive in read_directives(document) if directive.kind == "include"]
    there = {directive.argument.strip('<>"') for directive in includes}
    # the library's own header brings these along
    missing = [name for name in standard_headers(text) if name not in there and name in ("algorithm", "array")]
    if not missing:
        return []
    place = includes[-1].span.end if includes else 0
    lines = "".join(f"#include <{name}>\n" for name in missing)
    return [
        Edit(Span(place, place), encode(lines.replace("\n", decode(newline_of(document.data)))), codes.ADAPTER.code)
    ]


def _above_comments(data: bytes, offset: int) -> int:
    place = line_start(data, offset)
    while place:
        above = line_start(data, place - 1)
        if not data[above:place].lstrip().startswith((b"//", b"#if")):
            break
        place = above
    return place


def _ending(registry: Registry) -> tuple[str, str]:
    """The macro that makes the library importable and the include of its header, where the repository has one."""
    layout = registry.layout
    for path in registry.sources:
        if not path.endswith((".h", ".hpp")) or b"PyInit_" not in registry.snapshot.read(path):
            continue
        text = decode(registry.document(path).data)
        match = _ENDING.search(text)
        if match and not re.search(r'#\s*include\s*[<"](?:torch|ATen|c10)/(?!headeronly|csrc/stable)', text):
            return match["name"], _include_of(layout, path)
    return "", ""


def _include_of(layout: Layout, header: str) -> str:
    """How the stable bindings file includes `header`."""
    for root in layout.include_roots:
        if not root or header.startswith(root + "/"):
            return f'"{header[len(root) + 1 :] if root else header}"'
    return f'"{posixpath.relpath(header, posixpath.dirname(layout.stable_bindings))}"'
