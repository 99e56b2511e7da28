"""A disk that is really full or out of inodes, at every place of a run, and parts of a tree that are read-only.

`make faults` drives every point; `make test` a few of them. Skipped where nothing may be mounted.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from torch_stabilize.model import Refusal
from torch_stabilize.writer import recover

from tests.conftest import tree
from tests.faults.test_faults import AFTER, BEFORE, Do, committed, copied, is_whole, template, written

__all__ = ["template"]  # a fixture
_BLOCK = 4096
POINTS = range(0, 24, 1 if os.environ.get("FAULTS_EVERY") == "1" else 8)


def _mounted(place: Path, options: str) -> bool:
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@contextmanager
def limited(place: Path, limit: str) -> Iterator[None]:
    """`place` as a file system of its own. `limit` is "size=N" or "nr_inodes=N". Skips where that is not allowed."""
    place.mkdir(exist_ok=True)
    if not _mounted(place, limit):
        pytest.skip("nothing may be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", str(place)], check=True)


def _used(root: Path, place: Path) -> tuple[int, int]:
    """Bytes and inodes that a copy of `root` takes."""
    with limited(place, "size=64m"):
        copied(root, place / "tree")
        found = os.statvfs(place)
        return (found.f_blocks - found.f_bfree) * found.f_frsize, found.f_files - found.f_ffree


@pytest.mark.parametrize("do", [written, committed], ids=lambda do: do.__name__)
@pytest.mark.parametrize("kind", ["size", "nr_inodes"])
def test_no_room_left(template: Path, tmp_path: Path, do: Do, kind: str) -> None:
    size, inodes = _used(template, tmp_path / "disk")
    refused = 0
    for more in POINTS:
        limit = f"size={size + more * _BLOCK}" if kind == "size" else f"nr_inodes={inodes + more * 2}"
        with limited(tmp_path / "disk", limit):
            root = copied(template, tmp_path / "disk" / "tree")
            try:
                do(root)
            except Refusal:
                refused += 1
            enough = "size=64m,nr_inodes=100000"
            subprocess.run(["mount", "-o", f"remount,{enough}", str(tmp_path / "disk")], check=True)
            said = recover(root)
            assert is_whole(root), f"{limit}: {sorted(tree(root))}, {said!r}"
            if tree(root) == BEFORE:
                do(root)
            assert tree(root) == AFTER, limit
    assert refused


@contextmanager
def read_only(place: Path) -> Iterator[None]:
    """`place`, a file or a folder, mounted read-only: root may write what has no permission to be written."""
    bound = subprocess.run(["mount", "--bind", str(place), str(place)], capture_output=True, check=False)
    if bound.returncode:
        pytest.skip("nothing may be mounted here")
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", str(place)], check=True)
        yield
    finally:
        subprocess.run(["umount", str(place)], check=True)


@pytest.mark.parametrize("do", [written, committed], ids=lambda do: do.__name__)
@pytest.mark.parametrize(
    "part", ["csrc", "csrc/deep/er", "setup.py", "csrc/norm.cu", ".git", ".git/objects", ".git/refs"]
)
def test_a_part_that_is_read_only(template: Path, tmp_path: Path, do: Do, part: str) -> None:
    root = copied(template, tmp_path / "tree")
    with read_only(root / part):
        if do is written and part.startswith(".git/"):
            do(root)  # nothing is written there
        else:
            with pytest.raises(Refusal):
                do(root)
            assert tree(root) == BEFORE
    recover(root)
    assert is_whole(root)
    if tree(root) == BEFORE:
        do(root)
    assert tree(root) == AFTER
