"""A tiny extension, one module of operators and one of pybind11 functions: built as it was, migrated, and built again."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from torch_stabilize.cli import main

from tests.conftest import commit_all

DATA = Path(__file__).parent / "data"
UNITS = ("blend", "gate")


def compile_library(source: Path, library: Path, *options: str) -> Path:
    """`source` as a Python module, for the CPU."""
    import torch

    root = Path(torch.__file__).parent
    include = [root / "include", root / "include/torch/csrc/api/include", sysconfig.get_paths()["include"]]
    name = library.name.partition(".")[0]
    command = [
        shutil.which("g++") or "c++", "-std=c++20", "-O0", "-w", "-shared", "-fPIC", f"-DTORCH_EXTENSION_NAME={name}",
        *(f"-I{folder}" for folder in include), *options, str(source), "-o", str(library),
        f"-L{root / 'lib'}", "-ltorch_python", "-ltorch", "-ltorch_cpu", "-lc10",
    ]  # fmt: skip
    library.parent.mkdir(parents=True, exist_ok=True)
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert not ran.returncode, ran.stderr[-4000:]
    return library


@dataclass(frozen=True)
class Tiny:
    """The extension before its migration, in a repository, and after it, in another."""

    legacy: Path
    stable: Path

    def library(self, unit: str) -> Path:
        """The legacy library of `unit`."""
        return self.legacy / "tiny" / f"_{unit}.so"

    def migrated(self, unit: str) -> Path:
        """The library of the migrated unit."""
        return self.stable / "tiny" / f"_{unit}_stable_libtorch.so"

    def source(self, unit: str) -> Path:
        """The migrated unit."""
        return self.stable / "csrc" / "libtorch_stable" / f"{unit}.cpp"

    def run(self, *arguments: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """The command line in the legacy repository, in a process of its own."""
        root = Path(__file__).parents[3] / "codemod"
        path = os.pathsep.join([str(root), str(self.legacy)])
        return subprocess.run(
            [sys.executable, "-c", "from torch_stabilize.cli.main import main; main()", *arguments],
            cwd=self.legacy,
            env={**os.environ, "PYTHONPATH": path, **(environment or {})},
            capture_output=True,
            text=True,
            check=False,
        )

    def capture(self, unit: str, *options: str, program: Iterable[str] = ("exercise.py",)) -> dict[str, Any]:
        """The JSON of `golden capture` of the unit's group, with its own exit code under "code"."""
        ran = self.run("golden", "capture", f"csrc/{unit}.cpp", "--json", *options, "--", sys.executable, *program)
        assert "{" in ran.stdout, ran.stderr + ran.stdout
        document: dict[str, Any] = json.loads(ran.stdout[ran.stdout.index("{\n") :])
        return document | {"code": ran.returncode}

    def check(self, unit: str, library: Path, *options: str) -> dict[str, Any]:
        """The JSON of `golden check` of the unit's group on `library`."""
        ran = self.run("golden", "check", unit, "--json", "--library", str(library), *options)
        assert ran.stdout.startswith("{"), ran.stderr + ran.stdout
        document: dict[str, Any] = json.loads(ran.stdout)
        return document | {"code": ran.returncode}

    def build_planted(self, unit: str, folder: Path, old: str, new: str) -> Path:
        """The migrated library with `new` in place of `old`, which must be there once."""
        text = self.source(unit).read_text()
        assert text.count(old) == 1, f"{old!r} is {text.count(old)} times in {unit}"
        source = folder / f"{unit}.cpp"
        source.write_text(text.replace(old, new))
        return compile_library(source, folder / self.migrated(unit).name, *STABLE)


STABLE = ("-DTORCH_TARGET_VERSION=0x020b000000000000ULL",)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """Both sides, compiled; nothing is captured yet."""
    home = tmp_path_factory.mktemp("tiny")
    made = Tiny(home / "legacy", home / "stable")
    shutil.copytree(DATA, made.legacy)
    (made.legacy / ".gitignore").write_text("*.so\nbuild/\n__pycache__/\ngolden/\n")
    commit_all(made.legacy)
    shutil.copytree(made.legacy, made.stable)
    for unit in UNITS:
        compile_library(made.legacy / f"csrc/{unit}.cpp", made.library(unit))
        assert main.run(["-C", str(made.stable), "migrate", f"csrc/{unit}.cpp", "--write"]) == 0
        commit_all(made.stable, unit)
        compile_library(made.source(unit), made.migrated(unit), *STABLE)
    return made


@pytest.fixture(scope="session")
def captured(tiny: Tiny) -> dict[str, dict[str, Any]]:
    """What `golden capture` says of each group."""
    return {unit: tiny.capture(unit) for unit in UNITS}
