"""What is refused before the first byte is written. Nothing here writes."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

from torch_stabilize.model import Plan, Refusal
from torch_stabilize.repository import git
from torch_stabilize.writer.files import aside, staged


def check_plan(plan: Plan, root: Path, *, allow_dirty: bool) -> None:
    """Raise Refusal where `plan` cannot be written to the tree at `root`, or would overwrite somebody's work."""
    check_paths(plan, root)
    if not allow_dirty:
        check_clean(plan, root)
    check_unchanged(plan, root)
    check_writable(plan, root)


def check_paths(plan: Plan, root: Path) -> None:
    """Every path lies in the tree, also where folders on the way are links, and no path is used twice."""
    real_root = root.resolve()
    for path in touched(plan):
        parts = PurePosixPath(path).parts
        if path.startswith("/") or ".." in parts or parts[0] == ".git":
            raise Refusal(f"{path} is outside of the repository", exit_code=2)
        place = root / path
        if place.is_symlink():
            raise Refusal(f"{path} is a symbolic link; the file it points to is left alone", exit_code=2)
        if not _inside(place.parent.resolve(), real_root):
            raise Refusal(f"{path} is outside of the repository: a folder on the way is a symbolic link", exit_code=2)
    for paths in ([file.old_path for file in plan.files], [file.new_path for file in plan.files]):
        named = [path for path in paths if path is not None]
        if len(named) != len(set(named)):
            twice = sorted(path for path in set(named) if named.count(path) > 1)
            raise Refusal(f"the plan wants {twice[0]} twice")


def check_clean(plan: Plan, root: Path) -> None:
    """Nothing in the tree is uncommitted, and git has a copy of every file that changes."""
    modified = git.modified_files(root)
    if modified:
        more = f" and {len(modified) - 1} more" if len(modified) > 1 else ""
        raise Refusal(f"the work tree has uncommitted changes ({modified[0]}{more}): commit or stash them", exit_code=2)
    untracked = git.untracked_files(root, (file.old_path for file in plan.files if file.old_path))
    if untracked:
        raise Refusal(f"{untracked[0]} is not under version control: add and commit it first", exit_code=2)


def check_unchanged(plan: Plan, root: Path) -> None:
    """Every file still has the bytes that were read, and nothing is where a new file will be written."""
    leaving = {file.old_path for file in plan.files}
    for file in plan.files:
        if file.old_path is not None:
            try:
                current = (root / file.old_path).read_bytes()
            except OSError as error:
                raise Refusal(f"cannot read {file.old_path}: {error.strerror}") from error
            if current != file.before:
                raise Refusal(f"{file.old_path} has changed since it was read: run again")
        if file.new_path is not None and file.new_path not in leaving and os.path.lexists(root / file.new_path):
            raise Refusal(f"{file.new_path} is in the way: it exists and is no part of this migration")


def check_writable(plan: Plan, root: Path) -> None:
    """Every file and folder that is written to can be, and no file is where a temporary one will be written."""
    for path in touched(plan):
        place = root / path
        folder = place.parent
        while not folder.exists():
            folder = folder.parent
        for target in (folder, place):
            if target.exists() and not _writable(target):
                shown = target.relative_to(root).as_posix()
                raise Refusal(f"{'the root folder' if shown == '.' else shown} is read-only")
        if not folder.is_dir():
            raise Refusal(f"{folder.relative_to(root).as_posix()} is in the way: {path} needs a folder there")
        for temporary in (staged(place), aside(place)):
            if os.path.lexists(temporary):
                shown = temporary.relative_to(root).as_posix()
                raise Refusal(f"{shown} is in the way: remove it if it is of an earlier run")


def touched(plan: Plan) -> tuple[str, ...]:
    """Every path that `plan` writes, removes or reads, sorted."""
    return tuple(sorted({path for file in plan.files for path in (file.old_path, file.new_path) if path}))


def _inside(place: Path, root: Path) -> bool:
    return place == root or root in place.parents


def _writable(place: Path) -> bool:
    """Whether its mode and the system allow writing; the mode counts even for root, whom nothing stops."""
    return bool(place.stat().st_mode & 0o222) and os.access(place, os.W_OK)
