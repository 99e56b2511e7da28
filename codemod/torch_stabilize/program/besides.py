"""What a header of declarations defines besides them: types, constants and macros that its includers lean on."""

from __future__ import annotations

from collections.abc import Container

from torch_stabilize.repository.includes import IncludeGraph
from torch_stabilize.repository.snapshot import Snapshot
from torch_stabilize.repository.unstable import holds_unstable_names
from torch_stabilize.source.definitions import aliases_defined, things_defined
from torch_stabilize.source.document import words_of
from torch_stabilize.source.signatures import read_signatures


def needed_besides(
    snapshot: Snapshot, graph: IncludeGraph, declarations: Container[str], path: str
) -> dict[str, list[bytes]]:
    """What `path` uses of each header of declarations that it includes, other than declarations, sorted.

    What another header defines too does not count, nor an alias that the declarations are written with: it moves along.
    """
    headers = [h for h in graph.direct(path) if h in declarations and holds_unstable_names(snapshot.document(h))]
    offered = {header: things_defined(snapshot.document(header)) for header in headers}
    if not any(offered.values()):
        return {}
    words = snapshot.document(path).words
    kept = [h for h in graph.closure(graph.direct(path)) if h not in declarations]
    elsewhere = {
        name for one in (path, *kept) if snapshot.exists(one) for name in things_defined(snapshot.document(one))
    }
    lost = {h: (names & words) - elsewhere - _carried(snapshot, h, words) for h, names in offered.items()}
    return {header: sorted(names) for header, names in lost.items() if names}


def _carried(snapshot: Snapshot, header: str, words: frozenset[bytes]) -> set[bytes]:
    """The aliases that declarations of what `words` name are written with: they move with the declarations."""
    document = snapshot.document(header)
    aliases = aliases_defined(document)
    moving = (f for f in read_signatures(document) if not f.is_definition and f.name.encode() in words)
    return aliases & {word for f in moving for word in words_of(document.code[f.head.start : f.head.end])}
