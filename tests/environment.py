"""Make the environment that `make` works in: torch, torch-stabilize in place, and what its tests need.

    python3 tests/environment.py FOLDER [REQUIREMENT]

FOLDER is the virtual environment, REQUIREMENT what pip installs as torch, with options of pip. Without it, torch is the
CPU build where there is no NVIDIA GPU and pip can get that build, and what pip gives otherwise. What is downloaded,
from where, and how much it is, is printed before. Nothing is done where the environment is as asked already.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VERSION = "2.13.0"
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
# Headers that torch's own CUDA headers include and that some toolkits leave out; and CUTLASS, which is headers alone.
CUDA_LIBRARIES = ("nvidia-cublas", "nvidia-cusolver", "nvidia-cusparse")
CUTLASS = "nvidia-cutlass"
# In GB: what is downloaded, and what it takes on disk. A CUDA build of torch brings the CUDA libraries along.
CPU_SIZE, CUDA_SIZE, LIBRARIES_SIZE, REST_SIZE = (0.2, 0.8), (2.7, 4.6), (0.8, 1.2), (0.2, 0.4)
NO_INDEX = (
    "pip finds no torch: the package index does not answer. Connect this machine, or tell pip of another index or of a "
    "folder of wheels (PIP_INDEX_URL, PIP_FIND_LINKS)."
)


@dataclass(frozen=True)
class Offer:
    """The versions of torch that pip can get, and where it looks."""

    versions: tuple[str, ...]
    places: tuple[str, ...] = ()


@dataclass(frozen=True)
class Choice:
    """What pip installs as torch, in words, with the GB to download and to keep."""

    arguments: tuple[str, ...]
    words: str
    size: tuple[float, float]


def read_offer(output: str) -> Offer:
    """What `pip index versions -vv` prints, read."""
    listed = re.search(r"^Available versions: (.*)$", output, re.MULTILINE)
    versions = tuple(listed[1].replace(" ", "").split(",")) if listed else ()
    places = dict.fromkeys(re.findall(r"^\* (\S+?)(?:/torch/?)?$", output, re.MULTILINE))
    return Offer(versions, tuple(places))


def choose_torch(asked: str, *, gpu: bool, own: Offer, other: Offer | None) -> Choice:
    """The torch to install: what is `asked`, else the CPU build unless there is a `gpu` or it is offered nowhere.

    `own` is what pip offers as it is set up here, `other` what PyTorch's index of CPU builds offers; None where it was
    not asked.
    """
    if asked:
        return Choice(tuple(shlex.split(asked)), f"{asked}, as TORCH says", CUDA_SIZE)
    cpu = f"{VERSION}+cpu"
    places = " and ".join(own.places) or "the index that pip is set up for"
    if sys.platform == "darwin":
        return Choice((f"torch=={VERSION}",), f"torch {VERSION} from {places}", CPU_SIZE)
    if gpu:
        return Choice((f"torch=={VERSION}",), f"torch {VERSION} from {places}; there is an NVIDIA GPU", CUDA_SIZE)
    if cpu in own.versions:
        return Choice((f"torch=={cpu}",), f"the CPU build of torch {VERSION} from {places}", CPU_SIZE)
    if other is not None and cpu in other.versions:
        index = ("--extra-index-url", CPU_INDEX)
        return Choice((f"torch=={cpu}", *index), f"the CPU build of torch {VERSION} from {CPU_INDEX}", CPU_SIZE)
    words = f"torch {VERSION} from {places}; a build for the CPU, which is smaller, is not to be had there or from {CPU_INDEX}"
    return Choice((f"torch=={VERSION}",), words, CUDA_SIZE)


def has_gpu() -> bool:
    """Whether this machine has an NVIDIA GPU."""
    return any(Path("/dev").glob("nvidia[0-9]*")) or any(Path("/proc/driver/nvidia/gpus").glob("*"))


def find_nvcc() -> str | None:
    """The CUDA compiler, found as `verify` finds it."""
    return shutil.which(os.environ.get("NVCC") or "nvcc") or shutil.which("/usr/local/cuda/bin/nvcc")


def header_packages(nvcc: str | None) -> tuple[str, ...]:
    """The packages that CUDA units need beside the toolkit of `nvcc`."""
    if nvcc is None:
        return ()
    real = Path(nvcc).resolve()
    folders = [real.parent.parent / "include", Path("/usr/local/cuda/include"), Path("/usr/include")]
    complete = any((folder / "cublas_v2.h").exists() for folder in folders)
    return (CUTLASS,) if complete else (CUTLASS, *CUDA_LIBRARIES)


class Environment:
    """A virtual environment in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.python = folder / "bin" / "python"
        self.folder, self.stamp = folder, folder / ".ready"

    def is_ready(self, wanted: dict[str, object]) -> bool:
        """Whether it was made, to the end, as `wanted`."""
        try:
            made = json.loads(self.stamp.read_text())
        except (OSError, ValueError):
            return False
        return bool(made == wanted) and self.python.exists()

    def record(self, made: dict[str, object]) -> None:
        """Write down what it was made from: it is complete."""
        self.stamp.write_text(json.dumps(made))

    def make(self) -> None:
        """Make it with this Python, unless it was."""
        code = "import sys; print(sys.version.split()[0])"
        here = self.python.exists() and subprocess.run([self.python, "-c", code], capture_output=True, text=True).stdout
        if not here or here.strip() != sys.version.split()[0]:
            command = [sys.executable, "-m", "venv", "--clear", str(self.folder)]
            if subprocess.run(command, check=False).returncode != 0:
                raise SystemExit(f"no virtual environment could be made in {self.folder}")

    def offer(self, *options: str) -> Offer:
        """What pip can get of torch."""
        quick = ("--retries", "0", "--timeout", "5") if options else ("--retries", "2", "--timeout", "15")
        command = [*self._pip("index", "versions", "-vv", *quick, *options), "torch"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return read_offer(done.stdout)

    def install(self, *arguments: str, quiet: bool = True) -> None:
        """`pip install`. Raises SystemExit with one line where it fails: pip has said why."""
        command = self._pip("install", *(["--quiet"] if quiet else []), *arguments)
        if subprocess.run(command, check=False).returncode != 0:
            raise SystemExit(f"not installed: pip install {' '.join(arguments)}")

    def version(self, package: str) -> str | None:
        """The installed version of `package`."""
        code = f"from importlib.metadata import version; print(version({package!r}))"
        done = subprocess.run([self.python, "-c", code], capture_output=True, text=True, check=False)
        return done.stdout.strip() or None

    def uninstall(self, package: str) -> None:
        """`pip uninstall`."""
        subprocess.run(self._pip("uninstall", "--quiet", "--yes", package), check=True)

    def _pip(self, *words: str) -> list[str]:
        return [str(self.python), "-m", "pip", "--disable-pip-version-check", *words]


def wanted_state(asked: str, headers: Sequence[str]) -> dict[str, object]:
    """What an environment has to be made from, to be left as it is."""
    digest = hashlib.sha256((ROOT / "pyproject.toml").read_bytes()).hexdigest()
    return {
        "python": sys.version.split()[0],
        "project": str(ROOT),
        "pyproject": digest,
        "torch": asked,
        "headers": list(headers),
    }


def install_torch(environment: Environment, asked: str, headers: Sequence[str] = ()) -> None:
    """Install the torch of `choose_torch`, unless the environment has one that was installed for the same request."""
    request = environment.folder / ".torch"
    before = request.read_text() if request.exists() else None
    have = environment.version("torch")
    if have is not None and before == asked:
        return
    gpu = has_gpu()
    own = Offer(()) if asked else environment.offer()
    if not asked and not own.versions:
        raise SystemExit(NO_INDEX)
    other = None
    if not (asked or gpu or sys.platform == "darwin" or f"{VERSION}+cpu" in own.versions):
        other = environment.offer("--index-url", CPU_INDEX)
    choice = choose_torch(asked, gpu=gpu, own=own, other=other)
    libraries = LIBRARIES_SIZE if choice.size == CPU_SIZE and set(CUDA_LIBRARIES) & set(headers) else (0, 0)
    download, disk = (sum(sizes) for sizes in zip(choice.size, libraries, REST_SIZE, strict=True))
    print(f"Installing into {environment.folder}: {choice.words}")
    upto = "up to" if asked else "about"
    minutes = max(1, round(download * 1000 / 10 / 60 + disk / 4))
    print(
        f"and what its tests need: {upto} {download:.1f} GB to download, {disk:.1f} GB on disk; "
        f"{upto} {minutes} minutes at 10 MB/s. make TORCH=... names another torch.",
        flush=True,
    )
    if have is not None:
        environment.uninstall("torch")
    environment.install(*choice.arguments, quiet=False)
    request.write_text(asked)


def install_project(environment: Environment, headers: Sequence[str]) -> None:
    """Install torch-stabilize in place, all that it and its tests need, and headers for CUDA units."""
    print("Installing torch-stabilize and what its tests need", flush=True)
    environment.install("hatchling>=1.25", "editables")
    environment.install("--no-build-isolation", "--editable", f"{ROOT}[verify,dev]")
    for package in headers:
        if environment.version(package) is None:
            environment.install("--no-deps", package)


def main(folder: str, asked: str = "") -> None:
    """Make the environment as asked."""
    headers = header_packages(find_nvcc())
    wanted = wanted_state(asked, headers)
    environment = Environment(Path(folder).absolute())
    if environment.is_ready(wanted):
        return
    begun = time.monotonic()
    environment.stamp.unlink(missing_ok=True)
    environment.make()
    install_torch(environment, asked, headers)
    install_project(environment, headers)
    if not headers:
        print("nvcc not found: CUDA units will not be compiled")
    environment.record(wanted)
    print(f"{folder} is ready after {time.monotonic() - begun:.0f} s: torch {environment.version('torch')}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
