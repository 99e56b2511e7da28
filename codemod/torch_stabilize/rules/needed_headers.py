"""Which headers code needs by the names in it, and which headers bring which others along: what `transitive.toml` says."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping, Sequence, Set
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

from torch_stabilize import toml
from torch_stabilize.source.reach import reach

_WORD_OR_INCLUDE = re.compile(rb"#[ \t]*include[ \t]*[<\"][^\n]*|std::\w+|[A-Za-z_]\w*")


class _Table(NamedTuple):
    names: Mapping[str, str]  # the header that each name comes from
    implied: Mapping[str, Sequence[str]]  # what each header brings along
    closed: Mapping[str, Sequence[str]]  # by pattern of headers, words without which nobody uses one


@functools.cache
def _table() -> _Table:
    table = toml.loads(Path(__file__).with_name("transitive.toml").read_text(encoding="utf-8"))
    return _Table(table["names"], table["implied"], table["closed"])


def with_implied(headers: Iterable[str]) -> frozenset[str]:
    """`headers` and all they bring along."""
    return reach(headers, lambda header: _table().implied.get(header, ()))


def needed_by_names(code: bytes) -> frozenset[str]:
    """Headers of names in `code` that used to come in through torch's."""
    words = set(_WORD_OR_INCLUDE.findall(code))
    return frozenset(header for name, header in _table().names.items() if name.encode() in words)


def names_from(header: str) -> tuple[str, ...]:
    """The names that code is known to take from `header`."""
    return tuple(name for name, source in _table().names.items() if source == header)


def words_of_users(header: str) -> Sequence[str]:
    """Words of which at least one is in a file that uses a header without a stable counterpart; "" where they are unknown."""
    rows = ((len(pattern), words) for pattern, words in _table().closed.items() if fnmatchcase(header, pattern))
    return max(rows, default=(0, ("",)))[1]


def not_covered(wanted: Iterable[str], present: Set[str]) -> list[str]:
    """What of `wanted` has to be written in addition to `present`, torch's first: not what other headers bring along."""
    covered = with_implied(present)
    left = sorted(header for header in wanted if header not in covered)
    kept = [h for h in left if not any(h in with_implied([other]) for other in left if other != h)]
    return sorted(kept, key=lambda h: (not h.startswith("torch/"), h))
