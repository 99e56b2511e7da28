"""What the ranks of an all-reduce do together, a process for each: see the tables with `run` in cases.toml."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch_stabilize.verify.golden.ranked import Rank

MEBIBYTE = 1 << 20
MOST = 8 * MEBIBYTE  # bytes of the buffers that ranks reduce through
TURNS = 3  # the flags go on counting, and graphs run again
QUICK_REDUCE = ("init_custom_qr", "qr_get_handle", "qr_open_handles", "qr_all_reduce", "qr_destroy", "qr_max_size")


def all_reduce(me: Rank, behind: int = 0) -> list[Any]:
    """The sum of `bytes` of each rank: bit for bit what PyTorch gives, in each turn.

    The input is "copied" to a buffer that all ranks know, or "registered" itself: in a graph with the handles that the
    capture leaves. `behind` is memory behind the flags.
    """
    torch, ops = me.torch, me.torch.ops._C_custom_ar
    size: int = me.names["bytes"]
    registered, graph = me.names["input"] == "registered", me.case.mode == "graph"
    count = size // me.dtype.itemsize
    turns = [parts(me, (count,), turn) for turn in range(TURNS)]
    buffers = shared_memory(me, "buffer", MOST)
    with group(me, behind) as handle:
        if registered and not graph:
            x = me.tensor_at(buffers[me.rank], count * me.dtype.itemsize).view(me.dtype)
        else:
            x = torch.zeros(count, dtype=me.dtype, device=me.device)
        out = torch.zeros_like(x)
        if not (registered and graph):
            ops.register_buffer(handle, buffers)

        def reduce() -> list[Any]:
            ops.all_reduce(handle, x, out, *((0, 0) if registered else (buffers[me.rank], MOST)))
            return [out]

        def exchange() -> None:  # of what the capture met and the peers do not know: some libraries count all
            found = me.gather(ops.get_graph_buffer_ipc_meta(handle))
            ops.register_graph_buffers(handle, [of[0] for of in found], [of[1] for of in found])

        call = me.captured(reduce, exchange) if graph else reduce
        got = [outs[0] for outs in me.outputs(call, x, [turn[me.rank] for turn in turns])]
        for given, turn in zip(got, turns, strict=False):
            me.expect(torch.equal(given, added(torch, turn)), "not the sum of the ranks' inputs")
    return got


def memory(me: Rank) -> list[Any]:
    """Every rank reads the memory of every other by its handle, and writes to it."""
    torch, size = me.torch, me.names["bytes"]
    addresses = _new_memory(me, size)
    mine = torch.full((size,), me.rank + 1, dtype=torch.uint8)
    got = torch.empty_like(mine)
    me.copy(addresses[me.rank], mine.data_ptr(), size)
    me.gather(None)
    for rank, address in enumerate(addresses):
        me.copy(got.data_ptr(), address, size)
        me.expect(bool((got == rank + 1).all()), f"the memory of rank {rank} does not have what it wrote")
    me.gather(None)
    part = size // me.count
    for_peers = torch.full((part,), 16 + me.rank, dtype=torch.uint8)
    for address in addresses:
        me.copy(address + me.rank * part, for_peers.data_ptr(), part)
    me.gather(None)
    me.copy(got.data_ptr(), addresses[me.rank], size)
    wanted = torch.arange(me.count, dtype=torch.uint8).repeat_interleave(part) + 16
    me.expect(torch.equal(got[: len(wanted)], wanted), "its memory does not have what the peers wrote")
    me.gather(None)
    if me.on_gpu:
        torch.ops._C_custom_ar.free_shared_buffer(addresses[me.rank])
    return [got]


def refusals(me: Rank) -> list[str]:
    """What a group of ranks refuses, and then still reduces."""
    torch, ops = me.torch, me.torch.ops._C_custom_ar
    x = torch.ones(64, device=me.device)
    half, longer = x.half(), torch.ones(65, device=me.device)
    buffers = shared_memory(me, "buffer", MOST)
    with group(me) as handle:
        ops.register_buffer(handle, buffers)
        told = [
            f"{what}: {refusal(lambda call=call: call(), says)}"
            for what, says, call in (
                ("not registered", "is not registered", lambda: ops.all_reduce(handle, x, x.clone(), 0, 0)),
                ("no room", "does not fit into", lambda: ops.all_reduce(handle, x, x.clone(), buffers[me.rank], 255)),
                ("dtypes", "", lambda: ops.all_reduce(handle, x, half, buffers[me.rank], MOST)),
                ("sizes", "", lambda: ops.all_reduce(handle, x, longer, buffers[me.rank], MOST)),
                ("a buffer is missing", "one for each rank", lambda: ops.register_buffer(handle, buffers[:1])),
            )
        ]
        me.gather(None)
        out = torch.zeros_like(x)
        ops.all_reduce(handle, x, out, buffers[me.rank], MOST)
        me.wait()
        me.expect(bool((out == me.count).all()), "no sum after what was refused")
    return told


def quick_reduce(me: Rank) -> list[str]:
    """The operators that only a ROCm build has: nobody has them here."""
    return [refusal(lambda name=name: getattr(me.torch.ops._C_custom_ar, name), name) for name in QUICK_REDUCE]


def refusal(call: Callable[[], Any], says: str) -> str:
    """The type of what `call` raises. Raises AssertionError where it is taken, or `says` is no part of the text.

    A check of the stable API that has no text of its own says where it is, and nothing else.
    """
    try:
        call()
    except Exception as error:  # what it is, is the outcome
        if says not in str(error):
            raise AssertionError(f"{type(error).__name__}: {error}".splitlines()[0]) from error
        return f"{type(error).__name__}: ...{says}..."
    raise AssertionError(f"taken, and not refused: {says}")


@contextmanager
def group(me: Rank, behind: int = 0) -> Iterator[int]:
    """An all-reduce of all ranks, from its start to its end. One that failed is left alone: the process ends."""
    torch, ops = me.torch, me.torch.ops._C_custom_ar
    flags = shared_memory(me, "flags", ops.meta_size() + behind)
    rank_data = torch.zeros(MEBIBYTE, dtype=torch.uint8, device=me.device)
    handle = ops.init_custom_ar(flags, rank_data, me.rank, True)
    yield handle
    me.wait()
    me.gather(None)  # nobody takes away what a peer still reads
    ops.dispose(handle)


def shared_memory(me: Rank, name: str, size: int) -> list[int]:
    """Where memory of each rank, all zero at first, represents this one; made once for all cases of the process."""
    key = f"{name}, {size} bytes, {me.device}"
    if key not in me.kept:
        me.kept[key] = _new_memory(me, size)
    return me.kept[key]  # type: ignore[no-any-return]


def _new_memory(me: Rank, size: int) -> list[int]:
    if not me.on_gpu:
        files = me.gather(str(me.folder / f"memory-{me.rank}-{len(me.kept)}"))
        mapped = [me.torch.from_file(name, True, size, dtype=me.torch.uint8) for name in files]
        me.kept.setdefault("mapped", []).append(mapped)
        me.gather(None)  # the files go with the folder, what is mapped stays
        return [memory.data_ptr() for memory in mapped]
    ops = me.torch.ops._C_custom_ar
    own, handle = ops.allocate_shared_buffer_and_handle(size)
    handles = [me.torch.tensor(told, dtype=me.torch.uint8) for told in me.gather(handle.tolist())]
    return [own if rank == me.rank else ops.open_mem_handle(handles[rank]) for rank in range(me.count)]


def parts(me: Rank, shape: tuple[int, ...], seed: int) -> list[Any]:
    """What each rank puts in, known to all of them."""
    generator = me.torch.Generator().manual_seed(seed)
    return [me.torch.randn(shape, generator=generator).to(me.dtype) for _ in range(me.count)]


def added(torch: Any, inputs: list[Any]) -> Any:
    """The sum in float, in the order of the ranks."""
    total = torch.zeros(inputs[0].shape)
    for x in inputs:
        total += x
    return total.to(inputs[0].dtype)
