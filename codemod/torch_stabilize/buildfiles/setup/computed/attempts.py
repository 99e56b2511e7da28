"""Ways to split an extension, each tried in turn until the edited files build what they built."""

from __future__ import annotations

from torch_stabilize.buildfiles.moving import Moving
from torch_stabilize.buildfiles.setup.agree import disagreements
from torch_stabilize.buildfiles.setup.computed.plan import split_computed
from torch_stabilize.buildfiles.setup.evaluate.read import read_setup_file
from torch_stabilize.buildfiles.setup.model import SetupModel, read_helper, read_setup
from torch_stabilize.buildfiles.setup.package import raise_floors
from torch_stabilize.buildfiles.setup.result import SetupResult
from torch_stabilize.buildfiles.setup.run import SetupRun
from torch_stabilize.buildfiles.text_edits import TextEdits
from torch_stabilize.model import Severity
from torch_stabilize.repository.snapshot import Snapshot


def plan_helpers(snapshot: Snapshot, path: str, moving: Moving) -> list[SetupResult]:
    """The edits of other modules that make extensions for the setup file `path`, of units that move."""
    found = [one.entry for one in read_setup_file(snapshot, path).entries]
    files = {entry.file for entry in found if any(source.path in moving.units for source in entry.sources)}
    others = sorted(files - {*moving.layout.setup_files, path})
    if not others:
        return []
    results = [split_where_made(read_helper(snapshot, other, path), moving) for other in others]
    done = [result for result in results if result is not None]
    return [*done, _floors(read_setup(snapshot, path), moving)] if done else []


def split_where_made(model: SetupModel, moving: Moving) -> SetupResult | None:
    """The edits that split extensions where they are made; None where that cannot be."""
    for in_lists in (True, False):
        split = split_computed(model, moving, in_lists=in_lists)
        if split is not None:
            split = checked(model.snapshot, model.setup, moving, split)
            if not _has_errors(split):
                return split
    return None


def checked(snapshot: Snapshot, path: str, moving: Moving, result: SetupResult) -> SetupResult:
    """`result` with what the edited file would build otherwise."""
    if not result.edits or _has_errors(result):
        return result
    found = disagreements(snapshot, path, moving, result.edits, result.created)
    return result._replace(diagnostics=(*result.diagnostics, *found))


def _has_errors(result: SetupResult) -> bool:
    return any(found.severity is Severity.ERROR for found in result.diagnostics)


def _floors(model: SetupModel, moving: Moving) -> SetupResult:
    """What the call of setup() asks of torch, where another module makes the extensions."""
    run = SetupRun(model, moving.layout, {}, moving.target, TextEdits(model.file.path, model.file.data))
    raise_floors(run)
    return SetupResult(run.edits.edits(), tuple(run.diagnostics))
