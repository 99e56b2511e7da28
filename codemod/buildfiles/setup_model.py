"""setup.py as a model: extension modules, the lists their sources come from, and how lists flow into each other.

Only what is written down is understood: literal lists, names bound to them, `+`, `+=`, `append` and `extend`. A glob,
a comprehension or a call is computed, and nothing is guessed about it.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from codemod.buildfiles.python_syntax import PythonFile, dotted_name, read_python
from codemod.model import Span
from codemod.repository.layout import Layout
from codemod.repository.snapshot import Snapshot
from codemod.source.document import SOURCE_SUFFIXES

if TYPE_CHECKING:
    import libcst as cst

_DIRECTORY = ("__file__", "os.getcwd", "Path.cwd", "pathlib.Path.cwd")


@dataclass(frozen=True)
class Element:
    """A literal source. `list_node` is the list it stands in, or the call `x.append(...)`; `name` that list's name."""

    path: str
    node: cst.CSTNode
    list_node: cst.CSTNode
    name: str
    conditions: tuple[str, ...]


@dataclass(frozen=True)
class Extension:
    """A call that makes an extension module. `kind` is the class's name, or that of the variable that holds it."""

    name: str
    kind: str
    call: cst.Call
    conditions: tuple[str, ...]
    sources: cst.CSTNode | None
    elements: tuple[Element, ...]
    computed: tuple[cst.CSTNode, ...]  # parts of the sources that are not understood
    links: tuple[tuple[cst.CSTNode, str, str], ...]  # statements that put one list into another: (node, from, to)


