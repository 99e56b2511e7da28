"""What a reader of the plan should know about the group itself."""

from __future__ import annotations

from codemod.model import Diagnostic, Severity, Span
from codemod.repository.codes import MIGRATED_ALREADY
from codemod.repository.layout import Group


def notes_on(group: Group) -> tuple[Diagnostic, ...]:
    """One note for every unit that was asked for and has migrated already."""
    return tuple(
        Diagnostic(MIGRATED_ALREADY, Severity.NOTE, unit, Span(0, 0), "has migrated already") for unit in group.migrated
    )
