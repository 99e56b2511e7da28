"""Legacy sources with their autograd functions taken apart: plain operators, and a backward that Python registers.

The result is legacy code as well, which the rest of a migration reads in place of what was there. A class that keeps
nothing but its arguments and results, and that one registered function hands its own arguments to, becomes that
function and another for its backward. Of any other an operator of its own has the body of `forward`, and what called
`apply` calls that operator through the dispatcher.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple

from torch_stabilize.bindings import codes
from torch_stabilize.bindings.autograd.body import Changers, changers_of
from torch_stabilize.bindings.autograd.classes import autograd_classes, read_class
from torch_stabilize.bindings.autograd.instances import has_templates, written_out
from torch_stabilize.bindings.autograd.model import AutogradClass, Reason
from torch_stabilize.bindings.autograd.operators import (
    CHECKED,
    SHARING,
    apply_function,
    backward_function,
    backward_schema,
    dedented,
    forward_function,
    forward_schema,
    of_wrapper,
)
from torch_stabilize.bindings.autograd.python import registered_backward
from torch_stabilize.bindings.autograd.sites import (
    is_autograd_kernel,
    list_converters,
    qualifier,
    registering,
    snake,
    wrapper_of,
    written_by_caller,
)
from torch_stabilize.bindings.effects.backends import BackendFinder
from torch_stabilize.bindings.effects.program import Program
from torch_stabilize.bindings.reading.model import BlockKind, Statement
from torch_stabilize.bindings.reading.namespaces import package_folder, package_of_module
from torch_stabilize.bindings.reading.registry import Registry
from torch_stabilize.bindings.schemas.infer import infer_schema
from torch_stabilize.bindings.select import diagnostic
from torch_stabilize.model import Diagnostic, Edit, Severity, Span
from torch_stabilize.repository.layout import Group
from torch_stabilize.source.conditions import conditions_at
from torch_stabilize.source.document import Document
from torch_stabilize.source.edits import apply
from torch_stabilize.source.mask import mask_comments
from torch_stabilize.source.signatures import Function

_USING = re.compile(rb"^[ \t]*using\s+torch::autograd::(?P<name>\w+)\s*;[ \t]*\r?\n", re.MULTILINE)
_INCLUDE = re.compile(rb"^[ \t]*#[ \t]*include[ \t]*<torch/(?:autograd|csrc/autograd/\w+)\.h>[ \t]*\r?\n", re.MULTILINE)
_LAST_INCLUDE = re.compile(rb"^[ \t]*#[ \t]*include[^\n]*\n", re.MULTILINE)
_USING_ALL = re.compile(rb"^[ \t]*using\s+namespace\s+torch::autograd\s*;[ \t]*\r?\n", re.MULTILINE)
_NAMES_LEFT = rb"\b(?:AutogradContext|Variable|variable_list|tensor_list|Function\s*<|any_variable_requires_grad)"
_CODE = codes.AUTOGRAD_CONVERTED.code


class Backward(NamedTuple):
    """What Python registers for one operator: `namespace::op`, and Python text.

    `gradient` is the operator of the backward, `caller` the registered function that calls `operator` through the
    dispatcher, "" where it is that function itself.
    """

    operator: str
    text: str
    gradient: str = ""
    caller: str = ""
    note: str = ""
    written: frozenset[str] | None = frozenset()  # the parameters of `caller` that are written to, None: not known


class Converted(NamedTuple):
    """The files that change, what Python registers, what to report, and by file and class why one stays as it is."""

    files: Mapping[str, bytes] = {}
    backwards: tuple[Backward, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()
    left: Mapping[tuple[str, str], str] = {}


def convert_autograd(registry: Registry, group: Group) -> Converted:
    """The autograd functions in the units of `group` that can be converted, and why others cannot."""
    with_templates = [path for path in group.units if has_templates(registry.document(path))]
    if not with_templates:
        return _converted(registry, group)
    staying: dict[str, dict[str, tuple[str, Span]]] = {path: {} for path in with_templates}
    while True:  # a template of which one class cannot be converted stays as it is
        texts: dict[str, bytes] = {}
        said: list[Diagnostic] = []
        made: dict[tuple[str, str], tuple[str, Span]] = {}
        for path in with_templates:
            written, left = written_out(registry.document(path), frozenset(staying[path]))
            made |= {(path, called): template for called, template in written.made.items()}
            said += [_left(path, span, name, why) for name, (why, span) in (staying[path] | left).items()]
            if written.made:
                texts[path] = written.data
        snapshot = registry.snapshot.with_overlay(texts)
        done = _converted(Registry(snapshot, registry.layout, registry.definitions), group)
        failed = [key for key in done.left if key in made]
        if not failed:
            return done._replace(files={**texts, **done.files}, diagnostics=(*done.diagnostics, *said))
        for path, called in failed:
            name, span = made[path, called]
            staying[path].setdefault(name, (done.left[path, called], span))


def _left(path: str, span: Span, name: str, reason: str) -> Diagnostic:
    message = f"{name} cannot become operators: {reason}"
    advice = "write the backward in Python with torch.library.register_autograd"
    return diagnostic(
        codes.AUTOGRAD_LEFT, path, span, message, severity=Severity.ERROR, advice=advice, subject=name
    )  # fmt: skip


def _converted(registry: Registry, group: Group) -> Converted:
    """The autograd functions that are no templates."""
    files: dict[str, bytes] = {}
    backwards: list[Backward] = []
    said: list[Diagnostic] = []
    left: dict[tuple[str, str], str] = {}
    for path in group.units:
        document = registry.document(path)
        found = list(autograd_classes(document)) if b"Function" in document.data else []
        if not found:
            continue
        unit = _Unit(registry, document, {span: name for name, span, _ in found})
        for name, span, body in found:
            try:
                backward = unit.convert(name, span, body)
            except Reason as reason:
                unit.left[span] = name
                left[path, name] = str(reason)
                said.append(_left(path, span, name, str(reason)))
                continue
            backwards.append(backward)
            if vectors := unit.vectors.get(name):
                note = f"tensors of {', '.join(vectors)} had no gradient and have none, but results ask for one now"
                backward = backward._replace(note="; ".join(filter(None, (backward.note, note))))
            message = f"{name} is {backward.operator} and its backward now, joined in Python"
            said.append(diagnostic(codes.AUTOGRAD_CONVERTED, path, Span(0, 0), message, advice=backward.note))
        changed = unit.files()
        files |= changed
        said = [_moved(one, changed) for one in said]
    return Converted(files, tuple(backwards), tuple(said), left)


def _moved(said: Diagnostic, files: Mapping[str, bytes]) -> Diagnostic:
    """A diagnostic of a class at its place in the changed file."""
    if said.code != codes.AUTOGRAD_LEFT.code or said.path not in files:
        return said
    classes = autograd_classes(Document(said.path, files[said.path]))
    return next((replace(said, span=span) for name, span, _ in classes if said.subject == name), said)


@dataclass(frozen=True)
class _Unit:
    """One file while its classes are taken apart."""

    registry: Registry
    document: Document
    classes: Mapping[Span, str]
    edits: dict[str, list[Edit]] = field(default_factory=dict)
    # Lines of fragments, by namespace and the conditions they are under.
    definitions: dict[tuple[str, tuple[str, ...]], list[str]] = field(default_factory=dict)
    behind: dict[Span, list[str]] = field(default_factory=dict)  # lines behind a statement of this file
    taken: set[str] = field(default_factory=set)
    once: list[bytes] = field(default_factory=list)
    applied: dict[str, str] = field(default_factory=dict)  # the function in place of `F::apply` of converted classes
    vectors: dict[str, list[str]] = field(default_factory=dict)  # lists of tensors without gradients, by class
    left: dict[Span, str] = field(default_factory=dict)  # classes that are not converted

    @cached_property
    def _changers(self) -> Changers:
        documents = (self.document, *map(self.registry.document, self.registry.sources))
        return frozenset(changer for document in documents for changer in changers_of(document))

    def convert(self, name: str, span: Span, body: Span) -> Backward:
        """Take one class apart. Raises Reason where that cannot be done; then nothing has changed."""
        converters = list_converters(self.registry, self.document)
        made = read_class(
            self.document, name, span, body, frozenset(converters), self.applied, tuple(self.left.values()),
            self._changers,
        )  # fmt: skip
        self.vectors[name] = [one for one in made.lists if one not in made.differentiated]
        self._place_for_python()
        wrapper = wrapper_of(self.document, made)
        statement = registering(self.registry, self.document, name, self.classes)
        is_own = statement.function is not None and wrapper is not None and wrapper.answers_to(statement.function.name)
        if wrapper is not None and made.is_plain and is_own and not is_autograd_kernel(statement):
            return self._plain(made, wrapper, statement)
        return self._apart(made, statement, body)

    def _place_for_python(self) -> None:
        layout, snapshot = self.registry.layout, self.registry.snapshot
        if not package_folder(snapshot, layout, package_of_module(snapshot, layout, layout.legacy_library)):
            raise Reason("there is no Python package whose module could register its backward")

    def _plain(self, made: AutogradClass, wrapper: Function, statement: Statement) -> Backward:
        """The registered function gets the body of forward."""
        assert wrapper.body is not None
        backward = self._free(f"{statement.name}_backward", f"{statement.name}_autograd_backward")
        schemas = {} if made.backward.raises else {backward: backward_schema(made, backward)}
        head = self.document.data[wrapper.head.start : wrapper.head.end].decode("utf-8", "replace")
        taken, body = of_wrapper(made, wrapper)
        text = f"{head[: head.index('(')]}({taken}) ".encode() + dedented(body)
        self._edit(Edit(made.span, made.members, _CODE))
        behind = b"" if made.backward.raises else b"\n\n" + backward_function(made, backward)
        self._edit(Edit(wrapper.span, text + behind, _CODE))
        self._define(statement, schemas, wrapper.span.start)
        python = registered_backward(
            made, statement.namespace, statement.name, backward, is_conditional=bool(statement.conditions)
        )
        operator, gradient = f"{statement.namespace}::{statement.full_name}", f"{statement.namespace}::{backward}"
        return Backward(operator, python, "" if made.backward.raises else gradient)

    def _apart(self, made: AutogradClass, statement: Statement, body: Span) -> Backward:
        """An operator of its own gets the body of forward, and is called where `apply` was."""
        base = snake(made.name)
        forward = self._free(f"{base}_forward", f"{base}_autograd_forward")
        backward = self._free(f"{base}_backward", f"{base}_autograd_backward")
        called = self._free(f"{base}_apply", f"{base}_autograd_apply")
        schemas = {forward: forward_schema(made, forward)}
        if not made.backward.raises:
            schemas[backward] = backward_schema(made, backward)
        namespace = statement.namespace
        parts = [*filter(None, (made.members,)), *self._helpers(made, body)]
        parts.append(forward_function(made, forward, self._unshared if self._shares(made, body) else ""))
        if not made.backward.raises:
            parts.append(backward_function(made, backward))
        parts.append(apply_function(made, called, f"{namespace}::{forward}"))
        self._edit(Edit(made.span, b"\n\n".join(part.rstrip() for part in parts), _CODE))
        self._spell_out(made, statement)
        self.applied[made.name] = called
        self._define(statement, schemas, made.span.start)
        note = "it is called through the dispatcher, which loses the text of errors in it for targets before torch 2.13"
        conditional = bool(conditions_at(self.document, made.span.start) or statement.conditions)
        python = registered_backward(made, namespace, forward, backward, is_conditional=conditional)
        caller = f"{namespace}::{statement.full_name}"
        found = written_by_caller(self.document, made, statement) if made.forward.dirty else None
        written = found.names if found is not None else None if made.forward.dirty else frozenset[str]()
        return Backward(f"{namespace}::{forward}", python, f"{namespace}::{backward}", caller, note, written)

    def _spell_out(self, made: AutogradClass, statement: Statement) -> None:
        """Write the schema of a function that is registered by its name and passes on an argument that is written.

        Torch took nothing for granted of a function without a schema; of one with a schema it believes the marks.
        """
        kinds = (BlockKind.LIBRARY, BlockKind.FRAGMENT, BlockKind.OPERATORS)
        if not made.forward.dirty or statement.schema is not None or statement.block.kind not in kinds:
            return
        if statement.path != self.document.path or statement.name in self.taken:
            return
        written = written_by_caller(self.document, made, statement)
        if written is None:
            return
        schema, _ = infer_schema(
            statement.full_name, "", written.function, {}, written=written.names, returned=written.returned
        )
        first = self.document.text(statement.first)
        name = re.fullmatch(rb'(?:[\w:]+\s*\(\s*)?"(?P<space>\w+::)?[\w.]+"\)?', first.strip())
        if schema is None or name is None:
            return
        self.taken.add(statement.name)
        labels = (one for one in "abcdefgh" if f"({one}!)" not in str(schema))  # TorchScript takes no mark without
        marked = re.sub(r"\bTensor!", lambda _: f"Tensor({next(labels)}!)", str(schema))
        text = f'"{(name["space"] or b"").decode()}{marked}"'.encode()
        self._edit(Edit(statement.first, text, _CODE))

    def _calls(self) -> None:
        """Call the function in place of `F::apply` where a class is applied, but in bodies of converted ones."""
        converted = [span for span in self.classes if span not in self.left]
        for name, function in self.applied.items():
            for match in re.finditer(rb"\b" + name.encode() + rb"\s*::\s*apply\b", self.document.code):
                if not any(span.start <= match.start() < span.end for span in converted):
                    self._edit(Edit(Span(match.start(), match.end()), function.encode(), _CODE))

    # helpers

    def _free(self, *names: str) -> str:
        """The first of the names that nothing has. Raises Reason."""
        for name in names:
            is_used = name in self.taken or name.encode() in self.document.words
            if not is_used and not any(s.name == name for s in self.registry.statements):
                self.taken.add(name)
                return name
        raise Reason(f"there is a {names[0]} already")

    @cached_property
    def _backends(self) -> BackendFinder:
        return BackendFinder(Program([self.registry.document(path) for path in self.registry.sources]))

    def _shares(self, made: AutogradClass, body: Span) -> bool:
        """Whether what is kept may be an argument's memory, and the operator one that tracing does not see into."""
        if not made.forward.made:
            return False
        return not self._backends.of_span(self.document, body).is_composite

    @property
    def _unshared(self) -> str:
        return "unshared" if b"unshared" not in self.document.words else "unshared_with"

    def _helpers(self, made: AutogradClass, body: Span) -> Iterator[bytes]:
        """What the functions of a class need and the file lacks so far."""
        wanted = [CHECKED]
        if self._shares(made, body):
            wanted.append(SHARING.format(storage=f"storage_of_{self._unshared}", unshared=self._unshared).encode())
        for text in wanted:
            if text not in self.once:
                self.once.append(text)
                yield text

    def _edit(self, edit: Edit) -> None:
        self.edits.setdefault(self.document.path, []).append(edit)

    def _define(self, statement: Statement, schemas: Mapping[str, str], place: int) -> None:
        """Register functions that are written at `place`: behind `statement`, or in a new block."""
        if not schemas:
            return
        block = statement.block
        if block.kind in (BlockKind.LIBRARY, BlockKind.FRAGMENT) and statement.path == self.document.path:
            lines = [f'{block.variable}.def("{schema}", &{name});' for name, schema in schemas.items()]
            self.behind.setdefault(statement.span, []).extend(lines)
            return
        space = qualifier(self.document, place)
        lines = [f'  m.def("{schema}", &{space}{name});' for name, schema in schemas.items()]
        key = (statement.namespace, conditions_at(self.document, place))
        self.definitions.setdefault(key, []).extend(lines)

    def files(self) -> dict[str, bytes]:
        """The files as they are now."""
        if not self.edits:
            return {}
        self._calls()
        for span, lines in self.behind.items():
            self._edit(Edit(Span(span.end, span.end), "".join(f"\n  {line}" for line in lines).encode(), _CODE))
        for (namespace, conditions), lines in self.definitions.items():
            block = [f"TORCH_LIBRARY_FRAGMENT({namespace}, m) {{", *lines, "}"]
            text = "\n\n" + "\n".join([*conditions, *block, *["#endif"] * len(conditions)]) + "\n"
            end = len(self.document.data.rstrip())
            self._edit(Edit(Span(end, len(self.document.data)), text.encode(), _CODE))
        for path, edit in list_converters(self.registry, self.document).values():
            self.edits.setdefault(path, []).append(edit)
        changed = {path: apply(self.registry.document(path).data, found) for path, found in self.edits.items()}
        changed[self.document.path] = _tidied(_with_includes(changed[self.document.path], self.once))
        return changed


