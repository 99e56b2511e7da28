"""What CMake files build, as entries of the program."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence

from torch_stabilize.buildfiles.cmake.flow import CMakeProject
from torch_stabilize.buildfiles.cmake.loops import WrittenOut, unknown_places
from torch_stabilize.buildfiles.cmake.model import Definition, Flow
from torch_stabilize.buildfiles.cmake.settings import flags_of, macros_of
from torch_stabilize.buildfiles.cmake.syntax import VARIABLE, CMakeFile, Command, read_cmake
from torch_stabilize.buildfiles.cmake.written_loops import loops_of
from torch_stabilize.buildfiles.model import Abi, BuildEntry, EntryKind, Gap, GapKind, Origin, Source
from torch_stabilize.model import Refusal, Span
from torch_stabilize.repository.snapshot import Snapshot

_KINDS = {
    "MODULE": EntryKind.MODULE,
    "SHARED": EntryKind.SHARED,
    "STATIC": EntryKind.STATIC,
    "OBJECT": EntryKind.OBJECT,
}
_VALUE = re.compile(r"(?:-D)?(?P<name>[A-Za-z_]\w*)(?:=(?P<value>.*))?\Z")
OBJECTS = re.compile(r"\$<TARGET_OBJECTS:([^>]+)>")
_LINK_WORDS = frozenset(
    {"PRIVATE", "PUBLIC", "INTERFACE", "LINK_PRIVATE", "LINK_PUBLIC", "debug", "optimized", "general"}
)
_FOLDER_WORDS = frozenset({"PRIVATE", "PUBLIC", "INTERFACE", "SYSTEM", "BEFORE", "AFTER"})


def read_cmake_entries(snapshot: Snapshot, paths: Sequence[str]) -> tuple[tuple[BuildEntry, ...], tuple[Gap, ...]]:
    """The targets that `paths` define, and what could not be read of them."""
    files: dict[str, CMakeFile] = {}
    gaps = []
    for path in paths:
        try:
            files[path] = read_cmake(path, snapshot.read(path))
        except Refusal as refusal:
            gaps.append(Gap(GapKind.FILE, path, Span(0, 0), str(refusal)))
    written = CMakeProject(files, snapshot)
    loops = loops_of(snapshot, paths)
    project = CMakeProject({**files, **{path: one.file for path, one in loops.items()}}, snapshot) if loops else written
    for definition in written.misnamed:
        named = definition.command
        gaps.append(Gap(GapKind.NAME, named.path, named.span, "the name of a target is not UTF-8"))
    entries = [_entry(project, definition) for definition in project.definitions]
    entries = [_as_written(entry, loops) if entry.file in loops else entry for entry in entries]
    return (*entries, *_unknown(written)), tuple(gaps)


def _as_written(entry: BuildEntry, loops: Mapping[str, WrittenOut]) -> BuildEntry:
    """`entry`, read from files whose loops are written out, with its places in the files as they are."""

    def place(path: str, span: Span) -> Span:
        return loops[path].was(span) if path in loops else span

    def is_new(path: str, span: Span) -> bool:
        return path in loops and loops[path].is_new(span)

    sources = tuple(
        source._replace(
            written=place(source.file, source.written),
            origin=Origin.LOOP if is_new(source.file, source.written) else source.origin,
        )
        for source in entry.sources
    )
    gaps = tuple(gap._replace(span=place(gap.path, gap.span)) for gap in entry.gaps)
    name = entry.name if is_new(entry.file, entry.span) else ""
    return entry._replace(span=place(entry.file, entry.span), sources=sources, gaps=gaps, round=name)


def _unknown(project: CMakeProject) -> Iterator[BuildEntry]:
    """Loops and functions that make libraries which cannot be told, each as an entry without a name."""
    for path, file in project.files.items():
        for span in unknown_places(project, file):
            why = "this makes libraries or lists of sources under computed names"
            gap = Gap(GapKind.SOURCES, path, span, why)
            yield BuildEntry("cmake", path, span, "", abi=Abi.UNKNOWN, gaps=(gap,))


def _entry(project: CMakeProject, definition: Definition) -> BuildEntry:
    command = definition.command
    sources = tuple(_source(flow) for flow in sorted(project.flows(definition), key=lambda flow: flow.item.span))
    macros = tuple(_macros(project, definition))
    stable = any(name in ("TORCH_TARGET_VERSION", "TORCH_STABLE_ONLY") for name, _ in macros)
    return BuildEntry(
        system="cmake",
        file=command.path,
        span=command.span,
        name=definition.name,
        kind=kind_of(command),
        when=command.conditions,
        sources=sources,
        include_dirs=tuple(_folders(project, definition)),
        macros=macros,
        links=tuple(links_of(project, definition)),
        abi=Abi.STABLE if stable else Abi.LEGACY,
        gaps=tuple(_gaps(project, command)),
        always=frozenset(
            name
            for name, setting in macros_of(project, definition).items()
            if set(setting.conditions) <= set(command.conditions)
        ),
    )


def kind_of(command: Command) -> EntryKind:
    """What a defining call makes."""
    if command.name == "add_executable":
        return EntryKind.PROGRAM
    words = [argument.text for argument in command.arguments[1:]]
    named = next((_KINDS[word] for word in words if word in _KINDS), None)
    if named is None and command.name in ("add_library", "cuda_add_library", "hip_add_library"):
        return EntryKind.STATIC
    return named or EntryKind.MODULE


def _source(flow: Flow) -> Source:
    return Source(
        flow.path,
        flow.steps[0].path,
        flow.item.span,
        flow.variables[0] if flow.variables else "",
        flow.conditions,
        Origin.GLOB if flow.glob else Origin.LITERAL,
        flow.item.text if flow.glob else "",
    )


def _macros(project: CMakeProject, definition: Definition) -> Iterator[tuple[str, str]]:
    for name, command in macros_of(project, definition).items():
        texts = [item.text for argument in command.arguments[1:] for item in argument.items]
        values = (match["value"] for text in texts if (match := _VALUE.match(text)) and match["name"] == name)
        yield name, next((value for value in values if value), "")
    if "TORCH_TARGET_VERSION" in flags_of(project, definition):
        yield "TORCH_TARGET_VERSION", ""


def _commands(project: CMakeProject, names: Sequence[str], target: str) -> Iterator[tuple[CMakeFile, Command]]:
    """The calls of `names` about `target`."""
    for file in project.files.values():
        for command in file.commands:
            if command.name in names and project.expand(command.first, file.path) == target:
                yield file, command


def links_of(project: CMakeProject, definition: Definition) -> Iterator[str]:
    """The names of what is linked into a target."""
    for argument in definition.command.arguments[1:]:
        yield from OBJECTS.findall(argument.text)
    for file, command in _commands(project, ("target_link_libraries", "target_sources"), definition.name):
        for argument in command.arguments[1:]:
            text = project.expand(argument.text, file.path)
            yield from OBJECTS.findall(text)
            if command.name == "target_link_libraries" and text not in _LINK_WORDS and "$" not in text:
                yield text


def _folders(project: CMakeProject, definition: Definition) -> Iterator[str]:
    """The folders of the repository that a target's compiler searches."""
    for file in project.files.values():
        for command in file.commands:
            if command.name == "include_directories":
                arguments = command.arguments
            elif command.name in ("target_include_directories", "set_target_properties"):
                if project.expand(command.first, file.path) != definition.name:
                    continue
                arguments = command.arguments[1:]
            elif command is definition.command:
                arguments = command.arguments[1:]
            else:
                continue
            for argument in arguments:
                if argument.text in _FOLDER_WORDS:
                    continue
                for item in argument.items:
                    folder = _folder(project, item.text, file.path)
                    if folder is not None:
                        yield folder


