"""What a stable target is compiled with: TORCH_TARGET_VERSION, USE_CUDA or USE_ROCM, and what its new sources test."""

from __future__ import annotations

import re
from collections.abc import Sequence

from torch_stabilize.buildfiles.cmake.flow import CMakeProject
from torch_stabilize.buildfiles.cmake.lists import with_comment
from torch_stabilize.buildfiles.cmake.logic import implies, residual
from torch_stabilize.buildfiles.cmake.model import Definition, Flow
from torch_stabilize.buildfiles.cmake.run import CMakeRun
from torch_stabilize.buildfiles.cmake.site import StableSite
from torch_stabilize.buildfiles.cmake.syntax import VARIABLE, CMakeFile, Command
from torch_stabilize.buildfiles.cmake.text import wrap
from torch_stabilize.buildfiles.codes import DEFINITION, VERSION_RAISED
from torch_stabilize.model import Severity, Span
from torch_stabilize.repository.stable_target import version_macro, version_of_macro, version_tuple
from torch_stabilize.source.patterns import whole_word

_HEX = re.compile(r"0[xX][0-9a-fA-F]+(?:[uUlL]*)")
_MACRO = re.compile(r"(?:-D)?([A-Za-z_]\w*)(?:=.*)?\Z")
_DEVICE_MACROS = {"CUDA": "USE_CUDA", "HIP": "USE_ROCM", "ROCM": "USE_ROCM"}
_SETTERS = ("target_compile_definitions", "target_compile_options", "set_target_properties")


def settings_of(project: CMakeProject, definition: Definition) -> list[Command]:
    """The calls that define macros for a target."""
    file = project.files[definition.command.path]
    return [c for c in file.commands if c.name in _SETTERS and project.expand(c.first, file.path) == definition.name]


def macros_of(project: CMakeProject, definition: Definition) -> dict[str, Command]:
    """The preprocessor macros a target is known to define: name -> the call."""
    found: dict[str, Command] = {}
    for command in (definition.command, *settings_of(project, definition)):
        for argument in command.arguments[1:]:
            for item in argument.items:
                match = _MACRO.match(item.text)
                is_plain = command.name == "target_compile_definitions"
                if match and (is_plain or item.text.startswith("-D")) and match.group(1) not in ("PRIVATE", "PUBLIC"):
                    found.setdefault(match.group(1), command)
    return found


def flags_of(project: CMakeProject, definition: Definition) -> str:
    """All text that the variables in the defining call are given, for a look at what it mentions."""
    names = {name for argument in definition.command.arguments for name in VARIABLE.findall(argument.text)}
    texts = []
    for file in project.files.values():
        for command in file.commands:
            if command.name in ("set", "list") and names & {argument.text for argument in command.arguments[:2]}:
                texts.append(file.text(command.span))
    return "\n".join(texts)


def device_settings(
    project: CMakeProject, definition: Definition, conditions: Sequence[str], name: str
) -> list[tuple[tuple[str, ...], str]]:
    """USE_CUDA and USE_ROCM with the condition each needs, below `conditions`, for a target like `definition`.

    The condition is read from the language the target is built in, else from the conditions of its .cu sources.
    """
    for argument in definition.command.arguments:
        match = VARIABLE.fullmatch(argument.text)
        values = project.domains.get(match.group(1), ()) if match else ()
        if match and any(value.upper() in _DEVICE_MACROS for value in values):
            pairs = [(f'{match.group(1)} STREQUAL "{v}"', _DEVICE_MACROS.get(v.upper())) for v in values]
            may_be = [(c, m) for c, m in pairs if m and not implies(conditions, [f"NOT ( {c} )"], project.domains)]
            return [(residual([c], conditions, project.domains), macro) for c, macro in may_be]
    cuda = [flow for flow in project.flows(definition) if flow.path.endswith(".cu")]
    if not cuda:
        return []
    found: dict[str, tuple[str, ...]] = {}
    for flow in cuda:
        needed = residual(flow.conditions, conditions, project.domains)
        is_rocm = _is_for_rocm((*conditions, *needed)) or _includes_hip(project, flow.path)
        macro = "USE_ROCM" if is_rocm else "USE_CUDA"
        if macro not in found or len(needed) < len(found[macro]):
            found[macro] = needed
    if "USE_CUDA" in found:
        found["USE_CUDA"] = found["USE_CUDA"][:1]
    return [(found[macro], macro) for macro in sorted(found)]


_HIP = re.compile(
    rb"^[ \t]*#[ \t]*include[ \t]*[<\"](?:hip/|hip[a-z]+/hip|roc[a-z]+/|ATen/hip/|c10/hip/)", re.MULTILINE
)
_CUDA = re.compile(rb"^[ \t]*#[ \t]*include[ \t]*[<\"](?:cu(?:da|blas|b/)\w*|ATen/cuda/|c10/cuda/)", re.MULTILINE)


def _includes_hip(project: CMakeProject, path: str) -> bool:
    """Whether a source includes headers of AMD's toolkit, and none of NVIDIA's."""
    data = project.snapshot.read(path) if project.snapshot.exists(path) else b""
    return _HIP.search(data) is not None and _CUDA.search(data) is None


