"""What tests of every room share: repositories made for one test, and the command line run as users run it."""

from __future__ import annotations

import contextlib
import io
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import settings
from torch_stabilize.cli import main

# How long an example takes says more about the machine than about the code.
settings.register_profile("no-deadline", deadline=None)
settings.load_profile("no-deadline")

ROOT = Path(__file__).parent.parent
SAMPLE = ROOT / "csrc"
RELATIVE = "segments"  # a package of its own in the sample's folder: csrc/segments
_MADE_UP = ("user.name=Test", "user.email=test@example.org", "commit.gpgsign=false", "init.defaultBranch=main")


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str


Run = Callable[..., Ran]


def make_repository(folder: Path, files: Mapping[str, str | bytes]) -> Path:
    """A git repository in `folder` with `files` committed."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    commit_all(folder)
    return folder


def commit_all(folder: Path, message: str = "Start") -> None:
    """Commit everything in `folder`, which becomes a repository where it is none."""
    git(folder, "init", "-q", ".")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "--allow-empty", "-m", message)


def git(folder: Path, *arguments: str, given: str = "") -> str:
    """What git prints, run with a made-up author in `folder` and fed with `given`."""
    made_up = [part for one in _MADE_UP for part in ("-c", one)]
    command = ["git", *made_up, *arguments]
    return subprocess.run(command, cwd=folder, input=given, capture_output=True, text=True, check=True).stdout


def tree(root: Path) -> dict[str, bytes]:
    """Every file below `root` with its bytes, git's own left out."""
    files = (path for path in sorted(root.rglob("*")) if path.is_file() and ".git" not in path.parts)
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}


@pytest.fixture(autouse=True)
def _identity(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commits have an author on a machine where git knows none."""
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "Test")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "test@example.org")


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    """The sample extension as a repository of its own, committed and clean."""
    folder = tmp_path / "sample"
    ignored = shutil.ignore_patterns("build", "__pycache__", "*.so", "*.egg-info", RELATIVE)
    shutil.copytree(SAMPLE, folder, ignore=ignored)
    commit_all(folder)
    return folder


@pytest.fixture
def run_cli(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run `torch-stabilize ARGUMENTS` in the folder `cwd`, within this process: what it imported is kept."""

    def run(*arguments: str, cwd: Path) -> Ran:
        out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="") for _ in range(2))
        with monkeypatch.context() as patch:
            patch.chdir(cwd)
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                code = main.run(arguments)
        texts = []
        for stream in (out, err):
            stream.flush()
            texts.append(stream.buffer.getvalue().decode())
        return Ran(code, *texts)

    return run
