"""Operators called in every way that Python has, before and after the migration."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from codemod.verify import codes
from codemod.verify.golden.cases import Case, CaseFile
from codemod.verify.golden.outcome import Outcome
from codemod.verify.golden.process import Crash, Worker
from codemod.verify.result import Finding, finding


@dataclass(frozen=True)
class Calls:
    """How many operators were called in every way, and what differs."""

    operators: int = 0
    findings: tuple[Finding, ...] = ()


def compare_calls(files: Iterable[CaseFile], legacy: Worker, stable: Worker) -> Calls:
    """One case of each operator, in the ways of `forms.FORMS`."""
    chosen = [(file, case) for file in files for case in _one_each(file)]
    findings: list[Finding] = []
    for file, case in chosen:
        findings += _compare(case, legacy.forms(file.path, case), stable.forms(file.path, case))
    return Calls(len(chosen), tuple(findings))


def _one_each(file: CaseFile) -> Iterable[Case]:
    """The first case of each operator that runs on the CPU and raises nothing; what captured ones do is not known."""
    written = (case for case in file.cases if case.captured is None)
    fit = (case for case in written if case.mode == "eager" and case.device == "cpu" and case.raises is None)
    first: dict[tuple[str, str], Case] = {}
    for case in fit:
        first.setdefault((case.op, case.overload), case)
    return first.values()


def _compare(case: Case, before: dict[str, Outcome] | Crash, after: dict[str, Outcome] | Crash) -> Iterator[Finding]:
    if isinstance(before, Crash):
        return  # the golden outputs have a word for it
    if isinstance(after, Crash):
        yield finding(codes.CALLS_DIFFER, f"{case.id}, called in every way: {after.reason}")
        return
    for form, outcome in before.items():
        if after[form] != outcome:
            yield finding(codes.CALLS_DIFFER, f"{case.id}, {form}: {_said(after[form])}, and was {_said(outcome)}")


def _said(outcome: Outcome) -> str:
    if outcome.error is not None:
        return f"{outcome.error.type}: {outcome.error.message.splitlines()[0] if outcome.error.message else ''}"
    texts = [value for value in outcome.returns if isinstance(value, str)]
    return ", ".join(texts).replace("\n", " ")[:200] or "other tensors"
