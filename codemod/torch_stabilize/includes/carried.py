"""Headers that a moved file got through the header of the legacy declarations, whose place the stable one takes."""

from __future__ import annotations

from torch_stabilize.includes.relocate import Relocation
from torch_stabilize.source.definitions import things_defined
from torch_stabilize.source.signatures import read_signatures


def carried_headers(place: Relocation, path: str) -> frozenset[str]:
    """The headers of the repository that `path` must include itself, by where they lie after the run.

    `#include "ops.h"` brought along what ops.h includes. The stable header of declarations replaces it and
    includes nothing of it: what `path` uses and reaches no other way is named here.
    """
    graph, snapshot = place.graph, place.snapshot
    given_up = [header for header in graph.direct(path) if place.gives_way(header)]
    if not given_up or place.stays_legacy(path):
        return frozenset()
    reached = {path, *graph.closure(header for header in graph.direct(path) if header not in given_up)}
    words = snapshot.document(path).words
    found: set[str] = set()
    for header in graph.closure(given_up):
        if not place.gives_way(header):
            continue
        for brought in graph.direct(header):
            if brought not in reached and not place.gives_way(brought) and brought not in place.replaced:
                offered = graph.closure((brought,))
                if any(_names(place, one) & words for one in offered if one not in reached):
                    found.add(place.new_path(brought))
    return frozenset(found)


def _names(place: Relocation, path: str) -> set[bytes]:
    """What a file declares or defines."""
    document = place.snapshot.document(path)
    return things_defined(document) | {function.name.encode() for function in read_signatures(document)}
