"""The values a golden case passes to an op, as frozen data: parsed from cases.toml, turned into tensors elsewhere."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

FILLS = ("nan", "empty", "special")

DTYPES = (
    "float64", "float32", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz",
    "int64", "int32", "int16", "int8", "uint64", "uint32", "uint16", "uint8", "bool", "complex64", "complex128",
)  # fmt: skip


class CaseError(ValueError):
    """Something in cases.toml that has no meaning; the message says where and what."""


@dataclass(frozen=True)
class Scope:
    """What names stand for in one expanded case: `$dtype`, `$device`, and the names of the sweep."""

    dtype: str
    device: str
    names: Mapping[str, int | float | str | bool]


@dataclass(frozen=True)
class TensorValue:
    """A tensor: random in [low, high] unless `fill` says otherwise. Strides are those of a contiguous tensor if None.

    `fill` is a number; "nan"; "empty" for an output that is not read (a fixed pattern is in it); or "special" for
    NaN, infinities, both zeros and the smallest and largest numbers among random ones.
    """

    shape: tuple[int, ...]
    dtype: str
    low: float = -1.0
    high: float = 1.0
    strides: tuple[int, ...] | None = None
    offset: int = 0  # elements of the storage before the first
    fill: float | str | None = None


@dataclass(frozen=True)
class GeneratedValue:
    """A tensor from a named generator (`generators.py`)."""

    generator: str
    parameters: tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class PlainValue:
    """A number, text, list of numbers, None, dtype or device. `kind` is the key it is under in cases.toml."""

    kind: str
    value: Any


@dataclass(frozen=True)
class ListValue:
    """A list of values, for `Tensor[]` and `Tensor?[]`."""

    items: tuple[Value, ...]


Value: TypeAlias = TensorValue | GeneratedValue | PlainValue | ListValue

_TENSOR_KEYS = {"shape", "dtype", "low", "high", "strides", "offset", "fill"}


def parse_value(raw: Any, scope: Scope, where: str) -> Value:
    """The value of one table like `{int = 3}` or `{tensor = {...}}`. Raises CaseError."""
    if not isinstance(raw, Mapping):
        raise CaseError(f"{where}: a value is a table like {{int = 3}}, not {raw!r}")
    if "generator" in raw:
        parameters = ((key, resolve(value, scope, where)) for key, value in raw.items() if key != "generator")
        return GeneratedValue(str(raw["generator"]), tuple(sorted(parameters)))
    if len(raw) != 1:
        raise CaseError(f"{where}: a value has one key, not {', '.join(map(str, raw)) or 'none'}")
    kind, content = next(iter(raw.items()))
    if kind == "tensor":
        return _tensor(content, scope, where)
    if kind == "list":
        return ListValue(tuple(parse_value(item, scope, f"{where}[{i}]") for i, item in enumerate(content)))
    parse = _PLAIN.get(kind)
    if parse is None:
        known = ", ".join(["tensor", "generator", "list", *_PLAIN])
        raise CaseError(f"{where}: unknown kind of value {kind!r}; known are {known}")
    try:
        return PlainValue(kind, parse(resolve(content, scope, where), where))
    except (TypeError, ValueError) as error:
        raise CaseError(f"{where}: {error}") from error


def resolve(raw: Any, scope: Scope, where: str) -> Any:
    """`raw` with `$dtype`, `$device` and expressions over the sweep's names replaced, lists element by element.

    A text that is no expression over these names stays text.
    """
    if isinstance(raw, list):
        return tuple(resolve(item, scope, where) for item in raw)
    if not isinstance(raw, str):
        return raw
    if raw in ("$dtype", "$device"):
        return scope.dtype if raw == "$dtype" else scope.device
    if raw in scope.names:
        return scope.names[raw]
    try:
        return evaluate(raw, scope.names)
    except CaseError:
        return raw


def evaluate(text: str, names: Mapping[str, Any]) -> int | float:
    """An arithmetic expression of numbers, names and + - * //. Raises CaseError for anything else."""
    try:
        return _arithmetic(ast.parse(text, mode="eval").body, names)
    except SyntaxError as error:
        raise CaseError(f"not an expression: {text!r}") from error
    except ZeroDivisionError as error:
        raise CaseError(f"division by zero in {text!r}") from error


