"""What every verb that reads a repository starts with, and what they print with."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import click

from torch_stabilize.config import Config, load_config
from torch_stabilize.layout.nearest import layout_for, other_layouts
from torch_stabilize.model import Refusal
from torch_stabilize.repository import git
from torch_stabilize.repository.building_torch import BuildingTorch, building_torch
from torch_stabilize.repository.layout import Layout
from torch_stabilize.repository.snapshot import Snapshot, open_snapshot


class Workspace(NamedTuple):
    """A repository as a run sees it."""

    snapshot: Snapshot
    config: Config
    layout: Layout

    @property
    def others(self) -> tuple[Layout, ...]:
        """The layouts of the repository's other extensions, for a run that names none of their files."""
        return other_layouts(self.snapshot, self.config, self.layout)

    def headers(self, target: str, given: str | None = None) -> BuildingTorch:
        """The torch whose headers build for `target`. Raises Refusal (exit 2) where they cannot."""
        return building_torch(self.snapshot, self.config, self.layout.project_root, target, given or "")


def open_workspace(start: Path = Path(), names: tuple[str, ...] = (), *, reads_only: bool = False) -> Workspace:
    """The repository around `start`, with its settings and the layout of the extension that `names` belong to.

    A run that `reads_only` takes a folder outside of any repository too. Raises Refusal where there is none to work on.
    """
    snapshot = open_tree(start, reads_only=reads_only)
    config = load_config(snapshot)
    return Workspace(snapshot, config, layout_for(snapshot, config, names))


def open_tree(start: Path = Path(), *, reads_only: bool = False) -> Snapshot:
    """The repository around `start`, put right first where a run was stopped while it wrote, which is said on stderr.

    Raises Refusal where there is none, unless the run `reads_only`, or where another run is writing to it.
    """
    folder = start.resolve()
    root = next((one for one in (folder, *folder.parents) if (one / ".git").exists()), None)
    if root is not None and (git.folder_of(root) / git.OWN_FOLDER).exists():
        from torch_stabilize.writer import recover

        recovered = recover(root)
        if recovered:
            click.echo(f"torch-stabilize: {recovered}", err=True)
    return open_snapshot(start, without_git=reads_only)


def tree_path(snapshot: Snapshot, path: Path) -> str:
    """`path` (relative to the working directory) from the root of the repository, "" for the root.

    Raises Refusal (exit 2) where it does not exist or lies outside.
    """
    if not path.exists():
        raise Refusal(f"no such file or folder: {path}", exit_code=2)
    try:
        relative = path.resolve().relative_to(snapshot.root.resolve()).as_posix()
    except ValueError:
        raise Refusal(f"{path} is outside of the repository {snapshot.root}", exit_code=2) from None
    return "" if relative == "." else relative


@contextmanager
def progress(text: str) -> Iterator[None]:
    """Show `text` with a spinner while the block runs, where stderr is a terminal."""
    if not sys.stderr.isatty():
        yield
        return
    from torch_stabilize.report.lines import rich_console

    with rich_console(sys.stderr).status(text):
        yield
