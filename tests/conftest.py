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

from codemod.cli import main

# How long an example takes says more about the machine than about the code.
settings.register_profile("no-deadline", deadline=None)
settings.load_profile("no-deadline")

ROOT = Path(__file__).parent.parent
SAMPLE = ROOT / "csrc"
GIT = ("git", "-c", "user.name=Test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false")


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
    subprocess.run([*GIT, "init", "-q", "."], cwd=folder, check=True)
    subprocess.run([*GIT, "add", "-A"], cwd=folder, check=True)
    subprocess.run([*GIT, "commit", "-q", "--allow-empty", "-m", message], cwd=folder, check=True)


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    """The sample extension as a repository of its own, committed and clean."""
    folder = tmp_path / "sample"
    ignored = shutil.ignore_patterns("build", "__pycache__", "*.so", "*.egg-info")
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
