"""Two outcomes of one case, bit for bit. Differences are text for people; a tolerance must be asked for by the case."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from torch_stabilize.model import Severity
from torch_stabilize.verify import codes
from torch_stabilize.verify.golden.capture.compare import captured_errors, captured_values
from torch_stabilize.verify.golden.cases import Case, Tolerance
from torch_stabilize.verify.golden.described import first_line
from torch_stabilize.verify.golden.outcome import Crash, ErrorOutcome, Outcome, TensorOutcome
from torch_stabilize.verify.result import Finding, finding


@dataclass(frozen=True)
class Comparison:
    """What was found for one case; `same` is False where a finding is an error."""

    case: Case
    findings: tuple[Finding, ...] = field(default=())

    @property
    def same(self) -> bool:
        """Whether nothing that counts differs."""
        return all(item.severity is not Severity.ERROR for item in self.findings)


def compare(case: Case, legacy: Outcome | Crash, stable: Outcome | Crash) -> Comparison:
    """Compare what the legacy and the stable library did."""
    if isinstance(legacy, Crash):
        return Comparison(case, (finding(codes.LEGACY_GIVES_NOTHING, f"{case.id}: legacy: {legacy.reason}"),))
    if isinstance(stable, Crash):
        return Comparison(case, (finding(codes.CASE_CRASHED, f"{case.id}: stable: {stable.reason}"),))
    if legacy.inputs and stable.inputs and legacy.inputs != stable.inputs:
        text = f"{case.id}: the inputs are not those the output was recorded with"
        return Comparison(case, (finding(codes.INPUTS_DIFFER, text, help="record again with this torch"),))
    if case.captured is not None:
        return Comparison(case, tuple(_captured(case, legacy, stable)))
    if legacy.error is not None or stable.error is not None or case.raises is not None:
        return Comparison(case, tuple(_errors(case, legacy.error, stable.error)))
    return Comparison(case, tuple(_values(case, legacy, stable)))


def _captured(case: Case, legacy: Outcome, stable: Outcome) -> Iterator[Finding]:
    if legacy.error is not None or stable.error is not None:
        yield from captured_errors(case.id, legacy.error, stable.error)
        return
    yield from _values(case, legacy, stable)
    yield from captured_values(case.id, legacy, stable, lambda what, was, now: _value(case, what, was, now))


def _errors(case: Case, legacy: ErrorOutcome | None, stable: ErrorOutcome | None) -> Iterator[Finding]:
    for side, error in (("legacy", legacy), ("stable", stable)):
        if error is None:
            other = stable if side == "legacy" else legacy
            what = f"raises nothing; the other library raises {other.type}" if other else "raises nothing"
            yield finding(codes.ERROR_DIFFERS, f"{case.id}: the {side} library {what}")
        elif case.raises is None:
            yield finding(
                codes.ERROR_DIFFERS, f"{case.id}: the {side} library raises {error.type}: {first_line(error.message)}"
            )
        elif case.raises not in error.bases:
            text = f"{case.id}: the {side} library raises {error.type}, which is no {case.raises}"
            yield finding(codes.ERROR_DIFFERS, text)
        elif case.message is not None and not re.search(case.message, error.message):
            text = (
                f"{case.id}: the {side} library's text has no match for {case.message!r}: {first_line(error.message)}"
            )
            yield finding(codes.ERROR_DIFFERS, text)
    if legacy is None or stable is None:
        return
    if legacy.type != stable.type:
        yield _differing_text(case, "type", legacy.type, stable.type)
    if legacy.message != stable.message and case.message is None:
        yield _differing_text(case, "text", first_line(legacy.message), first_line(stable.message))


def _differing_text(case: Case, what: str, legacy: str, stable: str) -> Finding:
    text = f"{case.id}: {what} of the error: legacy {legacy!r}, stable {stable!r}"
    return finding(codes.ERROR_TEXT_DIFFERS, text, severity=Severity.WARNING)


def _values(case: Case, legacy: Outcome, stable: Outcome) -> Iterator[Finding]:
    if len(legacy.returns) != len(stable.returns):
        text = f"{case.id}: returns {len(stable.returns)} values instead of {len(legacy.returns)}"
        yield finding(codes.OUTPUT_DIFFERS, text)
    for index, (before, after) in enumerate(zip(legacy.returns, stable.returns, strict=False)):
        yield from _value(case, f"return {index}", before, after)
    written_before, written_after = dict(legacy.mutated), dict(stable.mutated)
    for name in sorted({*written_before, *written_after}):
        was, now = written_before.get(name), written_after.get(name)
        if was is None or now is None:
            text = "was left alone and is written now" if was is None else "was written and is left alone now"
            yield finding(codes.OUTPUT_DIFFERS, f"{case.id}: argument {name} {text}")
        else:
            yield from _value(case, f"argument {name}", was, now)
    if legacy.bumped is not None and stable.bumped is not None:
        for name in sorted({*legacy.bumped} ^ {*stable.bumped}):
            text = "moves on, and stood still" if name in stable.bumped else "is still, and moved on"
            yield finding(codes.VERSION_DIFFERS, f"{case.id}: the version counter of argument {name} {text}")
    for name in stable.undeclared:
        text = f"{case.id}: writes to argument {name}, which its schema does not say"
        severity = Severity.WARNING if name in legacy.undeclared else Severity.ERROR
        yield finding(codes.UNDECLARED_WRITE, text, severity=severity)


def _value(case: Case, what: str, before: TensorOutcome | str, after: TensorOutcome | str) -> Iterator[Finding]:
    if isinstance(before, str) or isinstance(after, str):
        if before != after:
            yield finding(codes.OUTPUT_DIFFERS, f"{case.id}: {what} is {_short(after)} instead of {_short(before)}")
        return
    for property_name in ("dtype", "shape", "strides", "alias"):
        was, now = getattr(before, property_name), getattr(after, property_name)
        if was != now:
            text = f"{case.id}: {what} has {property_name} {now} instead of {was}"
            yield finding(codes.OUTPUT_DIFFERS, text)
            if property_name in ("dtype", "shape"):
                return
    if before.data != after.data:
        yield _bits(case, what, before, after)


def _bits(case: Case, what: str, before: TensorOutcome, after: TensorOutcome) -> Finding:
    difference = measure(before, after)
    text = f"{case.id}: {what} differs in {difference}"
    if case.tolerance is not None and within(before, after, case.tolerance):
        reason = f"{text}; within atol {case.tolerance.atol:g}, rtol {case.tolerance.rtol:g}: {case.tolerance.reason}"
        return finding(codes.WITHIN_TOLERANCE, reason, severity=Severity.NOTE)
    return finding(codes.OUTPUT_DIFFERS, text)


def measure(before: TensorOutcome, after: TensorOutcome) -> str:
    """How two tensors of one dtype and shape differ: how many elements, the first of them, the greatest difference."""
    import torch

    first, second = _tensor(before), _tensor(after)
    width = len(before.data) // max(1, first.numel())
    unequal = [
        i
        for i in range(first.numel())
        if before.data[i * width : (i + 1) * width] != after.data[i * width : (i + 1) * width]
    ]
    place = unequal[0]
    text = f"{len(unequal)} of {first.numel()} elements, the first at {place}: {after_before(first, second, place)}"
    if first.dtype.is_complex or first.dtype == torch.bool:
        return text
    apart = (first.to(torch.float64) - second.to(torch.float64)).abs()
    finite = apart[torch.isfinite(apart)]
    return f"{text}; greatest difference {finite.max().item():g}" if finite.numel() else text


def after_before(first: Any, second: Any, place: int) -> str:
    """The elements at `place`, new and old."""
    return f"{second.reshape(-1)[place].item()!r} instead of {first.reshape(-1)[place].item()!r}"


def within(before: TensorOutcome, after: TensorOutcome, tolerance: Tolerance) -> bool:
    """Whether two tensors are close; NaN is close to NaN alone."""
    import torch

    first, second = _tensor(before), _tensor(after)
    if not first.dtype.is_floating_point:
        first, second = first.to(torch.float64), second.to(torch.float64)
    same: bool = torch.allclose(
        second.to(torch.float64), first.to(torch.float64), rtol=tolerance.rtol, atol=tolerance.atol, equal_nan=True
    )
    return same


def _tensor(outcome: TensorOutcome) -> Any:
    import torch

    flat = (
        torch.frombuffer(bytearray(outcome.data), dtype=torch.uint8)
        if outcome.data
        else torch.empty(0, dtype=torch.uint8)
    )
    return flat.view(getattr(torch, outcome.dtype)).reshape(outcome.shape)


def _short(value: TensorOutcome | str) -> str:
    return value if isinstance(value, str) else f"a tensor of {value.dtype} {list(value.shape)}"
