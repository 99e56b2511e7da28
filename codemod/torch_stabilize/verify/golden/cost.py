"""What many calls cost: host memory that stays taken, and time."""

from __future__ import annotations

import ctypes
import gc
import os
import time
from typing import Any, NamedTuple

from torch_stabilize.verify.golden.cases import Case
from torch_stabilize.verify.golden.inputs import make_arguments
from torch_stabilize.verify.golden.run import find_op

CALLS = 10_000
SECONDS = 2.0  # at most, for what takes long
_FEWEST = 500
_ROUNDS = 20


class Cost(NamedTuple):
    """Bytes that a call leaves taken, the calls that this is the mean of, and the seconds of the fastest call."""

    leaked: float
    calls: int
    seconds: float


def cost_of(case: Case, torch: Any) -> Cost:
    """Call the op of `case` many times with the same arguments."""
    op = find_op(case, torch)
    args, kwargs = make_arguments(case, torch)
    begun = time.perf_counter()
    op(*args, **kwargs)
    once = max(time.perf_counter() - begun, 1e-7)
    calls = int(min(CALLS, max(_FEWEST, SECONDS / once)))
    if calls * once > 4 * SECONDS:
        return Cost(0.0, 0, once)
    for _ in range(calls // 4):  # caches fill
        op(*args, **kwargs)
    before = _taken()
    fastest = once
    batch = max(1, calls // _ROUNDS)
    for _ in range(_ROUNDS):
        begun = time.perf_counter()
        for _ in range(batch):
            op(*args, **kwargs)
        fastest = min(fastest, (time.perf_counter() - begun) / batch)
    return Cost((_taken() - before) / (batch * _ROUNDS), batch * _ROUNDS, fastest)


class _Mallinfo(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            "arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost",
        )
    ]  # fmt: skip


def _taken() -> int:
    """The bytes that are allocated on the heap; the size of the process, where the C library does not tell."""
    gc.collect()
    try:
        ask = ctypes.CDLL(None).mallinfo2
    except (AttributeError, OSError):
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    ask.restype = _Mallinfo
    said = ask()
    return int(said.uordblks + said.hblkhd)
