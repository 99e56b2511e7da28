"""The journal of a run that writes: what the tree was, kept in git's folder until the tree is what it should be.

It is written before the first file of the tree is touched and removed after the last. A run that finds one takes back
what the run before it began, or finishes it where only leftovers had to be removed.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import stat
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from torch_stabilize.model import Plan, Refusal
from torch_stabilize.repository import git
from torch_stabilize.writer.files import digest, discard, flush_folder

_FORMAT = 1
_FILE, _BLOBS = "journal.json", "before"
_PATIENCE = 5.0  # seconds for a run that is just ending, or for git, which runs on when its parent is killed


class Operation(NamedTuple):
    """One path of the tree before and after one step; None where there is no file."""

    path: str
    before: bytes | None
    after: bytes | None
    source: str | None = None  # the file whose mode the new one gets


class Entry(NamedTuple):
    """One path as the journal knows it: digests, and the mode that the file had."""

    path: str
    before: str | None
    mode: int | None
    ours: tuple[str, ...]  # what the steps of the run put there
    after: str | None  # what the last of them leaves


@dataclass(frozen=True)
class Journal:
    """What one run is about to do. `head` is the last commit before it, "" where the run commits nothing."""

    folder: Path
    group: str
    entries: tuple[Entry, ...]
    folders: tuple[str, ...]  # those that the run makes
    head: str = ""
    messages: tuple[str, ...] = ()
    made: tuple[str, ...] = ()  # the ids of the commits so far
    done: bool = False
    branch: str = ""  # that the run starts, and the one it was on before
    branch_before: str = ""

    def bytes_before(self, entry: Entry) -> bytes:
        """What the file of `entry` held. Raises OSError where that cannot be read."""
        assert entry.before is not None
        return (self.folder / _BLOBS / entry.before).read_bytes()

    def finished(self) -> Journal:
        """This journal with the note that the tree is as it should be, kept on disk."""
        ended = replace(self, done=True)
        _store(ended)
        return ended

    def committed(self, commit_id: str) -> Journal:
        """This journal with one commit more, kept on disk."""
        further = replace(self, made=(*self.made, commit_id))
        _store(further)
        return further

    def remove(self) -> None:
        """Forget the run."""
        (self.folder / _FILE).unlink(missing_ok=True)
        discard(self.folder)


def operations(plan: Plan) -> tuple[Operation, ...]:
    """`plan` by path instead of by file, paths that stay as they are left out."""
    before: dict[str, bytes | None] = {}
    after: dict[str, tuple[bytes | None, str | None]] = {}
    for file in plan.files:
        if file.old_path is not None:
            before[file.old_path] = file.before
        if file.new_path is not None:
            after[file.new_path] = (file.after, file.old_path)
    made = []
    for path in sorted({*before, *after}):
        data, source = after.get(path, (None, None))
        if path not in before or before[path] != data:
            made.append(Operation(path, before.get(path), data, source))
    return tuple(made)


def begin(
    root: Path,
    group: str,
    steps: Sequence[Sequence[Operation]],
    head: str = "",
    messages: Sequence[str] = (),
    branch: str = "",
) -> Journal:
    """Record what `steps` are about to do to the tree at `root`; nothing of the tree is touched."""
    folder = journal_folder(root)
    discard(folder)  # of a run that ended before its journal began
    blobs = folder / _BLOBS
    blobs.mkdir(parents=True)
    entries = _entries(root, steps)
    for operation in (operation for step in steps for operation in step):
        if operation.before is not None:
            _store_bytes(blobs / digest(operation.before), operation.before)
    flush_folder(blobs)
    journal = Journal(folder, group, entries, _missing_folders(root, entries), head, tuple(messages))
    if branch:
        journal = replace(journal, branch=branch, branch_before=git.current_branch(root))
    _store(journal)
    return journal


def read(root: Path) -> Journal | None:
    """The journal of a run that did not end, None where there is none. Raises Refusal where it cannot be read."""
    folder = journal_folder(root)
    try:
        text = (folder / _FILE).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Refusal(f"cannot read {folder / _FILE}: {error.strerror}") from error
    try:
        document = json.loads(text)
        if document.pop("format") != _FORMAT:
            raise Refusal(f"{folder / _FILE} was written by another version of torch-stabilize: use that one")
        entries = tuple(
            Entry(path, old, mode, tuple(ours), new) for path, old, mode, ours, new in document.pop("entries")
        )
        lists: dict[str, Any] = {key: tuple(document.pop(key)) for key in ("folders", "messages", "made")}
        return Journal(folder, entries=entries, **lists, **document)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Refusal(f"{folder / _FILE} is damaged: {error}; look at the tree, then remove that file") from error


def journal_folder(root: Path) -> Path:
    """Where the journal of the work tree at `root` lies: in the folder that git keeps for this work tree."""
    return git.folder_of(root) / git.OWN_FOLDER


@contextmanager
def locked(root: Path) -> Iterator[int]:
    """Hold the tree at `root` alone while the block runs. Raises Refusal where another run holds it.

    The descriptor that is yielded can be handed to child processes: what still works for a run that was killed keeps
    the next one waiting.
    """
    try:
        handle = os.open(git.folder_of(root), os.O_RDONLY)
    except OSError as error:
        raise Refusal(f"cannot open {git.folder_of(root)}: {error.strerror}") from error
    try:
        until = time.monotonic() + _PATIENCE
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    raise Refusal("another run of torch-stabilize is writing to this tree: wait for it") from None
                time.sleep(0.05)
            except OSError as error:
                raise Refusal(f"cannot lock {git.folder_of(root)}: {error.strerror}") from error
        yield handle
    finally:
        os.close(handle)


def _entries(root: Path, steps: Sequence[Sequence[Operation]]) -> tuple[Entry, ...]:
    found: dict[str, Entry] = {}
    for operation in (operation for step in steps for operation in step):
        before = None if operation.before is None else digest(operation.before)
        after = None if operation.after is None else digest(operation.after)
        known = found.get(operation.path)
        if known is None:
            mode = None if before is None else stat.S_IMODE((root / operation.path).lstat().st_mode)
            known = Entry(operation.path, before, mode, (), None)
        ours = known.ours if after is None else (*known.ours, after)
        found[operation.path] = known._replace(ours=ours, after=after)
    return tuple(found.values())


def _missing_folders(root: Path, entries: Sequence[Entry]) -> tuple[str, ...]:
    """The folders that have to be made, outer ones first."""
    missing: set[str] = set()
    for entry in entries:
        folder = (root / entry.path).parent
        while not folder.exists():
            missing.add(folder.relative_to(root).as_posix())
            folder = folder.parent
    return tuple(sorted(missing, key=lambda path: (path.count("/"), path)))


def _store(journal: Journal) -> None:
    document = {"format": _FORMAT, **asdict(journal)}
    del document["folder"]
    place = journal.folder / _FILE
    temporary = place.with_suffix(".tmp")
    temporary.unlink(missing_ok=True)
    _store_bytes(temporary, json.dumps(document, indent=1).encode())  # escapes what is not ASCII: any name fits
    os.replace(temporary, place)
    with contextlib.suppress(OSError):  # the journal says what it should: from here on nothing may be taken back for it
        flush_folder(journal.folder)


def _store_bytes(place: Path, data: bytes) -> None:
    if place.exists():  # two files with the same bytes
        return
    with open(place, "xb") as stream:
        sys.audit("torch_stabilize.write", str(place))
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
