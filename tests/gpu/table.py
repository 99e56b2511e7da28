"""The results of a run on a GPU machine as Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any


def markdown(document: Mapping[str, Any]) -> str:
    """Results as `run.py` writes them to results.json, for people."""
    facts, groups = document["facts"], document["groups"]
    gpus = ", ".join(sorted({f"{facts['gpus'].count(name)} x {name}" for name in facts["gpus"]})) or "no GPU"
    lines = [
        "# The sample extension on a GPU: legacy against stable",
        "",
        f"{gpus}; torch {facts['torch']}, CUDA {facts['cuda']}, nvcc {facts['nvcc']}, Python {facts['python']}.",
        "Both sides were built there with their own setup.py; the legacy library's outputs were recorded and the stable",
        "library's compared with them bit for bit: plain calls, under `torch.compile`, on a second stream, captured in a",
        f"CUDA graph, and on the last GPU while the first is current. All of it took {document['seconds']} s.",
        "",
        "| group | CPU: equal | CUDA: equal | library built with another torch, CPU | |",
        "|---|---|---|---|---|",
        *(_comparison(group) for group in groups),
        "",
        "Time per call of the stable operator in that of the legacy one; rounds are taken in turns.",
        "",
        "| call | legacy, us | stable, us | ratio | lowest to highest |",
        "|---|---|---|---|---|",
        *(_overhead(found) for group in groups for found in group["overhead"]),
        "",
    ]
    findings = [line for group in groups for line in _findings(group)]
    return "\n".join([*lines, *(["What differs or is missing:", "", *findings, ""] if findings else [])])


def _comparison(group: Mapping[str, Any]) -> str:
    figures = (group["step"] or {}).get("figures", {}).get(group["group"], {})
    devices = {name.partition("-")[0]: f"{found['equal']} of {found['cases']}" for name, found in figures.items()}
    other = group["other"]
    there = "-" if other is None else _equal(other, group["group"])
    passed = "passed" if group["passed"] else "FAILED"
    return f"| {group['group']} | {devices.get('cpu', '-')} | {devices.get('cuda', '-')} | {there} | {passed} |"


def _equal(step: Mapping[str, Any], group: str) -> str:
    figures = step.get("figures", {}).get(group, {}).get("cpu")
    return f"{figures['equal']} of {figures['cases']}" if figures else step["status"]


def _overhead(found: Mapping[str, Any]) -> str:
    spread = f"{found['lowest']:.3f} to {found['highest']:.3f}"
    return f"| {found['case']} | {found['legacy']:.1f} | {found['stable']:.1f} | {found['ratio']:.3f} | {spread} |"


def _findings(group: Mapping[str, Any]) -> list[str]:
    found = [group["failure"]] if group["failure"] else []
    found += [f"legacy: {text}" for text in group["left_out"]]
    for step in (group["step"], group["other"]):
        found += [item["message"] for item in (step or {}).get("diagnostics", []) if item["severity"] == "error"]
    return [f"- {group['group']}: {text.splitlines()[0]}" for text in found if text]


if __name__ == "__main__":
    import json
    import sys

    sys.stdout.write(markdown(json.loads(Path(sys.argv[1]).read_text())))
