"""Replay hand migrations of vLLM's kernels with torch-stabilize, and compare.

    python -m tests.replay.replay [CASE...] [--json FILE] [--no-compile] [--no-device-code]

For each case the release before the request is laid out as a git repository, all its units are migrated in one run, and
what comes out is held against the release behind it, which has the maintainers' own migration of the same units:

    units compile      with only the stable headers of torch on the include path, for torch 2.11 (nvcc)
    residual           what is left to do to reach the hand migration; residual.py says how it is counted
    kernels identical  kernels whose PTX is the same before and after; units that do not compile before cannot be compared
    operators          registered as the maintainers do: schema, dispatch keys, once (compare_bindings.py)
    build lists        sources in the stable target under the same condition as by hand (compare_build.py)

Releases and headers are fetched by package name into REPLAY_CACHE, by default build/replay. NVCC names the compiler.
Exits with 1 where a unit does not compile, a site is unaccounted for, or an operator or a source is not as by hand.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from torch_stabilize.config import load_config
from torch_stabilize.layout.detect import detect_layout
from torch_stabilize.migration.plan import Options, plan_migration
from torch_stabilize.model import Plan, Severity
from torch_stabilize.program.groups import resolve_group
from torch_stabilize.repository.layout import Group
from torch_stabilize.repository.snapshot import open_snapshot
from torch_stabilize.writer import write

from tests.replay import compare_bindings, compare_build
from tests.replay.accounting import sites_add_up, unaccounted
from tests.replay.cases import SOURCES, Case, read_cases
from tests.replay.compiling import Nvcc, compare_kernels
from tests.replay.releases import Store
from tests.replay.residual import residual
from tests.replay.table import CaseResult, UnitResult, render

ROOT = Path(__file__).resolve().parents[2]
TARGET = "2.11"
NO_OPERATOR = ("not by hand", "neither")


@dataclass(frozen=True)
class Replay:
    """One replay of a case: the trees before, by hand, and of the tool's own."""

    case: Case
    before: Path
    by_hand: Path
    migrated: Path


def lay_out(case: Case, store: Store, folder: Path) -> Replay:
    """Put the release before the request into `folder` as a git repository."""
    store.lay_out(case.before, folder)
    return Replay(case, store.release(case.before), store.release(case.after), folder)


def migrate(replay: Replay) -> tuple[Plan, Group]:
    """Migrate all units of the case in one run, in place on disk."""
    snapshot = open_snapshot(replay.migrated)
    config = load_config(snapshot)
    layout = detect_layout(snapshot, config)
    names = tuple(f"{SOURCES}/{unit}" for unit in replay.case.units)
    group = resolve_group(snapshot, layout, config, names)
    plan = plan_migration(snapshot, layout, group, Options(target=TARGET), config)
    write(plan, snapshot)
    return plan, group


def judge_unit(replay: Replay, unit: str, nvcc: Nvcc | None, *, device_code: bool) -> UnitResult:
    """Compare one unit with the maintainers' and, where there is a compiler, with itself before."""
    case = replay.case
    landed = replay.migrated / SOURCES / case.landing(unit)
    moved = landed.exists()
    tool = landed if moved else replay.migrated / SOURCES / unit
    hand = (replay.by_hand / SOURCES / case.by_hand(unit)).read_bytes()
    left = residual((replay.before / SOURCES / unit).read_bytes(), tool.read_bytes(), hand)
    if nvcc is None or not moved:
        return UnitResult(unit, moved, left)
    compiles = nvcc.stable(case, replay.migrated, case.landing(unit))
    if not (device_code and compiles.ok):
        return UnitResult(unit, moved, left, compiles)
    legacy = nvcc.kernels(case, replay.before, unit, stable=False)
    if legacy is None:
        return UnitResult(unit, moved, left, compiles, why_not="legacy file does not compile")
    stable = nvcc.kernels(case, replay.migrated, case.landing(unit), stable=True)
    if stable is None:
        return UnitResult(unit, moved, left, compiles, why_not="migrated file makes no device code")
    return UnitResult(unit, moved, left, compiles, compare_kernels(legacy, stable))


def judge(replay: Replay, nvcc: Nvcc | None, *, device_code: bool) -> CaseResult:
    """Migrate and compare one case."""
    started = time.process_time()
    plan, group = migrate(replay)
    seconds = time.process_time() - started
    units = [f"{SOURCES}/{unit}" for unit in replay.case.units]
    rows = compare_bindings.compare(replay.before, replay.migrated, replay.by_hand, units)
    rows = [row for row in rows if row.verdict not in NO_OPERATOR]
    sources = compare_build.compare(replay.before, replay.by_hand, units, TARGET)
    counts = [asdict(count) for count in plan.sites.values()]
    return CaseResult(
        name=replay.case.name,
        title=replay.case.title,
        units=tuple(_told(judge_unit(replay, unit, nvcc, device_code=device_code)) for unit in replay.case.units),
        operators=(sum(not row.is_failure for row in rows), len(rows)),
        other_operators=tuple(f"{row.name}: {row.verdict}" for row in rows if row.is_failure),
        sources=(sum(source.is_same for source in sources), len(sources)),
        other_sources=tuple(f"{source.path}: {source.verdict}" for source in sources if not source.is_same),
        sites={key: sum(count[key] for count in counts) for key in ("found", "rewritten", "diagnosed", "allowed")},
        unaccounted=(*sites_add_up(plan), *unaccounted(plan, group.files)),
        manual=sum(diagnostic.severity is Severity.ERROR for diagnostic in plan.diagnostics),
        seconds=seconds,
    )


def _told(unit: UnitResult) -> UnitResult:
    """Say on the way what became of a unit: compiling all of them takes long."""
    compiles = "" if unit.compiles is None else ", compiles" if unit.compiles.ok else ", does not compile"
    kernels = "" if unit.kernels is None else f", {unit.kernels.identical} of {unit.kernels.total} kernels identical"
    print(f"  {unit.unit}: residual {unit.residual.value:.2f}{compiles}{kernels}", file=sys.stderr, flush=True)
    return unit


def main(arguments: Sequence[str]) -> int:
    """Run the cases and print the tables."""
    cases, how = read_cases()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"one of {', '.join(cases)}; all where none is named")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here too")
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "replay", help="where the trees are laid out")
    parser.add_argument("--no-compile", action="store_true", help="compile nothing")
    parser.add_argument("--no-device-code", action="store_true", help="compile, but do not compare PTX")
    options = parser.parse_args(arguments)
    if unknown := set(options.cases).difference(cases):
        parser.error(f"no such case: {', '.join(sorted(unknown))}; there are {', '.join(cases)}")
    store = Store(Path(os.environ.get("REPLAY_CACHE") or options.work).resolve())
    nvcc = Nvcc(store, how) if Nvcc.command() and not options.no_compile else None
    results = []
    for name in options.cases or cases:
        print(f"replaying {name}", file=sys.stderr, flush=True)
        replay = lay_out(cases[name], store, (options.work / name).resolve())
        results.append(judge(replay, nvcc, device_code=not options.no_device_code))
        if options.json:  # after each case, as the next may take an hour
            text = json.dumps([asdict(result) for result in results], indent=2)
            options.json.write_text(text + "\n", encoding="utf-8")
    print(render(results), end="")
    return int(any(_is_failure(result) for result in results))


def _is_failure(result: CaseResult) -> bool:
    broken = any(unit.compiles is not None and not unit.compiles.ok for unit in result.units)
    return broken or bool(result.other_operators or result.other_sources or result.unaccounted)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
