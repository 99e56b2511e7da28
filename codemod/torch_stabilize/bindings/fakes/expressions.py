"""C++ expressions over sizes, dtypes and new tensors as Python: what a fake kernel is written with."""

from __future__ import annotations

import keyword
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tree_sitter import Node

DTYPES = {
    "Byte": "uint8", "UInt8": "uint8", "U8": "uint8", "Char": "int8", "Int8": "int8", "I8": "int8", "Short": "int16",
    "Int16": "int16", "I16": "int16", "Int": "int32", "Int32": "int32", "I32": "int32", "Long": "int64",
    "Int64": "int64", "I64": "int64", "UInt16": "uint16", "U16": "uint16", "UInt32": "uint32", "U32": "uint32",
    "UInt64": "uint64", "U64": "uint64", "Half": "float16", "Float16": "float16", "F16": "float16",
    "Float": "float32", "Float32": "float32", "F32": "float32", "Double": "float64", "Float64": "float64",
    "F64": "float64", "BFloat16": "bfloat16", "Bool": "bool", "ComplexHalf": "complex32", "ComplexFloat": "complex64",
    "ComplexDouble": "complex128", "Float8_e5m2": "float8_e5m2", "Float8_e4m3fn": "float8_e4m3fn",
    "Float8_e5m2fnuz": "float8_e5m2fnuz", "Float8_e4m3fnuz": "float8_e4m3fnuz",
}  # fmt: skip
_DTYPE = re.compile(r"(?:(?:torch|at|c10|headeronly)::)*(?:k|(?:ScalarType|Dtype)::)(\w+)")
_DEVICE = re.compile(r"(?:(?:torch|at|c10)::)*(?:k|DeviceType::)(CPU|CUDA)")
_TORCH = re.compile(r"(?:torch|at)::(\w+)")
_TENSOR_OPTIONS = re.compile(r"(?:(?:torch|at|c10)::)?TensorOptions")
# Methods that are called the same in Python, with arguments of the same meaning.
_SAME_LIST = "contiguous clone t transpose unsqueeze squeeze flatten select narrow expand_as view_as permute"
_SAME = frozenset(_SAME_LIST.split())
_WITH_SIZES = frozenset({"view", "reshape", "expand"})
_PROPERTIES = {"sizes": "shape", "sym_sizes": "shape", "scalar_type": "dtype", "dtype": "dtype", "device": "device"}
_QUESTIONS = frozenset({"size", "stride", "numel", "dim", "is_contiguous"})
_SYMBOLIC = {"sym_size": "size", "sym_numel": "numel", "sym_stride": "stride", "ndimension": "dim"}
_ITSELF = frozenset({"vec", "expect_int", "guard_int", "value"})
_LIKE = frozenset({"empty_like", "zeros_like", "ones_like"})
_OF_SIZES = {
    **{name: name for name in ("empty", "zeros", "ones", "full")},
    "empty_symint": "empty", "zeros_symint": "zeros", "ones_symint": "ones", "full_symint": "full",
}  # fmt: skip
_NEW = {"new_empty": "new_empty", "new_zeros": "new_zeros", "new_ones": "new_ones", "new_full": "new_full"}
_CASTS = re.compile(r"static_cast<(?:std::)?(?:int64_t|int|long|size_t|int32_t|c10::SymInt)>")
_OPERATORS = {"+": "+", "-": "-", "*": "*", "/": "//", "%": "%", "==": "==", "!=": "!=", "<": "<", ">": ">",
              "<=": "<=", ">=": ">=", "&&": "and", "||": "or"}  # fmt: skip


class Unplain(Exception):
    """An expression that is not translated; the text says which."""


