"""One group's change to the build and to Python: every room of this folder, joined into one Change."""

from __future__ import annotations

from collections.abc import Sequence

from codemod.buildfiles.cmake import plan_cmake
from codemod.buildfiles.setup_py import plan_setup
from codemod.model import Change, Diagnostic, FileEdit, Move
from codemod.repository.layout import Group, Layout
from codemod.repository.snapshot import Snapshot


def plan_build(
    snapshot: Snapshot,
    layout: Layout,
    group: Group,
    moves: Sequence[Move],
    *,
    target: str,
    created: Sequence[str] = (),
) -> Change:
    """Everything outside of the C++ sources that a group's migration changes.

    `moves` maps legacy paths to new ones for units and headers; it is empty for a migration in place. `created` are
    new units of the stable target, such as its bindings. Offsets are those of the files as read. Raises Refusal for a
    build file that cannot be parsed.
    """
    renames = {move.old: move.new for move in moves}
    renames.update({unit: unit for unit in group.units if unit not in renames})
    cmake = plan_cmake(snapshot, layout, renames, group.units, created, target)
    edits: list[FileEdit] = list(cmake.edits)
    diagnostics: list[Diagnostic] = list(cmake.diagnostics)
    for path in layout.setup_files:
        setup = plan_setup(
            snapshot, layout, path, renames, group.units, created, target,
            through_cmake=bool(cmake.owned), widened=cmake.widened,
        )  # fmt: skip
        edits.extend(setup.edits)
        diagnostics.extend(setup.diagnostics)
    return Change(f"build files for {group.name}", tuple(edits), diagnostics=tuple(diagnostics))
