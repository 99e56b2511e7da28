"""Build a stable target where it was not built before, because a source that joins it was.

A half-migrated project builds its stable target for CUDA alone, say, and the legacy one for HIP too. A source that
moves must not get lost on HIP: the `if` around the stable target is widened, and what was in it keeps the narrow
condition. Only done where the condition compares one variable of known values; everything else is a diagnostic.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from torch_stabilize.buildfiles.cmake.lists import add_items, lines_of, remove_items, with_comment
from torch_stabilize.buildfiles.cmake.logic import equal, implies, is_equality
from torch_stabilize.buildfiles.cmake.model import Flow
from torch_stabilize.buildfiles.cmake.run import CMakeRun
from torch_stabilize.buildfiles.cmake.site import StableSite, last_source
from torch_stabilize.buildfiles.cmake.syntax import Block, Command, Frame
from torch_stabilize.buildfiles.cmake.text import call, condition_text, wrap
from torch_stabilize.buildfiles.codes import CONDITION_LOST, TARGET_WIDENED
from torch_stabilize.model import Confidence, Severity, Span

_MACROS = {"CUDA": "USE_CUDA", "HIP": "USE_ROCM", "ROCM": "USE_ROCM"}


def widen(run: CMakeRun, site: StableSite, flows: Sequence[Flow]) -> StableSite:
    """The stable side as it will be, with the edits for it; unchanged, with a diagnostic, where that is undecidable."""
    domains = run.project.domains
    frame = next(f for f in site.frames if not all(implies(flow.conditions, f.conditions, domains) for flow in flows))
    values = _values(run, frame, flows)
    same_frames = site.frames == site.definition.command.frames and site.frames[-1] == frame
    if values is None or not same_frames or len(frame.block.branches) != 1:
        _report_narrow(run, site, frame, flows)
        return site
    name, kept, added = values
    run.widened.extend(added)
    clause = condition_text([f'{name} STREQUAL "{value}"' for value in [kept]])
    wide = " OR ".join(f'{name} STREQUAL "{value}"' for value in [kept, *added])
    _widen_header(run, site, frame.block, wide, added)
    _open_zone(run, site, frame, clause, _narrow_list(run, site, frame))
    _device_macros(run, site, name, kept, added)
    return replace(site, opened=frame.block)


def _values(run: CMakeRun, frame: Frame, flows: Sequence[Flow]) -> tuple[str, str, list[str]] | None:
    """(variable, its value so far, the values the flows need as well)."""
    if len(frame.conditions) != 1:
        return None
    comparison = is_equality(frame.conditions[0])
    if comparison is None or comparison[0] not in run.project.domains:
        return None
    name, kept = comparison
    domains = run.project.domains

    def is_needed(value: str) -> bool:
        excluded = [f'NOT ( {name} STREQUAL "{value}" )']
        return any(not implies(flow.conditions, excluded, domains) for flow in flows)

    added = [value for value in domains[name] if value != kept and is_needed(value)]
    return name, kept, added


def _report_narrow(run: CMakeRun, site: StableSite, frame: Frame, flows: Sequence[Flow]) -> None:
    lost = [flow.path for flow in flows if not implies(flow.conditions, frame.conditions, run.project.domains)]
    run.report(
        CONDITION_LOST, Severity.ERROR, site.file.path, frame.block.branches[frame.arm].header,
        f"{site.definition.name} is built only if({condition_text(frame.conditions)}), these sources were built "
        f"elsewhere too: {', '.join(lost)}",
        f"Define {site.definition.name} wherever {flows[0].definition.name} is, and put what is special to "
        f"{condition_text(frame.conditions)} under that condition.",
    )  # fmt: skip


def _widen_header(run: CMakeRun, site: StableSite, block: Block, wide: str, added: Sequence[str]) -> None:
    header = block.branches[0].header
    text = site.file.text(header)
    edits = run.edits[site.file.path]
    edits.replace(header, f"{text[: text.index('(') + 1]}{wide})", TARGET_WIDENED, Confidence.REVIEW)
    comment = Span(with_comment(site.file, lines_of(site.file, header)).start, site.file.line_start(header.start))
    said = site.file.text(comment).strip()
    asked_for = any(f'STREQUAL "{value}"' in said for value in added)
    if asked_for:  # the comment says what has just been done
        edits.delete(comment, TARGET_WIDENED)
    note = " A comment there said: " + " ".join(re.sub(r"^\s*#\s?", "", said, flags=re.M).split()) if asked_for else ""
    run.report(
        TARGET_WIDENED, Severity.WARNING, site.file.path, header,
        f"{site.definition.name} is now built for {', '.join(added)} too, as its new sources were.{note}",
        "Check that its registrations that need the narrower build are inside a preprocessor condition.",
    )  # fmt: skip


def _narrow_list(run: CMakeRun, site: StableSite, frame: Frame) -> str:
    """What the list began with keeps the narrow condition, all but the bindings.

    It joins a list of that condition; where there is none, the call that adds it is returned.
    """
    file = site.file
    edits = run.edits[file.path]
    leaving = []
    for argument in site.start.arguments[1:]:
        for item in argument.items:
            resolved = run.project.resolve(item.text, file.path)
            if resolved != run.layout.stable_bindings and last_source(site.start) is not None:
                leaving.append(item)
    if not leaving:
        return ""
    remove_items(file, site.start, [item.span for item in leaving], edits, TARGET_WIDENED)
    narrow = [c for c in site.list_commands() if c != site.start and _narrow(run, site, c, frame)]
    texts = [item.text for item in leaving]
    if narrow:
        add_items(file, narrow[0], texts, last_source(narrow[0]), edits, TARGET_WIDENED)
        return ""
    indent = file.indent(site.start.span.start)
    return call("list", ["APPEND", site.variable], [f'"{text}"' for text in texts], indent)


def _narrow(run: CMakeRun, site: StableSite, command: Command, frame: Frame) -> bool:
    deeper = [c for f in command.frames[len(site.frames) :] for c in f.conditions]
    return bool(deeper) and equal([*frame.conditions, *deeper], frame.conditions, run.project.domains)


def _open_zone(run: CMakeRun, site: StableSite, frame: Frame, clause: str, narrow: str) -> None:
    """Everything between the list and the target moves into an `if` of the narrow condition, `narrow` first.

    Where such a block already follows the list, its `endif()` moves down; else an `if` is written in front.
    """
    file = site.file
    edits = run.edits[file.path]
    siblings: list[Span] = []
    for command in file.commands:
        if site.in_zone(command) and command.span.start < site.anchor:
            deeper = command.frames[len(site.frames) :]
            span = deeper[0].block.span if deeper else command.span
            if span not in siblings:
                siblings.append(span)
    blocks = {block.span: block for block in file.blocks}
    leading: list[Block] = []
    for span in siblings:
        block = blocks.get(span)
        same = block is not None and block.kind == "if" and len(block.branches) == 1
        if block is None or not same or not equal([block.branches[0].condition], frame.conditions, run.project.domains):
            break
        leading.append(block)
    indent = file.indent(site.start.span.start)
    start = file.line_end(site.start.span.end)
    if narrow and (leading or not siblings):
        edits.insert(start, "\n" + wrap(frame.conditions, narrow, indent), TARGET_WIDENED)
    if len(leading) == len(siblings):
        return
    if leading:
        edits.delete(lines_of(file, leading[-1].closing), TARGET_WIDENED)
    else:
        inner = "".join(f"  {line}" for line in narrow.splitlines(keepends=True))
        edits.insert(start, f"\n{indent}if({clause})\n{inner}", TARGET_WIDENED, Confidence.REVIEW)
    run.at_anchor.append(f"{indent}# if {clause}\n{indent}endif()\n\n")


def _device_macros(run: CMakeRun, site: StableSite, name: str, kept: str, added: Sequence[str]) -> None:
    """USE_CUDA for one value, USE_ROCM for the other."""
    file = site.file
    macro = _MACROS.get(kept.upper())
    for command in file.commands:
        words = [argument.text for argument in command.arguments]
        defines = command.name == "target_compile_definitions" and words[:1] == [site.definition.name]
        if not defines or macro not in words[2:] or command.frames != site.frames:
            continue
        indent = file.indent(command.span.start)
        text = file.text(command.span).replace("\n", "\n  ")
        arms = f'if({name} STREQUAL "{kept}")\n{indent}  {text}\n'
        for value in added:
            other = _MACROS.get(value.upper())
            if other:
                body = text.replace(macro or "", other)
                arms += f'{indent}elseif({name} STREQUAL "{value}")\n{indent}  {body}\n'
        run.edits[file.path].replace(command.span, f"{arms}{indent}endif()", TARGET_WIDENED, Confidence.REVIEW)
