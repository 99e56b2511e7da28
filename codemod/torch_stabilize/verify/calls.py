"""Operators called in every way that Python has, before and after the migration."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass

from torch_stabilize.model import Severity
from torch_stabilize.verify import codes
from torch_stabilize.verify.golden.cases import Case, CaseFile
from torch_stabilize.verify.golden.forms import (
    BY_KEYWORD,
    FAKED,
    GRADIENTS,
    NO_FAKE,
    NO_GRADIENT,
    OPCHECK,
    REACHED,
    UNDER_COMPILER,
)
from torch_stabilize.verify.golden.outcome import Crash, Outcome
from torch_stabilize.verify.golden.process import Worker
from torch_stabilize.verify.golden.values import PlainValue
from torch_stabilize.verify.result import Finding, finding


@dataclass(frozen=True)
class Calls:
    """How many operators were called in every way, and what differs.

    `differentiated` are the operators that were called, after the migration, for gradients equal to those before it.
    """

    operators: int = 0
    findings: tuple[Finding, ...] = ()
    differentiated: frozenset[str] = frozenset()


def compare_calls(files: Iterable[CaseFile], legacy: Worker, stable: Worker, pool: Executor | None = None) -> Calls:
    """One case of each operator, in the ways of `forms.FORMS`; with a `pool`, on both sides at once."""
    chosen = [(file, case) for file in files for case in _one_each(file, legacy)]
    findings: list[Finding] = []
    differentiated: set[str] = set()
    for file, case in chosen:
        waiting = pool.submit(legacy.forms, file.path, case) if pool is not None else None
        after = stable.forms(file.path, case)
        before = waiting.result() if waiting is not None else legacy.forms(file.path, case)
        if isinstance(before, dict) and isinstance(after, dict):
            before, after = dict(before), dict(after)
            reached = after.pop(REACHED, None)
            before.pop(REACHED, None)
            if OPCHECK not in before and not _has_gradients(before):
                # The results of a function of a module then ask for none. Those of an operator do, and torch warns.
                before.pop(GRADIENTS, None)
            if reached is not None and _same_gradients(before, after):
                differentiated.update(map(str, reached.returns))
        if isinstance(before, dict) and BY_KEYWORD in before and OPCHECK not in before:  # a function of a Python module
            findings += _compare_names(case, legacy.names(file.path, case), stable.names(file.path, case))
        findings += _compare(case, before, after)
        findings += _compare_costs(file, case, legacy, stable)
    return Calls(len(chosen), tuple(findings), frozenset(differentiated))


def _has_gradients(outcomes: Mapping[str, Outcome]) -> bool:
    found = outcomes.get(GRADIENTS)
    return found is not None and found.error is None and found.returns != (repr(NO_GRADIENT),)


def _same_gradients(before: Mapping[str, Outcome], after: Mapping[str, Outcome]) -> bool:
    """Whether gradients were had on both sides and are equal, after the migration under a compiler too.

    What no compiler could see into before has to give under one what it gave without.
    """
    if not _has_gradients(before) or UNDER_COMPILER not in before:
        return False
    was = before[GRADIENTS]
    compiled = before[UNDER_COMPILER] if before[UNDER_COMPILER].error is None else was
    return was == after.get(GRADIENTS) and after.get(UNDER_COMPILER) == compiled


def _one_each(file: CaseFile, legacy: Worker) -> Iterable[Case]:
    """A case of each operator that runs on the CPU and raises nothing: the first that is written, else a captured one.

    Which captured ones raise is seen by making them; those that were made for gradients come first.
    """
    fit = [case for case in file.cases if case.mode == "eager" and case.device == "cpu" and case.raises is None]
    first: dict[tuple[str, str], Case] = {}
    for case in fit:
        if case.captured is None:
            first.setdefault((case.op, case.overload), case)
    candidates: dict[tuple[str, str], list[tuple[bool, Case]]] = {}
    for case in fit:
        operator = (case.op, case.overload)
        if case.captured is not None and case.captured.change is None and operator not in first:
            candidates.setdefault(operator, []).append((not case.captured.asks_for_gradients, case))
    for operator, cases in candidates.items():
        for _, case in sorted(cases, key=lambda one: one[0])[:_TRIES]:
            outcome = legacy.run(file.path, case)
            if isinstance(outcome, Outcome) and outcome.error is None:
                first[operator] = case
                break
    return first.values()


def _compare(case: Case, before: dict[str, Outcome] | Crash, after: dict[str, Outcome] | Crash) -> Iterator[Finding]:
    if isinstance(before, Crash):
        return  # the golden outputs have a word for it
    if isinstance(after, Crash):
        yield finding(codes.CALLS_DIFFER, f"{case.id}, called in every way: {after.reason}")
        return
    for form, outcome in before.items():
        other = after.get(form)
        if other is None:
            yield finding(codes.CALLS_DIFFER, f"{case.id}, {form}: no result asks for a gradient any more")
        elif outcome.error is not None and form == UNDER_COMPILER:
            if other.error is None and other != before[GRADIENTS]:
                text = f"{case.id}, {form}: {_said(other)}, and was {_said(before[GRADIENTS])} without one"
                yield finding(codes.CALLS_DIFFER, text)
        elif outcome.error is not None and other.error is not None and form == GRADIENTS:
            continue  # autograd refuses it: in which words depends on who asks it
        elif form == FAKED and outcome.returns == (repr(NO_FAKE),):
            continue  # a Python module that comes with the migration may have one
        elif form == OPCHECK and other.error is None:
            yield from _worse(case, outcome, other)
        elif other != outcome:
            yield finding(codes.CALLS_DIFFER, f"{case.id}, {form}: {_said(other)}, and was {_said(outcome)}")


def _worse(case: Case, before: Outcome, after: Outcome) -> Iterator[Finding]:
    """The checks of opcheck that succeeded before and fail now."""
    was, now = _checks(before), _checks(after)
    for name, verdict in was.items():
        if verdict == "SUCCESS" and now.get(name) != verdict:
            text = f"{case.id}, {OPCHECK}: {name}: {now.get(name, 'not checked')}, and was {verdict}"
            yield finding(codes.CALLS_DIFFER, text)


def _checks(outcome: Outcome) -> dict[str, str]:
    """What opcheck says of each of its checks."""
    said = (str(text).strip("'\"").partition(": ") for text in outcome.returns)
    return {name: verdict for name, _, verdict in said}


def _compare_names(case: Case, before: tuple[str, ...] | Crash, after: tuple[str, ...] | Crash) -> Iterator[Finding]:
    """Who calls a function by keyword needs the same names of its operator."""
    if isinstance(before, tuple) and isinstance(after, tuple) and before != after:
        text = f"{case.id}, by keyword: its arguments are {', '.join(after)}, and were {', '.join(before)}"
        yield finding(codes.CALLS_DIFFER, text)


def _compare_costs(file: CaseFile, case: Case, legacy: Worker, stable: Worker) -> Iterator[Finding]:
    """Memory that calls leave taken, and the time of a call; a difference counts where it shows each time."""
    leaks: list[float] = []
    slower: list[tuple[float, float]] = []
    calls = 0
    for _ in range(_TURNS):
        was, now = legacy.cost(file.path, case), stable.cost(file.path, case)
        if isinstance(was, Crash) or isinstance(now, Crash) or not was.calls or not now.calls:
            return
        calls = now.calls
        leaks.append(now.leaked - was.leaked)
        slower.append((now.seconds, was.seconds))
        if leaks[-1] < _LEAK and not _is_slower(*slower[-1]):
            return
    if min(leaks) >= _LEAK:
        text = f"{case.id}: a call leaves {min(leaks):.0f} bytes more taken than before, the mean of {calls} calls"
        if _passes_text(case):
            yield finding(codes.LEAKS, f"{text}; it takes or gives a text", severity=Severity.WARNING, help=_TEXT_LEAKS)
        else:
            yield finding(codes.LEAKS, text)
    if all(_is_slower(*turn) for turn in slower):
        after, before = (min(turn[side] for turn in slower) * 1e6 for side in (0, 1))
        yield finding(codes.SLOWER, f"{case.id}: a call takes {after:.0f} us, and took {before:.0f} us")


def _is_slower(after: float, before: float) -> bool:
    return after > 2 * before + 50e-6


def _passes_text(case: Case) -> bool:
    if case.captured is not None:
        return case.captured.passes_text
    values = [*case.args, *(value for _, value in case.kwargs)]
    return any(isinstance(value, PlainValue) and value.kind == "str" for value in values)


_TRIES = 5  # captured calls of an operator, until one raises nothing
_TURNS = 3
_LEAK = 8.0  # bytes a call: less is what caches of the allocator do
_TEXT_LEAKS = (
    "torch's headers before 2.14 do not free a str that crosses the ABI: build with newer ones, or hand over a number"
)


def _said(outcome: Outcome) -> str:
    if outcome.error is not None:
        return f"{outcome.error.type}: {outcome.error.message.splitlines()[0] if outcome.error.message else ''}"
    texts = [value for value in outcome.returns if isinstance(value, str)]
    return ", ".join(texts).replace("\n", " ")[:200] or "other tensors"
