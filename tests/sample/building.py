"""Builds the sample extension as its setup.py does, once for each state of its sources."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "csrc"
CACHE = ROOT / "build" / "sample"
_LEFT_OUT = {"build", "__pycache__", "dist"}


def sample_files() -> Iterator[Path]:
    """The files of the sample project, relative to it, without what a build leaves there."""
    for path in sorted(SAMPLE.rglob("*")):
        relative = path.relative_to(SAMPLE)
        if path.is_file() and path.suffix != ".so" and not _LEFT_OUT & set(relative.parts):
            yield relative


def build_sample() -> Path:
    """The folder of a copy of the sample in which `import samplex` works. Raises CalledProcessError.

    The copy is kept: only units that changed, or whose headers did, are compiled again.
    """
    CACHE.mkdir(parents=True, exist_ok=True)
    tree, stamp = CACHE / "tree", CACHE / "built"
    state = _state()
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (stamp.exists() and stamp.read_text() == state):
            _copy(tree)
            command = [sys.executable, "setup.py", "--quiet", "build_ext", "--inplace"]
            environment = {**os.environ, "MAX_JOBS": os.environ.get("MAX_JOBS", str(os.cpu_count() or 1))}
            subprocess.run(command, cwd=tree, check=True, env=environment, stdin=subprocess.DEVNULL)
            stamp.write_text(state)
    return tree


def _state() -> str:
    digest = hashlib.sha256(f"{sys.version_info[:2]} {version('torch')}".encode())
    for relative in sample_files():
        digest.update(f"\n{relative}\n".encode())
        digest.update((SAMPLE / relative).read_bytes())
    return digest.hexdigest()


def _copy(tree: Path) -> None:
    """Bring `tree` up to date; files with the same content keep their times, so that ninja leaves them alone."""
    wanted = set(sample_files())
    for relative in wanted:
        source, target = SAMPLE / relative, tree / relative
        if not (target.exists() and target.read_bytes() == source.read_bytes()):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
    for path in (tree / "csrc").rglob("*"):
        if path.is_file() and path.relative_to(tree) not in wanted:
            path.unlink()
