"""What Python files load, what they take from it, and which operators they call: read with `ast`, never run."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from posixpath import dirname
from typing import NamedTuple

from torch_stabilize.model import Span
from torch_stabilize.repository.python_tree import python_tree
from torch_stabilize.repository.snapshot import Snapshot
from torch_stabilize.source.patterns import word_start
from torch_stabilize.source.spans import line_end, line_start

_FILE = re.compile(r"(?:.*/)?(?P<name>\w+?)(?:\.abi3|\.cpython[\w-]*)?\.(?:so|pyd|dylib)")
_IMPORTERS = frozenset({"import_module", "__import__"})
_LOADERS = frozenset({"load_library", "CDLL", "LoadLibrary", "load_dynamic"})
_FROM_SPEC = frozenset({"load_library", "CDLL", "LoadLibrary", "module_from_spec", "load_module", "exec_module"})
_MODULE = re.compile(r"\.?[A-Za-z_]\w*(?:\.\w+)*")


class Load(NamedTuple):
    """One place that loads a module: its name as far as it is written, and the name that it is bound to, if any."""

    module: str  # "pkg._C", or "_C" where a file of that name is loaded
    span: Span
    bound: str = ""
    names: tuple[str, ...] = ()  # taken by `from pkg._C import f`
    is_file: bool = False


class Use(NamedTuple):
    """A name of a module (`_C.f`), or an operator (`torch.ops.ns.f`), that is used. `module` is "" for an operator."""

    module: str
    space: str
    name: str
    span: Span


@dataclass(frozen=True)
class PythonSource:
    """One Python file of a tree."""

    snapshot: Snapshot
    path: str

    @cached_property
    def tree(self) -> ast.Module | None:
        """The file's syntax tree; None where it cannot be parsed."""
        return python_tree(self.snapshot.read(self.path))

    @cached_property
    def package(self) -> str:
        """The dotted name of the package that the file lies in, from the highest folder with an __init__.py."""
        folder = dirname(self.path)
        parts: list[str] = []
        while folder and self.snapshot.exists(f"{folder}/__init__.py"):
            parts.insert(0, folder.rpartition("/")[2])
            folder = dirname(folder)
        return ".".join(parts) or dirname(self.path).replace("/", ".")

    @cached_property
    def _starts(self) -> list[int]:
        starts = [0]
        for line in self.snapshot.read(self.path).split(b"\n"):
            starts.append(starts[-1] + len(line) + 1)
        return starts

    def span(self, node: ast.expr | ast.stmt) -> Span:
        """Where `node` is, in bytes."""
        start = self._starts[node.lineno - 1] + node.col_offset
        end_line, end_column = node.end_lineno or node.lineno, node.end_col_offset or node.col_offset
        return Span(start, max(start, self._starts[end_line - 1] + end_column))

    @cached_property
    def _nodes(self) -> tuple[ast.AST, ...]:
        """The imports, calls and attributes: all of the tree that anybody looks at."""
        if self.tree is None:
            return ()
        found: list[ast.AST] = []
        waiting: list[ast.AST] = [self.tree]
        for node in waiting:  # outer ones first, as they are written
            if isinstance(node, (ast.Import, ast.ImportFrom, ast.Call, ast.Attribute)):
                found.append(node)
            for name in node._fields:
                value = getattr(node, name, None)
                if isinstance(value, ast.AST):
                    if value._fields:
                        waiting.append(value)
                elif isinstance(value, list):
                    waiting += [one for one in value if isinstance(one, ast.AST)]
        return tuple(found)

    @cached_property
    def loads(self) -> tuple[Load, ...]:
        """Every import, and every call that loads a module or a shared library by a name that is written out."""
        if self.tree is None:
            return ()
        return tuple(load for node in self._nodes for load in self._load(node))

    def _load(self, node: ast.AST) -> Iterator[Load]:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Load(alias.name, self.span(node), alias.asname or alias.name)
        elif isinstance(node, ast.ImportFrom):
            base = self.absolute(node)
            yield Load(base, self.span(node), "", tuple(alias.name for alias in node.names))
            for alias in node.names:
                yield Load(f"{base}.{alias.name}" if base else alias.name, self.span(node), alias.asname or alias.name)
        elif isinstance(node, ast.Call):
            name = _called(node)
            if name in _IMPORTERS and node.args:
                for text in _strings(node.args[0]):
                    yield Load(self.package + text if text.startswith(".") else text, self.span(node))
            elif name in _LOADERS:
                for argument in node.args:
                    for text in _strings(argument):
                        if match := _FILE.fullmatch(text):
                            yield Load(match["name"], self.span(node), is_file=True)

    @cached_property
    def may_load(self) -> tuple[Load, ...]:
        """The modules that a file names where it loads what it found by a computed name: `find_spec(name).origin`.

        They are loaded for all that is known of the file; that one of them is not cannot be told.
        """
        calls = [node for node in self._nodes if isinstance(node, ast.Call)]
        loads = [node for node in calls if _called(node) in _FROM_SPEC or _called(node) in _IMPORTERS]
        if self.tree is None or not any(not all(map(_is_written, node.args[:1])) for node in loads):
            return ()
        written = ((one, one.value) for one in ast.walk(self.tree) if isinstance(one, ast.Constant))
        return tuple(
            Load(text, self.span(one), is_file=True)
            for one, text in written
            if isinstance(text, str) and _MODULE.fullmatch(text)
        )

    def absolute(self, node: ast.ImportFrom) -> str:
        """The module of a `from ... import`, its dots resolved."""
        if not node.level:
            return node.module or ""
        parts = self.package.split(".") if self.package else []
        base = parts[: len(parts) - node.level + 1]
        return ".".join([*base, *filter(None, [node.module])])

    @cached_property
    def imported(self) -> tuple[str, ...]:
        """The Python files of the tree that this one imports, of its own package and of others next to that."""
        parts = self.package.split(".") if self.package else []
        folder = dirname(self.path)
        top = folder.removesuffix("/".join(parts)).rstrip("/")
        found: dict[str, None] = {}
        for load in self.loads:
            below = load.module.replace(".", "/")
            stem = f"{top}/{below}" if top else below
            for candidate in (f"{stem}.py", f"{stem}/__init__.py"):
                if not load.is_file and candidate != self.path and self.snapshot.exists(candidate):
                    found[candidate] = None
        return tuple(found)

    @cached_property
    def uses(self) -> tuple[Use, ...]:
        """Attributes of what is imported, and operators that are called by their full name."""
        if self.tree is None:
            return ()
        bound = {load.bound: load.module for load in self.loads if load.bound}
        found = []
        for node in self._nodes:
            if not isinstance(node, ast.Attribute):
                continue
            parts = _dotted(node)
            if len(parts) >= 4 and parts[:2] == ["torch", "ops"]:
                found.append(Use("", parts[2], parts[3], self.span(node)))
            elif len(parts) > 1 and (module := bound.get(".".join(parts[:-1]))) is not None:
                found.append(Use(module, "", parts[-1], self.span(node)))
        return tuple(found)


