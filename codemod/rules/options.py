"""Take TensorOptions apart: which dtype and device an options expression stands for, also through variables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from tree_sitter import Node

from codemod.model import Span
from codemod.rules.context import Context
from codemod.rules.rewrite import Copy, Part
from codemod.source.declarations import text_of
from codemod.source.document import Fragment
from codemod.source.scopes import receiver_type_parts

_STARTS = ("TensorOptions", "dtype", "device", "layout", "requires_grad", "memory_format", "pinned_memory")
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


def read_options(node: Node, fragment: Fragment, context: Context, near: Span | None = None) -> Options | None:
    """What the expression `node` sets, or None where it cannot be followed.

    `near` is the span that will hold the result: source outside of it is copied, inside of it kept.
    """
    near = near or fragment.span(node)

    def part(value: Node) -> Part:
        span = fragment.span(value)
        return span if near.contains(span) and inside_call(value) else Copy(span)

    def inside_call(value: Node) -> bool:
        return False  # a kept span would have to stay in file order; a copy never does harm

    if node.type == "identifier":
        return _variable(node, fragment, context, near)
    if node.type == "initializer_list" and node.named_child_count == 0:
        return Options()
    if node.type == "call_expression":
        callee = node.child_by_field_name("function")
        arguments = _arguments(node)
        if callee is not None and callee.type == "field_expression":
            return _chained(node, callee, arguments, fragment, context, near, part)
        name = text_of(callee).rpartition("::")[2] if callee is not None else ""
        if name in _STARTS and callee is not None and "::" in text_of(callee):
            if name == "TensorOptions":
                return _implicit(arguments[0], fragment, context, part) if arguments else Options()
            return _set(Options(), name, arguments, fragment, context, part)
    return _implicit(node, fragment, context, part)


def _arguments(node: Node) -> list[Node]:
    arguments = node.child_by_field_name("arguments")
    return [c for c in arguments.named_children if c.type != "comment"] if arguments is not None else []


def _chained(node, callee, arguments, fragment, context, near, part):  # type: ignore[no-untyped-def]
    receiver, method = receiver_type_parts(callee)
    if receiver is None:
        return None
    if method == "options" and not arguments:
        arrow = any(child.type == "->" for child in callee.children)
        return Options(like=((b"(*", part(receiver), b")") if arrow else (part(receiver),)))
    if method in ("scalar_type", "device", "dtype") and not arguments:
        return _implicit(node, fragment, context, part)
    base = read_options(receiver, fragment, context, near)
    return _set(base, method, arguments, fragment, context, part) if base is not None else None


def _set(base, name, arguments, fragment, context, part):  # type: ignore[no-untyped-def]
    if not arguments:
        return None
    value = arguments[0]
    if name == "dtype":
        return replace(base, dtype=(part(value),))
    if name == "device":
        return replace(base, device=device_parts(arguments, fragment, context, part))
    if name == "device_index":
        return replace(base, device=(b"torch::stable::Device(torch::headeronly::kCUDA, ", part(value), b")"))
    if name == "layout":
        return replace(base, layout=(part(value),))
    if name == "pinned_memory":
        return replace(base, pinned=(part(value),))
    if name == "memory_format" or (name == "requires_grad" and text_of(value) == "false"):
        return base if name == "requires_grad" else None
    return None


def device_parts(arguments, fragment, context, part):  # type: ignore[no-untyped-def]
    """A device from the arguments of `.device(...)`: a Device stays, a type or a string is made one."""
    kind = context.type_of(arguments[0], fragment)
    if len(arguments) == 1 and (kind.name == "Device" and "::k" not in text_of(arguments[0])):
        return (part(arguments[0]),)
    more = [piece for argument in arguments[1:] for piece in (b", ", part(argument))]
    return (b"torch::stable::Device(", part(arguments[0]), *more, b")")


def _implicit(node, fragment, context, part):  # type: ignore[no-untyped-def]
    """A dtype or a device where options are taken."""
    kind = context.type_of(node, fragment)
    if kind.name == "ScalarType":
        return Options(dtype=(part(node),))
    if kind.name in ("Device", "DeviceType"):
        return Options(device=device_parts([node], fragment, context, part))
    return None


def _variable(node: Node, fragment: Fragment, context: Context, near: Span) -> Options | None:
    name = text_of(node)
    value = last_value(name, node, fragment, context)
    if value is None or value == node:
        return _implicit(node, fragment, context, lambda n: Copy(fragment.span(n)))
    return read_options(value, fragment, context, near)


def last_value(name: str, node: Node, fragment: Fragment, context: Context) -> Node | None:
    """What `name` holds at `node`: its initialiser, or the last assignment before, if that one is sure to have run."""
    declared = context.project.finder.declaration_of(name, node)
    if declared is None or declared.element:
        return None
    value = declared.value
    block = enclosing_block(node)
    for assignment in assignments(name, declared.start, node.start_byte, fragment):
        holder = enclosing_block(assignment)
        right = assignment.child_by_field_name("right")
        reaches = (
            holder is not None
            and block is not None
            and holder.start_byte <= block.start_byte
            and block.end_byte <= holder.end_byte
        )
        if not reaches or right is None:
            return None
        value = right
    if value is not None and value.type == "argument_list":  # TensorOptions o(dtype)
        inner = [c for c in value.named_children if c.type != "comment"]
        return inner[0] if len(inner) == 1 else None
    return value


def enclosing_block(node: Node) -> Node | None:
    """The statement block around `node`."""
    walk: Node | None = node.parent
    while walk is not None and walk.type not in ("compound_statement", "translation_unit"):
        walk = walk.parent
    return walk


def assignments(name: str, start: int, end: int, fragment: Fragment) -> Iterator[Node]:
    """The assignments to `name` between two offsets of the fragment, in order."""
    for node in uses_of(name, start, end, fragment):
        parent = node.parent
        if parent is not None and parent.type == "assignment_expression" and parent.child_by_field_name("left") == node:
            yield parent


def uses_of(name: str, start: int, end: int, fragment: Fragment) -> Iterator[Node]:
    """The identifiers `name` between two offsets of the fragment, in order."""
    source = fragment.tree.root_node.text or b""
    wanted = name.encode()
    place = source.find(wanted, start)
    while 0 <= place < end:
        node = fragment.tree.root_node.descendant_for_byte_range(place, place + len(wanted))
        if node is not None and node.type == "identifier" and node.start_byte == place and text_of(node) == name:
            yield node
        place = source.find(wanted, place + len(wanted))
