"""One setup.py of a migration: what CMake builds is answered from the names alone, the rest takes the model."""

from __future__ import annotations

from collections.abc import Sequence

from torch_stabilize.buildfiles.codes import BUILD_CHANGED, COMPUTED_SOURCES
from torch_stabilize.buildfiles.moving import Moving
from torch_stabilize.buildfiles.setup.evaluate.read import read_setup_file
from torch_stabilize.buildfiles.setup.names import device_words, sourceless_extensions, telling_statements
from torch_stabilize.buildfiles.setup.result import SetupResult
from torch_stabilize.buildfiles.setup.tree import read_setup_tree
from torch_stabilize.repository.snapshot import Snapshot
from torch_stabilize.repository.stable_target import short_name


def plan_setup(
    snapshot: Snapshot, path: str, moving: Moving, *, through_cmake: bool = False, widened: Sequence[str] = ()
) -> SetupResult:
    """The edits of one setup.py that do what `moving` says.

    `through_cmake` says that CMake builds the stable target, `widened` for which devices it now does so in addition.
    Raises Refusal for a syntax error.
    """
    tree, only = read_setup_tree(snapshot, path), None
    if tree is not None and (named := sourceless_extensions(snapshot, path)) is not None:
        has_stable = any(short_name(name) == short_name(moving.layout.stable_library) for name in named)
        if not through_cmake or (has_stable and not widened):
            return SetupResult(names=named, has_stable=has_stable)  # nothing moves, nothing is added
        only = telling_statements(tree, [word for value in widened for word in device_words(value)])
    from torch_stabilize.buildfiles.setup.computed.attempts import checked, split_where_made
    from torch_stabilize.buildfiles.setup.model import read_setup
    from torch_stabilize.buildfiles.setup.run import run_setup

    model = read_setup(snapshot, path, only)
    result = checked(snapshot, path, moving, run_setup(model, moving, through_cmake=through_cmake, widened=widened))
    if through_cmake or only is not None or not _is_missing(snapshot, path, moving, result):
        return result
    return split_where_made(model, moving) or result


def _is_missing(snapshot: Snapshot, path: str, moving: Moving, result: SetupResult) -> bool:
    """Whether the file builds a unit that its lists do not name, or would not build what it built."""
    if any(found.code in (COMPUTED_SOURCES, BUILD_CHANGED) for found in result.diagnostics):
        return True
    lacking = set(moving.units) - result.owned
    if not lacking:
        return False
    entries = [one.entry for one in read_setup_file(snapshot, path).entries]
    return any(source.path in lacking for entry in entries for source in entry.sources)
