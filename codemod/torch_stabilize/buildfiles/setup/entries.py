"""What setup files build, as entries of the program."""

from __future__ import annotations

from collections.abc import Sequence
from posixpath import basename

from torch_stabilize.buildfiles.model import BuildEntry, Gap
from torch_stabilize.buildfiles.setup.evaluate.read import read_setup_file
from torch_stabilize.repository.snapshot import Snapshot


def read_setup_entries(snapshot: Snapshot, paths: Sequence[str]) -> tuple[tuple[BuildEntry, ...], tuple[Gap, ...]]:
    """The extension modules that the setup files `paths` make from sources, and what could not be read of them."""
    entries: list[BuildEntry] = []
    gaps: list[Gap] = []
    known: set[str] = set()  # files that were read with one that imports them
    for path in sorted(paths, key=lambda path: (basename(path) != "setup.py", path)):
        if path not in known:
            file = read_setup_file(snapshot, path)
            known.update(file.files)
            entries += [one.entry for one in file.entries if one.has_sources]  # CMake knows those of the others
            gaps += file.gaps
    return tuple(entries), tuple(gaps)
