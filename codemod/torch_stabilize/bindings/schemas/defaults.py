"""C++ defaults as schemas write them: `c10::nullopt` is `None`, `std::vector<int64_t>{1, 2}` is `[1, 2]`."""

from __future__ import annotations

import re

from torch_stabilize.source.types import split_arguments
from torch_stabilize.surface.schema import Type

_NONE = re.compile(
    r"(?:(?:std|c10|at|torch)::)?nullopt|(?:(?:py|pybind11|::py|::pybind11)::)?none\(\)|None"
    r"|(?:std|c10|torch|at)::optional<.*>(?:\(\)|\{\})|Py_None"
)
_NUMBER = re.compile(r"(?P<sign>[-+]?)\s*(?P<digits>(?:\d[\d']*\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)[fFlLuUzZ]*")
_HEX = re.compile(r"(?P<digits>0[xX][\da-fA-F']+)[uUlLzZ]*")
# `std::string("a")`, `float(2)`, `std::optional<double>{1.5}`: the value is what is inside
_CAST = re.compile(r"(?:static_cast\s*<[^()]*>|std::make_optional(?:\s*<[^()]*>)?)\s*\((?P<value>.*)\)", re.DOTALL)
_CONSTRUCTED = re.compile(
    r"(?:std::)?(?P<type>string|(?:u?int(?:8|16|32|64)_t)|size_t|int|long|float|double|bool)\s*"
    r"(?:\((?P<round>[^()]*)\)|\{(?P<curly>[^{}]*)\})",
    re.DOTALL,
)
_WRAPPED = re.compile(
    r"(?:std|c10|at|torch)::(?:optional|make_optional)\s*<.*>\s*(?:\((?P<round>.+)\)|\{(?P<curly>.+)\})", re.DOTALL
)
_LIST = re.compile(
    r"(?:(?:(?:std|c10|at|torch)::)?(?:vector|array|ArrayRef|List)\s*<.*>|(?:(?:c10|at|torch)::)?IntArrayRef)\s*"
    r"(?:\(\s*(?:\{(?P<round>.*)\})?\s*\)|\{(?P<curly>.*)\})",
    re.DOTALL,
)
_SCALAR_TYPE = re.compile(r"(?:(?:torch|at|c10)::)?(?:ScalarType::(?P<full>\w+)|k(?P<short>[A-Z]\w*))")
_SCALAR_TYPES = {
    "Float": "float", "Float32": "float", "Double": "double", "Float64": "double", "Half": "half", "Float16": "half",
    "BFloat16": "bfloat16", "Int": "int", "Int32": "int", "Long": "long", "Int64": "long", "Short": "short",
    "Int16": "short", "Char": "int8", "Int8": "int8", "Byte": "uint8", "UInt8": "uint8", "Bool": "bool",
}  # fmt: skip


def schema_default(text: str, kind: Type) -> str | None:
    """A C++ default of an argument of type `kind` as the schema writes it; "" for none, None for one without a form."""
    text = text.strip()
    if not text:
        return ""
    if _NONE.fullmatch(text):
        return "None"
    if text == "{}" and kind.form == "optional":
        return "None"
    if wrapped := _WRAPPED.fullmatch(text):
        return schema_default(wrapped["round"] or wrapped["curly"], kind)
    inner = kind.inner[0] if kind.form == "optional" else kind
    return _list(text, inner) if inner.form == "list" else _value(text, inner)


def _list(text: str, kind: Type) -> str | None:
    braced = re.fullmatch(r"\{(?P<curly>.*)\}", text, re.DOTALL)
    if listed := _LIST.fullmatch(text):
        inside = listed["round"] or listed["curly"] or ""
    elif braced:
        inside = braced["curly"]
    else:
        return _value(text, kind.inner[0]) if kind.size else None  # one value for all of a list of known size
    parts = [_value(part, kind.inner[0]) for part in split_arguments(inside)]
    return f"[{', '.join(map(str, parts))}]" if all(parts) else None


def _value(text: str, kind: Type) -> str | None:
    text = text.strip()
    if cast := _CAST.fullmatch(text):
        return _value(cast["value"], kind)
    if made := _CONSTRUCTED.fullmatch(text):
        inside = (made["round"] or made["curly"] or "").strip()
        nothing = {"string": '""', "bool": "False", "float": "0.0", "double": "0.0"}
        return _value(inside, kind) if inside else nothing.get(made["type"], "0")
    if text in ("true", "false"):
        return text.capitalize()
    if number := _NUMBER.fullmatch(text):
        digits = number["digits"].replace("'", "")
        return number["sign"].replace("+", "") + (digits + "0" if digits.endswith(".") else digits)
    if number := _HEX.fullmatch(text):
        return str(int(number["digits"].replace("'", ""), 16))
    if re.fullmatch(r'"(?:\\.|[^"\\])*"', text):
        return text
    if kind.name == "ScalarType" and (named := _SCALAR_TYPE.fullmatch("".join(text.split()))):
        return _SCALAR_TYPES.get(named["full"] or named["short"])
    return None
