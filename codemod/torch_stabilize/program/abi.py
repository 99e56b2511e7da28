"""Which ABI a file is written for, by what it names and includes."""

from __future__ import annotations

import re

from torch_stabilize.buildfiles.model import Abi
from torch_stabilize.layout.read import Program
from torch_stabilize.repository.unstable import holds_unstable_names
from torch_stabilize.source.document import UNIT_SUFFIXES, Document
from torch_stabilize.source.patterns import word_start

_STABLE = tuple(
    re.compile(pattern)
    for pattern in (
        word_start(b"torch/csrc/stable/"),
        word_start(b"torch/headeronly/"),
        word_start(b"torch::stable") + rb"\b",
        word_start(b"torch::headeronly") + rb"\b",
        rb"\bSTABLE_TORCH_LIBRARY",
    )
)


def abi_of_file(document: Document) -> Abi:
    """The ABI that a file itself is written for."""
    is_stable = any(pattern.search(document.code) for pattern in _STABLE)
    if holds_unstable_names(document):
        return Abi.MIXED if is_stable else Abi.LEGACY
    return Abi.STABLE if is_stable else Abi.NEUTRAL


def abi_of(program: Program, unit: str) -> Abi:
    """The ABI of a unit with what it includes of the repository."""
    found = {abi_of_file(program.snapshot.document(path)) for path in program.closure(unit)}
    found -= {Abi.NEUTRAL}
    if not found:
        return Abi.NEUTRAL
    return found.pop() if len(found) == 1 else Abi.MIXED


def files_of_stable_libraries(program: Program) -> frozenset[str]:
    """The units that are built for the stable ABI alone, and the headers that no other unit sees."""
    built: dict[str, set[Abi]] = {}
    for library in program.libraries:
        for unit in library.units:
            built.setdefault(unit, set()).add(library.abi)
    stable = {unit for unit, abis in built.items() if abis == {Abi.STABLE} and program.snapshot.exists(unit)}
    if not stable:
        return frozenset()
    headers = {path for unit in stable for path in program.closure(unit, Abi.STABLE)} - stable
    units = {path for path in program.files if path.endswith(UNIT_SUFFIXES)} - stable
    return frozenset(stable | {path for path in headers if units.isdisjoint(program.graph.reached_from(path))})
