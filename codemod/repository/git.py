"""The questions this tool asks git, and the commits it makes."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from codemod.model import Refusal


class Answer(NamedTuple):
    """What a git command printed, and whether it succeeded."""

    ok: bool
    output: bytes
    error: str


def run(folder: Path, *arguments: str, given: bytes = b"") -> Answer:
    """Run git in `folder`. Raises Refusal where git is not installed; a failing command is an answer too."""
    try:
        done = subprocess.run(["git", *arguments], cwd=folder, input=given, capture_output=True, check=False)
    except FileNotFoundError as error:
        raise Refusal("git is not installed") from error
    return Answer(done.returncode == 0, done.stdout, done.stderr.decode("utf-8", "replace").strip())


def modified_files(root: Path) -> tuple[str, ...]:
    """Tracked files that differ from the last commit, staged or not, sorted."""
    if run(root, "rev-parse", "--verify", "-q", "HEAD").ok:
        answer = run(root, "diff", "--name-only", "--no-renames", "--ignore-submodules", "-z", "HEAD")
    else:  # nothing was ever committed: whatever is staged would be lost
        answer = run(root, "ls-files", "-z", "--cached")
    if not answer.ok:
        raise Refusal(f"git cannot compare the work tree: {answer.error}")
    return _paths(answer.output)


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


def commit(root: Path, paths: Iterable[str], message: str) -> None:
    """Commit `paths` (changed, added or gone) and nothing else. Raises Refusal with git's words where it will not."""
    names = sorted(set(paths))
    listed = b"\0".join(os.fsencode(name) for name in names)
    staged = run(
        root, "--literal-pathspecs", "add", "--all", "--pathspec-from-file=-", "--pathspec-file-nul", given=listed
    )
    if not staged.ok:
        raise Refusal(f"git cannot stage the migration: {staged.error}")
    done = run(root, "commit", "--quiet", "-m", message)
    if not done.ok:
        words = done.error or done.output.decode("utf-8", "replace").strip()
        raise Refusal(f"git did not commit the migration: {words}")


def back_to(root: Path, commit_id: str) -> None:
    """Make `commit_id` the last commit again and forget what is staged; the work tree is not touched."""
    run(root, "reset", "--quiet", "--mixed", commit_id)


def _paths(output: bytes) -> tuple[str, ...]:
    return tuple(sorted({os.fsdecode(name) for name in output.split(b"\0") if name}))
