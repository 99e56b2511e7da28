"""A call of `load` that compiles stable code: the flags of the stable ABI, and no Python module."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from torch_stabilize.buildfiles.codes import EXTENSION_CREATED
from torch_stabilize.buildfiles.moving import Moving
from torch_stabilize.buildfiles.setup.create import OLD_STANDARD
from torch_stabilize.buildfiles.setup.text import add_after
from torch_stabilize.buildfiles.text_edits import TextEdits
from torch_stabilize.model import Confidence, Diagnostic, FileEdit, Severity, Span
from torch_stabilize.repository.codes import CONVERTED_IN_PLACE
from torch_stabilize.repository.snapshot import Snapshot
from torch_stabilize.repository.stable_target import version_macro

if TYPE_CHECKING:
    import libcst as cst

    from torch_stabilize.buildfiles.python.syntax import PythonFile

_ORDER = ("name", "sources", "extra_cflags", "extra_cuda_cflags")


class JitResult(NamedTuple):
    """The edits of the calls, and the units that they compile."""

    edits: tuple[FileEdit, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()
    owned: frozenset[str] = frozenset()


def plan_jit(snapshot: Snapshot, moving: Moving) -> JitResult:
    """Convert the calls that compile the library where they are; nothing where it is built otherwise, or split.

    Raises Refusal for a file that cannot be parsed.
    """
    layout = moving.layout
    if not layout.is_whole or not layout.is_compiled_at_import:
        return JitResult()
    edits: list[FileEdit] = []
    told: list[Diagnostic] = []
    for path in sorted({file for file, _ in layout.entries}):
        from torch_stabilize.buildfiles.python.syntax import read_python

        file = read_python(path, snapshot.read(path))
        found = TextEdits(path, file.data)
        for call in _calls(file, {start for other, start in layout.entries if other == path}):
            if "TORCH_TARGET_VERSION" in file.text(call):
                continue
            _convert(file, call, found, moving)
            told.append(Diagnostic(
                CONVERTED_IN_PLACE, Severity.NOTE, path, file.span(call),
                f"{layout.legacy_library} is compiled for the stable ABI from here on, under its own name",
            ))  # fmt: skip
        edits.extend(found.edits())
    return JitResult(tuple(edits), tuple(told), frozenset(moving.units))


def _calls(file: PythonFile, starts: set[int]) -> Iterator[cst.Call]:
    import libcst as cst

    yield from (call for call in file.find(cst.Call) if file.span(call).start in starts)


def _convert(file: PythonFile, call: cst.Call, found: TextEdits, moving: Moving) -> None:
    flags = [f'"-DTORCH_TARGET_VERSION={version_macro(moving.target)}"']
    is_cuda = any(unit.endswith(".cu") for unit in moving.units)
    flags += ['"-DUSE_CUDA"'] if is_cuda else []
    arguments = _arguments(call)
    missing = []
    for name in ("extra_cflags", "extra_cuda_cflags") if is_cuda else ("extra_cflags",):
        if name in arguments:
            _with_flags(file, arguments[name], flags, found)
        else:
            missing.append(f"{name}=[{', '.join(flags)}]")
    if "is_python_module" in arguments:
        found.replace(file.span(arguments["is_python_module"].value), "False", EXTENSION_CREATED)
    else:
        missing.append("is_python_module=False")
    fresh = [path for path in moving.created if path.endswith((".cpp", ".cu"))]
    if fresh and "sources" in arguments:
        _with_sources(file, arguments["sources"], fresh, found)
    add_after(file, call.args[-1], missing, found, EXTENSION_CREATED)
    _raise_standard(file, call, found)


def _raise_standard(file: PythonFile, call: cst.Call, found: TextEdits) -> None:
    """C++17 where the file asks for less: the stable headers need it."""
    text = file.slice(Span(0, len(file.data)))
    for match in OLD_STANDARD.finditer(text):
        at = len(text[: match.start()].encode("utf-8", "surrogateescape"))
        found.replace(Span(at, at + len(match[0])), f"{match[1]}++17", EXTENSION_CREATED, Confidence.REVIEW)


def _arguments(call: cst.Call) -> dict[str, cst.Arg]:
    named = {argument.keyword.value: argument for argument in call.args if argument.keyword is not None}
    placed = [argument for argument in call.args if argument.keyword is None and not argument.star]
    return named | dict(zip(_ORDER, placed, strict=False))


def _with_flags(file: PythonFile, argument: cst.Arg, flags: Sequence[str], found: TextEdits) -> None:
    """The flags behind those of a list that is written there; in front of what a name or a call gives."""
    import libcst as cst

    value = argument.value
    if isinstance(value, cst.List) and value.elements:
        add_after(file, value.elements[-1].value, flags, found, EXTENSION_CREATED)
    elif isinstance(value, (cst.List, cst.Name)) and file.text(value) in ("[]", "None"):
        found.replace(file.span(value), f"[{', '.join(flags)}]", EXTENSION_CREATED)
    else:
        text = f"[*({file.text(value)} or ()), {', '.join(flags)}]"
        found.replace(file.span(value), text, EXTENSION_CREATED)


def _with_sources(file: PythonFile, argument: cst.Arg, paths: Sequence[str], found: TextEdits) -> None:
    """New sources, written relative to a source that is there."""
    text = file.text(argument.value)
    root = "os.path.dirname(os.path.abspath(__file__))"
    from posixpath import dirname, relpath

    made = [f'os.path.join({root}, "{relpath(path, dirname(file.path) or ".")}")' for path in paths]
    import libcst as cst

    if isinstance(argument.value, cst.List) and argument.value.elements:
        add_after(file, argument.value.elements[-1].value, made, found, EXTENSION_CREATED)
    else:
        found.replace(file.span(argument.value), f"[*{text}, {', '.join(made)}]", EXTENSION_CREATED)
