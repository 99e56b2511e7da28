"""Calls of `torch.utils.cpp_extension.load`, as entries of the program."""

from __future__ import annotations

import ast
import posixpath
import re
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from torch_stabilize.buildfiles.jit.paths import Paths
from torch_stabilize.buildfiles.model import Abi, BuildEntry, EntryKind, Gap, GapKind, Origin, Source
from torch_stabilize.model import Span
from torch_stabilize.repository.python_tree import python_tree
from torch_stabilize.repository.snapshot import Snapshot
from torch_stabilize.source.document import UNIT_SUFFIXES

if TYPE_CHECKING:
    from torch_stabilize.buildfiles.modules import BuildFiles

_LOADS = re.compile(rb"\bload\b")
_MACRO = re.compile(r"-D(\w+)(?:=(.*))?")
_PARAMETERS = ("name", "sources", "extra_cflags", "extra_cuda_cflags", "extra_ldflags", "extra_include_paths")


def jit_files(files: BuildFiles) -> list[str]:
    """The project's Python files that call `load`, and have C++ sources below their folder or the one above it."""
    homes = {posixpath.dirname(path) for path in files.files(UNIT_SUFFIXES)}
    near: set[str] = set()
    for home in homes:
        while home:
            near.add(home)
            home = posixpath.dirname(home)
    found = []
    for path in files.files((".py",)):
        folder = posixpath.dirname(path)
        above = posixpath.dirname(folder)
        if not (folder in near or above in near or not above) or path in files.setup:
            continue
        data = files.snapshot.read(path)
        if b"cpp_extension" in data and _LOADS.search(data):
            found.append(path)
    return found


def read_jit_entries(snapshot: Snapshot, paths: Sequence[str]) -> tuple[tuple[BuildEntry, ...], tuple[Gap, ...]]:
    """What the Python files at `paths` compile; what cannot be parsed is no build file."""
    entries: list[BuildEntry] = []
    for path in paths:
        data = snapshot.read(path)
        tree = python_tree(data)
        if tree is None:
            continue
        for call in load_calls(tree):
            entry = _entry(snapshot, Paths(path, tree), data, call)
            if entry is not None:
                entries.append(entry)
    return tuple(entries), ()


def load_calls(tree: ast.Module) -> Iterator[ast.Call]:
    """The calls of `load`, however it is imported."""
    return calls_of(tree, "load")


def calls_of(tree: ast.Module, function: str) -> Iterator[ast.Call]:
    """The calls of a function of `torch.utils.cpp_extension`, however it is imported."""
    names, modules = {f"torch.utils.cpp_extension.{function}"}, set[str]()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "torch.utils.cpp_extension":
            names |= {alias.asname or alias.name for alias in node.names if alias.name == function}
        elif isinstance(node, ast.ImportFrom) and node.module == "torch.utils":
            modules |= {alias.asname or alias.name for alias in node.names if alias.name == "cpp_extension"}
        elif isinstance(node, ast.Import):
            modules |= {a.asname for a in node.names if a.name == "torch.utils.cpp_extension" and a.asname}
    names |= {f"{module}.{function}" for module in modules}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in names:
            yield node


def given(call: ast.Call, name: str) -> ast.expr | None:
    """What a call of `load` gives to the parameter `name`."""
    return given_as(call, name, _PARAMETERS)


def given_as(call: ast.Call, name: str, parameters: Sequence[str]) -> ast.expr | None:
    """What a call gives to the parameter `name`; `parameters` are those that may be given by place."""
    for keyword in call.keywords:
        if keyword.arg == name:
            return keyword.value
    place = parameters.index(name) if name in parameters else len(call.args)
    return call.args[place] if place < len(call.args) else None


def _entry(snapshot: Snapshot, paths: Paths, data: bytes, call: ast.Call) -> BuildEntry | None:
    name = paths.string(given(call, "name"))
    span = span_of(data, call)
    if name is None:
        return None
    sources, gaps = _sources(snapshot, paths, data, given(call, "sources"), span)
    if not sources:
        return None
    flags = [text for part in ("extra_cflags", "extra_cuda_cflags") for text in _strings(given(call, part))]
    macros = tuple((match[1], match[2] or "") for flag in flags if (match := _MACRO.fullmatch(flag)))
    abi = Abi.STABLE if any(macro == "TORCH_TARGET_VERSION" for macro, _ in macros) else Abi.LEGACY
    texts = _texts(paths, given(call, "extra_include_paths"))
    folders = [paths.place(text, frozenset({posixpath.normpath(text)})) for text in texts]
    return BuildEntry(
        "jit", paths.path, span, name, name, EntryKind.JIT, (), sources,
        tuple(folder for folder in folders if folder), macros, ("C++",), (), abi, gaps=gaps,
    )  # fmt: skip


