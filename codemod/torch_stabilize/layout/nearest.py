"""Which extension of a repository the files that a user names belong to: many have one in each of several folders."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from posixpath import dirname, join, normpath

from torch_stabilize.config import Config
from torch_stabilize.layout.detect import detect_layout
from torch_stabilize.repository.layout import Layout
from torch_stabilize.repository.registrations import registrations_of
from torch_stabilize.repository.snapshot import Snapshot
from torch_stabilize.repository.sources import above, common_folder
from torch_stabilize.source.document import UNIT_SUFFIXES


def layout_for(snapshot: Snapshot, config: Config, names: Iterable[str]) -> Layout:
    """The layout of the extension that `names`, as a user typed them, belong to; names that are no paths say nothing.

    Files outside of the main extension belong to the nearest folder above them that registers something. Raises Refusal
    as `detect_layout` does.
    """
    layout = detect_layout(snapshot, config)
    paths = [path for name in names if (path := _path_of(snapshot, name))]
    if config.source_root is not None or not paths or all(_is_below(path, layout) for path in paths):
        return layout
    for folder in above(join(common_folder(map(dirname, paths)), "x")):
        if not folder or _is_below(folder, layout):
            break
        if any(registrations_of(snapshot, unit) for unit in snapshot.below(folder, UNIT_SUFFIXES)):
            other = detect_layout(replace(snapshot, start=folder), config)
            return other if all(_is_below(path, other) for path in paths) else layout
    return layout


def _path_of(snapshot: Snapshot, name: str) -> str:
    """The file of the tree that `name` means, or meant before it moved; "" for none."""
    places = (normpath(join(snapshot.start, name)), normpath(name))
    known = next((place for place in places if snapshot.exists(place)), "")
    moved = (p for p in places if p.endswith(UNIT_SUFFIXES) and dirname(p) and snapshot.below(dirname(p)))
    return known or next(moved, "")


def _is_below(path: str, layout: Layout) -> bool:
    roots = (layout.source_root, layout.stable_root)
    return any(not root or path == root or path.startswith(f"{root}/") for root in roots)
