"""From seen calls to golden cases: made again on the legacy library, several times, and kept where it is the same."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from torch_stabilize.model import Refusal
from torch_stabilize.verify.golden.capture.calls import CAPTURED_FILE, ID, Call, Captured, write_captured
from torch_stabilize.verify.golden.cases import CASES_FILE, CaseFile, load_cases
from torch_stabilize.verify.golden.outcome import Crash, LoadError, Outcome
from torch_stabilize.verify.golden.process import Worker
from torch_stabilize.verify.golden.session import Progress, Run, golden_path, run_cases
from torch_stabilize.verify.golden.store import GoldenFile, read_golden, record, write_golden

# Fresh memory holds something else each time: what reads it unwritten gives something else.
_ENVIRONMENTS: tuple[Mapping[str, str], ...] = ({}, {"MALLOC_PERTURB_": "85"}, {"MALLOC_PERTURB_": "170"})


@dataclass(frozen=True)
class Tried:
    """Calls made again: what those did that are the same each time, those that are not, and those that crash."""

    run: Run
    stable: tuple[Call, ...]
    unstable: tuple[Call, ...]
    crashed: Mapping[str, str]  # id -> reason


def try_calls(
    calls: Sequence[Call],
    group: str,
    folder: Path,
    libraries: Sequence[Path],
    python: str,
    modules: Sequence[str] = (),
    progress: Progress | None = None,
) -> Tried:
    """Make `calls` in fresh processes that load `libraries`. Raises Refusal where they do not load."""
    shutil.rmtree(folder, ignore_errors=True)
    write_captured(folder / CAPTURED_FILE, Captured(group, tuple(calls)))
    file = load_cases(folder / CASES_FILE)
    runs = []
    for environment in _ENVIRONMENTS:
        single = {"OMP_NUM_THREADS": "1", **environment}
        try:
            with Worker(libraries, python=python, environment=single, modules=modules) as worker:
                runs.append(run_cases(file, worker, progress=progress))
        except LoadError as error:
            raise Refusal(f"the legacy library does not load: {error}") from error
    return _sorted(calls, runs)


def _sorted(calls: Sequence[Call], runs: Sequence[Run]) -> Tried:
    stable, unstable, crashed = [], [], {}
    for call in calls:
        outcomes = [run.outcomes.get(call.id) for run in runs]
        crash = next((outcome for outcome in outcomes if isinstance(outcome, Crash)), None)
        if outcomes[0] is None:
            crashed[call.id] = f"there is no device {call.device} here"
        elif crash is not None:
            crashed[call.id] = crash.reason
        elif all(outcome == outcomes[0] for outcome in outcomes):
            stable.append(call)
        else:
            unstable.append(call)
    return Tried(runs[0], tuple(stable), tuple(unstable), crashed)


def write_group(home: Path, captured: Captured, run: Run) -> tuple[Path, ...]:
    """Write the captured calls and what they did next to the written cases of the group, whose records stay."""
    path = home / CAPTURED_FILE
    write_captured(path, captured)
    file = load_cases(home / CASES_FILE)
    written = [path]
    for device in sorted({case.device for case in file.cases if case.captured is not None}):
        place = golden_path(file, run.devices[device])
        write_golden(place, _golden(file, device, run, place), force=True)
        written.append(place)
    return tuple(written)


def _golden(file: CaseFile, device: str, run: Run, place: Path) -> GoldenFile:
    found = {
        case.id: record(case, outcome)
        for case in file.on(device)
        if case.captured is not None and isinstance(outcome := run.outcomes.get(case.id), Outcome)
    }
    if not place.exists():
        return GoldenFile(file.group, run.devices[device], run.torch, found, run.made_with)
    before = read_golden(place)
    others = {name: recorded for name, recorded in before.cases.items() if not name.startswith(ID)}
    return replace(before, cases={**others, **found}, torch=before.torch if others else run.torch)
