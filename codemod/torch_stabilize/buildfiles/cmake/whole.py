"""A target that is converted where it is: it gets the macros of the stable ABI and keeps its name and sources."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence

from torch_stabilize.buildfiles.cmake.create import related_commands
from torch_stabilize.buildfiles.cmake.model import Definition
from torch_stabilize.buildfiles.cmake.run import CMakeRun
from torch_stabilize.buildfiles.cmake.settings import device_settings, macros_of
from torch_stabilize.buildfiles.cmake.text import call, wrap
from torch_stabilize.buildfiles.codes import DEFINITION
from torch_stabilize.model import Severity
from torch_stabilize.repository.codes import CONVERTED_IN_PLACE
from torch_stabilize.repository.stable_target import short_name, version_macro

_SETTERS = ("target_compile_definitions", "target_link_libraries", "target_include_directories")


def convert_in_place(run: CMakeRun, created: Sequence[str]) -> frozenset[str]:
    """Give every target that makes the library what the stable ABI needs, and the sources that are `created`.

    Says which units such a target builds: all that migrate, where there is one.
    """
    wanted = short_name(run.layout.legacy_library)
    members = {d: {flow.path for flow in run.project.flows(d)} for d in run.project.definitions}
    read = [d for d in members if (d.command.path, d.command.span.start) in run.layout.entries]
    targets = read or [definition for definition in members if definition.name == wanted]
    for definition in targets:
        if "TORCH_TARGET_VERSION" not in macros_of(run.project, definition):
            _convert(run, definition, [path for path in created if path not in members[definition]])
            run.entered.update(created)
    return frozenset(run.units if targets else ())


def _convert(run: CMakeRun, definition: Definition, created: Sequence[str]) -> None:
    project, command = run.project, definition.command
    file = project.files[command.path]
    indent, known = file.indent(command.span.start), command.conditions
    value = f"TORCH_TARGET_VERSION={version_macro(run.target)}"
    text = f"{indent}# The oldest torch that the library runs on; hides what later ones added\n"
    text += f"{indent}target_compile_definitions({definition.name} PRIVATE {value})\n"
    if not {"USE_CUDA", "USE_ROCM"} & set(macros_of(project, definition)):
        for conditions, macro in device_settings(project, definition, known, definition.name):
            body = f"{indent}target_compile_definitions({definition.name} PRIVATE {macro})\n"
            text += wrap(conditions, body, indent)
    if created:
        folder = project.source_dir(command.path) or "."
        sources = [f'"{posixpath.relpath(path, folder)}"' for path in created]
        text += call("target_sources", [definition.name, "PRIVATE"], sources, indent)
    same = [c for c in related_commands(project, definition) if c.name in _SETTERS and c.frames == command.frames]
    last = max((command, *same), key=lambda one: one.span.end)
    run.edits[file.path].insert(file.line_end(last.span.end), f"\n{text}", DEFINITION)
    run.report(
        CONVERTED_IN_PLACE, Severity.NOTE, file.path, command.span,
        f"{definition.name} is built for the stable ABI from here on, under its own name",
    )  # fmt: skip
