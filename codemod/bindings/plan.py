"""The bindings of a group, from the legacy library to the stable one, as one Change."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from codemod.bindings import codes
from codemod.bindings.boxed import Boxed, box
from codemod.bindings.boxing import Adapter
from codemod.bindings.declarations import (
    aliases_used,
    find_declarations,
    legacy_edits,
    stable_edits,
    wanted_declarations,
)
from codemod.bindings.infer import infer_schema, type_aliases
from codemod.bindings.inplace import in_place_edits
from codemod.bindings.items import Item, definition_item, implementation_item, stable_key, widened_arguments
from codemod.bindings.model import BlockKind, Operator, Side, Statement, StatementKind
from codemod.bindings.argument_names import argument_names
from codemod.bindings.registry import Registry
from codemod.bindings.removal import removal_edits
from codemod.bindings.schema import Schema
from codemod.bindings.select import Located, Moved, Selection, diagnostic, select
from codemod.bindings.style import formatted, style_for
from codemod.bindings.text import decode, encode, line_end, line_start, newline_of
from codemod.bindings.write import block_order, insert_items, render_block
from codemod.model import Change, Diagnostic, Edit, FileEdit, NewFile, Severity, Span
from codemod.repository.layout import Group, Layout
from codemod.repository.snapshot import Snapshot

_ENDING = re.compile(r"#[ \t]*define[ \t]+(?P<name>\w+)\s*\(\s*\w+\s*\)(?P<body>(?:\\\r?\n|[^\n])*PyInit_(?:\\\r?\n|[^\n])*)")


@dataclass
class Draft:
    """What a run has worked out so far: items for the stable file and its adapters, and what is to be said."""

    items: list[Item] = field(default_factory=list)
    adapters: list[Adapter] = field(default_factory=list)
    boxed: dict[tuple[str, Span], Boxed] = field(default_factory=dict)
    schemas: dict[tuple[str, Span], Schema] = field(default_factory=dict)
    diagnostics: list[Diagnostic] = field(default_factory=list)
    whole: frozenset[Span] = frozenset()  # blocks of which every statement moves


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
    draft = _draft(registry, group, selection)
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
    return Change(
        title, tuple(edits), (), tuple(created), (*selection.diagnostics, *draft.diagnostics, *notes)
    )


def _whole_blocks(registry: Registry, selection: Selection) -> frozenset[Span]:
    going = {(moved.statement.path, moved.statement.span) for moved in selection.moved}
    staying = {s.block.span for s in registry.statements if (s.path, s.span) not in going}
    return frozenset(moved.statement.block.span for moved in selection.moved) - staying


def _draft(registry: Registry, group: Group, selection: Selection) -> Draft:
    draft = Draft(whole=_whole_blocks(registry, selection))
    paths = [*registry.layout.legacy_declarations, *group.units, *group.moving_headers]
    aliases = type_aliases([registry.document(path) for path in paths if registry.snapshot.exists(path)])
    taken: set[str] = set()
    operators = {(o.namespace, o.full_name): o for o in registry.operators if o.side is Side.LEGACY}
    for moved in selection.moved:
        statement = moved.statement
        if statement.kind is StatementKind.DEF:
            _add_definition(registry, draft, moved, operators, selection, aliases)
        if statement.function is not None and (moved.functions or moved.in_place):
            _add_implementation(registry, draft, moved, operators, aliases, taken)
    return draft


def _add_definition(
    registry: Registry,
    draft: Draft,
    moved: Moved,
    operators: Mapping[tuple[str, str], Operator],
    selection: Selection,
    aliases: Mapping[str, str],
) -> None:
    statement = moved.statement
    document = registry.document(statement.path)
    schema: Schema | None = None
    if statement.schema is None:
        schema = _inferred(registry, draft, moved, operators, selection, aliases)
        if schema is None:
            return
        draft.schemas[statement.path, statement.span] = schema
    if statement.tags:
        draft.diagnostics.append(
            diagnostic(
                codes.TAGS, statement.path, statement.span, f"{statement.full_name} loses its tags {statement.tags}",
                advice="define them from Python with torch.library.Library.define(..., tags=...)",
            )
        )  # fmt: skip
    for kind in widened_arguments(statement):
        draft.diagnostics.append(
            diagnostic(
                codes.WIDENED_SCHEMA, statement.path, statement.first,
                f"{statement.full_name}: `{kind}` is now a list, which the stable boxing can pass",
                severity=Severity.NOTE,
            )
        )  # fmt: skip
    if not moved.in_place:
        draft.items.append(definition_item(document, statement, schema, whole=statement.block.span in draft.whole))


def _inferred(
    registry: Registry,
    draft: Draft,
    moved: Moved,
    operators: Mapping[tuple[str, str], Operator],
    selection: Selection,
    aliases: Mapping[str, str],
) -> Schema | None:
    """The schema of a `def("name", &fn)`, from the function it registers."""
    statement = moved.statement
    functions: tuple[Located, ...] = next(
        (m.functions for m in selection.moved if m.statement is statement and m.functions), ()
    )
    if not functions:
        operator = operators.get((statement.namespace, statement.full_name))
        names = operator.implementations if operator else ()
        functions = next((m.functions for m in selection.moved if m.statement in names and m.functions), ())
    schema, reason = None, "the function it registers was not found"
    if functions:
        defaults = _declared_defaults(registry, functions[0])
        schema, reason = infer_schema(
            statement.name, statement.overload, functions[0].function, aliases,
            defaults=defaults, python_arguments=statement.arguments or argument_names(
                registry, selection, statement, functions[0].function, operators
            ),
        )  # fmt: skip
    if schema is None:
        draft.diagnostics.append(
            diagnostic(
                codes.NO_SCHEMA, statement.path, statement.span, f"{statement.full_name}: {reason}",
                severity=Severity.ERROR, advice="write the schema: m.def(\"name(Tensor x) -> Tensor\")",
            )
        )  # fmt: skip
        return None
    draft.diagnostics.append(
        diagnostic(
            codes.INFERRED_SCHEMA, statement.path, statement.span, f"inferred `{schema}`", severity=Severity.NOTE,
            advice="check names, defaults and what is written to",
        )
    )  # fmt: skip
    return schema


def _declared_defaults(registry: Registry, located: Located) -> dict[str, str]:
    """Defaults that only the declaration has, by the definition's parameter names."""
    found: dict[str, str] = {}
    for declarations in find_declarations(registry, [located]).values():
        for declaration in declarations:
            pairs = zip(located.function.parameters, declaration.function.parameters, strict=False)
            found |= {defined.name: declared.default for defined, declared in pairs if declared.default}
    return found


