"""The stream guards of the host code: a guard makes a stream current, and the device that the stream is of.

The legacy guard asks its stream for the device; the stable one is told it, and may be told another.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import zip_longest

from torch_stabilize.source.brackets import closing_bracket, split_spans
from torch_stabilize.source.document import Document
from torch_stabilize.verify import codes
from torch_stabilize.verify.result import Finding, finding
from torch_stabilize.verify.spelling import device_text

_GUARD = re.compile(rb"\b(?:Optional)?(?:CUDA|Cuda|HIP|Hip)StreamGuard(?:MasqueradingAsCUDA)?(?:\s+\w+)?\s*[({]")
_SOURCE = re.compile(
    rb"(?P<name>getStreamFromPool|getStreamFromExternal|getCurrent(?:CUDA|HIP)Stream|getDefault(?:CUDA|HIP)Stream"
    rb"|get_cuda_stream_from_pool|get_current_cuda_stream)(?:MasqueradingAsCUDA)?\s*\("
)
_SECOND = frozenset((b"getStreamFromPool", b"getStreamFromExternal", b"get_cuda_stream_from_pool"))
_DECLARED = re.compile(rb"\bcudaStream_t\s+\w+$|&$")
_CLASS = re.compile(rb"\b(?:class|struct)\s+$")
_CURRENT = re.compile(r"(?:^|::)(?:getCurrentDeviceIndex|current_device)\(\)$|^-1$|^$")


@dataclass(frozen=True)
class StreamGuard:
    """One guard and the thing whose device it makes current: "" for the current one, None where that is not read."""

    device: str | None
    line: int


def read_stream_guards(document: Document) -> tuple[StreamGuard, ...]:
    """The stream guards of a file that are given a stream, in file order."""
    code, found = document.code, []
    for match in _GUARD.finditer(code):
        end = closing_bracket(code, match.end() - 1)
        parts = split_spans(code, match.end(), end) if end > 0 else ()
        first = code[slice(*parts[0])].strip() if parts else b""
        if not first or _DECLARED.search(first) or _CLASS.search(code, max(0, match.start() - 40), match.start()):
            continue  # the class itself, or its constructors
        device = _plain(code[slice(*parts[1])]) if len(parts) > 1 else _device_of(first, code[: match.start()])
        found.append(StreamGuard(device, code.count(b"\n", 0, match.start()) + 1))
    return tuple(found)


def compare_stream_guards(before: Iterable[StreamGuard], after: Iterable[StreamGuard], path: str) -> Iterator[Finding]:
    """Stream guards that are gone, or that make another device current."""
    for was, now in zip_longest(before, after):
        if now is None:
            yield finding(codes.GUARD_DIFFERS, f"a stream guard is gone; it was in line {was.line}", path=path)
        elif was is None or was.device is None or now.device is None:
            continue
        elif was.device != now.device:
            text = f"the stream guard makes {_said(now.device)} current instead of {_said(was.device)}"
            yield finding(codes.GUARD_DIFFERS, text, path=path, line=now.line)


def _said(device: str) -> str:
    return f"the device of {device!r}" if device else "no other device"


def _device_of(stream: bytes, above: bytes) -> str | None:
    """The device of a stream: of the call that gives it, here or where the variable got its value."""
    call = _SOURCE.search(stream)
    if call is None and re.fullmatch(rb"\w+", stream):
        values = list(re.finditer(rb"\b" + stream + rb"\s*(?:=(?!=)|\(|\{)(?P<value>[^;]*)", above))
        stream = values[-1]["value"] if values else b""
        call = _SOURCE.search(stream)
    if call is None:
        return None
    end = closing_bracket(stream, call.end() - 1)
    if end < 0:
        return None
    arguments = [stream[a:b] for a, b in split_spans(stream, call.end(), end)]
    place = 1 if call["name"] in _SECOND else 0
    return _plain(arguments[place]) if place < len(arguments) else ""


def _plain(code: bytes) -> str:
    text = device_text(code)
    return "" if _CURRENT.search(text) else text
