"""Take TensorOptions apart: which dtype and device an options expression represents, also through variables."""

from __future__ import annotations

import functools
import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

from tree_sitter import Node, Tree

from torch_stabilize.model import Span
from torch_stabilize.rules.context import Context
from torch_stabilize.rules.effects import effectful_calls
from torch_stabilize.rules.rewrite import Copy, Part
from torch_stabilize.source.declarations import text_of
from torch_stabilize.source.document import Document, Fragment
from torch_stabilize.source.scopes import arguments_of, receiver_type_parts
from torch_stabilize.source.signatures import Function

_WORD = re.compile(rb"[A-Za-z_$\x80-\xff][\w$\x80-\xff]*")
_STARTS = ("TensorOptions", "dtype", "device", "layout", "requires_grad", "memory_format", "pinned_memory")
_BROUGHT_ALONG = frozenset({"dtype", "device", "layout"})  # found without a namespace, by the type of the argument
_OF_BACKENDS = {f"{space}{name}": f"k{name}".encode() for space in ("at::", "torch::") for name in ("CPU", "CUDA")}
_NULLOPT = frozenset({"std::nullopt", "c10::nullopt", "at::nullopt", "torch::nullopt", "nullopt", "{}"})
NOTHING: tuple[Part, ...] = (b"std::nullopt",)


@dataclass(frozen=True)
class Options:
    """What an options expression sets. `like` is the tensor whose options() it starts from, as parts.

    An empty tuple means: not set. `sources` are the spans that were read.
    """

    dtype: tuple[Part, ...] = ()
    device: tuple[Part, ...] = ()
    layout: tuple[Part, ...] = ()
    pinned: tuple[Part, ...] = ()
    like: tuple[Part, ...] = ()
    requires_grad: tuple[Part, ...] = ()
    is_stand_in: bool = False  # the parts ask an object that holds the options

    def dtype_parts(self) -> tuple[Part, ...]:
        """The dtype, or std::nullopt."""
        return self.dtype or ((*self.like, b".scalar_type()") if self.like else NOTHING)

    def device_parts(self) -> tuple[Part, ...]:
        """The device, or std::nullopt."""
        return self.device or ((*self.like, b".device()") if self.like else NOTHING)

    def layout_parts(self) -> tuple[Part, ...]:
        """The layout, or std::nullopt."""
        return self.layout or NOTHING

    @property
    def only_like(self) -> bool:
        """Whether it is a tensor's options() and nothing else."""
        return bool(self.like) and not (self.dtype or self.device or self.layout or self.pinned)


def read_options(node: Node, fragment: Fragment, context: Context) -> Options | None:
    """What the expression `node` sets, or None where it cannot be followed.

    The parts are copies of the source: an options expression is often somewhere else than its use.
    """
    return _Reader(fragment, context).read(node)


def read_separate(nodes: list[Node], fragment: Fragment, context: Context) -> Options | None:
    """What dtype, layout, device and pinned memory, given one by one, set: the long form of `at::zeros`."""
    reader = _Reader(fragment, context)
    dtype, layout, device, pinned = (None if text_of(node) in _NULLOPT else node for node in nodes)
    if dtype is not None and context.type_of(dtype, fragment).name not in ("ScalarType", "optional"):
        return None
    return Options(
        dtype=(reader._part(dtype),) if dtype is not None else (),
        device=reader._device([device]) if device is not None else (),
        layout=(reader._part(layout),) if layout is not None else (),
        pinned=(reader._part(pinned),) if pinned is not None else (),
    )


