"""One rank of a case that several processes run together: what the function next to cases.toml is called with.

    def all_reduce(me: Rank) -> list[Any]:    # the tensors and texts that this rank gives

The ranks find each other in a folder. A rank that a peer leaves alone raises PeerGone instead of waiting for ever, as
far as it can: what spins on the CPU, or keeps the GPU from being synchronised, the parent ends (`together.py`).
"""

from __future__ import annotations

import ctypes
import hashlib
import importlib.util
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from torch_stabilize.verify.golden.cases import Case
from torch_stabilize.verify.golden.described import describe_error, tensor_bytes
from torch_stabilize.verify.golden.outcome import Outcome

_POLL = 0.0005
_ON_GPU = 20.0  # seconds at most that a kernel may take
_WARM = 20  # calls before any is timed
_BATCHES = 5
_HOST_AND_DEVICE = 4  # cudaMemcpyDefault


class PeerGone(RuntimeError):
    """Another rank did not come in time."""


@dataclass
class Rank:
    """What one process of the group knows. `kept` is what it keeps from case to case."""

    case: Case
    rank: int
    folder: Path  # where the ranks of this case tell each other what they have; new for each
    torch: Any
    kept: dict[str, Any]
    patience: float  # seconds that a peer is waited for
    seconds: float = 0.0  # to time calls for; 0 where the outputs are wanted
    per_call: float = 0.0  # what was timed
    _told: int = field(default=0, repr=False)

    @property
    def count(self) -> int:
        """How many ranks there are."""
        return self.case.ranks

    @property
    def on_gpu(self) -> bool:
        """Whether each rank has a GPU, which is the current one."""
        return self.case.device.startswith("cuda")

    @property
    def device(self) -> str:
        """Where tensors go."""
        return f"cuda:{self.rank}" if self.on_gpu else "cpu"

    @property
    def dtype(self) -> Any:
        """The dtype of the case."""
        return getattr(self.torch, self.case.dtype)

    @property
    def names(self) -> dict[str, Any]:
        """The names that the sweep gives values."""
        return dict(self.case.names)

    def gather(self, told: Any) -> list[Any]:
        """What every rank told, in the order of the ranks; all must call. Raises PeerGone."""
        number, self._told = self._told, self._told + 1
        unfinished = self.folder / f"{number}-{self.rank}.part"
        unfinished.write_text(json.dumps(told))
        unfinished.rename(unfinished.with_suffix(""))
        deadline = time.monotonic() + self.patience
        return [self._of(number, rank, deadline) for rank in range(self.count)]

    def _of(self, number: int, rank: int, deadline: float) -> Any:
        path = self.folder / f"{number}-{rank}"
        while not path.exists():
            if time.monotonic() > deadline:
                raise PeerGone(f"rank {rank} did not come within {self.patience:.0f} s")
            time.sleep(_POLL)
        return json.loads(path.read_text())

    def wait(self) -> None:
        """Until the GPU has done what was asked of it. Raises PeerGone where a kernel waits for a peer in vain."""
        if not self.on_gpu:
            return
        event = self.torch.cuda.Event()
        event.record()
        patience = min(self.patience, _ON_GPU)
        deadline = time.monotonic() + patience
        while not event.query():
            if time.monotonic() > deadline:
                raise PeerGone(f"the GPU still waits for a peer after {patience:.0f} s")
            time.sleep(_POLL)

    def outputs(self, call: Callable[[], list[Any]], x: Any, inputs: list[Any]) -> list[list[Any]]:
        """What `call` gives, on the CPU, for each of `inputs`, copied to `x` one after another.

        Where the case is timed `call` is timed instead, and nothing is given.
        """
        if self.seconds:
            self._time(call)
            return []
        found = []
        for given in inputs:
            x.copy_(given)
            results = call()
            self.wait()
            found.append([out.to("cpu", copy=True) for out in results])
        return found

    def captured(self, call: Callable[[], list[Any]], finish: Callable[[], None] = lambda: None) -> Callable[[], Any]:
        """A call that replays `call`, captured in a CUDA graph; `finish` is called between the two."""
        graph = self.torch.cuda.CUDAGraph()
        with self.torch.cuda.graph(graph):
            outputs = call()
        finish()

        def replay() -> list[Any]:
            graph.replay()
            return outputs

        return replay

    def expect(self, right: bool, text: str) -> None:
        """Raise AssertionError with `text` where something is not right."""
        if not right:
            raise AssertionError(f"rank {self.rank}: {text}")

    def copy(self, to: int, source: int, size: int) -> None:
        """Copy bytes between two addresses, of this or another device. Raises RuntimeError with CUDA's number."""
        if not self.on_gpu:
            ctypes.memmove(to, source, size)
            return
        pointers = ctypes.c_void_p(to), ctypes.c_void_p(source), ctypes.c_size_t(size)
        status = _cuda_runtime().cudaMemcpy(*pointers, _HOST_AND_DEVICE)
        if status:
            raise RuntimeError(f"cudaMemcpy gives {status}")

    def tensor_at(self, address: int, size: int) -> Any:
        """The bytes at an address of this rank's device as a tensor; somebody else keeps the memory."""
        if not self.on_gpu:
            memory = (ctypes.c_uint8 * size).from_address(address)
            return self.torch.frombuffer(memory, dtype=self.torch.uint8)
        return self.torch.as_tensor(_OnDevice(address, size), device=self.device)

    def _time(self, call: Callable[[], list[Any]]) -> None:
        """As many calls on every rank: the slowest says how many fit."""
        for _ in range(_WARM):
            call()
        self.wait()
        self.gather(None)
        each = max(self.gather(self._batch(call, _WARM)))
        calls = max(5, int(self.seconds / _BATCHES / each))
        batches = []
        for _ in range(_BATCHES):
            self.gather(None)
            batches.append(max(self.gather(self._batch(call, calls))))
        self.per_call = sorted(batches)[_BATCHES // 2]

    def _batch(self, call: Callable[[], list[Any]], calls: int) -> float:
        begun = time.perf_counter()
        for _ in range(calls):
            call()
        if self.on_gpu:
            self.torch.cuda.synchronize()
        return (time.perf_counter() - begun) / calls


@dataclass(frozen=True)
class _OnDevice:
    """Memory of the current GPU, in the form that torch takes over."""

    address: int
    size: int

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return {"shape": (self.size,), "typestr": "|u1", "data": (self.address, False), "version": 3, "strides": None}


def run_rank(me: Rank, cases: Path) -> Outcome:
    """What this rank's function gives: a digest of each tensor, and texts. What it raises is part of the outcome."""
    if me.on_gpu:
        me.torch.cuda.set_device(me.rank)
    try:
        given = getattr(load_script(cases.parent / me.case.script), me.case.op)(me)
    except Exception as error:  # whatever it raises is what we are here to see
        return Outcome(error=describe_error(error))
    return Outcome(returns=tuple(f"rank {me.rank}: {_text(value, me.torch)}" for value in given))


@cache
def load_script(path: Path) -> ModuleType:
    """A Python file as a module, loaded once."""
    path = Path(os.path.normpath(path))
    spec = importlib.util.spec_from_file_location(f"golden_{hashlib.sha256(bytes(path)).hexdigest()[:8]}", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _text(value: Any, torch: Any) -> str:
    if not isinstance(value, torch.Tensor):
        return str(value)
    digest = hashlib.sha256(tensor_bytes(value, torch)).hexdigest()[:32]
    return f"{str(value.dtype).removeprefix('torch.')} {list(value.shape)} {digest}"


@cache
def _cuda_runtime() -> ctypes.CDLL:
    """The runtime that torch has loaded: another one would know nothing of its memory."""
    names = [line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines() if "libcudart" in line]
    if not names:
        raise RuntimeError("torch has loaded no CUDA runtime")
    return ctypes.CDLL(names[0])
