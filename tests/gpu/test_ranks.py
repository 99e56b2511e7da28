"""What runs between GPUs, tried on the CPU: ranks are processes that map the same files."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from torch_stabilize.verify.golden.outcome import Crash, ErrorOutcome, Outcome

from tests.gpu.lost_rank import judged
from tests.gpu.table import lost_findings, markdown
from tests.sample.building import ROOT, build_sample


@pytest.mark.compile
@pytest.mark.torch
@pytest.mark.xdist_group("sample")
def test_a_rank_that_dies_is_named_and_the_other_does_not_wait_for_ever() -> None:
    pytest.importorskip("torch")
    libraries = [word for path in sorted(build_sample().glob("samplex/*.so")) for word in ("--library", str(path))]
    command = [sys.executable, str(ROOT / "tests/gpu/lost_rank.py"), "--device", "cpu", "--patience", "1", *libraries]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=400)
    answer = json.loads(ran.stdout)["eager"]
    assert "rank 1: the process died of SIGKILL" in answer["said"]
    assert "rank 0: still waiting for a peer, and ended" in answer["said"]
    assert answer["wrong"] in ("", f"it took {answer['seconds']:.0f} s")  # on a machine that is busy


SAID = "rank 0: PeerGone: the GPU still waits for a peer after 5 s; rank 1: the process died of SIGKILL"


@pytest.mark.parametrize(
    ("said", "seconds", "after", "wrong"),
    [
        (SAID, 12.0, Outcome(), ""),
        (SAID, 99.0, Outcome(), "it took 99 s"),
        ("rank 0: done; rank 1: the process died of SIGKILL", 9.0, Outcome(), "the other does not say"),
        ("nothing", 9.0, Outcome(), "the rank that died is not named"),
        (SAID, 9.0, Crash("no answer within 300 s"), "the next group fails: no answer within 300 s"),
        (SAID, 9.0, Outcome(error=ErrorOutcome("RuntimeError", (), "bad")), "the next group fails"),
    ],
)
def test_what_is_wrong_once_a_rank_is_lost(said: str, seconds: float, after: Outcome | Crash, wrong: str) -> None:
    found = judged(said, seconds, 5.0, after)
    assert (wrong in found) if wrong else not found


def group(name: str, equal: int, **figures: dict[str, int]) -> dict[str, Any]:
    figures["cuda-sm90-x2"] = {"equal": equal, "cases": 9}
    step = {"status": "ok", "figures": {name: figures}, "diagnostics": []}
    none: dict[str, Any] = {"recorded": "", "left_out": [], "other": None, "untimed": "", "failure": ""}
    time = {"case": f"{name}-time", "legacy": 10.0, "stable": 11.0, "ratio": 1.1, "lowest": 1.0, "highest": 1.25}
    return {**none, "group": name, "step": step, "overhead": [time], "passed": equal == 9}


def test_the_table_tells_devices_and_ranks_apart() -> None:
    facts = {"gpus": ["GPU", "GPU"], "torch": "2", "cuda": "13", "nvcc": "13", "python": "3", "driver": "580"}
    lost = {"sample, legacy": {"eager": {"seconds": 9.0, "said": SAID, "wrong": "it took 9 s"}}}
    document = {
        "facts": {**facts, "commit": "abc"},
        "seconds": 1,
        "steps": ["compare", "overhead", "lost"],
        "builds": {"release": "0.1, ok; functions that trap: legacy _C: 3"},
        "groups": [group("reduce", 9, cpu={"equal": 1, "cases": 2}, **{"cuda-sm90": {"equal": 3, "cases": 4}})],
        "release": [group("norm", 8)],
        "lost": lost,
    }
    text = markdown(document)
    assert "Commit abc. 2 x GPU, driver 580" in text
    assert "| reduce | 1 of 2 | 3 of 4 | - | 9 of 9 | - | passed |" in text
    assert "vLLM 0.1" in text
    assert "(legacy _C: 3)" in text
    assert "| norm | - | 8 of 9 | FAILED |" in text
    assert "| vLLM: norm-time | 10.0 | 11.0 | 1.100 | 1.000 to 1.250 |" in text
    assert f"| sample, legacy, eager | 9.0 | {SAID} | FAILED |" in text
    assert "- a lost rank: sample, legacy, eager: it took 9 s" in text
    assert lost_findings({}) == []
