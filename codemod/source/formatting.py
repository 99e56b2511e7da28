"""Format what an edit changed, and nothing else, by the repository's own .clang-format."""

from __future__ import annotations

import functools
import shutil
import subprocess
import tempfile
from fnmatch import fnmatchcase
from pathlib import Path
from posixpath import basename, dirname, relpath

from codemod.diff import changed_ranges, split_lines
from codemod.model import Refusal
from codemod.repository.snapshot import Snapshot

STYLE_FILES = (".clang-format", "_clang-format")
IGNORE_FILE = ".clang-format-ignore"
_MOST_PASSES = 4


def style_for(snapshot: Snapshot, path: str) -> bytes | None:
    """The text of the .clang-format that governs `path`; None where there is none or the file is to be ignored."""
    folder = dirname(path)
    while True:
        prefix = f"{folder}/" if folder else ""
        if snapshot.exists(prefix + IGNORE_FILE) and _is_ignored(snapshot.read(prefix + IGNORE_FILE), folder, path):
            return None
        for name in STYLE_FILES:
            if snapshot.exists(prefix + name):
                return snapshot.read(prefix + name)
        if not folder:
            return None
        folder = dirname(folder)


def format_changed(path: str, before: bytes, after: bytes, style: bytes | None) -> bytes:
    """`after` with the lines that differ from `before` formatted by clang-format; as it is where `style` is None.

    A statement is formatted whole where one of its lines changed, and so are the backslashes of a macro. The result is
    a fixed point: formatting it again changes nothing. `path` tells clang-format the language. Raises Refusal where
    clang-format is missing or cannot read the style.
    """
    if style is None or before == after:
        return after
    old = split_lines(before)
    current = after
    # A statement that was wrapped anew has other changed lines than before, and they may settle differently.
    for _ in range(_MOST_PASSES):
        formatted = _format_lines(path, current, _changed_lines(old, split_lines(current)), style)
        if formatted == current:
            break
        current = formatted
    return current


def _changed_lines(before: list[bytes], after: list[bytes]) -> list[tuple[int, int]]:
    """First and last line of every changed stretch of `after`, counted from 1; what was only removed has none."""
    opcodes = changed_ranges(before, after)
    return [(start + 1, end) for tag, _, _, start, end in opcodes if tag != "equal" and end > start]


def _format_lines(path: str, data: bytes, lines: list[tuple[int, int]], style: bytes) -> bytes:
    if not lines:
        return data
    with tempfile.TemporaryDirectory(prefix="torch-stabilize-") as folder:
        style_file = Path(folder) / STYLE_FILES[0]
        style_file.write_bytes(style)
        command = [
            _executable(),
            f"--style=file:{style_file}",
            "--Wno-error=unknown",  # an option newer than this clang-format is no reason to stop
            f"--assume-filename={Path(folder) / basename(path)}",
            *(f"--lines={start}:{end}" for start, end in lines),
        ]
        done = subprocess.run(command, input=data, capture_output=True, check=False)
    if done.returncode != 0:
        words = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise Refusal(f"clang-format cannot format {path}: {words[0] if words else 'it failed'}")
    return done.stdout


@functools.cache
def _executable() -> str:
    """The clang-format of the Python package, or the one on PATH."""
    try:
        from clang_format import get_executable  # type: ignore[import-untyped, unused-ignore]
    except ImportError:
        found = shutil.which("clang-format")
    else:
        found = str(get_executable("clang-format"))
    if found is None:
        raise Refusal("clang-format is not installed: pip install clang-format")
    return found


def _is_ignored(patterns: bytes, folder: str, path: str) -> bool:
    """Whether a .clang-format-ignore in `folder` names `path`; the last pattern that matches decides."""
    below = relpath(path, folder or ".")
    ignored = False
    for line in patterns.decode("utf-8", "replace").splitlines():
        pattern = line.strip()
        if pattern and not pattern.startswith("#"):
            negated = pattern.startswith("!")
            if fnmatchcase(below, pattern[negated:].lstrip()):
                ignored = not negated
    return ignored
