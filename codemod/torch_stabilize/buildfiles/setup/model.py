"""setup.py as a model: extension modules, the lists their sources come from, and how lists flow into each other.

Only what is written down is understood: literal lists and globs, names bound to them, `+`, `+=`, `append` and
`extend`, comprehensions that put a folder in front, loops over tables and functions called with literals. Anything
else is computed, and nothing is guessed about it.
"""

from __future__ import annotations

import ast
import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from torch_stabilize.buildfiles.python.syntax import PythonFile, dotted_name, read_python
from torch_stabilize.buildfiles.setup.element import Element
from torch_stabilize.buildfiles.setup.evaluate.functions import COMMANDS
from torch_stabilize.buildfiles.setup.evaluate.values import is_possible
from torch_stabilize.buildfiles.setup.globs import Glob
from torch_stabilize.buildfiles.setup.rounds import Round, rounds_of
from torch_stabilize.buildfiles.setup.values import Bindings, Values, place, value_given
from torch_stabilize.model import Span
from torch_stabilize.repository.layout import Layout
from torch_stabilize.repository.snapshot import Snapshot
from torch_stabilize.source.document import SOURCE_SUFFIXES

if TYPE_CHECKING:
    import libcst as cst


class Extension(NamedTuple):
    """A call that makes an extension module. `kind` is the class's name, or that of the variable that holds it.

    `round` says which round of a loop or call of a function it is that makes this one.
    """

    name: str
    kind: str
    call: cst.Call
    conditions: tuple[str, ...]
    sources: cst.CSTNode | None
    elements: tuple[Element, ...]
    computed: tuple[cst.CSTNode, ...]  # parts of the sources that are not understood
    links: tuple[tuple[cst.CSTNode, str, str], ...]  # statements that put one list into another: (node, from, to)
    globs: tuple[Glob, ...] = ()
    round: Round | None = None

    def has(self, path: str) -> bool:
        """Whether `path` is one of its sources, or will be once the file is there."""
        return any(element.path == path for element in self.elements) or any(g.matches(path) for g in self.globs)


