"""Sources that reach a target's list through a list of their own, and leaving the legacy list.

Such a list is usually in a block with the settings of its sources: architectures, properties, a message. The block
moves whole where it serves nobody else; else the stable side gets a block of its own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from torch_stabilize.buildfiles.cmake.blocks import find_region, is_rewritten
from torch_stabilize.buildfiles.cmake.flow import GLOB_OPTIONS, written_list
from torch_stabilize.buildfiles.cmake.globs import glob_matches
from torch_stabilize.buildfiles.cmake.lists import lines_of, reindent, remove_items, with_comment, without_gap
from torch_stabilize.buildfiles.cmake.logic import residual
from torch_stabilize.buildfiles.cmake.model import Definition, Flow
from torch_stabilize.buildfiles.cmake.run import HEADERS, CMakeRun
from torch_stabilize.buildfiles.cmake.site import reads
from torch_stabilize.buildfiles.cmake.syntax import CMakeFile, Command, Frame
from torch_stabilize.buildfiles.cmake.text import call, condition_text, rendered, wrap
from torch_stabilize.buildfiles.codes import CONDITION_LOST, DEFINITION, NO_SOURCE_LEFT, SOURCE_MOVED, STALE_COMMENT
from torch_stabilize.model import Severity, Span
from torch_stabilize.source.patterns import whole_word
from torch_stabilize.source.spans import merged

_MACRO = re.compile(r"-D([A-Za-z_]\w*)")


class Carried(NamedTuple):
    """Text for the stable side, the indent it is written at, and the conditions it needs around it there."""

    text: str
    indent: str
    conditions: tuple[str, ...]


def sorted_by_form(flows: Sequence[Flow]) -> tuple[list[Flow], list[list[Flow]]]:
    """Sources that stand in the target's own list, and those that each list of their own carries there."""
    finals: list[Flow] = []
    carried: dict[tuple[Command, str], list[Flow]] = {}
    for flow in flows:
        through_sources = flow.steps[-1].name == "target_sources" and len(flow.variables) == 1
        if len(flow.variables) == 2 or through_sources:
            carried.setdefault((flow.steps[1], flow.variables[0]), []).append(flow)
        else:
            finals.append(flow)
    return finals, list(carried.values())


def is_whole(run: CMakeRun, flows: Sequence[Flow]) -> bool:
    """Whether everything that the list carries moves."""
    join, variable = flows[0].steps[1], flows[0].variables[0]
    return all(
        flow.path in run.units
        for flow in run.project.flows(flows[0].definition)
        if flow.variables[:1] == (variable,) and flow.steps[1] == join
    )


def redirect(run: CMakeRun, variable: str, flows: Sequence[Flow]) -> None:
    """The block is already where the stable list is built: it only joins the other list."""
    edits = run.edits[flows[0].steps[0].path]
    _report_comment(run, flows)
    for span, text in _replacements(run, f"list(APPEND {variable}", flows).items():
        edits.replace(span, text, SOURCE_MOVED)


def _report_comment(run: CMakeRun, flows: Sequence[Flow]) -> None:
    """A comment above the list that speaks of the legacy target may have stopped being true."""
    first = flows[0].steps[0]
    file = run.project.files[first.path]
    comment = Span(with_comment(file, first.span).start, file.line_start(first.span.start))
    if re.search(rf"(?<!\w){re.escape(flows[0].definition.name)}(?!\w)", file.text(comment)):
        run.report(
            STALE_COMMENT, Severity.NOTE, file.path, comment,
            f"this comment speaks of {flows[0].definition.name}, which these sources have left",
            "Remove it or rewrite it.",
        )  # fmt: skip


def _replacements(run: CMakeRun, joins: str, flows: Sequence[Flow]) -> dict[Span, str]:
    """The new paths, and a call that joins the stable list instead of the legacy one."""
    found = {}
    for flow in flows:
        run.handled.add((flow.steps[0].path, flow.item.span))
        text = (run.new_pattern(flow) if flow.glob else None) or run.new_text(flow)
        found[flow.item.span] = f'"{text}"' if flow.item.quoted else text
    join, variable = flows[0].steps[1], flows[0].variables[0]
    quoted = any(argument.quoted and f"${{{variable}}}" in argument.text for argument in join.arguments)
    found[join.span] = _joined(joins, variable, quoted)
    return found


def _joined(joins: str, variable: str, quoted: bool) -> str:
    value = f"${{{variable}}}"
    return f'{joins} "{value}")' if quoted else f"{joins} {value})"


