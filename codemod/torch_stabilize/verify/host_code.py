"""What the host code asks of the GPU, before and after: launches and the device guards that stand before them."""

from __future__ import annotations

from collections.abc import Iterable

from torch_stabilize.source.document import Document
from torch_stabilize.verify.guards import compare_guards, read_guards
from torch_stabilize.verify.launches import compare_launches, read_launches
from torch_stabilize.verify.result import Finding, Step, counted
from torch_stabilize.verify.stream_guards import compare_stream_guards, read_stream_guards


def launches_step(pairs: Iterable[tuple[Document, Document]]) -> Step:
    """The `launches` step over the group's files, legacy and stable; fails where a launch or its device differs."""
    diagnostics: list[Finding] = []
    figures: dict[str, int] = {}
    guards = 0
    for legacy, stable in pairs:
        before, after = read_launches(legacy), read_launches(stable)
        guarded = read_guards(legacy, before), read_guards(stable, after)
        guards += len(guarded[0])
        diagnostics += compare_guards(*guarded, stable.path)
        on_stream = read_stream_guards(legacy), read_stream_guards(stable)
        guards += len(on_stream[0])
        diagnostics += compare_stream_guards(*on_stream, stable.path)
        if before or after:
            figures[stable.path] = len(after)
            diagnostics += compare_launches(before, after, stable.path)
    if not figures and not guards:
        return Step.skipped("launches", "the group launches no kernel")
    counts = f"{counted(sum(figures.values()), 'launch')} and {counted(guards, 'device guard')}"
    return Step.judged("launches", f"{counts} compared in {counted(len(figures), 'file')}", tuple(diagnostics), figures)
