"""A library that nothing is left of: out of the build files, and out of the Python code that loads it."""

from __future__ import annotations

from torch_stabilize.buildfiles.gone.from_cmake import take_out_of_cmake
from torch_stabilize.buildfiles.gone.from_python import take_out_of_python
from torch_stabilize.buildfiles.gone.from_setup import take_out_of_setup
from torch_stabilize.buildfiles.gone.taken_out import TakenOut
from torch_stabilize.repository.layout import Layout
from torch_stabilize.repository.snapshot import Snapshot


def take_out(snapshot: Snapshot, layout: Layout, target: str) -> TakenOut:
    """Take the legacy library of `layout` out of the build, and load its counterpart alone where Python loads both.

    All of it, or nothing: where one place cannot be edited, `kept` says which.
    """
    parts = [take_out_of_cmake(snapshot, layout)]
    named: list[str] = []
    for path in layout.setup_files:
        part, names = take_out_of_setup(snapshot, layout, path, target)
        parts.append(part)
        named += names
    parts.append(take_out_of_python(snapshot, layout, named))
    kept = next((part.kept for part in parts if part.kept), "")
    if kept:
        return TakenOut(kept=kept)
    return TakenOut(
        tuple(edit for part in parts for edit in part.edits),
        tuple(one for part in parts for one in part.diagnostics),
    )
