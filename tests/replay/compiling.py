"""Compile one unit: with the stable headers alone, or to PTX on either side."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch_stabilize.repository.includes import IncludeGraph
from torch_stabilize.repository.snapshot import Snapshot
from torch_stabilize.verify.ptx import Kernel, read_kernels

from tests.replay.cases import SOURCES, STABLE, Case, Compile
from tests.replay.releases import Store

TARGET_VERSION = "0x020b000000000000ULL"  # torch 2.11
_ERROR = re.compile(r"^.*\berror\b.*$", re.MULTILINE)
_HOST = ("--expt-relaxed-constexpr", "--expt-extended-lambda", "-w", "-Xcompiler", "-w")


@dataclass(frozen=True)
class Outcome:
    """Whether a unit compiled, and the compiler's first error where it did not."""

    ok: bool
    error: str = ""


@dataclass(frozen=True)
class Nvcc:
    """The compiler of a replay. `NVCC` in the environment may name another command."""

    store: Store
    how: Compile
    timeout: float = 3600.0

    @staticmethod
    def command() -> list[str]:
        """The command line's first words; empty where there is no nvcc."""
        named = shlex.split(os.environ.get("NVCC", ""))
        found = shutil.which("nvcc") or shutil.which("/usr/local/cuda/bin/nvcc")
        return named or ([found] if found else [])

    def stable(self, case: Case, tree: Path, unit: str) -> Outcome:
        """Compile a migrated unit, host code in full and device code up to its front end, for its errors."""
        flags = [f"-std={self.how.standard}", *self._flags(case, unit, stable=True)]
        return self._run(tree, [*flags, "--fdevice-syntax-only", "-c", "-o", os.devnull])

    def kernels(self, case: Case, tree: Path, unit: str, *, stable: bool) -> Mapping[str, Kernel] | None:
        """The device code of a unit, kernel by kernel; None where it does not compile."""
        flags = [f"-std={self.how.legacy_standard}", *self._flags(case, unit, stable=stable)]
        ptx = self.store.root / "ptx" / f"{_digest(tree, unit, flags)}.ptx"
        refused = ptx.with_suffix(".error")
        if refused.exists():
            return None
        if not ptx.exists():
            ptx.parent.mkdir(parents=True, exist_ok=True)
            made = ptx.with_suffix(".new")
            outcome = self._run(tree, [*flags, "-ptx", "-o", str(made)])
            if not outcome.ok:
                refused.write_text(outcome.error)
                return None
            made.rename(ptx)
        return read_kernels(ptx.read_text(encoding="utf-8", errors="replace"))

    def _flags(self, case: Case, unit: str, *, stable: bool) -> list[str]:
        architecture = self.how.blackwell if case_is_blackwell(case, unit) else self.how.architecture
        system = [self.store.stable_headers()] if stable else self.store.legacy_headers()
        for requirement, folders in self.how.headers.items():
            system += self.store.headers(requirement, folders)
        defines = [*self.how.defines, *([f"TORCH_TARGET_VERSION={TARGET_VERSION}"] if stable else [])]
        return [
            unit,
            f"-arch=sm_{architecture}",
            "-I.",
            f"-I{STABLE}",
            *(f"-isystem={folder}" for folder in (*system, Path(sysconfig.get_paths()["include"]))),
            *(f"-D{define}" for define in defines),
            *_HOST,
        ]

    def _run(self, tree: Path, arguments: list[str]) -> Outcome:
        try:
            done = subprocess.run(
                [*self.command(), *arguments],
                cwd=tree / SOURCES,
                capture_output=True,
                text=True,
                check=False,
                timeout=self.timeout,
            )
        except subprocess.TimeoutExpired:
            return Outcome(False, f"stopped after {self.timeout:.0f} s")
        error = _ERROR.search(done.stdout + done.stderr)
        return Outcome(done.returncode == 0, error.group().strip() if error else done.stderr.strip()[-500:])


def case_is_blackwell(case: Case, unit: str) -> bool:
    """Whether a unit, by its path before or after the migration, needs that architecture."""
    return unit.removeprefix(f"{STABLE}/") in case.blackwell


def _digest(tree: Path, unit: str, flags: list[str]) -> str:
    """A name for what a compile depends on: the flags, and the files of the tree that the unit reaches."""
    names = (path.relative_to(tree).as_posix() for path in (tree / SOURCES).rglob("*") if path.is_file())
    snapshot = Snapshot(tree, tuple(sorted(names)))
    graph = IncludeGraph(snapshot, (), (SOURCES, f"{SOURCES}/{STABLE}"))
    found = hashlib.sha256("\0".join(flags).encode())
    for path in graph.closure([f"{SOURCES}/{unit}"]):
        found.update(path.encode() + b"\0" + hashlib.sha256(snapshot.read(path)).digest())
    return found.hexdigest()[:24]


@dataclass(frozen=True)
class Kernels:
    """How the device code of a unit compares: kernels in it, and how many of them are the same on both sides."""

    total: int
    identical: int
    differing: tuple[str, ...] = ()


def compare_kernels(legacy: Mapping[str, Kernel], migrated: Mapping[str, Kernel]) -> Kernels:
    """Compare two units' device code by name."""
    names = sorted({*legacy, *migrated})
    same = [n for n in names if n in legacy and n in migrated and legacy[n].text == migrated[n].text]
    return Kernels(len(names), len(same), tuple(name for name in names if name not in same))
