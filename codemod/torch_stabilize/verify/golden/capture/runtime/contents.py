"""What is kept of a storage: its bytes, or how to make numbers like them."""

from __future__ import annotations

import hashlib
import os
import zlib
from pathlib import Path
from typing import Any

from .reading import PAGE, Touched, Unusable, plain_torch, read_bytes

KEPT_AS_BYTES = 4096  # float storages beyond become a generator
FEW_VALUES = 16  # a storage with no more different numbers is drawn from them: masks, one-hot rows
LARGEST = 64 << 20
FLOATS = frozenset({"float64", "float32", "float16", "bfloat16"})
_LOOKED_AT = 4096  # elements, for how rich a content is


def keep_storage(touched: Touched, folder: Path, torch: Any) -> dict[str, Any]:
    """The storage as JSON; its bytes go to `folder`, under their hash. Raises Unusable for what is too much."""
    count = touched.end - touched.start
    first = touched.start - touched.start % PAGE  # bytes before it are left out, those of the same page are not
    behind = min(touched.storage.nbytes() - touched.end, PAGE)  # what is written there is seen
    kept: dict[str, Any] = {"start": touched.start - first, "bytes": count, "shift": first, "behind": max(behind, 0)}
    kept["device"] = touched.device
    if count > LARGEST:
        raise Unusable(f"a storage of more than {LARGEST >> 20} MiB")
    data = read_bytes(touched, torch)
    kept["rich"] = _richness(data, touched)
    if count > KEPT_AS_BYTES and len(touched.dtypes) == 1 and touched.dtypes <= FLOATS:
        recipe = _recipe(data, next(iter(touched.dtypes)), torch)
        if recipe is not None:
            return {**kept, "made": recipe}
    key = hashlib.sha256(data).hexdigest()[:32]
    place = folder / key
    if not place.exists():
        part = folder / f"{key}.{os.getpid()}.{id(data)}"
        part.write_bytes(zlib.compress(data, 6))
        part.replace(place)
    return {**kept, "content": key}


def _recipe(data: bytes, dtype: str, torch: Any) -> dict[str, Any] | None:
    """A generator with the range of these numbers; None where some are not finite, which no range tells."""
    with torch.no_grad(), plain_torch(torch):
        numbers = torch.frombuffer(bytearray(data), dtype=getattr(torch, dtype)).to(torch.float64)
        if not bool(torch.isfinite(numbers).all()):
            return None
        seed = int.from_bytes(hashlib.sha256(data[:1024]).digest()[:4], "little")
        head = torch.unique(numbers[: 4 * FEW_VALUES])
        if head.numel() <= FEW_VALUES:
            values = torch.unique(numbers)
            if values.numel() <= FEW_VALUES:
                return {"generator": "choice", "seed": seed, "dtype": dtype, "values": values.tolist()}
        low, high = float(numbers.min()), float(numbers.max())
    return {"generator": "uniform", "seed": seed, "dtype": dtype, "low": low, "high": high}


def _richness(data: bytes, touched: Touched) -> int:
    """How many different elements stand at its start: a gradient of zeros and one 1 shows little."""
    width = touched.tensor.element_size()
    end = min(len(data), _LOOKED_AT * width)
    return len({data[place : place + width] for place in range(0, end, width)})
