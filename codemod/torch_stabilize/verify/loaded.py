"""What the libraries do once they are loaded: the operators they register, and the golden outputs."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from torch_stabilize.model import Refusal, Severity
from torch_stabilize.verify import codes
from torch_stabilize.verify.announced import Announced
from torch_stabilize.verify.calls import compare_calls
from torch_stabilize.verify.coverage import covered_step
from torch_stabilize.verify.golden.cases import CaseFile
from torch_stabilize.verify.golden.inventory import Operator
from torch_stabilize.verify.golden.modules import module_name
from torch_stabilize.verify.golden.outcome import LoadError
from torch_stabilize.verify.golden.process import Worker
from torch_stabilize.verify.golden.session import (
    Checked,
    Progress,
    Run,
    absent_devices,
    check_run,
    compare_runs,
    golden_step,
    run_cases,
)
from torch_stabilize.verify.operators import Offered, operators_step
from torch_stabilize.verify.registrations import Registrations
from torch_stabilize.verify.result import Finding, Step, counted, finding
from torch_stabilize.verify.side import LEGACY, REMAINDER, STABLE, BuiltSide, sides_of

OPERATORS, GOLDENS = "operators", "golden outputs"


def loaded_steps(
    built: Mapping[str, BuiltSide],
    cases: tuple[CaseFile, ...],
    group: Announced,
    progress: Progress | None = None,
    skip: Collection[str] = (),
    python: Registrations | None = None,
) -> Iterator[Step]:
    """The `operators` and `golden outputs` steps; what remained legacy is loaded next to the stable library.

    `group` is what the group registers: each of its operators needs a case. `skip` has the steps that are not wanted.
    `python` are the files that register more for the libraries.
    """
    python = python or Registrations()
    if {OPERATORS, GOLDENS} <= set(skip):
        yield from (Step.turned_off(name, is_needed=True) for name in (OPERATORS, GOLDENS))
        return
    loaded = [side for side in built.values() if side.side.is_loaded]
    before = sides_of(loaded, LEGACY)
    after = (*sides_of(loaded, REMAINDER), *sides_of(loaded, STABLE))
    unlinked = [side for side in (*before, *after) if side.library is None]
    if unlinked:
        yield from _impossible(_why_unlinked(unlinked))
        return
    if group.unread:
        yield from _impossible(f"the registrations of the group cannot be read: {group.unread}")
        return
    stable_names = {module_name(side.library) for side in sides_of(loaded, STABLE) if side.library is not None}
    workers = [
        Worker([side.library for side in sides if side.library is not None], functions=functions, files=files)
        for sides, functions, files in ((before, group.functions, python.before), (after, {}, python.after))
    ]
    with ThreadPoolExecutor() as pool, ExitStack() as stack, _abandoned(workers):
        # Each imports torch, which takes seconds.
        legacy, stable = (pool.submit(stack.enter_context, worker) for worker in workers)
        wait((legacy, stable))
        try:
            legacy.result()
        except LoadError as error:
            yield from _unloadable(str(error))
            return
        try:
            stable.result()
        except LoadError as error:
            fault = finding(codes.DOES_NOT_LOAD, f"after the migration: {error}")
            yield Step.judged(OPERATORS, "the libraries do not load", (fault,))
            yield Step.impossible(GOLDENS, "no library to run")
            return
        was, now = legacy.result(), stable.result()
        registered = now.operators()
        there = frozenset(one.name for one in registered)  # an older version may have added others
        group = replace(group, operators=_moved(group, registered, stable_names), added=group.added & there)
        if OPERATORS in skip:
            yield Step.turned_off(OPERATORS, is_needed=True)
        else:
            # First: goldens under a compiler add kernels for fake tensors.
            calls = compare_calls(cases, was, now, pool)
            step = operators_step(was.operators(), registered, calls, group, Offered(was.offered(), now.offered()))
            yield replace(
                step, not_run=tuple(f"registrations in {path} (it needs its package)" for path in python.left_out)
            )
            group = replace(group, added=group.added - calls.differentiated)
        if GOLDENS in skip:
            yield Step.turned_off(GOLDENS, is_needed=True)
            return
        yield _goldens(cases, was, now, pool, progress, group)


def _moved(group: Announced, registered: Iterable[Operator], libraries: Collection[str]) -> tuple[str, ...]:
    """The operators that need a case: those announced, and what the stable library registers beyond them.

    Registrations that a macro of the project writes are not read; the library has them all the same.
    """
    known = {*group.earlier, *group.added}
    found = {one.name for one in registered if one.library in libraries and one.name not in known}
    return tuple(sorted({*group.operators, *found}))


@contextmanager
def _abandoned(workers: Iterable[Worker]) -> Iterator[None]:
    """Whoever stops the run stops the processes, and waits for none of their answers."""
    try:
        yield
    except BaseException:
        for worker in workers:
            worker.abandon()
        raise


def _why_unlinked(sides: Iterable[BuiltSide]) -> str:
    """Why there are no libraries: they do not build, or all that they have is for a GPU and this torch links none."""
    sides = tuple(sides)
    faulty = dict.fromkeys(side.side.library for side in sides if side.failed or side.link_log)
    if faulty:
        return f"{', '.join(faulty)} could not be built"
    names = tuple(dict.fromkeys(side.side.library for side in sides))
    are = f"{', '.join(names)} {'is' if len(names) == 1 else 'are'}"
    return f"operators and golden outputs, for {are} built for CUDA alone and this torch for the CPU"


def _impossible(reason: str) -> tuple[Step, Step]:
    return Step.impossible(OPERATORS, reason), Step.impossible(GOLDENS, reason)


def _unloadable(error: str) -> tuple[Step, Step]:
    """A project without a CPU build cannot be loaded here, before or after; that is no fault of the migration."""
    note = finding(codes.NOT_COMPILED, f"the legacy library does not load here: {error}", severity=Severity.WARNING)
    reason = "the legacy library does not load on this machine"
    return Step.impossible(OPERATORS, reason, (note,)), Step.impossible(GOLDENS, reason)


def _goldens(
    files: tuple[CaseFile, ...],
    legacy: Worker,
    stable: Worker,
    pool: ThreadPoolExecutor,
    progress: Progress | None,
    group: Announced,
) -> Step:
    if not files:
        return covered_step(Step.skipped(GOLDENS, "the group has no golden cases"), group, (), (), ())
    checked: list[Checked] = []
    notes: list[Finding] = []
    runs: list[Run] = []
    for cases in files:
        waiting = pool.submit(run_cases, cases, legacy)
        if set(legacy.devices) != {"cpu"}:
            wait((waiting,))  # two processes do not share a GPU: its memory may be enough for one alone
        after = run_cases(cases, stable, progress=progress)
        before = waiting.result()
        checked += compare_runs(cases, before, after)
        notes += recorded_findings(cases, before)
        runs.append(before)
    step = golden_step(checked, (*notes, *absent_devices(*runs)), GOLDENS)
    return covered_step(step, group, files, checked, runs)


def recorded_findings(cases: CaseFile, before: Run) -> tuple[Finding, ...]:
    """What the recorded outputs say of the legacy library here: other machines give other last bits."""
    try:
        checked = check_run(cases, before)
    except Refusal as refusal:
        return (finding(codes.GOLDEN_REFUSED, str(refusal)),)
    found: list[Finding] = []
    for device in checked:
        faults = [item for item in device.diagnostics if item.severity is Severity.ERROR]
        missing = [item for item in faults if item.code == codes.GOLDEN_MISSING]
        stale = [item for item in faults if item.code == codes.GOLDEN_STALE]
        if missing:
            more = f" (and {counted(len(missing) - 1, 'more case')})" if len(missing) > 1 else ""
            found.append(replace(missing[0], severity=Severity.NOTE, message=missing[0].message + more))
        found += stale
        others = len(faults) - len(missing) - len(stale)
        if others:
            text = f"{others} recorded outputs differ from the legacy library here, on {device.device}"
            found.append(finding(codes.OTHER_MACHINE, text, severity=Severity.WARNING))
    return tuple(found)
