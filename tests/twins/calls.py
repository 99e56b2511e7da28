"""Call the functions of libraries and print what came of it. Run as a script: calls.py NAMES QUIET LIBRARY...

Torch is imported once; each library is called in a process of its own, and in a further one after a call that crashed.
"""

from __future__ import annotations

import json
import mmap
import os
import signal
import struct
import sys
from collections.abc import Sequence
from typing import Any


def _inputs(torch: Any) -> list[tuple[Any, ...]]:
    """Pairs of tensors that tell the sides apart: layouts, dtypes, no dimensions."""
    base = torch.arange(1, 7).reshape(2, 3)
    return [
        (base.float(), base.float() / 3, 1, 1.5),
        (base.float().t(), base.float().t() * -1, 0, 2.0),
        (base.clone(), base.flip(0).contiguous(), 2, 0.5),
        (torch.tensor([[0.25, -1.0], [3.0, 0.0]], dtype=torch.double), base[:, :2].float(), -1, 1.0),
        (torch.arange(24).reshape(1, 2, 3, 4).float().contiguous(memory_format=torch.channels_last), torch.ones(4), 1, 1.0),
        (base.float()[:, ::2], torch.tensor([True, False]), 1, 3.0),
    ]  # fmt: skip


def _shown(torch: Any, value: Any, storages: list[tuple[str, int]]) -> object:
    if isinstance(value, torch.Tensor):
        if value.layout is not torch.strided:
            return f"{value.layout} {value.dtype} {tuple(value.shape)}"
        place = value.untyped_storage().data_ptr()
        shared = [name for name, other in storages if other == place and place]
        return f"{value.dtype} {tuple(value.shape)} strides {tuple(value.stride())} shares {shared} {value.tolist()}"
    if isinstance(value, str):
        return f"text {value}"
    return [_shown(torch, part, storages) for part in value] if isinstance(value, list | tuple) else repr(value)


_PATIENCE = 30  # seconds that a call may take


def _call_all(torch: Any, library: str, names: Sequence[str], side: int, done: mmap.mmap) -> None:
    """Call everything that was not begun before; `done` has the number of the calls that were."""
    (first,) = struct.unpack_from("q", done)
    torch.set_num_threads(1)
    torch.ops.load_library(library)
    calls = [(name, given) for name in names for given in range(len(_inputs(torch)))]
    for number, (name, given) in enumerate(calls[first:], first + 1):
        struct.pack_into("q", done, 0, number)
        signal.alarm(_PATIENCE)
        print("@", side, name, given, end=" ", flush=True)
        x, y, n, a = _inputs(torch)[given]
        storages = [("x", x.untyped_storage().data_ptr()), ("y", y.untyped_storage().data_ptr())]
        torch.manual_seed(0)
        try:
            result = _shown(torch, getattr(torch.ops.twins, name)(x, y, n, a), storages)
        except Exception as error:
            own = str(error).partition("tw: ")[2].partition("\n")[0]
            result = f"raises {type(error).__name__}: {own}"
        print(json.dumps([result, _shown(torch, x, []), _shown(torch, y, [])]), flush=True)


def main() -> None:
    import torch

    names, quiet, libraries = json.loads(sys.argv[1]), sys.argv[2], sys.argv[3:]
    torch.ops.load_library(quiet)
    for side, library in enumerate(libraries):
        done, status = mmap.mmap(-1, 8), 1
        while status != 0:
            (before,) = struct.unpack_from("q", done)
            if (child := os.fork()) == 0:
                _call_all(torch, library, names, side, done)
                sys.stdout.flush()
                os._exit(0)
            status = os.waitpid(child, 0)[1]
            if status != 0 and struct.unpack_from("q", done) == (before,):
                raise SystemExit(f"{library} cannot be loaded")
            print(flush=True)


if __name__ == "__main__":
    main()
