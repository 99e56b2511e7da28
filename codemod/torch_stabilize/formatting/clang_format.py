"""Format what an edit changed, and nothing else, by the repository's own .clang-format."""

from __future__ import annotations

import functools
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from posixpath import basename, relpath

from torch_stabilize.diff import Opcode, changed_ranges, split_lines
from torch_stabilize.formatting.elision import Lines, Untouched, elide
from torch_stabilize.model import Refusal
from torch_stabilize.repository.snapshot import Snapshot
from torch_stabilize.repository.sources import above, join
from torch_stabilize.source.document import Document

STYLE_FILES = (".clang-format", "_clang-format")
IGNORE_FILE = ".clang-format-ignore"
_OTHER_LANGUAGE = "not support"  # "Configuration file(s) do(es) not support C++": a style for other languages alone
# What clang-format derives from the whole file: the side of `*` where no style says it, line ends, the standard.
_DERIVED_FROM = (b"\r", b"> >")
_OWN_ALIGNMENT = re.compile(rb"\bDerivePointerAlignment\s*:\s*false\b")
_INHERITS = re.compile(rb"^\s*BasedOnStyle\s*:\s*['\"]?InheritParentConfig\b", re.MULTILINE)


def style_for(snapshot: Snapshot, path: str) -> bytes | None:
    """The text of the .clang-format that governs `path`, with what it inherits from the folders above.

    None where there is none or a .clang-format-ignore names the file.
    """
    texts: list[bytes] = []
    for folder in above(path):
        ignore = join(folder, IGNORE_FILE)
        if not texts and snapshot.exists(ignore) and _is_ignored(snapshot.read(ignore), folder, path):
            return None
        found = next((join(folder, name) for name in STYLE_FILES if snapshot.exists(join(folder, name))), None)
        if found is not None:
            texts.insert(0, snapshot.read(found))
            if not _INHERITS.search(texts[0]):
                break
    if len(texts) > 1:
        return _run("its style", b"", tuple(texts), "--dump-config")
    return texts[0] if texts else None


def format_changed(before: Document, after: bytes, style: bytes | None) -> bytes:
    """`after` with the lines that differ from `before` formatted by clang-format; as it is where `style` is None.

    A statement is formatted whole where one of its lines changed, and so are the backslashes of a macro; what was only
    removed is no change. The document's path tells clang-format the language. Raises Refusal where clang-format is
    missing or cannot read the style.
    """
    if style is None or before.data == after:
        return after
    opcodes = changed_ranges(before.data, after)
    changed = [(start, end) for tag, _, _, start, end in opcodes if tag != "equal" and end > start]
    if not changed:
        return after
    is_derived = not _OWN_ALIGNMENT.search(style) or any(sign in after for sign in _DERIVED_FROM)
    gaps = [] if is_derived else _untouched(before, opcodes)
    elided = elide(split_lines(after), gaps)
    options = [f"--lines={elided.line(start) + 1}:{elided.line(end - 1) + 1}" for start, end in changed]
    done = elided.restored(_run(before.path, elided.text, (style,), *options))
    if done is not None:
        return done
    return _run(before.path, after, (style,), *(f"--lines={start + 1}:{end}" for start, end in changed))


def _untouched(before: Document, opcodes: Sequence[Opcode]) -> list[Lines]:
    """The stretches of lines that can be left out while the changed ones are formatted, where they stand now."""
    kept = [(start, end, new - start) for tag, start, end, new, _ in opcodes if tag == "equal"]

    def shift(lines: Lines) -> int | None:
        return next((by for start, end, by in kept if start <= lines[0] and lines[1] <= end), None)

    found = Untouched(before, lambda lines: shift(lines) is not None).stretches() if kept else ()
    return [(lines[0] + by, lines[1] + by) for lines in found if (by := shift(lines)) is not None]


def _run(path: str, data: bytes, styles: tuple[bytes, ...], *options: str) -> bytes:
    """What clang-format makes of `data` under `styles`, each in a folder below the one before."""
    with tempfile.TemporaryDirectory(prefix="torch-stabilize-") as root:
        folder = Path(root)
        for text in styles:
            folder = folder / "in"
            folder.mkdir()
            (folder / STYLE_FILES[0]).write_bytes(text)
        command = [
            _executable(),
            "--style=file",
            "--Wno-error=unknown",  # an option newer than this clang-format is no reason to stop
            f"--assume-filename={folder / basename(path)}",
            *options,
        ]
        done = subprocess.run(command, input=data, capture_output=True, check=False)
    if done.returncode == 0:
        return done.stdout
    words = done.stderr.decode("utf-8", "replace").strip()
    if _OTHER_LANGUAGE in words:
        return data
    raise Refusal(f"clang-format cannot format {path}: {words.splitlines()[0] if words else 'it failed'}")


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
