"""What a stable target links: what its legacy one does, less libraries of the project that use torch's C++ API."""

from __future__ import annotations

import re

from torch_stabilize.buildfiles.cmake.flow import Definition
from torch_stabilize.buildfiles.cmake.run import CMakeRun
from torch_stabilize.buildfiles.cmake.syntax import Command
from torch_stabilize.buildfiles.codes import TARGET_CREATED
from torch_stabilize.model import Severity, Span
from torch_stabilize.repository.unstable import holds_unstable_names

_WORDS = frozenset({"PRIVATE", "PUBLIC", "INTERFACE", "LINK_PRIVATE", "LINK_PUBLIC"})
_TORCH = (b"torch/", b"ATen/", b"c10/")


def not_linked(run: CMakeRun, command: Command, name: str) -> dict[Span, str] | None:
    """The arguments of `target_link_libraries` that the stable target `name` does without; None for all of them.

    What moved code calls of them is found by the check of the plan.
    """
    if command.name != "target_link_libraries":
        return {}
    targets = {one.name: one for one in run.project.definitions}
    given = [argument for argument in command.arguments[1:] if argument.text not in _WORDS]
    out = [a for a in given if (one := targets.get(a.text)) is not None and _may_use_torch(run, one)]
    for argument in out:
        run.report(
            TARGET_CREATED, Severity.WARNING, command.path, argument.span,
            f"{argument.text}, which may use torch's C++ API, is not linked into {name}",
            f"Link it into {name} too if it uses nothing of torch and what moved calls it.",
        )  # fmt: skip
    return None if out and len(out) == len(given) else {argument.span: "" for argument in out}


def without_gaps(text: str) -> str:
    """`text`, a call, without the blanks that arguments which are gone leave."""
    return re.sub(r"(?<=\S)[ \t]{2,}(?=\S)", " ", re.sub(r"[ \t]+(?=\n|\))", "", text))


def _may_use_torch(run: CMakeRun, definition: Definition) -> bool:
    """Whether a source of a target uses torch's C++ API, or its sources are not known."""
    snapshot = run.project.snapshot
    paths = [flow.path for flow in run.project.flows(definition) if snapshot.exists(flow.path)]
    return not paths or any(
        any(word in snapshot.read(path) for word in _TORCH) or holds_unstable_names(snapshot.document(path))
        for path in paths
    )
