"""The questions this tool asks git, and the commits it makes."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from torch_stabilize.model import Refusal

OWN_FOLDER = "torch-stabilize"  # what this tool keeps in git's folder while it writes
_NOTHING_RUNS = {"core.fsmonitor": "false"}  # a program that the repository names, run by any question about it
_NO_UPKEEP = {"gc.auto": "0", "maintenance.auto": "false"}  # runs on in the background, and holds the tree
_LOCK_TRIES, _LOCK_PAUSE = 20, 0.1  # seconds


class Answer(NamedTuple):
    """What a git command printed, and whether it succeeded."""

    ok: bool
    output: bytes
    error: str


def is_sparse(root: Path) -> bool:
    """Whether the work tree at `root` leaves out a part of what is tracked."""
    return run(root, "config", "--type=bool", "--get", "core.sparseCheckout").output.strip() == b"true"


def run(
    folder: Path,
    *arguments: str,
    given: bytes = b"",
    keep_open: Sequence[int] = (),
    settings: Mapping[str, str] = MappingProxyType({}),
) -> Answer:
    """Run git in `folder` with `settings` on top of its configuration; it inherits the descriptors `keep_open`.

    Raises Refusal where git cannot be started; a failing command is an answer too.
    """
    try:
        done = subprocess.run(
            ["git", *arguments],
            cwd=folder,
            input=given,
            capture_output=True,
            check=False,
            pass_fds=keep_open,
            env={**os.environ, **_as_environment({**_NOTHING_RUNS, **settings})},
        )
    except FileNotFoundError as error:
        raise Refusal("git is not installed") from error
    except OSError as error:
        raise Refusal(f"git cannot be run: {error.strerror}") from error
    return Answer(done.returncode == 0, done.stdout, done.stderr.decode("utf-8", "replace").strip())


def folder_of(root: Path) -> Path:
    """The folder .git of the work tree at `root`, or the one that a file .git names: in linked trees and submodules."""
    place = root / ".git"
    if place.is_file():
        named = place.read_bytes().strip().removeprefix(b"gitdir:").strip()
        return root / os.fsdecode(named)
    return place


def modified_files(root: Path) -> tuple[str, ...]:
    """Tracked files that differ from the last commit, staged or not, sorted."""
    if run(root, "rev-parse", "--verify", "-q", "HEAD").ok:
        arguments = ("diff", "--name-only", "--no-renames", "--no-ext-diff", "--ignore-submodules", "-z", "HEAD")
        answer = run(root, *arguments, settings=_without_filters(root))
    else:  # nothing was ever committed: whatever is staged would be lost
        answer = run(root, "ls-files", "-z", "--cached")
    if not answer.ok:
        raise Refusal(f"git cannot compare the work tree: {answer.error}")
    return _paths(answer.output)


def _without_filters(root: Path) -> dict[str, str]:
    """Settings that keep git from running the filters that the repository names: programs of whoever wrote it."""
    listed = run(root, "config", "--name-only", "--get-regexp", "-z", r"^filter\..*\.(clean|process|required)$").output
    named = (os.fsdecode(key) for key in listed.split(b"\0") if key)
    return {key: "false" if key.endswith(".required") else "" for key in named}


def _as_environment(settings: Mapping[str, str]) -> dict[str, str]:
    """`settings` as git reads them from its environment, after those that are there already."""
    first = int(os.environ.get("GIT_CONFIG_COUNT") or 0)
    found = {"GIT_CONFIG_COUNT": str(first + len(settings))}
    for number, (key, value) in enumerate(settings.items(), first):
        found[f"GIT_CONFIG_KEY_{number}"], found[f"GIT_CONFIG_VALUE_{number}"] = key, value
    return found


def untracked_files(root: Path, paths: Iterable[str]) -> tuple[str, ...]:
    """Those of `paths` that git has no copy of, sorted."""
    wanted = sorted(set(paths))
    tracked = set(_paths(run(root, "ls-files", "-z", "--cached").output))
    return tuple(path for path in wanted if path not in tracked)


def head(root: Path) -> str:
    """The id of the last commit. Raises Refusal where there is none."""
    answer = run(root, "rev-parse", "--verify", "-q", "HEAD")
    if not answer.ok:
        raise Refusal("the repository has no commit yet", exit_code=2)
    return answer.output.decode().strip()


def commit(root: Path, paths: Iterable[str], message: str, *, keep_open: Sequence[int] = ()) -> None:
    """Commit `paths` (changed, added or gone) and nothing else; git inherits the descriptors `keep_open`.

    Raises Refusal with git's words where it will not.
    """
    names = sorted(set(paths))
    listed = b"\0".join(os.fsencode(name) for name in names)
    arguments = ("--literal-pathspecs", "add", "--all", "--pathspec-from-file=-", "--pathspec-file-nul")
    staged = run(root, *arguments, given=listed, keep_open=keep_open)
    if not staged.ok:
        raise Refusal(f"git cannot stage the migration: {staged.error}")
    done = run(root, "commit", "--quiet", "-m", message, keep_open=keep_open, settings=_NO_UPKEEP)
    if not done.ok:
        words = done.error or done.output.decode("utf-8", "replace").strip()
        raise Refusal(f"git did not commit the migration: {words}")


def start_branch(root: Path, name: str) -> None:
    """Start the branch `name` at the last commit and switch to it. Raises Refusal where git refuses the name."""
    done = run(root, "switch", "--quiet", "--create", name)
    if not done.ok:
        raise Refusal(f"git cannot start the branch {name}: {done.error}")


def branches(root: Path, prefix: str) -> tuple[str, ...]:
    """The branches called `prefix`, and those whose names begin with it and a slash."""
    answer = run(root, "for-each-ref", "--format=%(refname:lstrip=2)", f"refs/heads/{prefix}")
    return tuple(answer.output.decode("utf-8", "replace").splitlines())


def current_branch(root: Path) -> str:
    """The full name of the branch that commits are put on, "" where HEAD is detached."""
    return run(root, "symbolic-ref", "--quiet", "HEAD").output.decode("utf-8", "surrogateescape").rstrip("\n")


def undo_branch(root: Path, name: str, before: str, commit_id: str) -> None:
    """Switch back to `before` ("" for no branch) and delete the branch `name`, which has no commit after `commit_id`.

    The files are not touched. Raises Refusal where git cannot.
    """
    if current_branch(root) == f"refs/heads/{name}":
        there = ("symbolic-ref", "HEAD", before) if before else ("switch", "--quiet", "--detach", commit_id)
        done = run(root, *there)
        if not done.ok:
            raise Refusal(f"git cannot switch back to {before or commit_id[:12]}: {done.error}")
    if name in branches(root, name):
        done = run(root, "update-ref", "-d", f"refs/heads/{name}", commit_id)
        if not done.ok:
            raise Refusal(f"git cannot delete the branch {name}: {done.error}")


def commits_between(root: Path, old: str, new: str) -> tuple[tuple[str, str], ...] | None:
    """Id and subject of the commits after `old` up to `new`, oldest first; None where `new` does not follow `old`."""
    if not run(root, "merge-base", "--is-ancestor", old, new).ok:
        return None
    answer = run(root, "log", "--reverse", "--format=%H %s", f"{old}..{new}")
    lines = answer.output.decode("utf-8", "replace").splitlines()
    return tuple((line.partition(" ")[0], line.partition(" ")[2]) for line in lines)


def back_to(root: Path, commit_id: str) -> None:
    """Make `commit_id` the last commit again and forget what is staged; the work tree is not touched.

    Waits for a moment where the index is locked; a lock that stays is of a git that was killed, and is removed. Raises
    Refusal where git cannot.
    """
    lock = root / os.fsdecode(run(root, "rev-parse", "--git-path", "index.lock").output.rstrip(b"\n"))
    for _ in range(_LOCK_TRIES):
        if not lock.exists():
            break
        time.sleep(_LOCK_PAUSE)
    else:
        lock.unlink(missing_ok=True)
    done = run(root, "reset", "--quiet", "--mixed", commit_id)
    if not done.ok:
        raise Refusal(f"git cannot go back to {commit_id[:12]}: {done.error}")


def _paths(output: bytes) -> tuple[str, ...]:
    return tuple(sorted({os.fsdecode(name) for name in output.split(b"\0") if name}))
