"""The Python module next to a stable library: the functions that were bound, and what only Python can register.

Fake kernels make torch.compile see an operator's results; a kernel without a derivative is passed through by autograd,
as it was when Python called the function.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from textwrap import indent
from typing import NamedTuple

from torch_stabilize.bindings import codes
from torch_stabilize.bindings.autograd.convert import Backward
from torch_stabilize.bindings.constants import constants_of
from torch_stabilize.bindings.draft import Draft
from torch_stabilize.bindings.fakes.derive import Helper, derived
from torch_stabilize.bindings.given_back import python_of
from torch_stabilize.bindings.keys import IMPLICIT, NO_KEY
from torch_stabilize.bindings.reading.model import BlockKind, Statement, StatementKind
from torch_stabilize.bindings.reading.namespaces import package_folder, package_of_module
from torch_stabilize.bindings.reading.register_functions import whole_functions
from torch_stabilize.bindings.schemas.fakes import fake_kernel
from torch_stabilize.bindings.select import Moved, diagnostic
from torch_stabilize.bindings.writing.inplace import is_idle
from torch_stabilize.layout.read import built_program
from torch_stabilize.model import Diagnostic, Edit, FileEdit, NewFile, Span
from torch_stabilize.source.document import Document
from torch_stabilize.source.signatures import Function
from torch_stabilize.surface.schema import Schema

_TEMPLATE = "bindings/ops.py.jinja"
_HANDS_ON = re.compile(rb"\{\s*return\s+(?P<name>\w+)\s*\((?P<given>[\w\s,]*)\)\s*;\s*\}")


# What the template writes for a legacy module that keeps something.
_OF_LEGACY = (
    re.compile(rb"^from \S+ import \w+ as _legacy\n", re.MULTILINE),
    re.compile(
        rb"^\n*def __getattr__\(name: str\) -> object:\n    \"\"\"[^\n]*\n    return getattr\(_legacy, name\)\n",
        re.MULTILINE,
    ),
)
_LIBRARY = re.compile(r"^_\w+ = torch\.library\.Library\(.*\)\n", re.MULTILINE)


class PythonModule(NamedTuple):
    """The module to import, "" where there is none, and what writes it."""

    name: str = ""
    edits: tuple[FileEdit, ...] = ()
    created: tuple[NewFile, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()


class _Kernel(NamedTuple):
    """An operator that autograd and tracing saw into, or ran, and that is a kernel of its own now."""

    statement: Statement
    schema: Schema
    fake: str
    is_derived: bool

    @property
    def qualified(self) -> str:
        """Its operator, with its namespace."""
        return f"{self.statement.namespace}::{self.schema.full_name}"


@dataclass(frozen=True)
class _Side:
    draft: Draft
    backwards: tuple[Backward, ...] = ()
    is_module: bool = True

    @cached_property
    def module(self) -> str:
        """The legacy extension module, its name without packages."""
        names = [m.statement.block.namespace for m in self._bound]
        return names[0] if names else self.draft.registry.layout.legacy_library

    @cached_property
    def _bound(self) -> list[Moved]:
        """The functions of a Python module that move."""
        return [
            moved for moved in self.draft.selection.moved
            if moved.statement.block.kind is BlockKind.PYBIND and moved.statement.kind is StatementKind.DEF
        ]  # fmt: skip

    @cached_property
    def package(self) -> str:
        """The dotted package of the extension module."""
        return package_of_module(self.draft.registry.snapshot, self.draft.registry.layout, self.module)

    @cached_property
    def path(self) -> str:
        """The path of the Python module, "" where no folder of the package is found."""
        registry = self.draft.registry
        folder = package_folder(registry.snapshot, registry.layout, self.package)
        return f"{folder}/{self.module}_ops.py" if folder else ""

    @cached_property
    def kernels(self) -> list[_Kernel]:
        return list(self._kernels())

    def _kernels(self) -> Iterator[_Kernel]:
        draft = self.draft
        for moved in draft.selection.moved:
            statement = moved.statement
            place = (statement.path, statement.span)
            keys = draft.keys.get(place, ())
            if statement.key not in NO_KEY or not keys or IMPLICIT in keys:
                continue
            if place in draft.composite:
                continue  # what it is put together from runs on tensors without memory too
            operator = draft.operators.get((statement.namespace, statement.full_name))
            boxed = draft.boxed.get(place)
            schema = boxed.kernel if boxed and boxed.kernel else draft.schema_of(statement, operator)
            if schema is None or self._is_known(f"{statement.namespace}::{statement.full_name}"):
                continue
            if any(argument.type.leaf == "Tensor" for argument in schema.arguments):
                yield self._kernel(moved, schema)

    def _kernel(self, moved: Moved, schema: Schema) -> _Kernel:
        statement = moved.statement
        lines = self._fake_lines(moved, schema)
        if any(one.operator == f"{statement.namespace}::{statement.full_name}" for one in self._without_gradient):
            lines = None  # compiled code would have no backward
        stub = [f'raise NotImplementedError("{statement.namespace}::{statement.full_name} has no fake kernel")']
        fake = fake_kernel(statement.namespace, schema, stub if lines is None else lines)
        return _Kernel(statement, schema, fake, lines is not None)

    def _fake_lines(self, moved: Moved, schema: Schema) -> list[str] | None:
        statement = moved.statement
        if (statement.path, statement.span) in self.draft.unknown:
            return None  # what is written without being marked would be lost in compiled code
        if any(value.type.aliases for value in schema.returns):
            return None  # torch.compile takes no kernel that gives back what it was given
        if not schema.returns:
            return ["return None"]
        located = self.draft.schema_finder.registered(statement, moved.functions)
        if located is None or any(value.type.form != "base" or value.type.name != "Tensor" for value in schema.returns):
            return None
        pairs = zip(located.function.parameters, schema.arguments, strict=False)
        names = {parameter.name: argument.name for parameter, argument in pairs if parameter.name}
        body = self.draft.schema_finder.body(statement, located)
        for _ in range(3):  # a function that only passes its arguments on has the results of the one it calls
            handed = _HANDS_ON.fullmatch(body.strip())
            found = self._defined(handed["name"].decode()) if handed else []
            given = [part.strip().decode("utf-8", "replace") for part in handed["given"].split(b",")] if handed else []
            if len(found) != 1 or not set(given) <= names.keys():
                break
            document, function = found[0]
            names = {p.name: names[name] for p, name in zip(function.parameters, given, strict=False)}
            body = document.code[function.body.start : function.body.end] if function.body else b""
        return derived(body, names, len(schema.returns), self._helper)

    def _helper(self, name: str) -> Helper | None:
        """A function of the project that there is one of."""
        found = self._defined(name)
        if len(found) != 1:
            return None
        document, function = found[0]
        body = self.draft.program.body(document, function)
        return Helper(tuple(parameter.name for parameter in function.parameters), body)

    def _defined(self, name: str) -> list[tuple[Document, Function]]:
        return [one for one in self.draft.program.functions.named(name) if one[1].is_definition]

    def _is_known(self, qualified: str) -> bool:
        """Whether the repository's Python registers something for an operator."""
        name = qualified.encode()
        literal = re.compile(rb"[\"']" + re.escape(name) + rb"(?:\.default)?[\"']")
        texts = self._naming(qualified.partition("::")[0])
        return any(name in data and literal.search(data) for data in texts)

    def _naming(self, namespace: str) -> Sequence[bytes]:
        """The repository's Python files that name something of an operator namespace."""
        snapshot, layout = self.draft.registry.snapshot, self.draft.registry.layout

        def read() -> list[bytes]:
            paths = (path for root in layout.python_roots for path in snapshot.below(root, (".py",)))
            texts = (snapshot.read(path) for path in paths if path != self.path)
            return [data for data in texts if f"{namespace}::".encode() in data]

        return snapshot.once(("python files that name", namespace, self.path, layout.python_roots), read)

    @cached_property
    def _without_gradient(self) -> list[Backward]:
        """The backwards whose own operator has no fake kernel."""
        found = []
        for moved in self.draft.selection.moved:
            statement = moved.statement
            place, name = (statement.path, statement.span), f"{statement.namespace}::{statement.full_name}"
            schema = self.draft.schema_of(
                statement, self.draft.operators.get((statement.namespace, statement.full_name))
            )
            is_kernel = bool(self.draft.keys.get(place)) and IMPLICIT not in self.draft.keys[place]
            if is_kernel and schema is not None and self._fake_lines(moved, schema) is None:
                found += [one for one in self.backwards if one.gradient == name]
        return found

    @property
    def opaque(self) -> frozenset[str]:
        """The functions that call an operator which tracing cannot run."""
        stubs = {f"{k.statement.namespace}::{k.statement.full_name}" for k in self.kernels if not k.is_derived}
        stubs |= {one.operator for one in self._without_gradient}
        return frozenset(one.caller for one in self.backwards if one.caller and one.operator in stubs)

    @cached_property
    def constants(self) -> Mapping[Statement, tuple[str, str]]:
        """The attributes of the module that its Python side has from now on."""
        return constants_of(self.draft.registry, self.draft.selection)

    @property
    def stays(self) -> bool:
        """Whether the legacy module keeps something that Python may ask for."""
        registry = self.draft.registry
        moved = {(m.statement.path, m.statement.span) for m in self.draft.selection.moved}
        functions = whole_functions(registry, self.draft.selection)
        return any(
            statement.block.kind is BlockKind.PYBIND
            and statement.block.namespace == self.module
            and (statement.path, statement.span) not in moved
            and statement not in self.constants
            and not is_idle(registry.document(statement.path), statement, functions)
            for statement in registry.statements
        )

    def written(self) -> PythonModule:
        if not (self._bound or self.kernels or self.draft.fakes or self.backwards or self.draft.python_tags):
            return PythonModule()
        if not self.path:
            return PythonModule(diagnostics=tuple(self._no_place()))
        from torch_stabilize.templates import render

        registry = self.draft.registry
        names: dict[str, list[str]] = {}
        differentiable = {backward.operator for backward in self.backwards}
        for kernel in self.kernels:
            if kernel.qualified not in differentiable:
                names.setdefault(kernel.statement.namespace, []).append(kernel.schema.full_name)
        functions = {m.statement.name: m.statement.namespace for m in self._bound}
        always = {m.statement.name for m in self._bound if not m.statement.conditions}
        text = render(
            _TEMPLATE,
            package=self.package, module=self.module, library=registry.layout.stable_library, stays=self.stays,
            is_module=self.is_module, is_loaded=registry.layout.is_compiled_at_import,
            functions=sorted(item for item in functions.items() if item[0] in always),
            conditional=sorted(item for item in functions.items() if item[0] not in always), docs=self._docs(),
            constants=list(self.constants.values()),
            tags=self.draft.python_tags,
            undifferentiable=sorted(names.items()), giving_back=list(self._giving_back()),
            fakes=[*map(self._fake, self.kernels), *self.draft.fakes],
            backwards=[backward.text for backward in self.backwards],
        )  # fmt: skip
        said = tuple(self._stubs())
        name = posixpath.basename(self.path).removesuffix(".py")
        if not registry.snapshot.exists(self.path):
            return PythonModule(name, (), (NewFile(self.path, text.encode(), _TEMPLATE),), said)
        return PythonModule(name, tuple(self._added(text)), (), said)

    def _fake(self, kernel: _Kernel) -> str:
        """The fake kernel of an operator, where it is defined: torch takes none for another."""
        if not self._may_lack(kernel.statement):
            return kernel.fake
        asked = f'if hasattr(torch.ops.{kernel.statement.namespace}, "{kernel.statement.name}"):'
        return f"{asked}\n\n{indent(kernel.fake, '    ')}"

    def _may_lack(self, statement: Statement) -> bool:
        """Whether a build of the library may have no such operator: under a condition, or without the file."""
        operator = self.draft.operators.get((statement.namespace, statement.full_name))
        definitions = operator.definitions if operator is not None else ()
        if statement.conditions or any(one.conditions for one in definitions):
            return True
        program = built_program(self.draft.registry.snapshot)
        names = {library.name for library, _ in program.by_unit.get(statement.path, ())}
        entries = [e for library in program.libraries if library.name in names for e in library.entries if e.sources]
        has_it = [any(source.path == statement.path for source in entry.sources) for entry in entries]
        return any(has_it) and not all(has_it)

    def _giving_back(self) -> Iterator[tuple[str, str]]:
        """The functions that call an operator and return what it writes to: the namespace, and Python text."""
        for moved in self._bound:
            statement = moved.statement
            boxed = self.draft.boxed.get((statement.path, statement.span))
            schema = self.draft.schemas.get((statement.path, statement.span))
            if boxed is None or boxed.kernel is None or schema is None:
                continue
            yield statement.namespace, python_of(statement.namespace, schema, boxed.kernel)

    def _docs(self) -> dict[str, str]:
        """The docstrings that functions were bound with, as Python literals, by name."""
        found: dict[str, str] = {}
        for moved in self._bound:
            text = moved.statement.doc.strip()
            if text and moved.statement.name not in found:
                found[moved.statement.name] = json.dumps(text, ensure_ascii=False)
        return found

    def _added(self, text: str) -> list[FileEdit]:
        """What a module that is there already lacks, at its end."""
        data = self.draft.registry.snapshot.read(self.path)
        loaded = re.search(
            r"^(?:from \S+ import \S+  # noqa: F401|    torch\.ops\.load_library\(.*\))\n", text, re.MULTILINE
        )
        body = text[loaded.end() if loaded else 0 :].strip("\n") + "\n"
        for pattern in _OF_LEGACY:
            if pattern.search(data):
                body = pattern.sub(b"", body.encode()).decode()
        for made in _LIBRARY.findall(body):  # bound once: a library takes its registrations back when it is collected
            if made.encode() in data:
                body = body.replace(made, "", 1)
        body = body.strip("\n")
        place = Span(len(data), len(data))
        return [
            FileEdit(self.path, Edit(place, f"\n\n{body}\n".encode(), codes.FAKE_WRITTEN.code)),
            *([] if self.stays else [self._without(data, pattern) for pattern in _OF_LEGACY if pattern.search(data)]),
        ]

    def _without(self, data: bytes, pattern: re.Pattern[bytes]) -> FileEdit:
        """A part of the module that asks the legacy one, which has nothing left."""
        match = pattern.search(data)
        assert match is not None
        return FileEdit(self.path, Edit(Span(*match.span()), b"", codes.FAKE_WRITTEN.code))

    def _stubs(self) -> Iterator[Diagnostic]:
        for kernel in self.kernels:
            if not kernel.is_derived:
                statement = kernel.statement
                yield diagnostic(
                    codes.FAKE_WRITTEN, statement.path, statement.span,
                    f"the fake kernel of {statement.namespace}::{statement.full_name} in {self.path} is a stub",
                    advice="torch.compile breaks its graph there, as before; with the results described it need not",
                )  # fmt: skip

    def _no_place(self) -> Iterator[Diagnostic]:
        for kernel in self.kernels[:1]:
            statement = kernel.statement
            others = f" and {len(self.kernels) - 1} more" if len(self.kernels) > 1 else ""
            yield diagnostic(
                codes.FAKE_WRITTEN, statement.path, statement.span,
                f"{statement.full_name}{others}: {self.module} is in no Python package, so nothing was written that "
                "registers fake kernels",
                advice="register them with torch.library.register_fake where the library is loaded:\n"
                + "\n\n".join(one.fake for one in self.kernels),
            )  # fmt: skip


def opaque_callers(draft: Draft, backwards: tuple[Backward, ...]) -> frozenset[str]:
    """The functions ("ns::f") that call an operator through the dispatcher which has no fake kernel."""
    return _Side(draft, backwards).opaque if any(one.caller for one in backwards) else frozenset()


def python_side(draft: Draft, backwards: tuple[Backward, ...] = (), *, is_module: bool = True) -> PythonModule:
    """The Python module for what `draft` registers, and `backwards`; nothing where Python needs none.

    `is_module` says that Python can import the library; another is loaded by its file.
    """
    return _Side(draft, backwards, is_module).written()
