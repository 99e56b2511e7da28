"""The surface as one table: every legacy name with its stable form, where that form comes from, and since when.

The rows live in `tables/*.toml`, by family; `loading.py` reads and checks them. What only the dispatcher has comes from
torch's own schemas (`aten.py`) and is looked up last.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from torch_stabilize.surface.entry import KINDS, NAME_KINDS, Entry
from torch_stabilize.surface.versions import parse_version


@dataclass(frozen=True, eq=False)
class Surface:
    """The loaded tables. Look-ups return None for a name that no table knows."""

    table: tuple[Entry, ...]  # the rows of the TOML tables
    _by_kind: Mapping[str, Mapping[str, Entry]] = field(repr=False, compare=False)
    _patterns: tuple[tuple[str, Entry], ...] = field(repr=False, compare=False)  # spellings with "*", longest first

    def name(self, qualified: str) -> Entry | None:
        """A type, constant or function by a qualified legacy spelling: "torch::kFloat32", "at::empty".

        Whole namespaces have rows of their own ("at::vec::*"), looked up last.
        """
        spelling = qualified.removeprefix("::")
        for kind in NAME_KINDS:
            if entry := self._by_kind[kind].get(spelling):
                return entry
        return _aten_entry("function", spelling) or self._matching(spelling, NAME_KINDS)

    def macro(self, name: str) -> Entry | None:
        """A macro by its name: TORCH_CHECK, AT_DISPATCH_SWITCH, C10_CUDA_CHECK."""
        return self._by_kind["macro"].get(name) or self._by_kind["dispatch"].get(name)

    def method(self, name: str) -> Entry | None:
        """A method of a tensor by its name: "view", "expand"."""
        return self._by_kind["method"].get(name) or _aten_entry("method", name)

    def include(self, path: str) -> Entry | None:
        """An include by its path as written between the brackets; the longest matching pattern where none is exact."""
        return self._by_kind["include"].get(path) or self._matching(path, ("include",))

    def at(self, target: str, headers: str = "") -> Surface:
        """The same tables as a binary for `target` sees them that headers of torch `headers` (the target's) build.

        Rows whose `native` row these have are replaced by it.
        """
        return _surface_at(self, target, headers or target)

    def _matching(self, spelling: str, kinds: tuple[str, ...]) -> Entry | None:
        rows = ((pattern, entry) for pattern, entry in self._patterns if entry.kind in kinds)
        return next((entry for pattern, entry in rows if fnmatchcase(spelling, pattern)), None)

    @functools.cached_property
    def entries(self) -> tuple[Entry, ...]:
        """Every row, those that come from torch's schemas included."""
        from torch_stabilize.surface import aten

        known = self._by_kind
        derived = (
            entry
            for kind in ("function", "method")
            for entry in aten.derived_entries(kind)
            if not any(spelling in known[kind] for spelling in entry.legacy)
        )
        return (*self.table, *derived)

    def available(self, entry: Entry, target: str, headers: str = "") -> bool:
        """Whether a binary for `target` may use the stable form, and headers of torch `headers` (if given) have it."""
        if parse_version(target) < parse_version(entry.target):
            return False
        return not headers or parse_version(headers) >= parse_version(entry.headers)

    def fallback(self, entry: Entry) -> Entry | None:
        """The dispatcher row of the same method or function: the way out where `entry` is too new for the headers."""
        if entry.kind not in ("method", "function") or entry.form == "dispatcher":
            return None
        found = (_aten_entry(entry.kind, spelling) for spelling in entry.legacy)
        return next((other for other in found if other is not None and other.form == "dispatcher"), None)


@functools.lru_cache(maxsize=16)
def _surface_at(surface: Surface, target: str, headers: str) -> Surface:
    def resolved(entry: Entry) -> Entry:
        native = entry.native
        return native if native is not None and surface.available(native, target, headers) else entry

    table = tuple(map(resolved, surface.table))
    return surface if table == surface.table else build_surface(table)


def _aten_entry(kind: str, spelling: str) -> Entry | None:
    from torch_stabilize.surface import aten  # its data is read on first use only

    return aten.derived_entry(kind, spelling)


@functools.cache
def load_surface() -> Surface:
    """The tables that ship with the tool. Raises TableError where a table is not sound."""
    from torch_stabilize.surface.loading import read_tables

    return build_surface(read_tables())


def build_surface(table: tuple[Entry, ...]) -> Surface:
    """A surface of these rows, which `loading.check` has passed."""
    by_kind: dict[str, dict[str, Entry]] = {kind: {} for kind in KINDS}
    for entry in table:
        by_kind[entry.kind].update(dict.fromkeys(entry.legacy, entry))
    patterns = [(spelling, entry) for entry in table for spelling in entry.legacy if "*" in spelling]
    patterns.sort(key=lambda row: -len(row[0]))
    return Surface(table, by_kind, tuple(patterns))