@dataclass
class SetupModel:
    """One setup.py. `folder` is what its relative paths start from."""

    file: PythonFile
    folder: str
    snapshot: Snapshot
    _names: dict[str, list[cst.CSTNode]] | None = field(default=None, repr=False)

    def bindings(self, name: str) -> list[cst.CSTNode]:
        """The statements parts that give `name` a value: Assign, AnnAssign, AugAssign and calls of its methods."""
        if self._names is None:
            self._names = self._collect()
        return self._names.get(name, [])

    def _collect(self) -> dict[str, list[cst.CSTNode]]:
        import libcst as cst

        found: dict[str, list[cst.CSTNode]] = {}
        for assign in self.file.find(cst.Assign):
            for target in assign.targets:
                found.setdefault(dotted_name(target.target), []).append(assign)
        for annotated in self.file.find(cst.AnnAssign):
            if annotated.value is not None:
                found.setdefault(dotted_name(annotated.target), []).append(annotated)
        for augmented in self.file.find(cst.AugAssign):
            found.setdefault(dotted_name(augmented.target), []).append(augmented)
        for call in self.file.find(cst.Call):
            if isinstance(call.func, cst.Attribute) and call.func.attr.value in ("append", "extend", "insert"):
                found.setdefault(dotted_name(call.func.value), []).append(call)
        return found

    def string(self, node: cst.CSTNode | None, depth: int = 0) -> str | None:
        """The string or path that an expression evaluates to, where it is written down; None elsewhere."""
        import libcst as cst

        if depth > 6 or node is None:
            return None
        if isinstance(node, (cst.SimpleString, cst.ConcatenatedString)):
            value = node.evaluated_value
            return value if isinstance(value, str) else None
        if isinstance(node, cst.FormattedString):
            return self._formatted(node, depth)
        if isinstance(node, cst.BinaryOperation):
            left, right = self.string(node.left, depth + 1), self.string(node.right, depth + 1)
            if left is None or right is None:
                return None
            return posixpath.join(left, right) if isinstance(node.operator, cst.Divide) else left + right
        if isinstance(node, cst.Call):
            return self._called(node, depth)
        if isinstance(node, cst.Attribute) and node.attr.value in ("parent", "resolve"):
            return self._directory(node)
        if isinstance(node, cst.Name):
            bound = self.bindings(node.value)
            values = [b.value for b in bound if isinstance(b, (cst.Assign, cst.AnnAssign))]
            return self.string(values[0], depth + 1) if len(bound) == 1 and values else None
        return None

    def _formatted(self, node: cst.FormattedString, depth: int) -> str | None:
        import libcst as cst

        parts = []
        for part in node.parts:
            if isinstance(part, cst.FormattedStringText):
                parts.append(part.value)
                continue
            value = self.string(part.expression, depth + 1) if isinstance(part, cst.FormattedStringExpression) else None
            if value is None:
                return None
            parts.append(value)
        return "".join(parts)

    def _called(self, node: cst.Call, depth: int) -> str | None:
        name = dotted_name(node.func)
        values = [self.string(argument.value, depth + 1) for argument in node.args]
        if name.endswith("path.join") and values and all(value is not None for value in values):
            return posixpath.join(*[value for value in values if value is not None])
        if name in ("str", "Path", "pathlib.Path", "os.fspath", "os.path.relpath", "os.path.abspath") and values:
            return values[0] if values[0] is not None else self._directory(node)
        return self._directory(node)

    def _directory(self, node: cst.CSTNode) -> str | None:
        """The folder of setup.py, however it is spelled."""
        text = self.file.text(node)
        is_own_folder = "__file__" in text and ("dirname" in text or ".parent" in text) and "/" not in text
        return "." if is_own_folder else None

    def path(self, node: cst.CSTNode) -> str | None:
        """The repository path of a source that an expression names."""
        text = self.string(node)
        if text is None or not text.endswith(SOURCE_SUFFIXES):
            return None
        return posixpath.normpath(posixpath.join(self.folder, text))

    def extensions(self) -> list[Extension]:
        """Every extension module that the file makes, in file order."""
        import libcst as cst

        found = []
        for call in self.file.find(cst.Call):
            kind = dotted_name(call.func)
            short = kind.rpartition(".")[2]
            if not short.endswith("Extension") and not self._holds_extension_class(short):
                continue
            if short in ("BuildExtension", "build_ext") or self._is_class_body(call):
                continue
            arguments = {a.keyword.value: a.value for a in call.args if a.keyword is not None}
            positional = [a.value for a in call.args if a.keyword is None and not a.star]
            name_node = arguments.get("name", positional[0] if positional else None)
            name = self.string(name_node)
            if name is None and name_node is None:
                continue
            sources = arguments.get("sources", positional[1] if len(positional) > 1 else None)
            reader = _Reader(self)
            if sources is not None:
                reader.read(sources, "", self.file.conditions(call), frozenset())
            found.append(
                Extension(
                    name or "", short, call, self.file.conditions(call), sources,
                    tuple(reader.elements), tuple(reader.computed), tuple(reader.links),
                )
            )  # fmt: skip
        return found

    def _is_class_body(self, call: cst.Call) -> bool:
        import libcst as cst

        return self.file.enclosing(call, cst.ClassDef) is not None

    def _holds_extension_class(self, name: str) -> bool:
        import libcst as cst

        for bound in self.bindings(name):
            value = bound.value if isinstance(bound, (cst.Assign, cst.AnnAssign)) else None
            texts = [value]
            if isinstance(value, cst.IfExp):
                texts = [value.body, value.orelse]
            if any(dotted_name(text).endswith("Extension") for text in texts):
                return True
        return False


