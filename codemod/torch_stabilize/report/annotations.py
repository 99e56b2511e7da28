"""Findings as the workflow commands that GitHub shows at their line of a pull request."""

from __future__ import annotations

from collections.abc import Iterable

from torch_stabilize.report.places import Place

# What would end a command or one of its properties is escaped; see "Workflow commands" in GitHub's documentation.
_IN_TEXT = (("%", "%25"), ("\r", "%0D"), ("\n", "%0A"))
_IN_PROPERTY = (*_IN_TEXT, (":", "%3A"), (",", "%2C"))


def annotation(level: str, code: str, place: Place, message: str) -> str:
    """One line for GitHub's log: `level` is error, warning or notice."""
    properties = {"file": place.path, "line": place.line, "col": place.column, "title": code}
    named = ",".join(f"{name}={_escaped(str(value), _IN_PROPERTY)}" for name, value in properties.items())
    return f"::{level} {named}::{_escaped(message, _IN_TEXT)}"


def _escaped(text: str, marks: Iterable[tuple[str, str]]) -> str:
    for mark, escape in marks:
        text = text.replace(mark, escape)
    return text
