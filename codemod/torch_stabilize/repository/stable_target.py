"""What a stable target needs, whatever builds it: names, and the macros that switch the headers."""

from __future__ import annotations

import re

# Where several libraries are built of one file of bindings: what each is called, and the namespace of its operators.
LIBRARY_MACRO = "STABLE_LIBRARY"
NAMESPACE_MACRO = "STABLE_NAMESPACE"
STABLE_SUFFIX = "_stable_libtorch"  # of the name of a legacy library's counterpart
_DEFINITION = re.compile(r"(?:-D)?TORCH_TARGET_VERSION=(0[xX][0-9a-fA-F]+)")
_BEFORE = ("EXT", "SRC", "SRCS", "SOURCE", "SOURCES", "FILES", "LIST")


def version_macro(target: str) -> str:
    """TORCH_TARGET_VERSION's value for a version: "2.11" is 0x020b000000000000ULL."""
    parts = [int(part) for part in re.findall(r"\d+", target)[:3]]
    major, minor, patch = [*parts, 0, 0, 0][:3]
    return f"0x{major << 56 | minor << 48 | patch << 40:016x}ULL"


def version_of_macro(text: str) -> tuple[int, int, int] | None:
    """The version a `TORCH_TARGET_VERSION=0x...` definition in `text` names; None where there is none."""
    match = _DEFINITION.search(text)
    if not match:
        return None
    value = int(match.group(1), 16)
    return value >> 56 & 0xFF, value >> 48 & 0xFF, value >> 40 & 0xFF


def version_tuple(target: str) -> tuple[int, int, int]:
    """ "2.11" as (2, 11, 0)."""
    parts = [int(part) for part in re.findall(r"\d+", target)[:3]]
    major, minor, patch = [*parts, 0, 0, 0][:3]
    return major, minor, patch


def stable_list_name(name: str) -> str:
    """A name for the stable side's list: VENDOR_EXT_SRC becomes VENDOR_STABLE_EXT_SRC, sources stable_sources."""
    words = name.split("_")
    index = next((i for i, word in enumerate(words) if word.upper() in _BEFORE), len(words) - 1)
    return "_".join([*words[:index], "stable" if name.islower() else "STABLE", *words[index:]])


def short_name(library: str) -> str:
    """The last part of a module name: `pkg._C` is `_C`."""
    return library.rpartition(".")[2]
