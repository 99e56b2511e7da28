"""A small plan with one of everything a report shows."""

from __future__ import annotations

from torch_stabilize.codes import Code
from torch_stabilize.model import Confidence, Diagnostic, Edit, FileChange, Plan, Severity, SiteCount, Span
from torch_stabilize.report.view import Report, Stage, build_report
from torch_stabilize.source.edits import apply
from torch_stabilize.verify.result import Status, Step, Verification, finding

KERNEL = "// größe\nvoid f(torch::Tensor& x) {\n  x.mystery();\n  TORCH_CHECK(x.defined());\n}\n".encode()
SETUP = b"sources = glob('csrc/*.cu')\n"

CODES = {
    code.code: code
    for code in (
        Code("TSA101", "torch::Tensor is torch::stable::Tensor.", "The same handle."),
        Code("TSA201", "TORCH_CHECK is STD_TORCH_CHECK.", confidence=Confidence.REVIEW),
        Code("TSA190", "A method without a stable form <b>.", "Rewrite it | by hand.", Confidence.MANUAL),
        Code("TSA601", "Sources are found by a glob."),
    )
}


def span_of(data: bytes, text: bytes) -> Span:
    start = data.index(text)
    return Span(start, start + len(text))


def edit(text: bytes, replacement: bytes, rule: str, confidence: Confidence = Confidence.SAFE) -> Edit:
    return Edit(span_of(KERNEL, text), replacement, rule, confidence)


def made_up_plan() -> Plan:
    edits = (
        Edit(Span(0, 0), b"#pragma once\n", "TSA101"),
        edit(b"torch::Tensor", b"torch::stable::Tensor", "TSA101"),
        edit(b"TORCH_CHECK", b"STD_TORCH_CHECK", "TSA201", Confidence.REVIEW),
    )
    return Plan(
        group="norm",
        target="2.11",
        files=(
            FileChange("csrc/norm.cu", "csrc/stable/norm.cu", KERNEL, apply(KERNEL, edits), edits),
            FileChange(None, "csrc/stable/ops.h", None, b"#pragma once\n"),
        ),
        diagnostics=(
            Diagnostic(
                "TSA601", Severity.NOTE, "setup.py", span_of(SETUP, b"glob"), "the glob finds the file at its new place"
            ),
            Diagnostic(
                "TSA190",
                Severity.ERROR,
                "csrc/norm.cu",
                span_of(KERNEL, b"mystery"),
                "no stable form of `mystery` <script>",
                "call it through the dispatcher",
            ),
        ),
        sites={"csrc/norm.cu": SiteCount(3, 2, 1, 0)},
    )


def read(path: str) -> bytes:
    return {"setup.py": SETUP, "csrc/norm.cu": KERNEL}[path]


def made_up_report(stage: Stage = Stage.SHOWN, *, verified: bool = False) -> Report:
    found = (finding("TSA826", "norm_kernel: runs on the default stream", path="csrc/stable/norm.cu", line=7),)
    steps = (
        Step("compile", Status.OK, "1 unit | stable headers alone"),
        Step("device", Status.SKIPPED, "no nvcc"),
        Step.judged("launches", "1 launch compared", found),
    )
    verification = Verification("norm", "2.11", "2.13.0", "commit 1234567", steps) if verified else None
    return build_report(made_up_plan(), read, CODES, stage=stage, request="norm", verification=verification)