class _Reader:
    """Follows an expression for sources into the lists it is made of."""

    def __init__(self, model: SetupModel) -> None:
        self.model = model
        self.elements: list[Element] = []
        self.computed: list[cst.CSTNode] = []
        self.links: list[tuple[cst.CSTNode, str, str]] = []

    def read(self, node: cst.CSTNode, name: str, conditions: tuple[str, ...], seen: frozenset[str]) -> None:
        import libcst as cst

        if isinstance(node, (cst.List, cst.Tuple, cst.Set)):
            for element in node.elements:
                if isinstance(element, cst.StarredElement):
                    self.read(element.value, name, conditions, seen)
                else:
                    self._literal(element.value, node, name, conditions)
        elif isinstance(node, cst.BinaryOperation) and isinstance(node.operator, cst.Add):
            self.read(node.left, name, conditions, seen)
            self.read(node.right, name, conditions, seen)
        elif isinstance(node, cst.IfExp):
            test = self.model.file.text(node.test)
            self.read(node.body, name, (*conditions, test), seen)
            self.read(node.orelse, name, (*conditions, f"not ({test})"), seen)
        elif isinstance(node, cst.Name):
            self._named(node.value, conditions, seen)
        elif isinstance(node, cst.Call) and dotted_name(node.func) in ("list", "sorted", "tuple") and node.args:
            self.read(node.args[0].value, name, conditions, seen)
        else:
            self.computed.append(node)

    def _literal(self, node: cst.CSTNode, holder: cst.CSTNode, name: str, conditions: tuple[str, ...]) -> None:
        path = self.model.path(node)
        if path is None:
            self.computed.append(node)
            return
        everything = tuple(dict.fromkeys((*conditions, *self.model.file.conditions(node))))
        self.elements.append(Element(path, node, holder, name, everything))

    def _named(self, name: str, conditions: tuple[str, ...], seen: frozenset[str]) -> None:
        import libcst as cst

        bound = self.model.bindings(name)
        if name in seen or not bound:
            if name not in seen:
                self.computed.append(cst.Name(name))
            return
        seen = seen | {name}
        for statement in bound:
            here = tuple(dict.fromkeys((*conditions, *self.model.file.conditions(statement))))
            if isinstance(statement, (cst.Assign, cst.AnnAssign, cst.AugAssign)):
                value = statement.value
                if value is not None:
                    self._link(statement, value, name)
                    self.read(value, name, here, seen)
            elif isinstance(statement, cst.Call) and statement.args:
                value = statement.args[-1].value
                method = statement.func.attr.value if isinstance(statement.func, cst.Attribute) else ""
                if method == "extend":
                    self._link(statement, value, name)
                    self.read(value, name, here, seen)
                else:
                    self._literal(value, statement, name, here)

    def _link(self, statement: cst.CSTNode, value: cst.CSTNode, name: str) -> None:
        for source in _names_in_sum(value):
            self.links.append((statement, source, name))


def _names_in_sum(node: cst.CSTNode) -> Iterator[str]:
    import libcst as cst

    if isinstance(node, cst.Name):
        yield node.value
    elif isinstance(node, cst.BinaryOperation):
        yield from _names_in_sum(node.left)
        yield from _names_in_sum(node.right)


def read_setup(snapshot: Snapshot, path: str) -> SetupModel:
    """The model of one setup.py. Raises Refusal where it has a syntax error."""
    return SetupModel(read_python(path, snapshot.read(path)), posixpath.dirname(path), snapshot)


def is_stable_extension(model: SetupModel, layout: Layout, extension: Extension) -> bool:
    """Whether an extension is built for the stable ABI: by its name, or by what it defines."""
    if extension.name and extension.name.rpartition(".")[2] == layout.stable_library.rpartition(".")[2]:
        return True
    return "TORCH_TARGET_VERSION" in model.file.text(extension.call)


def line_of(model: SetupModel, span: Span) -> int:
    """The line of a span, from 1."""
    return model.file.data.count(b"\n", 0, span.start) + 1


def macros_of(model: SetupModel, extension: Extension) -> tuple[str, ...]:
    """The preprocessor macros that the call defines by name: `define_macros` entries and `-D` flags."""
    text = model.file.text(extension.call)
    found = re.findall(r"""[\[,]\s*\(\s*["'](\w+)["']\s*,|["']-D(\w+)""", text)
    return tuple(dict.fromkeys(first or second for first, second in found))
