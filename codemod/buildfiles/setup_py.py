"""Move sources from the legacy extension of a setup.py to the stable one, which is written on first use.

The stable side mirrors the legacy one: where `sources` takes in `cuda_sources` under a condition, `stable_sources`
takes in `stable_cuda_sources` on the next line.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from codemod.buildfiles.codes import COMPUTED_SOURCES, EXTENSION_CREATED, NO_SOURCE_LEFT, SETUP_SOURCE_MOVED
from codemod.buildfiles.setup_cmake import add_cmake_extensions
from codemod.buildfiles.setup_convert import can_convert, convert
from codemod.buildfiles.setup_create import extension_text, place_extension
from codemod.buildfiles.setup_model import Element, Extension, SetupModel, is_stable_extension, read_setup
from codemod.buildfiles.setup_text import add_after, add_statement, is_spread, literal_list, remove_elements
from codemod.buildfiles.stable_target import short_name, stable_list_name
from codemod.buildfiles.text_edits import TextEdits
from codemod.model import Diagnostic, FileEdit, Severity, Span
from codemod.repository.layout import Layout
from codemod.repository.snapshot import Snapshot

if TYPE_CHECKING:
    import libcst as cst


@dataclass(frozen=True)
class SetupResult:
    """`owned` are the units that an extension lists literally."""

    edits: tuple[FileEdit, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()
    owned: frozenset[str] = frozenset()
    created: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()  # of all extension modules
    has_stable: bool = False  # a stable extension was there before
    replaced: bool = False  # the legacy extension became the stable one


@dataclass
class SetupRun:
    """One run over one setup.py."""

    model: SetupModel
    layout: Layout
    renames: Mapping[str, str]
    target: str
    edits: TextEdits
    through_cmake: bool = False
    diagnostics: list[Diagnostic] = field(default_factory=list)

    def report(self, code: str, severity: Severity, node: cst.CSTNode | None, message: str, help: str = "") -> None:
        """Add a diagnostic at `node`."""
        file = self.model.file
        span = file.span(node) if node is not None else Span(0, 0)
        self.diagnostics.append(Diagnostic(code, severity, file.path, span, message, help))

    def new_literal(self, element: Element) -> str:
        """The element's expression with the new path in it, written the same way as far as possible."""
        return self.literal(element.node, element.path, self.renames[element.path])

    def literal(self, node: cst.CSTNode, old: str, new: str) -> str:
        """`node`, an expression for the path `old`, as an expression for `new`."""
        text = self.model.file.text(node)
        prefix = f"{self.model.folder}/" if self.model.folder else ""
        old, new = old.removeprefix(prefix), new.removeprefix(prefix)
        tail = old
        while tail and tail not in text:
            tail = tail.partition("/")[2]
        head = old[: len(old) - len(tail)]
        if tail and new.startswith(head):
            return text.replace(tail, new[len(head) :])
        return f'"{new}"'


def plan_setup(
    snapshot: Snapshot,
    layout: Layout,
    path: str,
    renames: Mapping[str, str],
    units: Sequence[str],
    created: Sequence[str],
    target: str,
    *,
    through_cmake: bool = False,
    widened: Sequence[str] = (),
) -> SetupResult:
    """The edits of one setup.py that move `units` to the stable extension.

    `through_cmake` says that CMake builds the stable target, `widened` for which devices it now does so in addition.
    Raises Refusal for a syntax error.
    """
    model = read_setup(snapshot, path)
    run = SetupRun(model, layout, renames, target, TextEdits(path, model.file.data), through_cmake)
    extensions = model.extensions()
    stable = [e for e in extensions if is_stable_extension(model, layout, e) and e.sources is not None]
    owned: set[str] = set()
    entered: set[str] = set()
    converted = False
    in_stable = {element.path for extension in stable for element in extension.elements}
    for extension in extensions:
        moving = [e for e in extension.elements if e.path in units]
        if extension in stable or not moving:
            continue
        owned.update(element.path for element in moving)
        fresh = [new for new in created if new not in in_stable]
        others = [e for e in extensions if e is not extension]
        if not stable and not converted and can_convert(run, extension, moving, others):
            convert(run, extension, moving, fresh)
            entered.update(fresh)
            converted = True
            continue
        if stable:
            _fill(run, stable[0], moving, fresh)
        else:
            _create(run, extension, moving, fresh)
        entered.update(fresh)
        _remove(run, moving)
        if not extension.computed and len(moving) == len(extension.elements):
            run.report(
                NO_SOURCE_LEFT, Severity.ERROR, extension.call, f"{extension.name} has no source left",
                "Remove the extension and what imports it, or keep one source in it.",
            )  # fmt: skip
    left = () if stable or owned else created
    _report_computed(
        run, [e for e in extensions if e not in stable], units, owned | in_stable, left, bool(stable or owned)
    )
    if through_cmake:
        add_cmake_extensions(run, extensions, units, widened)
    listed = {unit for unit in units if renames[unit] in in_stable}
    names = frozenset(extension.name for extension in extensions)
    library = short_name(layout.stable_library)
    has_stable = bool(stable) or any(name.rpartition(".")[2] == library for name in names)
    return SetupResult(
        run.edits.edits(),
        tuple(run.diagnostics),
        frozenset(owned | listed),
        frozenset(entered),
        names,
        has_stable,
        converted,
    )