def _strings(node: ast.expr | None) -> list[str]:
    return [one.value for one in ast.walk(node) if isinstance(one, ast.Constant) and isinstance(one.value, str)] \
        if node is not None else []  # fmt: skip


def _texts(paths: Paths, node: ast.expr | None) -> list[str]:
    node = paths.value(node) if node is not None else None
    parts = node.elts if isinstance(node, (ast.List, ast.Tuple)) else []
    return [text for part in parts if (text := paths.string(part)) is not None]


def _sources(
    snapshot: Snapshot, paths: Paths, data: bytes, node: ast.expr | None, span: Span
) -> tuple[tuple[Source, ...], tuple[Gap, ...]]:
    """The sources that an expression names; the rest is a gap."""
    found: list[Source] = []
    files = frozenset(snapshot.files)
    gap = Gap(GapKind.SOURCES, paths.path, span, "sources of load() are computed")
    node = paths.value(node) if node is not None else None
    while isinstance(node, ast.Call) and ast.unparse(node.func) in ("list", "sorted") and len(node.args) == 1:
        node = paths.value(node.args[0])
    if isinstance(node, ast.Call) and ast.unparse(node.func) in ("glob.glob", "glob") and node.args:
        pattern = paths.string(node.args[0])
        below = paths.place(pattern, frozenset({pattern})) if pattern else None
        if below is None:
            return (), (gap,)
        matching = [p for p in snapshot.files if fnmatchcase(p, below) and p.count("/") == below.count("/")]
        place = span_of(data, node)
        return tuple(Source(p, paths.path, place, origin=Origin.GLOB, pattern=below) for p in matching), ()
    if isinstance(node, (ast.ListComp, ast.GeneratorExp)):
        return _mapped(snapshot, paths, data, node, gap)
    if isinstance(node, ast.Constant) or (node is not None and paths.string(node) is not None):
        parts: Sequence[ast.expr] = [node]
    elif isinstance(node, (ast.List, ast.Tuple)):
        parts = node.elts
    else:
        return (), (gap,)
    gaps: tuple[Gap, ...] = ()
    for part in parts:
        text = paths.string(part)
        path = paths.place(text, files) if text is not None else None
        if path is None:
            gaps = (gap,)
        else:
            found.append(Source(path, paths.path, span_of(data, part)))
    return tuple(found), gaps


def _mapped(
    snapshot: Snapshot, paths: Paths, data: bytes, node: ast.ListComp | ast.GeneratorExp, gap: Gap
) -> tuple[tuple[Source, ...], tuple[Gap, ...]]:
    """`[join(here, name) for name in ("a.cpp", "b.cu")]`."""
    loop = node.generators[0]
    names = paths.value(loop.iter)
    if len(node.generators) > 1 or loop.ifs or not isinstance(loop.target, ast.Name):
        return (), (gap,)
    if not isinstance(names, (ast.List, ast.Tuple)):
        return (), (gap,)
    found: list[Source] = []
    for name in names.elts:
        held = Paths(paths.path, paths.tree)
        held._names[loop.target.id] = [name]
        text = held.string(node.elt)
        path = paths.place(text, frozenset(snapshot.files)) if text is not None else None
        if path is None:
            return tuple(found), (gap,)
        found.append(Source(path, paths.path, span_of(data, name), origin=Origin.LOOP))
    return tuple(found), ()


def span_of(data: bytes, node: ast.expr) -> Span:
    """The bytes of an expression."""
    starts = [0]
    while (end := data.find(b"\n", starts[-1])) >= 0:
        starts.append(end + 1)
    last = (node.end_lineno or node.lineno) - 1
    return Span(starts[node.lineno - 1] + node.col_offset, starts[last] + (node.end_col_offset or 0))
