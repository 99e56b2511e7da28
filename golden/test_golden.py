"""Every golden case: the library under test does what the legacy one did when the outputs were recorded."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
from torch_stabilize.model import Severity
from torch_stabilize.verify.golden.cases import Case, CaseFile
from torch_stabilize.verify.golden.process import Worker
from torch_stabilize.verify.golden.session import golden_path, judge
from torch_stabilize.verify.golden.store import GoldenFile


def test_golden(file: CaseFile, case: Case, worker: Worker, recorded: Callable[[Path], GoldenFile | None]) -> None:
    """Run the case and compare, bit for bit."""
    device = worker.devices.get(case.device)
    if device is None:
        pytest.skip(f"no {case.device} here")
    if not case.runs_on(worker.devices):
        pytest.skip(f"there is {case.without} here")
    golden = recorded(golden_path(file, device))
    if golden is None:
        pytest.skip(f"nothing is recorded for {device}: torch-stabilize golden record {file.group}")
    comparison = judge(case, golden.cases.get(case.id), worker.run(file.path, case))
    for finding in comparison.findings:
        if finding.severity is Severity.WARNING:
            warnings.warn(f"{finding.code} {finding.message}", stacklevel=1)
    faults = [f"{item.code} {item.message}" for item in comparison.findings if item.severity is Severity.ERROR]
    assert not faults, "\n".join(faults)
