"""Sources that scripts write while the project is built: they are in no tree, and stay with the legacy target."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator

from torch_stabilize.buildfiles.cmake.flow import GLOB_OPTIONS
from torch_stabilize.buildfiles.cmake.globs import glob_matches
from torch_stabilize.buildfiles.cmake.model import Definition
from torch_stabilize.buildfiles.cmake.run import SOURCES, CMakeRun
from torch_stabilize.buildfiles.cmake.syntax import Command, Item
from torch_stabilize.buildfiles.codes import GENERATOR_LISTED
from torch_stabilize.model import Severity, Span
from torch_stabilize.repository.stable_target import short_name

_INCLUDE = re.compile(rb"^[ \t]*#[ \t]*include[ \t]*[<\"]([^>\"\n]+)[>\"]", re.MULTILINE)


def report_generated(run: CMakeRun, owned: Iterable[Definition]) -> None:
    """Report lists of such sources that units which leave one of the targets `owned` need."""
    empty = tuple(_empty_patterns(run))
    _report_moved_scripts(run, empty)
    finding = {item.span for _, item, _ in empty}
    lists = [command for command, _, _ in empty if all(item.span in finding for item in _patterns(command))]
    _report_written_headers(run, [d.name for d in owned], lists)


def _empty_patterns(run: CMakeRun) -> Iterator[tuple[Command, Item, str]]:
    """The patterns for sources that find nothing yet, with the call and the element that have them."""
    for file in run.project.files.values():
        for command in file.commands:
            if command.name != "file" or not command.first.upper().startswith("GLOB"):
                continue
            recursive = command.first.upper() == "GLOB_RECURSE"
            for item in _patterns(command):
                pattern = run.project.resolve(item.text, file.path) or ""
                if not pattern.endswith(SOURCES):
                    continue
                below = run.project.snapshot.below(pattern.partition("*")[0].rpartition("/")[0])
                if not any(glob_matches(pattern, path, recursive=recursive) for path in below):
                    yield command, item, pattern


def _patterns(command: Command) -> list[Item]:
    return [item for argument in command.arguments[2:] if argument.text not in GLOB_OPTIONS for item in argument.items]


def _report_moved_scripts(run: CMakeRun, empty: Iterable[tuple[Command, Item, str]]) -> None:
    """Patterns next to units that move, where a script is."""
    scripts = {posixpath.dirname(path) for path in run.project.snapshot.files if path.endswith(".py")}
    folders = {posixpath.dirname(unit): posixpath.dirname(run.renames[unit]) for unit in run.units}
    folders = {folder: new for folder, new in folders.items() if folder in scripts and folder != new}
    for command, item, pattern in empty:
        home = next((f for f in folders if f and pattern.startswith(f"{f}/")), None)
        if home is not None:
            run.report(
                GENERATOR_LISTED, Severity.ERROR, command.path, item.span,
                f"{pattern} is written by a script next to units that move, and stays with the legacy library",
                f"Move the script to {folders[home]} with the headers that its files include, and give "
                f"{command.arguments[1].text} to {short_name(run.layout.stable_library)}.",
            )  # fmt: skip


def _report_written_headers(run: CMakeRun, legacy: list[str], lists: list[Command]) -> None:
    """Units that include a header which a script writes: what it declares is in sources of the legacy target."""
    if not legacy or not lists:
        return
    names = ", ".join(dict.fromkeys(command.arguments[1].text for command in lists))
    scripts = [path for path in run.project.snapshot.files if path.endswith(".py")]
    for unit in sorted(run.units):
        data = run.project.snapshot.read(unit)
        for match in _INCLUDE.finditer(data):
            folder = posixpath.dirname(match[1].decode("utf-8", "replace"))
            writer = _writer(run, folder, scripts) if "/" in folder else None
            if writer is not None:
                run.report(
                    GENERATOR_LISTED, Severity.ERROR, unit, Span(match.start(), match.end()),
                    f"{match[1].decode('utf-8', 'replace')} is written by {writer}, and the sources that are written "
                    f"with it are built into {', '.join(legacy)} alone",
                    f"Build those of {names} that {unit} calls into {short_name(run.layout.stable_library)} as well.",
                )  # fmt: skip


def _writer(run: CMakeRun, folder: str, scripts: list[str]) -> str | None:
    """The script that names a folder which is not in the tree."""
    snapshot = run.project.snapshot
    if any(f"/{path}".find(f"/{folder}/") >= 0 for path in snapshot.files):
        return None
    wanted = folder.encode()
    literal = re.compile(re.escape(wanted) + rb"/?[\"']")
    for path in scripts:
        if wanted in (data := snapshot.read(path)) and literal.search(data):
            return path
    return None
