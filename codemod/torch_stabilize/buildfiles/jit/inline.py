"""C++ code in strings of Python files: `torch.utils.cpp_extension.load_inline` compiles it when it is asked for."""

from __future__ import annotations

import ast
import posixpath
import re
from collections.abc import Iterator, Set
from typing import NamedTuple

from torch_stabilize.buildfiles.codes import COMPILED_FROM_STRINGS
from torch_stabilize.buildfiles.jit.paths import Paths
from torch_stabilize.buildfiles.jit.read import calls_of, given_as, span_of
from torch_stabilize.model import Diagnostic, Severity, Span
from torch_stabilize.repository.snapshot import Snapshot

_PARAMETERS = ("name", "cpp_sources", "cuda_sources")
_CALLED = re.compile(rb"\bload_inline\b")
_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*["<]([^">\n]+)[">]', re.MULTILINE)
WAY_OUT = (
    "What is compiled from strings keeps to torch's own C++ API. To migrate it, put the code into files, compile those "
    "with load(..., is_python_module=False), and migrate them."
)


class Inline(NamedTuple):
    """A call that compiles strings: where it is, the name it gives, and the strings as far as they are written down."""

    path: str
    span: Span
    name: str
    texts: tuple[str, ...]

    @property
    def included(self) -> tuple[str, ...]:
        """The files that the strings include."""
        return tuple(dict.fromkeys(name for text in self.texts for name in _INCLUDE.findall(text)))


def inline_calls(snapshot: Snapshot, folder: str = "") -> Iterator[Inline]:
    """The calls of `load_inline` in the Python files in and below `folder`."""
    for path in snapshot.below(folder, (".py",)):
        data = snapshot.read(path)
        if b"cpp_extension" not in data or not _CALLED.search(data):
            continue
        try:
            tree = ast.parse(data)
        except (SyntaxError, ValueError):
            continue
        paths = Paths(path, tree)
        for call in calls_of(tree, "load_inline"):
            name = paths.string(given_as(call, "name", _PARAMETERS)) or ""
            texts = [t for part in _PARAMETERS[1:] for t in _texts(paths, given_as(call, part, _PARAMETERS))]
            yield Inline(path, span_of(data, call), name, tuple(texts))


def _texts(paths: Paths, node: ast.expr | None) -> Iterator[str]:
    value = paths.value(node) if node is not None else None
    for part in value.elts if isinstance(value, (ast.List, ast.Tuple)) else [value]:
        text = paths.string(part)
        if text is not None:
            yield text


def inline_code(snapshot: Snapshot, folder: str, headers: Set[str], near: Set[str]) -> Iterator[Diagnostic]:
    """What a migration of `headers` says of code in strings: that it includes one of them, which is manual.

    Elsewhere it is a note for calls in the files `near`, which compile what migrates.
    """
    for one in inline_calls(snapshot, folder):
        called = one.name or "this"
        found = [h for h in sorted(headers) if any(_names(name, h) for name in one.included)]
        if found:
            yield Diagnostic(
                COMPILED_FROM_STRINGS, Severity.ERROR, one.path, one.span,
                f"{called} is compiled from strings that include {', '.join(map(posixpath.basename, found))}, which is "
                "stable code from here on", WAY_OUT,
            )  # fmt: skip
        elif one.path in near:
            yield Diagnostic(
                COMPILED_FROM_STRINGS, Severity.NOTE, one.path, one.span,
                f"{called} is compiled from strings and stays as it is", WAY_OUT,
            )  # fmt: skip


def _names(included: str, header: str) -> bool:
    name = posixpath.normpath(included)
    return header == name or header.endswith(f"/{name.lstrip('./')}")
