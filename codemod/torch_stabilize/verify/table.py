"""A verification as a table for the terminal."""

from __future__ import annotations

from torch_stabilize.model import Severity
from torch_stabilize.report.lines import Lines
from torch_stabilize.verify.result import Finding, Status, Step, Verification
from torch_stabilize.verify.verdict import Outcome

STATUS_STYLES = {Status.OK: "green", Status.FAILED: "bold red", Status.SKIPPED: "yellow"}
SEVERITY_STYLES = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.NOTE: "cyan"}
VERDICT_STYLES = {
    Outcome.WHOLE: "green",
    Outcome.PROVEN: "green",
    Outcome.NOT_PROVEN: "bold yellow",
    Outcome.DIFFERS: "bold red",
}
FINDINGS_PER_STEP = 25


def print_verification(verification: Verification, out: Lines) -> None:
    """The table of steps, then what each step found."""
    title = f"{verification.group}: target torch {verification.target}, built with torch {verification.torch}"
    out.print(f"{title}, legacy side {verification.legacy}", style="bold")
    print_steps(verification.steps, out)
    verdict = verification.verdict
    took = [f"{step.name} {step.seconds:.0f} s" for step in verification.steps if step.seconds >= 1]
    times = ": ".join([f"{verification.seconds:.0f} s", *([", ".join(took)] if took else [])])
    out.print(f"{verdict.text} ({times})", style=VERDICT_STYLES[verdict.outcome])


def print_steps(steps: tuple[Step, ...], out: Lines) -> None:
    """One line for each step, then the findings. No column is broken: the lines go through `grep`."""
    width = max(len(step.name) for step in steps)
    for step in steps:
        status = (f"{step.status.value:7}", STATUS_STYLES[step.status])
        out.print(f"{step.name:{width}}  ", status, f"  {step.summary}")
    for step in steps:
        if step.diagnostics:
            out.print(f"\n{step.name}", style="bold")
        for diagnostic in step.diagnostics[:FINDINGS_PER_STEP]:
            _print_finding(diagnostic, out)
        if len(step.diagnostics) > FINDINGS_PER_STEP:
            out.print(f"  ... {len(step.diagnostics) - FINDINGS_PER_STEP} more; all of them are in the JSON")


def _print_finding(diagnostic: Finding, out: Lines) -> None:
    place = f"{diagnostic.place}: " if diagnostic.path else ""
    severity = (f" {diagnostic.severity.value}", SEVERITY_STYLES[diagnostic.severity])
    out.print("  ", (diagnostic.code, "cyan"), severity, f" {place}{diagnostic.message}")
    for extra in diagnostic.help.splitlines():
        out.print(f"      {extra}", style="dim")
