"""Drafts of golden cases, from what schemas, checks and dispatch macros of a group say of its arguments.

A draft is a start for people: sizes are guesses that agree with each other where the code compares them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from torch_stabilize.source.document import Document
from torch_stabilize.source.function_index import FunctionIndex
from torch_stabilize.source.signatures import Function
from torch_stabilize.surface.schema import Argument, Schema, SchemaError, parse_schema

_DEEPEST = 3  # calls that an argument is followed through
_DTYPES = {
    "float": "float32", "double": "float64", "int": "int32", "int32_t": "int32", "int64_t": "int64", "long": "int64",
    "int8_t": "int8", "uint8_t": "uint8", "int16_t": "int16", "bool": "bool", "Half": "float16",
    "BFloat16": "bfloat16", "kFloat": "float32", "kDouble": "float64", "kHalf": "float16", "kBFloat16": "bfloat16",
    "kInt": "int32", "kInt32": "int32", "kLong": "int64", "kInt64": "int64", "kChar": "int8", "kByte": "uint8",
    "kBool": "bool", "kFloat32": "float32", "kFloat64": "float64", "kFloat16": "float16", "Float": "float32",
    "Double": "float64", "Int": "int32", "Long": "int64", "Char": "int8", "Byte": "uint8", "Bool": "bool",
}  # fmt: skip
_FLOATING = ("float32", "float64")
_INTEGRAL = ("int32", "int64")
_DISPATCH = re.compile(
    r"\bAT_DISPATCH_(?P<what>\w+)\s*\((?P<rest>[^;{]*?)(?P<tensor>\w+)\.(?:scalar_type|dtype|type)\(\)"
)
_SIZE = r"(?P<{0}>\w+)\.(?:size\((?P<{0}_dim>\d+)\)|sizes\(\)\[(?P<{0}_at>\d+)\])"
_SAME_SIZE = re.compile(_SIZE.format("a") + r"\s*(?:==|,)\s*" + _SIZE.format("b"))
_ANY_SIZE = re.compile(_SIZE.format("a"))
_RANK = re.compile(r"(\w+)\.(?:dim|ndimension)\(\)\s*(?:==|,)\s*(\d+)")
_ACCESSOR = re.compile(r"(\w+)\.(?:packed_)?accessor(?:32|64)?\s*<\s*(?:at::|c10::|torch::)?(\w+)\s*,\s*(\d+)")
_POINTER = re.compile(r"(\w+)(?:\.|->)(?:mutable_|const_)?data_ptr\s*<\s*(?:const\s+)?(?:at::|c10::|torch::)?(\w+)\s*>")
_DTYPE = re.compile(r"(\w+)\.(?:scalar_type|dtype)\(\)\s*(?:==|,)\s*(?:\w+::)*(\w+)")
_SAME = re.compile(r"(\w+)\.sizes\(\)\s*(?:==|,)\s*(\w+)\.sizes\(\)")
_CUDA = re.compile(r"(?<!!)\b(\w+)\.(?:device\(\)\.)?is_cuda\(\)")
_CALL = re.compile(r"\b(\w+)\s*\(([^()]*)\)")


@dataclass
class Facts:
    """What the code says of one tensor argument."""

    rank: int = 0
    at_least: int = 0  # the rank that its sizes are asked for
    dtypes: tuple[str, ...] = ()
    like: str = ""  # the argument whose sizes it has


@dataclass
class Read:
    """What the code says of all arguments of one operator; sizes that are the same by (argument, dimension)."""

    facts: dict[str, Facts] = field(default_factory=dict)
    same: dict[tuple[str, int], tuple[str, int]] = field(default_factory=dict)
    cuda_only: bool = False

    def of(self, name: str) -> Facts:
        """The facts of one argument."""
        return self.facts.setdefault(name, Facts())

    def root(self, place: tuple[str, int]) -> tuple[str, int]:
        """The size that this one is the same as."""
        while place in self.same:
            place = self.same[place]
        return place


class Subject(NamedTuple):
    """An operator to draft cases for: its schema as text, and its C++ functions with the files that they stand in."""

    schema: str
    functions: tuple[tuple[Document, Function], ...]


def draft_cases(group: str, namespace: str, subjects: Iterable[Subject], index: FunctionIndex) -> str:
    """A cases.toml for `subjects`, as text."""
    parts = [
        "# Drafts, from schemas and checks: look at each shape and range, then `torch-stabilize golden record`.",
        f'group = "{group}"',
        f'library = "{namespace}"',
    ]
    for subject in subjects:
        try:
            schema = parse_schema(subject.schema)
        except SchemaError:
            parts.append(f"\n# {subject.schema}: its schema cannot be read")
            continue
        read = Read()
        for document, function in subject.functions:
            names = {
                parameter.name: argument.name
                for parameter, argument in zip(function.parameters, schema.arguments, strict=False)
                if "Tensor" in str(argument.type)
            }
            _read_body(document, function, names, read, index, _DEEPEST)
        parts += ["", *_cases(schema, subject.schema, read)]
    return "\n".join(parts) + "\n"


def _read_body(
    document: Document, function: Function, names: Mapping[str, str], read: Read, index: FunctionIndex, depth: int
) -> None:
    """Add what the body of `function` says; `names` are its parameters by the arguments that they are."""
    if function.body is None:
        return
    text = document.code[function.body.start : function.body.end].decode("utf-8", "replace")
    _read_ranks(text, names, read)
    _read_dtypes(text, names, read)
    for found in _SAME_SIZE.finditer(text):
        first, second = _place(found, "a", names), _place(found, "b", names)
        if first and second and read.root(first) != read.root(second):
            read.same[read.root(second)] = read.root(first)
    for found in _SAME.finditer(text):
        if found[1] in names and found[2] in names and found[1] != found[2]:
            read.of(names[found[2]]).like = names[found[1]]
    if "is_cpu" not in text and "is_cuda()" in text and "#ifdef" not in text and " else" not in text:
        read.cuda_only = read.cuda_only or any(found[1] in names for found in _CUDA.finditer(text))
    if depth:
        for inner, passed in _calls(text, names, index):
            _read_body(*inner, passed, read, index, depth - 1)


def _read_ranks(text: str, names: Mapping[str, str], read: Read) -> None:
    for found in _RANK.finditer(text):
        if found[1] in names:
            read.of(names[found[1]]).rank = int(found[2])
    for found in _ANY_SIZE.finditer(text):
        place = _place(found, "a", names)
        if place:
            facts = read.of(place[0])
            facts.at_least = max(facts.at_least, place[1] + 1)


def _read_dtypes(text: str, names: Mapping[str, str], read: Read) -> None:
    for found in _ACCESSOR.finditer(text):
        if found[1] in names:
            facts = read.of(names[found[1]])
            facts.rank = int(found[3])
            facts.dtypes = facts.dtypes or _known(found[2])
    for found in (*_POINTER.finditer(text), *_DTYPE.finditer(text)):
        if found[1] in names:
            facts = read.of(names[found[1]])
            facts.dtypes = facts.dtypes or _known(found[2])
    for found in _DISPATCH.finditer(text):
        if found["tensor"] in names:
            read.of(names[found["tensor"]]).dtypes = _dispatched(found["what"], found["rest"])


def _calls(
    text: str, names: Mapping[str, str], index: FunctionIndex
) -> Iterator[tuple[tuple[Document, Function], dict[str, str]]]:
    """The project's functions that are called with one of the arguments."""
    for call in _CALL.finditer(text):
        given = [part.strip() for part in call[2].split(",")]
        if not any(part in names for part in given):
            continue
        for document, function in index.named(call[1]):
            if function.body is not None:
                passed = {
                    parameter.name: names[part]
                    for parameter, part in zip(function.parameters, given, strict=False)
                    if part in names
                }
                yield (document, function), passed


