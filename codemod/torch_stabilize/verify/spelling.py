"""Spellings that a migration changes and that mean the same, made one."""

from __future__ import annotations

import re

_CONTINUED = re.compile(rb"\\\r?\n")
# Namespaces of torch's types, its methods for pointers, its functions for the properties of a device.
_NAMESPACE = re.compile(
    r"\b(?:::)?(?:torch::(?:headeronly|stable(?:::accelerator)?)|torch|at(?:::cuda)?|c10(?:::cuda)?)::"
)
_POINTER = re.compile(r"\b(?:const_|mutable_)?data_ptr\b")
_PROPERTIES = re.compile(r"\b(?:get(?:Current)?DeviceProperties|get_device_prop\w*)\b")
# What both APIs write around the thing whose device is meant: `device_of(x)`, `x.device()`, `(char)x.get_device()`.
_AROUND = (
    (re.compile(r"\bdevice_of\(((?:[^()]|\([^()]*\))*)\)"), r"\1"),
    (re.compile(r"\bDevice\((?:DeviceType::CUDA|kCUDA),(.*)\)$"), r"\1"),
    (re.compile(r"^(?:static_cast<[\w:]+>|\(\w+\))(?=[\w(])"), ""),
    (re.compile(r"(?:\.|->)(?:get_device(?:_index)?|device|index)\(\)"), ""),
    (re.compile(r"^\((.*)\)$"), r"\1"),
)


def plain_text(code: bytes) -> str:
    """Code without line continuations and space, with the spellings of both APIs made one."""
    text = _CONTINUED.sub(b" ", code).decode("utf-8", "replace")
    text = re.sub(r"\s*([^\w\s])\s*", r"\1", " ".join(text.split()))
    return _PROPERTIES.sub("get_device_prop", _POINTER.sub("data_ptr", _NAMESPACE.sub("", text)))


def device_text(code: bytes) -> str:
    """The thing whose device is meant, as both APIs write it: `x` for `x.device()` and `x.get_device_index()`."""
    text = plain_text(code)
    for around, inside in _AROUND:
        text = around.sub(inside, text)
    return text
