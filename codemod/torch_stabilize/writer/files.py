"""The file operations of the writer: each leaves a file either as it was or as it should be, and none replaces unseen.

A temporary file lies in the folder of the file it is for, so that both are on one file system. Its name is visible and
ends in no suffix that a build collects.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import sys
from collections.abc import Callable, Collection
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

from torch_stabilize.model import Refusal

STAGED = ".torch-stabilize-new"
ASIDE = ".torch-stabilize-old"  # only where the system cannot exchange two files
_UNSUPPORTED = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EPERM)


class ChangedMeanwhile(Refusal):
    """Somebody saved a file between the moment it was compared and the moment it was replaced."""


def staged(place: Path) -> Path:
    """Where the new bytes of `place` are written first, and its old bytes lie after the exchange."""
    return place.with_name(place.name + STAGED)


def aside(place: Path) -> Path:
    """Where the old bytes of `place` lie while two files are exchanged by renaming."""
    return place.with_name(place.name + ASIDE)


def digest(data: bytes) -> str:
    """What a journal knows bytes by."""
    return sha256(data).hexdigest()


def digest_of(place: Path) -> str | None:
    """The digest of the file at `place`, None where there is none."""
    try:
        return digest(place.read_bytes())
    except FileNotFoundError:
        return None


def stage(place: Path, data: bytes, mode: int | None) -> Path:
    """Write `data` to the temporary file of `place` and return it. Raises FileExistsError where one is there."""
    temporary = staged(place)
    with open(temporary, "xb") as stream:
        sys.audit("torch_stabilize.write", str(temporary))
        stream.write(data)
        stream.flush()
        sys.audit("torch_stabilize.fsync", str(temporary))
        os.fsync(stream.fileno())
    if mode is not None:
        temporary.chmod(mode)
    return temporary


def replace_file(place: Path, temporary: Path) -> None:
    """Exchange the files at `place` and `temporary`; neither is gone at any moment, whatever the system offers."""
    exchange = _exchange()
    if exchange is not None:
        sys.audit("torch_stabilize.exchange", str(place), str(temporary))
        if exchange(os.fsencode(temporary), os.fsencode(place)):
            return
    third = aside(place)
    _without_replacing(place, third)
    try:
        _without_replacing(temporary, place)
    except BaseException:
        _without_replacing(third, place)
        raise
    os.rename(third, temporary)


def place_file(temporary: Path, place: Path) -> None:
    """Give the file `temporary` the name `place`. Raises FileExistsError where a file of that name appeared."""
    _without_replacing(temporary, place)


def remove_file(place: Path, expected: Collection[str]) -> None:
    """Remove the file at `place` if its digest is one of `expected`; else put it back and raise ChangedMeanwhile."""
    temporary = staged(place)
    _without_replacing(place, temporary)
    if digest_of(temporary) not in expected:
        _without_replacing(temporary, place)
        raise ChangedMeanwhile(f"{place.name} was saved meanwhile")
    os.unlink(temporary)


def make_folder(folder: Path) -> None:
    """Make `folder` and those above it that are missing."""
    if not folder.is_dir():
        make_folder(folder.parent)
        try:
            folder.mkdir()
        except FileExistsError:  # somebody else was quicker
            if not folder.is_dir():
                raise


def remove_empty(folder: Path, root: Path) -> None:
    """Remove `folder` and those above it, up to `root`, as far as they are empty."""
    while folder != root and folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent


def discard(folder: Path) -> None:
    """Remove `folder` with everything in it, as far as that is possible."""
    with contextlib.suppress(OSError):
        shutil.rmtree(folder)


def flush_folder(folder: Path) -> None:
    """Make sure that the names in `folder` survive a loss of power, where the system can."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
    finally:
        os.close(handle)


def _without_replacing(source: Path, target: Path) -> None:
    """Rename, but never over a file that is there. A second name is the portable way; not all file systems have it."""
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as error:
        if error.errno not in (*_UNSUPPORTED, errno.EMLINK):
            raise
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from error
        os.rename(source, target)
    else:
        os.unlink(source)


@lru_cache(maxsize=1)
def _exchange() -> Callable[[bytes, bytes], bool] | None:
    """The system call that exchanges two names, None where there is none. It answers False where it is unsupported."""
    import ctypes

    library = ctypes.CDLL(None, use_errno=True)
    if hasattr(library, "renameat2"):
        here, flag, function = -100, 2, library.renameat2  # AT_FDCWD, RENAME_EXCHANGE

        def call(one: bytes, other: bytes) -> int:
            return int(function(here, one, here, other, flag))

    elif hasattr(library, "renamex_np"):
        swap, renamex = 2, library.renamex_np  # RENAME_SWAP

        def call(one: bytes, other: bytes) -> int:
            return int(renamex(one, other, swap))

    else:
        return None

    def exchange(one: bytes, other: bytes) -> bool:
        if call(one, other) == 0:
            return True
        number = ctypes.get_errno()
        if number in _UNSUPPORTED:
            return False
        raise OSError(number, os.strerror(number), os.fsdecode(other))

    return exchange
