"""Whether a file holds anything of the unstable API: a coarse look by tokens, to sort files with.

Which name it is and what becomes of it is the rules' business; here a namespace or a macro family is enough.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from torch_stabilize.source.document import Document, per_document
from torch_stabilize.source.patterns import word_start

# Each begins with letters that must occur: a search for those skips the rest of a file.
_NAMES = tuple(
    re.compile(pattern)
    for pattern in (
        rb"#[ \t]*include[ \t]*[<\"]"
        rb"(?:ATen/|c10/|caffe2/|THC?/|torch/(?!csrc/stable/|headeronly/|csrc/inductor/aoti_torch/))",
        word_start(b"torch::") + rb"(?!stable\b|headeronly\b|native\b)",
        word_start(b"at::"),
        word_start(b"c10::"),
        word_start(b"TORCH_")
        + rb"(?!LIBRARY|(?:EXTENSION_NAME|TARGET_VERSION|ERROR_CODE_CHECK|BOX|FEATURE_VERSION)\b)[A-Z0-9_]+\b",
        word_start(b"AT_") + rb"(?!LIBRARY)[A-Z0-9_]+\b",
        word_start(b"C10_") + rb"(?!LIBRARY)[A-Z0-9_]+\b",
        word_start(b"CAFFE2_") + rb"(?!LIBRARY)[A-Z0-9_]+\b",
    )
)
# One of these is in all that the patterns find.
_WORDS = (
    b"ATen/",
    b"c10",
    b"caffe2/",
    b"TH/",
    b"THC/",
    b"torch",
    b"at::",
    b"TORCH_",
    b"AT_",
    b"C10_",
    b"CAFFE2_",
    b"PYBIND11_",
)
# Only where it is used: a header of the project may wrap these macros, and what nobody expands harms nobody.
_REGISTRATIONS = (
    re.compile(word_start(b"TORCH_LIBRARY") + rb"[A-Z_]*\b"),
    re.compile(word_start(b"PYBIND11_MODULE") + rb"\b"),
)
_DEFINE = re.compile(rb"^[ \t]*#[ \t]*define\b(?:\\\r?\n|[^\n])*", re.MULTILINE)
_DIRECTIVE = re.compile(rb"^[ \t]*#[ \t]*(if|ifdef|ifndef|elif|else|endif)\b((?:\\\r?\n|[^\n])*)", re.MULTILINE)
_TARGET = rb"TORCH_TARGET_VERSION"

_STABLE_WORDS = (b"torch/csrc/stable/", b"STABLE_TORCH_LIBRARY")
_STABLE = re.compile(rb"^[ \t]*(?:#[ \t]*include[ \t]*<torch/csrc/stable/|STABLE_TORCH_LIBRARY)", re.MULTILINE)


def holds_unstable_names(document: Document, own: str = "") -> bool:
    """Whether the stable build of a file would meet a name of the unstable API.

    Code that only the legacy build sees (`#ifndef TORCH_TARGET_VERSION`) does not count, nor does the macro `own`,
    which is the project's whatever it is called.
    """
    return _holds_unstable_names(document, own) if own else _holds_any(document)


@per_document
def _holds_any(document: Document) -> bool:
    return _holds_unstable_names(document, "")


def _holds_unstable_names(document: Document, own: str) -> bool:
    if not any(word in document.data for word in _WORDS):
        return False  # most files of a large tree: they need no look at what is code in them
    code = document.code
    if _TARGET in code:
        code = _without_legacy_branches(code)
    if own:
        code = re.sub(rb"\b%b\b" % own.encode(), b"", code)
    if _holds(_NAMES, code):
        return True
    return _holds(_REGISTRATIONS, code) and _holds(_REGISTRATIONS, _DEFINE.sub(b"", code))


def is_stable_text(data: bytes) -> bool:
    """Whether a file includes the stable API or registers with it, as far as a look at its lines tells."""
    return any(word in data for word in _STABLE_WORDS) and _STABLE.search(data) is not None


def _holds(patterns: Iterable[re.Pattern[bytes]], code: bytes) -> bool:
    return any(pattern.search(code) for pattern in patterns)


def has_legacy_branches(code: bytes) -> bool:
    """Whether some lines of `code` are compiled only where TORCH_TARGET_VERSION is not defined."""
    return _TARGET in code and _without_legacy_branches(code) != code


def unstable_macros(document: Document) -> tuple[str, ...]:
    """The macros that `document` defines with a name of the unstable API in their bodies."""
    code = document.code
    return tuple(m.name for m in document.macros if _holds(_NAMES, code[m.body.start : m.body.end]))


def _without_legacy_branches(code: bytes) -> bytes:
    """`code` less the branches that are not compiled where TORCH_TARGET_VERSION is defined."""
    kept: list[bytes] = []
    done = 0
    visible: list[bool | None] = []  # of each open condition: seen by the stable build, None where it does not say
    for match in _DIRECTIVE.finditer(code):
        if False not in visible:
            kept.append(code[done : match.start()])
        done = match.start()
        word, condition = match.group(1), match.group(2)
        if word in (b"if", b"ifdef", b"ifndef"):
            visible.append(_seen_by_stable_build(word, condition))
        elif word == b"endif" and visible:
            visible.pop()
        elif visible:
            visible[-1] = None if visible[-1] is None else not visible[-1]
    if False not in visible:
        kept.append(code[done:])
    return b"".join(kept)


def _seen_by_stable_build(word: bytes, condition: bytes) -> bool | None:
    """What a condition says of the stable build: True, False, or None where it depends on something else."""
    text = b"".join(condition.split())
    if word != b"if":
        return (word == b"ifdef") if text == _TARGET else None
    if text in (b"defined(" + _TARGET + b")", b"defined" + _TARGET):
        return True
    if text in (b"!defined(" + _TARGET + b")", b"!defined" + _TARGET):
        return False
    return None
