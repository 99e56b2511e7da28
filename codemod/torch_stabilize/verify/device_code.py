"""The device code of the group, kernel by kernel: identical PTX, or the difference. No GPU is needed."""

from __future__ import annotations

import difflib
import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from torch_stabilize.model import Severity
from torch_stabilize.verify import codes
from torch_stabilize.verify.ptx import Kernel, Resources, read_kernels, read_resources
from torch_stabilize.verify.result import Finding, Step, counted, finding
from torch_stabilize.verify.side import BuiltUnit

DIFF_LINES = 60


@dataclass(frozen=True)
class UnitPair:
    """One CUDA unit on both sides."""

    legacy: BuiltUnit
    stable: BuiltUnit


@dataclass(frozen=True)
class UnitComparison:
    """What came of one unit."""

    unit: str
    kernels: int
    identical: int
    differences: Mapping[str, str]  # kernel -> diff
    diagnostics: tuple[Finding, ...]
    arch: str = ""


def device_code_step(pairs: Iterable[UnitPair], uncompiled: Iterable[str] = (), nvcc: str | None = None) -> Step:
    """The `device code` step: fails where a kernel differs or is on one side only.

    Units in `uncompiled` have no PTX on one side and are named; where no unit has any, the step is skipped. The ptxas
    of `nvcc` tells the resources of kernels that differ, where the build did not.
    """
    compared = [compare_unit(pair, nvcc) for pair in pairs]
    missing = sorted(set(uncompiled))
    notes = tuple(
        finding(
            codes.NOT_COMPILED,
            "no device code to compare: the unit was not compiled",
            severity=Severity.NOTE,
            path=path,
        )
        for path in missing
    )
    if not compared:
        reason = "no CUDA unit was compiled on both sides" if missing else "the group has no CUDA unit"
        return Step.skipped("device code", reason, notes)
    identical, total = sum(unit.identical for unit in compared), sum(unit.kernels for unit in compared)
    archs = Counter(f"sm_{unit.arch}" for unit in compared if unit.arch)
    chips = ", ".join(f"{count} for {arch}" for arch, count in archs.most_common())
    summary = f"{identical} of {total} kernels have identical PTX, in {counted(len(compared), 'unit')}"
    summary = f"{summary}: {chips}" if chips else summary
    figures = {
        unit.unit: {
            "arch": unit.arch,
            "kernels": unit.kernels,
            "identical": unit.identical,
            "differences": dict(unit.differences),
        }
        for unit in compared
    }
    diagnostics = (*(item for unit in compared for item in unit.diagnostics), *notes)
    return Step.judged("device code", summary, diagnostics, figures)


def compare_unit(pair: UnitPair, nvcc: str | None = None) -> UnitComparison:
    """Compare the PTX of one unit, and ptxas' figures where the PTX differs."""
    legacy, stable = _kernels(pair.legacy), _kernels(pair.stable)
    differs = any(name in stable and stable[name].text != kernel.text for name, kernel in legacy.items())
    before, after = (_assembled(unit, nvcc) if differs else {} for unit in (pair.legacy, pair.stable))
    plain = demangle([*legacy, *stable])
    path = pair.stable.path
    diagnostics: list[Finding] = []
    differences: dict[str, str] = {}
    for name in sorted({*legacy, *stable}):
        if name not in legacy or name not in stable:
            side = "the legacy" if name in legacy else "the stable"
            diagnostics.append(finding(codes.KERNEL_LOST, f"{plain[name]} is in {side} device code only", path=path))
        elif legacy[name].text != stable[name].text:
            differences[plain[name]] = diff = _diff(legacy[name], stable[name])
            changed = sum(line[0] in "+-" for line in diff.splitlines())
            text = f"the device code of {plain[name]} differs in {changed} lines"
            diagnostics.append(finding(codes.DEVICE_CODE_DIFFERS, text, path=path, help=diff))
            diagnostics += _resources(plain[name], path, before.get(name), after.get(name))
    identical = sum(name in stable and stable[name].text == kernel.text for name, kernel in legacy.items())
    return UnitComparison(path, len({*legacy, *stable}), identical, differences, tuple(diagnostics), pair.stable.arch)


def demangle(names: Iterable[str]) -> dict[str, str]:
    """Mangled names to readable ones; the names themselves where no c++filt is installed."""
    unique = sorted(set(names))
    program = shutil.which("c++filt") or shutil.which("llvm-cxxfilt")
    if program is None or not unique:
        return {name: name for name in unique}
    # nvcc's private namespaces lost their length with their hashes; the standard name lets them be read.
    given = "\n".join(name.replace("_GLOBAL__N_", "12_GLOBAL__N_1", 1) for name in unique)
    done = subprocess.run([program], input=given, capture_output=True, text=True, check=False)
    lines = done.stdout.splitlines()
    return dict(zip(unique, lines, strict=True)) if len(lines) == len(unique) else {name: name for name in unique}


def _kernels(unit: BuiltUnit) -> dict[str, Kernel]:
    return read_kernels(unit.ptx.read_text(encoding="utf-8", errors="replace")) if unit.ptx is not None else {}


def _assembled(unit: BuiltUnit, nvcc: str | None) -> dict[str, Resources]:
    """What ptxas says of the kernels of `unit`: in the build, else now. Nothing where it cannot be asked."""
    found = read_resources(unit.log)
    ptxas = nvcc and shutil.which("ptxas", path=os.pathsep.join((str(Path(nvcc).resolve().parent), os.environ["PATH"])))
    if found or not ptxas or unit.ptx is None:
        return found
    command = [ptxas, f"-arch=sm_{unit.arch}", "-v", str(unit.ptx), "-o", os.devnull]
    ran = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    return read_resources(ran.stdout + ran.stderr)


def _diff(legacy: Kernel, stable: Kernel) -> str:
    lines = [
        line
        for line in difflib.unified_diff(legacy.text.splitlines(), stable.text.splitlines(), lineterm="", n=1)
        if not line.startswith(("---", "+++"))
    ]
    rest = [f"... {len(lines) - DIFF_LINES} more lines"] if len(lines) > DIFF_LINES else []
    return "\n".join([*lines[:DIFF_LINES], *rest])


def _resources(kernel: str, path: str, before: Resources | None, after: Resources | None) -> list[Finding]:
    if before is None or after is None or before == after:
        return []
    changed = [
        f"{field.name.replace('_', ' ')} {getattr(before, field.name)} -> {getattr(after, field.name)}"
        for field in fields(Resources)
        if getattr(before, field.name) != getattr(after, field.name)
    ]
    text = f"{kernel}: {', '.join(changed)}"
    return [finding(codes.RESOURCES_DIFFER, text, severity=Severity.WARNING, path=path)]
