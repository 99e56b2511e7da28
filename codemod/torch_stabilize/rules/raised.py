"""What is another for every call or text of a kind, and so is said once: classes of errors, names of dtypes."""

from __future__ import annotations

import re
from collections.abc import Iterable

from torch_stabilize.model import Diagnostic, FileEdit, Severity, Span
from torch_stabilize.rules.registry import page
from torch_stabilize.source.document import Document

RAISED = page(
    "TSA913",
    "An error that an operator raises reaches Python as RuntimeError.",
    "Stable code calls operators through functions of C that return an error code, so the class of the error is lost:\n"
    "IndexError, ValueError, TypeError and NotImplementedError of operators become RuntimeError, with the same text. Errors\n"
    "of the code's own checks keep their class. Nothing is to be done unless Python code or a test catches such a class.",
)

# Operators that raise RuntimeError alone, when called with what they can be compiled with.
_RUNTIME_ERROR_ALONE = frozenset({
    "empty", "empty_like", "new_empty", "new_zeros", "zeros", "zeros_like", "ones", "full", "to", "contiguous", "clone",
    "copy_", "fill_", "zero_", "view", "reshape", "from_blob", "detach", "cpu", "cuda",
})  # fmt: skip
_CALL = re.compile(rb"\b(?:torch::stable|stable_aten)::(?P<name>[a-z]\w*)\s*\(")


def raised(edits: Iterable[FileEdit]) -> tuple[Diagnostic, ...]:
    """A note at the first of `edits` that calls an operator which may raise something else; none where there is none."""
    first = min((edit for edit in edits if _may_raise(edit.edit.replacement)), default=None)
    if first is None:
        return ()
    message = (
        "IndexError, NotImplementedError and other errors of operators reach Python as RuntimeError, with their text"
    )
    help = "look for Python code and tests that catch or expect another class"
    return (Diagnostic(RAISED, Severity.NOTE, first.path, first.edit.span, message, help),)


DTYPES_SHOWN = page(
    "TSA915",
    "A dtype in a text has the name of its ScalarType: Float, not float.",
    "`x.dtype()` was printed as the C++ type: float, long int, unsigned char. The stable ABI only has ScalarType, which prints\n"
    "as Float, Long, Byte. Tests that compare such a text have to expect the other name.",
)
# `x.dtype()` among what a check or a stream shows.
_SHOWN = re.compile(
    rb"\b\w*(?:CHECK|ERROR|WARN|ASSERT)\w*\s*\([^;]*?,\s*(?P<check>[\w.>()\[\]-]*\bdtype\(\))\s*(?:\.name\(\)\s*)?[,)]"
    rb"|<<\s*(?P<stream>[\w.>()\[\]-]*\bdtype\(\))"
)


def dtypes_shown(documents: Iterable[Document]) -> tuple[Diagnostic, ...]:
    """A note at the first dtype that is shown in a text; none where there is none."""
    for document in documents:
        match = _SHOWN.search(document.code) if b"dtype" in document.words else None
        if match is not None:
            place = Span(*match.span("check" if match["check"] else "stream"))
            message = "a dtype in a text reads Float, Long, Byte now, where it read float, long int, unsigned char"
            help = "look for tests that compare such a text"
            return (Diagnostic(DTYPES_SHOWN, Severity.NOTE, document.path, place, message, help),)
    return ()


def _may_raise(replacement: bytes) -> bool:
    return any(match["name"].decode() not in _RUNTIME_ERROR_ALONE for match in _CALL.finditer(replacement))
