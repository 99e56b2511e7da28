"""Damaged extensions, migrated twice in memory: no crash, no hang, nothing left for the second run.

    python -m tests.fuzz.fuzz [--plans N] [--seed S] [--minutes M] [--jobs J] [--folder F] [--case NUMBER]

Case NUMBER of a seed is always the same tree. What fails is written to FOLDER, made smaller, one file for each kind; a
file that is put into tests/fuzz/kept is run by `make test`.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from tests.fuzz.mutate import mutated
from tests.fuzz.run import Fault, Outcome, run
from tests.fuzz.trees import Tree, random_tree

_SHARE = 200  # cases that a process is given at a time


def case(seed: int, number: int) -> Tree:
    """The tree of one case."""
    pick = random.Random(f"{seed} {number}")
    return mutated(random_tree(pick), pick)


def run_case(seed: int, number: int) -> Outcome:
    """Run one case; every twentieth with all reports."""
    return run(case(seed, number), reports=number % 20 == 0)


def as_text(tree: Tree) -> str:
    """A tree as a file of tests/fuzz/kept."""
    files = {path: data.decode("utf-8", "surrogateescape") for path, data in sorted(tree.files.items())}
    return json.dumps({"name": tree.name, "units": list(tree.units), "files": files}, indent=1) + "\n"


def from_text(text: str) -> Tree:
    """The tree of a file of tests/fuzz/kept."""
    found = json.loads(text)
    files = {path: data.encode("utf-8", "surrogateescape") for path, data in found["files"].items()}
    return Tree(found["name"], files, tuple(found["units"]))


def smaller(tree: Tree, fault: Fault, *, tries: int = 400) -> Tree:
    """`tree` with as few files and lines as still fail in the same way."""

    def fails(other: Tree) -> bool:
        nonlocal tries
        tries -= 1
        return tries > 0 and any(one[:2] == fault[:2] for one in run(other, reports=True).faults)

    for path in sorted(tree.files):
        if path not in tree.units:
            other = tree._replace(files={name: data for name, data in tree.files.items() if name != path})
            tree = other if fails(other) else tree
    for path in sorted(tree.files, key=lambda name: -len(tree.files[name])):
        size = len(tree.files[path].splitlines())
        while size:
            lines = tree.files[path].splitlines(keepends=True)
            for start in range(max(0, (len(lines) - 1) // size) * size, -1, -size):
                lines = tree.files[path].splitlines(keepends=True)
                rest = b"".join(lines[:start] + lines[start + size :])
                other = tree._replace(files={**tree.files, path: rest})
                tree = other if fails(other) else tree
            size //= 2
    return tree


def _share(seed: int, start: int, count: int) -> tuple[Counter[str], list[tuple[int, Fault]]]:
    tally: Counter[str] = Counter()
    found = []
    for number in range(start, start + count):
        outcome = run_case(seed, number)
        tally["cases"] += 1
        tally["plans"] += outcome.plans
        tally["refused"] += bool(outcome.refusal)
        tally["faults"] += bool(outcome.faults)
        found += [(number, fault) for fault in outcome.faults]
    return tally, found


def _shares(seed: int, first: int, jobs: int) -> Iterator[tuple[Counter[str], list[tuple[int, Fault]]]]:
    with ProcessPoolExecutor(jobs) as pool:
        waiting = [pool.submit(_share, seed, first + n * _SHARE, _SHARE) for n in range(jobs + 1)]
        first += (jobs + 1) * _SHARE
        while True:
            yield waiting.pop(0).result()
            waiting.append(pool.submit(_share, seed, first, _SHARE))
            first += _SHARE


def main() -> int:
    """Run cases until there are enough plans."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plans", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="the number of the first case")
    parser.add_argument("--minutes", type=float, default=600)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--folder", type=Path, default=Path("build/fuzz"))
    parser.add_argument("--case", type=int, help="run this case alone, and print what is wrong with it")
    options = parser.parse_args()
    sys.setrecursionlimit(10_000)
    if options.case is not None:
        outcome = run(case(options.seed, options.case), reports=True)
        print(outcome.refusal, *(f"{fault.kind}: {fault.where}\n{fault.details}" for fault in outcome.faults), sep="\n")
        return 1 if outcome.faults else 0
    options.folder.mkdir(parents=True, exist_ok=True)
    end = time.monotonic() + options.minutes * 60
    tally: Counter[str] = Counter()
    kinds: Counter[tuple[str, str]] = Counter()
    shares = _shares(options.seed, options.first, options.jobs)
    for counts, found in shares:
        tally += counts
        for number, fault in found:
            kinds[fault[:2]] += 1
            if kinds[fault[:2]] == 1:
                _keep(options.folder, options.seed, number, fault)
        print(", ".join(f"{tally[name]} {name}" for name in ("cases", "plans", "refused", "faults")), flush=True)
        if tally["plans"] >= options.plans or time.monotonic() > end:
            break
    for (kind, where), count in kinds.most_common():
        print(f"{count:6} {kind}: {where}")
    sys.stdout.flush()
    os._exit(1 if kinds else 0)  # what is still running is not waited for


def _keep(folder: Path, seed: int, number: int, fault: Fault) -> None:
    name = re.sub(r"\W+", "-", f"{fault.kind}-{fault.where}")[:80].strip("-")
    print(f"seed {seed}, case {number}: {fault.kind}: {fault.where}", flush=True)
    (folder / f"{name}.txt").write_text(f"--seed {seed} --case {number}\n{fault.details}", errors="surrogateescape")
    (folder / f"{name}.json").write_text(as_text(smaller(case(seed, number), fault)))


if __name__ == "__main__":
    sys.exit(main())
