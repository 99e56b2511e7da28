"""The state of a work tree, to see that a refused run left it alone."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path


def tree_state(folder: Path) -> str:
    """A digest of every file's path, mode and bytes, of the index, and of what git thinks of the tree."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if ".git" in path.relative_to(folder).parts:
            continue
        digest.update(f"{path.relative_to(folder)} {path.lstat().st_mode:o}\n".encode())
        if path.is_file():
            digest.update(path.read_bytes())
    for command in (["ls-files", "-s"], ["status", "--porcelain"], ["log", "--format=%H", "-n", "3"]):
        digest.update(subprocess.run(["git", *command], cwd=folder, capture_output=True, check=True).stdout)
    return digest.hexdigest()
