"""Source releases and headers, fetched by package name and kept in a folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

PACKAGE = "vllm"
# What the stable ABI consists of, below torch's include folder.
STABLE_HEADERS = ("torch/csrc/stable", "torch/headeronly", "torch/csrc/inductor/aoti_torch")
CUDA_CMAKE_MACROS = "#pragma once\n#define C10_CUDA_BUILD_SHARED_LIBS\n"


@dataclass(frozen=True)
class Store:
    """The folder where downloads are kept. Everything is fetched on first use."""

    root: Path

    def release(self, version: str) -> Path:
        """The unpacked sources of one release."""
        folder = self.root / f"{PACKAGE}-{version}"
        if not folder.exists():
            with TemporaryDirectory(dir=self._made()) as temporary:
                # pip asks every source release for its metadata, and this package's build wants to know a device.
                settings = {"VLLM_TARGET_DEVICE": "empty", "VLLM_VERSION_OVERRIDE": version}
                options = ("--no-binary", ":all:", "--no-build-isolation")
                archive = _download(f"{PACKAGE}=={version}", Path(temporary), options, settings)
                with tarfile.open(archive) as packed:
                    packed.extractall(temporary, filter="data")
                (Path(temporary) / folder.name).rename(folder)
        return folder

    def lay_out(self, version: str, folder: Path) -> None:
        """Put the sources of a release into `folder`, anew, as a git repository with one commit."""
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.release(version), folder)
        identity = ("-c", "user.name=replay", "-c", "user.email=replay@localhost", "-c", "commit.gpgsign=false")
        for command in (("init", "-q"), ("add", "-A", "-f"), (*identity, "commit", "-qm", f"Release {version}")):
            subprocess.run(["git", *command], cwd=folder, check=True, capture_output=True)

    def headers(self, requirement: str, folders: Iterable[str]) -> list[Path]:
        """Those `folders` of a wheel, unpacked for the headers in them."""
        folder = self.root / "headers" / requirement
        if not folder.exists():
            with TemporaryDirectory(dir=self._made()) as temporary:
                archive = _download(requirement, Path(temporary), ("--only-binary", ":all:"), {})
                unpacked = Path(temporary) / "unpacked"
                with zipfile.ZipFile(archive) as packed:
                    wanted = [name for name in packed.namelist() if any(name.startswith(f"{f}/") for f in folders)]
                    packed.extractall(unpacked, wanted)
                folder.parent.mkdir(parents=True, exist_ok=True)
                unpacked.rename(folder)
        return [folder / below for below in folders]

    def stable_headers(self) -> Path:
        """An include folder with torch's stable headers and nothing else of it."""
        folder = self.root / "stable-only"
        for below in STABLE_HEADERS:
            link = folder / below
            if not link.exists():
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(torch_include() / below)
        return folder

    def legacy_headers(self) -> list[Path]:
        """All of torch's headers. A build without CUDA lacks a generated one, which is put beside them."""
        made = self.root / "stub"
        macros = made / "c10/cuda/impl/cuda_cmake_macros.h"
        macros.parent.mkdir(parents=True, exist_ok=True)
        macros.write_text(CUDA_CMAKE_MACROS)
        include = torch_include()
        return [made, include, include / "torch/csrc/api/include"]

    def _made(self) -> Path:
        self.root.mkdir(parents=True, exist_ok=True)
        return self.root


def torch_include() -> Path:
    """The include folder of the torch that is installed."""
    from torch_stabilize.surface.headers import find_torch_include

    include = find_torch_include()
    if include is None:
        raise SystemExit("replay compiles against torch's headers: pip install torch")
    return include


def _download(requirement: str, folder: Path, options: tuple[str, ...], settings: dict[str, str]) -> Path:
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        *options,
        "-d",
        str(folder),
        requirement,
    ]
    done = subprocess.run(command, env={**os.environ, **settings}, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"cannot fetch {requirement}:\n{done.stderr}")
    return next(path for path in folder.iterdir() if path.name.endswith((".tar.gz", ".whl")))
