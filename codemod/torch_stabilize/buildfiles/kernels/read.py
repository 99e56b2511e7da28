"""What a `build.toml` builds: one module for each backend, of the bindings and of all kernels of that backend."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Sequence
from typing import Any

from torch_stabilize import toml
from torch_stabilize.buildfiles.model import Abi, BuildEntry, EntryKind, Gap, GapKind, Source
from torch_stabilize.model import Span
from torch_stabilize.repository.snapshot import Snapshot
from torch_stabilize.repository.sources import join
from torch_stabilize.source.document import UNIT_SUFFIXES

SYSTEM = "kernel-builder"
NAME = "build.toml"
_CODE = (*UNIT_SUFFIXES, ".c", ".mm", ".m")


def is_build_toml(data: bytes) -> bool:
    """Whether a `build.toml` is one of kernel-builder that has something to compile against torch."""
    return re.search(rb"^\s*\[torch\]", data, re.MULTILINE) is not None


def read_kernel_entries(snapshot: Snapshot, paths: Sequence[str]) -> tuple[tuple[BuildEntry, ...], tuple[Gap, ...]]:
    """The modules that the files at `paths` make, by backend."""
    entries: list[BuildEntry] = []
    gaps: list[Gap] = []
    for path in paths:
        data = snapshot.read(path)
        try:
            entries += _entries(path, data, toml.loads(data.decode()))
        except (toml.TOMLDecodeError, UnicodeDecodeError) as error:
            gaps.append(Gap(GapKind.FILE, path, Span(0, 0), f"cannot be parsed: {error}"))
    return tuple(entries), tuple(gaps)


def backends(build: dict[str, Any]) -> tuple[str, ...]:
    """The backends that are built, in order; those of the kernels where none are listed."""
    listed = build.get("general", {}).get("backends")
    if isinstance(listed, list):
        return tuple(str(one) for one in listed)
    found = (str(kernel.get("backend", "cuda")) for kernel in build.get("kernel", {}).values())
    return tuple(dict.fromkeys(found))


def stable_backends(build: dict[str, Any]) -> frozenset[str]:
    """The backends that are built for the stable ABI."""
    given = build.get("torch", {}).get("stable-abi")
    if isinstance(given, dict):
        return frozenset(given)
    return frozenset(backends(build)) if given else frozenset()


def _entries(path: str, data: bytes, build: dict[str, Any]) -> Iterator[BuildEntry]:
    folder = posixpath.dirname(path)
    name = str(build.get("general", {}).get("name", "")).replace("-", "_")
    stable = stable_backends(build)
    torch = build.get("torch")
    if not name or not isinstance(torch, dict):
        return
    for backend in backends(build):
        kernels = [one for one in build.get("kernel", {}).values() if one.get("backend", "cuda") == backend]
        texts = [*torch.get("src", ()), *(text for kernel in kernels for text in kernel.get("src", ()))]
        sources = tuple(
            Source(join(folder, str(text)), path, _place(data, str(text)), backend)
            for text in dict.fromkeys(texts)
            if str(text).endswith(_CODE)
        )
        included = [*torch.get("include", ()), *(text for kernel in kernels for text in kernel.get("include", ()))]
        roots = tuple(posixpath.normpath(join(folder, str(text))) for text in dict.fromkeys(included))
        folders = tuple("" if root == "." else root for root in roots)
        macros = ((f"{backend.upper()}_KERNEL", ""), *((("TORCH_TARGET_VERSION", ""),) if backend in stable else ()))
        yield BuildEntry(
            SYSTEM, path, Span(0, 0), name, name, EntryKind.MODULE, (f"backend {backend}",), sources, folders, macros,
            ("C++",), (), Abi.STABLE if backend in stable else Abi.LEGACY, limited_api=True, round=backend,
        )  # fmt: skip


def _place(data: bytes, text: str) -> Span:
    at = data.find(f'"{text}"'.encode())
    return Span(at + 1, at + 1 + len(text.encode())) if at >= 0 else Span(0, 0)
