"""What evaluating an expression changes and what it depends on: whether two of them may change places, or be repeated."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from typing import NamedTuple

from tree_sitter import Node

from torch_stabilize.rules.context import Context, Project
from torch_stabilize.rules.effect_kinds import Effects, State
from torch_stabilize.source.classes import Method
from torch_stabilize.source.declarations import declared_in, text_of
from torch_stabilize.source.document import Document, Fragment
from torch_stabilize.source.scopes import arguments_of, receiver_type_parts
from torch_stabilize.source.signatures import Function
from torch_stabilize.source.types import NUMBERS, CppType
from torch_stabilize.surface.aten import aten_name
from torch_stabilize.surface.effects import changes_nothing
from torch_stabilize.surface.schemas import overloads

NONE = Effects(State.NOTHING, State.NOTHING)
_ALL = State.VARIABLES | State.DATA | State.SHAPE | State.RANDOM | State.OUTSIDE
_UNKNOWN = Effects(State.DATA | State.RANDOM | State.OUTSIDE, _ALL)
_COMPUTES = Effects(State.NOTHING, State.DATA | State.SHAPE)
_ASKS = Effects(State.NOTHING, State.SHAPE)
_DRAWS = Effects(State.RANDOM, State.RANDOM | State.DATA | State.SHAPE)
# In-place methods that change what a tensor is, not what is in it.
_RESHAPES = frozenset({
    "resize_", "resize_as_", "set_", "squeeze_", "unsqueeze_", "transpose_", "t_", "swapaxes_", "swapdims_", "as_strided_",
    "detach_", "reset", "swap", "requires_grad_", "set_requires_grad",
})  # fmt: skip
# Methods of containers that change nothing.
ASKING = frozenset({
    "size", "empty", "begin", "end", "cbegin", "cend", "front", "back", "at", "data", "value", "has_value", "value_or",
    "get", "index", "type", "find", "count", "length", "c_str", "substr", "first", "second", "slice", "vec",
})  # fmt: skip
_REPEATABLE_NODES = frozenset({
    "identifier", "this", "number_literal", "string_literal", "char_literal", "true", "false", "null", "nullptr",
    "qualified_identifier", "namespace_identifier", "field_identifier", "type_identifier", "primitive_type",
    "field_expression", "subscript_expression", "subscript_argument_list", "parenthesized_expression",
    "pointer_expression", "template_function", "template_argument_list", "type_descriptor", "initializer_list",
    "argument_list", "template_method", "unary_expression", "binary_expression", "conditional_expression",
    "compound_literal_expression", "cast_expression", "comment", "concatenated_string", "template_type",
    "string_content", "scoped_type_identifier",
})  # fmt: skip
_OF_TORCH = re.compile(r"(?:torch|at|c10)::")
_FUNCTIONS_DEEP = 3


def effects_of(node: Node, fragment: Fragment, context: Context) -> Effects:
    """What evaluating `node` changes and depends on. What is not known may change everything but variables."""
    return _Reader(context.project, context.document, fragment, 0, frozenset()).of(node)


def is_repeatable(node: Node, fragment: Fragment, context: Context) -> bool:
    """Whether an expression may be evaluated more often: it only asks, and makes nothing new."""
    if node.type == "call_expression":
        callee = node.child_by_field_name("function")
        if callee is None or not all(is_repeatable(one, fragment, context) for one in arguments_of(node)):
            return False
        if callee.type != "field_expression":
            return text_of(callee).partition("<")[0] in ("std::move", "static_cast", "std::as_const", "std::get")
        receiver, method = receiver_type_parts(callee)
        if receiver is None or not is_repeatable(receiver, fragment, context):
            return False
        kind = context.type_of(receiver, fragment)
        if kind.is_tensor or not kind.is_known:
            entry = context.surface.method(method)
            return entry is not None and entry.returns not in ("", "void", "Tensor") and not method.endswith("_")
        if context.project.finder.written.methods_of(kind, method):
            reader = _Reader(context.project, context.document, fragment, 0, frozenset())
            return method in ASKING and not reader.own(node).writes
        return method in ASKING or kind.name in ("Device", "TensorOptions", "optional")
    if node.type == "subscript_expression":
        base = node.child_by_field_name("argument")
        if base is not None and context.type_of(base, fragment).is_tensor:
            return False
    if node.type not in _REPEATABLE_NODES:
        return False
    return all(is_repeatable(child, fragment, context) for child in node.named_children)


def effectful_calls(node: Node, fragment: Fragment, context: Context) -> Iterator[Node]:
    """The calls, assignments and steps within `node` that change something, calls of functions that nobody declares left out."""
    reader = _Reader(context.project, context.document, fragment, 0, frozenset())
    for found in reader.effectful(node):
        callee = found.child_by_field_name("function") if found.type == "call_expression" else None
        if callee is None or callee.type == "field_expression" or reader.is_declared(callee):
            yield found


class _Reader(NamedTuple):
    """Reads the effects of expressions of one fragment; `local` are names whose values nobody else sees."""

    project: Project
    document: Document
    fragment: Fragment
    depth: int
    local: frozenset[str]

    def of(self, node: Node) -> Effects:
        """The effects of `node` with all it holds."""
        found = self.own(node)
        if node.type == "lambda_expression":
            return found  # made here, called elsewhere
        for child in node.named_children:
            found = found | self.of(child)
        return found

    def effectful(self, node: Node) -> tuple[Node, ...]:
        """What changes something within `node`; kept, as every site of an expression asks for the operands it holds."""
        known = self.project.effectful_within
        key = (node.id, node.start_byte)
        if key not in known:
            children = node.named_children if node.type != "lambda_expression" else ()
            inner = tuple(found for child in children for found in self.effectful(child))
            known[key] = (node, *inner) if self.own(node).writes else inner
        return known[key]

    def is_declared(self, callee: Node) -> bool:
        """Whether a called name is a function of the project or a variable."""
        name = text_of(callee).partition("<")[0].rpartition("::")[2].strip()
        return name in self.project.functions or self.project.finder.declaration_of(name, callee) is not None

    def own(self, node: Node) -> Effects:
        """The effects of `node` without those of its operands."""
        if node.type == "identifier":
            return NONE if text_of(node) in self.local else Effects(State.NOTHING, self._read(node))
        if node.type == "call_expression":
            return self._call(node)
        if node.type in ("assignment_expression", "update_expression"):
            left = node.child_by_field_name("left") or node.child_by_field_name("argument")
            return self._assigned(left) if left is not None else _UNKNOWN
        if node.type in ("new_expression", "delete_expression", "throw_statement", "co_await_expression"):
            return Effects(State.OUTSIDE, State.NOTHING)
        base = node.child_by_field_name("argument") if node.type == "subscript_expression" else None
        if base is not None and self._type(base).is_tensor:
            return _ASKS  # a view
        if node.type == "subscript_expression" or (node.type == "pointer_expression" and text_of(node).startswith("*")):
            return Effects(State.NOTHING, State.DATA)
        if node.type == "binary_expression" and self._type(node).is_tensor:
            return _COMPUTES
        return NONE

    def _type(self, node: Node) -> CppType:
        return self.project.finder.type_of(node, self.fragment, self.document)

    def _read(self, node: Node) -> State:
        parent = node.parent
        if parent is not None and parent.type == "call_expression" and parent.child_by_field_name("function") == node:
            return State.NOTHING
        return State.NOTHING if self._type(node).is_tensor else State.VARIABLES  # a tensor is bound by reference

    def _assigned(self, left: Node) -> Effects:
        while left.type == "parenthesized_expression" and left.named_child_count:
            left = left.named_children[0]
        if left.type == "identifier":
            written = State.NOTHING if text_of(left) in self.local else State.VARIABLES
            if written and self._type(left).is_tensor:
                written |= State.SHAPE | State.DATA
            return Effects(written, State.NOTHING)
        if left.type == "field_expression":
            return Effects(State.VARIABLES | State.SHAPE | State.DATA, State.NOTHING)
        return Effects(State.DATA | State.VARIABLES, State.NOTHING)

    def _call(self, node: Node) -> Effects:
        callee = node.child_by_field_name("function")
        if callee is None:
            return _UNKNOWN
        if callee.type == "field_expression":
            return self._method(node, callee)
        name = text_of(callee).partition("<")[0].strip().removeprefix("::")
        if name in ("static_cast", "reinterpret_cast", "const_cast", "dynamic_cast", "sizeof"):
            return NONE
        if name.startswith("std::"):
            is_read = changes_nothing(name) or self._makes_number(node, name)
            return NONE if is_read and not self._hands_lambda(node) else _UNKNOWN
        if callee.type in ("primitive_type", "sized_type_specifier"):
            return NONE
        if _OF_TORCH.match(name) and name.rpartition("::")[2] not in self.project.functions:
            return _of_op(aten_name(name), method=False) or _ASKS
        value = self.project.finder.value_of(name, callee, self.fragment) if callee.type == "identifier" else None
        if value is not None and value.type == "lambda_expression":
            return self._lambda(value)
        return self._own_function(name, len(arguments_of(node)))

    def _makes_number(self, node: Node, name: str) -> bool:
        """`std::int64_t(n)`, `std::numeric_limits<float>::max()`."""
        return name.removeprefix("std::") in NUMBERS or (not arguments_of(node) and self._type(node).name in NUMBERS)

    def _hands_lambda(self, node: Node) -> bool:
        finder = self.project.finder
        values = [
            finder.value_of(text_of(one), one, self.fragment) if one.type == "identifier" else one
            for one in arguments_of(node)
        ]
        return any(value is not None and value.type == "lambda_expression" for value in values)

    def _lambda(self, value: Node) -> Effects:
        body = value.child_by_field_name("body")
        if body is None or self.depth >= _FUNCTIONS_DEEP:
            return Effects(_UNKNOWN.writes | State.VARIABLES, _ALL)
        names = {declared.name for declared in declared_in(value)} | _declared_within(body)
        return self._replace(depth=self.depth + 1, local=frozenset(names)).of(body)

    def _method(self, node: Node, callee: Node) -> Effects:
        receiver, method = receiver_type_parts(callee)
        kind = self._type(receiver) if receiver is not None else CppType("")
        if kind.pointers or (kind.name in ("optional", "unique_ptr", "shared_ptr") and "->" in text_of(callee)):
            kind = kind.pointee
        if kind.is_tensor or (not kind.is_known and self.project.surface.method(method) is not None):
            if method in _RESHAPES:
                return Effects(State.SHAPE | State.DATA | State.VARIABLES, State.SHAPE)
            found = _of_op(method, method=True)
            if found is not None:
                return found
            entry = self.project.surface.method(method)
            return _ASKS if entry is not None else _UNKNOWN
        if own := self.project.finder.written.methods_of(kind, method):
            return self._own_method([one for one, _ in own])
        if kind.is_known and (method in ASKING or kind.name in ("Device", "TensorOptions", "Scalar", "CUDAStream")):
            return _ASKS
        if kind.is_known and receiver is not None and text_of(receiver) in self.local:
            return NONE  # such as push_back on a vector of the function's own
        return Effects(_UNKNOWN.writes | State.VARIABLES, _ALL)

    def _own_method(self, methods: list[Method]) -> Effects:
        """What a call of a member function of the project's own classes changes."""
        effects = NONE
        for one in methods:
            body = one.definition.child_by_field_name("body") if one.definition is not None else None
            if (
                one.definition is None
                or body is None
                or self.depth >= _FUNCTIONS_DEEP
                or b"static " in (body.text or b"")
            ):
                return Effects(_UNKNOWN.writes | State.VARIABLES, _ALL)
            local = frozenset(_declared_within(one.definition))
            reader = _Reader(self.project, one.document, one.document.whole, self.depth + 1, local)
            effects = effects | reader.of(body)
        return effects

    def _own_function(self, name: str, count: int) -> Effects:
        """What a call of functions of the project may change; kept, as overloads call one another."""
        known, key = self.project.effects_of_names, (name, count, self.depth)
        if key not in known:
            known[key] = self._of_all(name, count)
        return known[key]

    def _of_all(self, name: str, count: int) -> Effects:
        found = [
            (document, function)
            for document, function in self.project.functions.meant_by(name)
            if len(function.parameters) >= count
        ]
        bodies = [(document, function) for document, function in found if function.body is not None]
        if not bodies or self.depth >= _FUNCTIONS_DEEP:
            writes_shape = any(
                "&" in p.type_text and "const" not in p.type_text for _, f in found for p in f.parameters
            )
            return Effects(_UNKNOWN.writes | (State.SHAPE | State.VARIABLES if writes_shape else State.NOTHING), _ALL)
        effects = NONE
        for document, function in bodies:
            effects = effects | _of_function(self.project, document, function, self.depth + 1)
        return effects


