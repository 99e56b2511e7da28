"""What a request means for each library: the records of the one decision that every edit follows from.

`decide` makes it from the program as it is. A room that writes edits asks the decision, or the layout that a part of it
gives, which library it is about and where things go; it decides nothing of that itself.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from torch_stabilize.repository.layout import Layout, Library


class Part(NamedTuple):
    """What one library gives.

    `units` are built into its counterpart; those in `along` were not asked for, and go because another one of them
    needs them. Registrations, declarations and generated files go where `library` says. A unit that several libraries
    build is in a part of each.
    """

    library: Library
    units: tuple[str, ...]
    along: tuple[str, ...] = ()

    def layout(self, layout: Layout) -> Layout:
        """`layout` with the library of this part as the one that migrates."""
        if not self.library.stable_name or self.library.name == layout.legacy_library:
            return layout
        return replace(
            layout,
            legacy_library=self.library.name,
            stable_library=self.library.stable_name,
            stable_bindings=self.library.stable_bindings,
            stable_declarations=self.library.stable_declarations,
            op_namespace=self.library.op_namespace or layout.op_namespace,
        )


class Decision(NamedTuple):
    """The parts of a request, in the order in which they are carried out, each on top of those before it."""

    parts: tuple[Part, ...]

    @property
    def units(self) -> frozenset[str]:
        """Every unit of a part."""
        return frozenset(unit for part in self.parts for unit in part.units)
