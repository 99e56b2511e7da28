"""Record, check and compare: all cases of a file on a library, a process for each set of libraries."""

from __future__ import annotations

import hashlib
import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from torch_stabilize.model import Refusal, Severity
from torch_stabilize.verify import codes
from torch_stabilize.verify.golden.cases import Case, CaseFile
from torch_stabilize.verify.golden.compare import Comparison, compare
from torch_stabilize.verify.golden.outcome import Crash, LoadError, Outcome
from torch_stabilize.verify.golden.process import Worker
from torch_stabilize.verify.golden.store import GoldenFile, Recorded, read_golden, record, write_golden
from torch_stabilize.verify.result import Finding, Step, counted, finding

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Run:
    """The outcomes of cases on one set of libraries. `skipped` counts cases of devices that are not here."""

    torch: str
    devices: Mapping[str, str]  # device of a case -> name its outputs are recorded under
    outcomes: Mapping[str, Outcome | Crash]
    skipped: Mapping[str, int]
    made_with: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Checked:
    """All comparisons of a group on one device."""

    group: str
    device: str
    comparisons: tuple[Comparison, ...]
    findings: tuple[Finding, ...] = ()  # in addition to those of the comparisons

    @property
    def diagnostics(self) -> tuple[Finding, ...]:
        """Everything found, in the order of the cases."""
        return (*(item for comparison in self.comparisons for item in comparison.findings), *self.findings)

    @property
    def same(self) -> int:
        """How many cases agree."""
        return sum(comparison.same for comparison in self.comparisons)


def run_cases(
    file: CaseFile, worker: Worker, cases: Iterable[Case] | None = None, progress: Progress | None = None
) -> Run:
    """Run the cases of `file` (or `cases` of them) in `worker`; those of a device that is not here are counted."""
    wanted = tuple(file.cases if cases is None else cases)
    here = [case for case in wanted if case.runs_on(worker.devices)]
    outcomes: dict[str, Outcome | Crash] = {}
    for index, case in enumerate(here):
        outcomes[case.id] = worker.run(file.path, case)
        if progress is not None:
            progress(index + 1, len(here))
    absent = [case.device for case in wanted if case.device not in worker.devices]
    skipped = {device: absent.count(device) for device in sorted(set(absent))}
    return Run(worker.torch, worker.devices, outcomes, skipped, worker.made_with)


def run_on(
    file: CaseFile,
    libraries: Iterable[Path],
    progress: Progress | None = None,
    python: str = sys.executable,
    modules: Iterable[str] = (),
) -> Run:
    """Run all cases of `file` where `libraries` are loaded and `modules` imported. Raises Refusal if they cannot be.

    What no library registers may be a function of a Python module, before its migration.
    """
    functions = {case.operator: f"{case.namespace}.{case.op}" for case in file.cases}
    try:
        with Worker(libraries, python=python, modules=modules, functions=functions) as worker:
            return run_cases(file, worker, progress=progress)
    except LoadError as error:
        raise Refusal(f"the library does not load: {error}") from error


def golden_path(file: CaseFile, device: str) -> Path:
    """Where the outputs of `device` ("cpu", "cuda-sm90") are recorded: next to cases.toml."""
    return file.path.parent / f"{device}.safetensors"


def record_group(
    file: CaseFile,
    libraries: Collection[Path],
    *,
    force: bool = False,
    partial: bool = False,
    progress: Progress | None = None,
) -> tuple[tuple[Path, ...], tuple[Finding, ...]]:
    """Run all cases and write a golden file for each device that is here.

    Returns the paths, and what speaks against cases that crashed or did not raise as they say, once for each. Where
    there are such cases nothing is written; with `partial`, the others are. Raises Refusal (exit 2) where a file exists
    and `force` is not given.
    """
    if not force:
        _refuse_existing(file)
    run = run_on(file, libraries, progress)
    unfit = {case.id: _unfit(case, run.outcomes[case.id]) for case in file.cases if case.id in run.outcomes}
    faults = tuple(found[0] for found in unfit.values() if found)
    if faults and not partial:
        return (), faults
    fit = replace(
        run,
        outcomes={name: run.outcomes[name] for name, found in unfit.items() if not found},
        made_with={**run.made_with, **_hashes(libraries)},
    )
    written = []
    for device in _devices_of(file, run):
        path = golden_path(file, run.devices[device])
        write_golden(path, golden_of(file, fit, device), force=force)
        written.append(path)
    return tuple(written), faults


def golden_of(file: CaseFile, run: Run, device: str) -> GoldenFile:
    """The outcomes of one device as a golden file; crashed cases are left out."""
    found = ((case, run.outcomes.get(case.id)) for case in file.on(device))
    records = {case.id: record(case, outcome) for case, outcome in found if isinstance(outcome, Outcome)}
    return GoldenFile(file.group, run.devices[device], run.torch, records, run.made_with)


def check_group(
    file: CaseFile,
    libraries: Iterable[Path],
    *,
    python: str = sys.executable,
    modules: Iterable[str] = (),
    progress: Progress | None = None,
) -> Step:
    """The `golden outputs` step of `libraries` and `modules` against the recorded outputs, in the interpreter `python`.

    Raises Refusal for a library that does not load and for a golden file that cannot be trusted.
    """
    for path in sorted(file.path.parent.glob("*.safetensors")):
        if path.stem.partition("-")[0] in file.devices:
            read_golden(path)  # refused before minutes of running
    run = run_on(file, libraries, progress, python, modules)
    return golden_step(check_run(file, run), absent_devices(run))