def _place(found: re.Match[str], group: str, names: Mapping[str, str]) -> tuple[str, int] | None:
    if found[group] not in names:
        return None
    return names[found[group]], int(found[f"{group}_dim"] or found[f"{group}_at"])


def _known(text: str) -> tuple[str, ...]:
    return (_DTYPES[text],) if text in _DTYPES else ()


def _dispatched(what: str, rest: str) -> tuple[str, ...]:
    found: tuple[str, ...] = ()
    if "FLOATING" in what or "ALL_TYPES" in what or "REDUCED" in what:
        found += _FLOATING
    if "INTEGRAL" in what or "ALL_TYPES" in what:
        found += _INTEGRAL
    named = f"{what} {rest}".upper()
    found += tuple(dtype for word, dtype in (("HALF", "float16"), ("BFLOAT16", "bfloat16")) if word in named)
    return found or _FLOATING


def _cases(schema: Schema, text: str, read: Read) -> Iterator[str]:
    tensors = [one for one in schema.arguments if one.type.leaf == "Tensor"]
    swept = next((read.of(one.name).dtypes for one in tensors if len(read.of(one.name).dtypes) > 1), ())
    names = _size_names(tensors, read)
    optional = [one.name for one in schema.arguments if one.type.form == "optional"]
    plain = schema.name.rpartition("::")[2]
    for without in ((), optional) if optional else ((),):
        yield from [f"# {text}", "[[case]]"]
        yield f'op = "{plain}"'
        if schema.overload:
            yield f'overload = "{schema.overload}"'
        if without:
            yield f'id = "{plain}-without"'
        yield f"devices = {_listed(('cuda',) if read.cuda_only else ('cpu',))}"
        if swept:
            yield f"dtypes = {_listed(swept)}"
        used = sorted(set(names.values()))
        if used:
            sweep = [dict(zip(used, sizes, strict=False)) for sizes in _sizes(len(used))]
            yield f"sweep = [{', '.join(_table(one) for one in sweep)}]"
        yield "args = ["
        for argument in schema.arguments:
            if not argument.keyword_only:
                yield f"  {_value(argument, read, names, swept, argument.name in without)},  # {argument.name}"
        yield "]"
        named = [one for one in schema.arguments if one.keyword_only]
        if named:
            values = (f"{one.name} = {_value(one, read, names, swept, one.name in without)}" for one in named)
            yield f"kwargs = {{{', '.join(values)}}}"
        yield ""


