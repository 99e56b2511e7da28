"""Builds the C++ observer for the torch of this process, once for each torch and compiler."""

from __future__ import annotations

import ctypes
import hashlib
import importlib.machinery
import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

_NAME = "torch_stabilize_observer"
_COVERAGE = "torch_stabilize_coverage.so"  # what an extension that counts its blocks calls
_SOURCES = ("coverage.h", "coverage.cpp")  # in the folder of the observer's
_SECONDS = 900.0
_STANDARDS = ("c++20", "c++17")


class Unbuilt(Exception):
    """There is no observer; the text says why."""


def build_observer(torch: Any, cache: Path, source: Path) -> Any:
    """The observer as a module. Raises Unbuilt where it cannot be compiled or loaded."""
    compiler = _compiler()
    texts = [path.read_text(encoding="utf-8") for path in (source, *(source.with_name(name) for name in _SOURCES))]
    key = hashlib.sha256("\n".join([torch.__version__, sys.version, compiler, *texts]).encode()).hexdigest()[:16]
    library = cache / key / f"{_NAME}.so"
    if not library.exists():
        _compile(compiler, source.with_name("coverage.cpp"), library.with_name(_COVERAGE), ["-Wl,--as-needed"])
        _compile(compiler, source, library, _of_torch(torch))
    try:
        # In the global scope, with nothing of torch: symbols there are taken by whatever is loaded later.
        ctypes.CDLL(str(library.with_name(_COVERAGE)), mode=ctypes.RTLD_GLOBAL)
        loader = importlib.machinery.ExtensionFileLoader(_NAME, str(library))
        spec = importlib.util.spec_from_loader(_NAME, loader)
        assert spec is not None
        module = importlib.util.module_from_spec(spec)
        loader.exec_module(module)
    except (ImportError, OSError) as error:
        raise Unbuilt(f"the observer does not load: {error}") from error
    return module


def _compiler() -> str:
    named = os.environ.get("CXX")
    found = named or next(filter(None, map(shutil.which, ("c++", "g++", "clang++"))), None)
    if not found:
        raise Unbuilt("no C++ compiler")
    return found


def _of_torch(torch: Any) -> list[str]:
    """The flags that the observer needs beyond those of any library."""
    root = Path(torch.__file__).parent
    folders = [root / "include", root / "include/torch/csrc/api/include", sysconfig.get_paths()["include"]]
    abi = f"-D_GLIBCXX_USE_CXX11_ABI={int(torch.compiled_with_cxx11_abi())}"
    return [
        abi, f"-DTORCH_EXTENSION_NAME={_NAME}", *(f"-I{folder}" for folder in folders),
        f"-L{root / 'lib'}", "-ltorch_python", "-ltorch", "-ltorch_cpu", "-lc10",
    ]  # fmt: skip


def _compile(compiler: str, source: Path, library: Path, flags: list[str]) -> None:
    library.parent.mkdir(parents=True, exist_ok=True)
    handle, made = tempfile.mkstemp(dir=library.parent, suffix=".so")
    os.close(handle)
    try:
        for standard in _STANDARDS:
            command = [
                *compiler.split(), f"-std={standard}", "-O1", "-DNDEBUG", "-w", "-shared", "-fPIC", str(source), "-o",
                made, *flags,
            ]  # fmt: skip
            environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
            ran = subprocess.run(
                command, capture_output=True, text=True, timeout=_SECONDS, check=False, env=environment
            )
            if not ran.returncode:
                os.replace(made, library)
                return
        errors = [line for line in ran.stderr.splitlines() if "error" in line]
        raise Unbuilt(f"the observer does not compile: {(errors or ['no message'])[0].strip()}")
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unbuilt(f"the observer cannot be compiled: {error}") from error
    finally:
        Path(made).unlink(missing_ok=True)
