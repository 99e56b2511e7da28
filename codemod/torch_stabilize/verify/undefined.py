"""Macros that code of a group asks for and that stayed undefined: what depends on them was compiled on no side."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from torch_stabilize.model import Severity
from torch_stabilize.source.document import Document
from torch_stabilize.verify import codes
from torch_stabilize.verify.result import Finding, finding

_DIRECTIVE = re.compile(
    rb"^[ \t]*#[ \t]*(?P<word>ifdef|if|elif|define)[ \t]+(?P<rest>(?:[^\\\n]|\\.|\\\n)*)", re.MULTILINE
)
_NEGATED = re.compile(rb"!\s*(?:defined\s*\(?\s*)?[A-Za-z_]\w*")
_TEXT = re.compile(rb"//.*|/\*.*?\*/|\"[^\"]*\"|<[^>]*>", re.DOTALL)
_CALL = re.compile(rb"\b(?:__has_\w+)\s*\([^)]*\)")
_NAME = re.compile(rb"(?<![\w.])[A-Za-z_]\w*")
# Macros of compilers, systems, torch, CUDA and other GPUs: no build file of a project defines them.
_KNOWN = re.compile(
    rb"_.*|defined|NDEBUG|WIN32|WIN64|_MSC_VER|APPLE|LINUX|(?:TORCH|C10|AT|CAFFE2|CUDA|CUDART|CUDNN|NCCL|THRUST|CUB|CCCL|"
    rb"NVTX|PY|Py|PYBIND11|HIP|HIPCC|ROCM|MSVC|BOOST|FMT|EIGEN)_?\w*|USE_(?:ROCM|HIP|XPU|MPS|MUSA)|true|false|"
    rb"\w*(?:ROCM|HIP|MUSA|XPU)\w*"
)


class Undefined(NamedTuple):
    """A macro and the first place that asks for it."""

    name: str
    path: str
    line: int


def undefined_macros(
    documents: Iterable[Document], everything: Iterable[bytes], given: Iterable[str]
) -> tuple[Undefined, ...]:
    """The macros that `documents` ask for, and that neither the flags `given` nor `everything` they include defines."""
    defined = {flag[2:].partition("=")[0].encode() for flag in given if flag.startswith("-D")}
    for data in everything:
        defined |= {name for word, rest in _directives(data) if word == b"define" for name in _NAME.findall(rest)[:1]}
    found: dict[str, Undefined] = {}
    for document in documents:
        for match in _DIRECTIVE.finditer(document.data):
            if match["word"] == b"define":
                continue
            for name in _asked(match["rest"]):
                if name not in defined and not _KNOWN.fullmatch(name):
                    line = document.data.count(b"\n", 0, match.start()) + 1
                    found.setdefault(name.decode(), Undefined(name.decode(), document.path, line))
    return tuple(found.values())


def undefined_findings(found: Iterable[Undefined]) -> tuple[Finding, ...]:
    """A note for each."""
    return tuple(
        finding(
            codes.MACRO_UNDEFINED,
            f"{one.name} is defined on no side: what depends on it was not compiled",
            severity=Severity.NOTE,
            path=one.path,
            line=one.line,
            help=f"give it with --define {one.name}, if the project's own build does",
        )
        for one in found
    )


def _directives(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    return ((match["word"], match["rest"]) for match in _DIRECTIVE.finditer(data))


def _asked(condition: bytes) -> Iterator[bytes]:
    """The macros without which the code behind `condition` is left out."""
    plain = _CALL.sub(b" ", _TEXT.sub(b" ", condition))
    without = {name for text in _NEGATED.findall(plain) for name in _NAME.findall(text)}
    calls = set(re.findall(rb"([A-Za-z_]\w*)\s*\(", plain)) - {b"defined"}
    yield from (name for name in _NAME.findall(plain) if name not in without and name not in calls)