def take_over(
    run: CMakeRun, flows: list[Flow], joins: str, known: Sequence[str], shared: Sequence[Frame], until: int
) -> Carried:
    """Take a list's sources out of the legacy side; what replaces them on the stable side is returned.

    `joins` is the beginning of the call that adds them there, `known` and `shared` the conditions and blocks that hold
    there anyway, `until` the place the text will go to.
    """
    region = find_region(run.project, flows, shared, until) if is_whole(run, flows) else None
    if region is None:
        return _split(run, flows, joins, known, until)
    file = run.project.files[flows[0].steps[0].path]
    replacements = {**run.moved_items(file, region.span), **_replacements(run, joins, flows)}
    outer = [condition for frame in region.outer for condition in frame.conditions]
    own = next((f.conditions for f in flows[0].steps[0].frames if f.block == region.block), ())
    if not region.prepared and is_rewritten(file, own, region.span.end, until):
        _warn_condition(run, flows)
    _report_flags(run, flows, region.span)
    run.edits[file.path].delete(without_gap(file, region.span), SOURCE_MOVED)
    run.handled.update((file.path, span) for span in replacements)
    text = rendered(file, region.span, replacements)
    return Carried(text, file.indent(region.block.span.start), residual(outer, known, run.project.domains))


def _report_flags(run: CMakeRun, flows: Sequence[Flow], span: Span) -> None:
    """A macro that a moved block gave both targets no longer reaches the legacy one: does anything there test it?"""
    file = run.project.files[flows[0].steps[0].path]
    rest = [f.path for f in run.project.flows(flows[0].definition) if f.path not in run.units]
    snapshot = run.project.snapshot
    for command in file.commands:
        if not span.contains(command.span) or command.name not in ("list", "set", "target_compile_definitions"):
            continue
        for macro in _MACRO.findall(file.text(command.span)):
            word = re.compile(whole_word(macro.encode()))
            users = sorted({path for path in rest if snapshot.exists(path) and word.search(snapshot.read(path))})
            if users:
                run.report(
                    DEFINITION, Severity.WARNING, file.path, command.span,
                    f"{macro} no longer reaches {flows[0].definition.name}, where {', '.join(users)} tests it",
                    "Define it for both targets if the code that stays still needs it.",
                )  # fmt: skip


def _split(run: CMakeRun, flows: list[Flow], joins: str, known: Sequence[str], until: int) -> Carried:
    """A list and the calls that treat it, written anew for the sources that move; the rest stays."""
    file = run.project.files[flows[0].steps[0].path]
    first, variable = flows[0].steps[0], flows[0].variables[0]
    whole = is_whole(run, flows)
    indent = file.indent(first.span.start)
    name = variable if whole else f"STABLE_{variable}"
    text = _new_list(run, flows, name, indent)
    treated = [command for command in file.commands if _treats(run, command, flows[0])]
    for command in treated:
        copy = rendered(file, command.span, run.moved_items(file, command.span))
        copy = reindent(copy, file.indent(command.span.start), indent)
        extra = residual(command.conditions, first.conditions, run.project.domains)
        text += wrap(extra, f"{indent}{copy.replace(f'${{{variable}}}', f'${{{name}}}')}\n", indent)
    text += f"{indent}{_joined(joins, name, True)}\n"
    conditions = residual(flows[0].conditions, known, run.project.domains)
    if whole:
        gone = (*treated, *(flow.steps[0] for flow in flows), flows[0].steps[1])
        run.gone.extend(gone)
        for span in merged(emptied_span(file, command, run.gone) for command in gone):
            run.edits[file.path].delete(without_gap(file, span), SOURCE_MOVED)
        run.handled.update((file.path, flow.item.span) for flow in flows)
    else:
        leave(run, flows)
    if is_rewritten(file, conditions, first.span.end, until):
        _warn_condition(run, flows)
    return Carried(text, indent, conditions)


def _new_list(run: CMakeRun, flows: Sequence[Flow], name: str, indent: str) -> str:
    """The call that makes the list `name` of `flows`: a pattern where one found them all and still does."""
    glob = flows[0].steps[0]
    if not all(flow.glob and flow.steps[0] == glob for flow in flows):
        return call("set", [name], [f'"{run.new_text(flow)}"' for flow in flows], indent)
    patterns = dict.fromkeys(run.new_pattern(flow) for flow in flows)
    if None in patterns:
        return call("set", [name], [f'"{run.new_text(flow)}"' for flow in flows], indent)
    others = [argument.text for argument in glob.arguments[2:] if argument.text in GLOB_OPTIONS]
    return call("file", [glob.first, name, *others], [f'"{pattern}"' for pattern in patterns], indent)


def _treats(run: CMakeRun, command: Command, flow: Flow) -> bool:
    """Whether a call does something to the sources of the list that carries `flow`."""
    if command in flow.steps or command.path != flow.steps[0].path or not reads(command, flow.variables[0]):
        return False
    if written_list(command) is not None or command.name in ("message", "foreach"):
        return False
    return any(writer == flow.steps[0] for writer, _ in run.project.writers(flow.variables[0], command))