def _is_for_rocm(conditions: Sequence[str]) -> bool:
    """Whether one of the conditions, and not its negation, speaks of AMD's toolkit."""
    return any(re.search(r"HIP|ROCM", c.upper()) for c in conditions if not c.startswith("NOT "))


def ensure_settings(run: CMakeRun, site: StableSite, flows: Sequence[Flow]) -> None:
    """Give a stable target that exists what it lacks for its new sources."""
    file = site.file
    macros = macros_of(run.project, site.definition)
    lines: list[str] = []
    indent = file.indent(site.definition.command.span.start)
    _raise_version(run, site, macros)
    name = site.definition.name
    if not any("TORCH_TARGET_VERSION" in macro for macro in macros):
        value = f"TORCH_TARGET_VERSION={version_macro(run.target)}"
        lines.append(f"{indent}target_compile_definitions({name} PRIVATE {value})\n")
    if any(flow.path.endswith(".cu") for flow in flows) and not {"USE_CUDA", "USE_ROCM"} & set(macros):
        known = site.conditions_all()
        for conditions, macro in device_settings(run.project, flows[0].definition, known, name):
            body = f"{indent}target_compile_definitions({name} PRIVATE {macro})\n"
            lines.append(wrap(conditions, body, indent))
    lines.extend(_wanted_macros(run, site, flows, macros, indent))
    if lines:
        at = file.line_end(_last_setting(run.project, site.definition).end)
        run.edits[file.path].insert(at, "\n" + "".join(lines), DEFINITION)


def _last_setting(project: CMakeProject, definition: Definition) -> Span:
    same = [c for c in settings_of(project, definition) if c.frames == definition.command.frames]
    return max((c.span for c in (definition.command, *same)), key=lambda span: span.end)


def _wanted_macros(
    run: CMakeRun, site: StableSite, flows: Sequence[Flow], macros: dict[str, Command], indent: str
) -> list[str]:
    """Macros of the legacy target that the moving sources test and the stable target does not define."""
    lines = []
    flags = flags_of(run.project, site.definition)
    for macro, command in macros_of(run.project, flows[0].definition).items():
        if command == flows[0].definition.command or macro in macros or re.search(rf"-D{macro}\b", flags):
            continue
        if macro in ("TORCH_EXTENSION_NAME", "USE_CUDA", "USE_ROCM") or not _tested(run, flows, macro):
            continue
        text = next(i.text for a in command.arguments[1:] for i in a.items if re.match(rf"(-D)?{macro}\b", i.text))
        body = f"{indent}target_compile_definitions({site.definition.name} PRIVATE {text.removeprefix('-D')})\n"
        conditions = residual(command.conditions, site.conditions, run.project.domains)
        lines.append(wrap(conditions, body, indent))
    return lines


def _tested(run: CMakeRun, flows: Sequence[Flow], macro: str) -> bool:
    pattern = re.compile(whole_word(macro.encode()))
    paths = {flow.path for flow in flows} | {path for path in run.renames if path not in run.units}
    snapshot = run.project.snapshot
    return any(pattern.search(snapshot.read(path)) for path in sorted(paths) if snapshot.exists(path))


def _raise_version(run: CMakeRun, site: StableSite, macros: dict[str, Command]) -> None:
    """A target older than the one asked for is raised; a newer one stays."""
    wanted = version_tuple(run.target)
    found = []
    for command in settings_of(run.project, site.definition):
        for argument in command.arguments[1:]:
            version = version_of_macro(argument.text)
            if version is not None:
                found.append((version, command, argument.span, argument.text))
    if not found or max(version for version, *_ in found) >= wanted:
        return
    for version, command, span, text in found:
        value = version_macro(run.target)
        if re.search(r"0x[0-9a-fA-F]*[A-F]", text):
            value = "0x" + value[2:-3].upper() + "ULL"
        quote = '"' if site.file.data[span.start : span.start + 1] == b'"' else ""
        run.edits[site.file.path].replace(span, f"{quote}{_HEX.sub(value, text)}{quote}", VERSION_RAISED)
        _update_comment(run, site.file, command, version)
        run.report(
            VERSION_RAISED, Severity.NOTE, site.file.path, span,
            f"{site.definition.name} now needs torch {run.target}; it needed {version[0]}.{version[1]}",
        )  # fmt: skip


def _update_comment(run: CMakeRun, file: CMakeFile, command: Command, version: tuple[int, int, int]) -> None:
    """The version in the comment above is edited with it."""
    comment = Span(with_comment(file, command.span).start, file.line_start(command.span.start))
    old = re.compile(rf"(?<![\d.]){version[0]}\.{version[1]}(?![\d]|\.\d)")
    for match in old.finditer(file.text(comment)):
        start = comment.start + len(file.text(comment)[: match.start()].encode())
        span = Span(start, start + len(match.group().encode()))
        run.edits[file.path].replace(span, ".".join(run.target.split(".")[:2]), VERSION_RAISED)
