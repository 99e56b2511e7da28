"""The release's reduce-RMS between ranks: sums travel through buffers in which -0.0 means that nothing is there yet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch_stabilize.verify.golden.ranked import Rank, load_script

_shared = load_script(Path(__file__).parents[4] / "golden/custom_all_reduce/ranks.py")
_sample = load_script(Path(__file__).parents[4] / "golden/minimax/ranks.py")
PART = 16 * _shared.MEBIBYTE  # bytes of one of the three buffers that take turns


def one(me: Rank) -> list[Any]:
    """minimax_allreduce_rms on rows of `q` elements a rank."""
    return _sample.one(me, workspace)  # type: ignore[no-any-return]


def query_and_key(me: Rank) -> list[Any]:
    """minimax_allreduce_rms_qk on rows of a query, a key and a value of a rank."""
    return _sample.query_and_key(me, workspace)  # type: ignore[no-any-return]


def workspace(me: Rank) -> Any:
    """What the kernels find everything through, kept for all cases: every call leaves it ready for the next.

    For N ranks: 2 N addresses that nothing reads, the N buffers, one for a counter and the number of the call, and one
    for the bytes to clear and those of a buffer.
    """
    torch = me.torch
    key = f"workspace, {me.device}"
    if key not in me.kept:
        buffers = _shared.shared_memory(me, "lamport", 3 * PART)
        me.tensor_at(buffers[me.rank], 3 * PART).view(torch.float32).fill_(-0.0)
        calls = torch.zeros(3, dtype=torch.int32, device=me.device)
        sizes = torch.tensor([0, PART], dtype=torch.int64, device=me.device)
        me.wait()
        me.gather(None)
        addresses = [0] * (2 * me.count) + buffers + [calls.data_ptr(), sizes.data_ptr()]
        me.kept[key] = torch.tensor(addresses, dtype=torch.int64, device=me.device), calls, sizes
    return me.kept[key][0]
