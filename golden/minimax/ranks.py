"""What the ranks of a row that is normalised over all of them do together, a process for each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch_stabilize.verify.golden.ranked import Rank, load_script

EPSILON = 1e-5
SUMS = 1024  # bytes that minimax keeps behind the flags, or a few more

_shared = load_script(Path(__file__).parent.parent / "custom_all_reduce/ranks.py")


def flags_and_sums(me: Rank) -> Any:
    """The workspace: where the flags of each rank stand, with its sums behind them."""
    size = me.torch.ops._C_custom_ar.meta_size() + SUMS
    return me.torch.tensor(_shared.shared_memory(me, "rms", size), device=me.device)


def one(me: Rank, workspace: Callable[[Rank], Any] = flags_and_sums) -> list[Any]:
    """minimax_allreduce_rms on rows of `q` elements a rank: near what PyTorch gives for whole rows."""
    turns, weights = _inputs(me)
    q_size = me.names["q"]
    x = me.torch.zeros(me.names["m"], q_size, dtype=me.dtype, device=me.device)
    weight = weights[me.rank][:q_size].to(me.device)
    last = (workspace(me), me.rank, me.count, EPSILON)
    op = me.torch.ops._C.minimax_allreduce_rms

    def call() -> list[Any]:
        return [op(x, weight, *last)]

    given = [turn[me.rank][:, :q_size] for turn in turns]
    return _judged(me, call, x, given, turns, weights, [(0, q_size)])


def query_and_key(me: Rank, workspace: Callable[[Rank], Any] = flags_and_sums) -> list[Any]:
    """minimax_allreduce_rms_qk on rows of a query of `q` elements, a key of `k` and a value a rank."""
    turns, weights = _inputs(me)
    q_size, kv_size = me.names["q"], me.names["k"]
    x = me.torch.zeros(me.names["m"], q_size + 2 * kv_size, dtype=me.dtype, device=me.device)
    q_weight, k_weight = weights[me.rank].to(me.device).split([q_size, kv_size])
    last = (workspace(me), q_size, kv_size, me.rank, me.count, EPSILON)
    op = me.torch.ops._C.minimax_allreduce_rms_qk

    def call() -> list[Any]:
        return list(op(x, q_weight, k_weight, *last))

    given = [turn[me.rank] for turn in turns]
    return _judged(me, call, x, given, turns, weights, [(0, q_size), (q_size, kv_size)])


def _inputs(me: Rank) -> tuple[list[list[Any]], list[Any]]:
    """Rows of every rank for each turn, and its weights."""
    rows, q_size, kv_size = (me.names[name] for name in ("m", "q", "k"))
    width = q_size + 2 * kv_size
    turns = [_shared.parts(me, (rows, width), turn) for turn in range(_shared.TURNS)]
    return turns, _shared.parts(me, (q_size + kv_size,), 100)


def _judged(
    me: Rank, call: Any, x: Any, given: list[Any], turns: list[Any], weights: list[Any], spans: list[tuple[int, int]]
) -> list[Any]:
    run = me.captured(call) if me.case.mode == "graph" else call
    got = me.outputs(run, x, given)
    for turn, outs in zip(turns, got, strict=False):
        for out, (start, size) in zip(outs, spans, strict=True):
            expect_near(me, out, normalised(me, turn, weights, start, size))
    me.gather(None)  # nobody takes away what a peer still reads
    return [out for outs in got for out in outs]


def normalised(me: Rank, parts: list[Any], weights: list[Any], start: int, size: int) -> Any:
    """This rank's part of rows that stand side by side on the ranks."""
    torch = me.torch
    rows = torch.cat([part[:, start : start + size] for part in parts], 1).double()
    weight = torch.cat([of[start : start + size] for of in weights]).double()
    done = torch.nn.functional.rms_norm(rows, rows.shape[-1:], weight, EPSILON)
    return done[:, me.rank * size : (me.rank + 1) * size].to(parts[0].dtype)


def expect_near(me: Rank, got: Any, wanted: Any) -> None:
    """Raise AssertionError where rows are not what PyTorch makes of them, but for the last bits."""
    try:
        me.torch.testing.assert_close(got, wanted)
    except AssertionError as error:
        me.expect(False, f"not the rows as PyTorch normalises them: {str(error).strip().splitlines()[0]}")
