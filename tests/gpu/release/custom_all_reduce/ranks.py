"""The release's all-reduce between ranks: the protocol is that of the sample's, with its own algorithms and limits."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from torch_stabilize.verify.golden.ranked import Rank, load_script

_sample = load_script(Path(__file__).parents[4] / "golden/custom_all_reduce/ranks.py")
memory = _sample.memory
MOST = _sample.MOST


def all_reduce(me: Rank) -> list[Any]:
    """In one shot, where each rank reads all, or in two, through memory behind the flags."""
    os.environ["VLLM_CUSTOM_ALLREDUCE_ALGO"] = me.names["algorithm"]
    return _sample.all_reduce(me, behind=MOST)  # type: ignore[no-any-return]


def refusals(me: Rank) -> list[str]:
    """What is refused at the start and between ranks, which then still reduce."""
    torch, ops = me.torch, me.torch.ops._C_custom_ar
    os.environ["VLLM_CUSTOM_ALLREDUCE_ALGO"] = "1stage"
    x = torch.ones(64, device=me.device)
    buffers = _sample.shared_memory(me, "buffer", MOST)
    flags = _sample.shared_memory(me, "flags", ops.meta_size() + MOST)

    def reduce(given: Any, out: Any, buffer: int = buffers[me.rank], size: int = MOST) -> None:
        ops.all_reduce(handle, given, out, buffer, size)

    def misnamed() -> None:
        os.environ["VLLM_CUSTOM_ALLREDUCE_ALGO"] = "3stage"
        reduce(x, x.clone())

    with _sample.group(me, MOST) as handle:
        ops.register_buffer(handle, buffers)
        asked = (
            ("not registered", "is not registered", lambda: reduce(x, x.clone(), 0, 0)),
            ("no room", "", lambda: reduce(x, x.clone(), size=255)),
            ("dtypes", "", lambda: reduce(x, x.half())),
            ("sizes", "", lambda: reduce(x, torch.ones(65, device=me.device))),
            ("a dtype", "only supports", lambda: reduce(x.double(), x.double())),
            ("odd length", "multiple", lambda: reduce(x[:63].clone(), x[:63].clone())),
            ("three ranks", "Odd num", lambda: ops.init_custom_ar([*flags, flags[0]], x, 0, True)),
            ("no such rank", "invalid rank", lambda: ops.init_custom_ar(flags, x, 2, True)),
            ("a buffer is missing", "", lambda: ops.register_buffer(handle, buffers[:1])),
            ("algorithm", "Valid values", misnamed),
        )
        told = [f"{what}: {_sample.refusal(call, says)}" for what, says, call in asked]
        os.environ["VLLM_CUSTOM_ALLREDUCE_ALGO"] = "1stage"
        me.gather(None)
        out = torch.zeros_like(x)
        reduce(x, out)
        me.wait()
        me.expect(bool((out == me.count).all()), "no sum after what was refused")
    return told
