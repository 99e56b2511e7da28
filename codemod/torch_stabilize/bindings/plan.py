"""The bindings of a group, from the legacy library to the stable one, as one Change."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from torch_stabilize.bindings import codes
from torch_stabilize.bindings.autograd.convert import Backward
from torch_stabilize.bindings.boxing.widening import widened_declaration
from torch_stabilize.bindings.callables import callables_of
from torch_stabilize.bindings.draft import make_draft
from torch_stabilize.bindings.python_side import opaque_callers, python_side
from torch_stabilize.bindings.reading.lambdas import StableLambda
from torch_stabilize.bindings.reading.model import BlockKind, Statement
from torch_stabilize.bindings.reading.namespaces import package_of_module
from torch_stabilize.bindings.reading.register_functions import calls_one_of, declarations_of, whole_functions
from torch_stabilize.bindings.reading.registry import Registry
from torch_stabilize.bindings.schemas.finder import Writers
from torch_stabilize.bindings.select import Located, Selection, defined_functions, select
from torch_stabilize.bindings.writing.chains import chain_removal
from torch_stabilize.bindings.writing.computed import computed_names
from torch_stabilize.bindings.writing.dropped_includes import dropped_includes
from torch_stabilize.bindings.writing.inplace import in_place_edits
from torch_stabilize.bindings.writing.legacy_declarations import find_declarations, legacy_edits
from torch_stabilize.bindings.writing.removal import removal_edits
from torch_stabilize.bindings.writing.stable_declarations import (
    aliases_used,
    declaring_header,
    headers_of_types,
    stable_edits,
    wanted_declarations,
)
from torch_stabilize.bindings.writing.stable_file import stable_file
from torch_stabilize.bindings.writing.style import style_for
from torch_stabilize.bindings.writing.translate import spelled_out
from torch_stabilize.model import Change, Edit, FileEdit, NamedCallable, NewFile, Refusal, Span
from torch_stabilize.repository.layout import Group
from torch_stabilize.source.conditions import conditions_at
from torch_stabilize.source.document import Document
from torch_stabilize.source.function_index import FunctionIndex
from torch_stabilize.source.patterns import word_start
from torch_stabilize.source.signatures import read_signatures
from torch_stabilize.source.spans import line_end, line_start

_INITS = (b"PyInit_", b"PYBIND11_MODULE", b"REGISTER_EXTENSION")


@dataclass(frozen=True)
class BindingsChange(Change):
    """The change, and the operators that functions of a Python module became: {"fwd": "namespace::fwd"}.

    `bound_by` has the full name of the module that each of them was in. `callables` names everything that moves, before
    and after. `python_module` is what Python imports in place of the library, "" for the library itself.
    """

    python_functions: Mapping[str, str] = field(default_factory=dict)
    python_module: str = ""
    callables: tuple[NamedCallable, ...] = ()
    bound_by: Mapping[str, str] = field(default_factory=dict)


def plan_bindings(
    registry: Registry,
    group: Group,
    *,
    target: str,
    lambdas: Mapping[tuple[str, Span], StableLambda] | None = None,
    backwards: tuple[Backward, ...] = (),
) -> BindingsChange:
    """Everything that registering the units of `group` with the stable library takes.

    Legacy registrations and declarations go, stable ones come, units that register themselves are edited in place.
    `target` is the oldest torch that has to run the result, `lambdas` what registered lambdas are in stable form, by
    path and span, `backwards` what Python registers for operators that had an autograd function.
    """
    snapshot, layout = registry.snapshot, registry.layout
    selection = select(registry, group)
    title = f"Register {group.name} with the stable library"
    _refuse_several_modules(group, selection)
    differentiable = frozenset(backward.operator for backward in backwards)
    writers = writers_of(backwards)
    draft = make_draft(registry, group, selection, target, lambdas or {}, differentiable, writers=writers)
    if opaque := opaque_callers(draft, backwards):
        draft = make_draft(registry, group, selection, target, lambdas or {}, differentiable, opaque, writers)
    if not selection.moved:  # what the units register besides operators has to be spoken of all the same
        return BindingsChange(title, diagnostics=(*selection.diagnostics, *draft.diagnostics))
    edits: list[FileEdit] = []
    created: list[NewFile] = []
    edits += [*_legacy_removals(registry, group, selection), *draft.widening.edits.values()]
    in_place = in_place_edits(
        registry,
        selection,
        draft.boxed,
        draft.schemas,
        draft.keys,
        tags=draft.native_tags,
        has_items=bool(draft.items),
        units=group.units,
    )
    edits += computed_names(registry, in_place)
    ours = _helpers(registry, group, selection)
    declarations = find_declarations(registry, (*selection.functions, *ours), group)
    gone, notes = legacy_edits(registry, group, selection, declarations)
    edits += gone
    declarations |= {
        name: [widened_declaration(registry.document(one.path), one) for one in declarations[name]]
        for name in draft.widening.names & declarations.keys()
    }
    named = [*_to_declare(registry, group, selection, declarations), *ours]
    declaring = [(found, declaring_header(registry, found, group)) for found in named]
    undeclared = [found for found, header in declaring if not header]
    wanted = wanted_declarations(registry, undeclared, declarations)
    wanted = [one._replace(text=spelled_out(one.text, draft.visible)) for one in wanted]
    changed, new = stable_edits(
        registry,
        wanted,
        aliases_used(registry, wanted, declarations),
        style_for(snapshot, layout.stable_declarations),
        headers_of_types(registry, wanted, group),
    )
    edits += changed
    created += new
    neutral = sorted(
        {d.path for found in declarations.values() for d in found if d.path in registry.neutral_declarations}
    )
    has_stable = bool(new) or snapshot.exists(layout.stable_declarations)
    headers = [
        *([layout.stable_declarations] if has_stable else []),
        *sorted({header for _, header in declaring if header}),
        *neutral,
    ]
    headers += sorted({header for one in draft.moved_lambdas for header in one.own} - set(headers))
    system = frozenset(header for one in draft.moved_lambdas for header in one.system)
    changed, new = stable_file(registry, draft.items, draft.adapters, headers, system)
    edits += changed
    created += new
    python = python_side(draft, backwards, is_module=_is_module(registry, group, edits, created))
    edits += python.edits
    created += python.created
    said = (*selection.diagnostics, *draft.diagnostics, *notes, *python.diagnostics)
    callables = callables_of(registry, selection.moved, draft.schemas)
    functions, modules = _python_functions(selection), _bound_by(registry, selection)
    return BindingsChange(title, tuple(edits), (), tuple(created), said, functions, python.name, callables, modules)


def writers_of(backwards: Iterable[Backward]) -> Writers:
    """What functions write to through the operators of `backwards`, by function."""
    found: dict[str, frozenset[str] | None] = {}
    for one in backwards:
        if one.caller:
            before = found.get(one.caller, frozenset())
            found[one.caller] = None if before is None or one.written is None else before | one.written
    return found


def _is_module(registry: Registry, group: Group, edits: Iterable[FileEdit], created: Iterable[NewFile]) -> bool:
    """Whether Python can import the stable library: it has an init function, or gets one.

    What is there for Windows alone, whose linker wants one, initialises nothing.
    """
    texts = [*(one.edit.replacement for one in edits), *(new.content for new in created)]
    if any(mark in text for mark in (b"PyModule_Create", b"REGISTER_EXTENSION") for text in texts):
        return True
    stable = [path for path in registry.sources if registry.layout.is_stable(path)]
    for path in {*group.units, *stable}:
        document = registry.document(path)
        for mark in _INITS:
            for match in re.finditer(rb"\b" + mark, document.code):
                if not any(
                    "_WIN32" in condition or "_MSC_VER" in condition
                    for condition in conditions_at(document, match.start())
                ):
                    return True
    return False


def _refuse_several_modules(group: Group, selection: Selection) -> None:
    """Raise Refusal where the units of a group make up several Python modules: each becomes a library of its own."""
    homes: dict[str, set[str]] = {}
    for moved in selection.moved:
        if moved.statement.block.kind is BlockKind.PYBIND and moved.in_place:
            homes.setdefault(moved.statement.block.namespace, set()).add(moved.statement.path)
    if len(homes) > 1 and len(set().union(*homes.values())) > 1:
        names = ", ".join(f"{name} ({', '.join(sorted(paths))})" for name, paths in sorted(homes.items()))
        raise Refusal(
            f"{group.name} has the units of {len(homes)} Python modules, {names}: name the files of one of them",
            exit_code=2,
        )


def _python_functions(selection: Selection) -> dict[str, str]:
    statements = [moved.statement for moved in selection.moved if moved.statement.block.kind is BlockKind.PYBIND]
    return {statement.name: f"{statement.namespace}::{statement.name}" for statement in statements}


def _bound_by(registry: Registry, selection: Selection) -> dict[str, str]:
    blocks = [(moved.statement.name, moved.statement.block) for moved in selection.moved]
    modules = {name: block.namespace for name, block in blocks if block.kind is BlockKind.PYBIND}
    packages = {
        module: package_of_module(registry.snapshot, registry.layout, module) for module in set(modules.values())
    }
    return {name: f"{packages[module]}.{module}".lstrip(".") for name, module in modules.items()}


def _legacy_removals(registry: Registry, group: Group, selection: Selection) -> list[FileEdit]:
    """The registrations that move, out of the legacy files, and the includes of headers that move."""
    going: dict[str, list[Statement]] = {}
    for moved in selection.moved:
        if not moved.in_place:
            going.setdefault(moved.statement.path, []).append(moved.statement)
    edits = []
    for path in dict.fromkeys((*going, *registry.layout.legacy_bindings)):
        if path in group.files or not registry.snapshot.exists(path):
            continue
        document, moving = registry.document(path), going.get(path, [])
        statements = [s for s in moving if s.block.kind is not BlockKind.OPERATORS]
        left = bytearray(document.code)
        for statement in statements:
            left[statement.span.start : statement.span.end] = b" " * len(statement.span)
        shared = [s for s in statements if _shares_line(document, s, left)]
        sharing = {s.span for s in shared}
        alone = [s for s in statements if s.span not in sharing]
        chained, cut = _chains_cut(registry, document, moving)
        dropped, replaced = dropped_includes(registry, group, document)
        edits += [FileEdit(path, edit) for edit in (*cut, *replaced)]
        lines = [*(s.lines for s in alone), *chained, *dropped]
        functions = whole_functions(registry, selection)
        if path in registry.bindings and functions:
            others = [s for s in registry.bindings[path].statements if calls_one_of(document, s, functions)]
            lines += [*(s.lines for s in others), *declarations_of(document, functions)]
        blocks = registry.bindings[path].blocks if statements else ()
        hollow = [block for block in blocks if block.kind not in (BlockKind.PYBIND, BlockKind.OPERATORS)]
        edits += [FileEdit(path, edit) for edit in removal_edits(document, lines, codes.MOVED.code, hollow)]
        for statement in shared:
            blank = re.compile(rb"[ \t]*").match(document.data, statement.span.end)
            span = Span(statement.span.start, blank.end() if blank else statement.span.end)
            edits.append(FileEdit(path, Edit(span, b"", codes.MOVED.code)))
    return edits


def _chains_cut(registry: Registry, document: Document, moving: Iterable[Statement]) -> tuple[list[Span], list[Edit]]:
    """Lines and edits that take the statements of `moving` out of the chains that they stand in."""
    lines: list[Span] = []
    edits: list[Edit] = []
    gone = {s.span: s.block for s in moving if s.block.kind is BlockKind.OPERATORS}
    for block in dict.fromkeys(gone.values()):
        chain = [s for s in registry.bindings[document.path].statements if s.block == block]
        cut = chain_removal(document, block, chain, gone, codes.MOVED.code)
        lines += cut[0]
        edits += cut[1]
    return lines, edits


def _shares_line(document: Document, statement: Statement, left: bytearray) -> bool:
    """Whether something of what is `left` is on a line of `statement`: a neighbour, or the braces of a module."""
    data, block = document.data, statement.block
    lines = Span(line_start(data, statement.span.start), line_end(data, statement.span.end - 1))
    if (
        lines.contains(block.span)
        and block.kind is not BlockKind.PYBIND
        and not left[block.body.start : block.body.end].strip()
    ):  # the block is removed with its last statement
        return bool((left[lines.start : block.span.start] + left[block.span.end : lines.end]).strip())
    return bool(left[lines.start : lines.end].strip())


def _to_declare(
    registry: Registry, group: Group, selection: Selection, declarations: Mapping[str, object]
) -> list[Located]:
    """Functions that the stable bindings file names, or that another moved unit calls through the header."""
    named: dict[tuple[str, tuple[str, ...]], Located] = {}
    for moved in selection.moved:
        for located in moved.functions:
            if not moved.in_place or _called_elsewhere(registry, group, located, declarations):
                named.setdefault((located.function.qualified, located.function.parameter_types), located)
    return list(named.values())


def _helpers(registry: Registry, group: Group, selection: Selection) -> list[Located]:
    """Functions of the units that no operator registers, and that need the declaration their legacy header has.

    One unit calls what another defines, or calls what it defines itself further down.
    """
    registered = {located.function.qualified for located in selection.functions}
    headers = [path for path in registry.layout.legacy_declarations if registry.snapshot.exists(path)]
    declared = FunctionIndex([registry.document(path) for path in headers])
    found = []
    for located in defined_functions(registry, group.units):
        function = located.function
        if function.is_local or function.qualified in registered:
            continue
        if not any(other.qualified == function.qualified for _, other in declared.named(function.name)):
            continue
        call = _call_of(function.name)
        for path in group.units:
            document = registry.document(path)
            own = [f.head.start for f in read_signatures(document) if f.qualified == function.qualified]
            if call.search(document.code, 0, min(own, default=len(document.code))):
                found.append(located)
                break
    return found


def _called_elsewhere(registry: Registry, group: Group, located: Located, declarations: Mapping[str, object]) -> bool:
    if located.function.qualified not in declarations:
        return False
    pattern = _call_of(located.function.name)
    return any(
        pattern.search(registry.document(path).code)
        for path in (*group.units, *group.moving_headers)
        if path != located.path and registry.snapshot.exists(path)
    )


def _call_of(name: str) -> re.Pattern[bytes]:
    """What calls `name` as no member."""
    return re.compile(word_start(name.encode(), rb"\w.>") + rb"\s*\(")
