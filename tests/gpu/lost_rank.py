"""What becomes of the other rank when one dies: it ends in time, and says why; and the device is good for the next.

    python3 tests/gpu/lost_rank.py --library FILE... [--device cuda] [--patience 5]

Prints one JSON object: for each way of calling the seconds that it took, what the ranks said, and what is wrong with
that. Exit code 1 where anything is.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "codemod")]

from torch_stabilize.verify.golden.cases import Case, load_cases, ranked_device  # noqa: E402
from torch_stabilize.verify.golden.outcome import Crash, Outcome  # noqa: E402
from torch_stabilize.verify.golden.process import Worker  # noqa: E402
from torch_stabilize.verify.golden.together import GRACE, RankGroup  # noqa: E402

CASES = Path(__file__).parent / "lost/cases.toml"
START = 40.0  # seconds for processes to start and to be ended


def lose_rank(libraries: list[Path], device: str, patience: float) -> dict[str, dict[str, str | float]]:
    """For each mode: how long the case took in which a rank dies, what was said, and what is wrong about it."""
    cases = [case for case in load_cases(CASES).cases if case.device == ranked_device(device, 2)]
    found: dict[str, dict[str, str | float]] = {}
    for case in (case for case in cases if dict(case.names)["dies"]):
        with RankGroup(lambda: Worker(libraries), case.ranks, patience=patience) as group:
            begun = time.monotonic()
            outcome = group.run(CASES, case)
            seconds = time.monotonic() - begun
            after = group.run(CASES, _without_death(case, cases))  # in processes of its own
        said = outcome.reason if isinstance(outcome, Crash) else "nothing"
        wrong = judged(said, seconds, patience, after)
        found[case.mode] = {"seconds": round(seconds, 1), "said": said, "wrong": wrong}
    return found


def judged(said: str, seconds: float, patience: float, after: Outcome | Crash) -> str:
    """What is wrong about what the ranks said once the last had died; nothing where they ended in time."""
    wrong = []
    if "rank 1: the process died of SIGKILL" not in said:
        wrong.append("the rank that died is not named")
    if "rank 0: " not in said or "peer" not in said.partition("rank 1: ")[0]:
        wrong.append("the other does not say what it waited for")
    if seconds > patience + GRACE + START:
        wrong.append(f"it took {seconds:.0f} s")
    if isinstance(after, Crash) or after.error is not None:
        wrong.append(f"the next group fails: {after.reason if isinstance(after, Crash) else after.error}")
    return "; ".join(wrong)


def _without_death(case: Case, cases: list[Case]) -> Case:
    return next(other for other in cases if other.mode == case.mode and not dict(other.names)["dies"])


def main() -> int:
    """Print what was found."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--library", type=Path, action="append", required=True, help="may be given again")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--patience", type=float, default=5.0, help="seconds that a rank waits for its peer")
    chosen = parser.parse_args()
    found = lose_rank(chosen.library, chosen.device, chosen.patience)
    print(json.dumps(found, indent=1))
    return 1 if not found or any(of["wrong"] for of in found.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