def _report_computed(
    run: SetupRun,
    legacy: Sequence[Extension],
    units: Sequence[str],
    known: Iterable[str],
    created: Sequence[str],
    has_stable: bool,
) -> None:
    """Units that no list names, where an extension computes its list: the lines that somebody has to add.

    `has_stable` says that the stable extension is there, or is written by this run.
    """
    missing = [unit for unit in units if unit not in known and run.renames[unit] not in known]
    computed = [extension for extension in legacy if extension.computed]
    if not missing or len(computed) != 1 or run.through_cmake:
        return
    prefix = f"{run.model.folder}/" if run.model.folder else ""
    names = [f'"{path.removeprefix(prefix)}"' for path in (*created, *(run.renames[unit] for unit in missing))]
    if has_stable:
        lines = ",\n".join(names)
        advice = f"Make sure that they are no more, and add them to {short_name(run.layout.stable_library)}:\n{lines}"
    else:
        text = extension_text(run, computed[0], literal_list(names, spread=True))
        advice = f"Make sure that they are no more, and build this extension beside it:\n{text}"
    run.report(
        COMPUTED_SOURCES, Severity.ERROR, computed[0].call,
        f"the sources of {computed[0].name or 'this extension'} are computed: {', '.join(missing)} may be among them",
        advice,
    )  # fmt: skip


def _remove(run: SetupRun, moving: Sequence[Element]) -> None:
    """Take the elements out of their lists; `x.append(...)` and `x += [...]` of moved sources alone go as a whole."""
    import libcst as cst

    by_list: dict[cst.CSTNode, list[Element]] = {}
    for element in moving:
        by_list.setdefault(element.list_node, []).append(element)
    file = run.model.file
    for holder, elements in by_list.items():
        if isinstance(holder, (cst.List, cst.Tuple, cst.Set)) and not _is_whole_statement(run, holder, elements):
            remove_elements(file, holder, [element.node for element in elements], run.edits, SETUP_SOURCE_MOVED)


def _is_whole_statement(run: SetupRun, holder: cst.CSTNode, elements: Sequence[Element]) -> bool:
    """Whether `holder` is the right side of a `+=` or the argument of an `extend`, and moves entirely."""
    import libcst as cst

    if not isinstance(holder, (cst.List, cst.Tuple)) or len(elements) != len(holder.elements):
        return False
    above = run.model.file.parent(holder)
    if isinstance(above, cst.Arg):
        call = run.model.file.parent(above)
        return isinstance(call, cst.Call) and call in run.model.bindings(elements[0].name)
    return isinstance(above, cst.AugAssign)


def _create(run: SetupRun, legacy: Extension, moving: Sequence[Element], created: Sequence[str]) -> None:
    """Write the stable extension beside the legacy one, its lists beside the legacy lists."""

    mirrored = _mirrored(legacy, moving)
    top = _top_names(legacy.sources)
    home = next((name for name in top if name in mirrored or name in _list_names(legacy)), "")
    if created and home:
        mirrored.add(home)
    names = {name: _mirror_name(run.model, name) for name in mirrored}
    prefix = f"{run.model.folder}/" if run.model.folder else ""
    new_sources = [f'"{path.removeprefix(prefix)}"' for path in created]
    for name in sorted(mirrored):
        _mirror(run, legacy, name, names, moving, new_sources if name == home else [])
    inline = [run.new_literal(element) for element in moving if not element.name]
    parts = [names[name] for name in top if name in names]
    if not home:
        inline = [*new_sources, *inline]
    if inline or not parts:
        spread = legacy.sources is not None and is_spread(run.model.file, legacy.sources)
        parts.append(literal_list(inline, spread=spread or len(inline) > 2))
    text = extension_text(run, legacy, " + ".join(parts))
    place_extension(run, legacy, text)
    run.report(
        EXTENSION_CREATED, Severity.NOTE, legacy.call,
        f"{short_name(run.layout.stable_library)} is built beside {legacy.name} with the same arguments",
    )  # fmt: skip


def _list_names(extension: Extension) -> set[str]:
    return {e.name for e in extension.elements if e.name} | {name for _, *pair in extension.links for name in pair}


