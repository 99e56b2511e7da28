"""What a call costs, legacy against stable: both in processes of their own, in turns, as ratios with their spread."""

from __future__ import annotations

import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

from torch_stabilize.verify.golden.cases import Case, CaseFile
from torch_stabilize.verify.golden.inputs import make_arguments
from torch_stabilize.verify.golden.run import find_op

if TYPE_CHECKING:
    from torch_stabilize.verify.golden.outcome import Crash
    from torch_stabilize.verify.golden.process import Worker

ROUNDS = 7
SECONDS = 0.1  # of one round on one side
_BATCHES = 10


@dataclass(frozen=True)
class Overhead:
    """One case: microseconds per call (medians over the rounds), and the stable call's time in that of the legacy one.

    `lowest` and `highest` are the ratios of the extreme rounds.
    """

    case: str
    legacy: float
    stable: float
    ratio: float
    lowest: float
    highest: float


_Call = tuple[Any, list[Any], dict[str, Any]]
_last: dict[Case, _Call] = {}  # the case timed last: its arguments are made once for all rounds


def seconds_per_call(case: Case, torch: Any, seconds: float = SECONDS) -> float:
    """The median over batches of calls with the same arguments; CUDA is waited for at the end of a batch."""
    if case not in _last:
        _last.clear()
        _last[case] = (find_op(case, torch), *make_arguments(case, torch))
    op, args, kwargs = _last[case]
    wait = torch.cuda.synchronize if case.device == "cuda" else lambda: None

    def batch(calls: int) -> float:
        begun = time.perf_counter()
        for _ in range(calls):
            op(*args, **kwargs)
        wait()
        return time.perf_counter() - begun

    calls = 1
    while (took := batch(calls)) < seconds / _BATCHES / 2 and calls < 1 << 20:
        calls *= 2
    each = took / calls
    calls = max(1, int(seconds / _BATCHES / each))
    batches = max(3, min(_BATCHES, int(seconds / each / calls)))  # fewer of what takes long
    return median(batch(calls) / calls for _ in range(batches))


def measure_overhead(
    file: CaseFile, cases: Iterable[Case], legacy: Worker, stable: Worker, rounds: int = ROUNDS
) -> tuple[tuple[Overhead, ...], tuple[tuple[Case, Crash], ...]]:
    """Time each of `cases` that raises nothing and whose device is here; the second part are cases that crashed.

    Devices are warm before the first round: clocks rise, and code is loaded.
    """
    from torch_stabilize.verify.golden.outcome import Crash

    measured: list[Overhead] = []
    crashed: list[tuple[Case, Crash]] = []
    for case in cases:
        if case.raises is not None or case.device not in legacy.devices:
            continue
        if case.mode != "eager" and case.ranks == 1:  # ranks capture their graphs themselves
            continue
        with ThreadPoolExecutor() as pool:  # processes start meanwhile, where ranks have their own
            list(pool.map(lambda side: side.time(file.path, case), (legacy, stable)))  # noqa: B023  # used at once
        turns = []
        for _ in range(rounds):  # in turns, so that what else runs on the machine weighs on both
            turn = legacy.time(file.path, case), stable.time(file.path, case)
            crash = next((side for side in turn if isinstance(side, Crash)), None)
            if crash is not None:
                crashed.append((case, crash))
                break
            turns.append(turn)
        else:
            measured.append(_overhead(case.id, turns))  # type: ignore[arg-type]  # no crash among them
    return tuple(measured), tuple(crashed)


def _overhead(case: str, turns: list[tuple[float, float]]) -> Overhead:
    ratios = [stable / legacy for legacy, stable in turns]
    return Overhead(
        case,
        median(legacy for legacy, _ in turns) * 1e6,
        median(stable for _, stable in turns) * 1e6,
        median(ratios),
        min(ratios),
        max(ratios),
    )
