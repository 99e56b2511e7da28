from __future__ import annotations

from tests.sample.references.registry import reference

MAX_RANKS = 8
MAX_BLOCKS = 36
LINE = 128  # bytes of a cache line, at which each part starts


@reference("_C_custom_ar::meta_size")
def meta_size() -> int:
    """Two rows of flags for every block and rank, and a count for every block."""
    flags, counts = 2 * MAX_BLOCKS * MAX_RANKS * 4, MAX_BLOCKS * 4
    return sum(-(-size // LINE) * LINE for size in (flags, counts))


@reference("_C_custom_ar::dispose")
def dispose(group: int) -> None:
    assert group == 0
