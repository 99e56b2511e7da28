"""The schema that a C++ signature implies, where a registration leaves it to torch to infer one."""

from __future__ import annotations

import re
import string
from collections.abc import Collection, Mapping, Sequence

from torch_stabilize.bindings.reading.model import PythonArgument
from torch_stabilize.bindings.schemas.defaults import schema_default
from torch_stabilize.bindings.schemas.faults import RESERVED, default_fault
from torch_stabilize.source.aliases import read_aliases
from torch_stabilize.source.conditions import read_directives
from torch_stabilize.source.document import Document, per_document
from torch_stabilize.source.parameters import Parameter
from torch_stabilize.source.signatures import Function
from torch_stabilize.source.types import INTEGERS, CppType, parse_type
from torch_stabilize.surface.schema import Argument, Schema, Type

_BASE = {
    "Tensor": "Tensor", "int64_t": "int", "double": "float", "bool": "bool", "string": "str", "Scalar": "Scalar",
    "ScalarType": "ScalarType", "Dtype": "ScalarType", "Device": "Device", "Layout": "Layout",
    "MemoryFormat": "MemoryFormat", "Generator": "Generator", "Stream": "Stream", "Storage": "Storage",
    "QScheme": "QScheme", "Dimname": "Dimname",
}  # fmt: skip
# Types that torch's own inference refuses but pybind takes: the schema has the wider type, an adapter narrows.
_WIDER = {**dict.fromkeys(INTEGERS - {"int64_t"}, "int"), "float": "float"}
_LISTS = frozenset({"vector", "ArrayRef", "IntArrayRef", "TensorList", "List", "HeaderOnlyArrayRef"})
_TYPE = {name: Type("base", base) for name, base in (*_BASE.items(), *_WIDER.items())}
_NAME = re.compile(r"(?<![\w:])((?:\w+::)*)(\w+)(?!\s*::)")
_TYPE_MACRO = re.compile(r"(\w+)\s+((?:\w+::)*\w+_t)")
_FOREIGN = ("std::", "torch::", "at::", "c10::")  # whose types no alias of the project represents


def type_aliases(documents: Sequence[Document]) -> dict[str, str]:
    """The type aliases that `documents` declare: `using fptr_t = int64_t;` gives {"fptr_t": "int64_t"}."""
    found: dict[str, str] = {}
    for document in documents:
        for name, text in _aliases_of(document):
            found.setdefault(name, text)
    return found


@per_document
def _aliases_of(document: Document) -> tuple[tuple[str, str], ...]:
    defined = (_TYPE_MACRO.fullmatch(one.argument) for one in read_directives(document) if one.kind == "define")
    return (
        *((alias.name, alias.type_text) for alias in read_aliases(document)),
        *((define[1], define[2]) for define in defined if define),
    )


def unaliased(text: str, aliases: Mapping[str, str]) -> str:
    """`text` with every alias replaced by what it represents."""
    for _ in range(4):
        changed = _NAME.sub(lambda name: aliases.get(name[2], name[0]) if name[1] not in _FOREIGN else name[0], text)
        if changed == text:
            break
        text = changed
    return text


def schema_type(kind: CppType) -> Type | None:
    """The schema type of a C++ type, or None where there is none."""
    if kind.name == "char" and kind.pointers == 1:
        return Type("base", "str")
    if kind.pointers:
        return None
    if kind.name == "optional" and kind.arguments:
        inner = schema_type(kind.arguments[0])
        return Type("optional", inner=(inner,)) if inner else None
    if kind.name == "OptionalIntArrayRef":
        return Type("optional", inner=(Type("list", inner=(_TYPE["int64_t"],)),))
    if kind.name == "OptionalArrayRef" and kind.arguments:
        inner = schema_type(kind.arguments[0])
        return Type("optional", inner=(Type("list", inner=(inner,)),)) if inner else None
    if kind.name in _LISTS and kind.inner is not None:
        inner = schema_type(kind.inner)
        return Type("list", inner=(inner,)) if inner else None
    if kind.name == "array" and len(kind.arguments) == 2:
        inner = schema_type(kind.arguments[0])
        return Type("list", inner=(inner,), size=kind.arguments[1].name) if inner else None
    if kind.name == "tuple" and kind.arguments:
        parts = [schema_type(argument) for argument in kind.arguments]
        known = tuple(part for part in parts if part is not None)
        return Type("tuple", inner=known) if len(known) == len(parts) else None
    return _TYPE.get(kind.name)


def read_type(text: str, aliases: Mapping[str, str]) -> Type | None:
    """The schema type of a type as written."""
    plain = unaliased(text, aliases)
    if re.search(r"\bSymInt\b", plain):
        found = schema_type(parse_type(re.sub(r"\bSymInt\b", "int64_t", plain)))
        return _renamed(found, "int", "SymInt") if found else None
    sized = re.search(r"\barray\s*<\s*(?P<of>.+?)\s*,\s*(?P<size>\d+)\s*>", plain)
    if sized:
        inner = read_type(sized["of"], {})
        return Type("list", inner=(inner,), size=sized["size"]) if inner else None
    return schema_type(parse_type(plain))


