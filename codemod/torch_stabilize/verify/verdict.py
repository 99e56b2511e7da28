"""What a verification comes to: a difference, no proof and why, a proof and where, or nothing but the ABI changed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from torch_stabilize.model import Severity
from torch_stabilize.verify import codes

if TYPE_CHECKING:
    from torch_stabilize.verify.result import Step

# Errors that say that a comparison was not possible, not that something differs.
_IMPOSSIBLE = {
    codes.LEGACY_DOES_NOT_COMPILE: "the tree before the migration does not build here",
    codes.LEGACY_DOES_NOT_LINK: "the tree before the migration does not build here",
    codes.NO_CUDA_TOOLKIT: "there is no CUDA toolkit here",
    codes.LEGACY_GIVES_NOTHING: "a case returns nothing on the legacy library",
}


class Outcome(str, Enum):
    """How a verification ended."""

    WHOLE = "whole"  # everything was compared
    PROVEN = "proven"  # on the devices that are here; the rest is named
    NOT_PROVEN = "not proven"
    DIFFERS = "differs"


class Verdict(NamedTuple):
    """The outcome, and the line that says it."""

    outcome: Outcome
    text: str

    @property
    def passed(self) -> bool:
        """Whether the evidence is enough."""
        return self.outcome in (Outcome.WHOLE, Outcome.PROVEN)


def judge_steps(steps: Sequence[Step]) -> Verdict:
    """The verdict over all steps."""
    undone = _each(reason for step in steps for reason in step.undone)
    errors = {item.code for step in steps for item in step.diagnostics if item.severity is Severity.ERROR}
    if errors and errors <= _IMPOSSIBLE.keys() and not undone:
        undone = _each(_IMPOSSIBLE[code] for code in sorted(errors))
    not_run = _each(reason for step in steps for reason in step.not_run)
    proven = f"not proven: {'; '.join(undone)}" if undone else ""
    rest = f"not run: {', '.join(not_run)}" if not_run else ""
    if errors - _IMPOSSIBLE.keys():
        return Verdict(Outcome.DIFFERS, _joined("something differs", proven, rest))
    if undone:
        return Verdict(Outcome.NOT_PROVEN, _joined(proven, _nevertheless(steps), rest))
    devices = _each(device for step in steps for device in step.devices)
    if not_run:
        where = f" on {' and '.join(devices)}" if devices else ""
        return Verdict(Outcome.PROVEN, _joined(f"proven{where}", rest))
    return Verdict(Outcome.WHOLE, "nothing but the ABI changed")


def _nevertheless(steps: Sequence[Step]) -> str:
    """The steps that were done whole, where others were not."""
    whole = [step.name for step in steps if step.status.value == "ok" and not step.undone and not step.not_run]
    return f"proven: {', '.join(whole)}" if whole else ""


def _each(reasons: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(reasons))


def _joined(*parts: str) -> str:
    return "; ".join(filter(None, parts))
