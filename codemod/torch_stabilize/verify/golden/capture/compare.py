"""What two libraries did with one captured call, compared; everything that a caller can see counts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from torch_stabilize.model import Severity
from torch_stabilize.verify import codes
from torch_stabilize.verify.golden.described import first_line
from torch_stabilize.verify.golden.outcome import ErrorOutcome, Outcome, TensorOutcome
from torch_stabilize.verify.result import Finding, finding

_FRAME = re.compile(
    r"\s*(?:INTERNAL ASSERT FAILED at .*?, please report a bug to PyTorch\.\s*|Exception raised from .*)", re.DOTALL
)
_CAUSE_LOST = re.compile(r"API call failed")
_BINDING = re.compile(r"incompatible function arguments|expected at most|Expected a value of type|missing value for")
_VERSION = "version steps of"
_GRADIENT = "requires_grad of"

Values = Callable[[str, TensorOutcome | str, TensorOutcome | str], Iterator[Finding]]


def captured_errors(case: str, legacy: ErrorOutcome | None, stable: ErrorOutcome | None) -> Iterator[Finding]:
    """The errors of both sides in classes: none on one side; the cause lost; another type; another text."""
    if legacy is None or stable is None:
        raised = stable or legacy
        assert raised is not None
        side, other = ("legacy", "stable") if legacy is not None else ("stable", "legacy")
        text = f"{case}: the {side} library raises {raised.type}, the {other} one nothing: {first_line(raised.message)}"
        yield finding(codes.ERROR_DIFFERS, text)
        return
    before, after = _plain(legacy.message), _plain(stable.message)
    if _BINDING.search(before) and _BINDING.search(after):
        return  # both bindings refuse the argument, in words of their own
    if _CAUSE_LOST.search(after) and not _CAUSE_LOST.search(before):
        text = f"{case}: the cause of the error is lost: legacy {first_line(before)!r}, stable {first_line(after)!r}"
        yield finding(codes.CAUSE_LOST, text, severity=Severity.WARNING)
        return
    if legacy.type != stable.type:
        text = f"{case}: type of the error: legacy {legacy.type!r}, stable {stable.type!r}"
        yield finding(codes.ERROR_TEXT_DIFFERS, text, severity=Severity.WARNING)
    if before != after:
        text = f"{case}: text of the error: legacy {first_line(before)!r}, stable {first_line(after)!r}"
        yield finding(codes.ERROR_TEXT_DIFFERS, text, severity=Severity.WARNING)


def captured_values(case: str, legacy: Outcome, stable: Outcome, values: Values) -> Iterator[Finding]:
    """What differs in gradients, versions, storages and the form of the result; `values` compares two tensors."""
    before, after = dict(legacy.facts), dict(stable.facts)
    lost = [name for name in before if name.startswith(_GRADIENT) and (before[name], after.get(name)) == _LOST]
    if lost:
        text = f"{case}: no gradient any more for {', '.join(name.removeprefix(_GRADIENT).strip() for name in lost)}"
        advice = "where the backward is registered in Python, name its module with --import"
        yield finding(codes.GRADIENT_LOST, text, help=advice)
    for name in sorted({*before, *after}):
        if name in lost or (lost and name.startswith("gradient by")):
            continue
        was, now = before.get(name), after.get(name)
        if name.startswith(_GRADIENT) and (was, now) == ("False", "True") and not stable.gradients:
            # torch's fallback: an operator without a backward marks its results all the same, and warns when asked.
            text = f"{case}: {name.removeprefix(_GRADIENT).strip()} asks for a gradient now, and has none"
            yield finding(codes.GRADIENT_LOST, text, severity=Severity.WARNING)
        elif was != now and not (was is None and name.startswith("gradient by")):
            yield _fact(case, name, was, now)
    if lost:
        return
    was_gradient, is_gradient = dict(legacy.gradients), dict(stable.gradients)
    for place in sorted({*was_gradient, *is_gradient}):
        was_value, now_value = was_gradient.get(place), is_gradient.get(place)
        if was_value is None or now_value is None:
            there = "is new" if was_value is None else "is lost"
            yield finding(codes.GRADIENT_LOST, f"{case}: the gradient by argument {place} {there}")
        else:
            yield from values(f"gradient by argument {place}", was_value, now_value)


_LOST = ("True", "False")


def _fact(case: str, name: str, was: str | None, now: str | None) -> Finding:
    if name.startswith(_VERSION):
        # A step more costs autograd a check; a step less hides a write from it.
        less = int(now or 0) < int(was or 0)
        text = f"{case}: {name}: {now or 0} instead of {was or 0}"
        return finding(codes.COUNTER_DIFFERS, text, severity=Severity.ERROR if less else Severity.WARNING)
    return finding(codes.OUTPUT_DIFFERS, f"{case}: {name} is {_short(now)} instead of {_short(was)}")


def _plain(text: str) -> str:
    return _FRAME.sub("", text).strip()


def _short(text: str | None) -> str:
    if text is None:
        return "nothing"
    return text if len(text) <= 40 else f"{text[:16]}..."
