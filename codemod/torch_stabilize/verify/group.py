"""`verify`: both sides of a group built and compared, step by step."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from torch_stabilize.model import DEFAULT_TARGET, Refusal
from torch_stabilize.repository.snapshot import Snapshot
from torch_stabilize.verify.announced import announced
from torch_stabilize.verify.build import build
from torch_stabilize.verify.compilation import compile_step
from torch_stabilize.verify.coverage import listed
from torch_stabilize.verify.device_code import UnitPair, device_code_step
from torch_stabilize.verify.errors import parse_errors
from torch_stabilize.verify.finished import OwnLibraries, finished_sides, with_libraries
from torch_stabilize.verify.golden.cases import CASES_FILE, CaseFile, has_cases, load_cases, load_group
from torch_stabilize.verify.headers import write_if_changed
from torch_stabilize.verify.host_code import launches_step
from torch_stabilize.verify.loaded import GOLDENS, OPERATORS, loaded_steps
from torch_stabilize.verify.ninja_file import device_code_alone
from torch_stabilize.verify.objects import ObjectStore
from torch_stabilize.verify.progress import Reporter
from torch_stabilize.verify.registrations import registrations
from torch_stabilize.verify.result import Step, Verification
from torch_stabilize.verify.setup import Setup
from torch_stabilize.verify.side import (
    CUDA_SUFFIX,
    LEGACY,
    REMAINDER,
    STABLE,
    BuildOptions,
    BuiltSide,
    Side,
    sides_of,
    unit_of,
)
from torch_stabilize.verify.sides import HeaderOptions, check_stable_target
from torch_stabilize.verify.symbols import Audit, AuditMissing, audit, symbols_step, without_own
from torch_stabilize.verify.toolchain import Toolchain, find_toolchain
from torch_stabilize.verify.torches import OtherTorch, torch_steps
from torch_stabilize.verify.trees import Tree, forget_trees, laid_out, legacy_tree, read_tree
from torch_stabilize.verify.undefined import undefined_findings

BUILD_DIR = "build/torch-stabilize"
SYMBOLS, DEVICE_CODE, LAUNCHES = "symbols", "device code", "launches"
SKIPPABLE = (SYMBOLS, DEVICE_CODE, LAUNCHES, OPERATORS, GOLDENS)


@dataclass(frozen=True)
class Request:
    """What to verify and how. `legacy` is a revision or a folder; None looks for the last commit before."""

    names: tuple[str, ...]
    target: str | None = None
    legacy: str | None = None
    build_dir: Path | None = None
    golden: Path | None = None  # the folder with <group>/cases.toml; None looks in the project and its repository
    headers: HeaderOptions = field(default_factory=HeaderOptions)
    options: BuildOptions = field(default_factory=BuildOptions)
    defines: tuple[str, ...] = ()
    compile_commands: Path | None = None  # a compilation database; None looks for one in the project
    torches: tuple[OtherTorch, ...] = ()  # other versions to check the stable library under
    own: OwnLibraries = field(default_factory=OwnLibraries)
    skip: frozenset[str] = frozenset()  # steps that are not wanted, of SKIPPABLE
    with_migration: bool = False  # hand the migration's plan over with the result, for a report


def verify_group(
    snapshot: Snapshot,
    request: Request,
    toolchain: Toolchain | None = None,
    progress: Reporter | None = None,
) -> Verification:
    """Build the legacy and the stable side of a group and compare them.

    The stable side is the work tree of `snapshot`; nothing is written outside of the build directory. `progress` is
    told of each step as it ends, and of each unit that does not compile. Raises Refusal for what cannot be done at all:
    an unknown group or revision, a group that is not migrated, no compiler, no torch.
    """
    begun = time.monotonic()
    reporter = progress or Reporter()
    tools = toolchain or find_toolchain()
    work = read_tree(snapshot, "the work tree", request.names)
    target = request.target or work.config.target or DEFAULT_TARGET
    check_stable_target(target, tools, request.headers)
    folder = (request.build_dir or snapshot.root / work.layout.project_root / BUILD_DIR).resolve()
    with _left_as_found(folder):
        write_if_changed(folder / ".gitignore", "*\n")
        legacy, group = legacy_tree(work, request.names, request.legacy, folder)
        cases = find_cases(work, (*request.names, group.name), request.golden)
        setup = Setup(
            legacy, work, group, target, folder, tools, request.headers, request.defines, request.compile_commands
        )
        clock = Clock(reporter)
        finished, setup = finished_sides(setup, request.own, reporter)
        sides, notes = setup.sides()
        lacking = setup.undefined(sides)

    def wanted(name: str, run: Callable[[], Step]) -> Step:
        return clock.timed(run if name not in request.skip else lambda: Step.turned_off(name))

    launches = wanted(LAUNCHES, lambda: launches_step(setup.documents()))
    forget_trees(folder, (legacy.label,))
    store = ObjectStore(folder / "objects", setup.graphs, tools, request.options)

    def make(wanted: Iterable[Side]) -> None:
        made = build(
            [setup.with_prefix(side) for side in store.reuse(wanted, folder)],
            tools,
            folder,
            request.options,
            progress=reporter,
            failed=lambda side, unit, log: reporter.line(_first_error(side, unit, log)),
        )
        store.keep(made)
        built.update({side.side.name: side for side in made})

    def compiled() -> Step:
        reporter.doing = "compile"
        make(sides)
        lost = {unit.path for side in sides_of(built.values(), REMAINDER) for unit in side.failed}
        if earlier := setup.before(path for path in lost if unit_of(built.values(), LEGACY, path) is None):
            make(earlier)
        told = (*notes, *undefined_findings(lacking))
        step = compile_step(built, told, tools, setup.units, setup.origin, setup.same_text)
        if finished is not None:
            built.update(with_libraries(built, finished, setup.stable_name))
            step = replace(step, summary=f"{step.summary}; {finished.origin}", undone=(*step.undone, *finished.faults))
        names = listed([one.name for one in lacking])
        left_out = (f"code under {names} (defined on no side)",) if names else ()
        return replace(step, not_run=(*step.not_run, *left_out))

    built: dict[str, BuiltSide] = {}
    steps = [
        clock.timed(compiled),
        wanted(SYMBOLS, lambda: _symbols(setup, built)),
        wanted(DEVICE_CODE, lambda: _device_code(setup, built)),
        launches,
    ]
    reporter.doing = "golden outputs"
    python = registrations(legacy, work, *setup.library_names)
    for step in loaded_steps(built, cases, announced(legacy, work, group, target), reporter, request.skip, python):
        steps.append(clock.ended(step))
    for step in torch_steps(request.torches, built, cases, target) if request.torches else ():
        steps.append(clock.ended(step))
    return Verification(
        group.name,
        target,
        tools.torch.version,
        legacy.label,
        tuple(steps),
        time.monotonic() - begun,
        setup.migration_for_report if request.with_migration else None,
    )


@dataclass
class Clock:
    """The time that each step takes, and who is told when one ends."""

    told: Reporter
    _last: float = field(default_factory=time.monotonic)

    def timed(self, run: Callable[[], Step]) -> Step:
        """What `run` gives, with the time it took."""
        self._last = time.monotonic()
        return self.ended(run())

    def ended(self, step: Step) -> Step:
        """`step` with the time since the one before it ended."""
        now = time.monotonic()
        step, self._last = replace(step, seconds=now - self._last), now
        self.told.step(step)
        return step


def _first_error(side: Side, unit: str, log: str) -> str:
    errors = parse_errors(log, side.tree)
    first = errors[0] if errors else None
    where = f"{first.path}:{first.line}" if first is not None and first.path else unit
    return f"does not compile ({side.name}): {where}: {first.message if first is not None else 'see the report'}"


@contextmanager
def _left_as_found(folder: Path) -> Iterator[None]:
    """A refused run leaves no build folder where there was none, and no commit laid out in one that was there."""
    absent = [path for path in (folder, *folder.parents) if not path.exists()]
    before = laid_out(folder)
    try:
        yield
    except Refusal:
        if absent:
            shutil.rmtree(absent[-1], ignore_errors=True)
        else:
            forget_trees(folder, before)
        raise


def find_cases(work: Tree, groups: Iterable[str], folder: Path | None) -> tuple[CaseFile, ...]:
    """The golden cases of `groups`: in `folder`, where one must have some, or in the project's or repository's golden/.

    Raises Refusal for cases that cannot be read, and for a `folder` without any.
    """
    names = tuple(dict.fromkeys(groups))
    root = work.snapshot.root
    for place in [folder] if folder is not None else dict.fromkeys((root / work.layout.project_root, root)):
        home = place if folder is not None else place / "golden"
        found = tuple(load_cases(home / name / CASES_FILE) for name in names if has_cases(home / name / CASES_FILE))
        if found:
            return found
    return (load_group(folder, names[0]),) if folder is not None else ()


def _symbols(setup: Setup, built: Mapping[str, BuiltSide]) -> Step:
    try:
        audits: dict[str, Audit] = {}
        for side in built.values():
            if side.audited:
                audits.setdefault(side.side.role, audit(side.audited, side.side.library))
        if STABLE in audits:
            there = (unit.path for side in sides_of(built.values(), STABLE) for unit in side.units)
            audits[STABLE] = without_own(audits[STABLE], setup.left_out(there))
    except AuditMissing as error:
        return replace(Step.skipped("symbols", str(error)), not_run=("the audit of symbols (no torch-abi-audit)",))
    if STABLE not in audits:
        return Step.impossible("symbols", "the stable library could not be built")
    legacy = sides_of(built.values(), LEGACY)
    partly = any(device_code_alone(unit.path, side.side, setup.tools) for side in legacy for unit in side.units)
    counted = " (without CUDA units)" if partly else ""
    return symbols_step(setup.target, audits[STABLE], audits.get(LEGACY), audits.get(REMAINDER), counted)


def _device_code(setup: Setup, built: Mapping[str, BuiltSide]) -> Step:
    pairs, missing = [], []
    for old, new in setup.units:
        if not old.endswith(CUDA_SUFFIX):
            continue
        legacy, stable = unit_of(built.values(), LEGACY, old), unit_of(built.values(), STABLE, new)
        if legacy is None or stable is None or legacy.ptx is None or stable.ptx is None:
            missing.append(new)
        else:
            pairs.append(UnitPair(legacy, stable))
    step = device_code_step(pairs, missing, setup.tools.nvcc)
    if not missing or setup.tools.nvcc is None:  # without nvcc, the `compile` step says what was not compiled
        return step
    return replace(step, undone=(f"no device code of {', '.join(missing)} to compare",))
