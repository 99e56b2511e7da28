"""Lay generated C++ out the way the repository does: clang-format with the repository's own configuration."""

from __future__ import annotations

import functools
import subprocess
from pathlib import Path

from codemod.repository.snapshot import Snapshot

_DEFAULT = "{BasedOnStyle: Google, ColumnLimit: 80, DerivePointerAlignment: false, PointerAlignment: Left}"


def style_for(snapshot: Snapshot, path: str) -> str:
    """The `--style` that clang-format gets for `path`: the nearest `.clang-format` above it, or a plain default."""
    folder = Path(path).parent
    for place in (folder, *folder.parents):
        candidate = (place / ".clang-format").as_posix()
        if snapshot.exists(candidate):
            return f"file:{snapshot.root / candidate}"
    return _DEFAULT


@functools.lru_cache(maxsize=1024)
def formatted(text: str, style: str, *, head: str = "") -> str:
    """`text` formatted; `head` is a line that opens a brace around it (`void f() {`), not part of the result.

    Where clang-format cannot run, the text comes back as it was.
    """
    framed = f"{head}\n{text}\n}}\n" if head else text
    done = _run(framed, style)
    if done is None:
        return text
    if not head:
        return done
    opening = done.index("{\n") + 2
    return done[opening : done.rstrip().rindex("}")].rstrip("\n")


def _run(text: str, style: str) -> str | None:
    try:
        from clang_format import get_executable

        done = subprocess.run(
            [get_executable("clang-format"), f"--style={style}", "--assume-filename=bindings.cpp", "--sort-includes=0"],
            input=text.encode("utf-8", "surrogateescape"),
            capture_output=True,
            check=False,
        )
    except (ImportError, OSError):
        return None
    return done.stdout.decode("utf-8", "surrogateescape") if done.returncode == 0 else None
