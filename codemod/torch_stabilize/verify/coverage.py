"""Which operators of a group the golden cases call, and on which devices they were compared."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from torch_stabilize.model import Severity
from torch_stabilize.verify import codes
from torch_stabilize.verify.announced import Announced
from torch_stabilize.verify.golden.cases import COMPARED, Case, CaseFile
from torch_stabilize.verify.golden.outcome import Outcome
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


def _without_result(group: Announced, files: Sequence[CaseFile], runs: Sequence[Run]) -> str:
    """Why cases that were run prove nothing of some operators, or of all: they raise. "" where each gives a result.

    What is for an absent device, or for several ranks, is named where it is not run.
    """
    outcomes = {name: outcome for run in runs for name, outcome in run.outcomes.items()}
    gave: set[str] = set()
    elsewhere: set[str] = set()
    for case in (case for file in files for case in file.cases):
        outcome = outcomes.get(case.id)
        if outcome is None or case.script:
            elsewhere.add(operator_of(case))
        if isinstance(outcome, Outcome) and outcome.error is None and not _is_left_out(case, outcome):
            gave.add(operator_of(case))
    if group.operators and not gave:
        return "no case gives a result on a device that is here"
    called = {operator_of(case) for file in files for case in file.cases}
    names = [name for name in group.operators if name in called and name not in gave and name not in elsewhere]
    return f"no case gives a result of {listed(names)}" if names else ""


def _is_left_out(case: Case, outcome: Outcome) -> bool:
    """Whether the case compares less than everything, and so nothing."""
    return case.compare != COMPARED and not outcome.returns and not outcome.mutated


_CAPTURE = (
    "On the tree before the migration, let the project's tests call it: `torch-stabilize golden capture GROUP... -- "
    "python -m pytest`, with every group of the module."
)


def covered_step(
    step: Step, group: Announced, files: Sequence[CaseFile], checked: Iterable[Checked], runs: Sequence[Run]
) -> Step:
    """The `golden outputs` step with what it proves: on which devices, what was not run, what has no case."""
    missing = uncovered(group, files)
    undone = [f"no golden case for {listed(missing)}"] if missing else []
    undone += dict.fromkeys(note for file in files for note in file.notes)
    undone += [f"gradients by {name} not compared: it was no operator before" for name in sorted(group.added)]
    checked = tuple(checked)
    compared = [comparison for one in checked for comparison in one.comparisons]
    devices = _compared_on(checked)
    not_run = list(_absent(runs))
    if not devices and not undone and (not_run or group.operators):
        undone.append("no case could be run on this machine")
    elif devices and (reason := _without_result(group, files, runs)):
        undone.append(reason)
    if near := sum(any(item.code == codes.WITHIN_TOLERANCE for item in one.findings) for one in compared):
        not_run.append(f"bit equality of {counted(near, 'case')} (within its tolerance)")
    if not group.operators and not devices:
        not_run.append("outputs (the group registers no operator)")
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
    return tuple(
        finding(codes.NO_CASE, f"{name} has no golden case", severity=Severity.WARNING, help=_CAPTURE)
        for name in missing
    )


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
