"""Namespaces that the build of a kernel names: the macros that expand their name stay in the registrations."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from torch_stabilize.bindings.reading.registry import Registry
from torch_stabilize.model import FileEdit

_COMPUTED = re.compile(rb"\bTORCH_LIBRARY(?:_IMPL|_FRAGMENT)?_EXPAND\s*\(\s*(?P<name>TORCH_EXTENSION_NAME)\b")
_MACRO = rb"\1_EXPAND(TORCH_EXTENSION_NAME"


def computed_names(registry: Registry, edits: Iterable[FileEdit]) -> list[FileEdit]:
    """`edits` of registrations with the macro for their namespace, where kernel-builder makes the name up.

    What it generates for each kernel, `registration.h`, has the macros that expand it for the stable ABI too.
    """
    layout = registry.layout
    if not layout.kernel_files:
        return list(edits)
    name = re.escape(layout.legacy_library).encode()
    written = re.compile(rb"\b(STABLE_TORCH_LIBRARY(?:_IMPL|_FRAGMENT)?)\(" + name + rb"(?=\s*,)")
    return [
        one._replace(edit=replace(one.edit, replacement=written.sub(_MACRO, one.edit.replacement)))
        if _COMPUTED.search(registry.document(one.path).code)
        else one
        for one in edits
    ]
