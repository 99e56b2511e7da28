"""What a kernel may draw from, the same each time."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

SEED = 20260711


@contextmanager
def repeatable(torch: Any) -> Iterator[None]:
    """Both generators that a kernel may draw from have a fixed seed, and one thread draws."""
    torch.manual_seed(SEED)
    ctypes.CDLL(None).srand(SEED & 0xFFFF)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
