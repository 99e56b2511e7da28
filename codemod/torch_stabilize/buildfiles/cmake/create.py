"""Write a stable target on first use, modelled on the legacy one, which it is written next to."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from torch_stabilize.buildfiles.cmake.carriers import sorted_by_form, take_over
from torch_stabilize.buildfiles.cmake.flow import CMakeProject, written_list
from torch_stabilize.buildfiles.cmake.linked import not_linked, objects_of, without_gaps
from torch_stabilize.buildfiles.cmake.lists import reindent, with_comment
from torch_stabilize.buildfiles.cmake.logic import residual
from torch_stabilize.buildfiles.cmake.model import Definition, Flow
from torch_stabilize.buildfiles.cmake.output import own_file
from torch_stabilize.buildfiles.cmake.run import HEADERS, CMakeRun
from torch_stabilize.buildfiles.cmake.settings import device_settings, macros_of
from torch_stabilize.buildfiles.cmake.site import is_before_helper, list_helper, reads
from torch_stabilize.buildfiles.cmake.syntax import CMakeFile, Command
from torch_stabilize.buildfiles.cmake.text import call, rendered, wrap
from torch_stabilize.buildfiles.codes import TARGET_CREATED
from torch_stabilize.model import Severity, Span
from torch_stabilize.repository.stable_target import (
    LIBRARY_MACRO,
    NAMESPACE_MACRO,
    stable_list_name,
    version_macro,
)

_COMPILED_WITH = (
    "target_include_directories", "target_compile_definitions", "target_compile_options", "target_link_libraries"
)  # fmt: skip


class StableTarget(NamedTuple):
    """The target to write: the legacy one it follows, its name, and sources that are new."""

    legacy: Definition
    name: str
    created: tuple[str, ...]


def create_target(run: CMakeRun, wanted: StableTarget, flows: Sequence[Flow]) -> None:
    """Insert the whole definition behind everything that belongs to the legacy target."""
    project, legacy = run.project, wanted.legacy
    file = project.files[legacy.command.path]
    related = related_commands(project, legacy)
    indent = file.indent(legacy.command.span.start)
    list_name = _list_name(run, wanted, flows)
    known = legacy.command.conditions
    own, elsewhere = _contiguous(project, legacy, related)
    rename = _Renamer(legacy.name, wanted.name)
    parts = [
        f"{indent}#\n{indent}# {wanted.name} extension: built from the libtorch stable ABI alone, so that one binary\n"
        f"{indent}# serves every torch from {run.target} on\n{indent}#\n",
        _version_check(run, wanted, indent),
        _lists(run, wanted, flows, list_name, known, indent),
        *_carriers(run, flows, list_name, legacy, indent, before=True),
        _helpers(run, wanted, flows, list_name, indent),
        *_carriers(run, flows, list_name, legacy, indent, before=False),
        _definition(run, wanted, flows, list_name, rename),
        *(_copied(run, file, command, rename, known, indent) for command in own),
        *_of_parts(run, wanted, flows, indent),
        _settings(run, wanted, known, indent),
    ]
    at = max(file.line_end(command.span.end) for command in (legacy.command, *_enclosing_ends(file, legacy, own)))
    text = "\n" + "\n".join(part for part in parts if part)
    run.edits[file.path].insert(at, text, TARGET_CREATED)
    for command in elsewhere:
        _repeat(run, file, command, rename, legacy.name, wanted.name)
    run.report(
        TARGET_CREATED, Severity.NOTE, file.path, legacy.command.span,
        f"{wanted.name} is defined next to {legacy.name}, with the same flags and libraries",
    )  # fmt: skip


def related_commands(project: CMakeProject, definition: Definition) -> list[Command]:
    """The calls behind a definition that name its target, less those of another definition of that name."""
    file = project.files[definition.command.path]
    found = []
    others = [d.command for d in project.definitions if d.name == definition.name and d.command.path == file.path]
    for command in file.commands:
        if command.span.start <= definition.command.span.start or command.function is not None:
            continue
        if command in others or _is_of_another(command, definition.command, others):
            continue
        names = [project.expand(argument.text, file.path) for argument in command.arguments]
        left_out = ("target_sources", "set", "list", "message", *project.definers)
        if definition.name in names and command.name not in left_out:
            found.append(command)
    return found


def _is_of_another(command: Command, definition: Command, others: Sequence[Command]) -> bool:
    """Whether `command` is about the target as one of `others` defines it: in the same arms, or the first is meant."""
    around = [other for other in others if command.frames[: len(other.frames)] == other.frames]
    if not around:
        return definition != others[0]
    return max(around, key=lambda other: (len(other.frames), -other.span.start)) != definition


def _contiguous(
    project: CMakeProject, legacy: Definition, related: Sequence[Command]
) -> tuple[list[Command], list[Command]]:
    """Calls before the next target's definition, which are copied as one, and those further on."""
    others = [
        d.command.span.start
        for d in project.definitions
        if d.command.path == legacy.command.path and d.command.span.start > legacy.command.span.start
    ]
    limit = min(others, default=None)
    depth = len(legacy.command.frames)
    own: list[Command] = []
    elsewhere: list[Command] = []
    for command in related:
        near = (limit is None or command.span.start < limit) and command.frames[:depth] == legacy.command.frames
        names = [a.text for a in command.arguments]
        several = command.name == "install" and names[:1] == ["TARGETS"] and len(_install_targets(command)) > 1
        (own if near and not several else elsewhere).append(command)
    return own, elsewhere


