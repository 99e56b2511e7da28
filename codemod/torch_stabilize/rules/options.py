"""Take TensorOptions apart: which dtype and device an options expression represents, also through variables."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

from tree_sitter import Node

from torch_stabilize.model import Span
from torch_stabilize.rules.context import Context
from torch_stabilize.rules.effects import effectful_calls
from torch_stabilize.rules.last_values import is_unchanged, last_value
from torch_stabilize.rules.rewrite import Copy, Part
from torch_stabilize.source.declarations import text_of
from torch_stabilize.source.document import Fragment
from torch_stabilize.source.scopes import arguments_of, receiver_type_parts

_STARTS = ("TensorOptions", "dtype", "device", "layout", "requires_grad", "memory_format", "pinned_memory")
_BROUGHT_ALONG = frozenset({"dtype", "device", "layout"})  # found without a namespace, by the type of the argument
_OF_BACKENDS = {f"{space}{name}": f"k{name}".encode() for space in ("at::", "torch::") for name in ("CPU", "CUDA")}
_NULLOPT = frozenset({"std::nullopt", "c10::nullopt", "at::nullopt", "torch::nullopt", "nullopt", "{}"})
# Expressions that may be options as an object, which is asked for what it has: variables, and what functions give.
_HOLDERS = frozenset({"identifier", "field_expression", "call_expression", "subscript_expression"})
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

    def filled_in(self, dtype: tuple[Part, ...], device: tuple[Part, ...] = ()) -> Options:
        """These options, with another dtype and device where the object that holds them has none."""
        made = self
        if dtype and self.dtype[-1:] == (b".dtype_opt()",):
            made = replace(made, dtype=(*self.dtype, b".value_or(", *dtype, b")"))
        if device and self.device[-1:] == (b".device_opt()",):
            made = replace(made, device=(*self.device, b".value_or(", *device, b")"))
        return made

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
        return self._set(base, method, arguments) if base is not None else self._implicit(node)

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
        """A device from the arguments of `.device(...)`: a Device, or an optional one, stays; a type or a string is made one."""
        kind = self.context.type_of(arguments[0], self.fragment)
        if kind.name == "optional" and kind.inner is not None and kind.inner.name == "Device":
            return (self._part(arguments[0]),)
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
        if kind.name == "TensorOptions" and not kind.pointers and node.type in _HOLDERS:
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