def _with_includes(data: bytes, once: list[bytes]) -> bytes:
    """The headers that a call through the dispatcher needs, behind the last that no condition is around."""
    if not once:
        return data
    document = Document("unit.cpp", data)
    includes = [m for m in _LAST_INCLUDE.finditer(data) if not conditions_at(document, m.start())]
    at = includes[-1].end() if includes else 0
    names = ("torch/csrc/stable/c/shim.h", "torch/csrc/stable/macros.h", "torch/csrc/stable/stableivalue_conversions.h")
    lines = [f"#include <{name}>\n".encode() for name in names if name.encode() not in data]
    return data[:at] + b"".join(lines) + (b"" if b"<array>" in data else b"#include <array>\n") + data[at:]


def _tidied(data: bytes) -> bytes:
    """Without the names of torch::autograd that nothing uses any more, and its headers."""
    code = mask_comments(data)

    def unused(match: re.Match[bytes]) -> bytes:
        uses = re.findall(rb"\b" + match["name"] + rb"\b", code)
        return b"" if len(uses) == 1 else match.group()

    data = _USING.sub(unused, data)
    if not re.search(_NAMES_LEFT, code):
        data = _USING_ALL.sub(b"", data)
    if b"autograd::" not in mask_comments(data):
        data = _INCLUDE.sub(b"", data)
    return re.sub(rb"\n{3,}", b"\n\n", data)
