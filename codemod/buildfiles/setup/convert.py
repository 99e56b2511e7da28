"""An extension of which every source moves becomes the stable one where it stands."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from typing import TYPE_CHECKING

from codemod.buildfiles.codes import EXTENSION_CREATED, SETUP_SOURCE_MOVED
from codemod.buildfiles.setup.create import argument_names, macros_text, new_name, note_wheel_tag
from codemod.buildfiles.setup.mirror import finds, glob_text
from codemod.buildfiles.setup.model import Element, Extension
from codemod.buildfiles.setup.text import add_after, add_statement
from codemod.buildfiles.stable_target import short_name
from codemod.model import Severity

if TYPE_CHECKING:
    import libcst as cst

    from codemod.buildfiles.setup.run import SetupRun


def can_convert(run: SetupRun, extension: Extension, moving: Sequence[Element], others: Sequence[Extension]) -> bool:
    """Whether nothing of `extension` stays behind, and no list of it serves another one."""
    if extension.computed or extension.round is not None or len(moving) != len(extension.elements):
        return False
    if extension.name.rpartition(".")[2] != short_name(run.layout.legacy_library):
        return False
    nodes = {id(element.node) for element in moving}
    if any(element.base == "" for element in moving) or None in _globs(run, moving).values():
        return False
    return not any(id(element.node) in nodes for other in others for element in other.elements)


def convert(run: SetupRun, extension: Extension, moving: Sequence[Element], created: Sequence[str]) -> None:
    """Give `extension` the stable library's name, the new paths of its sources and the macros it needs."""
    file, edits = run.model.file, run.edits
    for element in moving:
        if element.glob is None:
            edits.replace(file.span(element.node), _in_place(run, element), SETUP_SOURCE_MOVED)
    for call, text in _globs(run, moving).items():
        edits.replace(file.span(call), text or "", SETUP_SOURCE_MOVED)
    _add_sources(run, moving, created)
    arguments = argument_names(extension.call)
    indent = file.indent(file.span(extension.call.args[-1]).start)
    for name, argument in arguments.items():
        if name == "name":
            edits.replace(
                file.span(argument.value), new_name(run, extension, file.text(argument.value)), EXTENSION_CREATED
            )
        elif name == "define_macros":
            edits.replace(
                file.span(argument.value), macros_text(run, extension, argument.value, indent), EXTENSION_CREATED
            )
        elif name == "py_limited_api":
            edits.replace(file.span(argument.value), "True", EXTENSION_CREATED)
    missing = [] if "py_limited_api" in arguments else ["py_limited_api=True"]
    if "define_macros" not in arguments:
        missing.append(f"define_macros={macros_text(run, extension, None, indent)}")
    add_after(file, extension.call.args[-1], missing, edits, EXTENSION_CREATED)
    note_wheel_tag(run, extension)
    run.report(
        EXTENSION_CREATED, Severity.NOTE, extension.call,
        f"every source of {extension.name} moves: it becomes {short_name(run.layout.stable_library)}",
    )  # fmt: skip


def _in_place(run: SetupRun, element: Element) -> str:
    """The literal for a source where it stands: what a comprehension puts in front of it stays in front."""
    if element.base is None:
        return run.new_literal(element)
    return f'"{posixpath.relpath(run.renames[element.path], element.base)}"'


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


def _add_sources(run: SetupRun, moving: Sequence[Element], created: Sequence[str]) -> None:
    """New sources behind the last one that moves, in the list it stands in, unless a glob finds them."""
    import libcst as cst

    file, last = run.model.file, moving[-1]
    wanted = [path for path in created if not any(finds(run, element, path) for element in moving)]
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
