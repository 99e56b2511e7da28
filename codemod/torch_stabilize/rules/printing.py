"""Values that legacy code prints and the stable types do not: the helper that makes each of them text."""

from __future__ import annotations

from typing import NamedTuple

from torch_stabilize.source.types import CppType


class Printer(NamedTuple):
    """A function that makes a value text, and the helper that defines it."""

    function: str
    helper: str


_PRINTERS = {
    "IntArrayRef": Printer("sizes_to_string", "sizes_to_string"),
    "Device": Printer("device_to_string", "device_to_string"),
    "DeviceType": Printer("device_type_to_string", "device_to_string"),
    "Layout": Printer("layout_to_string", "layout_to_string"),
}


def printer_of(kind: CppType) -> Printer | None:
    """What makes a value of this type text; None where it prints by itself, or is not known."""
    return _PRINTERS.get(kind.name) if not kind.pointers else None
