"""The table of a replay."""

from __future__ import annotations

from tests.replay.compiling import Kernels, Outcome
from tests.replay.residual import Residual
from tests.replay.table import CaseResult, UnitResult, render

UNITS = (
    UnitResult("a.cu", True, Residual(1, 10), Outcome(True), Kernels(4, 3, ("_Z1fv",))),
    UnitResult("b.cu", True, Residual(4, 10), Outcome(True), why_not="legacy file does not compile"),
    UnitResult("c.cu", False, Residual(10, 10), Outcome(False, 'c.cu(3): error: "x" is undefined')),
)
RESULT = CaseResult(
    "pr00", "made up", UNITS, (1, 2), ("ns::f: TWICE",), (3, 3), (),
    {"found": 5, "rewritten": 3, "diagnosed": 1, "allowed": 1}, (), 1, 1.25,
)  # fmt: skip


def test_a_case_is_one_line_and_a_unit_is_one() -> None:
    lines = render([RESULT]).splitlines()
    assert lines[2] == "| pr00 (made up) | 2/3 | 0.40 | 1.00 | 3/4 | 1/2 | 3/3 |"
    assert "| pr00 | a.cu | yes | 0.10 | 10 tokens | 3/4 |" in lines
    assert "| pr00 | b.cu | yes | 0.40 | 10 tokens | legacy file does not compile |" in lines
    assert "| pr00 | c.cu (not moved) | no | 1.00 | 10 tokens | - |" in lines


def test_what_is_not_as_by_hand_is_named() -> None:
    text = render([RESULT])
    assert '- pr00: c.cu does not compile: c.cu(3): error: "x" is undefined' in text
    assert "- pr00: a.cu: 1 kernels differ, the first is _Z1fv" in text
    assert "- pr00: operator ns::f: TWICE" in text
    assert "5 sites: 3 rewritten, 1 diagnosed, 1 allowed" in text


def test_without_a_compiler_nothing_is_claimed() -> None:
    unit = UnitResult("a.cu", True, Residual(1, 10))
    lines = render(
        [CaseResult("pr00", "made up", (unit,), (0, 0), (), (0, 0), (), RESULT.sites, (), 0, 1.0)]
    ).splitlines()
    assert lines[2] == "| pr00 (made up) | - | 0.10 | 0.10 | - | - | - |"
