"""Repositories in memory, a layout for them, and what `plan_build` makes of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from textwrap import dedent

from torch_stabilize.buildfiles.plan import plan_build
from torch_stabilize.model import Change, Diagnostic, Move
from torch_stabilize.repository.layout import Group, Layout
from torch_stabilize.repository.snapshot import Snapshot
from torch_stabilize.source.edits import apply

LAYOUT = Layout(
    source_root="csrc",
    stable_root="csrc/stable",
    legacy_library="_C",
    stable_library="_C_stable",
    legacy_bindings=("csrc/bindings.cpp",),
    stable_bindings="csrc/stable/bindings.cpp",
    legacy_declarations=("csrc/ops.h",),
    stable_declarations="csrc/stable/ops.h",
    stable_helpers="csrc/stable/torch_utils.h",
    stable_dispatch="csrc/stable/dispatch_utils.h",
    cmake_files=("CMakeLists.txt",),
    setup_files=("setup.py",),
    python_roots=("pkg",),
)


@dataclass(frozen=True)
class Planned:
    """A planned tree: every file's text after the edits, moved files at their new place."""

    snapshot: Snapshot
    layout: Layout
    change: Change
    files: Mapping[str, bytes]

    def text(self, path: str) -> str:
        return self.files[path].decode()

    @property
    def edited(self) -> list[str]:
        return sorted({edit.path for edit in self.change.edits})

    def diagnostics(self, code: str) -> list[Diagnostic]:
        return [diagnostic for diagnostic in self.change.diagnostics if diagnostic.code == code]

    def place(self, diagnostic: Diagnostic) -> str:
        """The text a diagnostic points at."""
        span = diagnostic.span
        return self.snapshot.read(diagnostic.path)[span.start : span.end].decode()

    @property
    def codes(self) -> set[str]:
        return {diagnostic.code for diagnostic in self.change.diagnostics}


def snapshot_of(files: Mapping[str, str | bytes]) -> Snapshot:
    """A tree that is nowhere on disk. Texts may be indented as a whole."""
    data = {
        path: text if isinstance(text, bytes) else dedent(text).lstrip("\n").encode() for path, text in files.items()
    }
    return Snapshot(Path("."), tuple(sorted(data)), data)


def layout_of(snapshot: Snapshot, **changes: object) -> Layout:
    """LAYOUT with the build files that are there."""
    cmake = tuple(p for p in snapshot.files if p.endswith(("CMakeLists.txt", ".cmake")))
    setup = tuple(p for p in snapshot.files if p.endswith("setup.py"))
    return replace(LAYOUT, cmake_files=cmake, setup_files=setup, **changes)  # type: ignore[arg-type]


def plan(
    files: Mapping[str, str | bytes],
    units: Sequence[str],
    *,
    created: Sequence[str] = (),
    headers: Sequence[str] = (),
    target: str = "2.11",
    in_place: bool = False,
    pybind: Mapping[str, str] | None = None,
    **changes: object,
) -> Planned:
    """Migrate `units` (and `headers`) of an in-memory repository, and see that a second run has nothing to do."""
    everything = {**dict.fromkeys((*units, *headers), "// code\n"), **files}
    snapshot = snapshot_of(everything)
    layout = layout_of(snapshot, **changes)
    moves = () if in_place else tuple(Move(path, layout.landing(path)) for path in (*units, *headers))
    group = Group("group", tuple(units), tuple(headers))
    change = plan_build(snapshot, layout, group, moves, target=target, created=created, pybind=pybind)
    after = {path: snapshot.read(path) for path in snapshot.files}
    for path in {edit.path for edit in change.edits}:
        after[path] = apply(after[path], [edit.edit for edit in change.edits if edit.path == path])
    for move in moves:
        after[move.new] = after.pop(move.old)
    after.update(dict.fromkeys(created, b"// code\n"))
    done = Planned(snapshot, layout, change, after)
    again = plan_build(
        snapshot_of(after), layout, Group("group", tuple(renamed(unit, moves) for unit in units)), (),
        target=target, created=created, pybind=pybind,
    )  # fmt: skip
    assert again.edits == (), f"a second run edits again: {again.edits}"
    return done


def renamed(path: str, moves: Sequence[Move]) -> str:
    return next((move.new for move in moves if move.old == path), path)