def _warn_condition(run: CMakeRun, flows: Sequence[Flow]) -> None:
    run.report(
        CONDITION_LOST, Severity.WARNING, flows[0].steps[0].path, flows[0].item.span,
        "the condition of this source depends on a variable that gets another value before the stable list is built",
        "Check that the condition still means the same at its new place.",
    )  # fmt: skip


def leave(run: CMakeRun, flows: Sequence[Flow]) -> None:
    """Take sources out of the legacy lists."""
    by_command: dict[Command, list[Flow]] = {}
    for flow in flows:
        if flow.glob:
            _leave_glob(run, flow)
        elif (flow.steps[0].path, flow.item.span) not in run.handled:
            by_command.setdefault(flow.steps[0], []).append(flow)
    gone = [command for command, leaving in by_command.items() if _leaves_nothing(command, leaving)]
    deleted: set[tuple[str, Span]] = set()
    for command, leaving in by_command.items():
        file = run.project.files[command.path]
        spans = [flow.item.span for flow in leaving]
        run.handled.update((file.path, span) for span in spans)
        if command in gone:
            span = without_gap(file, emptied_span(file, command, gone))
            if (file.path, span) not in deleted:
                deleted.add((file.path, span))
                run.edits[file.path].delete(span, SOURCE_MOVED)
        else:
            remove_items(file, command, spans, run.edits[file.path], SOURCE_MOVED)
    _report_empty(run, flows)


def _leave_glob(run: CMakeRun, flow: Flow) -> None:
    """A pattern finds the file no more once it has moved; where it would, a filter takes the new place out."""
    glob = flow.steps[0]
    file = run.project.files[glob.path]
    new = run.renames[flow.path]
    pattern = run.project.resolve(flow.item.text, glob.path)
    recursive = glob.first.upper() == "GLOB_RECURSE"
    if pattern is None or not glob_matches(pattern, new, recursive=recursive):
        return
    stable = run.layout.stable_root.rpartition("/")[2]
    if new.startswith(f"{run.layout.stable_root}/"):
        expression = f"/{stable}/"
    else:
        name = re.escape(new.removeprefix(run.project.source_dir(glob.path)).lstrip("/"))
        expression = f"/{name}$".replace("\\", "\\\\")
    text = f'{file.indent(glob.span.start)}list(FILTER {glob.arguments[1].text} EXCLUDE REGEX "{expression}")\n'
    at = file.line_end(glob.span.end)
    if (file.path, Span(at, at), text) not in run.filters:
        run.filters.add((file.path, Span(at, at), text))
        run.edits[file.path].insert(at, text, SOURCE_MOVED)


def _leaves_nothing(command: Command, leaving: Sequence[Flow]) -> bool:
    """Whether a call that adds to a list has nothing to add any more."""
    spans = [flow.item.span for flow in leaving]
    items = [item for argument in command.arguments[2:] for item in argument.items]
    return command.name in ("list", "target_sources") and all(item.span in spans for item in items)


def emptied_span(file: CMakeFile, command: Command, gone: Sequence[Command]) -> Span:
    """The command's lines, or those of the block or last arm around it where all commands are `gone`."""
    span = command.span
    for frame in reversed(command.frames):
        if frame.block.kind != "if":
            break
        others = [other for other in file.commands if frame.block.span.contains(other.span) and other not in gone]
        if others:
            is_last = 0 < frame.arm == len(frame.block.branches) - 1
            if is_last and not any(frame.body.contains(other.span) for other in others):
                header = frame.block.branches[frame.arm].header
                return Span(lines_of(file, header).start, lines_of(file, frame.block.closing).start)
            break
        span = frame.block.span
    return with_comment(file, lines_of(file, span))


def _report_empty(run: CMakeRun, flows: Sequence[Flow]) -> None:
    """Say that a target has no source left: once for one that several calls define, with what it is left with none of.

    The calls of one name are told apart by their conditions where some of them keep sources.
    """
    names = dict.fromkeys(flow.definition.name for flow in flows)
    for name in names:
        definitions = [one for one in run.project.definitions if one.name == name]
        empty = [one for one in definitions if not _left(run, one)]
        if not empty or all(one.definition not in empty for one in flows):
            continue
        where = " or ".join(f"`{condition_text(one.command.conditions)}`" for one in empty if one.command.conditions)
        is_part = len(empty) < len(definitions) and all(one.command.conditions for one in empty)
        command = empty[0].command
        message = f"{name} has no source left" + (f" where {where}" if is_part else "")
        if any(told.code == NO_SOURCE_LEFT and told.message == message for told in run.diagnostics):
            continue
        run.report(
            NO_SOURCE_LEFT, Severity.ERROR, command.path, command.span, message,
            "Remove the target and what installs or imports it, or keep one source in it.",
        )  # fmt: skip


def _left(run: CMakeRun, definition: Definition) -> list[Flow]:
    """The sources of a target that do not leave it."""
    return [f for f in run.project.flows(definition) if f.path not in run.units and not f.path.endswith(HEADERS)]
