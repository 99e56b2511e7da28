"""The parent's side of cases that several ranks run: a process for each, all ended where one of them is lost."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch_stabilize.verify.golden.cases import Case
from torch_stabilize.verify.golden.outcome import Crash, LoadError, Outcome

if TYPE_CHECKING:
    from torch_stabilize.verify.golden.process import Worker

PATIENCE = 60.0  # seconds a rank waits for its peers
GRACE = 5.0  # and what is left to it, beyond that, once a peer is lost


class RankGroup:
    """Processes that have loaded the same libraries; use it in a `with` statement. They start at the first case.

    `start` makes one of them.
    """

    def __init__(
        self,
        start: Callable[[], Worker],
        count: int,
        *,
        patience: float = PATIENCE,
    ) -> None:
        self._make = start
        self._workers: list[Worker] = []
        self._count = count
        self._patience = patience

    def __enter__(self) -> RankGroup:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def run(self, cases: Path, case: Case) -> Outcome | Crash:
        """What all ranks give, one after another. A Crash names each rank that gave nothing, or something else."""
        return self._together(lambda worker, rank, folder: worker.ranked(cases, case, self._place(rank, folder)))

    def time(self, cases: Path, case: Case, seconds: float) -> float | Crash:
        """Seconds per call, of the slowest rank."""
        answer = self._together(
            lambda worker, rank, folder: worker.ranked(cases, case, self._place(rank, folder), seconds)
        )
        if isinstance(answer, Crash):
            return answer
        if answer.error is not None:
            return Crash(f"{answer.error.type}: {answer.error.message}")
        return max(float(text) for text in answer.returns if isinstance(text, str))

    def abandon(self) -> None:
        """End all processes and start none any more."""
        for worker in self._workers:
            worker.abandon()

    def stop(self) -> None:
        """End all processes; a kernel that waits for a peer ends no other way."""
        workers, self._workers = self._workers, []
        for worker in workers:
            worker.kill()
            worker.close()

    def _place(self, rank: int, folder: str) -> dict[str, Any]:
        return {"rank": rank, "folder": folder, "patience": self._patience}

    def _together(self, ask: Callable[[Worker, int, str], Outcome | Crash]) -> Outcome | Crash:
        with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(self._count) as pool:
            try:
                self._start(pool)
            except LoadError as error:
                self.stop()
                return Crash(str(error))
            asked = [pool.submit(ask, worker, rank, folder) for rank, worker in enumerate(self._workers)]
            outcomes = self._answers(asked)
        joined = join_outcomes(outcomes)
        if any(_failed(outcome) for outcome in outcomes):
            self.stop()  # peers may still wait, and a rank that failed has cleaned up nothing
        return joined

    def _start(self, pool: ThreadPoolExecutor) -> None:
        if not self._workers:
            self._workers = [self._make() for _ in range(self._count)]
            list(pool.map(lambda worker: worker.start(), self._workers))

    def _answers(self, asked: Sequence[Future[Outcome | Crash]]) -> list[Outcome | Crash]:
        """One answer a rank. Once one is lost the others have GRACE to say so themselves."""
        waiting, deadline = set(asked), float("inf")
        while waiting:
            left = None if deadline == float("inf") else max(0.0, deadline - time.monotonic())
            done, waiting = wait(waiting, timeout=left, return_when=FIRST_COMPLETED)
            if not done and waiting:
                for index, one in enumerate(asked):
                    if one in waiting:
                        self._workers[index].kill()
                late = [index for index, one in enumerate(asked) if one in waiting]
                wait(waiting)
                return [
                    Crash("still waiting for a peer, and ended") if index in late else one.result()
                    for index, one in enumerate(asked)
                ]
            if deadline == float("inf") and any(_failed(one.result()) for one in done):
                deadline = time.monotonic() + self._patience + GRACE
        return [one.result() for one in asked]


def _failed(outcome: Outcome | Crash) -> bool:
    return isinstance(outcome, Crash) or outcome.error is not None


def join_outcomes(outcomes: Sequence[Outcome | Crash]) -> Outcome | Crash:
    """The outcomes of all ranks as one; a Crash where a rank is lost, or only some raise the same."""
    found = [outcome for outcome in outcomes if isinstance(outcome, Outcome)]
    if len(found) == len(outcomes):
        if not any(outcome.error for outcome in found):
            return Outcome(returns=tuple(value for outcome in found for value in outcome.returns))
        if len({outcome.error for outcome in found}) == 1:
            return Outcome(error=found[0].error)
    told = []
    for rank, outcome in enumerate(outcomes):
        if isinstance(outcome, Crash):
            told.append(f"rank {rank}: {outcome.reason}")
        elif outcome.error is not None:
            told.append(f"rank {rank}: {outcome.error.type}: {outcome.error.message.splitlines()[0]}")
        else:
            told.append(f"rank {rank}: done")
    return Crash("; ".join(told))
