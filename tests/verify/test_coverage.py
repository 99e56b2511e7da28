"""What golden cases cover of a group: each operator has a case, devices are named, absent ones counted."""

from __future__ import annotations

from pathlib import Path

import pytest
from torch_stabilize import toml
from torch_stabilize.model import Severity
from torch_stabilize.verify import codes
from torch_stabilize.verify.announced import Announced
from torch_stabilize.verify.coverage import covered_step, uncovered
from torch_stabilize.verify.golden.cases import CaseFile, parse_cases
from torch_stabilize.verify.golden.compare import Comparison
from torch_stabilize.verify.golden.outcome import ErrorOutcome, Outcome
from torch_stabilize.verify.golden.session import Checked, Run
from torch_stabilize.verify.golden.values import CaseError
from torch_stabilize.verify.result import Status, Step, finding
from torch_stabilize.verify.verdict import judge_steps

CASES = """
library = "ext"

[[case]]
op = "scale"
devices = ["cpu", "cuda"]

[[case]]
op = "scale"
overload = "out"
id = "refused"
raises = "RuntimeError"
"""
EQUAL = """
[[case]]
op = "scale"
overload = "out"
id = "out"
"""
STEP = Step("golden outputs", Status.OK, "equal")


def cases_of(tmp_path: Path, text: str = CASES) -> CaseFile:
    return parse_cases(toml.loads(text), tmp_path / "group" / "cases.toml")


def covered(file: CaseFile, group: Announced, here: tuple[str, ...] = ("cpu",)) -> Step:
    """The step on a machine with the devices `here`, where every case was equal."""
    absent = [case.device for case in file.cases if case.device not in here]
    refused = ErrorOutcome("RuntimeError", ("RuntimeError",), "no")
    done = {c.id: Outcome(error=refused) if c.raises else Outcome(("1",)) for c in file.cases if c.device in here}
    run = Run("2.13", {name: name for name in here}, done, {device: absent.count(device) for device in absent})
    checked = [
        Checked("group", device, tuple(Comparison(case) for case in file.on(device)))
        for device in file.devices
        if device in here
    ]
    return covered_step(STEP, group, (file,), checked, (run,))


def test_a_machine_without_a_gpu_names_what_it_did_not_run(tmp_path: Path) -> None:
    step = covered(cases_of(tmp_path, CASES + EQUAL), Announced(("ext::scale", "ext::scale.out"), on_cuda=True))
    assert judge_steps([step]).text == "proven on the CPU; not run: 1 CUDA case (no GPU)"


def test_with_a_gpu_the_whole_is_proven(tmp_path: Path) -> None:
    step = covered(cases_of(tmp_path), Announced(("ext::scale",), on_cuda=True), ("cpu", "cuda"))
    assert step.devices == ("the CPU", "CUDA")
    assert judge_steps([step]).text == "nothing but the ABI changed"


def test_an_operator_without_a_case_leaves_the_group_unproven(tmp_path: Path) -> None:
    step = covered(cases_of(tmp_path), Announced(("ext::join", "ext::scale", "ext::scale.in")))
    assert [found.code for found in step.diagnostics] == [codes.NO_CASE, codes.NO_CASE]
    assert all("golden capture GROUP" in found.help for found in step.diagnostics)
    verdict = judge_steps([step])
    assert verdict.text.startswith("not proven: no golden case for ext::join, ext::scale.in; not run: ")
    assert not verdict.passed


def test_a_group_without_operators_needs_no_case() -> None:
    step = covered_step(Step.skipped("golden outputs", "the group has no cases.toml"), Announced(), (), (), ())
    verdict = judge_steps([step])
    assert verdict.passed
    assert verdict.text == "proven; not run: outputs (the group registers no operator)"


def test_a_group_without_any_case_is_not_proven() -> None:
    skipped = Step.skipped("golden outputs", "the group has no cases.toml")
    verdict = judge_steps([covered_step(skipped, Announced(("ext::scale",)), (), (), ())])
    assert verdict.text == "not proven: no golden case for ext::scale"


def test_cases_for_absent_devices_alone_prove_nothing(tmp_path: Path) -> None:
    file = cases_of(tmp_path, 'library = "ext"\n[[case]]\nop = "scale"\ndevices = ["cuda"]\n')
    verdict = judge_steps([covered(file, Announced(("ext::scale",), on_cuda=True))])
    assert verdict.text == "not proven: no case could be run on this machine; not run: 1 CUDA case (no GPU)"


