"""Operators are called in every way that Python has; here on operators that torch has itself."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pytest
from torch_stabilize.verify import codes
from torch_stabilize.verify.calls import compare_calls
from torch_stabilize.verify.golden.capture.calls import Call
from torch_stabilize.verify.golden.cases import Case, CaseFile, captured_case, load_cases
from torch_stabilize.verify.golden.cost import Cost
from torch_stabilize.verify.golden.outcome import Crash, ErrorOutcome, Outcome

torch = pytest.importorskip("torch")
from torch_stabilize.verify.golden.cost import cost_of  # noqa: E402  # needs torch
from torch_stabilize.verify.golden.forms import (  # noqa: E402
    FAKED,
    FORMS,
    GRADIENTS,
    NO_FAKE,
    NO_GRADIENT,
    OPCHECK,
    REACHED,
    UNDER_COMPILER,
    call_forms,
)
from torch_stabilize.verify.golden.run import run_case  # noqa: E402

pytestmark = pytest.mark.torch

CASES = """
group = "aten"
library = "aten"

[[case]]
op = "add"
overload = "Tensor"
args = [{tensor = {shape = [2, 3], fill = 1}}, {tensor = {shape = [2, 3], fill = 0.5}}]
kwargs = {alpha = {int = 1}}

[[case]]
op = "add"
overload = "Tensor"
id = "another"
args = [{tensor = {shape = [1], fill = 1}}, {tensor = {shape = [1], fill = 0.5}}]
"""


HALVE = """
[[case]]
op = "halve"
args = [{tensor = {shape = [2, 3], fill = 1}}]
"""
CHEAP = Cost(0.5, 10_000, 2e-6)


class Answers:
    """Stands for a process with a library: it has these answers."""

    def __init__(
        self,
        answer: dict[str, Outcome] | Crash,
        costs: Cost = CHEAP,
        arguments: tuple[str, ...] = ("x", "by"),
    ) -> None:
        self.answer = answer
        self.costs = costs
        self.arguments = arguments
        self.asked: list[str] = []

    def forms(self, path: Path, case: Case) -> dict[str, Outcome] | Crash:
        self.asked.append(case.id)
        return self.answer

    def names(self, path: Path, case: Case) -> tuple[str, ...]:
        return self.arguments

    def cost(self, path: Path, case: Case) -> Cost:
        return self.costs


@pytest.fixture
def file(tmp_path: Path) -> CaseFile:
    path = tmp_path / "cases.toml"
    path.write_text(CASES)
    return load_cases(path)


def test_what_the_ways_of_calling_do(file: CaseFile) -> None:
    case = file.cases[0]
    plain = run_case(case, torch)
    forms = call_forms(case, torch)
    assert set(forms) == {*FORMS, UNDER_COMPILER, REACHED}
    assert forms[REACHED].returns == (), "of torch's own operators nobody asks"
    assert forms["by keyword"].returns == forms["with its defaults left out"].returns == plain.returns
    first, second = (str(text) for text in forms["with arguments of a wrong type"].returns)
    assert "Expected a value of type 'Tensor' for argument number 0 but instead found" in first
    assert "argument number 1" in second
    asking, *gradients = forms["with gradients"].returns
    assert asking == "'1 of 1 results ask for gradients'"
    assert gradients[0] == gradients[1]
    assert forms["with gradients"] == forms[UNDER_COMPILER]
    assert forms["by torch.library.opcheck"].returns == tuple(
        repr(f"test_{name}: SUCCESS") for name in ("autograd_registration", "faketensor", "schema")
    )
    assert forms["with fake tensors"].returns == ("'torch.float32 (2, 3) (3, 1)'",)


def test_each_operator_is_compared_once(file: CaseFile) -> None:
    forms = call_forms(file.cases[0], torch)
    legacy, stable = Answers(forms), Answers(forms)
    calls = compare_calls([file], legacy, stable)  # type: ignore[arg-type]
    assert (calls.operators, calls.findings) == (1, ())
    assert legacy.asked == stable.asked == ["add[cpu]"]


GRADIENT, OTHER = Outcome(("'1 of 1 results ask for gradients'", "'a1'")), Outcome(("'1 of 1'", "'b2'"))
REFUSED = Outcome(error=ErrorOutcome("Unsupported", (), "C++ autograd"))
BACKWARD = Outcome(("ext::scale", "ext::scale_backward"))


@pytest.mark.parametrize(
    ("eager", "compiled", "after", "compiled_after", "differs"),
    [
        (GRADIENT, GRADIENT, GRADIENT, GRADIENT, False),
        (GRADIENT, REFUSED, GRADIENT, GRADIENT, False),
        (GRADIENT, REFUSED, GRADIENT, OTHER, True),
        (GRADIENT, GRADIENT, OTHER, GRADIENT, True),
        (GRADIENT, GRADIENT, GRADIENT, REFUSED, True),
    ],
)
def test_gradients_prove_the_operators_that_they_are_made_with(
    file: CaseFile, eager: Outcome, compiled: Outcome, after: Outcome, compiled_after: Outcome, differs: bool
) -> None:
    was = Answers({GRADIENTS: eager, UNDER_COMPILER: compiled, REACHED: Outcome(())})
    now = Answers({GRADIENTS: after, UNDER_COMPILER: compiled_after, REACHED: BACKWARD})
    calls = compare_calls([file], was, now)  # type: ignore[arg-type]
    assert bool(calls.findings) is differs
    assert calls.differentiated == (frozenset() if differs else {"ext::scale", "ext::scale_backward"})


def test_operators_are_not_proven_by_gradients_that_neither_side_has(file: CaseFile) -> None:
    none = Outcome((repr(NO_GRADIENT),))
    answers = Answers({GRADIENTS: none, REACHED: BACKWARD})
    assert compare_calls([file], answers, answers).differentiated == frozenset()  # type: ignore[arg-type]
    refused = Answers({GRADIENTS: REFUSED, REACHED: BACKWARD})
    assert compare_calls([file], refused, refused).differentiated == frozenset()  # type: ignore[arg-type]


@pytest.mark.parametrize("before", [Outcome((repr(NO_GRADIENT),)), REFUSED])
def test_a_function_of_a_module_without_gradients_needs_none(file: CaseFile, before: Outcome) -> None:
    """Torch gives results of an operator without a backward a node that warns; those of a function have nothing."""
    was, now = Answers({GRADIENTS: before}), Answers({GRADIENTS: Outcome(("'1 of 1 results ask'", "'none'"))})
    assert compare_calls([file], was, now).findings == ()  # type: ignore[arg-type]
    was, now = Answers({**was.answer, OPCHECK: GRADIENT}), Answers({**now.answer, OPCHECK: GRADIENT})  # type: ignore[dict-item]
    assert len(compare_calls([file], was, now).findings) == 1, "an operator had it before too"  # type: ignore[arg-type]


@pytest.mark.parametrize("form", [form for form in FORMS if form != OPCHECK])
def test_what_differs_is_said_with_its_way(file: CaseFile, form: str) -> None:
    forms = call_forms(file.cases[0], torch)
    other = {**forms, form: replace(forms[form], returns=("'taken'",))}
    (found,) = compare_calls([file], Answers(forms), Answers(other)).findings  # type: ignore[arg-type]
    assert found.code == codes.CALLS_DIFFER
    assert found.message.startswith(f"add[cpu], {form}: 'taken', and was ")


def test_a_check_that_fails_now_is_said_and_one_that_failed_before_is_not(file: CaseFile) -> None:
    forms = call_forms(file.cases[0], torch)
    was, now = "test_faketensor: SUCCESS", "test_faketensor: failed, OpCheckError"
    said = tuple(str(text).replace(was, now) for text in forms[OPCHECK].returns)
    assert said != forms[OPCHECK].returns
    failing = {**forms, OPCHECK: Outcome(said)}
    (found,) = compare_calls([file], Answers(forms), Answers(failing)).findings  # type: ignore[arg-type]
    assert (found.code, found.message) == (codes.CALLS_DIFFER, f"add[cpu], {OPCHECK}: {now}, and was SUCCESS")
    assert compare_calls([file], Answers(failing), Answers(forms)).findings == ()  # type: ignore[arg-type]


def test_a_fake_that_python_registers_where_there_was_none_is_no_difference(file: CaseFile) -> None:
    was, now = (
        Answers({FAKED: Outcome((repr(NO_FAKE),))}),
        Answers({FAKED: Outcome(("'torch.float32 (2, 3) (3, 1)'",))}),
    )
    assert compare_calls([file], was, now).findings == ()  # type: ignore[arg-type]
    assert len(compare_calls([file], now, was).findings) == 1  # type: ignore[arg-type]


def test_a_crash_is_said_where_it_is_new(file: CaseFile) -> None:
    forms, crash = call_forms(file.cases[0], torch), Crash("the process died of SIGSEGV")
    (found,) = compare_calls([file], Answers(forms), Answers(crash)).findings  # type: ignore[arg-type]
    assert found.message == "add[cpu], called in every way: the process died of SIGSEGV"
    assert compare_calls([file], Answers(crash), Answers(crash)).findings == ()  # type: ignore[arg-type]


def test_a_function_of_a_module_is_called_by_keyword_alone(file: CaseFile) -> None:
    before = {"by keyword": Outcome(("1",))}
    after = {name: Outcome(("1",)) for name in FORMS}
    assert compare_calls([file], Answers(before), Answers(after)).findings == ()  # type: ignore[arg-type]
    renamed = Answers(after, arguments=("x", "factor"))
    (found,) = compare_calls([file], Answers(before), renamed).findings  # type: ignore[arg-type]
    assert found.message == "add[cpu], by keyword: its arguments are x, factor, and were x, by"


@pytest.mark.parametrize(
    ("costs", "code", "words"),
    [
        (Cost(48.5, 9000, 2e-6), codes.LEAKS, "a call leaves 48 bytes more taken than before, the mean of 9000 calls"),
        (Cost(0.0, 9000, 90e-6), codes.SLOWER, "a call takes 90 us, and took 2 us"),
    ],
)
def test_calls_that_cost_more_are_named(file: CaseFile, costs: Cost, code: str, words: str) -> None:
    (found,) = compare_calls([file], Answers({}), Answers({}, costs)).findings  # type: ignore[arg-type]
    assert (found.code, found.message) == (code, f"add[cpu]: {words}")
    assert compare_calls([file], Answers({}, costs), Answers({})).findings == ()  # type: ignore[arg-type]


def test_what_a_call_costs_is_measured(file: CaseFile) -> None:
    found = cost_of(file.cases[0], torch)
    assert found.calls > 1000
    assert abs(found.leaked) < 8
    assert 0 < found.seconds < 1e-3


def test_the_operator_that_a_backward_calls_is_seen(tmp_path: Path) -> None:
    library = torch.library.Library("tstab_half", "DEF")
    library.define("halve(Tensor x) -> Tensor")
    library.define("halve_backward(Tensor grad) -> Tensor")
    for name in ("halve", "halve_backward"):
        library.impl(name, lambda x: x * 0.5, "CPU")
        library.impl(name, lambda x: torch.empty_like(x), "Meta")
    ops = torch.ops.tstab_half
    torch.library.register_autograd("tstab_half::halve", lambda ctx, grad: ops.halve_backward(grad), lib=library)
    path = tmp_path / "cases.toml"
    path.write_text(CASES.partition("[[case]]")[0].replace("aten", "tstab_half") + HALVE)
    (case,) = load_cases(path).cases
    forms = call_forms(case, torch)
    assert forms[REACHED].returns == ("tstab_half::halve", "tstab_half::halve_backward")
    file, answers = load_cases(path), Answers(forms)
    assert compare_calls([file], answers, answers).differentiated == set(forms[REACHED].returns)  # type: ignore[arg-type]


def captured(numbers: list[float], *, asks: bool) -> Case:
    """A captured call of `torch.sqrt` on these numbers."""
    data = struct.pack(f"{len(numbers)}f", *numbers)
    tensor = {
        "storage": 0, "dtype": "float32", "shape": [len(numbers)], "strides": [1], "offset": 0, "device": "cpu",
        "requires_grad": asks, "leaf": True,
    }  # fmt: skip
    storage = {"bytes": len(data), "start": 0, "behind": 0, "shift": 0, "device": "cpu", "content": data.hex()}
    content = {
        "target": "aten::sqrt", "args": [{"tensor": tensor}], "kwargs": {}, "storages": [storage], "grad": "True",
        "features": [],
    }  # fmt: skip
    return captured_case(Call(("aten::sqrt",), content, {data.hex(): data}), "aten")


def test_a_captured_call_is_made_in_every_way() -> None:
    forms = call_forms(captured([1.0, 4.0], asks=True), torch)
    assert forms.keys() == {*FORMS, UNDER_COMPILER, REACHED}
    assert [name for name, outcome in forms.items() if outcome.error is not None] == []
    assert forms[GRADIENTS] == forms[UNDER_COMPILER]
    assert forms[GRADIENTS].returns[0] == "'1 of 1 results ask for gradients'"
    assert cost_of(captured([1.0], asks=False), torch).calls > 0


def test_of_captured_calls_one_is_taken_that_raises_nothing(tmp_path: Path) -> None:
    raising, plain, asking = (captured([value], asks=value == 3.0) for value in (1.0, 2.0, 3.0))

    class Some(Answers):
        tried: ClassVar[list[str]] = []

        def run(self, path: Path, case: Case) -> Outcome:
            self.tried.append(case.id)
            return REFUSED if case in (raising, asking) else Outcome(("1",))

    file = CaseFile(tmp_path / "cases.toml", "aten", "aten", (raising, plain, asking))
    answers = Some({"by keyword": Outcome(("1",))})
    assert compare_calls([file], answers, answers).operators == 1  # type: ignore[arg-type]
    assert Some.tried == [asking.id, raising.id, plain.id]
