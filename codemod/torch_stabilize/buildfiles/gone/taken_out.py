"""What taking a library out of one kind of file comes to."""

from __future__ import annotations

from typing import NamedTuple

from torch_stabilize.model import Diagnostic, FileEdit


class TakenOut(NamedTuple):
    """The edits that take a library out, and what there is to say; or `kept`, why it has to stay."""

    edits: tuple[FileEdit, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()
    kept: str = ""
