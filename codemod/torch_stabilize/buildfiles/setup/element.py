"""A source as setup.py names it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import libcst as cst

    from torch_stabilize.buildfiles.setup.globs import Glob


class Element(NamedTuple):
    """A source. `list_node` is the list it is in, or the call `x.append(...)`; `name` that list's name.

    One that a glob finds has the call of the glob for both nodes. `base` is the folder that a comprehension puts in
    front of what is written.
    """

    path: str
    node: cst.CSTNode
    list_node: cst.CSTNode
    name: str
    conditions: tuple[str, ...]
    glob: Glob | None = None
    base: str | None = None
