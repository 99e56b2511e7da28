"""The state of one run over the CMake files of a repository: what moves, and the edits so far."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from torch_stabilize.buildfiles.cmake.flow import CMakeProject
from torch_stabilize.buildfiles.cmake.model import Flow
from torch_stabilize.buildfiles.cmake.syntax import CMakeFile, Command, Item
from torch_stabilize.buildfiles.text_edits import TextEdits
from torch_stabilize.model import Diagnostic, Severity, Span
from torch_stabilize.repository.layout import Layout
from torch_stabilize.source.document import ANY_HEADER

_WILDCARD = re.compile(r"[*?[]")
SOURCES = (".cu", ".cpp", ".cc", ".cxx", ".c")
HEADERS = ANY_HEADER


@dataclass
class CMakeRun:
    """One run over all CMake files of a repository: what moves, and the edits so far."""

    project: CMakeProject
    layout: Layout
    renames: Mapping[str, str]
    units: frozenset[str]
    target: str
    edits: dict[str, TextEdits]
    diagnostics: list[Diagnostic] = field(default_factory=list)
    handled: set[tuple[str, Span]] = field(default_factory=set)  # items that need no further renaming
    entered: set[str] = field(default_factory=set)
    filters: set[tuple[str, Span, str]] = field(default_factory=set)  # lines that keep a glob off moved files
    widened: list[str] = field(default_factory=list)  # devices the stable target is now built for in addition
    gone: list[Command] = field(default_factory=list)  # of lists that leave the legacy side as a whole
    at_anchor: list[str] = field(default_factory=list)  # written before the stable target, behind what is placed there

    def new_text(self, flow: Flow, written_in: str = "") -> str:
        """How the stable side writes the source of `flow`, in the file `written_in` where that is another one."""
        path = flow.steps[0].path
        folder = self.project.source_dir(written_in or path)
        if folder != self.project.source_dir(path):
            return posixpath.relpath(self.renames[flow.path], folder or ".")
        if flow.glob:
            return posixpath.relpath(self.renames[flow.path], self.project.source_dir(path) or ".")
        return self.project.rewrite_path(flow.item.text, flow.path, self.renames[flow.path], path)

    def new_pattern(self, flow: Flow) -> str | None:
        """The pattern of a `glob` for the new places of all that it finds; None where one of them is found no more."""
        path = flow.steps[0].path
        pattern = self.project.resolve(flow.item.text, path) or ""
        found = [one.path for one in self.project.flows(flow.definition) if one.item == flow.item]
        folder = pattern[: _WILDCARD.split(pattern, maxsplit=1)[0].rfind("/") + 1]
        below = flow.path.removeprefix(folder)
        landed = self.renames.get(flow.path, "")
        there = landed.removesuffix(below)
        if any(one not in self.units or self.renames[one] != there + one.removeprefix(folder) for one in found):
            return None
        return self.project.rewrite_path(flow.item.text, pattern, there + pattern.removeprefix(folder), path)

    def report(self, code: str, severity: Severity, path: str, span: Span, message: str, help: str = "") -> None:
        """Add a diagnostic, once."""
        diagnostic = Diagnostic(code, severity, path, span, message, help)
        if diagnostic not in self.diagnostics:
            self.diagnostics.append(diagnostic)

    def moved_items(self, file: CMakeFile, within: Span) -> dict[Span, str]:
        """New text for every item in a stretch of `file` that names a moved file."""
        found = {}
        for command in file.commands:
            if not within.contains(command.span):
                continue
            for argument in command.arguments:
                for item in argument.items if "." in argument.text else ():
                    text = self._renamed(file, item)
                    if text is not None:
                        found[item.span] = text
        return found

    @cached_property
    def _moved_names(self) -> frozenset[str]:
        return frozenset(posixpath.basename(path) for path in self.renames)

    def _renamed(self, file: CMakeFile, item: Item) -> str | None:
        name = posixpath.basename(item.text)
        if "." not in name or ("$" not in name and name not in self._moved_names):
            return None
        old = self.project.resolve(item.text, file.path)
        new = self.renames.get(old) if old else None
        if old is None or new is None or new == old:
            return None
        text = self.project.rewrite_path(item.text, old, new, file.path)
        return f'"{text}"' if item.quoted else text
