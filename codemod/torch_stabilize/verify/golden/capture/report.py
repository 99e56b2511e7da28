"""What a capture says of itself: its figures, and everything that leaves a function of the group unproven."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from torch_stabilize.model import Severity
from torch_stabilize.verify import codes
from torch_stabilize.verify.golden.capture.calls import Call
from torch_stabilize.verify.golden.capture.keep import Tried
from torch_stabilize.verify.golden.capture.lines import Lines
from torch_stabilize.verify.golden.capture.session import Seen
from torch_stabilize.verify.golden.capture.targets import Target
from torch_stabilize.verify.result import Finding, Step, counted, finding

# Reasons that lose nothing: the same call is made for real, or is part of one that is kept.
_NO_LOSS = frozenset(
    {"made for a compiler", "wrapped by functorch", "on the meta device", "inside another captured call"}
)


class Result(NamedTuple):
    """One capture: what was watched, seen and kept. `over_budget` counts calls that were too large to keep."""

    targets: Sequence[Target]
    seen: Seen
    kept: Sequence[Call]
    varied: Sequence[Call]
    tried: Tried
    over_budget: int
    bytes: int
    lines: Lines = Lines()


def capture_step(result: Result) -> Step:
    """The capture as a step: its findings make the exit code 1, its `undone` is what a verdict has to say."""
    found = tuple(_findings(result))
    return Step.judged("capture", _summary(result), found, _figures(result))


def notes(result: Result) -> tuple[str, ...]:
    """What the kept calls do not prove, for the verdicts of later runs."""
    return tuple(item.message for item in _findings(result) if item.severity is Severity.ERROR)


def _summary(result: Result) -> str:
    seen, called = result.seen, _called(result)
    text = (
        f"{counted(sum(seen.counts.values()), 'call')} of {len(called)} of {counted(len(result.targets), 'function')};"
        f" {seen.signatures} different, {len(result.kept)} kept"
    )
    if result.varied:
        text += f" and {counted(len(result.varied), 'variation')}"
    text += f", {result.bytes / 1024:.0f} KiB"
    reached, lines, _ = result.lines
    return text + (f"; {reached} of {lines} lines reached" if lines else "")


def _figures(result: Result) -> dict[str, Any]:
    reached, lines, _ = result.lines
    return {
        "calls": sum(result.seen.counts.values()),
        "signatures": result.seen.signatures,
        "seen": len(result.seen.calls),
        "kept": len(result.kept),
        "variations": len(result.varied),
        "crashed": len(result.tried.crashed),
        "unstable": len(result.tried.unstable),
        "bytes": result.bytes,
        "functions": len(result.targets),
        "called": len(_called(result)),
        "seen_through": list(result.seen.how),
        "recorder_seconds": round(result.seen.seconds, 2),
        "lines": lines,
        "lines_reached": reached,
    }


def _called(result: Result) -> tuple[Target, ...]:
    return tuple(target for target in result.targets if result.seen.counts.get(target.called))


def _findings(result: Result) -> Iterable[Finding]:
    kept = {call.targets[0] for call in result.kept}
    if result.seen.exit_code < 0:
        name = signal.Signals(-result.seen.exit_code).name
        yield finding(codes.LEFT_OUT, f"{name} ended the command: calls that it had not made by then are missing")
    for target in result.targets:
        if not result.seen.counts.get(target.called):
            yield finding(codes.NEVER_CALLED, f"no call of {target.called} was seen")
        elif target.called not in kept:
            yield finding(codes.NEVER_CALLED, f"no call of {target.called} could be kept")
    for name, reasons in sorted(result.seen.left_out.items()):
        for reason, count in sorted(reasons.items()):
            severity = Severity.NOTE if reason in _NO_LOSS else Severity.ERROR
            text = f"{counted(count, 'call')} of {name} left out: {reason}"
            yield finding(codes.LEFT_OUT, text, severity=severity)
    if result.over_budget:
        text = f"{counted(result.over_budget, 'call')} left out: more than the size allowed"
        yield finding(codes.LEFT_OUT, text, help="allow more with --size")
    yield from _unstable(result)
    for name in result.seen.classes:
        yield finding(codes.CLASS_NOT_WATCHED, f"the class {name} is not watched", severity=Severity.WARNING)
    reached, lines, others = result.lines
    if reached < lines:
        advice = "\n".join(others)
        yield finding(codes.NEVER_REACHED, f"{lines - reached} of {lines} lines were never reached", help=advice)


def _unstable(result: Result) -> Iterable[Finding]:
    captured = [call for call in result.tried.unstable if call.change is None]
    for name, count in sorted(Counter(call.targets[0] for call in captured).items()):
        text = f"{counted(count, 'call')} of {name} not the same each time on the legacy library alone"
        yield finding(codes.UNSTABLE_CALL, text)
    lost = {id: reason for id, reason in result.tried.crashed.items() if "/" not in id.partition("/")[2]}
    for name, reason in sorted(lost.items()):
        yield finding(codes.UNSTABLE_CALL, f"{name} cannot be made again: {reason}")
    varied = len(result.tried.unstable) - len(captured)
    crashes = len(result.tried.crashed) - len(lost)
    if varied or crashes:
        text = f"variations left out on the legacy library: {varied} not the same each time, {crashes} that end it"
        yield finding(codes.UNSTABLE_CALL, text, severity=Severity.NOTE)
