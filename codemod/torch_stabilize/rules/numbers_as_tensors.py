"""Tensors of written numbers: `torch::tensor`, `at::scalar_tensor`, and the dtype that torch gives each number."""

from __future__ import annotations

from dataclasses import replace

from tree_sitter import Node

from torch_stabilize.rules.context import Context
from torch_stabilize.rules.factory_arguments import Made, options_at, tail_of
from torch_stabilize.rules.kinds import kind_in_schemas
from torch_stabilize.rules.options import Options
from torch_stabilize.rules.rewrite import Part
from torch_stabilize.rules.wide_numbers import full
from torch_stabilize.source.declarations import text_of
from torch_stabilize.source.document import Fragment

# The dtype that full() gives a number, which the stable form takes as a double; "" is the default dtype, which Python sets.
DTYPE_OF_FULL = {
    "bool": b"torch::headeronly::ScalarType::Bool",
    "int64_t": b"torch::headeronly::ScalarType::Long",
    "double": b"",
}
_DEFAULT_DTYPE = b"torch::stable::empty({0}).scalar_type()"


def is_list(node: Node, fragment: Fragment, context: Context) -> bool:
    """Whether `node` is a braced list or has the type of one."""
    return node.type == "initializer_list" or context.type_of(node, fragment).name in (
        "IntArrayRef",
        "vector",
        "ArrayRef",
    )


def tensor_of_numbers(name: str, node: Node, given: list[Node], fragment: Fragment, context: Context) -> Made | None:
    """`torch::tensor(...)` or `scalar_tensor(...)`; None where the dtype that torch gives is not known."""
    options = options_at(given, 1, fragment, context, node) if given else None
    if options is None:
        return None
    if name == "tensor" and not (options.dtype or options.like) and not _is_of_torch(node, given[0], fragment, context):
        return None
    if is_list(given[0], fragment, context) and name == "tensor":
        return _listed(node, given[0], options, fragment, context)
    kind = context.type_of(given[0], fragment)
    default: bytes | None = b""
    if name == "tensor":
        in_schemas = kind_in_schemas(given[0], kind)
        default = DTYPE_OF_FULL.get(in_schemas) if in_schemas != "int64_t" or kind.name in _LONGS else None
    if kind.is_tensor or (default is None and not (options.dtype or options.like)):
        return None
    default = default or (_of_own_type(node, kind.name) if name == "tensor" else b"")
    options = options.filled_in((default,) if default else ())
    return full(b"{}", given[0], tail_of(options, always_dtype=default), fragment, context)


def _says_torch(node: Node) -> bool:
    callee = node.child_by_field_name("function")
    return callee is None or text_of(callee).removeprefix("::").startswith("torch::")


def _of_own_type(node: Node, kind: str) -> bytes:
    """The dtype that at::tensor gives a float, "" where that is the default dtype: torch::tensor gives all numbers that."""
    return b"torch::headeronly::ScalarType::Float" if kind == "float" and not _says_torch(node) else b""


def _is_of_torch(node: Node, value: Node, fragment: Fragment, context: Context) -> bool:
    """Whether a call is of torch::tensor, which gives every integer Long and every other number the default dtype.

    at::tensor gives numbers the dtype of their C++ type, which is the same for int64_t, float and bool.
    """
    if _says_torch(node):
        return True
    kind = context.type_of(value, fragment)
    held = kind.inner if kind.inner is not None else kind
    is_written = value.type in ("identifier", "field_expression", "call_expression", "true", "false")
    return is_written and held.name in ("int64_t", "float", "bool")


# What torch::tensor makes of numbers: the integers of C++ are Long, and those of other types keep theirs.
_LONGS = ("int64_t", "int", "int32_t", "long")


def _listed(node: Node, values: Node, options: Options, fragment: Fragment, context: Context) -> Made | None:
    """`torch::tensor({1, 2})` and `torch::tensor(vector)`: one dimension, of the dtype that torch gives such numbers."""
    if values.type == "initializer_list":
        kinds = {context.type_of(value, fragment).name for value in values.named_children if value.type != "comment"}
    else:
        held = context.type_of(values, fragment).inner
        kinds = {held.name if held is not None else ""}
    if not kinds or kinds - {*_LONGS, "double", "float"}:
        return None
    is_integral = not kinds & {"double", "float"}
    if kinds & {*_LONGS} and not is_integral:
        return None
    written = "int64_t" if is_integral else "float" if kinds == {"float"} else "double"
    kind = written if values.type == "initializer_list" else kinds.pop()
    if options.pinned and not options.is_stand_in:
        return None
    options = replace(options, pinned=())
    default = _of_own_type(node, kind) or (b"torch::headeronly::ScalarType::Long" if is_integral else _DEFAULT_DTYPE)
    options = options.filled_in((default,))
    own = kind in ("int64_t", "long")  # which the list has without a dtype
    tail = tail_of(options, always_dtype=b"" if own and not options.device else default)
    name = context.project.helpers.name("tensor_of").encode()
    is_view = values.type != "initializer_list" and context.type_of(values, fragment).name != "vector"
    listed: tuple[Part, ...] = (fragment.span(values), b".vec()") if is_view else (fragment.span(values),)
    return ((name + b"<" + kind.encode() + b">(", *listed, *tail, b")"), ("tensor_of",))
