"""What a setup file builds, as entries of the program."""

from __future__ import annotations

from collections.abc import Sequence

from codemod.buildfiles.setup.names import sourceless_extensions
from codemod.model import Refusal, Span
from codemod.repository.program.model import Abi, BuildEntry, Gap, GapKind, Origin, Source
from codemod.repository.setup_tree import read_setup_tree
from codemod.repository.snapshot import Snapshot


def read_setup_entries(snapshot: Snapshot, paths: Sequence[str]) -> tuple[tuple[BuildEntry, ...], tuple[Gap, ...]]:
    """The extension modules that the setup files `paths` make from sources, and what could not be read of them."""
    entries: list[BuildEntry] = []
    gaps: list[Gap] = []
    for path in paths:
        tree = read_setup_tree(snapshot, path)
        if tree is None:
            gaps.append(Gap(GapKind.FILE, path, Span(0, 0), f"cannot parse {path}"))
        elif sourceless_extensions(tree) is None:
            try:
                entries += _entries(snapshot, path)
            except Refusal as refusal:
                gaps.append(Gap(GapKind.FILE, path, Span(0, 0), str(refusal)))
    return tuple(entries), tuple(gaps)


def _entries(snapshot: Snapshot, path: str) -> list[BuildEntry]:
    from codemod.buildfiles.setup.model import macros_of, read_setup

    model = read_setup(snapshot, path)
    found = []
    for extension in model.extensions():
        if extension.sources is None:  # CMake knows its sources
            continue
        sources = tuple(
            Source(
                element.path,
                path,
                model.file.span(element.node),
                element.name,
                element.conditions,
                Origin.GLOB if element.glob else Origin.LITERAL,
                element.glob.pattern if element.glob else "",
            )
            for element in extension.elements
        )
        text = model.file.text(extension.call)
        names = macros_of(model, extension)
        stable = "TORCH_TARGET_VERSION" in text
        span = model.file.span(extension.call)
        gaps = tuple(
            Gap(GapKind.SOURCES, path, model.file.span(node), "these sources are computed")
            for node in extension.computed
        )
        found.append(
            BuildEntry(
                system="setuptools",
                file=path,
                span=span,
                name=extension.name.rpartition(".")[2],
                module=extension.name,
                when=extension.conditions,
                sources=sources,
                macros=tuple((name, "") for name in names),
                abi=Abi.STABLE if stable else Abi.LEGACY,
                round=str(model.file.span(extension.round.site)) if extension.round is not None else "",
                gaps=gaps,
            )
        )
    return found
