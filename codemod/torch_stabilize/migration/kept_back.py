"""Units of a request whose operators have to stay legacy, and those that need what these define.

What is left in the legacy library defines nothing for the stable one. A unit that moves and calls a function of a unit
that stays would not link: both libraries compile the one that stays where that can be, else the caller stays too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from torch_stabilize.bindings.codes import STAYS_FOR_OTHERS
from torch_stabilize.bindings.reading.registry import registry_of
from torch_stabilize.bindings.staying import staying_units
from torch_stabilize.buildfiles.model import Abi
from torch_stabilize.layout.read import Program
from torch_stabilize.migration.coming_along import Along, may_be_both, told_of
from torch_stabilize.model import Diagnostic, Severity, Span
from torch_stabilize.program.codes import COMES_ALONG
from torch_stabilize.program.groups import with_headers
from torch_stabilize.program.link import linker_of
from torch_stabilize.program.units import Units
from torch_stabilize.repository.layout import Layout


def without_kept_back(program: Program, layout: Layout, along: Along, target: str) -> Along:
    """`along` without the units that have to stay, each with a diagnostic, and with those that both sides compile."""
    staying = staying_units(registry_of(program.snapshot, layout), along.group, target)
    if not staying:
        return along
    units = Units(program.snapshot, layout, program.config)
    kept = _KeptBack(program, units, along, dict(staying))
    kept.settle()
    group = along.group
    left = tuple(unit for unit in group.units if unit not in kept.staying)
    told = tuple(d for d in along.diagnostics if d.code != COMES_ALONG.code or d.path not in kept.staying)
    built = tuple(told_of(path, f"is built into both libraries: {why}") for path, why in sorted(kept.both.items()))
    return Along(
        with_headers(units, group.name, left, group.migrated),
        (*along.shared, *kept.both),
        (*told, *built, *kept.staying.values()),
        (*along.both, *kept.both),
    )


@dataclass
class _KeptBack:
    """What stays of a request, while it grows: `both` are those of it that both sides compile, with a reason."""

    program: Program
    units: Units
    along: Along
    staying: dict[str, Diagnostic]
    both: dict[str, str] = field(default_factory=dict)

    def settle(self) -> None:
        """Keep back what needs a unit that stays, until nothing does."""
        while more := next(self._missed(), None):
            unit, symbol, definer = more
            if may_be_both(self.program, self.units, definer) and unit not in self.both:
                self.both[definer] = f"{unit} uses {symbol}, which it defines"
                continue
            self.both.pop(unit, None)
            self.staying[unit] = Diagnostic(
                STAYS_FOR_OTHERS.code, Severity.ERROR, unit, Span(0, 0),
                f"{unit} stays: it uses {symbol}, which {definer} defines, and that stays",
                "What makes the other stay is told of it: once it can move, both can.",
            )  # fmt: skip

    def _missed(self) -> Iterator[tuple[str, str, str]]:
        """Units that move, what they use, and the unit that stays and alone defines it."""
        linker, group = linker_of(self.program), self.along.group
        moving = [unit for unit in group.units if unit not in self.staying]
        there = {*moving, *group.migrated, *self.along.shared, *self.both}
        for unit in (*moving, *self.both):
            for reference in linker.references(unit, abi=Abi.LEGACY):
                if linker.is_defined_in(reference.symbol, there):
                    continue
                for path in sorted({one.path for one in linker.defining(reference.symbol)} & self.staying.keys()):
                    yield unit, str(reference.symbol), path