def _of_function(project: Project, document: Document, function: Function, depth: int) -> Effects:
    """What a call of one of the project's own functions changes."""
    assert function.body is not None
    fragment = document.fragment_at(function.body.start)
    body = fragment.node_at(function.body)
    while body is not None and body.type != "compound_statement":
        body = body.parent
    if body is None or b"static " in document.text(function.body):
        return Effects(_UNKNOWN.writes, _ALL)
    values = {p.name for p in function.parameters if "&" not in p.type_text and "*" not in p.type_text}
    local = frozenset({name for name in values | _declared_within(body) if name})
    return _Reader(project, document, fragment, depth, local).of(body)


def _declared_within(body: Node) -> set[str]:
    """The variables that the blocks of a body declare by value."""
    names: set[str] = set()
    waiting = [body]
    while waiting:
        scope = waiting.pop()
        names |= {d.name for d in declared_in(scope) if "&" not in d.type_text and "*" not in d.type_text}
        waiting += [child for child in scope.named_children if child.type != "lambda_expression"]
    return names


@functools.lru_cache(maxsize=4096)
def _of_op(name: str, *, method: bool) -> Effects | None:
    """The effects of an aten op by its schemas, None where it is none."""
    found = [op for op in overloads(name) if op.is_method or not method]
    if not found:
        return None
    effects = _COMPUTES
    if any(op.is_out or (op.arguments and op.arguments[0].is_written) for op in found):
        effects = effects | Effects(State.DATA, State.NOTHING)
    if any(argument.type.startswith("Generator") for op in found for argument in op.arguments):
        effects = effects | _DRAWS
    return effects if name not in _RESHAPES else effects | Effects(State.SHAPE, State.SHAPE)
