"""The device guards of the host code: each one of the legacy file is there in the stable one, before the same launch.

A kernel that lost its guard runs right on a machine with one GPU, and on the wrong GPU where there are more.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from torch_stabilize.model import Severity, Span
from torch_stabilize.source.brackets import closing_bracket
from torch_stabilize.source.document import Document
from torch_stabilize.verify import codes
from torch_stabilize.verify.launches import Launch
from torch_stabilize.verify.result import Finding, finding
from torch_stabilize.verify.spelling import device_text

_GUARD = re.compile(
    rb"\b(?:Optional)?(?:CUDA|HIP|Device)Guard(?:MasqueradingAsCUDA)?\s*\w*\s*[({]|\b\w*[gG]uard\w*\.set_(?:device|index)\s*\("
)


@dataclass(frozen=True)
class Guard:
    """One guard: the thing whose device it makes current, and the kernel launched next below it ("" for none)."""

    device: str
    kernel: str
    span: Span
    line: int


def read_guards(document: Document, launches: Sequence[Launch]) -> tuple[Guard, ...]:
    """The device guards of a file, macro bodies included, in file order; `launches` are those of the file."""
    code, found = document.code, []
    for match in _GUARD.finditer(code):
        end = closing_bracket(code, match.end() - 1)
        if end < 0:
            continue
        kernel = next((launch.kernel for launch in launches if launch.span.start > end), "")
        line = code.count(b"\n", 0, match.start()) + 1
        device = device_text(code[match.end() : end])
        found.append(Guard(device, kernel, Span(match.start(), end + 1), line))
    return tuple(found)


def compare_guards(before: Iterable[Guard], after: Iterable[Guard], path: str) -> Iterator[Finding]:
    """Guards that are gone, that stand behind a launch, or that make another device current. New ones do no harm."""
    old, new = list(before), list(after)
    matcher = SequenceMatcher(None, [g.device for g in old], [g.device for g in new], autojunk=False)
    for tag, i, j, k, m in matcher.get_opcodes():
        if tag == "insert":
            continue
        for was, now in zip(old[i:j], new[k:m], strict=False):
            if tag == "replace":
                part = was.device in now.device or now.device in was.device
                text = f"the guard makes the device of {now.device!r} current instead of that of {was.device!r}"
                severity = Severity.WARNING if part else Severity.ERROR
                yield finding(codes.GUARD_DIFFERS, text, severity=severity, path=path, span=now.span, line=now.line)
            elif was.kernel != now.kernel:
                text = f"the guard of the device of {now.device!r} does not stand before the launch of {was.kernel} now"
                yield finding(codes.GUARD_DIFFERS, text, path=path, span=now.span, line=now.line)
        for lost in old[i + m - k : j]:
            text = f"the guard of the device of {lost.device!r} is gone; it was in line {lost.line}"
            yield finding(codes.GUARD_DIFFERS, text, path=path)
