"""Golden cases that several processes run together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from torch_stabilize import toml
from torch_stabilize.model import Refusal
from torch_stabilize.verify import codes
from torch_stabilize.verify.golden.cases import CaseFile, load_cases, parse_cases
from torch_stabilize.verify.golden.outcome import Crash, ErrorOutcome, Outcome
from torch_stabilize.verify.golden.process import Worker
from torch_stabilize.verify.golden.session import Run, absent_devices
from torch_stabilize.verify.golden.store import GoldenFile, from_bytes, record, to_bytes
from torch_stabilize.verify.golden.together import RankGroup, join_outcomes
from torch_stabilize.verify.golden.values import CaseError

from tests.gpu.build_release import trap_source, unresolved

CASES = """
group = "reduce"
library = "_C"

[[case]]
run = "ranks.py:told"
ranks = 2
devices = ["cpu", "cuda"]
dtypes = ["float16"]
modes = ["eager", "graph"]
sweep = [{bytes = 4}]

[[timing]]
run = "ranks.py:timed"
ranks = 2
"""
SCRIPT = '''
import os, signal

def told(me):
    """What every rank tells, and a tensor."""
    assert (me.dtype, me.names, me.device) == (me.torch.float16, {"bytes": 4}, "cpu")
    return [str(me.gather(10 + me.rank)), me.torch.full((3,), me.rank, dtype=me.dtype)]

def timed(me):
    if me.case.mode == "eager":
        return me.outputs(lambda: [me.torch.zeros(2)], me.torch.zeros(2), [me.torch.ones(2)])

def fails(me):
    me.expect(me.rank == 0, "this rank is another")

def refused(me):
    raise ValueError("no rank may")

def dies(me):
    if me.rank == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    me.gather(None)

def copies(me):
    x, y = me.torch.arange(4, dtype=me.torch.uint8), me.torch.zeros(4, dtype=me.torch.uint8)
    me.copy(y.data_ptr(), x.data_ptr(), 4)
    return [str(me.tensor_at(y.data_ptr(), 3).tolist())]
'''


def ranked(text: str = CASES) -> CaseFile:
    return parse_cases(toml.loads(text), Path("golden/reduce/cases.toml"))


def test_a_case_of_ranks_names_a_function_and_its_devices() -> None:
    file = ranked()
    assert [(case.id, case.device) for case in file.cases] == [
        ("told[cpu-float16-bytes=4]", "cpu x2"),
        ("told[cuda-float16-bytes=4]", "cuda x2"),
        ("told[cuda-float16-bytes=4-graph]", "cuda x2"),
    ]
    assert file.devices == ("cpu x2", "cuda x2")
    case = file.cases[1]
    assert (case.script, case.op, case.ranks, case.dtype) == ("ranks.py", "told", 2, "float16")
    assert [file.cases[0].runs_on(devices) for devices in (["cpu"], ["cpu", "cpu x2"])] == [False, True]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("ranks = 2\ndevices", "ranks = 1\ndevices", "there are 2 to 8 ranks, not 1"),
        ("ranks.py:told", "ranks.py", 'run is "FILE:FUNCTION"'),
        ("ranks = 2\ndevices", "ranks = 2\nargs = []\ndevices", "unknown key args"),
    ],
)
def test_what_no_case_of_ranks_can_be_is_refused(old: str, new: str, message: str) -> None:
    with pytest.raises(CaseError, match=message):
        ranked(CASES.replace(old, new))


def test_a_script_that_is_not_there_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cases.toml"
    path.write_text(CASES)
    with pytest.raises(Refusal, match=r"there is no ranks\.py next to it"):
        load_cases(path)


def test_what_decides_the_output_of_ranks_is_in_the_digest() -> None:
    digests = [ranked(CASES.replace(*change)).cases[0].digest for change in (("", ""), ("= 4", "= 8"), ("2", "3"))]
    assert len(set(digests)) == 3


@pytest.mark.parametrize(
    ("devices", "text"),
    [
        ({"cpu": "cpu"}, "3 cases between 2 cuda devices not run: there are none here"),
        ({"cpu": "cpu", "cuda": "cuda-sm90"}, "3 cases between 2 cuda devices not run: there is 1 here"),
    ],
)
def test_cases_of_more_gpus_than_there_are_here_are_named(devices: dict[str, str], text: str) -> None:
    (note,) = absent_devices(Run("2.11.0", devices, {}, {"cuda x2": 3}))
    assert (note.code, note.message, note.severity.name) == (codes.RANKS_ABSENT, text, "NOTE")


def test_outcomes_of_ranks_become_one() -> None:
    error, other = (ErrorOutcome("ValueError", (), text) for text in ("a", "b"))
    assert join_outcomes([Outcome(returns=("a",)), Outcome(returns=("b",))]) == Outcome(returns=("a", "b"))
    assert join_outcomes([Outcome(error=error), Outcome(error=error)]) == Outcome(error=error)
    assert join_outcomes([Outcome(error=error), Outcome(error=other)]) == Crash(
        "rank 0: ValueError: a; rank 1: ValueError: b"
    )
    assert join_outcomes([Outcome(), Crash("it died")]) == Crash("rank 0: done; rank 1: it died")


def test_a_golden_file_says_what_made_it_and_may_say_nothing() -> None:
    case = ranked().cases[0]
    cases = {case.id: record(case, Outcome(returns=("text",)))}
    made = GoldenFile("reduce", "cuda-sm90-x2", "2.11.0", cases, {"gpus": "2 x GPU", "_C.so": "12ab"})
    assert from_bytes(to_bytes(made), "name") == made
    plain = GoldenFile("reduce", "cpu", "2.11.0", cases)
    assert from_bytes(to_bytes(plain), "name").made_with == {}
    assert b"made_with" not in to_bytes(plain)


@pytest.mark.torch
def test_processes_run_a_case_together(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    (tmp_path / "ranks.py").write_text(SCRIPT)
    path = tmp_path / "cases.toml"
    others = "".join(
        f'\n[[case]]\nrun = "ranks.py:{name}"\nranks = 2\n' for name in ("fails", "refused", "dies", "copies")
    )
    path.write_text(CASES + others)
    file = load_cases(path)
    cases: dict[str, Any] = {case.op: case for case in reversed((*file.cases, *file.timings))}
    with RankGroup(lambda: Worker([]), 2, patience=15.0) as group:
        found = group.run(path, cases["told"])
        assert isinstance(found, Outcome)
        assert found.returns[0] == "rank 0: [10, 11]"
        assert found.returns[2] == "rank 1: [10, 11]"
        assert isinstance(found.returns[1], str)
        assert found.returns[1].startswith("rank 0: float16 [3] ")
        assert found.returns[1].partition(": ")[2] != str(found.returns[3]).partition(": ")[2]
        assert group.run(path, cases["copies"]) == Outcome(returns=("rank 0: [0, 1, 2]", "rank 1: [0, 1, 2]"))
        seconds = group.time(path, cases["timed"], 0.05)
        assert isinstance(seconds, float)
        assert 0 < seconds < 1
        assert group.run(path, cases["fails"]) == Crash(
            "rank 0: TypeError: 'NoneType' object is not iterable; rank 1: AssertionError: rank 1: this rank is another"
        )
        refused = group.run(path, cases["refused"])
        assert isinstance(refused, Outcome)
        assert refused.error is not None
        assert refused.error.message == "no rank may"
        lost = group.run(path, cases["dies"])
        assert isinstance(lost, Crash)
        assert "rank 0: PeerGone: rank 1 did not come within 15 s" in lost.reason
        assert "rank 1: the process died of SIGKILL" in lost.reason
        again = group.run(path, cases["told"])
        assert again == found


LINKER = """
/usr/bin/ld: a.o:(.data+0x0): warning: undefined reference to `_Z9allreducel'
/usr/bin/ld: a.o: in function `x': warning: undefined reference to `PyModule_Create2'
ld: a.o: warning: undefined reference to `_Z9allreducel'
ld: a.o: warning: undefined reference to `cuPointerGetAttribute'
"""


def test_what_nobody_defines_traps() -> None:
    assert unresolved(LINKER) == ["_Z9allreducel", "cuPointerGetAttribute"]
    source = trap_source(["_Z9allreducel"])
    assert source.count("ud2") == 1
    assert '.globl "_Z9allreducel"' in source