def test_cuda_code_that_no_case_runs_is_named(tmp_path: Path) -> None:
    file = cases_of(tmp_path, CASES.replace('"cpu", "cuda"', '"cpu"'))
    verdict = judge_steps([covered(file, Announced(("ext::scale",), on_cuda=True), ("cpu", "cuda"))])
    assert verdict.text == "proven on the CPU; not run: CUDA code (no case for it)"
    assert verdict.passed


def test_refusals_alone_prove_nothing(tmp_path: Path) -> None:
    file = cases_of(tmp_path, CASES.replace('"cpu", "cuda"', '"cuda"'))
    verdict = judge_steps([covered(file, Announced(("ext::scale",), on_cuda=True))])
    text = "not proven: no case gives a result on a device that is here; not run: 1 CUDA case (no GPU)"
    assert (verdict.text, verdict.passed) == (text, False)


def test_an_operator_that_raises_in_every_case_is_not_proven(tmp_path: Path) -> None:
    verdict = judge_steps([covered(cases_of(tmp_path), Announced(("ext::scale", "ext::scale.out")), ("cpu", "cuda"))])
    assert verdict.text == "not proven: no case gives a result of ext::scale.out"


def test_what_raises_here_and_has_cases_for_another_device_is_named(tmp_path: Path) -> None:
    file = cases_of(tmp_path, CASES + EQUAL + 'devices = ["cuda"]\n')
    verdict = judge_steps([covered(file, Announced(("ext::scale", "ext::scale.out")))])
    assert verdict.text == "proven on the CPU; not run: 2 CUDA cases (no GPU)"


def test_a_case_that_compares_what_is_not_there_proves_nothing(tmp_path: Path) -> None:
    file = cases_of(tmp_path, 'library = "ext"\n[[case]]\nop = "scale"\ncompare = ["mutated"]\n')
    run = Run("2.13", {"cpu": "cpu"}, {file.cases[0].id: Outcome()}, {})
    checked = Checked("group", "cpu", (Comparison(file.cases[0]),))
    step = covered_step(STEP, Announced(("ext::scale",)), (file,), (checked,), (run,))
    assert step.undone == ("no case gives a result on a device that is here",)


def test_a_case_that_compares_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CaseError, match="compare is empty"):
        cases_of(tmp_path, 'library = "ext"\n[[case]]\nop = "scale"\ncompare = []\n')


def test_what_is_equal_within_a_tolerance_is_named(tmp_path: Path) -> None:
    file = cases_of(tmp_path, 'library = "ext"\n[[case]]\nop = "scale"\n')
    near = finding(codes.WITHIN_TOLERANCE, "scale[cpu]: return 0 differs", severity=Severity.NOTE)
    run = Run("2.13", {"cpu": "cpu"}, {file.cases[0].id: Outcome(("1",))}, {})
    checked = Checked("group", "cpu", (Comparison(file.cases[0], (near,)),))
    verdict = judge_steps([covered_step(STEP, Announced(("ext::scale",)), (file,), (checked,), (run,))])
    assert verdict.text == "proven on the CPU; not run: bit equality of 1 case (within its tolerance)"


def test_what_ranks_call_stands_in_their_script(tmp_path: Path) -> None:
    folder = tmp_path / "group"
    folder.mkdir()
    (folder / "ranks.py").write_text("def together(rank):\n    rank.torch.ops.ext.reduce(1)\n")
    file = cases_of(tmp_path, 'library = "ext"\n[[case]]\nrun = "ranks.py:together"\n')
    group = Announced(("ext::reduce", "ext::reduce_all"))
    assert uncovered(group, (file,)) == ("ext::reduce_all",)
    step = covered_step(STEP, group, (file,), (), (Run("2.13", {"cpu": "cpu"}, {}, {"cuda x2": 3}),))
    assert step.not_run == ("3 cases between 2 CUDA devices (not that many here)",)


def test_functions_of_a_module_are_operators_like_others(tmp_path: Path) -> None:
    group = Announced(("ext::scale", "ext::scale.out"), functions={"ext::scale": "_C.scale"})
    assert covered(cases_of(tmp_path, CASES + EQUAL), group).undone == ()
    group = Announced(("ext::scale", "ext::join"), functions={"ext::join": "_C.join"})
    assert judge_steps([covered(cases_of(tmp_path), group)]).text.startswith("not proven: no golden case for ext::join")


def test_gradients_that_an_operator_of_its_own_gives_are_not_compared(tmp_path: Path) -> None:
    group = Announced(("ext::scale", "ext::scale.out"), added=frozenset({"ext::scale_backward"}))
    verdict = judge_steps([covered(cases_of(tmp_path, CASES + EQUAL), group, ("cpu", "cuda"))])
    assert verdict.text == "not proven: gradients by ext::scale_backward not compared: it was no operator before"
