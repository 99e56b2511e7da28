"""The figures and places that every report shows."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st
from torch_stabilize.model import Diagnostic, Edit, FileChange, Plan, Severity, SiteCount, Span
from torch_stabilize.report.as_json import report_json
from torch_stabilize.report.places import Place, Places, Shifts, line_after, place_in
from torch_stabilize.report.view import Concern, Stage, build_report, changed_lines
from torch_stabilize.source.edits import apply

from tests.report.made_up import CODES, made_up_plan, made_up_report, read


def test_review_comes_first_then_what_is_to_do_by_hand() -> None:
    findings = made_up_report().findings
    assert [(f.concern, f.code) for f in findings] == [
        (Concern.REVIEW, "TSA201"),
        (Concern.MANUAL, "TSA190"),
        (Concern.NOTE, "TSA601"),
    ]


def test_an_edit_to_review_is_listed_even_where_no_diagnostic_speaks_of_it() -> None:
    (review,) = made_up_report().of(Concern.REVIEW)
    assert review.message == CODES["TSA201"].title
    assert review.place == Place("csrc/norm.cu", 4, 3)


def test_places_before_and_after_count_characters() -> None:
    (manual,) = made_up_report().of(Concern.MANUAL)
    assert str(manual.place) == "csrc/norm.cu:3:5"
    assert str(manual.place_after) == "csrc/stable/norm.cu:4:5"
    assert place_in("a", "ä = b".encode(), 5).column == 5


def test_a_written_report_points_into_the_migrated_tree() -> None:
    shown, written = made_up_report(), made_up_report(Stage.WRITTEN)
    assert str(shown.place(shown.findings[1])) == "csrc/norm.cu:3:5"
    assert str(written.place(written.findings[1])) == "csrc/stable/norm.cu:4:5"


def test_what_was_taken_out_is_shown_where_it_was() -> None:
    before, after = b"a\nb\n", b"a\n"
    gone = FileChange("r.cpp", "r.cpp", before, after, (Edit(Span(2, 4), b"", "TSA500"),))
    notes = tuple(Diagnostic("TSA503", Severity.NOTE, "r.cpp", Span(place, place + 1), "n") for place in (0, 2))
    plan = Plan("g", "2.11", files=(gone,), diagnostics=notes)
    report = build_report(plan, lambda _: before, {}, stage=Stage.WRITTEN)
    assert [report.where(found) for found in report.alike(Concern.NOTE)] == ["r.cpp:1:1", "r.cpp:2:1 (before)"]
    assert json.loads(report_json(report))["findings"][1]["place_after"] is None


def test_findings_that_say_the_same_of_a_file_are_one_line() -> None:
    source = b"x\n" * 9
    said = [("a.cu", place, "n") for place in range(0, 16, 2)] + [
        ("a.cu", 0, "other"),
        ("b.cu", 2, "n"),
        ("b.cu", 4, "n"),
    ]
    notes = tuple(Diagnostic("TSA503", Severity.NOTE, path, Span(place, place + 1), text) for path, place, text in said)
    report = build_report(Plan("g", "2.11", diagnostics=notes), lambda _: source, {})
    assert [(report.where(found), found[0].message) for found in report.alike(Concern.NOTE)] == [
        ("a.cu:1, 2, 3, 4, 5, 6 and 2 more lines", "n"),
        ("a.cu:1:1", "other"),
        ("b.cu:2, 3", "n"),
    ]


def test_places_follow_what_formatting_moved() -> None:
    before, after = b"a\nb, c\nd\n", b"a\nb,\nc\nd\n"
    assert [line_after(line, before, after) for line in (1, 2, 3)] == [1, 2, 4]


def test_figures() -> None:
    report = made_up_report()
    assert report.actions == {"moved": 1, "created": 1}
    assert report.sites == SiteCount(3, 2, 1, 0)
    assert [(row.code, row.edits) for row in report.rules] == [("TSA101", 2), ("TSA201", 1)]
    assert (report.files[0].added, report.files[0].removed) == (3, 2)


def test_next_step_follows_from_the_stage() -> None:
    assert made_up_report().next_steps == ("torch-stabilize migrate norm --write",)
    by_hand, verify = made_up_report(Stage.WRITTEN).next_steps
    assert "(1)" in by_hand
    assert verify == "torch-stabilize verify norm"
    assert build_report(Plan("norm", "2.11"), read, CODES).next_steps == ()


def test_identical_plans_give_identical_reports() -> None:
    assert build_report(made_up_plan(), read, CODES) == build_report(made_up_plan(), read, CODES)


def test_a_place_in_a_file_that_moves_may_be_given_where_it_moves_to() -> None:
    plan = Plan("g", "2.11", (FileChange("a.cpp", "stable/a.cpp", b"x\n", b"// new\nx\n"),))

    def read(path: str) -> bytes:
        raise AssertionError(f"{path} is not there yet")

    assert Places(plan, read).before("stable/a.cpp", 7) == Place("stable/a.cpp", 2, 1)


def test_changed_lines() -> None:
    assert changed_lines(b"a\nb\nc\n", b"a\nB\nc\nd\n") == (2, 1)
    assert changed_lines(b"", b"") == (0, 0)


@given(
    st.binary(min_size=1, max_size=40),
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 3), st.binary(max_size=4))),
)
def test_an_untouched_byte_is_found_again_behind_the_edits(data: bytes, wanted: list[tuple[int, int, bytes]]) -> None:
    edits: list[Edit] = []
    for start, length, replacement in sorted(wanted):
        end = min(start + length, len(data))
        if start <= end and (not edits or start > edits[-1].span.end):
            edits.append(Edit(Span(start, end), replacement, "TSA999"))
    after = apply(data, edits)
    for offset in range(len(data)):
        if not any(edit.span.start <= offset < edit.span.end or offset == edit.span.start for edit in edits):
            assert after[Shifts(edits).after(offset)] == data[offset]
