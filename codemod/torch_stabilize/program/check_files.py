"""Whether every file could still be read, and whether anything that was read builds what the plan moves."""

from __future__ import annotations

from collections.abc import Iterator

from torch_stabilize.model import Diagnostic, Span
from torch_stabilize.program import codes
from torch_stabilize.program.codes import finding
from torch_stabilize.program.imports import PythonSource
from torch_stabilize.program.planned import Planned
from torch_stabilize.repository.sources import join, project_of
from torch_stabilize.source.brackets import stray_brackets
from torch_stabilize.source.document import SOURCE_SUFFIXES, UNIT_SUFFIXES

_BUILD_FILES = (
    "setup.py", "setup.cfg", "pyproject.toml", "CMakeLists.txt", "meson.build", "BUILD", "BUILD.bazel", "build.toml"
)  # fmt: skip


def check_readable(planned: Planned) -> Iterator[Diagnostic]:
    """Files that could be read and could not be afterwards."""
    before = {gap.path for gap in planned.before.gaps}
    for gap in planned.after.gaps:
        if gap.path not in before:
            yield finding(codes.UNREADABLE, planned.place(gap.path), f"{gap.path}: {gap.why}")
    told = {gap.path for gap in planned.after.gaps}
    for path, change in planned.changes.items():
        if path.endswith(".py") and path not in told and change.after != change.before:
            was = change.old_path is None or PythonSource(planned.snapshot, change.old_path).tree is not None
            if was and PythonSource(planned.after.snapshot, path).tree is None:
                yield finding(codes.UNREADABLE, planned.place(path, Span(0, 0)), f"{path} would no longer parse")
        elif path.endswith(SOURCE_SUFFIXES) and change.after != change.before:
            old = change.old_path is not None and bool(stray_brackets(planned.snapshot.document(change.old_path)))
            if not old and stray_brackets(planned.after.snapshot.document(path)):
                message = f"{path} would have a bracket that nothing opens or closes"
                yield finding(codes.UNREADABLE, planned.place(path), message)


def check_known(planned: Planned) -> Iterator[Diagnostic]:
    """Units that move, in a project whose build files name no library that could be read."""
    units = [old for old in planned.moved if old.endswith(UNIT_SUFFIXES)]
    for project in sorted({project_of(planned.snapshot, unit) for unit in units}):
        if not any(planned.snapshot.exists(join(project, name)) for name in _BUILD_FILES):
            continue
        if any(one.units or planned.before.has_gap(one) for one in planned.before.libraries):
            continue
        moving = [unit for unit in units if project_of(planned.snapshot, unit) == project]
        if planned.said(moving[0]):
            continue
        message = f"no build file of {project or 'this repository'} that could be read builds {moving[0]}"
        yield finding(codes.NO_ENTRY, (moving[0], Span(0, 0)), message, "Look at what builds it yourself.")
