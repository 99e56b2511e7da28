"""An extension of which every source moves becomes the stable one where it is."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch_stabilize.buildfiles.codes import EXTENSION_CREATED, SETUP_SOURCE_MOVED
from torch_stabilize.buildfiles.setup.create import (
    argument_names,
    macros_text,
    new_name,
    report_missing,
    settings_of,
    with_settings,
)
from torch_stabilize.buildfiles.setup.element import Element
from torch_stabilize.buildfiles.setup.families import Member, nodes_of, shared_first, unique
from torch_stabilize.buildfiles.setup.mirror import finds, glob_text
from torch_stabilize.buildfiles.setup.model import Extension
from torch_stabilize.buildfiles.setup.placement import add_to_call
from torch_stabilize.buildfiles.setup.text import add_after, add_statement
from torch_stabilize.model import Severity, Span
from torch_stabilize.repository.stable_target import short_name

if TYPE_CHECKING:
    import libcst as cst

    from torch_stabilize.buildfiles.setup.run import SetupRun


def can_convert(run: SetupRun, members: Sequence[Member], others: Sequence[Extension]) -> bool:
    """Whether nothing of an extension stays behind where it is built, and no list of it serves another one."""
    first = members[0].extension
    moving = [member for member in members if member.moving]
    if any(not member.is_whole or member.extension.round is not None for member in moving):
        return False
    if first.name.rpartition(".")[2] != short_name(run.layout.legacy_library):
        return False
    elements = unique(moving)
    stays = [member.extension for member in members if not member.moving]
    if any(element.base == "" for element in elements) or None in _globs(run, elements).values():
        return False
    nodes = nodes_of(elements)
    return not any(id(element.node) in nodes for other in (*others, *stays) for element in other.elements)


def convert(run: SetupRun, members: Sequence[Member], created: Sequence[str]) -> None:
    """Give an extension the stable library's name, the new paths of its sources and the macros it needs."""
    file, edits = run.model.file, run.edits
    moving = unique(members)
    for element in moving:
        if element.glob is None:
            edits.replace(file.span(element.node), run.in_place(element), SETUP_SOURCE_MOVED)
    for call, text in _globs(run, moving).items():
        edits.replace(file.span(call), text or "", SETUP_SOURCE_MOVED)
    converted = [member for member in members if member.moving]
    for member in converted:
        add_sources(run, member, [other.extension for other in converted], created)
        _rename(run, member.extension)
    first = converted[0].extension
    run.report(
        EXTENSION_CREATED, Severity.NOTE, first.call,
        f"every source of {first.name} moves: it becomes {run.stable_name(first)}",
    )  # fmt: skip
    if len(converted) < len(members):
        report_missing(run, first, [member.conditions for member in converted])


def _rename(run: SetupRun, extension: Extension) -> None:
    """The stable library's name in the call, and the macros and arguments that it needs."""
    file = run.model.file
    value = argument_names(extension.call)["name"].value
    run.edits.replace(file.span(value), new_name(run, extension, file.text(value)), EXTENSION_CREATED)
    settle_arguments(run, extension)


def settle_arguments(run: SetupRun, extension: Extension) -> None:
    """The macros and arguments that a stable extension needs, in the call."""
    file, edits = run.model.file, run.edits
    arguments = argument_names(extension.call)
    indent = file.indent(file.span(extension.call.args[-1]).start)
    for name, argument in arguments.items():
        if name == "define_macros":
            edits.replace(
                file.span(argument.value), macros_text(run, extension, argument.value, indent), EXTENSION_CREATED
            )
        elif name == "py_limited_api":
            edits.replace(file.span(argument.value), "True", EXTENSION_CREATED)
    spread = settings_of(extension.call)
    if spread is not None:
        start = file.span(spread.value).start
        text = with_settings(run, extension._replace(name=""), file.text(spread.value), "", file.indent(start))
        edits.replace(Span(start - 2, file.span(spread.value).end), text, EXTENSION_CREATED)
        return
    missing = [] if "py_limited_api" in arguments else ["py_limited_api=True"]
    if "define_macros" not in arguments:
        missing.append(f"define_macros={macros_text(run, extension, None, indent)}")
    add_after(file, extension.call.args[-1], missing, edits, EXTENSION_CREATED)


def _globs(run: SetupRun, moving: Sequence[Element]) -> dict[cst.Call, str | None]:
    """The globs that found the moving sources, with the calls that find them from now on."""
    calls: dict[cst.Call, list[Element]] = {}
    for element in moving:
        if element.glob is not None:
            calls.setdefault(element.glob.call, []).append(element)
    return {
        call: glob_text(run, found[0].glob, found, run.created)
        for call, found in calls.items()
        if found[0].glob is not None
    }


def add_sources(run: SetupRun, member: Member, family: Sequence[Extension], created: Sequence[str]) -> None:
    """New sources behind the last one that always moves, in the list it is in, unless a glob finds them."""
    import libcst as cst

    file, moving = run.model.file, member.moving
    last = shared_first(member.always or list(moving), family)[-1]
    wanted = [path for path in created if not any(finds(run, element, path) for element in moving)]
    if not member.always and add_to_call(run, member.extension, [run.quoted(path) for path in wanted]):
        return
    wanted = [path for path in wanted if run.enters(path, last.list_node, member.extension)]
    texts = [f'"{posixpath.relpath(path, last.base)}"' if last.base else run.quoted(path) for path in wanted]
    if not texts:
        return
    if last.glob is not None:
        edits = [text for call, text in _globs(run, moving).items() if call is last.glob.call]
        run.edits.replace(file.span(last.node), f"{edits[0]} + [{', '.join(texts)}]", SETUP_SOURCE_MOVED)
    elif isinstance(last.list_node, cst.Call):
        add_statement(file, last.list_node, f"{last.name} += [{', '.join(texts)}]", run.edits, SETUP_SOURCE_MOVED)
    else:
        add_after(file, last.node, texts, run.edits, SETUP_SOURCE_MOVED)