def _install_targets(command: Command) -> list[str]:
    names = []
    for argument in command.arguments[1:]:
        if re.fullmatch(r"[A-Z_]+", argument.text) and not argument.text.startswith("_"):
            break
        names.append(argument.text)
    return names


def _enclosing_ends(file: CMakeFile, legacy: Definition, own: Sequence[Command]) -> list[Command]:
    """For each copied call, a call whose end is behind the block it is in."""
    depth = len(legacy.command.frames)
    found = []
    for command in own:
        deeper = command.frames[depth:]
        if deeper:
            block = deeper[0].block
            found.append(Command(file.path, "endif", block.closing, (), legacy.command.frames))
        else:
            found.append(command)
    return found


class _Renamer(NamedTuple):
    """Puts the new target's name where the old one is as a word."""

    old: str
    new: str

    def __call__(self, text: str) -> str:
        return re.sub(rf"(?<![\w.]){re.escape(self.old)}(?!\w)", self.new, text)


def _list_name(run: CMakeRun, wanted: StableTarget, flows: Sequence[Flow]) -> str:
    """A name for the list of the new target that no other list has."""
    legacy = wanted.legacy
    own = re.sub(r"\W", "_", f"{legacy.name.strip('_').upper()}_STABLE_SOURCES")
    names = [flow.variables[-1] for flow in flows if flow.variables]
    others = [d for d in run.project.definitions if d != legacy]
    shared = {v for d in others for flow in run.project.flows(d) for v in flow.variables}
    alone = [name for name in names if name not in shared]
    if run.layout.variants and names and not alone:
        return own
    return stable_list_name((alone or names)[0]) if names else own


def _version_check(run: CMakeRun, wanted: StableTarget, indent: str) -> str:
    """An error at configure time on a torch that lacks what the target uses."""
    finds_torch = any(
        command.name == "find_package" and command.first == "Torch"
        for file in run.project.files.values()
        for command in file.commands
    )
    if not finds_torch:
        run.report(
            TARGET_CREATED, Severity.WARNING, wanted.legacy.command.path, wanted.legacy.command.span,
            "torch is not found with find_package(Torch): no check of its version was written",
            f"Stop the configuration with an error where torch is older than {run.target}.",
        )  # fmt: skip
        return ""
    message = f'"{wanted.name} needs torch {run.target} or newer, found ${{Torch_VERSION}}."'
    body = f"{indent}message(FATAL_ERROR\n{indent}  {message})\n"
    return wrap([f"Torch_VERSION VERSION_LESS {run.target}"], body, indent)


def _lists(
    run: CMakeRun, wanted: StableTarget, flows: Sequence[Flow], name: str, known: Sequence[str], indent: str
) -> str:
    """The list with the new sources and the moved ones, conditional ones under their conditions."""
    folder = run.project.source_dir(wanted.legacy.command.path) or "."
    by_condition: dict[tuple[str, ...], list[str]] = {(): [posixpath.relpath(p, folder) for p in wanted.created]}
    for flow in sorted_by_form(flows)[0]:
        if not flow.path.endswith(HEADERS):
            conditions = residual(flow.conditions, known, run.project.domains)
            by_condition.setdefault(conditions, []).append(run.new_text(flow, wanted.legacy.command.path))
    text = call("set", [name], [f'"{source}"' for source in by_condition.pop(())], indent)
    for conditions, sources in by_condition.items():
        body = call("list", ["APPEND", name], [f'"{source}"' for source in sources], indent)
        text += wrap(conditions, body, indent)
    return text


