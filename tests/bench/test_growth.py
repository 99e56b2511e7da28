"""Twice as much of anything costs about twice as much: counted in calls, which no load of the machine changes."""

from __future__ import annotations

import sys

import pytest

from tests.bench.growth import KINDS, LIMIT, calls, exponent, measured

SIZES = (40, 80, 160)


@pytest.mark.parametrize("kind", KINDS)
def test_a_migration_grows_no_faster_than_the_code(kind: str) -> None:
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(10_000)  # as the command does
    try:
        growth = measured(kind, "migrate", SIZES, calls)
    finally:
        sys.setrecursionlimit(limit)
    assert growth.exponent < LIMIT, growth


def test_the_exponent_of_a_power_is_that_power() -> None:
    assert exponent((1, 2, 4), (3.0, 12.0, 48.0)) == pytest.approx(2.0)
    assert exponent((10, 20, 40), (5.0, 10.0, 20.0)) == pytest.approx(1.0)
