"""On a GPU machine: calls of a release's operators, captured on its legacy build and made again on the stable one.

    python3 tests/gpu/captured.py --out FOLDER RELEASE...

Each RELEASE is a folder that `prepare_release.py` made, with the name of its case; `calls/CASE.py` is the program whose
calls are captured. `prepare.sh` made what is in --prepared. Both sides are built here from the units of the case alone.
Written to FOLDER: captured.json, and what the tool printed. Exit code 1 where a call differs or an operator has none.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "codemod")]

from tests.gpu.run import SIDES, Machine, build_environment, build_release, facts_of_machine, library_options  # noqa: E402

CALLS = REPOSITORY / "tests/gpu/calls"
CAPTURE_SECONDS, CHECK_SECONDS = 240, 120


def main() -> int:
    """Build all releases, capture and check one after another, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("releases", nargs="+", type=Path, help="folders that prepare_release.py made")
    parser.add_argument("--out", type=Path, required=True, help="where results are written")
    parser.add_argument("--prepared", type=Path, default=REPOSITORY / "build/gpu", help="what prepare.sh made")
    parser.add_argument("--minutes", type=float, default=9.0, help="time for everything")
    parser.add_argument("--patience", type=float, default=1.0, help="how many times the usual time each step has")
    chosen = parser.parse_args()
    begun = time.monotonic()
    work = Path(tempfile.mkdtemp(prefix="gpu-captured-"))
    chosen.out.mkdir(parents=True, exist_ok=True)
    deadline = begun + chosen.minutes * 60
    machine = Machine(chosen.prepared.resolve(), work, chosen.out.resolve(), deadline, patience=chosen.patience)
    facts = facts_of_machine()
    print(json.dumps(facts), flush=True)
    environment = build_environment(machine, facts["capability"])
    places = [replace(machine, folder=folder.resolve(), libraries={}) for folder in chosen.releases]
    with ThreadPoolExecutor(len(places)) as pool:
        builds = list(pool.map(lambda place: build_release(place, environment), places))
    print(f"built: {builds} after {time.monotonic() - begun:.0f} s", flush=True)
    found = [captured(machine, place) | {"build": build} for place, build in zip(places, builds, strict=True)]
    document = {"facts": facts, "seconds": round(time.monotonic() - begun), "releases": found}
    (machine.out / "captured.json").write_text(json.dumps(document, indent=1, sort_keys=True) + "\n")
    return 0 if all(one["passed"] for one in found) else 1


def captured(machine: Machine, place: Machine) -> dict[str, Any]:
    """The JSON of the capture and of the check of each side, with the seconds that each took."""
    case = place.folder.name
    told = json.loads((place.folder / "libraries.json").read_text())
    found: dict[str, Any] = {"case": case, "release": told["release"], "passed": False}
    if not all(place.libraries.get(side) for side in SIDES):
        return found
    legacy = place.libraries["legacy"]
    watched = [word for name in told["callables"] for word in ("--callable", name)]
    known = [word for path in legacy for word in ("--legacy-library", path)]
    program = [sys.executable, str(CALLS / f"{case}.py"), *legacy]
    steps = {"capture": ("capture", case, *watched, *known, "--vary", "0", "--size", "8MB", "--json", "--", *program)}
    steps |= {side: ("check", case, "--json", *library_options(place, side)) for side in SIDES}
    for name, words in steps.items():
        begun = time.monotonic()
        ran = machine.tool("golden", *words, seconds=CAPTURE_SECONDS if name == "capture" else CHECK_SECONDS)
        (machine.out / f"{case}-{name}.log").write_text(ran.stdout + ran.stderr)
        found[name] = {"exit code": ran.returncode, "seconds": round(time.monotonic() - begun)}
        print(f"{case} {name}: {found[name]}", flush=True)
    found["passed"] = all(found[name]["exit code"] == 0 for name in steps)
    return found


if __name__ == "__main__":
    sys.exit(main())
