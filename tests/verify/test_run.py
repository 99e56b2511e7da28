"""Cases run in a process of their own, here on operators that torch has itself: no library is compiled."""

from __future__ import annotations

import os
import signal
import struct
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from torch_stabilize.model import Refusal, Severity
from torch_stabilize.verify import codes
from torch_stabilize.verify.golden.cases import CaseFile, load_cases
from torch_stabilize.verify.golden.outcome import Crash, LoadError, Outcome, TensorOutcome
from torch_stabilize.verify.golden.process import Worker
from torch_stabilize.verify.golden.session import (
    Run,
    absent_devices,
    check_group,
    check_run,
    compare_runs,
    golden_of,
    golden_path,
    golden_step,
    record_group,
    run_cases,
)
from torch_stabilize.verify.golden.store import write_golden
from torch_stabilize.verify.golden.timing import measure_overhead
from torch_stabilize.verify.loaded import recorded_findings
from torch_stabilize.verify.result import Status

pytestmark = [pytest.mark.torch, pytest.mark.xdist_group("verify-run")]

CASES = """
group = "aten"
library = "aten"

[[case]]
op = "neg"
dtypes = ["float32", "float16", "bfloat16", "int32"]
args = [{tensor = {shape = [2, 3], low = -9.0, high = 9.0}}]

[[case]]
op = "neg_"
id = "compiled"
modes = ["compile"]
args = [{tensor = {shape = [2, 3]}}]

[[case]]
op = "relu"
id = "zeros"
args = [{tensor = {shape = [2], fill = -0.0}}]

[[case]]
op = "add_"
overload = "Tensor"
args = [{tensor = {shape = [2, 2], strides = [3, 1], fill = 1}}, {tensor = {shape = [2, 2], fill = 0.5}}]

[[case]]
op = "split_with_sizes"
id = "several"
args = [{tensor = {shape = [3], fill = 2}}, {ints = [1, 2]}]

[[case]]
op = "item"
id = "number"
args = [{tensor = {shape = [], fill = 1.5}}]

[[case]]
op = "cat"
id = "lists"
args = [{list = [{tensor = {shape = [1], fill = 3}}, {tensor = {shape = [2], fill = "nan"}}]}]

[[case]]
op = "mm"
id = "wrong-shape"
raises = "RuntimeError"
args = [{tensor = {shape = [2, 3]}}, {tensor = {shape = [2, 3]}}]

[[case]]
op = "index_select"
id = "generated"
args = [{tensor = {shape = [6, 2], fill = "special"}}, {int = 0}, {generator = "permutation", count = 6}]

[[case]]
op = "neg"
id = "elsewhere"
devices = ["cuda"]
args = [{tensor = {shape = [2]}}]
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> CaseFile:
    path = tmp_path_factory.mktemp("golden") / "aten" / "cases.toml"
    path.parent.mkdir()
    path.write_text(CASES)
    return load_cases(path)


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    with Worker([]) as running:
        yield running


def outcome(worker: Worker, file: CaseFile, name: str) -> Outcome:
    case = next(case for case in file.cases if case.id.startswith(name))
    found = worker.run(file.path, case)
    assert isinstance(found, Outcome), found
    return found


def floats(value: object) -> tuple[float, ...]:
    assert isinstance(value, TensorOutcome)
    return struct.unpack(f"<{len(value.data) // 4}f", value.data)


def test_writes_are_found_with_strides(worker: Worker, file: CaseFile) -> None:
    found = outcome(worker, file, "add_")
    assert found.undeclared == ()
    ((name, written),) = found.mutated
    assert (name, written.strides, floats(written)) == ("0", (3, 1), (1.5,) * 4)
    (returned,) = found.returns
    assert isinstance(returned, TensorOutcome)
    assert returned.alias == "0"


def test_every_kind_of_return(worker: Worker, file: CaseFile) -> None:
    assert outcome(worker, file, "number").returns == ("0x1.8000000000000p+0",)
    several = outcome(worker, file, "several").returns
    assert [value.shape for value in several if isinstance(value, TensorOutcome)] == [(1,), (2,)]
    joined = floats(outcome(worker, file, "lists").returns[0])
    assert joined[0] == 3
    assert joined[1] != joined[1]


def test_errors_are_outcomes(worker: Worker, file: CaseFile) -> None:
    error = outcome(worker, file, "wrong-shape").error
    assert error is not None
    assert error.type == "RuntimeError"
    assert "mat1 and mat2 shapes cannot be multiplied" in error.message


def test_two_processes_agree_and_absent_devices_are_said(worker: Worker, file: CaseFile) -> None:
    with Worker([]) as other:
        first, second = run_cases(file, worker), run_cases(file, other)
    step = golden_step(compare_runs(file, first, second))
    assert step.status is Status.OK
    total = len(file.on("cpu"))
    assert step.summary.startswith(f"{total} of {total} cases equal on cpu")
    if "cuda" not in first.devices:
        assert first.skipped == {"cuda": 1}


def test_recorded_outputs_are_checked_and_a_changed_case_is_stale(worker: Worker, file: CaseFile) -> None:
    (path,), faults = record_group(file, [])
    assert not faults
    recorded = path.read_bytes()
    with pytest.raises(Refusal, match="--force"):
        record_group(file, [])
    record_group(file, [], force=True)
    assert path.read_bytes() == recorded
    assert golden_step(check_run(file, run_cases(file, worker))).status is Status.OK
    file.path.write_text(CASES.replace("fill = -0.0", "fill = 0.0"))
    changed = load_cases(file.path)
    with Worker([]) as fresh:
        step = golden_step(check_run(changed, run_cases(changed, fresh)))
    file.path.write_text(CASES)
    assert step.status is Status.FAILED
    assert [d.message for d in step.diagnostics] == [
        "zeros[cpu]: stale, the case changed since its output was recorded"
    ]


def test_a_recorded_file_that_is_corrupted_fails_the_step(worker: Worker, file: CaseFile) -> None:
    run = run_cases(file, worker)
    path = golden_path(file, "cpu")
    write_golden(path, golden_of(file, run, "cpu"), force=True)
    assert recorded_findings(file, run) == ()
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)
    with pytest.raises(Refusal, match="is corrupted"):
        check_group(file, [Path("no library is loaded")])
    (found,) = recorded_findings(file, run)
    path.unlink()
    assert (found.code, found.severity) == (codes.GOLDEN_REFUSED, Severity.ERROR)
    assert "is corrupted" in found.message


def test_a_case_for_machines_without_a_gpu_does_not_run_where_there_is_one(worker: Worker, file: CaseFile) -> None:
    case = replace(next(case for case in file.cases if case.id.startswith("zeros")), without="cuda")
    lone = replace(file, cases=(case,))
    there = replace(run_cases(lone, worker), devices={"cpu": "cpu", "cuda": "cuda-sm90"}, outcomes={})
    assert case.runs_on(["cpu"])
    assert not case.runs_on(there.devices)
    assert golden_step(check_run(lone, there)).status is Status.SKIPPED


def test_a_case_that_hangs_is_named_and_the_next_one_runs(file: CaseFile) -> None:
    with Worker([], seconds=0.2) as impatient:
        stopped = impatient._process
        assert stopped is not None
        os.kill(stopped.pid, signal.SIGSTOP)  # it answers to nobody, however fast the machine is
        first = impatient.run(file.path, file.cases[0])
        assert isinstance(first, Crash)
        assert first.reason == "no answer within 0 s"
        assert stopped.returncode == -signal.SIGKILL
        impatient._seconds = 300.0
        assert isinstance(impatient.run(file.path, file.cases[0]), Outcome)


def test_who_is_abandoned_answers_and_starts_no_more(file: CaseFile) -> None:
    with Worker([]) as worker, ThreadPoolExecutor(1) as pool:
        process = worker._process
        assert process is not None
        os.kill(process.pid, signal.SIGSTOP)
        waiting = pool.submit(worker.run, file.path, file.cases[0])
        worker.abandon()
        assert isinstance(waiting.result(60), Crash)
        assert worker.run(file.path, file.cases[0]) == Crash("stopped")
        assert process.wait(60) == -signal.SIGKILL


def test_an_operator_that_is_not_registered_is_named(worker: Worker, tmp_path: Path) -> None:
    path = tmp_path / "cases.toml"
    path.write_text('library = "nowhere"\n[[case]]\nop = "f"\n')
    absent = load_cases(path)
    found = worker.run(path, absent.cases[0])
    assert isinstance(found, Crash)
    assert "nowhere::f.default is not registered" in found.reason


def test_a_file_that_is_no_library_does_not_load(tmp_path: Path) -> None:
    (tmp_path / "lib.so").write_text("no")
    with pytest.raises(LoadError, match=r"lib\.so"), Worker([tmp_path / "lib.so"]):
        pass


def test_overhead_is_a_ratio_with_its_spread(worker: Worker, file: CaseFile) -> None:
    case = next(case for case in file.cases if case.id == "neg[cpu-float32]")
    ((found,), crashed) = measure_overhead(file, [case, *file.on("cuda")], worker, worker, rounds=2)
    assert crashed == ()
    assert found.case == "neg[cpu-float32]"
    assert 0 < found.lowest <= found.ratio <= found.highest


def test_a_device_that_is_not_here_is_said_once_for_all_files() -> None:
    runs = [Run("2.13.0", {"cpu": "cpu"}, {}, {"cuda": count}) for count in (2, 3)]
    assert [found.message for found in absent_devices(*runs)] == ["5 cases for cuda were not run: no such device here"]