def collapse(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """`findings` with warnings that say the same of several cases told once; errors stay as they are."""
    told: dict[tuple[str, str], list[Finding]] = {}
    for index, item in enumerate(findings):
        says = str(index) if item.severity is Severity.ERROR else item.message.partition(": ")[2]
        told.setdefault((item.code, says), []).append(item)
    return tuple(
        replace(same[0], message=f"{same[0].message} (and {counted(len(same) - 1, 'more case')})")
        if len(same) > 1
        else same[0]
        for same in told.values()
    )


def golden_step(checked: Iterable[Checked], notes: tuple[Finding, ...] = (), name: str = "golden outputs") -> Step:
    """Comparisons of all devices as a step; skipped where nothing was compared and nothing is missing."""
    checked = tuple(checked)
    total = sum(len(found.comparisons) for found in checked)
    diagnostics = (*collapse(item for found in checked for item in found.diagnostics), *notes)
    if not total and not any(item.severity is Severity.ERROR for item in diagnostics):
        return Step.skipped(name, "no case could be run on this machine", diagnostics)
    devices = dict.fromkeys(found.device for found in checked)
    parts = []
    for device in devices:
        here = [found for found in checked if found.device == device]
        same, cases = sum(found.same for found in here), sum(len(found.comparisons) for found in here)
        parts.append(f"{same} of {cases} cases equal on {device}")
    figures: dict[str, dict[str, dict[str, int]]] = {}
    for found in checked:
        figures.setdefault(found.group, {})[found.device] = {"cases": len(found.comparisons), "equal": found.same}
    return Step.judged(name, "; ".join(parts), diagnostics, figures)


def check_run(file: CaseFile, run: Run) -> tuple[Checked, ...]:
    """Compare `run`, that of the stable library, with the recorded outputs of every device that is here.

    Raises Refusal for a golden file that cannot be trusted.
    """
    return tuple(_check_device(file, run, device) for device in _devices_of(file, run))


def compare_runs(file: CaseFile, legacy: Run, stable: Run) -> tuple[Checked, ...]:
    """Compare two runs on this machine."""
    return tuple(
        Checked(
            file.group,
            legacy.devices[device],
            tuple(
                compare(case, legacy.outcomes[case.id], stable.outcomes[case.id])
                for case in file.on(device)
                if case.runs_on(legacy.devices)
            ),
        )
        for device in file.devices
        if device in legacy.devices and device in stable.devices
    )


def absent_devices(*runs: Run) -> tuple[Finding, ...]:
    """A note for each device that cases of any run name and this machine lacks."""
    counts: Counter[str] = sum((Counter(run.skipped) for run in runs), Counter())
    here: set[str] = set().union(*(run.devices for run in runs))
    return tuple(_absent(device, count, here) for device, count in counts.items())


def _absent(device: str, count: int, here: Collection[str]) -> Finding:
    kind, _, ranks = device.partition(" x")
    if not ranks:
        text = f"{count} cases for {device} were not run: no such device here"
        return finding(codes.DEVICE_ABSENT, text, severity=Severity.NOTE)
    most = max((int(name.partition(" x")[2] or 1) for name in here if name.partition(" x")[0] == kind), default=0)
    there = f"there {'is' if most == 1 else 'are'} {most or 'none'} here"
    text = f"{counted(count, 'case')} between {ranks} {kind} devices not run: {there}"
    return finding(codes.RANKS_ABSENT, text, severity=Severity.NOTE)


def judge(case: Case, recorded: Recorded | None, outcome: Outcome | Crash) -> Comparison:
    """Compare one outcome with its record; a record that is missing or stale is an error."""
    if recorded is None:
        return Comparison(case, (finding(codes.GOLDEN_MISSING, f"{case.id}: nothing is recorded for it"),))
    if recorded.digest != case.digest:
        text = f"{case.id}: stale, the case changed since its output was recorded"
        return Comparison(case, (finding(codes.GOLDEN_STALE, text, help="record again with --force"),))
    return compare(case, recorded.outcome, outcome)


def _devices_of(file: CaseFile, run: Run) -> tuple[str, ...]:
    """The devices of cases that are for the machine of `run`."""
    return tuple(name for name in file.devices if any(case.runs_on(run.devices) for case in file.on(name)))


def _check_device(file: CaseFile, run: Run, device: str) -> Checked:
    name = run.devices[device]
    path = golden_path(file, name)
    if not path.exists():
        text = f"{file.group}: nothing is recorded for {name}"
        return Checked(
            file.group, name, (), (finding(codes.GOLDEN_MISSING, text, help="torch-stabilize golden record"),)
        )
    golden = read_golden(path)
    cases = file.on(device)
    comparisons = tuple(
        judge(case, golden.cases.get(case.id), run.outcomes[case.id]) for case in cases if case.runs_on(run.devices)
    )
    gone = sorted(set(golden.cases) - {case.id for case in cases})
    stale = tuple(
        finding(codes.GOLDEN_STALE, f"{name}: recorded, and no longer in cases.toml", severity=Severity.WARNING)
        for name in gone
    )
    return Checked(file.group, name, comparisons, stale)


def _refuse_existing(file: CaseFile) -> None:
    """Before minutes of running: a file that could not be written in the end. The GPU's name is not known yet."""
    path = golden_path(file, "cpu")
    if "cpu" in file.devices and path.exists():
        raise Refusal(f"{path} exists and recorded outputs are not overwritten; ask for it with --force", exit_code=2)


def _hashes(libraries: Iterable[Path]) -> dict[str, str]:
    return {library.name: hashlib.sha256(library.read_bytes()).hexdigest() for library in libraries}


def _unfit(case: Case, outcome: Outcome | Crash) -> tuple[Finding, ...]:
    """What speaks against recording an outcome: compared with itself, it must have no error."""
    return tuple(item for item in compare(case, outcome, outcome).findings if item.severity is Severity.ERROR)
