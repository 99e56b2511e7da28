"""Lay out what a GPU machine without a network needs of a release whose kernels are to run there.

    python3 -m tests.gpu.prepare_release FOLDER [CASE [UNIT...]]

The release before a request of tests/replay/cases.toml is fetched, the units of the request are migrated (all, or those
that are named where the others are not for the GPU; without CASE those of pr10b that work between GPUs), and from both
trees the files that these units and the bindings reach are copied to FOLDER/legacy and FOLDER/stable. libraries.json says
which library is made of what and which operators moved. `tests/gpu/build_release.py` builds them. Nothing of the release
is part of this repository.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from torch_stabilize.repository.includes import IncludeGraph
from torch_stabilize.repository.snapshot import Snapshot

from tests.replay.cases import SOURCES, STABLE, read_cases
from tests.replay.releases import Store
from tests.replay.replay import ROOT, lay_out, migrate

BETWEEN_GPUS = "pr10b", ("custom_all_reduce.cu", "minimax_reduce_rms_kernel.cu")
BINDINGS = "torch_bindings.cpp"
DEFINES = ("ENABLE_FP8",)


def prepare(folder: Path, store: Store, name: str, units: Sequence[str] = ()) -> str:
    """Fill `folder` with `units` of the case called `name`, all of them where none is given; the version of the release."""
    cases, _ = read_cases()
    units = tuple(units) or cases[name].units
    case = replace(cases[name], units=units, after=cases[name].before, blackwell=frozenset())
    shutil.rmtree(folder, ignore_errors=True)
    replay = lay_out(case, store, folder / "tree")
    plan, _ = migrate(replay)
    old = f"{SOURCES}/{BINDINGS}"
    legacy = {"_C": [old, *(f"{SOURCES}/{unit}" for unit in units)]}
    stable = {
        "_C": [old],  # what stays behind
        "_C_stable_libtorch": [
            f"{SOURCES}/{STABLE}/{BINDINGS}",
            *(f"{SOURCES}/{case.landing(unit)}" for unit in units),
        ],
    }
    for side, tree, libraries in (("legacy", replay.before, legacy), ("stable", replay.migrated, stable)):
        copy_reached(tree, (unit for made_of in libraries.values() for unit in made_of), folder / side)
    shutil.rmtree(folder / "tree")
    told = {"release": case.before, "defines": DEFINES, "legacy": legacy, "stable": stable}
    told["callables"] = [one.stable for one in plan.callables]
    (folder / "libraries.json").write_text(json.dumps(told, indent=1) + "\n")
    return case.before


def copy_reached(tree: Path, units: Iterable[str], folder: Path) -> None:
    """Copy `units` and every file of `tree` that they include, one through another, to `folder`."""
    names = sorted(path.relative_to(tree).as_posix() for path in (tree / SOURCES).rglob("*") if path.is_file())
    graph = IncludeGraph(Snapshot(tree, tuple(names)), (), (SOURCES, f"{SOURCES}/{STABLE}"))
    for name in graph.closure(list(units)):
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(tree / name, target)


def main(arguments: list[str]) -> int:
    """Fill the folder that is named, build/gpu/release by default, for the case that is named."""
    name, units = (arguments[1], tuple(arguments[2:])) if len(arguments) > 1 else BETWEEN_GPUS
    folder = Path(arguments[0] if arguments else ROOT / "build/gpu/release").resolve()
    store = Store(Path(os.environ.get("REPLAY_CACHE") or ROOT / "build/replay").resolve())
    print(f"{prepare(folder, store, name, units)} in {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
