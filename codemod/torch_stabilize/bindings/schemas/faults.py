"""What torch refuses in a schema that reads well: types it does not know, defaults that do not fit, reserved names."""

from __future__ import annotations

import re
from collections.abc import Iterator

from torch_stabilize.surface.schema import Argument, Schema, Type

# What torch's parser takes for a keyword, so that no argument can be called so.
_RESERVED_LIST = (
    "in if for while def return and or not is None True False as with pass class import del raise assert global break "
    "continue else elif"
)
RESERVED = frozenset(_RESERVED_LIST.split())
_TYPE_LIST = (
    "Tensor int SymInt float bool SymBool str Scalar number complex ScalarType Device Layout MemoryFormat QScheme "
    "Generator Storage Stream NoneType None Any AnyClassType AnyEnumType Capsule Quantizer ConstQuantizerPtr "
    "DeviceIndex PyObject"
)
_TYPES = frozenset(_TYPE_LIST.split())
_MEANT = {
    "int64_t": "int", "int32_t": "int", "int16_t": "int", "int8_t": "int", "uint8_t": "int", "long": "int",
    "size_t": "int", "integer": "int", "Int": "int", "double": "float", "float32": "float", "Float": "float",
    "string": "str", "String": "str", "boolean": "bool", "Bool": "bool", "tensor": "Tensor", "dtype": "ScalarType",
    "Dtype": "ScalarType", "device": "Device", "layout": "Layout", "memory_format": "MemoryFormat",
}  # fmt: skip
_DTYPE_LIST = (
    "float double half bfloat16 int long short bool uint8 int8 int16 int32 int64 float16 float32 float64 complex64 "
    "complex128 uint16 uint32 uint64 chalf cfloat cdouble complex32 float8_e4m3fn float8_e5m2 float8_e4m3fnuz "
    "float8_e5m2fnuz float8_e8m0fnu float4_e2m1fn_x2 qint8 qint32 quint8 quint4x2 quint2x4 bits1x8 bits2x4 bits4x2 "
    "bits8 bits16 bit int1 int2 int3 int4 int5 int6 int7 uint1 uint2 uint3 uint4 uint5 uint6 uint7"
)
_DTYPES = frozenset(_DTYPE_LIST.split())
_NUMBER = re.compile(r"-?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_NAMED = frozenset({"None", "True", "False", "Mean", "contiguous_format", "strided", "long", "float"})
_DEFAULTED_LISTS = frozenset({"int", "SymInt", "float", "bool", "complex", "ScalarType"})


def schema_faults(schema: Schema) -> Iterator[str]:
    """What is wrong with a schema that can be read, in words; nothing where torch takes it."""
    for value in (*schema.arguments, *schema.returns):
        for name in _leaves(value.type):
            if name not in _TYPES and not name.startswith("__torch__."):
                meant = f"; write {_MEANT[name]}" if name in _MEANT else ""
                yield f"`{name}` is no schema type{meant}"
    seen_default = ""
    for argument in schema.arguments:
        if argument.name in RESERVED:
            yield f"an argument cannot be called `{argument.name}`, which is a keyword"
        if fault := default_fault(argument):
            yield fault
        if argument.default:
            seen_default = argument.name
        elif seen_default and not argument.keyword_only:
            yield f"`{argument.name}` has no default and is behind `{seen_default}`, which has one"


def default_fault(argument: Argument) -> str:
    """What is wrong with the default of an argument, "" where nothing is."""
    default, kind = argument.default, argument.type
    if not default or (default == "None" and _takes_none(kind)) or _fits(default, kind):
        return ""
    meant = {"true": "True", "false": "False", "nullptr": "None", "nullopt": "None"}.get(default, "")
    return f"`{default}` is no default for `{kind}`" + (f"; write {meant}" if meant else "")


def _takes_none(kind: Type) -> bool:
    return kind.form == "optional" or kind.form == "base"


def _fits(default: str, kind: Type) -> bool:
    kind = kind.inner[0] if kind.form == "optional" else kind
    if kind.form == "list":
        return _fits_list(default, kind)
    if kind.form != "base" or kind.name in ("Tensor", "Generator"):
        return False
    if kind.name == "Device":
        return default[:1] in ("'", '"')
    if kind.name == "ScalarType" and default in _DTYPES:
        return True
    return default[:1] in ("'", '"') or default in _NAMED or _NUMBER.fullmatch(default) is not None


def _fits_list(default: str, kind: Type) -> bool:
    inner = kind.inner[0]
    if inner.form != "base" or inner.name not in _DEFAULTED_LISTS:
        return False
    if not default.startswith("["):
        return bool(kind.size) and _fits_element(default, inner)  # one value for all
    return all(_fits_element(part.strip(), inner) for part in default[1:-1].split(",") if part.strip())


def _fits_element(text: str, kind: Type) -> bool:
    if kind.name == "bool":
        return text in ("True", "False")
    number = re.compile(r"-?\d+") if kind.name in ("int", "SymInt") else _NUMBER
    return number.fullmatch(text) is not None


def _leaves(kind: Type) -> Iterator[str]:
    if kind.form == "base":
        yield kind.name
    for inner in kind.inner:
        yield from _leaves(inner)
