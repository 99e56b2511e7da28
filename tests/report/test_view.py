"""The figures and places that every report shows."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from codemod.model import Edit, Plan, SiteCount, Span
from codemod.report.places import Place, line_after, offset_after, place_in
from codemod.report.view import Concern, Stage, build_report, changed_lines
from codemod.source.edits import apply
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
            assert after[offset_after(offset, edits)] == data[offset]