def _dotted(node: ast.expr) -> list[str]:
    """`["a", "b"]` of `a.b`; nothing where it begins with something else than a name."""
    if isinstance(node, ast.Name):
        return [node.id]
    if isinstance(node, ast.Attribute) and (before := _dotted(node.value)):
        return [*before, node.attr]
    return []


def _called(node: ast.Call) -> str:
    """The last part of the name of what is called."""
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def _is_written(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant)


def _strings(node: ast.AST) -> Iterator[str]:
    for one in ast.walk(node):
        if isinstance(one, ast.Constant) and isinstance(one.value, str):
            yield one.value


def names_module(load: Load, module: str, name: str) -> bool:
    """Whether `load` loads the library that build files call `module`, `name` for short."""
    if load.module.rpartition(".")[2] != name:
        return False
    if load.is_file or "." not in load.module or "." not in module:
        return True
    return load.module == module or load.module.endswith(f".{module}") or module.endswith(f".{load.module}")


def loads_by_name(name: str) -> Callable[[bytes], bool]:
    """A first look at a Python file: whether it may load a module called `name`.

    Most files that hold the name mean operators (`torch.ops._C`), and parsing all of them takes seconds.
    """
    word = re.escape(name.encode())
    places = re.compile(word_start(name.encode()) + rb"(?!\w)")
    on_a_line = re.compile(
        rb"[ \t]*(?:from|import)\b|.*[\"'][\w./\\-]*(?<!\w)" + word + rb"(?:[.\w-]*\.(?:so|pyd|dylib))?[\"']"
    )
    in_parentheses = re.compile(rb"[ \t]*from\s[^\n]*\bimport\s*\([^)]*(?<!\w)" + word + rb"(?!\w)")

    def may_load(data: bytes) -> bool:
        if name.encode() not in data:
            return False
        for match in places.finditer(data):
            start = line_start(data, match.start())
            if on_a_line.match(data, start, line_end(data, match.start())):
                return True
            opening = data.rfind(b"(", 0, match.start())
            if opening >= 0 and in_parentheses.match(data, line_start(data, opening)):
                return True
        return False

    return may_load
