"""Torch versions as numbers: "2.9" comes before "2.10"."""

from __future__ import annotations

import functools
import re

_VERSION = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?(?:(?:a|b|rc|\.dev|\.post)\d+)*(?:\+[\w.]+)?")

Version = tuple[int, int]


@functools.cache
def parse_version(text: str) -> Version:
    """Major and minor of a torch version: "2.13.0+cpu" is (2, 13). Raises ValueError for anything else."""
    match = _VERSION.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"not a torch version: {text!r}")
    return int(match[1]), int(match[2])
