"""Headers that define, on top of what units define, functions for files which only register."""

from __future__ import annotations

import re
from collections.abc import Sequence, Set
from functools import partial

from torch_stabilize.program.units import Units
from torch_stabilize.source.heads import defines
from torch_stabilize.source.signatures import Function, read_signatures


def headers_of_bindings(units: Units, inside: Set[str]) -> tuple[str, ...]:
    """Those that need no unit but the units `inside`.

    The stable bindings include them from now on, and the legacy ones no more.
    """
    registering = [path for path in units.bindings if path not in inside]
    found = [header for header, owners in owners_by_header(units, inside).items() if owners <= inside]
    return tuple(header for header in found if set(units.graph.includers(header)) <= {*found, *inside, *registering})


def owners_by_header(units: Units, inside: Set[str] = frozenset()) -> dict[str, frozenset[str]]:
    """The units whose functions each header needs. Only files that register, and units `inside`, include the header."""
    found = {}
    for header, users in units.included_by_bindings:
        if any(path not in units.bindings and path not in inside for path in users):
            continue
        outside = users - inside
        if not outside:
            continue
        document = units.snapshot.document(header)
        registered = frozenset(name for path in outside for name in units.bindings[path].functions)
        if not units.snapshot.once(("defined", header, registered), partial(defines, document, registered)):
            continue
        owners = units.snapshot.once(("owners of a header", header, units.legacy), partial(_owners, units, header))
        functions = read_signatures(document)
        if owners and not any(_calls_one(units, path, functions) for path in outside):
            found[header] = owners
    return found


def _owners(units: Units, header: str) -> frozenset[str]:
    """The units that define what `header` declares."""
    declared = _declared_for(units, header)
    return frozenset(path for path in units.legacy if defines(units.snapshot.document(path), declared))


def _declared_for(units: Units, header: str) -> frozenset[str]:
    """The functions that `header` names and declares without a body, itself or in a header it includes."""
    words = units.snapshot.document(header).words
    return frozenset(
        function.name
        for path in units.graph.closure([header])
        for function in read_signatures(units.snapshot.document(path))
        if not function.is_definition and function.name.encode() in words
    )


def _calls_one(units: Units, path: str, functions: Sequence[Function]) -> bool:
    """Whether a file that registers `functions` calls one of them too."""
    names = b"|".join(re.escape(function.name.encode()) for function in functions)
    return re.search(rb"(?<![\w&:])(?:" + names + rb")\s*\(", units.snapshot.document(path).code) is not None
