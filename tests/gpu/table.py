"""The results of a run on a GPU machine as Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

COMPARED = (
    "The legacy library's outputs were recorded and the stable library's compared with them bit for bit: plain calls,",
    "under `torch.compile`, on a second stream, captured in a CUDA graph, and on the last GPU while the first is current.",
    "",
    "| group | CPU: equal | CUDA: equal | library built with another torch, CPU | |",
    "|---|---|---|---|---|",
)
TIMED = (
    "Time per call of the stable operator in that of the legacy one; rounds are taken in turns.",
    "",
    "| call | legacy, us | stable, us | ratio | lowest to highest |",
    "|---|---|---|---|---|",
)


def markdown(document: Mapping[str, Any]) -> str:
    """Results as `run.py` writes them to results.json, for people."""
    facts, groups = document["facts"], document["groups"]
    gpus = ", ".join(sorted({f"{facts['gpus'].count(name)} x {name}" for name in facts["gpus"]})) or "no GPU"
    lines = [
        "# The sample extension on a GPU: legacy against stable",
        "",
        f"{gpus}; torch {facts['torch']}, CUDA {facts['cuda']}, nvcc {facts['nvcc']}, Python {facts['python']}.",
        f"Both sides were built there with their own setup.py. All of it took {document['seconds']} s.",
        "",
    ]
    if "compare" in document["steps"]:
        lines += [*COMPARED, *(_comparison(group) for group in groups), ""]
    if "ranks" in document["steps"]:
        lines += _between_gpus(document["ranks"])
    if "overhead" in document["steps"]:
        lines += [*TIMED, *(_overhead(found) for group in groups for found in group["overhead"]), ""]
    findings = [line for group in groups for line in _findings(group)]
    findings += [f"- between GPUs: {text}" for text in between_gpus_findings(document["ranks"])]
    return "\n".join([*lines, *(["What differs or is missing:", "", *findings, ""] if findings else [])])


def between_gpus_findings(ranks: Mapping[str, Any] | None) -> list[str]:
    """What is wrong about the two sides' answers of ranks.py; nothing where they were not asked."""
    if ranks is None:
        return []
    legacy, stable = ranks["legacy"], ranks["stable"]
    found = [f"{side}: {ranks[side]['failure']}" for side in ("legacy", "stable") if ranks[side]["failure"]]
    for case in {**legacy["cases"], **stable["cases"]}:
        answers = {side: ranks[side]["cases"].get(case) for side in ("legacy", "stable")}
        found += [f"{side}: no result of {case}" for side, answer in answers.items() if answer is None]
        found += [
            f"{side}: {case}: {answer['wrong']}" for side, answer in answers.items() if answer and answer["wrong"]
        ]
        if all(answers.values()) and legacy["cases"][case]["digest"] != stable["cases"][case]["digest"]:
            found.append(f"{case}: other bits")
    return found


def _between_gpus(ranks: Mapping[str, Any] | None) -> list[str]:
    if ranks is None:
        return ["Nothing ran between GPUs: there are not two of them.", ""]
    legacy, stable = ranks["legacy"]["cases"], ranks["stable"]["cases"]
    rows = []
    for call in dict.fromkeys(case.partition(":")[0] for case in {**legacy, **stable}):
        cases = [case for case in {**legacy, **stable} if case.partition(":")[0] == call]
        right = [sum(case in side and not side[case]["wrong"] for case in cases) for side in (legacy, stable)]
        equal = sum(
            case in legacy and case in stable and legacy[case]["digest"] == stable[case]["digest"] for case in cases
        )
        rows.append(f"| {call} | {right[0]} of {len(cases)} | {right[1]} of {len(cases)} | {equal} of {len(cases)} |")
    return [
        "Between two GPUs, each with a process of its own: right is what plain PyTorch gives (sums bit for bit), on both",
        "ranks, three times in a row; equal are the bits of both libraries.",
        "",
        "| call | legacy: right | stable: right | equal |",
        "|---|---|---|---|",
        *rows,
        "",
    ]


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
    found += [f"not timed: {group['untimed']}"] if group["untimed"] else []
    return [f"- {group['group']}: {text.splitlines()[0]}" for text in found if text]


if __name__ == "__main__":
    import json
    import sys

    sys.stdout.write(markdown(json.loads(Path(sys.argv[1]).read_text())))
