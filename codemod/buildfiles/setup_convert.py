"""An extension of which every source moves becomes the stable one where it stands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from codemod.buildfiles.codes import EXTENSION_CREATED, SETUP_SOURCE_MOVED
from codemod.buildfiles.setup_create import argument_names, macros_text, new_name, note_wheel_tag
from codemod.buildfiles.setup_model import Element, Extension
from codemod.buildfiles.setup_text import add_after, add_statement
from codemod.buildfiles.stable_target import short_name
from codemod.model import Severity

if TYPE_CHECKING:
    from codemod.buildfiles.setup_py import SetupRun


def can_convert(run: SetupRun, extension: Extension, moving: Sequence[Element], others: Sequence[Extension]) -> bool:
    """Whether nothing of `extension` stays behind, and no list of it serves another one."""
    if extension.computed or len(moving) != len(extension.elements):
        return False
    if extension.name.rpartition(".")[2] != short_name(run.layout.legacy_library):
        return False
    nodes = {id(element.node) for element in moving}
    return not any(id(element.node) in nodes for other in others for element in other.elements)


def convert(run: SetupRun, extension: Extension, moving: Sequence[Element], created: Sequence[str]) -> None:
    """Give `extension` the stable library's name, the new paths of its sources and the macros it needs."""
    file, edits = run.model.file, run.edits
    for element in moving:
        edits.replace(file.span(element.node), run.new_literal(element), SETUP_SOURCE_MOVED)
    _add_sources(run, moving[-1], created)
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


def _add_sources(run: SetupRun, last: Element, created: Sequence[str]) -> None:
    """New sources behind the last one that moves, in the list it stands in."""
    import libcst as cst

    prefix = f"{run.model.folder}/" if run.model.folder else ""
    texts = [f'"{path.removeprefix(prefix)}"' for path in created]
    if not texts:
        return
    if isinstance(last.list_node, cst.Call):
        add_statement(
            run.model.file, last.list_node, f"{last.name} += [{', '.join(texts)}]", run.edits, SETUP_SOURCE_MOVED
        )
    else:
        add_after(run.model.file, last.node, texts, run.edits, SETUP_SOURCE_MOVED)
