"""The replayed requests as data: `cases.toml`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch_stabilize import toml

SOURCES = "csrc"
STABLE = "libtorch_stable"
CASES = Path(__file__).with_name("cases.toml")


@dataclass(frozen=True)
class Case:
    """One request: its units by their paths below `csrc/`, the release before it and the one behind it."""

    name: str
    title: str
    before: str
    after: str
    units: tuple[str, ...]
    blackwell: frozenset[str] = frozenset()
    renamed: tuple[tuple[str, str], ...] = ()

    def landing(self, unit: str) -> str:
        """Where torch-stabilize puts `unit`, below `csrc/`."""
        return f"{STABLE}/{unit}"

    def by_hand(self, unit: str) -> str:
        """Where the maintainers put `unit`, below `csrc/`."""
        for old, new in self.renamed:
            if unit.startswith(f"{old}/"):
                return f"{STABLE}/{new}{unit.removeprefix(old)}"
        return f"{STABLE}/{unit}"


@dataclass(frozen=True)
class Compile:
    """How units are compiled: `headers` are packages with the folders in them that are searched."""

    standard: str
    legacy_standard: str
    architecture: str
    blackwell: str
    defines: tuple[str, ...]
    headers: Mapping[str, tuple[str, ...]]


def read_cases(path: Path = CASES) -> tuple[dict[str, Case], Compile]:
    """The cases by name, and how to compile. Raises KeyError or TypeError for a file of another form."""
    document = toml.loads(path.read_text(encoding="utf-8"))
    cases = {
        name: Case(
            name,
            row.pop("title"),
            row.pop("before"),
            row.pop("after"),
            tuple(row.pop("units")),
            frozenset(row.pop("blackwell", ())),
            tuple(row.pop("renamed", {}).items()),
        )
        for name, row in document["cases"].items()
    }
    for name, row in document["cases"].items():
        if row:
            raise TypeError(f"{path.name}: case {name} has unknown keys: {', '.join(row)}")
        if strange := cases[name].blackwell.difference(cases[name].units):
            raise TypeError(f"{path.name}: case {name} has no unit {', '.join(sorted(strange))}")
    headers = {package: tuple(folders) for package, folders in document["headers"].items()}
    how = document["compile"]
    return cases, Compile(**{**how, "defines": tuple(how["defines"])}, headers=headers)
