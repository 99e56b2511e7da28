"""Which build target owns which source: read from CMake files and setup.py."""

from __future__ import annotations

from dataclasses import dataclass

from torch_stabilize.repository.layout import Layout
from torch_stabilize.repository.snapshot import Snapshot


@dataclass(frozen=True)
class TargetSource:
    """A source of a target. `holder` is the list it is in ("" for the defining call), `line` where, from 1.

    `conditions` are the conditions of all blocks around it and around the target, outermost first.
    """

    path: str
    holder: str
    conditions: tuple[str, ...]
    file: str
    line: int


@dataclass(frozen=True)
class Target:
    """Something that is built: a CMake target or a setuptools extension."""

    name: str
    kind: str  # "cmake" or "setuptools"
    file: str  # the build file that defines it
    line: int
    variables: tuple[str, ...]  # the lists its sources come from
    sources: tuple[TargetSource, ...]
    definitions: tuple[str, ...]  # preprocessor macros it is known to define
    conditions: tuple[str, ...]
    is_stable: bool
    is_computed: bool = False  # some of its sources come from a glob or a computation

    def source(self, path: str) -> TargetSource | None:
        """The entry for `path`; None where the target does not own it."""
        return next((source for source in self.sources if source.path == path), None)


def read_targets(snapshot: Snapshot, layout: Layout) -> tuple[Target, ...]:
    """Every target that the layout's build files define. Raises Refusal for a file with a syntax error."""
    return (*_cmake_targets(snapshot, layout), *_extensions(snapshot, layout))


def _extensions(snapshot: Snapshot, layout: Layout) -> list[Target]:
    from torch_stabilize.buildfiles.setup.model import is_stable_extension, line_of, macros_of, read_setup

    targets = []
    for path in layout.setup_files:
        model = read_setup(snapshot, path)
        for extension in model.extensions():
            if extension.sources is None:  # a CMakeExtension: CMake knows its sources
                continue
            sources = tuple(
                TargetSource(e.path, e.name, e.conditions, path, line_of(model, model.file.span(e.node)))
                for e in extension.elements
            )
            targets.append(
                Target(
                    extension.name,
                    "setuptools",
                    path,
                    line_of(model, model.file.span(extension.call)),
                    tuple(dict.fromkeys(source.holder for source in sources if source.holder)),
                    sources,
                    macros_of(model, extension),
                    extension.conditions,
                    is_stable_extension(model, layout, extension),
                    bool(extension.computed),
                )
            )
    return targets


def _cmake_targets(snapshot: Snapshot, layout: Layout) -> list[Target]:
    from torch_stabilize.buildfiles.cmake.flow import read_project
    from torch_stabilize.buildfiles.cmake.plan import is_stable
    from torch_stabilize.buildfiles.cmake.settings import macros_of

    project = read_project(snapshot, layout.cmake_files)
    targets = []
    for definition in project.definitions:
        command = definition.command
        flows = sorted(project.flows(definition), key=lambda flow: (flow.steps[0].path, flow.item.span))
        sources = tuple(
            TargetSource(
                flow.path,
                flow.variables[0] if flow.variables else "",
                flow.conditions,
                flow.steps[0].path,
                project.files[flow.steps[0].path].data.count(b"\n", 0, flow.item.span.start) + 1,
            )
            for flow in flows
        )
        targets.append(
            Target(
                definition.name,
                "cmake",
                command.path,
                project.files[command.path].data.count(b"\n", 0, command.span.start) + 1,
                tuple(dict.fromkeys(flow.variables[-1] for flow in flows if flow.variables)),
                sources,
                tuple(macros_of(project, definition)),
                command.conditions,
                is_stable(project, layout, definition),
                any(flow.glob for flow in flows),
            )
        )
    return targets
