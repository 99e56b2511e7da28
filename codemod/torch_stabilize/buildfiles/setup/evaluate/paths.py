"""Paths and globs as a setup file computes them, answered from the tree that was read."""

from __future__ import annotations

import posixpath
import re
from bisect import bisect_left
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import NamedTuple

from torch_stabilize.buildfiles.setup.evaluate.values import ABOVE, ROOT
from torch_stabilize.repository.snapshot import Snapshot
from torch_stabilize.source.document import SOURCE_SUFFIXES

MAGIC = re.compile(r"[*?\[]")


def place(text: str, folder: str) -> str | None:
    """The repository path of `text`, a path as a setup file in `folder` writes it; None for one outside."""
    if text == ROOT or text.startswith(ABOVE):
        text = posixpath.relpath(text, ROOT)
    found = posixpath.normpath(posixpath.join(folder, text))
    return None if found.startswith(("/", "..")) else found


def matches(path: str, pattern: str, *, recursive: bool) -> bool:
    """Whether a glob finds `path`."""
    return _matches(path.split("/"), pattern.split("/"), recursive)


def _matches(parts: Sequence[str], patterns: Sequence[str], recursive: bool) -> bool:
    if not patterns:
        return not parts
    if patterns[0] == "**" and recursive:
        return any(_matches(parts[skipped:], patterns[1:], recursive) for skipped in range(len(parts) + 1))
    is_hidden = bool(parts) and parts[0].startswith(".") and not patterns[0].startswith(".")
    if not parts or is_hidden or not fnmatchcase(parts[0], patterns[0]):
        return False
    return _matches(parts[1:], patterns[1:], recursive)


def found_by(snapshot: Snapshot, text: str, folder: str, *, recursive: bool) -> list[str] | None:
    """The paths that `glob.glob(text)` gives, as it writes them; None where it looks outside of the repository."""
    magic = MAGIC.search(text)
    start = text[: text.rfind("/", 0, magic.start()) + 1] if magic else posixpath.dirname(text) + "/"
    start = "" if start == "/" and not text.startswith("/") else start
    below, pattern = place(start or ".", folder), place(text, folder)
    if below is None or pattern is None:
        return None
    below = "" if below == "." else below
    found = [f for f in snapshot.below(below) if matches(f, pattern, recursive=recursive)]
    return [start + path[len(below) :].lstrip("/") for path in found]


def exists(snapshot: Snapshot, text: str, folder: str, *, wanted: str = "any") -> bool | None:
    """Whether a path is a file or folder of the tree; None where the tree that is built may have it all the same.

    A source that is not there is missing where the folder that it would lie in is known; anything else may be a
    submodule, or made by the build.
    """
    path = place(text, folder)
    if path is None:
        return None
    if wanted != "folder" and snapshot.exists(path):
        return True
    if wanted != "file" and (path == "." or _is_folder(snapshot, path)):
        return True
    return False if path.endswith(SOURCE_SUFFIXES) and _is_folder(snapshot, posixpath.dirname(path)) else None


def _is_folder(snapshot: Snapshot, path: str) -> bool:
    below = f"{path}/" if path else ""
    first = bisect_left(snapshot.files, below)
    return first < len(snapshot.files) and snapshot.files[first].startswith(below)


def listed(snapshot: Snapshot, text: str, folder: str) -> list[str] | None:
    """The names that `os.listdir(text)` gives; None where the folder is not part of the tree."""
    path = place(text, folder)
    if path is None or not _is_folder(snapshot, "" if path == "." else path):
        return None
    prefix = "" if path == "." else f"{path}/"
    return sorted({name.removeprefix(prefix).partition("/")[0] for name in snapshot.below(prefix.rstrip("/"))})


class Walked(NamedTuple):
    """One round of `os.walk`: a folder as the file writes it, and the names in it."""

    folder: str
    folders: tuple[str, ...]
    files: tuple[str, ...]


def walked(snapshot: Snapshot, text: str, folder: str) -> list[Walked] | None:
    """What `os.walk(text)` gives, outside in; None where the folder is not part of the tree."""
    path = place(text, folder)
    if path is None or not _is_folder(snapshot, "" if path == "." else path):
        return None
    start = "" if path == "." else path
    files: dict[str, list[str]] = {}
    folders: dict[str, set[str]] = {}
    for found in snapshot.below(start):
        inside = found.removeprefix(f"{start}/") if start else found
        parent, name = posixpath.split(inside)
        files.setdefault(parent, []).append(name)
        while parent:
            parent, name = posixpath.split(parent)
            folders.setdefault(parent, set()).add(name)
    below = sorted({*files, *folders}, key=lambda one: one.split("/") if one else [])
    return [
        Walked(
            posixpath.join(text, one) if one else text,
            tuple(sorted(folders.get(one, ()))),
            tuple(sorted(files.get(one, ()))),
        )
        for one in below
    ]


def of_path(function: str, values: Sequence[str]) -> str | None:
    """What a function of os.path makes of paths."""
    if function == "join":
        return posixpath.join(*values)
    first = values[0]
    if function in ("abspath", "realpath"):
        return posixpath.normpath(posixpath.join(ROOT, first))
    if function in ("dirname", "basename", "normpath"):
        text: str = getattr(posixpath, function)(first)
        return text
    if function in ("expanduser", "expandvars", "normcase"):
        return None if first.startswith("~") or "$" in first else first
    if function == "relpath":
        paths = [posixpath.join(ROOT, value) for value in values]
        return posixpath.relpath(paths[0], paths[1] if len(paths) > 1 else ROOT)
    return None
