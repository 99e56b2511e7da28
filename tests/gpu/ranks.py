"""All-reduce and minimax over the GPUs of one host: every rank is a process with a GPU of its own.

    python3 tests/gpu/ranks.py --library FILE... [--ranks 2] [--device cuda] [--seconds 90]

Prints one JSON object: for each case a digest of the bits that the ranks got, so that two libraries can be compared, and
what is wrong about them beside plain PyTorch. On the CPU the ranks share memory through files, and there are no graphs.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import queue
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.process import BaseProcess
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import torch

MEBIBYTE = 1 << 20
DTYPES = (torch.float32, torch.float16, torch.bfloat16)
SIZES = (
    *(size * MEBIBYTE for size in (1, 2, 4, 8)),
    MEBIBYTE + 6,
    3 * MEBIBYTE - 4,
    44,
    4,
)  # bytes; some fill no vector
TURNS = 3  # the flags go on counting, and graphs run again
ROWS = ((1, 16, 8), (37, 77, 13), (300, 1536, 256))  # tokens, width of query and of key
EPSILON = 1e-5
SUMS = 1024  # bytes that minimax keeps behind the flags, or a few more

Run = Callable[[], list[torch.Tensor]]


@dataclass
class Rank:
    """One process of the group."""

    rank: int
    count: int
    device: str
    folder: Path  # where the ranks tell each other what they have
    barrier: Barrier
    seconds: float
    kept: list[torch.Tensor] = field(default_factory=list)  # what peers may read to the end

    def gather(self, told: Any) -> list[Any]:
        """What every rank told, in the order of the ranks. All ranks must call. Raises BrokenBarrierError."""
        (self.folder / f"told-{self.rank}").write_text(json.dumps(told))
        self.barrier.wait(self.seconds)
        found = [json.loads((self.folder / f"told-{rank}").read_text()) for rank in range(self.count)]
        self.barrier.wait(self.seconds)
        return found

    def shared_memory(self, size: int) -> list[int]:
        """Where memory of each rank, all zero, stands for this one."""
        if self.device == "cpu":
            files = self.gather(f"memory-{len(self.kept)}-{self.rank}")
            mapped = [torch.from_file(str(self.folder / name), True, size, dtype=torch.uint8) for name in files]
            self.kept += mapped
            return [memory.data_ptr() for memory in mapped]
        ops = torch.ops._C_custom_ar
        own, handle = ops.allocate_shared_buffer_and_handle(size)
        handles = [torch.tensor(told, dtype=torch.uint8) for told in self.gather(handle.tolist())]
        return [own if r == self.rank else ops.open_mem_handle(handles[r]) for r in range(self.count)]


def all_reduce_cases(me: Rank) -> Iterator[tuple[str, list[torch.Tensor], str]]:
    """Case, what this rank got in each turn, and what is wrong about it."""
    ops = torch.ops._C_custom_ar
    flags = me.shared_memory(ops.meta_size())
    rank_data = torch.zeros(MEBIBYTE, dtype=torch.uint8, device=me.device)
    handle = ops.init_custom_ar(flags, rank_data, me.rank, True)
    buffers = me.shared_memory(max(SIZES))
    ops.register_buffer(handle, buffers)
    for dtype in DTYPES:
        for size in SIZES:
            x = torch.zeros(size // dtype.itemsize, dtype=dtype, device=me.device)
            me.kept.append(x)  # once registered, its address stands for it
            out = torch.empty_like(x)
            turns = [_parts(x.shape, dtype, me.count, turn) for turn in range(TURNS)]
            wanted = [_sum(parts) for parts in turns]
            inputs = [parts[me.rank] for parts in turns]

            def reduce(buffer: int, x: Any = x, out: Any = out, size: int = size) -> list[torch.Tensor]:
                ops.all_reduce(handle, x, out, buffer, size if buffer else 0)
                return [out]

            def exchange() -> None:
                found = me.gather(ops.get_graph_buffer_ipc_meta(handle))
                ops.register_graph_buffers(handle, [of[0] for of in found], [of[1] for of in found])

            copied = partial(reduce, buffers[me.rank])
            runs: dict[str, Run] = {"eager": copied}
            if me.device == "cuda":
                runs["graph"] = _captured(copied)
                runs["graph, input registered"] = _captured(partial(reduce, 0), exchange)
            for mode, run in runs.items():
                got = [_run(run, x, given)[0] for given in inputs]
                wrong = "" if all(map(torch.equal, got, wanted)) else "not the sum of the ranks' inputs"
                yield f"all_reduce, {mode}: {size} bytes of {_name(dtype)}", got, wrong
    me.gather(None)  # nobody frees what a peer still reads
    ops.dispose(handle)


def minimax_cases(me: Rank) -> Iterator[tuple[str, list[torch.Tensor], str]]:
    """The same for rows that are normalised over all ranks."""
    ops = torch.ops._C
    memory = me.shared_memory(torch.ops._C_custom_ar.meta_size() + SUMS)
    workspace = torch.tensor(memory, device=me.device)
    for dtype in DTYPES:
        for tokens, q_size, kv_size in ROWS:
            width = q_size + 2 * kv_size
            weights = _parts((q_size + kv_size,), dtype, me.count, seed=100)
            q_weight, k_weight = weights[me.rank].to(me.device).split([q_size, kv_size])
            turns = [_parts((tokens, width), dtype, me.count, turn) for turn in range(TURNS)]
            x = torch.zeros(tokens, width, dtype=dtype, device=me.device)
            row = torch.zeros(tokens, q_size, dtype=dtype, device=me.device)

            one = partial(_alone, ops.minimax_allreduce_rms, row, q_weight, workspace, me.rank, me.count, EPSILON)
            sizes = (q_size, kv_size, me.rank, me.count, EPSILON)
            both = partial(ops.minimax_allreduce_rms_qk, x, q_weight, k_weight, workspace, *sizes)
            q_wanted = [_normalised(turn, weights, 0, q_size, me.rank) for turn in turns]
            k_wanted = [_normalised(turn, weights, q_size, kv_size, me.rank) for turn in turns]
            calls: list[tuple[str, Run, torch.Tensor, list[torch.Tensor], list[Any]]] = [
                (
                    "minimax_allreduce_rms",
                    one,
                    row,
                    [t[me.rank][:, :q_size] for t in turns],
                    [q_wanted],
                ),
                ("minimax_allreduce_rms_qk", both, x, [t[me.rank] for t in turns], [q_wanted, k_wanted]),
            ]
            for name, call, destination, inputs, wanted in calls:
                runs = {"eager": call} | ({"graph": _captured(call)} if me.device == "cuda" else {})
                for mode, run in runs.items():
                    got = [_run(run, destination, given) for given in inputs]
                    near = all(_near(g, w[t]) for t, outs in enumerate(got) for g, w in zip(outs, wanted, strict=True))
                    wrong = "" if near else "not the rows as PyTorch normalises them"
                    case = f"{name}, {mode}: {tokens} rows of {destination.shape[1]} {_name(dtype)}"
                    yield case, [out for outs in got for out in outs], wrong
    me.gather(None)


def _alone(op: Callable[..., torch.Tensor], *arguments: Any) -> list[torch.Tensor]:
    return [op(*arguments)]


def _captured(run: Run, finish: Callable[[], None] = lambda: None) -> Run:
    """A call that replays `run`, captured in a CUDA graph; `finish` is called between the two."""
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        outputs = run()
    finish()

    def replay() -> list[torch.Tensor]:
        graph.replay()
        return outputs

    return replay


def _run(run: Run, x: torch.Tensor, given: torch.Tensor) -> list[torch.Tensor]:
    x.copy_(given)
    return [out.to("cpu", copy=True) for out in run()]


def _parts(shape: tuple[int, ...], dtype: torch.dtype, ranks: int, seed: int) -> list[torch.Tensor]:
    """What each rank puts in, known to all of them."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator).to(dtype) for _ in range(ranks)]


