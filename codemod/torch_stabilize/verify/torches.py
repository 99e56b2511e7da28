"""The stable library under other versions of torch, each in an environment of its own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from torch_stabilize.model import Refusal, Severity
from torch_stabilize.verify import codes
from torch_stabilize.verify.golden.cases import CaseFile
from torch_stabilize.verify.golden.outcome import LoadError
from torch_stabilize.verify.golden.process import Worker
from torch_stabilize.verify.golden.session import Run, compare_runs, run_cases
from torch_stabilize.verify.result import Finding, Step, finding
from torch_stabilize.verify.side import STABLE, BuiltSide, sides_of

_VERSION = re.compile(r"\d+\.\d+(?:\.\d+)?\Z")
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
_DONE = "whole"


@dataclass(frozen=True)
class OtherTorch:
    """A torch to check the library under: a version, or the interpreter that has it."""

    name: str
    python: Path | None = None


def parse_torches(text: str) -> tuple[OtherTorch, ...]:
    """What `--torch 2.11,2.13` and `--torch /path/to/python` ask for. Raises Refusal (exit 2)."""
    found = []
    for word in filter(None, (part.strip() for part in text.split(","))):
        if _VERSION.match(word):
            found.append(OtherTorch(word))
        elif os.access(word, os.X_OK) and Path(word).is_file():
            # Not resolved: an environment's interpreter is a link.
            found.append(OtherTorch(word, Path(word).absolute()))
        else:
            raise Refusal(f"--torch {word}: neither a version like 2.11 nor an interpreter", exit_code=2)
    return tuple(found)


def torch_steps(
    torches: Iterable[OtherTorch], built: Mapping[str, BuiltSide], cases: Sequence[CaseFile], target: str
) -> Iterator[Step]:
    """A step for each torch: the stable library loads there, registers the same and gives the same outputs."""
    torches = tuple(torches)
    side = next(iter(side for side in sides_of(built.values(), STABLE) if side.library is not None), None)
    if side is None or side.library is None:
        for one in torches:
            yield _impossible(f"torch {one.name}", "the stable library could not be built")
        return
    with Worker([side.library]) as here:
        operators = {one.name: one.schema for one in here.operators()}
        runs = [run_cases(file, here) for file in _of(cases, operators)] if torches else []
        for one in torches:
            yield _checked(one, side.library, operators, _of(cases, operators), runs, target)


def _impossible(name: str, reason: str) -> Step:
    """A torch that nothing is proven for; the verdict names it."""
    return replace(Step.impossible(name, reason), undone=(f"{name}, {reason}",))


def _of(cases: Sequence[CaseFile], operators: Mapping[str, str]) -> list[CaseFile]:
    """The files whose operators are of this library."""
    namespaces = {name.partition("::")[0] for name in operators}
    return [file for file in cases if file.namespace in namespaces]


def _checked(
    other: OtherTorch,
    library: Path,
    operators: Mapping[str, str],
    cases: Sequence[CaseFile],
    runs: Sequence[Run],
    target: str,
) -> Step:
    name = f"torch {other.name}"
    if other.python is None and _numbers(other.name) < _numbers(target):
        return _impossible(name, f"older than the target {target}")
    try:
        python = other.python or environment(other.name)
    except Refusal as refusal:
        return _impossible(name, str(refusal))
    try:
        with Worker([library], python=str(python)) as there:
            found = list(_compared_operators(operators, {one.name: one.schema for one in there.operators()}))
            equal = total = 0
            for file, run in zip(cases, runs, strict=True):
                for checked in compare_runs(file, run, run_cases(file, there)):
                    found += checked.diagnostics
                    equal += checked.same
                    total += len(checked.comparisons)
            version = there.torch
    except LoadError as error:
        fault = finding(codes.OTHER_TORCH, f"the stable library does not load with torch {other.name}: {error}")
        return Step.judged(name, "does not load", (fault,))
    summary = f"{len(operators)} operators registered, {equal} of {total} cases equal with torch {version}"
    return Step.judged(name, summary, tuple(found), {"torch": version, "cases": total, "equal": equal})


def _compared_operators(here: Mapping[str, str], there: Mapping[str, str]) -> Iterator[Finding]:
    for name in sorted({*here, *there}):
        if name not in there or name not in here:
            yield finding(codes.OTHER_TORCH, f"{name} is registered with one torch and not with the other")
        elif here[name] != there[name]:
            text = f"{there[name]}, and {here[name]} with the torch of this environment"
            yield finding(codes.OTHER_TORCH, text, severity=Severity.WARNING)


def environment(version: str) -> Path:
    """The interpreter of an environment with that torch and numpy, made where there is none yet. Raises Refusal."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "torch-stabilize"
    folder = home / f"torch-{version}-python{sys.version_info.major}.{sys.version_info.minor}"
    python = folder / "bin" / "python"
    if (folder / _DONE).exists() and python.exists():
        return python
    shutil.rmtree(folder, ignore_errors=True)
    wanted = f"torch=={version}" if version.count(".") > 1 else f"torch=={version}.*"
    # Without a GPU the build for the CPU is enough, and a tenth as large.
    index = [] if shutil.which("nvidia-smi") else ["--extra-index-url", CPU_INDEX]
    _run([sys.executable, "-m", "venv", str(folder)], version)
    _run([str(python), "-m", "pip", "install", "--quiet", wanted, "numpy", *index], version)
    (folder / _DONE).touch()
    return python


def _run(command: Sequence[str], version: str) -> None:
    try:
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise Refusal(f"no environment for torch {version}: {error.strerror}") from error
    if ran.returncode:
        said = (ran.stderr or ran.stdout).strip().splitlines()
        raise Refusal(f"no environment for torch {version}: {said[-1] if said else command[0]}")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2])
