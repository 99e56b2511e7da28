"""The one room that writes files of the user's tree: all of a plan or nothing of it.

Everything that can be known beforehand is checked before the first byte is written (`checks`). What a run is about to
do is recorded (`journal`), then the files change (`transaction`); what fails on the way is taken back at once, and what
was killed on the way by the next run (`recovery`).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, NoReturn

from torch_stabilize.diff import render_diff
from torch_stabilize.model import Plan, Refusal
from torch_stabilize.repository import git
from torch_stabilize.repository.snapshot import Snapshot
from torch_stabilize.writer.checks import check_plan, touched
from torch_stabilize.writer.files import discard
from torch_stabilize.writer.journal import Journal, Operation, begin, journal_folder, locked, operations, read
from torch_stabilize.writer.recovery import recover, take_back
from torch_stabilize.writer.transaction import apply, signals_held, tidy

__all__ = ["commit", "recover", "render_diff", "write"]


class _Step(NamedTuple):
    """What one commit holds."""

    plan: Plan
    message: str


def write(plan: Plan, snapshot: Snapshot, *, allow_dirty: bool = False) -> None:
    """Do everything `plan` says in the tree of `snapshot`, or raise Refusal and leave the tree as it was.

    Refused (exit 2) are a dirty tree, unless `allow_dirty`, and paths outside of the repository; refused (exit 3) are
    files that changed since they were read, files in the way, and folders or files that cannot be written. A run that
    is killed is taken back by the next one (`recover`).
    """
    if plan.is_empty:
        return
    root = snapshot.root
    with locked(root), signals_held():
        _check(plan, root, allow_dirty=allow_dirty)
        steps = operations(plan)
        journal = _begin(root, plan.group, [steps])
        try:
            apply(root, steps)
            journal = journal.finished()
        except BaseException as error:
            _give_up(root, journal, error)
        _end(root, journal, steps)


def commit(
    plan: Plan, snapshot: Snapshot, *, two_commits: bool = True, message: str = "", branch: str = ""
) -> tuple[str, ...]:
    """Write `plan` and commit it: the moves alone first, where `two_commits` asks for that, then the rest.

    The commits are put on a new branch where there is a name for one. Returns the ids of the commits. Hooks and signing
    are the user's. Where git refuses, the tree, the index and the branch are put back, and Refusal tells why. Raises
    Refusal for whatever `write` refuses.
    """
    if plan.is_empty:
        return ()
    root = snapshot.root
    steps = _steps(plan, message or f"Migrate {plan.group} to the libtorch stable ABI", two_commits)
    with locked(root) as handle:
        _check(plan, root, allow_dirty=False)
        if branch and git.branches(root, branch):
            raise Refusal(f"there is a branch {branch} already: delete it, or give another name", exit_code=2)
        todo = [operations(step.plan) for step in steps]
        messages = [step.message for step in steps]
        last, journal = git.head(root), None
        try:
            with signals_held():  # one that comes while the journal is written finds it, and takes it away again
                journal = _begin(root, plan.group, todo, last, messages, branch)
                if branch:
                    git.start_branch(root, branch)
            for step, doing in zip(steps, todo, strict=True):
                with signals_held():
                    apply(root, doing)
                    kept = tidy(root, doing)
                    if kept:
                        raise Refusal(f"{kept[0]} was saved while the migration was written: run again")
                git.commit(root, touched(step.plan), step.message, keep_open=(handle,))
                journal = journal.committed(git.head(root))
            with signals_held():
                journal = journal.finished()
        except BaseException as error:
            if journal is None:
                raise
            with signals_held():
                _give_up(root, journal, error)
        _end(root, journal, ())
    return journal.made


def _check(plan: Plan, root: Path, *, allow_dirty: bool) -> None:
    """Everything that can be known before the first byte is written."""
    if read(root) is not None:
        raise Refusal("an interrupted run has not been taken back: run any command of torch-stabilize again")
    check_plan(plan, root, allow_dirty=allow_dirty)


def _begin(
    root: Path,
    group: str,
    steps: Sequence[Sequence[Operation]],
    head: str = "",
    messages: Sequence[str] = (),
    branch: str = "",
) -> Journal:
    try:
        return begin(root, group, steps, head, messages, branch)
    except OSError as error:
        discard(journal_folder(root))
        raise Refusal(f"cannot write {error.filename}: {error.strerror}; nothing was changed") from error


def _give_up(root: Path, journal: Journal, error: BaseException) -> NoReturn:
    """Take everything back and raise: OSError as Refusal, anything else as it is."""
    undone = take_back(root, journal)
    outcome = undone.message or "nothing was changed"
    if undone.failed:
        outcome += "; run any command of torch-stabilize again to take the rest back"
    if isinstance(error, OSError):
        where = os.path.relpath(error.filename, root) if error.filename else "the tree"
        raise Refusal(f"cannot write {where}: {error.strerror}; {outcome}") from error
    if isinstance(error, Refusal) and undone.message:
        raise Refusal(f"{error}; {outcome}", exit_code=error.exit_code) from error
    raise error


def _end(root: Path, journal: Journal, steps: Sequence[Operation]) -> None:
    """Remove what the run put out of the way. The tree is as it should be: what fails here is left to `recover`."""
    try:
        kept = tidy(root, steps)
        journal.remove()
    except OSError as error:
        raise Refusal(
            f"the migration is written, but leftovers cannot be removed: {error.strerror}; run any command of"
            " torch-stabilize again"
        ) from error
    if kept:
        raise Refusal(f"the migration is written, but a file was saved at the same moment: compare {', '.join(kept)}")


def _steps(plan: Plan, message: str, two_commits: bool) -> list[_Step]:
    """What is committed, in order: moves keep every byte, so that git and reviewers see them as moves."""
    moves = _moves_alone(plan)
    if not two_commits or moves.is_empty:
        return [_Step(plan, message)]
    steps = [_Step(moves, f"Move {plan.group} to the stable sources"), _Step(_after_moves(plan), message)]
    return [step for step in steps if not step.plan.is_empty]


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
