"""One setup.py of a migration: what CMake builds is answered from the names alone, the rest takes the model."""

from __future__ import annotations

from collections.abc import Sequence

from torch_stabilize.buildfiles.moving import Moving
from torch_stabilize.buildfiles.setup.names import device_words, sourceless_extensions, telling_statements
from torch_stabilize.buildfiles.setup.result import SetupResult
from torch_stabilize.buildfiles.setup.tree import read_setup_tree
from torch_stabilize.model import Severity
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
    from torch_stabilize.buildfiles.setup.agree import disagreements
    from torch_stabilize.buildfiles.setup.model import read_setup
    from torch_stabilize.buildfiles.setup.run import run_setup

    model = read_setup(snapshot, path, only)
    result = run_setup(model, moving, through_cmake=through_cmake, widened=widened)
    if not result.edits or any(found.severity is Severity.ERROR for found in result.diagnostics):
        return result
    return result._replace(
        diagnostics=(*result.diagnostics, *disagreements(snapshot, path, moving, result.edits, result.created))
    )  # fmt: skip