class _Reader(NamedTuple):
    """Reads options expressions of one fragment."""

    fragment: Fragment
    context: Context

    def read(self, node: Node) -> Options | None:
        if node.type == "identifier":
            return self._variable(node)
        if node.type == "compound_literal_expression":  # TensorOptions{dtype}
            kind, value = node.child_by_field_name("type"), node.child_by_field_name("value")
            is_options = kind is not None and text_of(kind).rpartition("::")[2] == "TensorOptions"
            return self.read(value) if value is not None and is_options else None
        if node.type == "initializer_list" and node.named_child_count < 2:
            return self._implicit(node.named_children[0]) if node.named_children else Options()
        if node.type == "call_expression":
            callee = node.child_by_field_name("function")
            if callee is not None and callee.type == "field_expression":
                return self._chained(node, callee)
            text = text_of(callee) if callee is not None else ""
            name = text.rpartition("::")[2]
            named = _template_arguments(callee) if callee is not None else None
            if named is not None and text.partition("<")[0] in ("torch::dtype", "at::dtype"):
                return self._of_type(Options(), "dtype", named)
            if name in _STARTS and ("::" in text or name in _BROUGHT_ALONG):
                return self._started(name, arguments_of(node))
            if text in _OF_BACKENDS:
                return self._of_backend(_OF_BACKENDS[text], arguments_of(node))
        return self._implicit(node)

    def _part(self, node: Node) -> Part:
        return Copy(self.fragment.span(node))

    def _started(self, name: str, arguments: list[Node]) -> Options | None:
        """`torch::TensorOptions()`, `torch::TensorOptions(dtype)`, `torch::dtype(...)`, `torch::device(...)`."""
        if name == "TensorOptions":
            return self._implicit(arguments[0]) if arguments else Options()
        return self._set(Options(), name, arguments)

    def _of_backend(self, kind: bytes, arguments: list[Node]) -> Options | None:
        """`at::CUDA(at::kByte)`, the options of torch's early years."""
        device = (b"torch::stable::Device(torch::headeronly::" + kind + b")",)
        return Options(dtype=(self._part(arguments[0]),), device=device) if len(arguments) == 1 else None

    def _chained(self, node: Node, callee: Node) -> Options | None:
        """`x.options()`, `x.device()`, `OPTIONS.dtype(...)`."""
        receiver, method = receiver_type_parts(callee)
        arguments = arguments_of(node)
        if receiver is None:
            return None
        if method in ("options", "type") and not arguments:  # type() is accepted where options() are
            arrow = any(child.type == "->" for child in callee.children)
            return Options(like=(b"(*", self._part(receiver), b")") if arrow else (self._part(receiver),))
        named = _template_arguments(callee)
        if method in ("scalar_type", "device", "dtype") and not arguments and named is None:
            return self._implicit(node)
        base = self.read(receiver)
        if base is not None and named is not None:
            return self._of_type(base, method, named)
        return self._set(base, method, arguments) if base is not None else None

    def _of_type(self, base: Options, name: str, named: Node) -> Options | None:
        """`dtype<float>()`."""
        inside = self.fragment.span(named)
        kind = Copy(Span(inside.start + 1, inside.end - 1))
        parts: tuple[Part, ...] = (b"torch::headeronly::CppTypeToScalarType<", kind, b">::value")
        return replace(base, dtype=parts) if name == "dtype" else None

    def _set(self, base: Options, name: str, arguments: list[Node]) -> Options | None:
        """`base` with one more property set."""
        if not arguments:
            return None
        value = self._part(arguments[0])
        if name == "dtype":
            return replace(base, dtype=(value,))
        if name == "device":
            return replace(base, device=self._device(arguments))
        if name == "device_index":
            return replace(base, device=(b"torch::stable::Device(torch::headeronly::kCUDA, ", value, b")"))
        if name == "layout":
            return replace(base, layout=(value,))
        if name == "pinned_memory":
            return replace(base, pinned=(value,))
        if name == "requires_grad":
            return base if text_of(arguments[0]) == "false" else replace(base, requires_grad=(value,))
        return None

    def _device(self, arguments: list[Node]) -> tuple[Part, ...]:
        """A device from the arguments of `.device(...)`: a Device stays, a type or a string is made one."""
        kind = self.context.type_of(arguments[0], self.fragment)
        if len(arguments) == 1 and kind.name == "Device" and "::k" not in text_of(arguments[0]):
            return (self._part(arguments[0]),)
        more = [piece for argument in arguments[1:] for piece in (b", ", self._part(argument))]
        return (b"torch::stable::Device(", self._part(arguments[0]), *more, b")")

    def _implicit(self, node: Node) -> Options | None:
        """A dtype or a device where options are taken."""
        kind = self.context.type_of(node, self.fragment)
        if kind.name == "ScalarType":
            return Options(dtype=(self._part(node),))
        if kind.name in ("Device", "DeviceType"):
            return Options(device=self._device([node]))
        if kind.name == "TensorOptions" and node.type in ("identifier", "field_expression"):
            part = self._part(node)
            return Options(
                dtype=(part, b".dtype_opt()"),
                device=(part, b".device_opt()"),
                layout=(part, b".layout_opt()"),
                pinned=(part, b".pinned_memory_opt()"),
                is_stand_in=True,
            )
        return None

    def _variable(self, node: Node) -> Options | None:
        value = last_value(text_of(node), node, self.fragment, self.context)
        known = self.read(value) if value is not None and value != node else None
        if known is not None and value is not None and self._may_be_repeated(value, node):
            return known
        return self._implicit(node)

    def _may_be_repeated(self, value: Node, use: Node) -> bool:
        """Whether what a variable was made from still says the same at its use, and has no effects."""
        return not any(True for _ in effectful_calls(value, self.fragment, self.context)) and is_unchanged(
            value, use, self.fragment, self.context
        )


