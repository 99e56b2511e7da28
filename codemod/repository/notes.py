"""What a reader of the plan should know about the group itself."""

from __future__ import annotations

from collections.abc import Collection

from codemod.model import Diagnostic, Severity, Span
from codemod.repository.codes import MIGRATED_ALREADY, SHARED_HEADER
from codemod.repository.layout import Group


def notes_on(group: Group, changed: Collection[str]) -> tuple[Diagnostic, ...]:
    """Notes on the headers of `group` that stay and are among `changed`, and on its units that were done before."""
    start = Span(0, 0)
    shared = tuple(
        Diagnostic(
            SHARED_HEADER,
            Severity.NOTE,
            header,
            start,
            "stays where it is and is made to compile in both builds: units outside of the group include it",
            "build the legacy target too before you merge",
        )
        for header in group.shared_headers
        if header in changed
    )
    done = tuple(
        Diagnostic(MIGRATED_ALREADY, Severity.NOTE, unit, start, "has migrated already") for unit in group.migrated
    )
    return (*shared, *done)
