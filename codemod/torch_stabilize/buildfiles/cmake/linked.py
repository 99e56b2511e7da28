"""What a stable target links: what its legacy one does, less libraries of the project that use torch's C++ API."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from torch_stabilize.buildfiles.cmake.entries import OBJECTS, kind_of, links_of
from torch_stabilize.buildfiles.cmake.model import Definition, Flow
from torch_stabilize.buildfiles.cmake.run import CMakeRun
from torch_stabilize.buildfiles.cmake.syntax import Command
from torch_stabilize.buildfiles.codes import TARGET_CREATED
from torch_stabilize.buildfiles.model import EntryKind
from torch_stabilize.model import Severity, Span
from torch_stabilize.repository.unstable import holds_unstable_names

_WORDS = frozenset({"PRIVATE", "PUBLIC", "INTERFACE", "LINK_PRIVATE", "LINK_PUBLIC"})
_PARTS = (EntryKind.STATIC, EntryKind.OBJECT)
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


def modules_of(run: CMakeRun, owned: Mapping[Definition, list[Flow]]) -> dict[Definition, list[Flow]]:
    """`owned`, where what static and object libraries are built of is their module's, which links them."""
    wanted = {run.layout.legacy_library, *run.layout.variants}
    found: dict[Definition, list[Flow]] = {}
    for definition, flows in owned.items():
        modules = [definition]
        if kind_of(definition.command) in _PARTS:
            linking = [one for one in run.project.definitions if definition.name in links_of(run.project, one)]
            modules = [one for one in linking if kind_of(one.command) not in _PARTS] or modules
            modules = [one for one in modules if one.name in wanted] or modules
        for module in modules:
            known = found.setdefault(module, [])
            known += [flow for flow in flows if flow not in known]
    return found


def objects_of(run: CMakeRun, argument: str, flows: Sequence[Flow]) -> bool:
    """Whether an argument of a defining call brings objects that a stable target cannot have, or has itself."""
    names = OBJECTS.findall(argument)
    targets = {one.name: one for one in run.project.definitions}
    leaving = {flow.definition.name for flow in flows}
    return any(
        name in leaving or ((one := targets.get(name)) is not None and _may_use_torch(run, one)) for name in names
    )


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
