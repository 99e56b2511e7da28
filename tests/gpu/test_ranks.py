"""What runs between GPUs, tried on the CPU: ranks are processes that map the same files."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from typing import Any

import pytest

from tests.gpu.table import between_gpus_findings
from tests.sample.building import ROOT, build_sample

CASE = "all_reduce, eager: 4 bytes of float16"


def ranks(*arguments: str) -> tuple[int, dict[str, Any]]:
    """Exit code and answer of ranks.py on the CPU."""
    pytest.importorskip("torch")
    libraries = [word for path in sorted(build_sample().glob("samplex/*.so")) for word in ("--library", str(path))]
    command = [sys.executable, str(ROOT / "tests/gpu/ranks.py"), "--device", "cpu", *libraries, *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=400)
    return ran.returncode, json.loads(ran.stdout)


@pytest.mark.compile
@pytest.mark.torch
@pytest.mark.xdist_group("sample")
def test_processes_reduce_together_what_torch_gives() -> None:
    code, answer = ranks("--seconds", "300")
    assert (code, answer["failure"]) == (0, "")
    assert {case.partition(",")[0] for case in answer["cases"]} == {
        "all_reduce",
        "minimax_allreduce_rms",
        "minimax_allreduce_rms_qk",
    }
    assert CASE in answer["cases"]
    assert not [case for case, found in answer["cases"].items() if found["wrong"]]


@pytest.mark.compile
@pytest.mark.torch
@pytest.mark.xdist_group("sample")
def test_ranks_that_do_not_end_are_stopped() -> None:
    code, answer = ranks("--seconds", "0")
    assert code == 1
    assert "not done in time" in answer["failure"]


def test_what_differs_between_the_libraries_is_found() -> None:
    right: dict[str, Any] = {"cases": {CASE: {"digest": "a a", "wrong": ""}}, "failure": ""}
    assert between_gpus_findings({"legacy": right, "stable": right}) == []
    bits, missing, wrong, failed = (copy.deepcopy(right) for _ in range(4))
    bits["cases"][CASE]["digest"] = "a b"
    missing["cases"] = {}
    wrong["cases"][CASE]["wrong"] = "rank 1: not the sum"
    failed["failure"] = "rank 1 died of -9"
    findings = [between_gpus_findings({"legacy": right, "stable": other}) for other in (bits, missing, wrong, failed)]
    assert findings == [
        [f"{CASE}: other bits"],
        [f"stable: no result of {CASE}"],
        [f"stable: {CASE}: rank 1: not the sum"],
        ["stable: rank 1 died of -9"],
    ]
