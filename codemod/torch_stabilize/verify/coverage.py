"""Which operators of a group the golden cases call, and on which devices they were compared."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from torch_stabilize.model import Severity
from torch_stabilize.verify import codes
from torch_stabilize.verify.announced import Announced
from torch_stabilize.verify.golden.cases import Case, CaseFile
from torch_stabilize.verify.golden.session import Checked, Run
from torch_stabilize.verify.result import Finding, Step, counted, finding

NAMED_AT_MOST = 10
_KINDS = {"cpu": "the CPU", "cuda": "CUDA"}


def operator_of(case: Case) -> str:
    """The operator a case calls, "ns::name" or "ns::name.overload"; a case of several ranks names none."""
    if case.script:
        return ""
    return f"{case.namespace}::{case.op}" + (f".{case.overload}" if case.overload != "default" else "")


def uncovered(group: Announced, files: Sequence[CaseFile]) -> tuple[str, ...]:
    """The operators of the group that no case calls. What several ranks call is in their script."""
    called = {operator_of(case) for file in files for case in file.cases}
    places = {file.path.parent / case.script for file in files for case in file.cases if case.script}
    words = {word for place in places for word in re.findall(r"\w+", place.read_text(encoding="utf-8"))}
    return tuple(name for name in group.operators if name not in called and not _named(name, words))


def covered_step(
    step: Step, group: Announced, files: Sequence[CaseFile], checked: Iterable[Checked], runs: Iterable[Run]
) -> Step:
    """The `golden outputs` step with what it proves: on which devices, what was not run, what has no case."""
    missing = uncovered(group, files)
    undone = [f"no golden case for {listed(missing)}"] if missing else []
    undone += dict.fromkeys(note for file in files for note in file.notes)
    undone += [f"gradients by {name} not compared: it was no operator before" for name in sorted(group.added)]
    devices = _compared_on(checked)
    not_run = list(_absent(runs))
    if not devices and not undone and (not_run or group.operators):
        undone.append("no case could be run on this machine")
    kinds = {case.device.partition(" ")[0] for file in files for case in file.cases}
    if group.on_cuda and group.operators and "cuda" not in kinds:
        not_run.append("CUDA code (no case for it)")
    found = (*step.diagnostics, *_findings(missing))
    return replace(step, diagnostics=found, undone=tuple(undone), not_run=tuple(not_run), devices=devices)


def listed(names: Sequence[str]) -> str:
    """The first of `names`, and how many more there are."""
    more = f" and {len(names) - NAMED_AT_MOST} more" if len(names) > NAMED_AT_MOST else ""
    return ", ".join(names[:NAMED_AT_MOST]) + more


def _named(operator: str, words: Collection[str]) -> bool:
    return operator.rpartition("::")[2].partition(".")[0] in words


def _findings(missing: Iterable[str]) -> tuple[Finding, ...]:
    return tuple(finding(codes.NO_CASE, f"{name} has no golden case", severity=Severity.WARNING) for name in missing)


def _compared_on(checked: Iterable[Checked]) -> tuple[str, ...]:
    """The kinds of devices that cases were compared on, in words."""
    cases: dict[str, list[Case]] = {}
    for found in checked:
        kind = found.device.partition("-")[0]
        cases.setdefault(kind, []).extend(comparison.case for comparison in found.comparisons)
    return tuple(_said(kind, here) for kind, here in sorted(cases.items()) if here)


def _said(kind: str, cases: Iterable[Case]) -> str:
    refusals = all(case.raises is not None for case in cases)
    return _KINDS.get(kind, kind) + (" (refusals alone)" if refusals else "")


def _absent(runs: Iterable[Run]) -> Iterable[str]:
    """How many cases were not run for want of a device."""
    counts: Counter[str] = sum((Counter(run.skipped) for run in runs), Counter())
    for device, count in sorted(counts.items()):
        kind, _, ranks = device.partition(" x")
        name = kind.upper()
        lack = "no GPU" if kind == "cuda" else "no such device"
        yield (
            f"{counted(count, 'case')} between {ranks} {name} devices (not that many here)"
            if ranks
            else f"{counted(count, f'{name} case')} ({lack})"
        )
