"""A small run of the fuzzer, and the trees that failed once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.fuzz import as_text, case, from_text, run_case
from tests.fuzz.run import Fault, run

KEPT = sorted(Path(__file__).with_name("kept").glob("*.json"))
# What the small run looks for: it is about trees that change whenever a test does. `make fuzz` looks for all.
_ALWAYS = frozenset({"second run", "refused the second time", "parse error"})


def _told(number: int, faults: tuple[Fault, ...]) -> list[str]:
    return [f"case {number}: {f.kind}: {f.where}\n{f.details}" for f in faults if f.kind not in _ALWAYS]


@pytest.mark.parametrize("share", range(4))
def test_no_damage_makes_a_plan_fail(share: int) -> None:
    numbers = range(share * 25, share * 25 + 25)
    assert not [told for number in numbers for told in _told(number, run_case(14, number).faults)]


@pytest.mark.parametrize("path", KEPT, ids=[path.stem for path in KEPT])
def test_what_failed_once_fails_no_more(path: Path) -> None:
    outcome = run(from_text(path.read_text()), reports=True)
    assert not [f"{fault.kind}: {fault.where}\n{fault.details}" for fault in outcome.faults]


def test_a_case_is_always_the_same_tree() -> None:
    assert case(3, 5) == case(3, 5)
    assert from_text(as_text(case(3, 5))) == case(3, 5)