def _mirrored(legacy: Extension, moving: Sequence[Element]) -> set[str]:
    """The lists that need a stable namesake: those that hold a moved source, and those they flow into."""
    names = {element.name for element in moving if element.name}
    grown = True
    while grown:
        grown = False
        for _, source, into in legacy.links:
            if source in names and into not in names:
                names.add(into)
                grown = True
    return names


def _top_names(sources: cst.CSTNode | None) -> list[str]:
    import libcst as cst

    if isinstance(sources, cst.Name):
        return [sources.value]
    if isinstance(sources, cst.BinaryOperation):
        return [*_top_names(sources.left), *_top_names(sources.right)]
    if isinstance(sources, cst.Call) and sources.args:
        return _top_names(sources.args[0].value)
    return []


def _mirror_name(model: SetupModel, name: str) -> str:
    wanted = stable_list_name(name) if name.isupper() else f"stable_{name}"
    return f"{wanted}_list" if model.bindings(wanted) else wanted


def _mirror(
    run: SetupRun,
    legacy: Extension,
    name: str,
    names: Mapping[str, str],
    moving: Sequence[Element],
    created: Sequence[str],
) -> None:
    """For each statement that gives the legacy list sources, one that gives the stable list those that move."""
    import libcst as cst

    file = run.model.file
    fresh = list(created)
    for statement in run.model.bindings(name):
        here = [e for e in moving if e.name == name and any(node is statement for node in file.around(e.node))]
        linked = [
            names[source]
            for place, source, into in legacy.links
            if place is statement and into == name and source in names
        ]
        defines = isinstance(statement, (cst.Assign, cst.AnnAssign))
        if not (here or linked or defines):
            continue
        if isinstance(statement, cst.Call) and here and here[0].list_node is statement:
            text = file.text(statement)
            old = file.text(here[0].node)
            moved = text.replace(old, run.new_literal(here[0])).replace(name, names[name], 1)
            run.edits.replace(file.span(statement), moved, SETUP_SOURCE_MOVED)
            continue
        whole = bool(here) and _is_whole_statement(run, here[0].list_node, here)
        head = f"{names[name]} {'=' if defines else '+='} "
        spread = bool(here) and is_spread(file, here[0].list_node)
        literals = [*(fresh if defines else []), *(run.new_literal(element) for element in here)]
        fresh = [] if defines else fresh
        parts = [*linked]
        if literals or not linked:
            parts.insert(0, literal_list(literals, spread=spread or len(literals) > 2, prefix=head))
        text = head + " + ".join(parts)
        if whole:
            line = file.span(statement)
            run.edits.replace(line, text.replace("\n", "\n" + file.indent(line.start)), SETUP_SOURCE_MOVED)
        else:
            add_statement(file, statement, text, run.edits, SETUP_SOURCE_MOVED)


def _fill(run: SetupRun, stable: Extension, moving: Sequence[Element], created: Sequence[str]) -> None:
    """Add sources to the lists of a stable extension that exists, under the conditions they had."""
    prefix = f"{run.model.folder}/" if run.model.folder else ""
    wanted = [(f'"{path.removeprefix(prefix)}"', stable.conditions) for path in created]
    present = {element.path for element in stable.elements}
    wanted += [(run.new_literal(e), e.conditions) for e in moving if run.renames[e.path] not in present]
    places: dict[cst.CSTNode, list[str]] = {}
    for text, conditions in wanted:
        same = [e for e in stable.elements if set(e.conditions) == set(conditions)]
        if same:
            places.setdefault(same[-1].node, []).append(text)
            continue
        _new_statement(run, stable, text, conditions, moving)
    for node, texts in places.items():
        add_after(run.model.file, node, texts, run.edits, SETUP_SOURCE_MOVED)


def _new_statement(
    run: SetupRun, stable: Extension, text: str, conditions: Sequence[str], moving: Sequence[Element]
) -> None:
    """A `+=` beside the legacy list's statement, where the stable list exists by then; a diagnostic elsewhere."""
    file = run.model.file
    top = _top_names(stable.sources)
    call_start = file.span(stable.call).start
    for element in moving:
        if run.new_literal(element) != text or not top:
            continue
        statement = file.statement(element.list_node)
        start = file.span(statement).start
        defined = min((file.span(b).start for b in run.model.bindings(top[0])), default=call_start)
        if set(file.conditions(element.list_node)) == set(conditions) and defined < start < call_start:
            add_statement(file, element.list_node, f"{top[0]} += [{text}]", run.edits, SETUP_SOURCE_MOVED)
            return
    condition = " and ".join(f"({c})" if " or " in c else c for c in conditions) or "True"
    run.report(
        COMPUTED_SOURCES, Severity.ERROR, stable.call,
        f"{text} cannot be added to {stable.name} where it is built: it needs the condition {condition}",
        f"Before the extension is made:\n  if {condition}:\n      sources += [{text}]",
    )  # fmt: skip
