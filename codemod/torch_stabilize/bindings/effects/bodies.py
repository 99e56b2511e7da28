"""What one body says of devices: the memory it touches, the kernels it launches, the devices it tells apart."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from tree_sitter import Node

from torch_stabilize.bindings.effects.asked import asks, fails, implied
from torch_stabilize.bindings.effects.program import Program
from torch_stabilize.model import Span
from torch_stabilize.source.callees import reference_of
from torch_stabilize.source.declarations import text_of
from torch_stabilize.source.document import Document, Fragment, Macro
from torch_stabilize.source.macro_uses import is_made_text
from torch_stabilize.source.scopes import arguments_of, receiver_type_parts
from torch_stabilize.source.types import CppType
from torch_stabilize.surface.effects import device_of, is_check

CPU, CUDA = "CPU", "CUDA"
_POINTERS = frozenset({
    "data_ptr", "const_data_ptr", "mutable_data_ptr", "accessor", "packed_accessor", "packed_accessor32",
    "packed_accessor64", "generic_packed_accessor", "storage", "data",
})  # fmt: skip
_NAMES = frozenset({"identifier", "type_identifier", "namespace_identifier"})
_CHOICES = frozenset({"if_statement", "while_statement", "do_statement", "switch_statement", "conditional_expression"})
_DEPTH = 4  # macros that only pass a check's condition on


class Mention(NamedTuple):
    """A name that a body mentions, and where; `is_called` says that it is called."""

    name: str
    node: Node
    fragment: Fragment
    document: Document
    is_called: bool = False


class Body(NamedTuple):
    """What one body does itself, with the macros that it uses."""

    launches: bool
    touches: bool
    branches: bool  # whether it tells devices apart
    wants: str  # the device without which it fails, "" for none or several
    mentions: tuple[Mention, ...]
    methods: tuple[Mention, ...]  # the calls of member functions


class _Part(NamedTuple):
    document: Document
    fragment: Fragment
    span: Span  # in the file


@dataclass(frozen=True)
class BodyReader:
    """Reads the bodies of one program."""

    program: Program

    def read(self, document: Document, span: Span) -> Body:
        """What is between the two ends of `span`, and in the macros that it uses."""
        parts, seen = [_Part(document, document.fragment_at(span.start), span)], set[tuple[str, Span]]()
        found = _Facts(self.program)
        for part in parts:  # which grows by the macros
            for node in _inside(part):
                found.add(node, part)
                for owner, macro in self._macros(node, part):
                    if (owner.path, macro.span) not in seen:
                        seen.add((owner.path, macro.span))
                        parts.append(_Part(owner, owner.fragment_at(macro.body.start), macro.body))
        return found.body()

    def _macros(self, node: Node, part: _Part) -> list[tuple[Document, Macro]]:
        """The macros that a name means: those of its own file where that has some."""
        if node.type not in ("identifier", "type_identifier"):
            return []
        found = self.program.uses.macros.get(text_of(node), [])
        return [one for one in found if one[0] is part.document] or found


def _inside(part: _Part) -> Iterator[Node]:
    """The nodes that lie within a part, a node before what is in it."""
    start, end = part.span.start - part.fragment.base, part.span.end - part.fragment.base
    top = part.fragment.tree.root_node.descendant_for_byte_range(start, end)
    waiting = [top] if top is not None else []
    while waiting:
        node = waiting.pop()
        if node.end_byte <= start or node.start_byte >= end:
            continue
        if start <= node.start_byte and node.end_byte <= end:
            yield node
        waiting += reversed(node.named_children)


class _Facts:
    """What the nodes of one body add up to."""

    def __init__(self, program: Program) -> None:
        self._program, self._finder = program, program.uses.finder
        self._launches = self._touches = self._branches = False
        self._wants: set[str] = set()
        self._asked: set[str] = set()  # variables that hold what was asked
        self._decided: set[str] = set()  # variables that decide which statements run
        self._mentions: list[Mention] = []
        self._methods: list[Mention] = []

    def body(self) -> Body:
        """All that was added."""
        branches = self._branches or bool(self._asked & self._decided)
        wants = self._wants.pop() if len(self._wants) == 1 else ""
        found = tuple(self._mentions), tuple(self._methods)
        return Body(self._launches, self._touches, branches, wants, *found)

    def add(self, node: Node, part: _Part) -> None:
        """One node, those in it left out."""
        if node.type == "kernel_call_syntax":
            self._launches = True
        elif node.type == "call_expression":
            self._add_call(node, part)
        elif node.type in _CHOICES:
            self._add_choice(node)
        elif node.type == "init_declarator":
            value, declared = node.child_by_field_name("value"), node.child_by_field_name("declarator")
            if value is not None and declared is not None and asks(value):
                self._asked.add(text_of(declared))
        elif node.type == "qualified_identifier":
            if not _is_part_of_name(node):
                self._add_name(node, part)
        elif node.type in _NAMES and not _is_part_of_name(node):
            self._add_name(node, part)
        elif node.type == "namespace_identifier":  # a class may be the scope of its static member
            self._mentions.append(Mention(text_of(node), node, part.fragment, part.document))

    def _add_name(self, node: Node, part: _Part) -> None:
        name = reference_of(node)
        if "::" not in name and self._is_variable(name, node, part):
            return
        bare = name.rpartition("::")[2]
        if device_of(bare) and bare not in self._program.functions and not self._is_class(bare):
            self._launches |= device_of(bare) == CUDA
            self._touches |= device_of(bare) == CPU
            return
        call = node.parent if node.parent is None or node.parent.type != "template_function" else node.parent.parent
        named = call.child_by_field_name("function") if call is not None and call.type == "call_expression" else None
        is_called = named is not None and named.start_byte <= node.start_byte < named.end_byte
        self._mentions.append(Mention(name, node, part.fragment, part.document, is_called))

    def _is_variable(self, name: str, node: Node, part: _Part) -> bool:
        declared = self._finder.declaration_of(name, node)
        return declared is not None and not self._program.uses.callees.is_function(declared, part.fragment)

    def _is_class(self, name: str) -> bool:
        return bool(self._finder.written.classes.named(name))

    def _add_call(self, call: Node, part: _Part) -> None:
        callee = call.child_by_field_name("function")
        if callee is None:
            return
        if callee.type != "field_expression":
            self._add_check(call, callee, part)
            return
        receiver, name = receiver_type_parts(callee)
        self._methods.append(Mention(name, callee, part.fragment, part.document, is_called=True))
        if receiver is not None and name in _POINTERS and (name != "data" or _has_template_arguments(callee)):
            self._touches |= self._may_be_tensor(self._finder.type_of(receiver, part.fragment, part.document))

    def _may_be_tensor(self, kind: CppType) -> bool:
        inner = kind.pointee if kind.pointers or kind.name == "optional" else kind
        return inner.is_tensor or not inner.is_known

    def _add_check(self, call: Node, callee: Node, part: _Part) -> None:
        """A check, whose condition says for which device the body is."""
        for place, argument in enumerate(arguments_of(call)):
            if self._is_condition(reference_of(callee), place, part.document, 0):
                self._wants |= implied(argument, holds=True)

    def _is_condition(self, name: str, place: int, document: Document, depth: int) -> bool:
        """Whether the macro `name` fails where its argument `place` does not hold, also through other macros."""
        found = self._program.uses.macros.get(name, [])
        if not found:
            return place == 0 and is_check(name)
        return depth < _DEPTH and any(self._fails_without(*one, place, depth) for one in found)

    def _fails_without(self, document: Document, macro: Macro, place: int, depth: int) -> bool:
        if place >= len(macro.params or ()):
            return False
        parameter, fragment = (macro.params or ())[place], document.fragment_at(macro.body.start)
        for node in _inside(_Part(document, fragment, macro.body)):
            condition = node.child_by_field_name("condition") if node.type == "if_statement" else None
            if condition is not None and text_of(condition).translate(_NO_PARENTHESES) == f"!{parameter}":
                return fails(node.child_by_field_name("consequence"))
            callee = node.child_by_field_name("function") if node.type == "call_expression" else None
            for inner, argument in enumerate(arguments_of(node) if callee is not None else ()):
                is_it = text_of(argument).strip("() ") == parameter and not is_made_text(argument, fragment, document)
                if is_it and self._is_condition(reference_of(callee), inner, document, depth + 1):  # type: ignore[arg-type]
                    return True
        return False

    def _add_choice(self, node: Node) -> None:
        """An `if`, loop, switch or `?:`: one that fails without a device is a check."""
        condition = node.child_by_field_name("condition")
        if condition is None:
            return
        if node.type == "if_statement" and fails(node.child_by_field_name("consequence")):
            self._wants |= implied(condition, holds=False)
            return
        body = node.child_by_field_name("body") if node.type == "switch_statement" else None
        cases = [one.child_by_field_name("value") for one in body.named_children] if body is not None else []
        self._branches |= asks(condition) or any(one is not None and asks(one) for one in cases)
        waiting = [condition]
        while waiting:
            one = waiting.pop()
            waiting += one.named_children
            if one.type == "identifier":
                self._decided.add(text_of(one))


_NO_PARENTHESES = str.maketrans("", "", "() \t\r\n\\")


def _is_part_of_name(node: Node) -> bool:
    """Whether a name is a part of a longer one, a scope left out."""
    around = node.parent
    while around is not None and around.type == "template_function" and around.child_by_field_name("name") == node:
        node, around = around, around.parent
    return around is not None and around.type == "qualified_identifier" and around.child_by_field_name("name") == node


def _has_template_arguments(callee: Node) -> bool:
    field = callee.child_by_field_name("field")
    if field is not None and field.type == "dependent_name":
        field = field.named_children[0]
    return field is not None and field.type == "template_method"
