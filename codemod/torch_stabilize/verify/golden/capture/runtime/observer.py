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
_SECONDS = 900.0
_STANDARDS = ("c++20", "c++17")


class Unbuilt(Exception):
    """There is no observer; the text says why."""


def build_observer(torch: Any, cache: Path, source: Path) -> Any:
    """The observer as a module. Raises Unbuilt where it cannot be compiled or loaded."""
    compiler = _compiler()
    key = hashlib.sha256(
        "\n".join([torch.__version__, sys.version, compiler, source.read_text(encoding="utf-8")]).encode()
    ).hexdigest()[:16]
    library = cache / key / f"{_NAME}.so"
    if not library.exists():
        _compile(torch, compiler, source, library)
    try:
        ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)  # an extension that counts its blocks looks for it here
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


def _compile(torch: Any, compiler: str, source: Path, library: Path) -> None:
    root = Path(torch.__file__).parent
    folders = [root / "include", root / "include/torch/csrc/api/include", sysconfig.get_paths()["include"]]
    library.parent.mkdir(parents=True, exist_ok=True)
    handle, made = tempfile.mkstemp(dir=library.parent, suffix=".so")
    os.close(handle)
    abi = f"-D_GLIBCXX_USE_CXX11_ABI={int(torch.compiled_with_cxx11_abi())}"
    try:
        for standard in _STANDARDS:
            command = [
                *compiler.split(), f"-std={standard}", "-O1", "-DNDEBUG", abi, f"-DTORCH_EXTENSION_NAME={_NAME}",
                "-w", "-shared", "-fPIC", *(f"-I{folder}" for folder in folders), str(source), "-o", made,
                f"-L{root / 'lib'}", "-ltorch_python", "-ltorch", "-ltorch_cpu", "-lc10",
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
