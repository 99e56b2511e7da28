"""What `verify` found: steps with a status, figures and diagnostics. JSON, table and report read this alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

from torch_stabilize.model import Diagnostic, Severity, Span
from torch_stabilize.verify.verdict import Verdict, judge_steps

if TYPE_CHECKING:
    from torch_stabilize.verify.origins import Migration


class Status(str, Enum):
    """How a step ended."""

    OK = "ok"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Finding(Diagnostic):
    """A diagnostic of this room. `line` counts from 1; it is 0 for what is about no line in particular."""

    line: int = 0

    @property
    def place(self) -> str:
        """`path:line`, the path alone, or "" for what is about no file in particular."""
        return f"{self.path}:{self.line}" if self.line else self.path


@dataclass(frozen=True)
class Step:
    """One kind of evidence. `summary` is one line for people; `figures` are the numbers behind it, ready for JSON.

    For the verdict: `undone` are comparisons that were not possible and leave the group unproven, with the reason;
    `not_run` what a device or a tool that is not here kept from being run; `devices` where results were compared.
    """

    name: str
    status: Status
    summary: str
    figures: Mapping[str, Any] = field(default_factory=dict)
    diagnostics: tuple[Finding, ...] = ()
    undone: tuple[str, ...] = ()
    not_run: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    seconds: float = field(default=0.0, compare=False)

    @classmethod
    def judged(
        cls, name: str, summary: str, diagnostics: tuple[Finding, ...], figures: Mapping[str, Any] | None = None
    ) -> Step:
        """A step that failed if one of its diagnostics is an error."""
        failed = any(diagnostic.severity is Severity.ERROR for diagnostic in diagnostics)
        return cls(name, Status.FAILED if failed else Status.OK, summary, figures or {}, diagnostics)

    @classmethod
    def skipped(cls, name: str, reason: str, diagnostics: tuple[Finding, ...] = ()) -> Step:
        """A step that had nothing to work on; `reason` says what it lacked."""
        return cls(name, Status.SKIPPED, reason, {}, diagnostics)

    @classmethod
    def turned_off(cls, name: str, *, is_needed: bool = False) -> Step:
        """A step that the user does not want; without one that `is_needed` the group is unproven."""
        said = (f"{name} (turned off)",)
        return cls(
            name, Status.SKIPPED, "turned off", undone=said if is_needed else (), not_run=() if is_needed else said
        )

    @classmethod
    def impossible(cls, name: str, reason: str, diagnostics: tuple[Finding, ...] = ()) -> Step:
        """A step that could not be done, which leaves the group unproven."""
        return cls(name, Status.SKIPPED, reason, {}, diagnostics, (reason,))


@dataclass(frozen=True)
class Verification:
    """The evidence for one group."""

    group: str
    target: str
    torch: str
    legacy: str  # where the legacy side came from: a commit or a folder
    steps: tuple[Step, ...]
    seconds: float = 0.0
    migration: Migration | None = field(default=None, repr=False)  # where it was asked for

    @property
    def verdict(self) -> Verdict:
        """What all steps come to."""
        return judge_steps(self.steps)

    @property
    def passed(self) -> bool:
        """Whether nothing differs and the group is proven on the devices that are here."""
        return self.verdict.passed

    @property
    def diagnostics(self) -> tuple[Finding, ...]:
        """The diagnostics of all steps, in their order."""
        return tuple(diagnostic for step in self.steps for diagnostic in step.diagnostics)

    def to_json(self) -> str:
        """The verification as JSON, keys sorted, with a line end."""
        document = {
            "format": "torch-stabilize-verification/1",
            "group": self.group,
            "target": self.target,
            "torch": self.torch,
            "legacy": self.legacy,
            "passed": self.passed,
            "verdict": {"outcome": self.verdict.outcome.value, "text": self.verdict.text},
            "seconds": round(self.seconds, 1),
            "steps": [step_json(step) for step in self.steps],
        }
        return json.dumps(document, indent=2, sort_keys=True) + "\n"


def finding(
    code: str,
    message: str,
    *,
    severity: Severity = Severity.ERROR,
    path: str = "",
    span: Span | None = None,
    line: int = 0,
    help: str = "",
) -> Finding:
    """A finding; one that is about no file in particular has an empty path."""
    return Finding(code, severity, path, span or Span(0, 0), message, help, line=line)


def counted(count: int, thing: str) -> str:
    """`1 unit`, `2 units`: a number with the noun in its form."""
    if count == 1:
        return f"{count} {thing}"
    return f"{count} {thing}{'es' if thing.endswith('ch') else 's'}"


def step_json(step: Step) -> dict[str, Any]:
    """One step, ready for JSON."""
    return {
        "name": step.name,
        "status": step.status.value,
        "summary": step.summary,
        "figures": dict(step.figures),
        "seconds": round(step.seconds, 1),
        "undone": list(step.undone),
        "not_run": list(step.not_run),
        "devices": list(step.devices),
        "diagnostics": [
            {
                "code": d.code,
                "severity": d.severity.value,
                "path": d.path,
                "line": d.line,
                "start": d.span.start,
                "end": d.span.end,
                "message": d.message,
                "help": d.help,
            }
            for d in step.diagnostics
        ],
    }
