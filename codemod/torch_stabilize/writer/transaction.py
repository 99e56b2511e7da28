"""One step of a run: the files change together, and each can be put back as long as the journal is there."""

from __future__ import annotations

import os
import signal
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from torch_stabilize.writer.files import (
    ChangedMeanwhile,
    digest,
    digest_of,
    flush_folder,
    make_folder,
    place_file,
    remove_empty,
    replace_file,
    stage,
    staged,
)
from torch_stabilize.writer.journal import Operation

_HELD = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def apply(root: Path, operations: Sequence[Operation]) -> None:
    """Do `operations` below `root` and compare what was replaced with what was read.

    New files appear before old ones go, so that whatever a file held has a name at every moment. Raises OSError, or
    ChangedMeanwhile where a file was saved in the meantime; what was done until then stays, for the journal to undo.
    """
    for operation in operations:
        if operation.after is not None:
            place = root / operation.path
            make_folder(place.parent)
            stage(place, operation.after, _mode(root, operation))
    for operation in operations:
        place = root / operation.path
        if operation.after is None:
            continue
        if operation.before is None:
            _appear(place, operation.path)
        else:
            replace_file(place, staged(place))
    for operation in operations:
        if operation.after is None:
            place = root / operation.path
            place_file(place, staged(place))
    _compare(root, operations)
    for folder in {(root / operation.path).parent for operation in operations}:
        flush_folder(folder)


def tidy(root: Path, operations: Sequence[Operation]) -> tuple[str, ...]:
    """Remove what `apply` put out of the way, and folders that are left empty.

    What somebody changed at the last moment is kept; the names of such files are the answer.
    """
    kept = []
    for operation in operations:
        place = staged(root / operation.path)
        if operation.before is None or not os.path.lexists(place):
            continue
        if digest_of(place) == digest(operation.before):
            os.unlink(place)
        else:
            kept.append(place.relative_to(root).as_posix())
    for operation in operations:
        if operation.after is None:
            remove_empty((root / operation.path).parent, root)
    return tuple(kept)


@contextmanager
def signals_held() -> Iterator[None]:
    """Let signals that end the process wait while the block runs: it is short, and half of it is what nobody wants."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _HELD)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _appear(place: Path, path: str) -> None:
    try:
        place_file(staged(place), place)
    except FileExistsError:
        raise ChangedMeanwhile(f"{path} appeared while the migration was written: run again") from None


def _compare(root: Path, operations: Sequence[Operation]) -> None:
    for operation in operations:
        if operation.before is not None and digest_of(staged(root / operation.path)) != digest(operation.before):
            raise ChangedMeanwhile(f"{operation.path} was saved while the migration was written: run again")


def _mode(root: Path, operation: Operation) -> int | None:
    """The mode of the file that is moved or edited, None for a new one."""
    if operation.source is None:
        return None
    return stat.S_IMODE((root / operation.source).lstat().st_mode)
