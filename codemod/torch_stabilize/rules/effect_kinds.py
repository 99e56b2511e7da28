"""What an expression may change, and what its value depends on."""

from __future__ import annotations

from enum import Flag, auto
from typing import NamedTuple


class State(Flag):
    """What an expression may change, or depend on."""

    NOTHING = 0
    VARIABLES = auto()  # variables, numbers behind references
    DATA = auto()  # elements of tensors, memory behind pointers
    SHAPE = auto()  # sizes, strides, dtype or storage of a tensor
    RANDOM = auto()  # a generator
    OUTSIDE = auto()  # what nothing else here covers: files, devices, statics


class Effects(NamedTuple):
    """What an expression changes and what its value depends on."""

    writes: State
    reads: State

    def __or__(self, other: Effects) -> Effects:
        return Effects(self.writes | other.writes, self.reads | other.reads)

    def meets(self, other: Effects) -> bool:
        """Whether it matters which of the two comes first."""
        return bool(
            self.writes & (other.reads | other.writes) or other.writes & (self.reads | self.writes)
        )  # two that only read may change places
