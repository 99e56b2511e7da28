"""What a group's migration asks of the build files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from torch_stabilize.repository.layout import Layout


class Moving(NamedTuple):
    """What moves to the stable target of `layout`, which has to run with torch `target`.

    `renames` maps every moved file, and every one of the `units`, to its new path (the same path for a migration in
    place); `created` are new sources of the stable target. Another library that builds a unit in `later` gives it up
    in a later part of the same request.
    """

    layout: Layout
    renames: Mapping[str, str]
    units: Sequence[str]
    created: Sequence[str]
    target: str
    later: frozenset[str] = frozenset()
