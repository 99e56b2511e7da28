"""What a plan says once of the errors of moved code."""

from __future__ import annotations

from torch_stabilize.model import Edit, FileChange, Plan, Span
from torch_stabilize.rules.differences import differences


def plan_of(*rules: str) -> Plan:
    edits = tuple(Edit(Span(10 * place, 10 * place + 2), b"x", rule) for place, rule in enumerate(rules))
    return Plan("blur", "2.11", files=(FileChange("a.cpp", "b/a.cpp", b" " * 99, b"", edits),))


def test_one_note_stands_at_the_first_check() -> None:
    (note,) = differences(plan_of("TSA101", "TSA301", "TSA201", "TSA201"))
    assert (note.code, note.path, note.span) == ("TSA177", "a.cpp", Span(10, 12))
    assert "begin with the function, the file and the line" in note.message
    assert "RuntimeError instead of NotImplementedError" in note.message


def test_only_what_is_there_is_told() -> None:
    (note,) = differences(plan_of("TSA203"))
    assert "NotImplementedError" not in note.message
    (other,) = differences(plan_of("TSA302"))
    assert other.message == "a dtype that is not dispatched raises RuntimeError instead of NotImplementedError"


def test_a_plan_without_checks_has_nothing_to_tell() -> None:
    assert differences(plan_of("TSA101", "TSA120")) == ()
