"""An extension that is converted where it is: its call gets the macros of the stable ABI and keeps everything else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch_stabilize.buildfiles.codes import EXTENSION_CREATED, NOT_FOUND, SETUP_SOURCE_MOVED
from torch_stabilize.buildfiles.setup.convert import add_sources, settle_arguments
from torch_stabilize.buildfiles.setup.create import OLD_STANDARD
from torch_stabilize.buildfiles.setup.families import Member
from torch_stabilize.buildfiles.setup.model import Extension
from torch_stabilize.buildfiles.setup.package import update_package
from torch_stabilize.buildfiles.setup.result import SetupResult
from torch_stabilize.model import Severity, Span
from torch_stabilize.repository.codes import CONVERTED_IN_PLACE
from torch_stabilize.repository.stable_target import short_name, version_macro

if TYPE_CHECKING:
    from torch_stabilize.buildfiles.setup.run import SetupRun


def convert_in_place(run: SetupRun, extensions: Sequence[Extension], units: Sequence[str]) -> SetupResult:
    """Give every call that makes the library what the stable ABI needs. `units` are those that migrate."""
    ours = _calls_of(run, extensions, units)
    names = frozenset(extension.name for extension in extensions)
    fresh = [path for path in run.created if not any(extension.has(path) for extension in ours)]
    for extension in ours:
        _convert(run, extension, ours, fresh)
    if ours:
        update_package(run, extensions, ours)
    owned = frozenset(units if ours else ())
    return SetupResult(
        run.edits.edits(), tuple(run.diagnostics), owned, frozenset(fresh if ours else ()), names, has_stable=True
    )  # fmt: skip


def _calls_of(run: SetupRun, extensions: Sequence[Extension], units: Sequence[str]) -> list[Extension]:
    """The calls that make the library: where it was read, else by its name and sources; each once."""
    file = run.model.file
    at = {start for path, start in run.layout.entries if path == file.path}
    found = [e for e in extensions if file.span(e.call).start in at]
    if not found:
        wanted = short_name(run.layout.legacy_library)
        named = [e for e in extensions if e.sources is not None and short_name(e.name) == wanted]
        building = [e for e in named or extensions if any(e.has(unit) for unit in units)]
        found = named if len({extension.name for extension in named}) == 1 else building
    return list({id(extension.call): extension for extension in found}.values())


def _convert(run: SetupRun, extension: Extension, family: Sequence[Extension], fresh: Sequence[str]) -> None:
    if "TORCH_TARGET_VERSION" in run.model.file.text(extension.call):
        return
    place = (run.model.file.path, run.model.file.span(extension.call).start)
    if place in run.layout.shared_entries or (extension.round is not None and place not in run.layout.entries):
        name = extension.name or run.layout.legacy_library
        run.report(
            NOT_FOUND, Severity.ERROR, extension.call,
            f"this call makes {name} and other extensions: what {name} alone needs was not added",
            "Give it, and no extension that stays legacy, these macros and py_limited_api=True:\n"
            f'("TORCH_TARGET_VERSION", "{version_macro(run.target)}"), ("USE_CUDA", None)',
        )  # fmt: skip
        return
    settle_arguments(run, extension)
    _raise_standard(run, extension)
    member = Member(extension, extension.elements)
    if fresh and extension.elements:
        add_sources(run, member, family, fresh)
    run.report(
        CONVERTED_IN_PLACE, Severity.NOTE, extension.call,
        f"{extension.name or run.layout.legacy_library} is built for the stable ABI from here on, under its own name",
    )  # fmt: skip


def _raise_standard(run: SetupRun, extension: Extension) -> None:
    """C++17 where the file asks for less: the stable headers need it."""
    file = run.model.file
    whole = Span(0, len(file.data))
    call = file.span(extension.call)
    for match in OLD_STANDARD.finditer(file.slice(whole)):
        start = len(file.slice(whole)[: match.start()].encode())
        span = Span(start, start + len(match[0].encode()))
        if not run.is_first_at(span):
            continue
        if call.contains(span):
            run.edits.replace(span, f"{match[1]}++17", SETUP_SOURCE_MOVED)
        else:
            run.report(
                EXTENSION_CREATED, Severity.WARNING, extension.call,
                f"-std={match[0]} is asked for in this file, and the stable headers need C++17",
                "Compile the stable extension with -std=c++17, or leave the flag to torch.",
            )  # fmt: skip