def _size_names(tensors: Sequence[Argument], read: Read) -> dict[tuple[str, int], str]:
    """A name for every size: the same for those that the code compares, by dimension for all others.

    A call with sizes that do not agree shows little, and reads beyond tensors where nothing checks them.
    """
    compared = {read.root(place) for place in read.same}
    names: dict[tuple[str, int], str] = {}
    found: dict[tuple[str, int], str] = {}
    for argument in tensors:
        like = read.of(argument.name).like or argument.name
        for dimension in range(_rank_of(like, read)):
            root = read.root((like, dimension))
            if root in compared:
                names.setdefault(root, f"m{len(names)}")
            found[argument.name, dimension] = names.get(root, f"n{dimension}")
    return found


def _rank_of(name: str, read: Read) -> int:
    facts = read.of(name)
    return facts.rank or facts.at_least or 2


def _sizes(count: int) -> tuple[list[int], ...]:
    """Odd and even sizes, one of each, and none: what vector loads and tails of loops differ by."""
    return ([7, 16, 5, 8, 3, 2] * count, [1] * count, [8, 33, 4, 6, 2, 9] * count)


def _value(
    argument: Argument, read: Read, names: Mapping[tuple[str, int], str], swept: tuple[str, ...], without: bool
) -> str:
    kind = argument.type
    if without:
        return "{none = true}"
    if kind.form == "list" and kind.leaf != "Tensor":
        return {"int": "{ints = [1, 1]}", "SymInt": "{ints = [1, 1]}", "float": "{floats = [1.0]}"}.get(
            kind.leaf, "{bools = [true]}"
        )
    if kind.leaf == "Tensor":
        tensor = _tensor(argument.name, read, names, swept)
        return f"{{list = [{tensor}, {tensor}]}}" if kind.form == "list" else tensor
    if argument.default and argument.default != "None" and kind.leaf in _KINDS:
        return f"{{{_KINDS[kind.leaf]} = {argument.default.lower()}}}"
    return _PLAIN.get(kind.leaf, "{none = true}")


_KINDS = {"int": "int", "SymInt": "int", "float": "float", "bool": "bool"}
_PLAIN = {
    "int": "{int = 1}", "SymInt": "{int = 1}", "float": "{float = 1.0}", "bool": "{bool = true}",
    "str": '{str = "auto"}', "ScalarType": '{scalar_type = "float32"}', "Device": '{device = "$device"}',
    "Scalar": "{float = 1.0}",
}  # fmt: skip


def _tensor(name: str, read: Read, names: Mapping[tuple[str, int], str], swept: tuple[str, ...]) -> str:
    facts = read.of(name)
    shape = ", ".join(f'"{names[name, place]}"' for place in range(_rank_of(facts.like or name, read)))
    dtypes = facts.dtypes or (read.of(facts.like).dtypes if facts.like else ())
    if swept and (dtypes == swept or not dtypes):
        return f"{{tensor = {{shape = [{shape}]}}}}"
    dtype = dtypes[0] if dtypes else "float32"
    limits = ", low = 0, high = 1" if dtype.startswith(("int", "uint")) else ""  # mostly indices
    return f'{{tensor = {{shape = [{shape}], dtype = "{dtype}"{limits}}}}}'


def _listed(values: Iterable[str]) -> str:
    return f"[{', '.join(f'{chr(34)}{value}{chr(34)}' for value in values)}]"


def _table(values: Mapping[str, int]) -> str:
    return f"{{{', '.join(f'{name} = {size}' for name, size in values.items())}}}"
