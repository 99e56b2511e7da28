"""What the plan of one setup.py gives."""

from __future__ import annotations

from typing import NamedTuple

from torch_stabilize.model import Diagnostic, FileEdit


class SetupResult(NamedTuple):
    """`owned` are the units that an extension lists literally."""

    edits: tuple[FileEdit, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()
    owned: frozenset[str] = frozenset()
    created: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()  # of all extension modules
    has_stable: bool = False  # a stable extension was there before
    replaced: bool = False  # the legacy extension became the stable one
