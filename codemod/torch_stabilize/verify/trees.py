"""The tree of the legacy side: a commit laid out in the build directory, or a folder somebody names."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass
from pathlib import Path
from posixpath import normpath

from torch_stabilize.config import Config, load_config
from torch_stabilize.layout.nearest import layout_for
from torch_stabilize.model import Refusal
from torch_stabilize.program.groups import resolve_group
from torch_stabilize.repository import git
from torch_stabilize.repository.layout import Group, Layout
from torch_stabilize.repository.snapshot import Snapshot
from torch_stabilize.repository.unstable import holds_unstable_names

SEARCHED_COMMITS = 60


@dataclass(frozen=True)
class Tree:
    """A tree as a verification sees it. `label` says where it came from: a commit or a folder."""

    label: str
    snapshot: Snapshot
    config: Config
    layout: Layout


def read_tree(snapshot: Snapshot, label: str, names: tuple[str, ...] = ()) -> Tree:
    """The tree of `snapshot`, its settings and the layout of the extension that `names` belong to. Raises Refusal."""
    config = load_config(snapshot)
    return Tree(label, snapshot, config, layout_for(snapshot, config, names))


def folder_tree(folder: Path, start: str, names: tuple[str, ...] = ()) -> Tree:
    """The tree in `folder`, which need not be a repository."""
    root = folder.resolve()
    files = sorted(
        path.relative_to(root).as_posix()
        for path in root.rglob("*")
        if path.is_file() and ".git" not in path.relative_to(root).parts
    )
    return read_tree(Snapshot(root, tuple(files), start=start), str(folder), names)


def legacy_tree(work: Tree, names: tuple[str, ...], wanted: str | None, build_dir: Path) -> tuple[Tree, Group]:
    """The tree before the migration of the group `names`, and the group in it.

    `wanted` is a folder or a revision; without it, the last commit in which the group is legacy, looked for from the
    last commit back. Raises Refusal where there is none.
    """
    start = work.snapshot.start
    if wanted is not None and Path(wanted).is_dir():
        tree = folder_tree(Path(wanted), start, names)
        return tree, _resolve(tree, names)
    root = work.snapshot.root
    if wanted is not None:
        tree = commit_tree(root, _commit(root, wanted), build_dir, start, names)
        return tree, _resolve(tree, names)
    last_refusal: Refusal | None = None
    for commit in _candidates(work, names):
        tree = commit_tree(root, commit, build_dir, start, names)
        try:
            group = resolve_group(tree.snapshot, tree.layout, tree.config, names)
        except Refusal as refusal:
            last_refusal = last_refusal or refusal
            continue
        if any(_has_migrated(path, tree, work) for path in group.units):
            return tree, group
    if last_refusal is not None:
        raise last_refusal
    raise Refusal(f"{', '.join(names)} is not migrated: its units are what they were in every commit", exit_code=2)


def commit_tree(root: Path, commit: str, build_dir: Path, start: str, names: tuple[str, ...] = ()) -> Tree:
    """Lay `commit` out in `build_dir`, unless it is there, and read it. Others that were laid out before are removed.

    Neither the index nor the list of work trees of the repository is touched.
    """
    home = build_dir / "trees"
    place = home / commit[:12]
    done = home / f"{commit[:12]}.done"
    if not done.exists():
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True, exist_ok=True)
        environment = {**os.environ, "GIT_INDEX_FILE": str(home / "index")}
        for arguments in (["read-tree", commit], ["checkout-index", "--all", "--force", f"--prefix={place}/"]):
            ran = subprocess.run(["git", *arguments], cwd=root, env=environment, capture_output=True, check=False)
            if ran.returncode:
                words = ran.stderr.decode("utf-8", "replace").strip()
                raise Refusal(f"cannot lay out {commit[:12]}: {words}")
        done.touch()
    listed = git.run(root, "ls-tree", "-r", "-z", "--name-only", commit).output
    files = sorted(os.fsdecode(name) for name in listed.split(b"\0") if name)
    present = tuple(name for name in files if (place / name).is_file())
    return read_tree(Snapshot(place.resolve(), present, start=start), commit[:12], names)


def laid_out(build_dir: Path) -> frozenset[str]:
    """The names of the commits that are laid out."""
    return frozenset(path.name for path in (build_dir / "trees").glob("*") if path.is_dir())


def forget_trees(build_dir: Path, keep: Container[str]) -> None:
    """Remove the commits that are laid out, but those in `keep`."""
    for path in (build_dir / "trees").glob("*"):
        if path.is_dir() and path.name not in keep:
            shutil.rmtree(path, ignore_errors=True)
            path.with_name(f"{path.name}.done").unlink(missing_ok=True)


def landed(legacy: Tree, work: Tree) -> Callable[[str], str | None]:
    """Where a file of the legacy tree is after the migration: at its landing place, or where it was; else None."""

    def find(path: str) -> str | None:
        for place in (work.layout.landing(path), legacy.layout.landing(path), path):
            if work.snapshot.exists(place):
                return place
        return None

    return find


def _has_migrated(unit: str, legacy: Tree, work: Tree) -> bool:
    """Whether a unit of the legacy tree has moved since, or is stable where it was."""
    if not work.snapshot.exists(unit):
        return True
    was_unstable = holds_unstable_names(legacy.snapshot.document(unit))
    return was_unstable and not holds_unstable_names(work.snapshot.document(unit))


def _resolve(tree: Tree, names: tuple[str, ...]) -> Group:
    group = resolve_group(tree.snapshot, tree.layout, tree.config, names)
    if not group.units:
        raise Refusal(f"{', '.join(names)} is stable already in {tree.label}; name an older --legacy", exit_code=2)
    return group


def _candidates(work: Tree, names: tuple[str, ...]) -> Iterator[str]:
    """The last commit, then those before each change of the stable folder or of a named file, newest first.

    No commit of moves alone is among them.
    """
    root, start = work.snapshot.root, work.snapshot.start
    yield _before_moves(root, git.head(root))
    files = [path for name in names for path in (name, normpath(f"{start}/{name}")) if work.snapshot.exists(path)]
    folder = work.layout.stable_root or "."
    shown = git.run(root, "log", "--format=%H", f"--max-count={SEARCHED_COMMITS}", "--", folder, *files)
    for commit in shown.output.decode().split():
        parent = _parent(root, commit)
        if parent is not None:
            yield _before_moves(root, parent)


def _before_moves(root: Path, commit: str) -> str:
    """`commit`, or the one before it where it only moves files: half of a migration, which no build file knows of."""
    shown = git.run(root, "diff-tree", "-r", "-M100%", "-l0", "--name-status", "--no-commit-id", commit)
    changes = shown.output.splitlines()
    parent = _parent(root, commit)
    if parent is None or not changes or not all(change.startswith(b"R100") for change in changes):
        return commit
    return _before_moves(root, parent)


def _parent(root: Path, commit: str) -> str | None:
    answer = git.run(root, "rev-parse", "--verify", "-q", f"{commit}^")
    return answer.output.decode().strip() if answer.ok else None


def _commit(root: Path, revision: str) -> str:
    answer = git.run(root, "rev-parse", "--verify", "-q", f"{revision}^{{commit}}")
    if not answer.ok:
        raise Refusal(f"neither a folder nor a revision: {revision}", exit_code=2)
    return answer.output.decode().strip()
