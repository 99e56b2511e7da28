"""A `build.toml` whose modules are converted: the stable ABI is a switch of each backend."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from torch_stabilize import toml
from torch_stabilize.buildfiles.codes import EXTENSION_CREATED, NOT_FOUND, SETUP_SOURCE_MOVED
from torch_stabilize.buildfiles.kernels.read import backends, read_kernel_entries, stable_backends
from torch_stabilize.buildfiles.moving import Moving
from torch_stabilize.buildfiles.text_edits import TextEdits
from torch_stabilize.model import Diagnostic, FileEdit, Severity, Span
from torch_stabilize.repository.codes import CONVERTED_IN_PLACE
from torch_stabilize.repository.snapshot import Snapshot
from torch_stabilize.source.spans import line_end

_TABLE = re.compile(rb"^[ \t]*\[torch\.stable-abi\][^\n]*\n(?:(?![ \t]*\[)[^\n]*\n?)*", re.MULTILINE)
_TORCH = re.compile(rb"^[ \t]*\[torch\][^\n]*\n(?:(?![ \t]*\[)[^\n]*\n?)*", re.MULTILINE)


class KernelsResult(NamedTuple):
    """The edits of the files, and the units that they build."""

    edits: tuple[FileEdit, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()
    owned: frozenset[str] = frozenset()


def plan_kernels(snapshot: Snapshot, moving: Moving) -> KernelsResult:
    """Switch the backends of which all that uses torch migrates to the stable ABI."""
    if not moving.layout.is_whole:
        return KernelsResult()
    edits: list[FileEdit] = []
    told: list[Diagnostic] = []
    owned: set[str] = set()
    for path in moving.layout.kernel_files:
        found = TextEdits(path, snapshot.read(path))
        told += _switched(snapshot, found, moving)
        edits += found.edits()
        owned |= {s.path for entry in read_kernel_entries(snapshot, (path,))[0] for s in entry.sources}
    return KernelsResult(tuple(edits), tuple(told), frozenset(owned & set(moving.units)))


def _switched(snapshot: Snapshot, found: TextEdits, moving: Moving) -> Iterator[Diagnostic]:
    build = toml.loads(found.data.decode())
    known = stable_backends(build)
    ready, staying = [], {}
    for entry in read_kernel_entries(snapshot, (found.path,))[0]:
        left = [s.path for s in entry.sources if s.path not in moving.units and _uses_torch(snapshot, s.path)]
        if entry.round in known:
            continue
        if left:
            staying[entry.round] = left
        else:
            ready.append(entry.round)
    if ready:
        _write(found, build, ready, ".".join(moving.target.split(".")[:2]))
        _add_sources(found, moving.created)
        yield Diagnostic(
            CONVERTED_IN_PLACE, Severity.NOTE, found.path, Span(0, 0),
            f"{moving.layout.legacy_library} is built for the stable ABI from here on for {', '.join(ready)}",
        )  # fmt: skip
    for backend, left in staying.items():
        shared = sorted(set(moving.units) & _sources_of(snapshot, found.path, backend))
        yield Diagnostic(
            NOT_FOUND, Severity.ERROR, found.path, Span(0, 0),
            f"the backend {backend} is built from {', '.join(left)} too, which stays legacy"
            + (f", and from {', '.join(shared)}, which is stable code from here on" if shared else ""),
            f"Migrate {', '.join(left)} by hand and add {backend} to [torch.stable-abi], or take {backend} out of the "
            "backends.",
        )  # fmt: skip


def _sources_of(snapshot: Snapshot, path: str, backend: str) -> set[str]:
    entries = read_kernel_entries(snapshot, (path,))[0]
    return {source.path for entry in entries if entry.round == backend for source in entry.sources}


def _uses_torch(snapshot: Snapshot, path: str) -> bool:
    names = rb"\b(?:torch|at|c10)\s*::|<(?:torch|ATen|c10)/"
    return snapshot.exists(path) and re.search(names, snapshot.read(path)) is not None


def _write(found: TextEdits, build: dict[str, Any], ready: Sequence[str], target: str) -> None:
    """The rows of `ready` in the table of the stable ABI, which is made behind that of torch where it is not there."""
    rows = "".join(f'{backend} = "{target}"\n' for backend in backends(build) if backend in ready)
    table = _TABLE.search(found.data)
    if table is not None:
        at = table.start() + len(table[0].rstrip()) + 1
        found.insert(min(at, len(found.data)), rows, EXTENSION_CREATED)
        return
    torch = _TORCH.search(found.data)
    if torch is not None:
        at = torch.start() + len(torch[0].rstrip())
        end = line_end(found.data, at)
        gap = "" if found.data[end - 1 : end] == b"\n" else "\n"
        found.insert(end, f"{gap}\n[torch.stable-abi]\n{rows}", EXTENSION_CREATED)


def _add_sources(found: TextEdits, created: Sequence[str]) -> None:
    """New sources in the list of torch."""
    torch = _TORCH.search(found.data)
    if torch is None:
        return
    listed = re.compile(rb"^[ \t]*src[ \t]*=[ \t]*\[", re.MULTILINE).search(found.data, torch.start())
    folder = found.path.rpartition("/")[0]
    for path in created:
        text = path.removeprefix(f"{folder}/") if folder else path
        if listed is not None:
            found.insert(listed.end(), f'"{text}", ', SETUP_SOURCE_MOVED)
