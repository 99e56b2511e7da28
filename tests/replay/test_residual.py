"""The measure of a replay: tokens left to change, of those the maintainers changed."""

from __future__ import annotations

import pytest

from tests.replay.residual import Residual, median, residual, tokens

pytest.importorskip("rapidfuzz")

LEGACY = b"""#include <torch/all.h>
// adds
void add(torch::Tensor& x) { TORCH_CHECK(x.is_cuda(), "x // y"); }
"""
HAND = LEGACY.replace(b"torch::Tensor", b"torch::stable::Tensor").replace(b"TORCH_CHECK", b"STD_TORCH_CHECK")


def test_comments_and_layout_are_no_tokens() -> None:
    assert tokens(b"a /* b */ <<<c>>> // d\n  1'000 \"e // f\" \\\n g") == [
        b"a", b"<<<", b"c", b">>>", b"1'000", b'"e // f"', b"g",
    ]  # fmt: skip


def test_nothing_left_is_0_nothing_done_is_1_and_the_wrong_way_is_more() -> None:
    assert residual(LEGACY, HAND, HAND).value == 0
    assert residual(LEGACY, LEGACY, HAND).value == 1
    assert residual(LEGACY, HAND.replace(b"// adds", b"// adds\n\n"), HAND).value == 0
    assert residual(LEGACY, b"void nothing();", HAND).value > 1


def test_half_of_the_tokens_is_half_of_the_work() -> None:
    half = LEGACY.replace(b"TORCH_CHECK", b"STD_TORCH_CHECK")
    assert residual(LEGACY, half, HAND) == Residual(2, 4)


def test_what_nobody_had_to_change() -> None:
    assert residual(HAND, HAND, HAND).value == 0
    assert residual(HAND, LEGACY, HAND).value == 1


def test_the_median_is_the_middle_one_or_lies_between_two() -> None:
    assert median([Residual(1, 10), Residual(9, 10), Residual(2, 10)]) == 0.2
    assert median([Residual(1, 10), Residual(9, 10), Residual(3, 10), Residual(2, 10)]) == 0.25
    assert median([]) == 0