@dataclass(frozen=True)
class Translator:
    """Translates nodes of one function. `names` are its parameters as the operator calls them.

    `binding` gives the value that a local is bound to, None for what is no local of one value; `used` collects locals.
    """

    text: Callable[[Node], str]
    names: Mapping[str, str]
    binding: Callable[[str], Node | None]
    used: list[str] = field(default_factory=list)

    def value(self, node: Node) -> str:
        """The Python for `node`. Raises Unplain."""
        handler = getattr(self, f"_{node.type}", None)
        if handler is None:
            raise Unplain(self.text(node))
        result: str = handler(node)
        return result

    def name(self, cpp: str) -> str:
        """What a parameter or a local is called in Python. Raises Unplain for other names."""
        if cpp in self.names:
            return python_name(self.names[cpp])
        if self.binding(cpp) is None:
            raise Unplain(cpp)
        if cpp not in self.used:
            self.used.append(cpp)
        return python_name(cpp)

    # expressions

    def _identifier(self, node: Node) -> str:
        return self.name(self.text(node))

    def _number_literal(self, node: Node) -> str:
        return self.text(node).rstrip("uUlLfF").replace("'", "")

    def _true(self, _: Node) -> str:
        return "True"

    def _false(self, _: Node) -> str:
        return "False"

    def _parenthesized_expression(self, node: Node) -> str:
        return f"({self.value(node.named_children[0])})"

    def _unary_expression(self, node: Node) -> str:
        sign = self.text(node.children[0])
        if sign not in ("-", "!"):
            raise Unplain(self.text(node))
        return f"{'not ' if sign == '!' else '-'}{self.value(node.named_children[-1])}"

    def _binary_expression(self, node: Node) -> str:
        left, sign, right = node.children[0], self.text(node.children[1]), node.children[2]
        if sign not in _OPERATORS or (sign == "/" and "." in self.text(node)):
            raise Unplain(self.text(node))
        return f"{self.value(left)} {_OPERATORS[sign]} {self.value(right)}"

    def _conditional_expression(self, node: Node) -> str:
        condition, first, second = node.named_children
        return f"({self.value(first)} if {self.value(condition)} else {self.value(second)})"

    def _subscript_expression(self, node: Node) -> str:
        inside = node.named_children[-1]
        index = inside.named_children if inside.type == "subscript_argument_list" else [inside]
        if len(index) != 1:
            raise Unplain(self.text(node))
        return f"{self.value(node.named_children[0])}[{self.value(index[0])}]"

    def _initializer_list(self, node: Node) -> str:
        parts = [self.value(child) for child in node.named_children]
        return f"({', '.join(parts)}{',' if len(parts) == 1 else ''})"

    def _qualified_identifier(self, node: Node) -> str:
        text = "".join(self.text(node).split())
        if match := _DEVICE.fullmatch(text):
            return f'"{match[1].lower()}"'
        if (match := _DTYPE.fullmatch(text)) and match[1] in DTYPES:
            return f"torch.{DTYPES[match[1]]}"
        raise Unplain(self.text(node))

    def _call_expression(self, node: Node) -> str:
        function = node.child_by_field_name("function")
        arguments = node.child_by_field_name("arguments")
        if function is None or arguments is None:
            raise Unplain(self.text(node))
        values = [child for child in arguments.named_children if child.type != "comment"]
        if function.type == "field_expression":
            return self._method(node, function, values)
        called = "".join(self.text(function).split())
        if _CASTS.fullmatch(called) or called == "std::move":
            return self.value(values[0])
        if called in ("std::max", "std::min") and len(values) == 2:
            return f"{called[5:]}({self.value(values[0])}, {self.value(values[1])})"
        if match := _TORCH.fullmatch(called):
            return self._factory(node, match[1], values)
        raise Unplain(self.text(node))

    # calls

    def _method(self, node: Node, function: Node, values: list[Node]) -> str:
        receiver, method = function.named_children[0], self.text(function.named_children[-1])
        method = _SYMBOLIC.get(method, method)
        if method in _ITSELF:
            return self.value(receiver)
        if method in _PROPERTIES and not values:
            return f"{self.value(receiver)}.{_PROPERTIES[method]}"
        if method in _QUESTIONS or method in _SAME:
            return f"{self._receiver(receiver)}.{method}({', '.join(map(self.value, values))})"
        if method in _WITH_SIZES and len(values) == 1:
            return f"{self._receiver(receiver)}.{method}({self.value(values[0])})"
        if method == "to" and len(values) == 1:
            return f"{self._receiver(receiver)}.to({self.value(values[0])})"
        if method in _NEW and values:
            count = 2 if method == "new_full" else 1
            given = [self.value(value) for value in values[:count]]
            return f"{self._receiver(receiver)}.{method}({', '.join([*given, *self._keywords(values[count:])])})"
        raise Unplain(self.text(node))

    def _receiver(self, node: Node) -> str:
        text = self.value(node)
        return f"({text})" if node.type in ("binary_expression", "unary_expression") else text

    def _factory(self, node: Node, name: str, values: list[Node]) -> str:
        if name in _LIKE and values:
            return f"torch.{name}({', '.join([self.value(values[0]), *self._keywords(values[1:])])})"
        if name in _OF_SIZES and values:
            count = 2 if _OF_SIZES[name] == "full" else 1
            given = [self.value(value) for value in values[:count]]
            return f"torch.{_OF_SIZES[name]}({', '.join([*given, *self._keywords(values[count:])])})"
        raise Unplain(self.text(node))

    def _keywords(self, values: list[Node]) -> list[str]:
        """`dtype=...` and `device=...` for what is behind the sizes."""
        found: dict[str, str] = {}
        for value in values:
            found |= self.options(value)
        return [f"{name}={text}" for name, text in found.items()]

    def options(self, node: Node) -> dict[str, str]:
        """What a TensorOptions expression says of dtype and device. Raises Unplain."""
        text = "".join(self.text(node).split())
        if node.type == "identifier":
            bound = self.binding(text)
            if bound is None:
                raise Unplain(text)
            return self.options(bound)
        if _DEVICE.fullmatch(text):
            return {"device": self.value(node)}
        if _DTYPE.fullmatch(text):
            return {"dtype": self.value(node)}
        if node.type != "call_expression":
            raise Unplain(text)
        function, arguments = node.named_children[0], node.named_children[-1]
        values = arguments.named_children
        if function.type == "field_expression":
            receiver, method = function.named_children[0], self.text(function.named_children[-1])
            if method == "options" and not values:
                of = self.value(receiver)
                return {"dtype": f"{of}.dtype", "device": f"{of}.device"}
            if method in ("scalar_type", "dtype") and not values:
                return {"dtype": self.value(node)}
            if method in ("dtype", "device") and len(values) == 1:
                return {**self.options(receiver), method: self.value(values[0])}
            if method == "requires_grad" and len(values) == 1 and self.text(values[0]) == "false":
                return self.options(receiver)
            raise Unplain(text)
        called = self.text(function)
        if _TENSOR_OPTIONS.fullmatch(called) and not values:
            return {}
        if (match := _TORCH.fullmatch(called)) and match[1] in ("dtype", "device") and len(values) == 1:
            return {match[1]: self.value(values[0])}
        raise Unplain(text)


def python_name(name: str) -> str:
    """`name` as Python can have it."""
    return f"{name}_" if keyword.iskeyword(name) or name == "torch" else name
