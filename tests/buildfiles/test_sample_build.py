"""CMake configures the migrated sample, and ninja builds its stable library, which serves the operators."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.conftest import Run
from tests.sample.building import compile_tree, configure, find_program

pytestmark = [
    pytest.mark.compile,
    pytest.mark.torch,
    pytest.mark.skipif(not (find_program("cmake") and find_program("ninja")), reason="cmake and ninja are needed"),
]
LIBRARY = "_C_stable_libtorch"
# Runs setup.py with the stable extension alone: the legacy one takes minutes.
SETUP_STABLE = """
import runpy, setuptools
setup = setuptools.setup
def setup_stable(ext_modules, **arguments):
    setup(ext_modules=[one for one in ext_modules if one.name.endswith("_stable_libtorch")], **arguments)
setuptools.setup = setup_stable
runpy.run_path("setup.py", run_name="__main__")
"""
USE = """
import sys, torch
torch.ops.load_library(sys.argv[1])
x = torch.randn(3, 8)
out = torch.empty(3, 4)
torch.ops._C.silu_and_mul(out, x)
torch.testing.assert_close(out, torch.nn.functional.silu(x[:, :4]) * x[:, 4:])
"""


def test_the_migrated_sample_builds_with_cmake(sample: Path, run_cli: Run, tmp_path: Path) -> None:
    migrated = run_cli("migrate", "activation", "--write", cwd=sample)
    assert migrated.code in (0, 1), migrated.err

    done = configure(sample, tmp_path / "build")
    assert done.returncode == 0, done.stderr
    commands = json.loads((tmp_path / "build" / "compile_commands.json").read_text())
    stable = {Path(c["file"]).relative_to(sample).as_posix() for c in commands if LIBRARY in c["command"]}
    assert stable == {"csrc/libtorch_stable/torch_bindings.cpp", "csrc/libtorch_stable/cpu/activation.cpp"}
    assert all("TORCH_TARGET_VERSION=0x" in c["command"] for c in commands if LIBRARY in c["command"])
    legacy = {Path(c["file"]).relative_to(sample).as_posix() for c in commands} - stable
    assert "csrc/cpu/activation.cpp" not in legacy
    assert "csrc/cpu/layernorm.cpp" in legacy

    compile_tree(tmp_path / "build", "--target", LIBRARY, "--parallel", "1")
    (library,) = (tmp_path / "build").glob(f"{LIBRARY}*.so")
    python(tmp_path, "-c", USE, str(library))


def test_the_migrated_sample_builds_with_setup_py(sample: Path, run_cli: Run) -> None:
    """On the CPU, whichever build of torch is installed, and with nvcc or without."""
    assert run_cli("migrate", "activation", "--write", cwd=sample).code in (0, 1)
    python(sample, "-c", SETUP_STABLE, "build_ext", "--inplace", SAMPLEX_CUDA="0", MAX_JOBS="1")
    (library,) = (sample / "samplex").glob(f"{LIBRARY}*.so")
    python(sample, "-c", USE, str(library))


def python(folder: Path, *arguments: str, **environment: str) -> None:
    """Run this Python in `folder`; ninja is found beside it."""
    path = f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "PATH": path, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]


def test_torch_for_the_cpu_is_found_without_its_own_configuration(sample: Path, tmp_path: Path) -> None:
    """That of a CUDA build of torch stops where there is no CUDA toolkit."""
    torch = tmp_path / "torch"
    cmake = torch / "share" / "cmake" / "Torch"
    for folder in (cmake, torch / "lib", torch / "include/torch/csrc/api/include"):
        folder.mkdir(parents=True)
    (cmake / "TorchConfig.cmake").write_text('message(FATAL_ERROR "I cannot find the CUDA libraries.")\n')
    (cmake / "TorchConfigVersion.cmake").write_text('set(PACKAGE_VERSION "2.99.0")\n')
    for name in ("libtorch_cpu.so", "libc10.so"):
        (torch / "lib" / name).touch()

    done = configure(sample, tmp_path / "build", f"-DCMAKE_PREFIX_PATH={torch / 'share' / 'cmake'}")

    assert done.returncode == 0, done.stderr
    assert f'{torch}/lib/libtorch_cpu.so (found version "2.99.0")' in done.stdout
    commands = (tmp_path / "build" / "compile_commands.json").read_text()
    assert f"-isystem {torch}/include/torch/csrc/api/include" in commands


def test_an_older_torch_stops_the_configuration(sample: Path, run_cli: Run, tmp_path: Path) -> None:
    """Not a target that is silently left out: an error that names both versions."""
    assert run_cli("migrate", "activation", "--write", cwd=sample).code in (0, 1)
    old = tmp_path / "old"
    old.mkdir()
    (old / "TorchConfig.cmake").write_text("set(TORCH_LIBRARIES)\n")
    (old / "TorchConfigVersion.cmake").write_text(
        'set(PACKAGE_VERSION "2.9.1")\nset(PACKAGE_VERSION_COMPATIBLE TRUE)\n'
    )

    done = configure(sample, tmp_path / "build", f"-DTorch_DIR={old}")

    assert done.returncode != 0
    assert f"{LIBRARY} needs torch 2.11 or newer, found 2.9.1." in done.stderr
