"""The last rank dies in the middle of what the ranks do together; the others have to notice."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from torch_stabilize.verify.golden.ranked import Rank, load_script

_shared = load_script(Path(__file__).parents[3] / "golden/custom_all_reduce/ranks.py")


def all_reduce(me: Rank) -> list[Any]:
    """Once together, then again without the last rank where the case says that it dies."""
    torch, ops, size = me.torch, me.torch.ops._C_custom_ar, me.names["bytes"]
    buffers = _shared.shared_memory(me, "buffer", _shared.MOST)
    with _shared.group(me) as handle:
        ops.register_buffer(handle, buffers)
        x = torch.ones(size // 4, device=me.device)
        out = torch.zeros_like(x)

        def reduce() -> list[Any]:
            ops.all_reduce(handle, x, out, 0 if captured else buffers[me.rank], 0 if captured else _shared.MOST)
            return [out]

        def exchange() -> None:
            found = me.gather(ops.get_graph_buffer_ipc_meta(handle))
            ops.register_graph_buffers(handle, [of[0] for of in found], [of[1] for of in found])

        captured = me.case.mode == "graph"
        call = me.captured(reduce, exchange) if captured else reduce
        for turn in range(2):
            if turn == 1 and me.names["dies"] and me.rank == me.count - 1:
                os.kill(os.getpid(), signal.SIGKILL)
            call()
            me.wait()
    return [out]
