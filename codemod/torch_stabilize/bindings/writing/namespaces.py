"""Namespaces of operators that the build names: one file of bindings serves several libraries."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from torch_stabilize.bindings.reading.names import EXTENSION_NAME
from torch_stabilize.bindings.reading.text import decode, encode
from torch_stabilize.model import FileEdit
from torch_stabilize.repository.layout import Layout
from torch_stabilize.repository.stable_target import NAMESPACE_MACRO


def named_by_build(layout: Layout, text: str) -> str:
    """`text`, new registrations, with a macro for the namespace where each library of the file has one of its own.

    That is the library's name where it stays what it is. A block that defines a library would paste the macro's name,
    and becomes a fragment.
    """
    if not layout.has_computed_namespace:
        return text
    macro = EXTENSION_NAME if layout.is_whole else NAMESPACE_MACRO
    name = re.escape(layout.legacy_library)
    text = re.sub(rf"\bSTABLE_TORCH_LIBRARY\({name}\b", f"STABLE_TORCH_LIBRARY_FRAGMENT({macro}", text)
    return re.sub(rf"\b(STABLE_TORCH_LIBRARY_(?:FRAGMENT|IMPL)\(){name}\b", rf"\1{macro}", text)


def edits_named_by_build(layout: Layout, edits: Iterable[FileEdit]) -> list[FileEdit]:
    """The same for edits."""
    if not layout.has_computed_namespace:
        return list(edits)
    return [
        one._replace(edit=replace(one.edit, replacement=encode(named_by_build(layout, decode(one.edit.replacement)))))
        for one in edits
    ]
