"""A Python fake kernel to start from, for an operator whose fake was a C++ meta kernel."""

from __future__ import annotations

import keyword
from collections.abc import Sequence

from torch_stabilize.surface.schema import Argument, Schema, Type

_PYTHON = {
    "Tensor": "torch.Tensor", "int": "int", "SymInt": "int", "float": "float", "bool": "bool", "SymBool": "bool",
    "str": "str", "ScalarType": "torch.dtype", "Device": "torch.device", "Layout": "torch.layout",
    "MemoryFormat": "torch.memory_format", "Generator": "torch.Generator", "Scalar": "float", "number": "float",
}  # fmt: skip
_LINE = 100
_DTYPES = {"long": "int64", "double": "float64", "half": "float16"}


def fake_stub(namespace: str, schema: Schema) -> str:
    """`torch.library.register_fake` for `schema`, of whose kernel nothing is known.

    What an operator without results needs is complete; a result's shape and dtype are those of the first tensor, which
    is then said.
    """
    return fake_kernel(namespace, schema, _body(schema))


def fake_kernel(namespace: str, schema: Schema, body: Sequence[str]) -> str:
    """`torch.library.register_fake` for `schema` with these statements."""
    return f'@torch.library.register_fake("{namespace}::{schema.full_name}")\n{python_function(schema, body)}'


def python_function(schema: Schema, body: Sequence[str]) -> str:
    """A function with the arguments and the defaults of `schema` and these statements.

    Python gets no argument that is what it would be by default.
    """
    parameters = []
    for argument in schema.arguments:
        if argument.keyword_only and "*" not in parameters:
            parameters.append("*")
        parameters.append(_parameter(argument))
    head = f"def _({', '.join(parameters)}) -> {_returns(schema)}:"
    if len(head) > _LINE:
        lines = "".join(f"    {parameter},\n" for parameter in parameters)
        head = f"def _(\n{lines}) -> {_returns(schema)}:"
    statements = "\n".join(f"    {line}" for line in body)
    return f"{head}\n{statements}\n"


def python_type(kind: Type) -> str:
    """The annotation for a schema type."""
    if kind.form == "optional":
        return f"{python_type(kind.inner[0])} | None"
    if kind.form == "list":
        return f"list[{python_type(kind.inner[0])}]"
    if kind.form == "tuple":
        return f"tuple[{', '.join(map(python_type, kind.inner))}]"
    return _PYTHON.get(kind.name, "object")


def _parameter(argument: Argument) -> str:
    text = f"{argument_name(argument)}: {python_type(argument.type)}"
    return f"{text} = {_default(argument)}" if argument.default else text


def _default(argument: Argument) -> str:
    """The default in Python: dtypes are named, and the rest is written as in a schema."""
    if argument.type.leaf == "ScalarType" and argument.default.isidentifier() and argument.default != "None":
        return f"torch.{_DTYPES.get(argument.default, argument.default)}"
    if argument.type.form == "list" and not argument.default.startswith("["):
        return f"[{argument.default}]"
    return argument.default


def argument_name(argument: Argument) -> str:
    """What Python calls it."""
    return f"{argument.name}_" if keyword.iskeyword(argument.name) else argument.name


def _returns(schema: Schema) -> str:
    kinds = [python_type(value.type) for value in schema.returns]
    if not kinds:
        return "None"
    return kinds[0] if len(kinds) == 1 else f"tuple[{', '.join(kinds)}]"


def _body(schema: Schema) -> list[str]:
    if not schema.returns:
        return ["return None"]
    tensor = next((a for a in schema.arguments if a.type.form == "base" and a.type.name == "Tensor"), None)
    if tensor is None or any(value.type.leaf != "Tensor" for value in schema.returns):
        return ['raise NotImplementedError("describe the result from the arguments")']
    values = [f"torch.empty_like({argument_name(tensor)})" for _ in schema.returns]
    note = "# The shape and dtype of the result are those of the first tensor: adjust them."
    return [note, f"return {', '.join(values)}"]
