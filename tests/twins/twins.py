"""Random legacy functions and what the migration makes of them, called alike and compared.

    python -m tests.twins.twins [--functions N] [--seed S] [--sweep [SETTING]] [--minutes M] [--folder F] [--record]

A difference that no finding announces is a failure: it is shrunk to a few lines and written to FOLDER/found. Each batch
is a line in FOLDER/record.tsv, so that a run can be done in pieces; `--record` sums them up.
"""

from __future__ import annotations

import argparse
import re
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.twins.building import Compiler
from tests.twins.difference import Difference, compared
from tests.twins.grammar import random_functions
from tests.twins.program import Function
from tests.twins.record import Record
from tests.twins.shrinking import shrunk
from tests.twins.sources import sources_and_uses
from tests.twins.sweeps import SETTINGS, each_form, overloads_in_settings


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--functions", type=int, default=600)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--batch", type=int, default=300)
    parser.add_argument(
        "--sweep", nargs="?", const="all", choices=["all", "forms", "sources", *SETTINGS],
        help="every overload in a setting, every form or every source of a tensor once, instead of random functions",
    )  # fmt: skip
    parser.add_argument("--first", type=int, default=0, help="how many of the functions to pass over")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--folder", type=Path, default=Path("build/twins"))
    parser.add_argument("--no-shrink", action="store_true")
    parser.add_argument("--record", action="store_true", help="print what FOLDER/record.tsv says, and end")
    return parser.parse_args()


def main() -> int:
    """The command; exit status 1 where a difference was not announced."""
    asked = _arguments()
    folder = asked.folder.resolve()
    record = Record(folder / "record.tsv")
    if asked.record:
        print(record.table())
        return 0
    compiler = Compiler(folder / "precompiled")
    started, failures, codes = time.monotonic(), 0, Counter[str]()
    seen = set[str]()
    for first, functions in _batches(asked):
        if time.monotonic() - started > asked.minutes * 60:
            break
        began = time.monotonic()
        tally = compared(functions, folder, compiler)
        failures += len(tally.differences)
        codes.update(tally.codes)
        fresh = [d for d in tally.differences if d.kind not in seen or d.what not in ("does not compile", "crash")]
        fresh = list({(d.function.name, d.kind): d for d in fresh}.values())
        seen |= {d.kind for d in fresh}
        if fresh and not asked.no_shrink:
            fresh = shrunk(fresh, lambda batch: compared(batch, folder / "shrink", compiler).differences)
        for difference in fresh:
            _tell(difference, folder / "found")
        record.add(asked.sweep or "random", asked.seed, first, tally, fresh, time.monotonic() - began)
        print(record.last, flush=True)
    print("left by hand:", ", ".join(f"{code} {count}" for code, count in codes.most_common(12)))
    return 1 if failures else 0


def _batches(asked: argparse.Namespace) -> Iterator[tuple[int, Sequence[Function]]]:
    everything: Sequence[Function] = ()
    if asked.sweep == "sources":
        everything = sources_and_uses("so")
    elif asked.sweep == "forms":
        everything = each_form("fo", asked.seed)
    elif asked.sweep:
        everything = overloads_in_settings(
            "sw", asked.seed, tuple(SETTINGS) if asked.sweep == "all" else (asked.sweep,)
        )
    end = len(everything) or asked.first + asked.functions
    for start in range(asked.first, end, asked.batch):
        count = min(asked.batch, end - start)
        yield start, everything[start : start + count] or random_functions("tw", asked.seed, count, start)


def _tell(difference: Difference, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    lines = [difference.what, f"before: {difference.before[:300]}", f"after: {difference.after[:300]}"]
    text = "".join(f"// {line}\n" for line in lines) + difference.function.written()
    name = re.sub(r"\W+", "_", difference.kind)[:40]
    (folder / f"{name}_{difference.function.name}.cpp").write_text(text)
    print(text, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