def _renamed(kind: Type, old: str, new: str) -> Type:
    inner = tuple(_renamed(part, old, new) for part in kind.inner)
    return kind._replace(name=new if kind.name == old else kind.name, inner=inner)


def infer_schema(
    name: str,
    overload: str,
    function: Function,
    aliases: Mapping[str, str],
    *,
    written: frozenset[str] = frozenset(),
    returned: Sequence[str] = (),
    defaults: Mapping[str, str] | None = None,
    python_arguments: Sequence[PythonArgument] = (),
) -> tuple[Schema | None, str]:
    """The schema of `function` under `name`, or None and the reason why there is none.

    `written` are the parameters that the function writes to, `returned` those that it gives back, one for each value
    ("" for a value of its own), `defaults` the defaults of its declaration by parameter,
    `python_arguments` what pybind calls them.
    """
    arguments: list[Argument] = []
    taken: set[str] = set()
    both = [
        p for p in function.parameters if p.name in written and returned.count(p.name) == 1 and _is_tensor(p, aliases)
    ]
    labels = {parameter.name: letter for parameter, letter in zip(both, string.ascii_lowercase, strict=False)}
    for index, parameter in enumerate(function.parameters):
        kind = read_type(parameter.type_text, aliases)
        if kind is None or _holds_tuple(stable_type(kind)):
            return None, f"`{parameter.type_text}` has no schema type"
        python = python_arguments[index] if index < len(python_arguments) else None
        default = (python.default if python else "") or parameter.default or (defaults or {}).get(parameter.name, "")
        value = schema_default(default, kind)
        if value is None and not (python and python.default):
            value = ""  # nobody who calls a registered function sees the defaults of its declaration
        if value is None:
            return None, f"the default `{default}` has no schema form"
        if parameter.name in written:
            kind = _aliased(kind, labels[parameter.name]) if parameter.name in labels else mark_written(kind)
        label = _free_name((python.name if python else "") or parameter.name.strip("_"), index, taken)
        taken.add(label)
        argument = Argument(stable_type(kind), label, value, keyword_only=bool(python and python.keyword_only))
        if fault := default_fault(argument):
            return None, fault
        arguments.append(argument)
    returns, reason = _returns(function.return_type, aliases)
    if returns is None:
        return None, reason
    if len(returned) == len(returns):
        returns = tuple(
            value._replace(type=_aliased(value.type, labels[name])) if name in labels else value
            for value, name in zip(returns, returned, strict=True)
        )
    return Schema(name, overload, tuple(arguments), returns), ""


def _free_name(name: str, index: int, taken: Collection[str]) -> str:
    """`name` as an argument may be called: no keyword of schemas, and once."""
    if name in RESERVED:
        name += "_"
    return f"arg{index}" if not name or name in taken else name


def _returns(text: str, aliases: Mapping[str, str]) -> tuple[tuple[Argument, ...] | None, str]:
    if text == "void":
        return (), ""
    kind = read_type(text, aliases)
    parts = () if kind is None else kind.inner if kind.form == "tuple" else (kind,)
    if not parts or any(map(_holds_tuple, parts)):
        return None, f"the return type `{text}` has no schema type"
    return tuple(map(Argument, parts)), ""


def mark_written(kind: Type) -> Type:
    """`kind` with its tensors marked as written to: `Tensor!`, `Tensor!?`, `Tensor![]`."""
    if kind.form == "base":
        return kind._replace(alias="!")
    return kind._replace(inner=tuple(mark_written(part) for part in kind.inner))


def _is_tensor(parameter: Parameter, aliases: Mapping[str, str]) -> bool:
    return read_type(parameter.type_text, aliases) == _TYPE["Tensor"]


def _aliased(kind: Type, label: str) -> Type:
    """A tensor that is written to, and that another value of the schema with this label is: `Tensor(a!)`."""
    return kind._replace(alias=f"{label}!") if kind.form == "base" else kind


def stable_type(kind: Type) -> Type:
    """`kind` as the stable boxing can take it: an argument that is a tuple of one type becomes a list of it."""
    if kind.form == "tuple" and len({str(part) for part in kind.inner}) == 1:
        return Type("list", inner=kind.inner[:1], alias=kind.alias)
    if kind.form == "optional":
        return kind._replace(inner=tuple(map(stable_type, kind.inner)))
    return kind  # the elements of a list cannot be converted one by one


def _holds_tuple(kind: Type) -> bool:
    """Whether boxing would have to take a tuple apart: one of different types, or one in a list."""
    return kind.form == "tuple" or any(map(_holds_tuple, kind.inner))


def stable_schema(schema: Schema) -> Schema:
    """`schema` with the argument types that stable boxing can take."""
    arguments = tuple(argument._replace(type=stable_type(argument.type)) for argument in schema.arguments)
    return schema._replace(arguments=arguments)
