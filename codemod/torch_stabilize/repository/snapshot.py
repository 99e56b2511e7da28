"""The repository as it was read: paths and bytes. Everything before the writer sees the tree through this."""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from torch_stabilize.model import Refusal
from torch_stabilize.repository import git
from torch_stabilize.source.document import Document

Derived = TypeVar("Derived")
_KEPT = 64_000_000  # bytes of files that are kept, more than most trees have; others are read again
_VERSIONS = 3  # of a file whose documents are kept: the tree as it is, as it will be, and in between


class _Kept(dict[str, bytes]):
    """The files that were read last, as many as fit."""

    def __init__(self) -> None:
        super().__init__()
        self.documents: dict[str, list[Document]] = {}  # of these very bytes, or of overlays
        self._size = 0

    def keep(self, path: str, data: bytes) -> None:
        """Keep `data`, and forget what was read first where that is too much."""
        self[path] = data
        self._size += len(data)
        while self._size > _KEPT and len(self) > 1:
            oldest = next(iter(self))
            self._size -= len(self.pop(oldest))
            self.documents.pop(oldest, None)


@dataclass(frozen=True)
class Snapshot:
    """Files of a git work tree (tracked, and untracked ones git does not ignore), read on first use; the last are kept.

    `overlay` holds bytes that stand in for the file's own: how a plan is looked at before it is written. `start` is the
    folder the run was started in, "" for the root: what a user's relative path is relative to, and what tells one
    extension of a monorepo from another.
    """

    root: Path
    files: tuple[str, ...]
    overlay: Mapping[str, bytes] = field(default_factory=dict)
    _read: _Kept = field(default_factory=_Kept, compare=False, repr=False)
    start: str = ""
    absent: tuple[str, ...] = ()  # tracked, but not in the work tree: left out by a sparse checkout, or deleted
    submodules: tuple[str, ...] = ()  # folders that are repositories of their own and are not read
    _derived: dict[Hashable, Any] = field(init=False, default_factory=dict, compare=False, repr=False)

    def exists(self, path: str) -> bool:
        """Whether `path` is a file of the tree."""
        return path in self._paths

    @property
    def names(self) -> frozenset[str]:
        """What the files of the tree are called, without their folders."""
        return self.once("names", lambda: frozenset(path.rpartition("/")[2] for path in self.files))

    def read(self, path: str) -> bytes:
        """The bytes of `path`. Raises Refusal where it cannot be read."""
        if path in self.overlay:
            return self.overlay[path]
        known = self._read.get(path)
        if known is None:
            try:
                with open(os.path.join(self._place, path), "rb", buffering=0) as file:
                    known = file.readall()
            except OSError as error:
                raise Refusal(f"cannot read {path}: {error.strerror}") from error
            self._read.keep(path, known)
        return known

    def document(self, path: str) -> Document:
        """The source file `path`, masked and parsed once for everybody who asks. Raises Refusal as `read` does."""
        data = self.read(path)
        known = self._read.documents.setdefault(path, [])
        for document in known:
            if document.data is data:
                return document
        known.insert(0, Document(path, data))
        del known[_VERSIONS:]
        return known[0]

    def once(self, key: Hashable, make: Callable[[], Derived]) -> Derived:
        """What `make` reads off the tree, made by the first who asks for `key`; another overlay is another tree."""
        if key not in self._derived:
            self._derived[key] = make()
        found: Derived = self._derived[key]
        return found

    def below(self, folder: str, suffixes: tuple[str, ...] = ()) -> tuple[str, ...]:
        """The files in `folder` ("" is the root) and under it, with one of `suffixes` if any are given, sorted."""
        return self.once(("below", folder, suffixes), lambda: self._below(folder, suffixes))

    def _below(self, folder: str, suffixes: tuple[str, ...]) -> tuple[str, ...]:
        files: Sequence[str] = self.files
        if folder:  # they are sorted: what begins alike lies together, and "0" is what comes after "/"
            files = files[bisect_left(files, f"{folder}/") : bisect_left(files, f"{folder}0")]
        return tuple(f for f in files if f.endswith(suffixes)) if suffixes else tuple(files)

    def with_overlay(self, changed: Mapping[str, bytes]) -> Snapshot:
        """The same tree with the bytes of some files replaced, and files that were not there added."""
        overlay = {**self.overlay, **changed}
        return replace(self, files=tuple(sorted({*self.files, *changed})), overlay=overlay)

    @cached_property
    def _paths(self) -> frozenset[str]:
        return frozenset(self.files)

    @cached_property
    def _place(self) -> str:
        return os.fspath(self.root)


def open_snapshot(start: Path, *, without_git: bool = False) -> Snapshot:
    """The git work tree that `start` lies in.

    Where there is none, the folder `start` if `without_git` says that reading is enough, else Refusal (exit 2).
    """
    if not start.exists():
        raise Refusal(f"no such file or folder: {start}", exit_code=2)
    folder = (start if start.is_dir() else start.parent).resolve()
    top = git.run(folder, "rev-parse", "--show-toplevel")
    if not top.ok and without_git:
        return Snapshot(folder, tuple(sorted(_files_below(folder))))
    if not top.ok:
        raise Refusal(f"not a git repository: {start} (run `git init` and commit first)", exit_code=2)
    root = Path(os.fsdecode(top.output.rstrip(b"\n"))).resolve()
    listed = git.run(root, "ls-files", "-z", "--cached", "--others", "--exclude-standard").output
    names = sorted({os.fsdecode(name) for name in listed.split(b"\0") if name})
    below = folder.relative_to(root).as_posix()
    places = {name: os.path.join(root, name) for name in names}
    files = tuple(name for name, place in places.items() if os.path.isfile(place))
    others = sorted(places.keys() - set(files))
    absent = tuple(name for name in others if not os.path.lexists(places[name]))
    folders = (name for name in others if os.path.isdir(places[name]) and not os.path.islink(places[name]))
    submodules = tuple(name.rstrip("/") for name in folders)
    return Snapshot(root, files, start="" if below == "." else below, absent=absent, submodules=submodules)


def _files_below(root: Path) -> Iterator[str]:
    """The files of a folder that git knows nothing about, but for hidden ones: tools keep theirs there."""
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            place = os.path.join(folder, name)
            if not name.startswith(".") and os.path.isfile(place):
                yield os.path.relpath(place, root).replace(os.sep, "/")