def _arithmetic(node: ast.expr, names: Mapping[str, Any]) -> int | float:
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)) and not isinstance(node.value, bool):
        return node.value
    if isinstance(node, ast.Name) and isinstance(names.get(node.id), (int, float)):
        number: int | float = names[node.id]
        return number
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_arithmetic(node.operand, names)
    if isinstance(node, ast.BinOp):
        left, right = _arithmetic(node.left, names), _arithmetic(node.right, names)
        if isinstance(node.op, ast.Add):
            return left + right
        if isinstance(node.op, ast.Sub):
            return left - right
        if isinstance(node.op, ast.Mult):
            return left * right
        if isinstance(node.op, ast.FloorDiv):
            return left // right
    known = ", ".join(names) or "none"
    raise CaseError(f"only numbers, + - * // and the names of the sweep ({known}) may stand in {ast.unparse(node)!r}")


def _tensor(raw: Any, scope: Scope, where: str) -> TensorValue:
    if not isinstance(raw, Mapping) or "shape" not in raw:
        raise CaseError(f"{where}: a tensor is a table with at least a shape")
    unknown = sorted(set(raw) - _TENSOR_KEYS)
    if unknown:
        raise CaseError(f"{where}: unknown {', '.join(unknown)}; a tensor has {', '.join(sorted(_TENSOR_KEYS))}")
    dtype = resolve(raw.get("dtype", "$dtype"), scope, where)
    fill = raw.get("fill")
    if isinstance(fill, str) and fill not in FILLS:
        raise CaseError(f"{where}: fill is a number or one of {', '.join(FILLS)}, not {fill!r}")
    strides = raw.get("strides")
    shape = _sizes(raw["shape"], scope, f"{where}.shape")
    if strides is not None and len(strides) != len(shape):
        raise CaseError(f"{where}: {len(strides)} strides for {len(shape)} dimensions")
    return TensorValue(
        shape,
        check_dtype(dtype, where),
        float(resolve(raw.get("low", -1.0), scope, where)),
        float(resolve(raw.get("high", 1.0), scope, where)),
        None if strides is None else _sizes(strides, scope, f"{where}.strides"),
        _sizes([raw.get("offset", 0)], scope, f"{where}.offset")[0],
        float(fill) if isinstance(fill, (int, float)) else fill,
    )


def _sizes(raw: Any, scope: Scope, where: str) -> tuple[int, ...]:
    if not isinstance(raw, (list, tuple)):
        raise CaseError(f"{where}: a list of sizes, not {raw!r}")
    sizes = []
    for item in raw:
        try:
            size = evaluate(item, scope.names) if isinstance(item, str) else item
        except CaseError as error:
            raise CaseError(f"{where}: {error}") from error
        if isinstance(size, bool) or not isinstance(size, int) or size < 0:
            raise CaseError(f"{where}: {item!r} is not a size")
        sizes.append(size)
    return tuple(sizes)


def check_dtype(name: object, where: str) -> str:
    """`name` if it names a dtype. Raises CaseError."""
    if name not in DTYPES:
        raise CaseError(f"{where}: unknown dtype {name!r}")
    return str(name)


def _integer(value: Any, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise CaseError(f"{where}: {value!r} is not an integer")
    return value


def _number(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise CaseError(f"{where}: {value!r} is not a number")
    return float(value)


def _boolean(value: Any, where: str) -> bool:
    if not isinstance(value, bool):
        raise CaseError(f"{where}: {value!r} is not true or false")
    return value


_PLAIN: dict[str, Callable[[Any, str], Any]] = {
    "int": _integer,
    "float": _number,
    "bool": _boolean,
    "str": lambda value, where: str(value),
    "none": lambda value, where: None,
    "scalar_type": check_dtype,
    "device": lambda value, where: str(value),
    "ints": lambda value, where: tuple(_integer(item, where) for item in value),
    "floats": lambda value, where: tuple(_number(item, where) for item in value),
    "bools": lambda value, where: tuple(_boolean(item, where) for item in value),
}
