"""The edit engine: what hypothesis may throw at it, and what it may not do."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch_stabilize.model import Confidence, Edit, Span
from torch_stabilize.source.edits import OverlapError, apply, includes_first, settle

# Bytes as they stand in real files: line ends of both kinds, a BOM, UTF-8, Latin-1, and what is no text at all.
CONTENT = st.lists(
    st.sampled_from(
        [b"\xef\xbb\xbf", b"\r\n", b"\n", b"\\\r\n", b"at::Tensor", b" ", "grüße".encode(), b"caf\xe9", b"\0"]
    ),
    max_size=30,
).map(b"".join)


def edit(start: int, end: int, text: bytes, rule: str = "TSA000") -> Edit:
    return Edit(Span(start, end), text, rule)


@st.composite
def edited(draw: st.DrawFn) -> tuple[bytes, list[Edit]]:
    """A file and edits of it that do not overlap: cut points in order, taken in pairs."""
    data = draw(CONTENT)
    places = sorted(draw(st.lists(st.integers(0, len(data)), max_size=12)))
    edits: list[Edit] = []
    for start, end in zip(places[::2], places[1::2], strict=False):
        if edits and (start == end == edits[-1].span.start or (start, end) == (edits[-1].span.end,) * 2):
            continue  # two insertions at one place are ambiguous
        edits.append(edit(start, end, draw(CONTENT)))
    return data, edits


@given(edited())
def test_what_is_not_edited_survives_byte_for_byte(case: tuple[bytes, list[Edit]]) -> None:
    data, edits = case
    done, expected = 0, b""
    for one in edits:
        expected += data[done : one.span.start] + one.replacement
        done = one.span.end
    assert apply(data, edits) == expected + data[done:]


@given(edited(), st.randoms(use_true_random=False))
def test_the_order_of_edits_does_not_matter(case: tuple[bytes, list[Edit]], shuffle: random.Random) -> None:
    data, edits = case
    shuffled = edits[:]
    shuffle.shuffle(shuffled)
    assert apply(data, shuffled) == apply(data, edits)
    assert settle(shuffled) == settle(edits)


@given(edited())
def test_the_same_edit_twice_is_one_edit(case: tuple[bytes, list[Edit]]) -> None:
    data, edits = case
    assert apply(data, edits + edits) == apply(data, edits)


@given(CONTENT)
def test_no_edit_changes_nothing(data: bytes) -> None:
    assert apply(data, []) == data


@given(edited())
def test_replacing_by_the_same_changes_nothing(case: tuple[bytes, list[Edit]]) -> None:
    data, edits = case
    same = [edit(e.span.start, e.span.end, data[e.span.start : e.span.end]) for e in edits if len(e.span)]
    assert apply(data, same) == data


@given(st.integers(0, 20), st.integers(1, 10), st.integers(0, 20), st.integers(1, 10))
def test_two_edits_of_the_same_bytes_are_an_error(start: int, length: int, other: int, other_length: int) -> None:
    first, second = edit(start, start + length, b"1", "TSA001"), edit(other, other + other_length, b"2", "TSA002")
    overlap = start < other + other_length and other < start + length
    if overlap:
        with pytest.raises(OverlapError) as caught:
            apply(b"x" * 40, [first, second])
        assert {caught.value.first, caught.value.second} == {first, second}
        assert "TSA001" in str(caught.value)
        assert "TSA002" in str(caught.value)
    else:
        assert len(apply(b"x" * 40, [first, second])) == 40 - length - other_length + 2


@given(st.integers(1, 9))
def test_an_insertion_inside_a_replaced_span_is_an_error(place: int) -> None:
    with pytest.raises(OverlapError):
        apply(b"x" * 10, [edit(0, 10, b"all"), edit(place, place, b"in")])


def test_an_insertion_at_the_border_of_a_replaced_span_is_fine() -> None:
    edits = [edit(2, 4, b"--"), edit(2, 2, b"<"), edit(4, 4, b">")]
    for order in (edits, edits[::-1]):
        assert apply(b"abcdef", order) == b"ab<-->ef"


def test_two_insertions_at_one_place_are_ambiguous() -> None:
    with pytest.raises(OverlapError):
        apply(b"ab", [edit(1, 1, b"x"), edit(1, 1, b"y")])


@given(st.integers(0, 20), st.integers(1, 10), st.integers(0, 20), st.integers(1, 10))
def test_what_two_deletions_take_out_goes_once(start: int, length: int, other: int, other_length: int) -> None:
    data = bytes(range(40))
    gone = {*range(start, start + length), *range(other, other + other_length)}
    edits = [edit(start, start + length, b"", "TSA001"), edit(other, other + other_length, b"", "TSA002")]
    assert apply(data, edits) == bytes(byte for byte in data if byte not in gone)


def test_include_lines_come_before_what_else_is_inserted_there() -> None:
    inserted = [
        edit(4, 4, b"struct S;\n", "TSA300"),
        edit(4, 4, b"#include <vector>\n", "TSA001"),
        edit(4, 4, b"#include <array>\n", "TSA001"),
        edit(9, 9, b"x", "TSA400"),
    ]
    expected = b"one\n#include <array>\n#include <vector>\nstruct S;\n" + b"two;\nx"
    assert apply(b"one\ntwo;\n", includes_first(inserted)) == expected
    assert apply(b"one\ntwo;\n", includes_first([*inserted[::-1], inserted[0]])) == expected


def test_two_other_insertions_at_the_place_of_an_include_line_stay_ambiguous() -> None:
    inserted = [edit(0, 0, b"#include <array>\n", "TSA001"), edit(0, 0, b"a", "TSA300"), edit(0, 0, b"b", "TSA400")]
    assert includes_first(inserted) == inserted
    with pytest.raises(OverlapError):
        apply(b"", includes_first(inserted))


def test_a_replaced_include_line_is_not_joined_with_an_insertion_in_front_of_it() -> None:
    edits = [edit(0, 3, b"two", "TSA001"), edit(0, 0, b"<", "TSA300")]
    assert includes_first(edits) == edits
    assert apply(b"one", includes_first(edits)) == b"<two"


def test_a_deletion_of_what_is_replaced_is_an_error() -> None:
    with pytest.raises(OverlapError):
        apply(b"abcdef", [edit(0, 4, b""), edit(3, 5, b"x")])


def test_the_same_change_by_two_rules_is_done_once() -> None:
    edits = [edit(0, 1, b"x", "TSA001"), Edit(Span(0, 1), b"x", "TSA002", Confidence.REVIEW)]
    assert apply(b"ab", edits) == b"xb"


def test_an_edit_behind_the_end_is_an_error() -> None:
    with pytest.raises(ValueError, match="TSA000 edits bytes up to 9 of a file of 2"):
        apply(b"ab", [edit(1, 9, b"x")])


@given(st.integers(-5, 5), st.integers(-5, 5))
def test_a_span_goes_forward_from_zero(start: int, end: int) -> None:
    if 0 <= start <= end:
        assert len(Span(start, end)) == end - start
    else:
        with pytest.raises(ValueError, match="not a span"):
            Span(start, end)
