"""The verdict: what was proven and where, what was not run, and what makes a group unproven."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from torch_stabilize.model import Severity
from torch_stabilize.verify import codes
from torch_stabilize.verify.announced import Announced
from torch_stabilize.verify.loaded import loaded_steps
from torch_stabilize.verify.result import Status, Step, Verification, finding
from torch_stabilize.verify.verdict import Outcome, judge_steps

COMPILED = Step("compile", Status.OK, "compiled")
GOLDENS = replace(Step("golden outputs", Status.OK, "equal"), devices=("the CPU",))
NO_GPU = replace(GOLDENS, not_run=("12 CUDA cases (no GPU)",))


def test_the_whole_is_proven() -> None:
    verdict = judge_steps([COMPILED, Step.skipped("launches", "the group launches no kernel"), GOLDENS])
    assert verdict == (Outcome.WHOLE, "nothing but the ABI changed")
    assert verdict.passed


def test_a_device_that_is_absent_is_named() -> None:
    verdict = judge_steps([COMPILED, NO_GPU])
    assert verdict == (Outcome.PROVEN, "proven on the CPU; not run: 12 CUDA cases (no GPU)")
    assert verdict.passed


def test_what_no_step_compared_on_a_device_claims_none() -> None:
    left_out = replace(COMPILED, not_run=("1 CUDA unit (no nvcc)",))
    assert judge_steps([left_out]).text == "proven; not run: 1 CUDA unit (no nvcc)"


def test_a_step_that_could_not_be_done_leaves_the_group_unproven() -> None:
    reason = "_C could not be built"
    verdict = judge_steps([COMPILED, Step.impossible("operators", reason), Step.impossible("golden outputs", reason)])
    assert verdict == (Outcome.NOT_PROVEN, "not proven: _C could not be built; proven: compile")
    assert not verdict.passed


def test_a_difference_comes_first() -> None:
    differs = Step.judged("launches", "1 launch", (finding(codes.STREAM_DROPPED, "no stream"),))
    verdict = judge_steps([differs, Step.impossible("operators", "_C does not load"), NO_GPU])
    assert verdict.outcome is Outcome.DIFFERS
    assert verdict.text == "something differs; not proven: _C does not load; not run: 12 CUDA cases (no GPU)"
    assert not verdict.passed


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (codes.LEGACY_DOES_NOT_COMPILE, "the tree before the migration does not build here"),
        (codes.LEGACY_DOES_NOT_LINK, "the tree before the migration does not build here"),
        (codes.NO_CUDA_TOOLKIT, "there is no CUDA toolkit here"),
        (codes.LEGACY_GIVES_NOTHING, "a case returns nothing on the legacy library"),
    ],
)
def test_a_legacy_side_that_gives_nothing_is_no_difference(code: str, reason: str) -> None:
    verdict = judge_steps([Step.judged("compile", "", (finding(code, "no"),))])
    assert verdict == (Outcome.NOT_PROVEN, f"not proven: {reason}")


def test_a_warning_is_no_difference() -> None:
    step = Step.judged("symbols", "", (finding(codes.UNKNOWN_SYMBOL, "new", severity=Severity.WARNING),))
    assert judge_steps([step, GOLDENS]).outcome is Outcome.WHOLE


def test_the_json_has_the_verdict_and_its_reasons() -> None:
    document = json.loads(Verification("g", "2.11", "2.13.0", "abc", (COMPILED, NO_GPU)).to_json())
    assert document["passed"] is True
    assert document["verdict"] == {
        "outcome": "proven",
        "text": "proven on the CPU; not run: 12 CUDA cases (no GPU)",
    }
    assert document["steps"][1]["not_run"] == ["12 CUDA cases (no GPU)"]
    assert document["steps"][1]["devices"] == ["the CPU"]


def test_a_step_that_is_turned_off_is_named() -> None:
    verdict = judge_steps([COMPILED, Step.turned_off("device code"), GOLDENS])
    assert verdict == (Outcome.PROVEN, "proven on the CPU; not run: device code (turned off)")


@pytest.mark.parametrize("name", ["operators", "golden outputs"])
def test_without_operators_or_outputs_nothing_is_proven(name: str) -> None:
    verdict = judge_steps([COMPILED, Step.turned_off(name, is_needed=True)])
    assert verdict == (Outcome.NOT_PROVEN, f"not proven: {name} (turned off); proven: compile")


def test_steps_that_are_turned_off_start_no_process() -> None:
    steps = list(loaded_steps({}, (), Announced(), skip={"operators", "golden outputs"}))
    assert [step.undone for step in steps] == [("operators (turned off)",), ("golden outputs (turned off)",)]
