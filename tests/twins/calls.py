"""Call the functions of a library and print what came of it. Run as a script: calls.py LIBRARY NAMES FIRST."""

from __future__ import annotations

import json
import sys
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


def main() -> None:
    import torch

    torch.set_num_threads(1)
    library, names, first = sys.argv[1], json.loads(sys.argv[2]), int(sys.argv[3])
    torch.ops.load_library(library)
    number = 0
    for name in names:
        for given in range(len(_inputs(torch))):
            number += 1
            if number <= first:
                continue
            print("@", number, name, given, end=" ", flush=True)
            x, y, n, a = _inputs(torch)[given]
            storages = [("x", x.untyped_storage().data_ptr()), ("y", y.untyped_storage().data_ptr())]
            torch.manual_seed(0)
            try:
                result = _shown(torch, getattr(torch.ops.twins, name)(x, y, n, a), storages)
            except Exception as error:
                own = str(error).partition("tw: ")[2].partition("\n")[0]
                result = f"raises {type(error).__name__}: {own}"
            print(json.dumps([result, _shown(torch, x, []), _shown(torch, y, [])]), flush=True)


if __name__ == "__main__":
    main()
