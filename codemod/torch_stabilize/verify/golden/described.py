"""A tensor and an error as outcomes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from torch_stabilize.verify.golden.outcome import ErrorOutcome, TensorOutcome

# Checks put a place in front of what they say: "[F1121 11:33:27.203403509 a.h:14] " in TORCH_CHECK_EQ,
# "function, a.h:14, " in STD_TORCH_CHECK. It is not part of the text that is compared, and holds the time.
_PLACE = re.compile(r"^(?:\[[A-Z]\d{4} [\d:.]+ [^\]]*\] *|[^\n]{1,200}?, [^\s,]+:\d+,\s*)")

_SHOWN = 160  # characters of a text that is shown


def describe(tensor: Any, torch: Any, alias: str | None = None) -> TensorOutcome:
    """A tensor with its bytes."""
    return TensorOutcome(
        str(tensor.dtype).removeprefix("torch."),
        tuple(tensor.shape),
        tuple(tensor.stride()),
        tensor_bytes(tensor, torch),
        alias,
    )


def tensor_bytes(tensor: Any, torch: Any) -> bytes:
    """The elements of a tensor, in their order, as bytes."""
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    if not flat.numel():
        return b""
    return bytes(flat.view(torch.uint8).numpy().tobytes())


def first_line(text: str) -> str:
    """The first line of an error's text, cut short: those of the dispatcher list every key that there is."""
    line = text.splitlines()[0] if text else ""
    return line if len(line) <= _SHOWN else f"{line[:_SHOWN]}..."


def flatten(result: Any) -> Iterator[Any]:
    """What a function returned, one by one: the elements of tuples and lists, and nothing for None."""
    if isinstance(result, (tuple, list)):
        for item in result:
            yield from flatten(item)
    elif result is not None:
        yield result


def describe_error(error: BaseException) -> ErrorOutcome:
    """An exception without the place that checks put in front of what they say."""
    bases = tuple(base.__name__ for base in type(error).__mro__)
    return ErrorOutcome(type(error).__name__, bases, _PLACE.sub("", str(error).strip()))
