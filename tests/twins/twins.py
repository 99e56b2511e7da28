"""Random legacy functions and what the migration makes of them, called alike and compared.

    python -m tests.twins.twins [--functions N] [--seed S] [--sweep] [--minutes M] [--folder F]

A difference that no finding announces is a failure: it is shrunk to a few lines and written to FOLDER/found.
"""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.twins.building import Compiler, Pair, build_pair, outcomes
from tests.twins.grammar import random_functions, sweep
from tests.twins.program import Function, Node


class Difference(NamedTuple):
    """A function that does something else after its migration, or does not compile."""

    function: Function
    what: str  # "does not compile", "value", "error", "crash"
    before: str
    after: str

    @property
    def kind(self) -> str:
        """What makes differences of one kind alike: numbers and names left out."""
        return (
            self.what
            + ": "
            + re.sub(r"\d+|[‘'\"].*?[’'\"]|tw\w+|sw\w+", "#", self.after if "compile" in self.what else "")[:100]
        )


class Tally(NamedTuple):
    """What a set of functions came to."""

    functions: int
    invalid: int
    announced: int
    calls: int
    differences: tuple[Difference, ...]


def compared(functions: Sequence[Function], folder: Path, compiler: Compiler) -> Tally:
    """Build both sides of `functions`, call them, and compare."""
    pair = build_pair(functions, folder, compiler)
    differences = [d for d in _differences(pair) if d.function.name not in pair.announced]
    names = [f.name for f in pair.functions if f.name not in pair.broken]
    return Tally(len(functions), len(pair.invalid), len(pair.announced), len(names) * 6, tuple(differences))


def _differences(pair: Pair) -> Iterator[Difference]:
    by_name = {function.name: function for function in pair.functions}
    for name, error in pair.broken.items():
        yield Difference(by_name[name], "does not compile", "", error)
    if pair.stable is None:
        return
    names = [name for name in by_name if name not in pair.broken]
    old, new = outcomes(pair.legacy, names), outcomes(pair.stable, names)
    seen = set()
    for (name, given), before in old.items():
        after = new.get((name, given), "missing")
        if before != after and name not in seen and "crash" not in before:
            seen.add(name)
            yield Difference(by_name[name], _what(before, after), f"input {given}: {before}", after)


def _what(before: str, after: str) -> str:
    if after in ("crash", "missing"):
        return "crash"
    if ('"raises' in before[:12]) != ('"raises' in after[:12]):
        return "raises no more" if '"raises' in before[:12] else "raises now"
    return "error text" if '"raises' in before[:12] else "value"


def shrunk(differences: Sequence[Difference], folder: Path, compiler: Compiler, rounds: int = 6) -> list[Difference]:
    """Each difference with less of its function, as long as a smaller one differs in the same way."""
    smallest = {d.function.name: d for d in differences}
    for _ in range(rounds):
        tried: dict[str, str] = {}
        batch: list[Function] = []
        for name, difference in smallest.items():
            for number, smaller in enumerate(_some(difference.function)):
                new = f"{name}v{number}"
                tried[new] = name
                batch.append(_named(smaller, new))
        if not batch:
            break
        found: dict[str, Difference] = {}
        for start in range(0, len(batch), 150):
            tally = compared(batch[start : start + 150], folder, compiler)
            for other in tally.differences:
                name = tried[other.function.name]
                best = found.get(name)
                same = other.what == smallest[name].what
                if same and (best is None or other.function.size < best.function.size):
                    found[name] = other
        if not found:
            break
        for name, other in found.items():
            smallest[name] = other._replace(function=_named(other.function, name))
    return list(smallest.values())


def _some(function: Function, most: int = 24) -> list[Function]:
    """Smaller functions, the smallest first."""
    unique = {smaller.written(): smaller for smaller in function.smaller()}
    ordered = sorted((f for f in unique.values() if f.size < function.size), key=lambda f: f.size)
    step = max(1, len(ordered) // most)
    return ordered[::step][:most]


def _named(function: Function, name: str) -> Function:
    """`function` under another name, what stands before it too."""
    old = function.name

    def renamed(node: Node) -> Node:
        return node._replace(
            text=re.sub(rf"(?<![A-Za-z0-9]){old}(?![0-9a-z])", name, node.text), parts=tuple(map(renamed, node.parts))
        )

    before = re.sub(rf"(?<![A-Za-z0-9]){old}(?![0-9a-z])", name, function.before)
    return function._replace(name=name, body=renamed(function.body), before=before)


def main() -> int:
    """The command; exit status 1 where a difference was not announced."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--functions", type=int, default=600)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--batch", type=int, default=150)
    parser.add_argument(
        "--sweep", action="store_true", help="every overload of the tables once, instead of random functions"
    )
    parser.add_argument("--first", type=int, default=0, help="how many of the functions to pass over")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--folder", type=Path, default=Path("build/twins"))
    parser.add_argument("--no-shrink", action="store_true")
    asked = parser.parse_args()
    folder = asked.folder.resolve()
    compiler = Compiler(folder / "precompiled")
    started, total, kinds, last_new = time.monotonic(), 0, set[str](), 0
    invalid = announced = calls = failures = 0
    batches = _batches(asked)
    for functions in batches:
        if time.monotonic() - started > asked.minutes * 60:
            break
        tally = compared(functions, folder, compiler)
        total += tally.functions
        invalid, announced, calls = invalid + tally.invalid, announced + tally.announced, calls + tally.calls
        fresh = [d for d in tally.differences if d.kind not in kinds or d.what == "value"]
        failures += len(tally.differences)
        if any(d.kind not in kinds for d in fresh):
            last_new = total
        kinds |= {d.kind for d in fresh}
        if fresh and not asked.no_shrink:
            fresh = shrunk(fresh, folder / "shrink", compiler)
        for difference in fresh:
            _tell(difference, folder / "found")
        print(
            f"{total} functions ({invalid} invalid), {calls} calls, {announced} announced, {failures} differences of "
            f"{len(kinds)} kinds, the last new one at {last_new}; {time.monotonic() - started:.0f} s",
            flush=True,
        )
    return 1 if failures else 0


def _batches(asked: argparse.Namespace) -> Iterator[Sequence[Function]]:
    everything = sweep("sw", asked.seed) if asked.sweep else ()
    end = len(everything) or asked.first + asked.functions
    for start in range(asked.first, end, asked.batch):
        count = min(asked.batch, end - start)
        yield everything[start : start + count] or random_functions("tw", asked.seed, count, start)


def _tell(difference: Difference, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    text = f"// {difference.what}\n// before: {difference.before[:300]}\n// after: {difference.after[:300]}\n{difference.function.written()}"
    (folder / f"{abs(hash(text)) % 10**8:08}.cpp").write_text(text)
    print(text, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
