"""The one module that writes files of the user's tree: all of a plan or nothing of it.

Everything that can be known beforehand is checked before the first byte is written. Then every file is written beside
its place under another name, and only when all of them are there do they change places; what fails on the way is
undone.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path, PurePosixPath

from codemod.diff import render_diff
from codemod.model import FileChange, Plan, Refusal
from codemod.repository import git
from codemod.repository.snapshot import Snapshot

__all__ = ["commit", "render_diff", "write"]

_STAGED = ".torch-stabilize-new"
_KEPT = ".torch-stabilize-old"


def write(plan: Plan, snapshot: Snapshot, *, allow_dirty: bool = False) -> None:
    """Do everything `plan` says in the tree of `snapshot`, or raise Refusal and leave the tree as it was.

    Refused (exit 2) are a dirty tree, unless `allow_dirty`, and paths outside of the repository; refused (exit 3) are
    files that changed since they were read, files in the way, and folders or files that cannot be written.
    """
    if plan.is_empty:
        return
    _check_paths(plan, snapshot.root)
    if not allow_dirty:
        _check_clean(plan, snapshot.root)
    _check_unchanged(plan, snapshot.root)
    _check_writable(plan, snapshot.root)
    _Transaction(snapshot.root).run(plan)


def commit(plan: Plan, snapshot: Snapshot, *, two_commits: bool = True, message: str = "") -> tuple[str, ...]:
    """Write `plan` and commit it: the moves alone first, where `two_commits` asks for that, then the rest.

    Out come the ids of the commits. Hooks and signing are the user's. Where git refuses, the tree, the index and the
    branch are put back, and Refusal tells why. Raises Refusal for whatever `write` refuses.
    """
    if plan.is_empty:
        return ()
    root = snapshot.root
    before = git.head(root)
    steps = [(plan, message or f"Migrate {plan.group} to the libtorch stable ABI")]
    moves = _moves_alone(plan)
    if two_commits and not moves.is_empty:
        steps = [(moves, f"Move {plan.group} to the stable sources"), (_after_moves(plan), steps[0][1])]
    done: list[Plan] = []
    made: list[str] = []
    try:
        for step, text in steps:
            if step.is_empty:
                continue
            write(step, snapshot, allow_dirty=bool(done))
            done.append(step)
            git.commit(root, _touched(step), text)
            made.append(git.head(root))
    except BaseException:
        if done:
            git.back_to(root, before)
        for step in reversed(done):
            _Transaction(root).run(_reversed(step))
        raise
    return tuple(made)


def _moves_alone(plan: Plan) -> Plan:
    """The moves of `plan`, every file with the bytes it had."""
    moved = (file for file in plan.files if file.old_path and file.new_path and file.old_path != file.new_path)
    return replace(plan, files=tuple(replace(file, after=file.before, edits=()) for file in moved))


def _after_moves(plan: Plan) -> Plan:
    """What is left of `plan` once the moves are done."""
    files = []
    for file in plan.files:
        if file.old_path and file.new_path and file.old_path != file.new_path:
            if file.before == file.after:
                continue
            file = replace(file, old_path=file.new_path)
        files.append(file)
    return replace(plan, files=tuple(files))


def _reversed(plan: Plan) -> Plan:
    """The plan that takes `plan` back."""
    return replace(
        plan, files=tuple(FileChange(file.new_path, file.old_path, file.after, file.before) for file in plan.files)
    )


def _touched(plan: Plan) -> tuple[str, ...]:
    return tuple(sorted({path for file in plan.files for path in (file.old_path, file.new_path) if path}))


# -- checks: nothing below writes ------------------------------------------------------------------------------------


def _check_paths(plan: Plan, root: Path) -> None:
    """Every path lies in the tree, also where folders on the way are links, and no path is used twice."""
    real_root = root.resolve()
    for path in _touched(plan):
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


def _inside(place: Path, root: Path) -> bool:
    return place == root or root in place.parents


def _check_clean(plan: Plan, root: Path) -> None:
    modified = git.modified_files(root)
    if modified:
        more = f" and {len(modified) - 1} more" if len(modified) > 1 else ""
        raise Refusal(f"the work tree has uncommitted changes ({modified[0]}{more}): commit or stash them", exit_code=2)
    untracked = git.untracked_files(root, (file.old_path for file in plan.files if file.old_path))
    if untracked:
        raise Refusal(f"{untracked[0]} is not under version control: add and commit it first", exit_code=2)


def _check_unchanged(plan: Plan, root: Path) -> None:
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


def _check_writable(plan: Plan, root: Path) -> None:
    for path in _touched(plan):
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


def _writable(place: Path) -> bool:
    """Whether its mode and the system allow writing; the mode counts even for root, whom nothing stops."""
    return bool(place.stat().st_mode & 0o222) and os.access(place, os.W_OK)


# -- the one place that writes ---------------------------------------------------------------------------------------


class _Transaction:
    """The changes of one plan to the files below `root`, each with the way back."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._undo: list[Callable[[], None]] = []

    def run(self, plan: Plan) -> None:
        """Do it all. What fails is undone and raised: OSError as Refusal, anything else as it is."""
        kept: list[Path] = []
        try:
            staged = [(self._stage(file), file.new_path) for file in plan.files if file.new_path is not None]
            for file in plan.files:
                if file.old_path is not None:
                    kept.append(self._set_aside(self.root / file.old_path))
            for temporary, path in staged:
                self._rename(temporary, self.root / path)
        except BaseException as error:
            self._roll_back()
            if isinstance(error, OSError):
                where = os.path.relpath(error.filename, self.root) if error.filename else "the tree"
                raise Refusal(f"cannot write {where}: {error.strerror}; nothing was changed") from error
            raise
        for place in kept:
            place.unlink(missing_ok=True)
        self._remove_empty(place.parent for place in kept)

    def _stage(self, file: FileChange) -> Path:
        """Write the new bytes beside their place, with the mode the file had."""
        assert file.new_path is not None
        assert file.after is not None
        place = self.root / file.new_path
        self._make_folder(place.parent)
        temporary = place.with_name(f".{place.name}{_STAGED}")
        with open(temporary, "xb") as stream:
            self._undo.append(lambda: temporary.unlink(missing_ok=True))
            stream.write(file.after)
            stream.flush()
            os.fsync(stream.fileno())
        if file.old_path is not None:
            temporary.chmod(stat.S_IMODE((self.root / file.old_path).stat().st_mode))
        return temporary

    def _set_aside(self, place: Path) -> Path:
        aside = place.with_name(f".{place.name}{_KEPT}")
        if os.path.lexists(aside):
            raise FileExistsError(17, "a file of an earlier run is in the way", str(aside))
        self._rename(place, aside)
        return aside

    def _rename(self, source: Path, target: Path) -> None:
        os.rename(source, target)
        self._undo.append(lambda: os.rename(target, source))

    def _make_folder(self, folder: Path) -> None:
        if not folder.exists():
            self._make_folder(folder.parent)
            folder.mkdir()
            self._undo.append(folder.rmdir)

    def _roll_back(self) -> None:
        for undo in reversed(self._undo):
            undo()

    def _remove_empty(self, folders: Iterable[Path]) -> None:
        """Remove folders that the moves left empty, up to the root."""
        for folder in set(folders):
            while folder != self.root and folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
                folder = folder.parent
