"""The patterns of CMake's `file(GLOB)`."""

from __future__ import annotations

import functools
import re


def glob_matches(pattern: str, path: str, *, recursive: bool) -> bool:
    """CMake's file(GLOB): `*` stays within one folder; GLOB_RECURSE applies the last part to all folders below."""
    folder, _, last = pattern.rpartition("/")
    expression = _glob_expression(last)
    own_folder, _, name = path.rpartition("/")
    if not re.fullmatch(expression, name):
        return False
    folder_expression = _glob_expression(folder)
    if recursive:
        folder_expression += "(/.*)?" if folder else ".*"
    return re.fullmatch(folder_expression, own_folder) is not None


@functools.cache
def _glob_expression(pattern: str) -> str:
    parts = re.split(r"(\*\*|\*|\?|\[[^\]]*\])", pattern)
    known = {"**": ".*", "*": "[^/]*", "?": "[^/]"}
    sets = {part: part for part in parts if part.startswith("[") and len(part) > 1}
    return "".join({**known, **sets}.get(part, re.escape(part)) for part in parts)