def _helpers(run: CMakeRun, wanted: StableTarget, flows: Sequence[Flow], name: str, indent: str) -> str:
    """The calls that treat every source of the legacy list, for the stable list too."""
    legacy = wanted.legacy.command
    lists = dict.fromkeys(flow.variables[-1] for flow in flows if flow.variables)
    file = run.project.files[legacy.path]
    defining = [definition.command for definition in run.project.definitions]
    text = ""
    for variable in lists:
        start = next((c for c in file.commands if written_list(c) == variable), None)
        if start is None or list_helper(file, variable, start, legacy) is None:
            continue
        for command in (command for command in file.commands if command not in defining):
            is_helper = list_helper(file, variable, command, legacy) if command == start else None
            between = start.span.start < command.span.start < legacy.span.start
            if between and reads(command, variable) and written_list(command) is None and is_helper is None:
                if command.name in ("message", "foreach", "include", "if"):
                    continue
                conditions = residual(command.conditions, legacy.conditions, run.project.domains)
                body = reindent(file.text(command.span), file.indent(command.span.start), indent)
                body = body.replace(f"${{{variable}}}", f"${{{name}}}").replace("\r\n", "\n")
                text += wrap(conditions, f"{indent}{body}\n", indent)
    return text


def _carriers(
    run: CMakeRun, flows: Sequence[Flow], name: str, legacy: Definition, indent: str, *, before: bool
) -> list[str]:
    """Blocks that belong to moving sources alone, taken over whole; other carried sources in a block of their own."""
    texts = []
    command = legacy.command
    for group in sorted_by_form(flows)[1]:
        if is_before_helper(run.project, group[0], group[0].steps[1]) != before:
            continue
        until = command.span.start
        taken = take_over(run, group, f"list(APPEND {name}", command.conditions, command.frames, until)
        texts.append(wrap(taken.conditions, reindent(taken.text, taken.indent, indent), indent))
    return texts


def _definition(
    run: CMakeRun, wanted: StableTarget, flows: Sequence[Flow], list_name: str, rename: _Renamer
) -> str:  # fmt: skip
    """The legacy call with the new name and list; `USE_SABI 3` where the project builds for the limited API."""
    legacy = wanted.legacy.command
    file = run.project.files[legacy.path]
    replacements: dict[Span, str] = {}
    sources = run.project.source_arguments(legacy)
    carriers = [a for a in sources if any(_feeds(run, wanted.legacy, a.text, i.text) for i in a.items)]
    for index, argument in enumerate(carriers):
        replacements[argument.span] = f"${{{list_name}}}" if index == 0 else ""
    replacements |= {argument.span: "" for argument in sources if objects_of(run, argument.text, flows)}
    for argument in legacy.arguments:
        if argument.span not in replacements:
            replacements[argument.span] = rename(file.text(argument.span))
    text = rendered(file, legacy.span, replacements)
    if not carriers:  # all of its sources come by `target_sources`
        text = f"{text.rstrip()[:-1].rstrip()} ${{{list_name}}})"
    text = re.sub(r"[ \t]+(?=\n|\))", "", re.sub(r"\n[ \t]*(?=\n)", "", text))
    indent = file.indent(legacy.span.start)
    return indent + _with_limited_api(run, legacy, text, indent) + "\n"


def _feeds(run: CMakeRun, legacy: Definition, argument: str, item: str) -> bool:
    """Whether an argument of the defining call brings sources: a list of them, or one itself."""
    for flow in run.project.flows(legacy):
        if flow.variables and item == f"${{{flow.variables[-1]}}}":
            return True
        if not flow.variables and flow.steps[-1] == legacy.command and flow.item.text == item:
            return True
    return False


