"""Small repositories in memory, migrated by the bindings alone: what the tests of this room read and compare."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from torch_stabilize.bindings.inventory import compare_inventories, inventory
from torch_stabilize.bindings.plan import BindingsChange, plan_bindings
from torch_stabilize.bindings.reading.registry import Registry
from torch_stabilize.model import Diagnostic, Edit
from torch_stabilize.repository.layout import Group, Layout, Library
from torch_stabilize.repository.snapshot import Snapshot
from torch_stabilize.source.edits import apply

BINDINGS = "csrc/torch_bindings.cpp"
STABLE_BINDINGS = "csrc/libtorch_stable/torch_bindings.cpp"
OPS = "csrc/ops.h"
STABLE_OPS = "csrc/libtorch_stable/ops.h"

LAYOUT = Layout(
    source_root="csrc",
    stable_root="csrc/libtorch_stable",
    legacy_library="_C",
    stable_library="_C_stable_libtorch",
    legacy_bindings=(BINDINGS,),
    stable_bindings=STABLE_BINDINGS,
    legacy_declarations=(OPS,),
    stable_declarations=STABLE_OPS,
    stable_helpers="csrc/libtorch_stable/torch_utils.h",
    stable_dispatch="csrc/libtorch_stable/dispatch_utils.h",
    cmake_files=(),
    setup_files=(),
    python_roots=("python",),
    libraries=(Library("_C", (BINDINGS,)),),
    include_roots=("csrc",),
)


@dataclass(frozen=True)
class Migrated:
    """What a plan makes of a tree."""

    before: Snapshot
    after: Snapshot
    change: BindingsChange
    layout: Layout = field(default=LAYOUT)

    def text(self, path: str) -> str:
        return self.after.read(path).decode()

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        return self.change.diagnostics

    @property
    def codes(self) -> set[str]:
        return {diagnostic.code for diagnostic in self.diagnostics}

    def messages(self, code: str) -> list[str]:
        return [diagnostic.message for diagnostic in self.diagnostics if diagnostic.code == code]

    @property
    def lost(self) -> tuple[str, ...]:
        """What the inventory says against the migration."""
        before, after = inventory(self.before, self.layout), inventory(self.after, self.layout)
        return tuple(diagnostic.message for diagnostic in compare_inventories(before, after))


def tree(files: Mapping[str, str]) -> Snapshot:
    """A snapshot of `files`, whose texts may be indented."""
    data = {path: textwrap.dedent(text).lstrip("\n").encode() for path, text in files.items()}
    return Snapshot(Path("/nowhere"), tuple(sorted(data)), overlay=data)


def migrate(
    files: Mapping[str, str] | Snapshot, units: Sequence[str], layout: Layout = LAYOUT, target: str = "2.11"
) -> Migrated:
    """Plan the bindings of `units` and apply the plan to the tree in memory."""
    before = files if isinstance(files, Snapshot) else tree(files)
    change = plan_bindings(Registry(before, layout), Group("group", tuple(units)), target=target)
    edits: dict[str, list[Edit]] = {}
    for edit in change.edits:
        edits.setdefault(edit.path, []).append(edit.edit)
    written = {path: apply(before.read(path), found) for path, found in edits.items()}
    written |= {new.path: new.content for new in change.created}
    return Migrated(before, before.with_overlay(written), change, layout)


def dedented(text: str) -> str:
    """An indented text of a test as a file has it."""
    return textwrap.dedent(text).lstrip("\n")