def _add_implementation(
    registry: Registry,
    draft: Draft,
    moved: Moved,
    operators: Mapping[tuple[str, str], Operator],
    aliases: Mapping[str, str],
    taken: set[str],
) -> None:
    statement = moved.statement
    if statement.key == "Meta":
        draft.diagnostics.append(
            diagnostic(codes.META_KERNEL, statement.path, statement.span, f"{statement.full_name} has a C++ meta kernel")
        )
    operator = operators.get((statement.namespace, statement.full_name))
    schema = next((d.schema for d in operator.definitions if d.schema), None) if operator else None
    result = box(moved, aliases, taken, schema)
    draft.boxed[statement.path, statement.span] = result
    draft.diagnostics += result.diagnostics
    if result.adapter is not None:
        draft.adapters.append(result.adapter)
    if stable_key(statement.key) != statement.key:
        draft.diagnostics.append(
            diagnostic(
                codes.COMPOSITE_KEY, statement.path, statement.span,
                f"{statement.full_name} had no dispatch key and gets {stable_key(statement.key)}", severity=Severity.NOTE,
            )
        )  # fmt: skip
    if not moved.in_place:
        draft.items.append(
            implementation_item(
                registry.document(statement.path), statement, result.expression,
                whole=statement.block.span in draft.whole,
            )
        )  # fmt: skip


def _legacy_removals(registry: Registry, selection: Selection) -> list[FileEdit]:
    spans: dict[str, list[Span]] = {}
    for moved in selection.moved:
        if not moved.in_place:
            spans.setdefault(moved.statement.path, []).append(moved.statement.lines)
    edits = []
    for path, found in spans.items():
        blocks = [block for block in registry.bindings[path].blocks if block.kind is not BlockKind.PYBIND]
        edits += [
            FileEdit(path, edit)
            for edit in removal_edits(registry.document(path), found, codes.MOVED.code, blocks)
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


def _called_elsewhere(
    registry: Registry, group: Group, located: Located, declarations: Mapping[str, object]
) -> bool:
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
        bindings = registry.bindings.get(path)
        if bindings is None or not draft.items:
            from codemod.bindings.model import Bindings

            bindings = bindings or Bindings(path)
        ending = _ending(registry)[0]
        edits = [*insert_items(document, bindings, draft.items, style, ending)]
        if adapters:
            first = bindings.blocks[0].span.start if bindings.blocks else len(document.data)
            place = _above_comments(document.data, first)
            text = encode(f"{adapters}\n\n".replace("\n", decode(newline_of(document.data))))
            edits.append(Edit(Span(place, place), text, codes.ADAPTER.code))
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


__all__ = ["Draft", "Statement", "line_end", "plan_bindings"]