def _template_arguments(callee: Node) -> Node | None:
    """`<float>` of `o.dtype<float>` and `torch::dtype<float>`."""
    for field in ("field", "name"):
        inner = callee.child_by_field_name(field)
        if inner is not None and inner.type in ("template_method", "template_function", "qualified_identifier"):
            return inner.child_by_field_name("arguments") or _template_arguments(inner)
    return callee.child_by_field_name("arguments") if callee.type.startswith("template") else None


def last_value(name: str, node: Node, fragment: Fragment, context: Context) -> Node | None:
    """What `name` holds at `node`: its initialiser, or the last assignment before, if that one is sure to have run."""
    declared = context.project.finder.declaration_of(name, node)
    if declared is None or declared.element or _captures_by_name(node, declared.start):
        return None
    value = declared.value
    if value is not None and value.start_byte <= node.start_byte < value.end_byte:
        return None  # `auto x = x.y()`: another x
    for assignment in assignments(name, declared.start, _end_of_loops(node, declared.start), fragment):
        if assignment.start_byte <= node.start_byte < assignment.end_byte:
            continue  # `options = options.dtype(x)`: the right side still has the old value
        right = assignment.child_by_field_name("right")
        if right is None or not _has_run_before(assignment, node):
            return None
        value = right
    if value is not None and value.type == "argument_list":  # TensorOptions o(dtype)
        inner = [c for c in value.named_children if c.type != "comment"]
        return inner[0] if len(inner) == 1 else None
    return value


def is_unchanged(value: Node, use: Node, fragment: Fragment, context: Context) -> bool:
    """Whether every variable in the expression `value` means the same at `use`, and was not given another value."""
    finder = context.project.finder
    end = _end_of_loops(use, value.start_byte)
    for name, node in _variables_in(value):
        declared, meant = finder.declaration_of(name, node), finder.declaration_of(name, use)
        if (declared.start if declared is not None else -1) != (meant.start if meant is not None else -1):
            return False
        changes = uses_of(name, value.end_byte, end, fragment)
        if any(
            _changes(one, fragment, context) for one in changes if not use.start_byte <= one.start_byte < use.end_byte
        ):
            return False
    return True


def _variables_in(value: Node) -> Iterator[tuple[str, Node]]:
    """The names that an expression takes values from."""
    waiting = [value]
    while waiting:
        node = waiting.pop()
        if node.type == "identifier" and (node.parent is None or node.parent.type != "qualified_identifier"):
            yield text_of(node), node
        waiting += node.named_children


def _changes(node: Node, fragment: Fragment, context: Context) -> bool:
    """Whether a use of a variable may give it another value, or another tensor: what is written into one does not."""
    while node.parent is not None and node.parent.type in ("parenthesized_expression", "field_expression"):
        if node.parent.type == "field_expression" and node.parent.parent is not None:
            around = node.parent.parent
            if around.type == "call_expression" and around.child_by_field_name("function") == node.parent:
                return text_of(node.parent).endswith((".reset", ".swap"))
        node = node.parent
    parent = node.parent
    if parent is None:
        return False
    if parent.type == "assignment_expression":
        sign = text_of(parent.child_by_field_name("operator") or parent)
        is_left = parent.child_by_field_name("left") == node
        return is_left and (sign == "=" or not context.type_of(node, fragment).is_tensor)
    if parent.type == "update_expression":
        return True
    if parent.type == "pointer_expression":
        return text_of(parent).startswith("&")
    call = parent.parent if parent.type == "argument_list" else None
    callee = call.child_by_field_name("function") if call is not None and call.type == "call_expression" else None
    if call is None or callee is None:
        return False
    name = text_of(callee).partition("<")[0]
    if name in ("std::move", "std::swap", "std::exchange", "std::tie"):
        return True
    place = arguments_of(call).index(node) if node in arguments_of(call) else -1
    return any(_assigns(document, function, place) for document, function in context.project.functions.named(name))


def _assigns(document: Document, function: Function, place: int) -> bool:
    """Whether a function of the project gives the variable it is handed as its argument `place` another value."""
    if function.body is None or not 0 <= place < len(function.parameters):
        return False
    parameter = function.parameters[place]
    if "&" not in parameter.type_text or "const" in parameter.type_text or not parameter.name:
        return False
    body = document.code[function.body.start : function.body.end]
    name = re.escape(parameter.name.encode())
    return re.search(rb"(?<![\w.>])" + name + rb"\s*=(?!=)|\b(?:move|swap)\s*\(\s*" + name + rb"\b", body) is not None


