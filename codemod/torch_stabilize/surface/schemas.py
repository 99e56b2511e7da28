"""The aten ops of the dispatcher: their schemas, parsed when asked for, and which of them stable code can call."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from torch_stabilize.source.types import INTEGERS, CppType
from torch_stabilize.surface import schema
from torch_stabilize.surface.entry import TableError
from torch_stabilize.surface.numbers import is_supported
from torch_stabilize.surface.schema import SchemaError, parse_schema

TABLE = Path(__file__).with_name("tables") / "aten.json"

# Types of a schema that torch_call_dispatcher cannot marshal. A generator may be left out where it is optional.
UNCALLABLE = frozenset({"Scalar", "Storage", "Stream", "QScheme", "Dict", "Any", "Generator"})

_SIZED = re.compile(r"\[\d+\]")


class Argument(NamedTuple):
    """One argument of a schema. `type` has no alias annotation and no length: "Tensor", "int[]?", "ScalarType?"."""

    name: str
    type: str
    default: str | None  # as the schema writes it; None where the argument is required
    keyword_only: bool = False
    is_written: bool = False  # marked (a!)
    length: int = 0  # of "int[2]", which takes one int for all

    @property
    def is_out(self) -> bool:
        """Whether this is an output the caller brings along."""
        return self.keyword_only and self.is_written


class Op(NamedTuple):
    """One overload of an aten op."""

    name: str
    overload: str
    arguments: tuple[Argument, ...]
    returns: tuple[str, ...]
    is_method: bool
    is_function: bool
    aliases: bool = False  # a result may be a view of an argument

    @property
    def qualified(self) -> str:
        """ "slice.Tensor", or "expand" where the overload has no name."""
        return f"{self.name}.{self.overload}" if self.overload else self.name

    @property
    def is_out(self) -> bool:
        """Whether this is an out variant, which C++ calls `name_out`."""
        return any(argument.is_out for argument in self.arguments)

    @property
    def cpp_name(self) -> str:
        """What C++ calls it: "sum", or "sum_out" for its out variants."""
        return f"{self.name}_out" if self.is_out else self.name

    @property
    def obstacles(self) -> tuple[str, ...]:
        """The arguments and results that keep it from being called, as "Scalar alpha"; empty where it can be.

        A number is no obstacle where `numbers.py` knows another way.
        """
        if is_supported(self.qualified):
            return ()
        found = [f"{a.type} {a.name}" for a in self.arguments if not _passable(a)]
        return (*found, *(f"result {kind}" for kind in self.returns if not _marshalled(kind)))


def base_type(text: str) -> str:
    """The type without lists and optionals: "Tensor[]?" is "Tensor"."""
    return text.replace("?", "").replace("[]", "").partition("(")[0]


def _marshalled(text: str) -> bool:
    kind = base_type(text)
    return kind not in UNCALLABLE and "." not in kind  # a dot: a class of TorchScript


def _passable(argument: Argument) -> bool:
    return _marshalled(argument.type) or (argument.type == "Generator?" and argument.default == "None")


@functools.cache
def _rows() -> dict[str, dict[str, tuple[str, str]]]:
    ops: dict[str, dict[str, tuple[str, str]]] = {}
    for op, overload, variants, signature in json.loads(TABLE.read_text(encoding="utf-8"))["ops"]:
        ops.setdefault(op, {})[overload] = (variants, signature)
    return ops


def op_names() -> tuple[str, ...]:
    """The names of all aten ops."""
    return tuple(_rows())


@functools.cache
def find_op(name: str, overload: str = "") -> Op:
    """One overload of an op: `find_op("slice", "Tensor")`. Raises TableError where torch has none of that name."""
    try:
        variants, signature = _rows()[name][overload]
    except KeyError:
        raise TableError(f"torch has no op aten::{name}{'.' if overload else ''}{overload}") from None
    arguments, returns = parse_signature(signature)
    return Op(name, overload, arguments, returns, "m" in variants, "f" in variants, _gives_view(signature))


def _gives_view(signature: str) -> bool:
    return re.search(r"\((?!a!)[a-z]", signature.rpartition("->")[2]) is not None


@functools.cache
def overloads(cpp_name: str) -> tuple[Op, ...]:
    """Every overload of what C++ calls `cpp_name` ("sum", "sum_out"), named dimensions left out; empty if unknown.

    The stable surface has no SymInt: "expand_symint" is "expand".
    """
    if cpp_name.endswith("_symint"):
        return overloads(cpp_name.removesuffix("_symint"))
    base, is_out = (cpp_name[:-4], True) if cpp_name.endswith("_out") else (cpp_name, False)
    if cpp_name in _rows():
        base, is_out = cpp_name, False
    found = (find_op(base, overload) for overload in _rows().get(base, ()) if "imname" not in overload)
    return tuple(op for op in found if op.is_out == is_out and op.overload not in ("names", "generator_with_names"))


def parse_signature(signature: str) -> tuple[tuple[Argument, ...], tuple[str, ...]]:
    """Arguments and result types of "(Tensor self, *, bool x=False) -> Tensor". Raises TableError."""
    try:
        read = parse_schema(f"_{signature}")
    except SchemaError as error:
        raise TableError(f"not a schema: {signature} ({error})") from None
    return tuple(map(_argument, read.arguments)), tuple(_plain(value.type) for value in read.returns)


def _argument(read: schema.Argument) -> Argument:
    kind = read.type.inner[0] if read.type.form == "optional" else read.type
    return Argument(
        read.name,
        _plain(read.type),
        read.default or None,
        read.keyword_only,
        read.type.is_written,
        int(kind.size) if kind.size else 0,
    )


def _plain(kind: schema.Type) -> str:
    """A type without annotations and lengths, symbolic numbers as plain ones: "SymInt[2]" is "int[]"."""
    text = _SIZED.sub("[]", str(kind.bare))
    return text.replace("SymInt", "int").replace("SymBool", "bool").replace("SymFloat", "float")


# What an argument of each schema type takes, best first; "list" is a braced list in the source.
_TAKES = {
    "Tensor": ("Tensor",),
    "Tensor?": ("Tensor", "optional<Tensor>", "nullopt"),
    "Tensor[]": ("vector<Tensor>", "list"),
    "Tensor?[]": ("vector<optional<Tensor>>", "list"),
    "int": ("int64_t", "number"),
    "int?": ("int64_t", "number", "optional<int64_t>", "nullopt"),
    "int[]": ("IntArrayRef", "vector<int64_t>", "list"),
    "int[]?": ("IntArrayRef", "vector<int64_t>", "list", "optional<IntArrayRef>", "nullopt"),
    "float": ("double", "int64_t", "number"),
    "float?": ("double", "int64_t", "number", "optional<double>", "nullopt"),
    "Scalar": ("double", "int64_t", "bool", "number", "Scalar"),
    "Scalar?": ("double", "int64_t", "number", "optional<double>", "Scalar", "nullopt"),
    "bool": ("bool", "int64_t"),
    "bool?": ("bool", "optional<bool>", "nullopt"),
    "str": ("string",),
    "str?": ("string", "optional<string>", "nullopt"),
    "ScalarType": ("ScalarType",),
    "ScalarType?": ("ScalarType", "optional<ScalarType>", "nullopt"),
    "Layout?": ("Layout", "nullopt"),
    "Device?": ("Device", "DeviceType", "nullopt"),
    "MemoryFormat?": ("MemoryFormat", "nullopt"),
}


def schema_kind(kind: CppType) -> str:
    """A C++ type in the words of `choose`; empty where it is not known."""
    if kind.pointers:
        return "string" if kind.name == "char" else ""
    if kind.name in INTEGERS:
        return "int64_t"
    if kind.name == "float":
        return "double"
    if kind.name in ("scalar_t", "opmath_t", "acc_t", "accscalar_t"):
        return "number"  # what dispatch macros and templates commonly call one, whole or not
    if kind.name == "tuple":
        return "tuple"
    if kind.name == "OptionalIntArrayRef":
        return "optional<IntArrayRef>"
    if kind.name in ("vector", "optional") and kind.inner is not None:
        return f"{kind.name}<{kind.inner.name}>"
    return kind.name if kind.name != "auto" else ""


def choose(cpp_name: str, given: Sequence[str], *, method: bool = False) -> Op | None:
    """The overload C++ would take for these argument types, the receiver of a method first; None where none fits.

    `given` has a type per argument ("Tensor", "int64_t", "double", "number" for one of the two, "bool", "IntArrayRef",
    "vector<Tensor>", "list" for a braced list, "ScalarType", "string", "nullopt"), or "" where it is not known, which
    fits everything. The overload may be one that cannot be called: see its `obstacles`.
    """
    return next(iter(fitting(cpp_name, given, method=method)), None)


def fitting(cpp_name: str, given: Sequence[str], *, method: bool = False) -> tuple[Op, ...]:
    """Every overload that these argument types fit, the one C++ would take first."""
    found: list[tuple[tuple[int, int, int, int], int, Op]] = []
    for number, op in enumerate(overloads(cpp_name)):
        if len(given) == 2 and given[1] == "int64_t" and op.name in DIMENSION_FIRST and not op.overload:
            continue
        cost = _cost(call_arguments(op, method=method), given) if op.is_method or not method else None
        if cost is not None:
            found.append(((cost, len(op.obstacles), len(op.arguments), len(op.overload)), number, op))
    return tuple(op for _, _, op in sorted(found))


def undecided(cpp_name: str, given: Sequence[str], *, method: bool = False) -> tuple[Op, ...]:
    """The best overload for each type that the arguments of unknown type may be of; one where that says nothing."""
    unknown = [place for place, kind in enumerate(given) if not kind]
    best: dict[tuple[str, ...], Op] = {}
    for op in fitting(cpp_name, given, method=method):
        arguments = call_arguments(op, method=method)
        best.setdefault(tuple(base_type(arguments[place].type) for place in unknown), op)
    return tuple(best.values())


# Arguments that have a default in Python alone: without them C++ means another overload. native_functions.yaml has them
# as cpp_no_default_args.
_NO_DEFAULTS = {
    **dict.fromkeys(("clamp", "clamp_", "clamp.out", "clip", "clip_", "clip.out"), ("min",)),
    **dict.fromkeys(("all.dims", "all.dims_out", "any.dims", "any.dims_out"), ("dim",)),
    **dict.fromkeys(("conv1d.padding", "conv2d.padding", "conv3d.padding"), ("bias", "stride", "padding")),
    **dict.fromkeys(("linalg_pinv.atol_rtol_float", "linalg_pinv.atol_rtol_float_out"), ("atol", "rtol")),
    **dict.fromkeys(("linalg_matrix_rank.atol_rtol_float", "linalg_matrix_rank.atol_rtol_float_out"), ("atol", "rtol")),
    "arange.start_step": ("step",),
}


# ATen writes out `var(x, int dim)` and its kin: a lone integer is a dimension, and no bool.
DIMENSION_FIRST = frozenset({"var", "std", "var_mean", "std_mean"})


def cpp_arguments(op: Op) -> tuple[Argument, ...]:
    """The arguments in the order of C++: outputs first, a generator nobody can pass left out, defaults as in C++."""
    required = _NO_DEFAULTS.get(op.qualified, ())
    given = (a._replace(default=None) if a.name in required else a for a in op.arguments)
    kept = [argument for argument in given if argument.type != "Generator?"]
    return (*(a for a in kept if a.is_out), *(a for a in kept if not a.is_out))


def call_arguments(op: Op, *, method: bool) -> tuple[Argument, ...]:
    """The arguments as a call gives them: the receiver of a method first, wherever the op has it."""
    arguments = cpp_arguments(op)
    if not method:
        return arguments
    return (*(a for a in arguments if a.name == "self"), *(a for a in arguments if a.name != "self"))


def _cost(arguments: Sequence[Argument], given: Sequence[str]) -> int | None:
    if len(given) > len(arguments) or any(a.default is None for a in arguments[len(given) :]):
        return None
    cost = 0
    for argument, kind in zip(arguments, given, strict=False):
        if not kind:
            continue
        takes = _TAKES.get(argument.type, ())
        if argument.type.startswith("int[]") and kind == "int64_t":
            takes = (*takes, "int64_t")  # an IntArrayRef can be made of one number
        if kind not in takes:
            return None
        cost += takes.index(kind)
        # A number is a number before it is an optional one: repeat_interleave(x, n) is that of self_int.
        cost += argument.type.endswith("?") and not kind.startswith(("optional", "nullopt"))
    return cost