@dataclass
class SetupModel:
    """One setup.py, or a module that it calls. `folder` is what its relative paths start from.

    `setup` is the path of the setup.py that is run.
    """

    file: PythonFile
    folder: str
    snapshot: Snapshot
    setup: str
    _bindings: Bindings = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._bindings = Bindings(self.file)

    def bindings(self, name: str, at: cst.CSTNode | None = None) -> list[cst.CSTNode]:
        """The statements that give `name` a value, as seen at a node; everywhere without one."""
        return self._bindings.of(name, at)

    def always_behind(self, node: cst.CSTNode, before: cst.CSTNode) -> bool:
        """Whether `node` is reached only where `before` was: no `if` is around `before` alone."""
        arms = self._bindings.arms(node)
        return all(arms.get(around) == is_body for around, is_body in self._bindings.arms(before).items())

    def values(self, given: Mapping[str, cst.CSTNode | str] | None = None) -> Values:
        """What evaluates expressions; `given` are names with values of their own."""
        return Values(self.file, self._bindings, given or {})

    @cached_property
    def files(self) -> tuple[str, ...]:
        """The C++ files that a glob may find."""
        return tuple(path for path in self.snapshot.files if path.endswith(SOURCE_SUFFIXES))

    def extensions(self) -> list[Extension]:
        """Every extension module that the file makes, in file order."""
        import libcst as cst

        found = []
        for call in self.file.find(cst.Call):
            short = dotted_name(call.func).rpartition(".")[2]
            if not short.endswith("Extension") and not self._holds_extension_class(short):
                continue
            if short in COMMANDS or self.file.enclosing(call, cst.ClassDef) is not None:
                continue
            rounds: list[Round | None] = [*rounds_of(self.file, self._bindings, call)]
            for one in rounds or [None]:
                extension = self._extension(call, short, one)
                if extension is not None:
                    found.append(extension)
        return found

    def extension(self, call: cst.Call) -> Extension | None:
        """The extension module that a call makes, wherever it is."""
        return self._extension(call, dotted_name(call.func).rpartition(".")[2], None)

    def _extension(self, call: cst.Call, kind: str, one: Round | None) -> Extension | None:
        from torch_stabilize.buildfiles.setup.reader import Reader

        arguments = {**_settings(call), **{a.keyword.value: a.value for a in call.args if a.keyword is not None}}
        positional = [a.value for a in call.args if a.keyword is None and not a.star]
        values = self.values(one.given if one is not None else None)
        name_node = arguments.get("name", positional[0] if positional else None)
        if name_node is None:
            return None
        sources = arguments.get("sources", positional[1] if len(positional) > 1 else None)
        conditions = (*self.file.conditions(call), *self._chosen_by(call))
        if one is not None:
            conditions = tuple(dict.fromkeys((*self.file.conditions(one.site), *conditions)))
        reader = Reader(self, values)
        if sources is not None:
            reader.read(sources, "", conditions, frozenset())
        if one is not None and any(set(e.conditions) - set(conditions) for e in reader.elements):
            reader.computed.append(call)  # a round with sources that depend on more is not taken apart
            reader.elements.clear()
        reader.settle()
        reader.elements = [element for element in reader.elements if is_possible(element.conditions)]
        return Extension(
            values.string(name_node) or "", kind, call, conditions, sources,
            tuple(reader.elements), tuple(reader.computed), tuple(reader.links), tuple(reader.globs), one,
        )  # fmt: skip

    def _chosen_by(self, call: cst.Call) -> tuple[str, ...]:
        """The tests of `A(...) if test else B(...)` around a call."""
        import libcst as cst

        found: list[str] = []
        below: cst.CSTNode = call
        for around in self.file.around(call):
            if isinstance(around, cst.IfExp) and below is not around.test:
                test = self.file.text(around.test)
                found.append(test if below is around.body else f"not ({test})")
            elif isinstance(around, cst.BaseStatement):
                break
            below = around
        return tuple(reversed(found))

    def _holds_extension_class(self, name: str) -> bool:
        import libcst as cst

        for bound in self.bindings(name):
            value = value_given(bound, name) if isinstance(bound, (cst.Assign, cst.AnnAssign)) else None
            texts = [value]
            if isinstance(value, cst.IfExp):
                texts = [value.body, value.orelse]
            if any(dotted_name(text).endswith("Extension") for text in texts):
                return True
        return False

    def path(self, text: str | None) -> str | None:
        """The repository path of a source that is written as `text`."""
        return place(text, self.folder) if text is not None and text.endswith(SOURCE_SUFFIXES) else None


def _settings(call: cst.Call) -> dict[str, cst.BaseExpression]:
    """What a dictionary that is written in the call gives by name: `**{**common, "sources": [...]}`."""
    import libcst as cst

    held = [argument.value for argument in call.args if argument.star == "**"]
    return {
        str(element.key.evaluated_value): element.value
        for table in held
        if isinstance(table, cst.Dict)
        for element in table.elements
        if isinstance(element, cst.DictElement) and isinstance(element.key, cst.SimpleString)
    }


def read_setup(snapshot: Snapshot, path: str, only: Sequence[ast.stmt] | None = None) -> SetupModel:
    """The model of one setup.py, or of `only` these statements of it. Raises Refusal for a syntax error."""
    return SetupModel(read_python(path, snapshot.read(path), only), posixpath.dirname(path), snapshot, path)


def read_helper(snapshot: Snapshot, path: str, setup: str) -> SetupModel:
    """The model of a module that the setup file `setup` calls. Raises Refusal for a syntax error."""
    return SetupModel(read_python(path, snapshot.read(path)), posixpath.dirname(setup), snapshot, setup)


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
