"""Ops that take a number: the dispatcher cannot pass a Scalar, but most have another form that takes a tensor.

`mul.Scalar` becomes `mul.Tensor` with a tensor of no dimensions, which leaves dtype and value of the result what they
were. Addition and subtraction, whose `alpha` is a Scalar in every form, are written out in `emulated/`.
"""

from __future__ import annotations

import functools
from pathlib import Path

from torch_stabilize import toml

EMULATED = Path(__file__).with_name("emulated")

# The overload that takes a tensor where this one takes a number, and computes the same (tests compare them bit by bit).
_BINARY = (
    *("mul", "div", "div_", "remainder", "remainder_", "fmod", "fmod_", "floor_divide_"),  # mul_ is written out
    *("eq", "eq_", "ne", "ne_", "lt", "lt_", "le", "le_", "gt", "gt_", "ge", "ge_"),
    *("bitwise_and", "bitwise_and_", "bitwise_or", "bitwise_or_", "bitwise_xor", "bitwise_xor_"),
)
_CLAMP = ("clamp", "clamp_", "clamp_min", "clamp_min_", "clamp_max", "clamp_max_")
TWINS: dict[str, str] = {
    **{f"{op}.Scalar": f"{op}.Tensor" for op in _BINARY},
    **{op: f"{op}.Tensor" for op in _CLAMP},
    "floor_divide.Scalar": "floor_divide",
    "div.Scalar_mode": "div.Tensor_mode",
    "div_.Scalar_mode": "div_.Tensor_mode",
    "masked_fill.Scalar": "masked_fill.Tensor",
    "masked_fill_.Scalar": "masked_fill_.Tensor",
    "index_fill.int_Scalar": "index_fill.int_Tensor",
    "index_fill_.int_Scalar": "index_fill_.int_Tensor",
}

# Here the number is stored, not computed with: it has no say in the dtype.
STORED = frozenset({"masked_fill", "masked_fill_", "index_fill", "index_fill_"})

# With a number they are not implemented for Bool, with a tensor they are.
NOT_OF_BOOL = frozenset({"clamp_min", "clamp_min_", "clamp_max", "clamp_max_"})

# Written out for integers alone: floating bounds would be rounded in another way.
INTEGERS_ONLY = frozenset({"arange"})


@functools.cache
def emulated() -> dict[str, tuple[str, ...]]:
    """What is written out, each with the ops its text calls."""
    index = toml.loads((EMULATED / "index.toml").read_text(encoding="utf-8"))
    return {name: tuple(row["needs"]) for name, row in index.items()}


def emulation(name: str) -> str:
    """The C++ text of an op that is written out."""
    return (EMULATED / f"{name}.h").read_text(encoding="utf-8")


def is_supported(qualified: str) -> bool:
    """Whether there is a way to call the op with its numbers: "mul.Scalar", "add.Tensor"."""
    return qualified in TWINS or qualified in emulated()
