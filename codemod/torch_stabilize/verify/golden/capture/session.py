"""A watched run: the folder that the program's processes write to, its command, and what they wrote, merged."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch_stabilize.model import Refusal
from torch_stabilize.templates import template_root
from torch_stabilize.verify.golden.capture import runtime
from torch_stabilize.verify.golden.capture.calls import Call
from torch_stabilize.verify.golden.capture.targets import Target

_START = '''"""Starts the watch, after what the environment had under this name."""
import importlib.machinery
import importlib.util
import os
import sys

_here = os.path.dirname(os.path.abspath(__file__))
_others = [path for path in sys.path if os.path.abspath(path or ".") != _here]
_spec = importlib.machinery.PathFinder.find_spec("sitecustomize", _others)
if _spec is not None and _spec.loader is not None:
    _spec.loader.exec_module(importlib.util.module_from_spec(_spec))

from {name}.hooks import install

install()
'''


@dataclass(frozen=True)
class Seen:
    """What all processes of one run saw. `calls` are the kept ones; counts are by the name that was called."""

    calls: tuple[Call, ...]
    counts: Mapping[str, int]
    left_out: Mapping[str, Mapping[str, int]]
    signatures: int
    seconds: float  # spent in the recorder
    how: tuple[str, ...]
    torch: str
    python: str
    files: tuple[Path, ...]  # every library that was loaded and may be the group's
    classes: tuple[str, ...]
    exit_code: int
    blocks: frozenset[str] = frozenset()  # of code, reached by whatever the command did: "file+0xoffset"


def watch(folder: Path, targets: Sequence[Target], command: Sequence[str], cache: Path) -> Seen:
    """Run `command` and keep the calls of `targets`. Raises Refusal where it cannot be started or saw no torch."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "storages").mkdir(parents=True)
    start = folder / "start"
    start.mkdir()
    (start / "sitecustomize.py").write_text(_START.format(name=runtime.NAME), encoding="utf-8")
    (start / runtime.NAME).symlink_to(Path(runtime.__file__).parent.resolve())
    settings = {
        "operators": [target.called for target in targets if target.is_operator],
        "functions": [target.called for target in targets if not target.is_operator],
        "cache": str(cache),
        "source": str(template_root() / "capture/observer.cpp"),
    }
    (folder / runtime.SETTINGS).write_text(json.dumps(settings), encoding="utf-8")
    path = os.pathsep.join(filter(None, [str(start), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": path, runtime.FOLDER_VARIABLE: str(folder)}
    try:
        code = subprocess.run(command, env=environment, check=False).returncode
    except OSError as error:
        raise Refusal(f"cannot run {command[0]}: {error.strerror}", exit_code=2) from error
    return _merged(folder, targets, code)


def _merged(folder: Path, targets: Sequence[Target], code: int) -> Seen:
    reports = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("counts-*.json"))]
    with_torch = [report for report in reports if report["torch"]]
    if not with_torch:
        what = "imported no torch" if reports else "started no Python that can be watched (python -I and -S cannot)"
        raise Refusal(f"the command {what} (it ended with {code})", exit_code=3)
    if len({report["torch"] for report in with_torch}) > 1:
        raise Refusal("the command's processes use several versions of torch", exit_code=3)
    counts: Counter[str] = Counter()
    left_out: dict[str, Counter[str]] = {}
    written, features = _written(folder)
    for report in reports:
        counts.update(report["calls"])
        for name, reasons in report["left_out"].items():
            left_out.setdefault(name, Counter()).update(reasons)
    for name, least in written.items():  # a process that is killed has written each kept call, but no last count
        counts[name] = max(counts[name], least)
    return Seen(
        _calls(folder, targets),
        counts,
        left_out,
        max(features, *(report["signatures"] for report in reports)),
        sum(report["seconds"] for report in reports),
        tuple(dict.fromkeys(report["how"] for report in with_torch)),
        with_torch[0]["torch"],
        with_torch[0]["python"],
        tuple(dict.fromkeys(Path(name) for report in reports for name in _files(report) if Path(name).is_file())),
        tuple(dict.fromkeys(name for report in reports for name in report["classes"])),
        code,
        frozenset(block for report in reports for block in report["blocks"]),
    )


def _files(report: Mapping[str, Any]) -> Iterable[str]:
    """The libraries that were loaded; those of torch have names that projects use too: torch._C."""
    modules = (path for name, path in report["modules"] if not name.startswith("torch."))
    return (*report["libraries"], *modules)


def _lines(path: Path) -> Iterable[dict[str, Any]]:
    """The calls of one process, each with the blocks that it reached, which the process wrote when it was over."""
    lines: list[dict[str, Any]] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            lines.append(json.loads(line))
        except ValueError:
            break  # the line that a killed process was writing
    for content in lines:
        if "line" in content:
            lines[content["line"]]["blocks"] = content["blocks"]
    return (content for content in lines if "line" not in content)


def _written(folder: Path) -> tuple[Counter[str], int]:
    """How many calls of each function all processes kept, and the most kinds of calls that one of them kept."""
    counts: Counter[str] = Counter()
    most = 0
    for path in folder.glob("calls-*.jsonl"):
        calls = list(_lines(path))
        counts.update(call["target"] for call in calls)
        most = max(most, len({tuple(call["features"]) for call in calls}))
    return counts, most


def _calls(folder: Path, targets: Sequence[Target]) -> tuple[Call, ...]:
    names = {target.called: target.names for target in targets}
    contents: dict[str, bytes] = {}
    found: dict[str, Call] = {}
    for path in sorted(folder.glob("calls-*.jsonl")):
        for content in _lines(path):
            for storage in content["storages"]:
                key = storage.get("content")
                if key is not None and key not in contents:
                    contents[key] = zlib.decompress((folder / "storages" / key).read_bytes())
            call = Call(names[content["target"]], content, contents)
            found.setdefault(call.key, call)
    return tuple(found.values())
