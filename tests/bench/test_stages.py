"""The stages of the bench name functions that exist."""

from __future__ import annotations

from importlib import import_module

import pytest

from tests.bench.stages import STAGES, Clock

PLACES = [place for places in STAGES.values() for place in places]


@pytest.mark.parametrize("place", PLACES)
def test_a_stage_names_a_function(place: str) -> None:
    module, _, name = place.partition(":")
    found = import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    assert callable(found)


def test_time_goes_to_the_innermost_stage_that_runs() -> None:
    clock = Clock()
    inner = clock.timed("inner", lambda: sum(range(200_000)))
    clock.timed("outer", inner)()
    assert set(clock.spent) <= {"other", "outer", "inner"}
    assert clock.spent["inner"] > clock.spent["outer"]
