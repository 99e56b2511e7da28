"""The results of a run on a GPU machine as Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

COMPARED = (
    "The legacy library's outputs were recorded and the stable library's compared with them bit for bit: plain calls,",
    "under `torch.compile`, on a second stream, captured in a CUDA graph, and on the last GPU while the first is current.",
    "What ranks do together ran in two processes, on the CPU and with a GPU for each: every rank gets what plain PyTorch",
    "gives (sums bit for bit), three times in a row.",
    "",
    "| group | CPU: equal | CUDA: equal | two ranks, CPU | two ranks, CUDA | library built with another torch, CPU | |",
    "|---|---|---|---|---|---|---|",
)
RELEASE = (
    "The kernels of vLLM {release} between two GPUs. Both sides were built from the units of the group and the bindings;",
    "what else the bindings name traps ({traps}).",
    "",
    "| group | CUDA: equal | two ranks, CUDA | |",
    "|---|---|---|---|",
)
WITH_SETUP = "Both sides were built there with their own setup.py."
LOST = (
    "One of two ranks is killed in the middle: how long it takes until all processes have ended, start included, and what",
    "they say. The next group, on the same GPUs, has to give its sums.",
    "",
    "| libraries, way of calling | seconds | what is said | |",
    "|---|---|---|---|",
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
        f"Commit {facts['commit']}. {gpus}, driver {facts['driver']}; torch {facts['torch']}, CUDA {facts['cuda']},",
        f"nvcc {facts['nvcc']}, Python {facts['python']}.",
        f"{_built(document['builds'])} All of it took {document['seconds']} s.",
        "",
    ]
    if "compare" in document["steps"]:
        lines += [*COMPARED, *(_comparison(group) for group in groups), ""]
    if "release" in document["builds"] and "compare" in document["steps"]:
        release, _, traps = document["builds"]["release"].partition(", ok; functions that trap: ")
        lines += [line.format(release=release, traps=traps) for line in RELEASE]
        lines += [*(_release_comparison(group) for group in document["release"]), ""]
    if "lost" in document["steps"]:
        lines += _lost(document["lost"])
    if "overhead" in document["steps"]:
        times = [found for group in groups for found in group["overhead"]]
        times += [
            {**found, "case": f"vLLM: {found['case']}"} for group in document["release"] for found in group["overhead"]
        ]
        lines += [*TIMED, *map(_overhead, times), ""]
    findings = [line for group in (*groups, *document["release"]) for line in _findings(group)]
    findings += [f"- a lost rank: {text}" for text in lost_findings(document["lost"])]
    return "\n".join([*lines, *(["What differs or is missing:", "", *findings, ""] if findings else [])])


def lost_findings(lost: Mapping[str, Any]) -> list[str]:
    """What is wrong about what happened once a rank was lost; nothing where it was not tried."""
    return [
        f"{libraries}, {mode}: {found['wrong']}"
        for libraries, modes in lost.items()
        for mode, found in modes.items()
        if found["wrong"]
    ]


def _built(builds: Mapping[str, str]) -> str:
    alone = builds.get("units alone")
    return f"Both sides were built there from the units of the groups alone ({alone})." if alone else WITH_SETUP


def _lost(lost: Mapping[str, Any]) -> list[str]:
    if not lost:
        return ["No rank was lost on purpose: there are not two GPUs.", ""]
    rows = [
        f"| {libraries}, {mode} | {found['seconds']} | {found['said']} | {'FAILED' if found['wrong'] else 'passed'} |"
        for libraries, modes in lost.items()
        for mode, found in modes.items()
    ]
    return [*LOST, *rows, ""]


def _comparison(group: Mapping[str, Any]) -> str:
    other = group["other"]
    there = "-" if other is None else _equal(other, group["group"])
    passed = "passed" if group["passed"] else "FAILED"
    figures = [_figure(group, kind, ranks) for ranks in (False, True) for kind in ("cpu", "cuda")]
    return f"| {group['group']} | {' | '.join(figures)} | {there} | {passed} |"


def _release_comparison(group: Mapping[str, Any]) -> str:
    passed = "passed" if group["passed"] else "FAILED"
    return f"| {group['group']} | {_figure(group, 'cuda', False)} | {_figure(group, 'cuda', True)} | {passed} |"


def _figure(group: Mapping[str, Any], kind: str, ranks: bool) -> str:
    """Equal cases of the device of that kind, or of two of them."""
    figures = (group["step"] or {}).get("figures", {}).get(group["group"], {})
    for name, found in figures.items():
        if name.partition("-")[0] == kind and name.endswith("-x2") == ranks:
            return f"{found['equal']} of {found['cases']}"
    return "-"


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
