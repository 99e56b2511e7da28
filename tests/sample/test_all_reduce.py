"""What the sample reduces over ranks, on the CPU: every rank is a thread, and reads the others' memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

torch = pytest.importorskip("torch")

pytestmark = [
    pytest.mark.compile,
    pytest.mark.torch,
    pytest.mark.xdist_group("sample"),
    pytest.mark.usefixtures("samplex"),
]

TIMEOUT = 60


def ops() -> Any:
    return torch.ops._C_custom_ar


def flags(ranks: int) -> list[Any]:
    """Shared memory of each rank, without a barrier passed yet."""
    return [torch.zeros(ops().meta_size(), dtype=torch.uint8) for _ in range(ranks)]


@contextmanager
def group(ranks: int) -> Iterator[list[int]]:
    """An all-reduce for each rank."""
    shared = flags(ranks)
    addresses = [memory.data_ptr() for memory in shared]
    made = [ops().init_custom_ar(addresses, torch.empty(0, dtype=torch.uint8), rank, True) for rank in range(ranks)]
    try:
        yield made
    finally:
        for handle in made:
            ops().dispose(handle)


def on_every_rank(ranks: int, run: Callable[[int], None]) -> None:
    """`run(rank)` in a thread each: a rank waits for all others."""
    with ThreadPoolExecutor(ranks) as threads:
        for done in [threads.submit(run, rank) for rank in range(ranks)]:
            done.result(TIMEOUT)


def added(inputs: list[Any]) -> Any:
    """The sum in float, in the order of the ranks."""
    total = torch.zeros_like(inputs[0], dtype=torch.float32)
    for x in inputs:
        total += x
    return total.to(inputs[0].dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize(("ranks", "count"), [(1, 5), (2, 4097), (3, 64), (8, 33), (2, 0)])
def test_registered_inputs_are_added_up(ranks: int, count: int, dtype: Any) -> None:
    inputs = [torch.randn(count, generator=torch.Generator().manual_seed(rank)).to(dtype) for rank in range(ranks)]
    outputs = [torch.full_like(x, torch.nan) for x in inputs]
    with group(ranks) as handles:
        for handle in handles:
            ops().register_buffer(handle, [x.data_ptr() for x in inputs])
        on_every_rank(ranks, lambda rank: ops().all_reduce(handles[rank], inputs[rank], outputs[rank], 0, 0))
    for out in outputs:
        torch.testing.assert_close(out, added(inputs), rtol=0, atol=0)


def test_inputs_are_copied_to_a_registered_buffer_again_and_again() -> None:
    ranks, count = 2, 1000
    buffers = [torch.zeros(count + 7) for _ in range(ranks)]
    size = buffers[0].nbytes
    with group(ranks) as handles:
        for handle in handles:
            ops().register_buffer(handle, [buffer.data_ptr() for buffer in buffers])
        for turn in range(5):
            inputs = [torch.full((count,), float(turn + rank)) for rank in range(ranks)]
            outputs = [torch.empty(count) for _ in inputs]

            def reduce(rank: int, inputs: list[Any] = inputs, outputs: list[Any] = outputs) -> None:
                ops().all_reduce(handles[rank], inputs[rank], outputs[rank], buffers[rank].data_ptr(), size)

            on_every_rank(ranks, reduce)
            for out in outputs:
                torch.testing.assert_close(out, added(inputs), rtol=0, atol=0)


def test_a_transposed_tensor_that_fills_its_storage_is_taken() -> None:
    x = torch.arange(12.0).reshape(3, 4).t()
    out = torch.empty(3, 4).t()
    with group(1) as (handle,):
        ops().register_buffer(handle, [x.data_ptr()])
        ops().all_reduce(handle, x, out, 0, 0)
    torch.testing.assert_close(out, x)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"out": torch.empty(8, dtype=torch.float16)}, "inp.scalar_type"),
        ({"out": torch.empty(9)}, "inp.numel"),
        ({"inp": torch.empty(16)[::2]}, "inp must fill its storage"),
        ({"out": torch.empty(16)[::2]}, "out must fill its storage"),
        ({"reg_buffer": 64, "reg_buffer_sz_bytes": 31}, "an input of 32 bytes does not fit into a buffer of 31"),
        ({}, "the input is not registered"),
    ],
)
def test_what_cannot_be_reduced_is_refused(change: dict[str, Any], message: str) -> None:
    arguments = {"inp": torch.empty(8), "out": torch.empty(8), "reg_buffer": 0, "reg_buffer_sz_bytes": 0} | change
    with group(1) as (handle,), pytest.raises(RuntimeError, match=message):
        ops().all_reduce(handle, **arguments)


def test_every_rank_registers_a_buffer() -> None:
    with group(2) as handles, pytest.raises(RuntimeError, match="expected 2 buffers, one for each rank, got 1"):
        ops().register_buffer(handles[0], [0])


SUMS = 2 * 36 * 2 * 4  # bytes behind the flags: two turns, blocks, query and key


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("ranks", [2, 3])
def test_rows_are_normalised_over_all_ranks(ranks: int, dtype: Any) -> None:
    tokens, q_size, kv_size, epsilon = 21, 12, 5, 1e-5
    rng = torch.Generator().manual_seed(ranks)
    parts = [torch.randn(tokens, q_size + 2 * kv_size, generator=rng).to(dtype) for _ in range(ranks)]
    weights = [(torch.randn(q_size, generator=rng).to(dtype), torch.ones(kv_size, dtype=dtype)) for _ in range(ranks)]
    shared = [torch.cat([memory, torch.zeros(SUMS, dtype=torch.uint8)]) for memory in flags(ranks)]
    workspace = torch.tensor([memory.data_ptr() for memory in shared])
    results: list[Any] = [None] * ranks

    def normalise(rank: int) -> None:
        for _ in range(2):  # the flags go on counting
            sizes = (q_size, kv_size, rank, ranks, epsilon)
            results[rank] = torch.ops._C.minimax_allreduce_rms_qk(parts[rank], *weights[rank], workspace, *sizes)

    on_every_rank(ranks, normalise)

    for index, (start, size) in enumerate([(0, q_size), (q_size, kv_size)]):
        rows = torch.cat([part[:, start : start + size] for part in parts], 1).double()
        weight = torch.cat([both[index] for both in weights]).double()
        wanted = torch.nn.functional.rms_norm(rows, rows.shape[-1:], weight, epsilon).to(dtype)
        torch.testing.assert_close(torch.cat([result[index] for result in results], 1), wanted)


def test_the_cpu_has_no_graphs() -> None:
    with group(2) as handles:
        assert ops().get_graph_buffer_ipc_meta(handles[0]) == ([], [])
        ops().register_graph_buffers(handles[0], [[], []], [[], []])