def _folder(project: CMakeProject, text: str, path: str) -> str | None:
    """The folder that `text` means, where it is one of the repository that holds files."""
    expanded = project.expand(text, path)
    if "$" in expanded:
        return None
    base = "" if expanded.startswith("/") else project.source_dir(path)
    folder = posixpath.normpath(posixpath.join(base or ".", expanded.lstrip("/") or "."))
    folder = "" if folder == "." else folder
    if folder.startswith("..") or folder not in _folders_of(project.snapshot):
        return None
    return folder


def _folders_of(snapshot: Snapshot) -> frozenset[str]:
    """Every folder of the tree."""

    def read() -> frozenset[str]:
        found = {""}
        for folder in {path.rpartition("/")[0] for path in snapshot.files}:
            while folder not in found:
                found.add(folder)
                folder = folder.rpartition("/")[0]
        return frozenset(found)

    return snapshot.once(_folders_of, read)


def _is_emptied(project: CMakeProject, name: str) -> bool:
    """Whether a variable is given no value by a `set` of its own, as one whose last source has gone is."""
    commands = (command for file in project.files.values() for command in file.commands)
    return any(c.name in ("set", "unset") and c.first == name and len(c.arguments) == 1 for c in commands)


def _gaps(project: CMakeProject, command: Command) -> Iterator[Gap]:
    """The variables in a defining call that nothing in the files gives a value."""
    for argument in project.source_arguments(command):
        for item in argument.items:
            match = VARIABLE.fullmatch(item.text)
            if match is None or any(True for _ in project.writers(match.group(1), command)):
                continue
            if not _is_emptied(project, match.group(1)):
                why = f"nothing in the CMake files gives {item.text} a value"
                yield Gap(GapKind.SOURCES, command.path, item.span, why)