_CAPTURES_ALL = re.compile(r"\[\s*(?:=|&\s*[,\]])")
# What code may be left out within, or run more than once.
_LOOPS = frozenset({"for_statement", "for_range_loop", "while_statement", "do_statement"})
_STEPS = 32
_REPEATED = _LOOPS | {"lambda_expression"}
_CHOICES = _LOOPS | {
    "if_statement", "else_clause", "switch_statement", "case_statement", "conditional_expression", "binary_expression",
    "lambda_expression", "try_statement", "catch_clause", "preproc_if", "preproc_ifdef", "preproc_else", "preproc_elif",
    "preproc_elifdef",
}  # fmt: skip


def _around(node: Node, declared: int) -> Iterator[Node]:
    """The loops and lambdas around `node` and behind the declaration of a variable, the innermost first."""
    walk = _loop_or_lambda(node)
    while walk is not None and walk.start_byte > declared:
        yield walk
        walk = _loop_or_lambda(walk)


@functools.lru_cache(maxsize=1 << 14)
def _loop_or_lambda(node: Node) -> Node | None:
    """The nearest loop or lambda around `node`; in deep code the answer of what is further out is kept."""
    walk, steps = node.parent, 0
    while walk is not None and walk.type not in _REPEATED:
        steps += walk.type == "compound_statement"
        if steps == _STEPS:
            return _loop_or_lambda(walk)
        walk = walk.parent
    return walk


def _captures_by_name(node: Node, declared: int) -> bool:
    """Whether `node` sees the variable through a lambda that captures no others: `[&options](int n) { ... }`."""
    lambdas = (around for around in _around(node, declared) if around.type == "lambda_expression")
    captures = (around.child_by_field_name("captures") for around in lambdas)
    return any(one is None or not _CAPTURES_ALL.match(text_of(one)) for one in captures)


def _end_of_loops(node: Node, declared: int) -> int:
    """Up to where an assignment may be what `node` sees: in a loop that the variable outlives also one behind it."""
    loops = (around.end_byte for around in _around(node, declared) if around.type in _LOOPS)
    return max(loops, default=node.start_byte)


def _has_run_before(assignment: Node, node: Node) -> bool:
    """Whether every way to `node` leads over `assignment`: nothing between it and what holds both is a choice."""
    if assignment.start_byte > node.start_byte:
        return False
    walk = assignment.parent
    while walk is not None and not walk.start_byte <= node.start_byte < walk.end_byte:
        if walk.type in _CHOICES:
            return False
        walk = walk.parent
    return walk is not None and (walk.type not in _CHOICES or walk.type == "case_statement")


def enclosing_block(node: Node) -> Node | None:
    """The statement block around `node`."""
    walk: Node | None = node.parent
    while walk is not None and walk.type not in ("compound_statement", "translation_unit"):
        walk = walk.parent
    return walk


def assignments(name: str, start: int, end: int, fragment: Fragment) -> Iterator[Node]:
    """The assignments to `name` between two offsets of the fragment, in order."""
    found = _assigned(fragment.tree, name)
    first = bisect_left(found, start, key=_start)
    return iter(found[first : bisect_left(found, end, first, key=_start)])


def uses_of(name: str, start: int, end: int, fragment: Fragment) -> Iterator[Node]:
    """The identifiers `name` between two offsets of the fragment, in order."""
    found = _used(fragment.tree, name)
    first = bisect_left(found, start, key=_start)
    return iter(found[first : bisect_left(found, end, first, key=_start)])


def _start(node: Node) -> int:
    return node.start_byte


# Every variable of a function is asked for again at every use of it: what a tree says of a name is found once.


@functools.lru_cache(maxsize=1 << 14)
def _assigned(tree: Tree, name: str) -> tuple[Node, ...]:
    parents = ((node, node.parent) for node in _used(tree, name))
    return tuple(
        parent
        for node, parent in parents
        if parent is not None and parent.type == "assignment_expression" and parent.child_by_field_name("left") == node
    )


@functools.lru_cache(maxsize=1 << 14)
def _used(tree: Tree, name: str) -> tuple[Node, ...]:
    wanted = name.encode()
    places = _words(tree).get(wanted, ())
    nodes = (tree.root_node.descendant_for_byte_range(place, place + len(wanted)) for place in places)
    return tuple(node for node in nodes if node is not None and node.type == "identifier" and text_of(node) == name)


@functools.lru_cache(maxsize=256)
def _words(tree: Tree) -> dict[bytes, list[int]]:
    """Where each word of the source begins."""
    found: dict[bytes, list[int]] = {}
    for match in _WORD.finditer(tree.root_node.text or b""):
        found.setdefault(match.group(), []).append(match.start())
    return found
