"""Ops that only the dispatcher has: their rows in the surface, and typed C++ wrappers made from their schemas.

A wrapper is an inline function of namespace `stable_aten` with the name and the argument order of `at::`, so that
`torch::cumsum(x, 0)` becomes `stable_aten::cumsum(x, 0)`. `stable_aten.h` holds those a repository uses.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable

from torch_stabilize.source.reach import reach
from torch_stabilize.surface.entry import Entry, TableError
from torch_stabilize.surface.numbers import NOT_OF_BOOL, STORED, TWINS, emulated, emulation, is_supported
from torch_stabilize.surface.schemas import DIMENSION_FIRST, Argument, Op, cpp_arguments, find_op, op_names, overloads
from torch_stabilize.surface.snippet import ERROR_CODES
from torch_stabilize.surface.versions import headers_have, known_versions

NAMESPACE = "stable_aten"
_RULE, _RULE_BLOCKED = "TSA130", "TSA131"
_SPACES = ("at", "torch")
_PREFIXES = ("fft", "linalg", "special")  # namespaces of torch whose functions are ops of a longer name

# Schema type -> parameter type, and the type that is handed to the dispatcher where that is another one.
_PARAMETERS = {
    "Tensor": "const torch::stable::Tensor&",
    "Tensor?": "const std::optional<torch::stable::Tensor>&",
    "Tensor[]": "const std::vector<torch::stable::Tensor>&",
    "Tensor?[]": "const std::vector<std::optional<torch::stable::Tensor>>&",
    "int": "int64_t",
    "int?": "std::optional<int64_t>",
    "int[]": "torch::headeronly::IntHeaderOnlyArrayRef",
    "int[]?": "const OptionalInts&",
    "float": "double",
    "float?": "std::optional<double>",
    "float[]": "const std::vector<double>&",
    "float[]?": "const std::optional<std::vector<double>>&",
    "bool": "bool",
    "bool?": "std::optional<bool>",
    "bool[]": "torch::headeronly::HeaderOnlyArrayRef<bool>",
    "str": "const std::string&",
    "str?": "const std::optional<std::string>&",
    "ScalarType": "torch::headeronly::ScalarType",
    "ScalarType?": "std::optional<torch::headeronly::ScalarType>",
    "Layout": "torch::headeronly::Layout",
    "Layout?": "std::optional<torch::headeronly::Layout>",
    "Device": "const torch::stable::Device&",
    "Device?": "const std::optional<torch::stable::Device>&",
    "MemoryFormat": "torch::headeronly::MemoryFormat",
    "MemoryFormat?": "std::optional<torch::headeronly::MemoryFormat>",
    "Tensor[]?": "const std::optional<std::vector<torch::stable::Tensor>>&",
    "Scalar": "Scalar",
    "Scalar?": "std::optional<Scalar>",
}
_RESULTS = {
    "Tensor": "torch::stable::Tensor",
    "Tensor[]": "std::vector<torch::stable::Tensor>",
    "int": "int64_t",
    "float": "double",
    "bool": "bool",
    "ScalarType": "torch::headeronly::ScalarType",
    "int[]": "std::vector<int64_t>",
}
_INFERRED = {"Tensor": "Tensor", "Tensor[]": "vector<Tensor>", "int": "int64_t", "float": "double", "bool": "bool"}
_CONSTANTS = {"None": "std::nullopt", "True": "true", "False": "false"}
_RESERVED = frozenset(
    {"and", "auto", "bool", "char", "default", "double", "float", "from", "int", "long", "not", "or", "std", "this"}
)


def wrapper(op: str, overload: str = "") -> str:
    """A typed C++ function that calls `aten::op.overload` through the dispatcher, defaults filled in.

    Numbers are handed over as tensors where the op has such a form; that form, and what else the text calls, is named
    by `needs`. Raises TableError for an op torch does not have, and for one that the dispatcher cannot call.
    """
    found = find_op(op, overload)
    if found.qualified in emulated():
        return emulation(found.qualified)
    if found.obstacles:
        raise TableError(f"aten::{found.qualified} cannot be called: no stable form for {', '.join(found.obstacles)}")
    parameters = _parameters(found)
    signature = f"inline {_result_type(found)} {found.cpp_name}("
    indented = ",\n    ".join(parameters)
    lines = _body_with_numbers(found) if found.qualified in TWINS else _body(found)
    body = "\n".join(f"  {line}" for line in lines)
    text = f"// aten::{found.qualified}\n{signature}\n    {indented}) {{\n{body}\n}}\n"
    return text + _of_dimension(found) if found.name in DIMENSION_FIRST and found.overload == "dim" else text


def _of_dimension(op: Op) -> str:
    """The overload that ATen has besides those of the schemas: a lone integer is a dimension."""
    return (
        f"inline {_result_type(op)} {op.cpp_name}(const torch::stable::Tensor& self, int dim) {{\n"
        f"  return {NAMESPACE}::{op.cpp_name}(self, OptionalInts(dim));\n}}\n"
    )


def render_header(ops: Iterable[str], headers: str = "") -> bytes:
    """The whole of `stable_aten.h` for these ops ("cumsum", "slice.Tensor"), sorted, each once. Raises TableError.

    Headers of torch `headers` build it; any will do where it is empty.
    """
    from torch_stabilize.templates import render

    wrappers = [wrapper_text(name) for name in _with_needs(ops)]
    checks = "" if headers and headers_have("error_code_check", headers) else ERROR_CODES
    return render("stable_aten.h.j2", namespace=NAMESPACE, wrappers=wrappers, checks=checks).encode()


def needs(qualified: str) -> tuple[str, ...]:
    """The other wrappers that the wrapper of "mul.Scalar" calls, and the classes it takes, "Scalar"."""
    if qualified in emulated():
        return emulated()[qualified]
    kinds = {argument.type for argument in find_op(*_parts(qualified)).arguments}
    classes = ("OptionalInts",) if "int[]?" in kinds else ()
    return (*classes, "Scalar", TWINS[qualified]) if qualified in TWINS else classes


def _with_needs(wanted: Iterable[str]) -> list[str]:
    """`wanted` and all it needs, what is called before what calls it.

    The order depends on nothing but what comes out: a header that has them all already is written the same again.
    """
    found = reach(wanted, needs)
    called = {other for name in found for other in needs(name)}
    ordered: dict[str, None] = {}

    def visit(name: str) -> None:
        if name not in ordered:
            for other in needs(name):
                visit(other)
            ordered[name] = None

    for name in sorted(found - called):
        visit(name)
    return list(ordered)


def wrapper_text(name: str) -> str:
    """The code for "view.dtype" in the header of wrappers, or for a class there, "Scalar"."""
    return emulation(name) if name in emulated() else wrapper(*_parts(name))


def _parts(qualified: str) -> tuple[str, str]:
    name, _, overload = qualified.partition(".")
    return name, overload


def _parameters(op: Op) -> list[str]:
    arguments = cpp_arguments(op)
    last_required = max((i for i, argument in enumerate(arguments) if argument.default is None), default=-1)
    return [_parameter(op, argument, with_default=i > last_required) for i, argument in enumerate(arguments)]


def _parameter(op: Op, argument: Argument, *, with_default: bool) -> str:
    try:
        declared = f"{_PARAMETERS[argument.type]} {_safe(argument.name)}"
    except KeyError:
        raise TableError(f"aten::{op.qualified}: no C++ type for {argument.type} {argument.name}") from None
    return f"{declared} = {_default(argument)}" if with_default and argument.default is not None else declared


def _safe(name: str) -> str:
    return f"{name}_" if name in _RESERVED else name


def _default(argument: Argument) -> str:
    text = argument.default or ""
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if text.startswith("["):
        return "{" + text[1:-1] + "}"
    if argument.type.startswith(("ScalarType", "MemoryFormat")):
        return _enumerator(argument)
    return "{" + ", ".join([text] * argument.length) + "}" if argument.length else text


def _enumerator(argument: Argument) -> str:
    """The default of an enumeration, which a schema gives as its number in libtorch."""
    kind = argument.type.rstrip("?")
    numbers = {"ScalarType": {"4": "Long", "6": "Float", "11": "Bool"}, "MemoryFormat": {"0": "Contiguous"}}
    try:
        return f"torch::headeronly::{kind}::{numbers[kind][argument.default or '']}"
    except KeyError:
        raise TableError(f"no name for the default {argument.default} of {argument.type} {argument.name}") from None


def _result_type(op: Op) -> str:
    try:
        results = [_RESULTS[kind] for kind in op.returns]
    except KeyError as error:
        raise TableError(f"aten::{op.qualified}: no C++ type for the result {error.args[0]}") from None
    if not results:
        return "void"
    return results[0] if len(results) == 1 else f"std::tuple<{', '.join(results)}>"


def _body(op: Op) -> list[str]:
    size = max(len(op.arguments), len(op.returns))
    values = [_value(argument) for argument in op.arguments]
    values += ["StableIValue{}"] * (size - len(values))
    ivalues = [f"std::array<StableIValue, {size}> ivalues{{"]
    ivalues += [f"    {value}," for value in values[:-1]] + [f"    {values[-1]}}};"]
    name, overload = f'"aten::{op.name}"', f'"{op.overload}"'
    call = [
        "STABLE_TORCH_ERROR_CODE_CHECK(torch_call_dispatcher(",
        f"    {name}, {overload}, ivalues.data(), TORCH_ABI_VERSION));",
    ]
    results = [f"torch::stable::detail::to<{_RESULTS[kind]}>(ivalues[{i}])" for i, kind in enumerate(op.returns)]
    if not results:
        return [*ivalues, *call]
    if len(results) == 1:
        return [*ivalues, *call, f"return {results[0]};"]
    given = ",\n      ".join(results)
    return [*ivalues, *call, f"return {{\n      {given}}};"]


def _body_with_numbers(op: Op) -> list[str]:
    """The same op with tensors of no dimensions for its numbers."""
    twin = find_op(*_parts(TWINS[op.qualified]))
    receiver = "self" if op.name in STORED else "tensor"
    given = [_beside(argument, receiver) for argument in cpp_arguments(op)]
    separator = ", " if sum(map(len, given)) < 50 else ",\n" + " " * 9
    call = f"return {NAMESPACE}::{twin.cpp_name}({separator.join(given)});"
    if op.name in STORED:
        return [call]
    opening, closing = f"{NAMESPACE}::with_numbers(self, [&](const torch::stable::Tensor& tensor) {{", "});"
    checks = _refusal_of_bool(op) if op.name in NOT_OF_BOOL else []
    if op.name.endswith("_"):
        return [*checks, opening, f"  {call}", closing, "return self;"]
    return [*checks, f"return {opening}", f"  {call}", closing]


def _refusal_of_bool(op: Op) -> list[str]:
    number = next(argument.name for argument in op.arguments if argument.type == "Scalar")
    return [
        f"STD_TORCH_CHECK(!({number}.is_boolean() &&",
        "                  self.scalar_type() == torch::headeronly::ScalarType::Bool),",
        f"                \"{op.name} is not implemented for 'Bool'\");",
    ]


def _beside(argument: Argument, receiver: str) -> str:
    if argument.name == "self":
        return receiver
    if argument.type == "Scalar":
        return f"{argument.name}.to_tensor({receiver})"
    if argument.type == "Scalar?":
        return f"{NAMESPACE}::to_tensor({receiver}, {argument.name})"
    return _safe(argument.name)


def _value(argument: Argument) -> str:
    if argument.type == "Generator?":
        return "torch::stable::detail::from(std::nullopt)"
    given = f"{_safe(argument.name)}.values()" if argument.type == "int[]?" else _safe(argument.name)
    return f"torch::stable::detail::from({given})"


def aten_name(spelling: str) -> str:
    """The aten op behind a method or a function: "at::cumsum" is cumsum, "torch::fft::rfftn" fft_rfftn; "" for none."""
    space, _, name = spelling.rpartition("::")
    if not space or space in _SPACES:
        return name
    outer, _, inner = space.rpartition("::")
    return f"{inner}_{name}" if outer == "torch" and inner in _PREFIXES else ""


@functools.cache
def derived_entry(kind: str, spelling: str) -> Entry | None:
    """The row of a method ("expand") or function ("at::cumsum") that only the schemas know, or None."""
    name = aten_name(spelling)
    if kind == "function" and (not name or "::" not in spelling):
        return None
    found = [op for op in overloads(name) if (op.is_method if kind == "method" else op.is_function)]
    if not found:
        return None
    callable_ = [op for op in found if not op.obstacles]
    op = min(callable_ or found, key=lambda op: (is_supported(op.qualified), len(op.arguments), len(op.overload)))
    legacy = (name,) if kind == "method" else (*(f"{space}::{name}" for space in _SPACES), spelling)
    return _entry(kind, name, tuple(dict.fromkeys(legacy)), op, bool(callable_))


def derived_entries(kind: str) -> tuple[Entry, ...]:
    """All rows of a kind, "method" or "function", that the schemas give."""
    names = dict.fromkeys(cpp_name for base in op_names() for cpp_name in (base, f"{base}_out") if overloads(cpp_name))
    rows = (derived_entry(kind, name if kind == "method" else f"at::{name}") for name in names)
    return tuple(row for row in rows if row is not None)


def result_type(op: Op) -> str:
    """What a call of `op` returns, for the inference of types: "Tensor", "tuple<Tensor,Tensor>", "void"."""
    inferred = [_INFERRED.get(result, "") for result in op.returns]
    return ("void" if not inferred else inferred[0]) if len(inferred) < 2 else f"tuple<{','.join(inferred)}>"


def _entry(kind: str, name: str, legacy: tuple[str, ...], op: Op, is_callable: bool) -> Entry:
    returns = result_type(op)
    if not is_callable:
        note = f"The dispatcher cannot pass {', '.join(op.obstacles)}: write a kernel, or call the op from Python."
        return Entry(
            f"aten.{kind}.{name}",
            kind,
            legacy,
            "none",
            rule=_RULE_BLOCKED,
            confidence="manual",
            note=note,
            returns=returns,
        )
    arguments = cpp_arguments(op)[1 if kind == "method" else 0 :]
    arity = (sum(argument.default is None for argument in arguments), len(arguments))
    return Entry(
        f"aten.{kind}.{name}",
        kind,
        legacy,
        "dispatcher",
        op.qualified,
        target=known_versions().oldest_target,
        headers=known_versions().oldest_target,
        rule=_RULE,
        note=f"Called through the dispatcher by {NAMESPACE}::{name}.",
        returns=returns,
        arity=arity,
    )
