"""CMakeExtension entries: setup.py asks CMake for the stable library wherever it asks for the legacy one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch_stabilize.buildfiles.codes import CMAKE_EXTENSION, COMPUTED_SOURCES, CONDITION_LOST, TARGET_WIDENED
from torch_stabilize.buildfiles.python.syntax import dotted_name
from torch_stabilize.buildfiles.setup.model import Extension
from torch_stabilize.buildfiles.setup.names import device_words
from torch_stabilize.buildfiles.setup.text import add_after, add_statement
from torch_stabilize.model import Confidence, Severity, Span
from torch_stabilize.repository.stable_target import short_name
from torch_stabilize.source.document import CUDA_SUFFIXES

if TYPE_CHECKING:
    from torch_stabilize.buildfiles.setup.run import SetupRun


def add_cmake_extensions(
    run: SetupRun, extensions: Sequence[Extension], units: Sequence[str], widened: Sequence[str]
) -> None:
    """Name the stable library next to the legacy one.

    `widened` are the values ("HIP") for which CMake now builds a stable target that it did not build before.
    """
    old, new = short_name(run.layout.legacy_library), short_name(run.layout.stable_library)
    entries = [e for e in extensions if e.sources is None]
    stable = [e for e in entries if e.name.rpartition(".")[2] == new]
    if stable:
        for value in widened:
            _widen(run, stable[0], value)
        return
    legacy = [e for e in entries if e.name.rpartition(".")[2] == old]
    if units and all(unit.endswith(CUDA_SUFFIXES) for unit in units):
        device = [e for e in legacy if not re.search("cpu", " ".join(e.conditions), re.IGNORECASE)]
        legacy = device or legacy
    for extension in legacy:
        _repeat(run, extension, old, new)


def _repeat(run: SetupRun, extension: Extension, old: str, new: str) -> None:
    import libcst as cst

    file = run.model.file
    text = re.sub(rf"(?<![\w]){re.escape(old)}(?=[\"'])", new, file.text(extension.call))
    above = file.parent(extension.call)
    if isinstance(above, cst.Element):
        add_after(file, extension.call, [text], run.edits, CMAKE_EXTENSION)
        return
    statement = file.statement(extension.call)
    if isinstance(statement, cst.SimpleStatementLine) and isinstance(above, cst.Arg) and new in text:
        whole = file.text(statement).replace(file.text(extension.call), text)
        add_statement(file, extension.call, whole, run.edits, CMAKE_EXTENSION)
        return
    run.report(
        COMPUTED_SOURCES, Severity.ERROR, extension.call,
        f"cannot tell where {extension.name} is collected", f"Add {text} there.",
    )  # fmt: skip


def _widen(run: SetupRun, stable: Extension, value: str) -> None:
    """`if is_cuda():` around the stable entry becomes `if is_cuda() or is_hip():`, where both are known."""
    import libcst as cst

    file = run.model.file
    below: cst.CSTNode | None = None
    for node in file.around(stable.call):
        if isinstance(node, cst.If) and below is node.body and "cuda" in file.text(node.test).lower():
            other = _counterpart(run, file.text(node.test), value)
            if other is None:
                break
            if value.lower() not in file.text(node.test).lower() and other not in file.text(node.test):
                span = file.span(node.test)
                run.edits.replace(span, f"{file.text(node.test)} or {other}", TARGET_WIDENED, Confidence.REVIEW)
                _drop_comment(run, node, other)
            return
        below = node
    if any("cuda" in condition.lower() for condition in stable.conditions):
        run.report(
            CONDITION_LOST, Severity.ERROR, stable.call, f"{stable.name} is not asked for when building for {value}",
            f"CMake now builds it for {value} too: widen the condition around this line.",
        )  # fmt: skip


def _counterpart(run: SetupRun, test: str, value: str) -> str | None:
    """The test for another device that the file knows: `_is_cuda()` and HIP give `_is_hip()`."""
    import libcst as cst

    names = {node.name.value for node in run.model.file.find(cst.FunctionDef)}
    names |= {dotted_name(t.target) for a in run.model.file.find(cst.Assign) for t in a.targets}
    match = re.fullmatch(r"(\w*cuda\w*)(\(\))?", test, re.IGNORECASE)
    if not match:
        return None
    for device in device_words(value):
        for form in (device, device.upper()):
            name = re.sub("cuda", form, match.group(1), flags=re.IGNORECASE)
            if name in names:
                return name + (match.group(2) or "")
    return None


def _drop_comment(run: SetupRun, node: object, other: str) -> None:
    """A comment above that asks for what was just done."""
    import libcst as cst

    assert isinstance(node, cst.If)
    file = run.model.file
    start = end = file.line_start(file.span(node).start)
    while start > 0 and file.data[file.line_start(start - 1) : start].strip().startswith(b"#"):
        start = file.line_start(start - 1)
    if other in file.slice(Span(start, end)):
        run.edits.delete(Span(start, end), TARGET_WIDENED)
