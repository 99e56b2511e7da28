"""What a replay found, as types and as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tests.replay.compiling import Kernels, Outcome
from tests.replay.residual import Residual, median

UNKNOWN = "-"


@dataclass(frozen=True)
class UnitResult:
    """One unit. None stands for what was not looked at; `why_not` says why device code was not compared."""

    unit: str
    moved: bool
    residual: Residual
    compiles: Outcome | None = None
    kernels: Kernels | None = None
    why_not: str = ""


@dataclass(frozen=True)
class CaseResult:
    """One case. `operators` and `sources` are those as the maintainers have them, and all; `sites` add up."""

    name: str
    title: str
    units: tuple[UnitResult, ...]
    operators: tuple[int, int]
    other_operators: tuple[str, ...]
    sources: tuple[int, int]
    other_sources: tuple[str, ...]
    sites: dict[str, int]
    unaccounted: tuple[str, ...]
    manual: int
    seconds: float

    @property
    def compiled(self) -> int:
        """Units that compile with the stable headers alone."""
        return sum(unit.compiles is not None and unit.compiles.ok for unit in self.units)

    @property
    def median(self) -> float:
        """The middle one of the units' residuals."""
        return median(unit.residual for unit in self.units)

    @property
    def kernels(self) -> tuple[int, int]:
        """Kernels with identical PTX, and all that were compared."""
        compared = [unit.kernels for unit in self.units if unit.kernels is not None]
        return sum(one.identical for one in compared), sum(one.total for one in compared)


def render(results: Sequence[CaseResult]) -> str:
    """The cases in one table, their units in another."""
    cases = _table(
        ("case", "units compile", "median residual", "worst", "kernels identical", "operators", "build lists"),
        (_case_row(result) for result in results),
    )
    units = _table(
        ("case", "unit", "compiles", "residual", "by hand", "kernels identical"),
        ((result.name, *_unit_row(unit)) for result in results for unit in result.units),
    )
    notes = [f"- {result.name}: {note}" for result in results for note in _notes(result)]
    return "\n".join([cases, units, *([*notes, ""] if notes else [])])


def _case_row(result: CaseResult) -> tuple[str, ...]:
    return (
        f"{result.name} ({result.title})",
        f"{result.compiled}/{len(result.units)}" if any(u.compiles for u in result.units) else UNKNOWN,
        f"{result.median:.2f}",
        f"{max((unit.residual.value for unit in result.units), default=0.0):.2f}",
        _share(result.kernels),
        _share(result.operators),
        _share(result.sources),
    )


def _unit_row(unit: UnitResult) -> tuple[str, ...]:
    compiles = UNKNOWN if unit.compiles is None else "yes" if unit.compiles.ok else "no"
    kernels = (unit.kernels.identical, unit.kernels.total) if unit.kernels is not None else (0, 0)
    return (
        unit.unit + ("" if unit.moved else " (not moved)"),
        compiles,
        f"{unit.residual.value:.2f}",
        f"{unit.residual.hand} tokens",
        unit.why_not or _share(kernels),
    )


def _notes(result: CaseResult) -> Iterable[str]:
    for unit in result.units:
        if unit.compiles is not None and not unit.compiles.ok:
            yield f"{unit.unit} does not compile: {unit.compiles.error}"
        if unit.kernels is not None and unit.kernels.differing:
            yield f"{unit.unit}: {len(unit.kernels.differing)} kernels differ, the first is {unit.kernels.differing[0]}"
    yield from (f"operator {text}" for text in result.other_operators)
    yield from (f"source {text}" for text in result.other_sources)
    yield from (f"unaccounted site: {text}" for text in result.unaccounted)
    found = result.sites
    yield (
        f"{found['found']} sites: {found['rewritten']} rewritten, {found['diagnosed']} diagnosed, "
        f"{found['allowed']} allowed; {result.manual} left to do by hand; {result.seconds:.1f} s"
    )


def _share(pair: tuple[int, int]) -> str:
    return f"{pair[0]}/{pair[1]}" if pair[1] else UNKNOWN


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