def _sum(parts: list[torch.Tensor]) -> torch.Tensor:
    total = torch.zeros(parts[0].shape)
    for part in parts:
        total += part
    return total.to(parts[0].dtype)


def _normalised(
    parts: list[torch.Tensor], weights: list[torch.Tensor], start: int, size: int, rank: int
) -> torch.Tensor:
    """This rank's part of rows that stand side by side on the ranks."""
    rows = torch.cat([part[:, start : start + size] for part in parts], 1).double()
    weight = torch.cat([of[start : start + size] for of in weights]).double()
    done = torch.nn.functional.rms_norm(rows, rows.shape[-1:], weight, EPSILON)
    return done[:, rank * size : (rank + 1) * size].to(parts[0].dtype)


def _near(got: torch.Tensor, wanted: torch.Tensor) -> bool:
    try:
        torch.testing.assert_close(got, wanted)
    except AssertionError:
        return False
    return True


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _digest(tensors: list[torch.Tensor]) -> str:
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(tensor.contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def work(me: Rank, libraries: list[str], results: Queue[Any]) -> None:
    """What one rank's process does: every case, each reported as (rank, case, digest, what is wrong)."""
    try:
        torch.set_num_threads(1)
        if me.device == "cuda":
            torch.cuda.set_device(me.rank)
        for library in libraries:
            torch.ops.load_library(library)
        for cases in (all_reduce_cases, minimax_cases):
            for case, got, wrong in cases(me):
                results.put((me.rank, case, _digest(got), wrong))
        results.put((me.rank, None, "", ""))
    except threading.BrokenBarrierError:
        results.put((me.rank, None, "", "waited in vain for a peer"))
    except Exception as error:  # the parent says it
        results.put((me.rank, None, "", f"{type(error).__name__}: {error}".splitlines()[0]))
        me.barrier.abort()


def run_ranks(libraries: list[str], device: str, count: int, seconds: float) -> dict[str, Any]:
    """Every case on `count` ranks: {"ranks", "device", "cases": {case: {"digest", "wrong"}}, "failure"}."""
    context = multiprocessing.get_context("spawn")
    found: dict[str, dict[int, tuple[str, str]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        barrier, results = context.Barrier(count), context.Queue()
        ranks = [Rank(r, count, device, Path(folder), barrier, seconds) for r in range(count)]
        processes = [context.Process(target=work, args=(me, libraries, results), daemon=True) for me in ranks]
        for process in processes:
            process.start()
        failures = _collect(results, processes, found, time.monotonic() + seconds)
        for process in processes:
            process.join(0 if failures else 10)
            process.kill()  # a kernel that waits for a peer ends no other way
    cases = {case: _joined(of, count) for case, of in found.items()}
    return {"ranks": count, "device": device, "cases": cases, "failure": "; ".join(failures)}


def _collect(
    results: Queue[Any], processes: Sequence[BaseProcess], found: dict[str, dict[int, tuple[str, str]]], deadline: float
) -> list[str]:
    """Put what the ranks report into `found` until all have ended; what went wrong."""
    failures: list[str] = []
    running = len(processes)
    while running:
        try:
            rank, case, digest, wrong = results.get(timeout=1.0)
        except queue.Empty:
            died = [f"rank {r} died of {p.exitcode}" for r, p in enumerate(processes) if p.exitcode]
            late = [f"not done in time, {len(found)} cases begun"] if time.monotonic() > deadline else []
            if failures or died or late:  # those that are left wait for one that has ended
                return failures + died + late
            continue
        if case is not None:
            found.setdefault(case, {})[rank] = (digest, wrong)
            continue
        running -= 1
        failures += [f"rank {rank}: {wrong}"] if wrong else []
    return failures


def _joined(of: dict[int, tuple[str, str]], count: int) -> dict[str, str]:
    missing = [f"rank {r} has no result" for r in range(count) if r not in of]
    wrong = [f"rank {r}: {said}" for r, (_, said) in sorted(of.items()) if said]
    return {"digest": " ".join(digest for _, (digest, _) in sorted(of.items())), "wrong": "; ".join(missing + wrong)}


def main() -> int:
    """Print what `run_ranks` found; 1 where anything is wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--library", action="append", required=True, help="an extension to load; may be given again")
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--seconds", type=float, default=90.0, help="time for everything")
    chosen = parser.parse_args()
    found = run_ranks(chosen.library, chosen.device, chosen.ranks, chosen.seconds)
    print(json.dumps(found, indent=1))
    return 1 if found["failure"] or any(case["wrong"] for case in found["cases"].values()) else 0


if __name__ == "__main__":
    sys.exit(main())
