"""Rewrite a piece of source that is not a file: a declaration, a template string of a code generator."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from torch_stabilize.model import DEFAULT_TARGET
from torch_stabilize.rules.context import Context, Project
from torch_stabilize.source.document import Document
from torch_stabilize.source.edits import apply
from torch_stabilize.source.function_index import FunctionIndex
from torch_stabilize.source.results import KnownReturns
from torch_stabilize.source.scopes import TypeFinder
from torch_stabilize.source.types import CppType
from torch_stabilize.surface.aten import result_type
from torch_stabilize.surface.entry import Entry
from torch_stabilize.surface.schemas import Op, choose, schema_kind
from torch_stabilize.surface.table import load_surface


def known_returns() -> KnownReturns:
    """Return types by the surface's tables."""

    def method(name: str, given: Sequence[CppType]) -> str:
        return _method_returns(name, tuple(map(schema_kind, given)))

    def function(name: str, given: Sequence[CppType]) -> str:
        return _function_returns(name, tuple(map(schema_kind, given)))

    return KnownReturns(method, function, _constant_type)


_STABLE = "torch::stable::"


@functools.lru_cache(maxsize=4096)
def _method_returns(name: str, kinds: tuple[str, ...]) -> str:
    entry = load_surface().method(name) or _stable_methods().get(name)
    return _returned(entry, choose(name, ("Tensor", *kinds), method=True) if _is_op(entry) else None)


@functools.cache
def _stable_methods() -> dict[str, Entry]:
    """The rows of methods by their stable names, which a file has that somebody has migrated in part."""
    rows = (entry for entry in load_surface().table if entry.kind == "method")
    return {entry.stable: entry for entry in rows if entry.stable and entry.stable.isidentifier()}


@functools.lru_cache(maxsize=4096)
def _function_returns(name: str, kinds: tuple[str, ...]) -> str:
    if name.startswith(_STABLE) and name.count("::") == 2:  # in a file that somebody has migrated in part
        last = name.removeprefix(_STABLE)
        return _function_returns(f"at::{last}", kinds) or _method_returns(last, kinds[1:])
    entry = load_surface().name(name)
    return _returned(entry, choose(name.rpartition("::")[2], kinds) if _is_op(entry) else None)


@functools.lru_cache(maxsize=4096)
def _constant_type(name: str) -> str:
    """The type of `at::kCUDA`, of `DeviceType::CUDA`, and of their stable names."""
    bare = name.removeprefix("torch::headeronly::")
    entry = load_surface().name(f"c10::{bare}") if bare != name or "::" in name else None
    entry = entry if entry is not None and entry.kind == "constant" else load_surface().name(name)
    return entry.returns if entry is not None and entry.kind == "constant" else ""


def _is_op(entry: Entry | None) -> bool:
    """Whether the row comes from torch's schemas: its overloads may return different things."""
    return entry is not None and entry.id.startswith("aten.")


def _returned(entry: Entry | None, op: Op | None) -> str:
    if op is not None:
        return result_type(op)
    return entry.returns if entry is not None else ""


def rewrite_text(text: bytes, path: str = "text.cu", target: str = DEFAULT_TARGET) -> bytes:
    """`text` as stable code, by the rules that apply to it on its own; what has no rule stays."""
    from torch_stabilize.rules.engine import rewrite_document

    document = Document(path, text)
    finder = TypeFinder((document,), known_returns())
    functions = FunctionIndex((document,))
    project = Project(load_surface(), target, (document,), finder, functions, moving=frozenset((path,)), headers=target)
    return apply(text, rewrite_document(Context(project, document)).edits)


def rewrite_declaration(text: bytes) -> bytes:
    """A declaration in stable types: `void f(torch::Tensor& x);`."""
    return rewrite_text(text, "declaration.h")