def _with_limited_api(run: CMakeRun, legacy: Command, text: str, indent: str) -> str:
    words = {argument.text for argument in legacy.arguments}
    if "USE_SABI" in words:
        return text
    everything = "\n".join(file.text(Span(0, len(file.data))) for file in run.project.files.values())
    if legacy.name == "python_add_library":
        if "SABIModule" in everything:
            return re.sub(r"\bMODULE\b", "MODULE USE_SABI 3", text, count=1)
    elif legacy.name in run.project.definers and re.search(r"USE_SABI", everything):
        at = re.search(r"\s*\bWITH_SOABI\b", text) or re.search(r"\s*\)\Z", text)
        if at:
            gap = "\n" + indent + "  " if "\n" in text else " "
            return f"{text[: at.start()]}{gap}USE_SABI 3{text[at.start() :]}"
    run.report(
        TARGET_CREATED, Severity.NOTE, legacy.path, legacy.span,
        "the project does not build for Python's limited API: the new library is tied to one Python version",
        "Find Python with Development.SABIModule and give the new target USE_SABI 3 to serve every Python.",
    )  # fmt: skip
    return text


def _copied(
    run: CMakeRun, file: CMakeFile, command: Command, rename: _Renamer, known: Sequence[str], indent: str
) -> str:
    """A call that names the legacy target, for the stable one."""
    start = Span(with_comment(file, command.span).start, command.span.end)
    if command.arguments and any("TORCH_TARGET_VERSION" in a.text for a in command.arguments):
        return ""
    out = not_linked(run, command, rename.new)
    if out is None:
        return ""
    out |= own_file(run, command, rename.old, rename.new)
    text = rendered(file, start, {a.span: rename(file.text(a.span)) for a in command.arguments} | out)
    text = without_gaps(text) if out else text
    conditions = residual(command.conditions, known, run.project.domains)
    return wrap(conditions, reindent(text, file.indent(command.span.start), indent) + "\n", indent)


def _of_parts(run: CMakeRun, wanted: StableTarget, flows: Sequence[Flow], indent: str) -> Iterator[str]:
    """What the static and object libraries that moved sources come from are compiled with, for the stable target."""
    file = run.project.files[wanted.legacy.command.path]
    known = wanted.legacy.command.conditions
    for part in dict.fromkeys(flow.definition for flow in flows if flow.definition != wanted.legacy):
        if part.command.path == file.path and part.name != wanted.legacy.name:
            rename = _Renamer(part.name, wanted.name)
            for command in related_commands(run.project, part):
                if command.name in _COMPILED_WITH and run.project.expand(command.first, file.path) == part.name:
                    yield _copied(run, file, command, rename, known, indent)


def _repeat(run: CMakeRun, file: CMakeFile, command: Command, rename: _Renamer, old: str, new: str) -> None:
    """A call far from the definition: the new target is named in it, or it is repeated behind itself."""
    if command.name == "install" and command.first == "TARGETS":
        argument = next(a for a in command.arguments if run.project.expand(a.text, file.path) == old)
        run.edits[file.path].insert(argument.span.end, f" {new}", TARGET_CREATED)
        return
    out = not_linked(run, command, new)
    if out is None:
        return
    out |= own_file(run, command, old, new)
    indent = file.indent(command.span.start)
    text = rendered(file, command.span, {a.span: rename(file.text(a.span)) for a in command.arguments} | out)
    text = without_gaps(text) if out else text
    run.edits[file.path].insert(file.line_end(command.span.end), f"{indent}{text}\n", TARGET_CREATED)


def _settings(run: CMakeRun, wanted: StableTarget, known: Sequence[str], indent: str) -> str:
    macros = macros_of(run.project, wanted.legacy)
    value = f"TORCH_TARGET_VERSION={version_macro(run.target)}"
    text = f"{indent}# The oldest torch that the library runs on; hides what later ones added\n"
    text += f"{indent}target_compile_definitions({wanted.name} PRIVATE {value})\n"
    if run.layout.variants:
        text += f"{indent}# Several libraries are built of one file of bindings: what each is called\n"
        names = [f"{LIBRARY_MACRO}={wanted.name}"]
        if run.layout.has_computed_namespace:
            names.append(f"{NAMESPACE_MACRO}={wanted.legacy.name}")
        text += f"{indent}target_compile_definitions({wanted.name} PRIVATE {' '.join(names)})\n"
    devices = device_settings(run.project, wanted.legacy, known, wanted.name)
    if devices and not {"USE_CUDA", "USE_ROCM"} & set(macros):
        text += f"\n{indent}# Makes the stable headers declare the device API\n"
        for conditions, macro in devices:
            text += wrap(conditions, f"{indent}target_compile_definitions({wanted.name} PRIVATE {macro})\n", indent)
    return text
