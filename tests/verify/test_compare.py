"""Outcomes are compared bit for bit; what differs is said with its case."""

from __future__ import annotations

import struct
from dataclasses import replace

import pytest
from torch_stabilize.model import Severity
from torch_stabilize.verify import codes
from torch_stabilize.verify.golden.cases import Case, Tolerance
from torch_stabilize.verify.golden.compare import Comparison, compare
from torch_stabilize.verify.golden.outcome import Crash, ErrorOutcome, Outcome, TensorOutcome
from torch_stabilize.verify.golden.session import judge
from torch_stabilize.verify.golden.store import Recorded

pytestmark = pytest.mark.torch

CASE = Case("f[cpu]", "g", "_C", "f", "default", "cpu", ())
NAN, OTHER_NAN = struct.pack("<I", 0x7FC00000), struct.pack("<I", 0x7FC00001)


def floats(*values: float) -> TensorOutcome:
    return TensorOutcome("float32", (len(values),), (1,), struct.pack(f"<{len(values)}f", *values))


def returned(tensor: TensorOutcome | str) -> Outcome:
    return Outcome((tensor,))


def errors(comparison: Comparison) -> list[tuple[str, str]]:
    return [(item.code, item.message) for item in comparison.findings if item.severity is Severity.ERROR]


def test_equal_outcomes_are_the_same() -> None:
    outcome = Outcome((floats(1, -0.0), "None"), (("0", floats(2)),))
    assert compare(CASE, outcome, outcome) == Comparison(CASE)


@pytest.mark.parametrize(
    ("legacy", "stable", "says"),
    [
        (floats(1, 0.0), floats(1, -0.0), "differs in 1 of 2 elements, the first at 1: -0.0 instead of 0.0"),
        (replace(floats(0), data=NAN), replace(floats(0), data=OTHER_NAN), "differs in 1 of 1 elements"),
        (floats(1, 2), floats(1, 2.5), "2.5 instead of 2.0; greatest difference 0.5"),
        (floats(1, 2), replace(floats(1, 2), strides=(2,)), "has strides (2,) instead of (1,)"),
        (floats(1, 2), replace(floats(1, 2), dtype="int32"), "has dtype int32 instead of float32"),
        (floats(1, 2), floats(1), "has shape (1,) instead of (2,)"),
        (replace(floats(1), alias="0"), floats(1), "has alias None instead of 0"),
        ("0x1.8p+0", "0x1.8p+1", "is 0x1.8p+1 instead of 0x1.8p+0"),
    ],
)
def test_every_difference_counts(legacy: TensorOutcome | str, stable: TensorOutcome | str, says: str) -> None:
    ((code, message),) = errors(compare(CASE, returned(legacy), returned(stable)))
    assert code == codes.OUTPUT_DIFFERS
    assert message.startswith("f[cpu]: return 0 ")
    assert says in message


def test_a_write_that_is_new_or_gone_counts() -> None:
    wrote = Outcome((), (("1", floats(1)),))
    assert "was left alone and is written now" in errors(compare(CASE, Outcome(), wrote))[0][1]
    assert "was written and is left alone now" in errors(compare(CASE, wrote, Outcome()))[0][1]


def test_a_write_that_the_schema_hides_is_an_error_unless_it_was_there_before() -> None:
    hidden = Outcome((), (("1", floats(1)),), undeclared=("1",))
    declared = replace(hidden, undeclared=())
    assert errors(compare(CASE, declared, hidden))[0][0] == codes.UNDECLARED_WRITE
    comparison = compare(CASE, hidden, hidden)
    assert comparison.same
    assert comparison.findings[0].severity is Severity.WARNING


def test_a_tolerance_is_used_and_reported_with_its_reason() -> None:
    case = replace(CASE, tolerance=Tolerance(0.1, 0.0, "sums in another order"))
    comparison = compare(case, returned(floats(1, 2)), returned(floats(1, 2.05)))
    assert comparison.same
    (note,) = comparison.findings
    assert note.code == codes.WITHIN_TOLERANCE
    assert "sums in another order" in note.message
    assert not compare(case, returned(floats(1, 2)), returned(floats(1, 2.2))).same
    nan = replace(floats(0), data=NAN)
    assert not compare(case, returned(nan), returned(floats(1))).same


def error(kind: str, text: str = "no", *bases: str) -> Outcome:
    return Outcome(error=ErrorOutcome(kind, (kind, *bases, "Exception"), text))


def test_an_error_must_stay_one() -> None:
    case = replace(CASE, raises="RuntimeError")
    raised = error("RuntimeError")
    assert compare(case, raised, raised) == Comparison(case)
    assert "the stable library raises nothing" in errors(compare(case, raised, Outcome()))[0][1]
    assert "the stable library raises RuntimeError" in errors(compare(CASE, Outcome(), raised))[-1][1]
    assert "which is no RuntimeError" in errors(compare(case, raised, error("ValueError")))[0][1]


def test_a_derived_type_or_another_text_is_a_warning() -> None:
    case = replace(CASE, raises="RuntimeError")
    legacy, stable = error("NotImplementedError", "a", "RuntimeError"), error("RuntimeError", "b")
    comparison = compare(case, legacy, stable)
    assert comparison.same
    assert {item.code for item in comparison.findings} == {codes.ERROR_TEXT_DIFFERS}
    pinned = replace(case, message="^a")
    assert "has no match for '^a': b" in errors(compare(pinned, legacy, stable))[0][1]
    (long,) = compare(case, legacy, error("NotImplementedError", "every key: " + "CPU, " * 99, "RuntimeError")).findings
    assert long.message.endswith("...'")
    assert len(long.message) < 300


def test_a_crash_is_named() -> None:
    comparison = compare(CASE, Outcome(), Crash("the process died of SIGSEGV"))
    assert errors(comparison) == [(codes.CASE_CRASHED, "f[cpu]: stable: the process died of SIGSEGV")]


def test_what_gives_nothing_before_the_migration_is_no_difference() -> None:
    died = Crash("the process died of SIGSEGV")
    for stable in (died, Outcome()):
        found = errors(compare(CASE, died, stable))
        assert found == [(codes.LEGACY_GIVES_NOTHING, "f[cpu]: legacy: the process died of SIGSEGV")]


def test_other_inputs_cannot_be_compared() -> None:
    assert errors(compare(CASE, Outcome(inputs="1"), Outcome(inputs="2")))[0][0] == codes.INPUTS_DIFFER


def test_stale_and_missing_records_say_so() -> None:
    assert errors(judge(CASE, None, Outcome()))[0][0] == codes.GOLDEN_MISSING
    assert errors(judge(CASE, Recorded("old", Outcome()), Outcome()))[0][0] == codes.GOLDEN_STALE
    assert judge(CASE, Recorded(CASE.digest, Outcome()), Outcome()).same
