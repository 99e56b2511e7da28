"""Torch versions as numbers ("2.9" comes before "2.10"), and what `versions.toml` says of them."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from torch_stabilize import toml

_VERSION = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?(?:(?:a|b|rc|\.dev|\.post)\d+)*(?:\+[\w.]+)?")

Version = tuple[int, int]


class KnownVersions(NamedTuple):
    """The oldest target, the newest torch that was checked, and since when the headers and the boxing have what."""

    oldest_target: str
    newest_known: str
    headers: Mapping[str, str]  # by feature, the oldest headers that have it
    boxed: Mapping[str, frozenset[str]]  # by version, newest first, the types that its boxing learnt


@functools.cache
def parse_version(text: str) -> Version:
    """Major and minor of a torch version: "2.13.0+cpu" is (2, 13). Raises ValueError for anything else."""
    match = _VERSION.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"not a torch version: {text!r}")
    return int(match[1]), int(match[2])


def short_version(text: str) -> str:
    """Major and minor as text: "2.13.0+cpu" is "2.13". Raises ValueError for what is no version."""
    major, minor = parse_version(text)
    return f"{major}.{minor}"


@functools.cache
def known_versions() -> KnownVersions:
    """What `versions.toml` says."""
    table = toml.loads(Path(__file__).with_name("versions.toml").read_text(encoding="utf-8"))
    boxed = {version: frozenset(names) for version, names in table["boxed"].items()}
    return KnownVersions(table["oldest_target"], table["newest_known"], table["headers"], boxed)


def headers_have(feature: str, headers: str) -> bool:
    """Whether the headers of torch `headers` have a `feature` of `versions.toml`."""
    return parse_version(headers) >= parse_version(known_versions().headers[feature])
