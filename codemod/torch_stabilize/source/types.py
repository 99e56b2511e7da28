"""C++ types as far as a migration needs them: enough to tell a tensor from a string, without a compiler."""

from __future__ import annotations

import functools
import re
from typing import NamedTuple

_WORDS_AWAY = re.compile(
    r"\b(?:const|constexpr|static|inline|typename|volatile|mutable|extern|struct|class|thread_local|__restrict__|__restrict|__device__|__host__|__shared__|__constant__)\b"
)
_KNOWN = {
    "Tensor": "Tensor", "TensorBase": "Tensor", "optional": "optional", "OptionalRef": "optional",
    "TensorOptions": "TensorOptions", "ScalarType": "ScalarType", "Dtype": "ScalarType", "TypeMeta": "ScalarType",
    "Device": "Device", "DeviceType": "DeviceType", "Layout": "Layout", "MemoryFormat": "MemoryFormat",
    "IntArrayRef": "IntArrayRef", "IntHeaderOnlyArrayRef": "IntArrayRef", "SymIntArrayRef": "IntArrayRef",
    "ArrayRef": "ArrayRef", "HeaderOnlyArrayRef": "ArrayRef", "TensorList": "TensorList",
    "CUDAStream": "CUDAStream", "HIPStream": "CUDAStream", "cudaDeviceProp": "cudaDeviceProp", "Scalar": "Scalar",
    "vector": "vector", "array": "array", "tuple": "tuple", "pair": "tuple", "string": "string",
    "string_view": "string", "Half": "Half", "BFloat16": "BFloat16", "SymInt": "int64_t",
}  # fmt: skip


# Numbers of C++, by the names that a type is written with.
INTEGERS = frozenset({
    "int", "long", "short", "unsigned", "size_t", "ssize_t", "int64_t", "int32_t", "uint32_t", "uint64_t", "int16_t",
    "uint16_t", "int8_t", "uint8_t", "ptrdiff_t", "uintptr_t", "long long", "unsigned int", "unsigned long",
    "unsigned long long", "long int", "Py_ssize_t", "uint", "ushort", "ulong",
})  # fmt: skip
NUMBERS = INTEGERS | {"float", "double", "bool"}

# Names of torch's classes that a class of another namespace may have too.
SHARED_NAMES = frozenset(_KNOWN) - {"vector", "array", "tuple", "pair", "string", "string_view"} | {
    "Error", "ValueError", "IndexError", "TypeError", "DimVector", "SmallVector", "Generator", "Storage",
}  # fmt: skip


class CppType(NamedTuple):
    """A type by its last name (`Tensor`, `optional`, `int64_t`), its template arguments and its pointer depth.

    `const` is the constness of what is named or, for a pointer, of what it points to.
    """

    name: str
    arguments: tuple[CppType, ...] = ()
    pointers: int = 0
    const: bool = False
    reference: bool = False

    @property
    def is_tensor(self) -> bool:
        """A tensor by value or reference, not a pointer to one."""
        return self.name == "Tensor" and self.pointers == 0

    @property
    def is_known(self) -> bool:
        """False for `auto` and for what could not be read."""
        return self.name not in ("", "auto")

    @property
    def inner(self) -> CppType | None:
        """The first template argument: what an optional, a vector or a list holds."""
        if self.name in ("TensorList", "ITensorListRef", "OptionalTensorRef"):
            return TENSOR
        if self.name == "IntArrayRef":
            return CppType("int64_t")
        return self.arguments[0] if self.arguments else None

    @property
    def pointee(self) -> CppType:
        """What `->` reaches: the target of a pointer, the value of an optional or a smart pointer."""
        if self.pointers:
            return CppType(self.name, self.arguments, self.pointers - 1, self.const)
        return self.inner or UNKNOWN


TENSOR = CppType("Tensor")
_OTHER_TENSOR = "Tensor<>"  # the name of a class template
_OF_AUTOGRAD = {"Variable": TENSOR, "variable_list": CppType("vector", (TENSOR,))}
# Traits of the standard library whose result is their argument, but for references and qualifiers.
SAME_TYPE = frozenset({
    "decay", "remove_reference", "remove_cv", "remove_cvref", "remove_const", "remove_volatile", "add_const", "add_cv",
    "add_lvalue_reference", "add_rvalue_reference", "type_identity",
})  # fmt: skip
# Traits whose result depends on more than what is read here.
_COMPUTED = frozenset({
    "tuple_element", "conditional", "invoke_result", "result_of", "common_type", "variant_alternative", "iter_value",
    "iter_reference", "range_value", "range_reference",
})  # fmt: skip
# The types that a container or a pointer says it holds: `std::vector<T>::value_type`.
HELD = frozenset({"value_type", "reference", "const_reference", "element_type", "mapped_type", "key_type"})
MAPS = frozenset({"map", "unordered_map"})
LIST = CppType("list")  # a braced list
UNKNOWN = CppType("")


def split_arguments(text: str) -> tuple[str, ...]:
    """The comma-separated parts of `text`, commas inside brackets left alone: "a, b<c, d>" has two."""
    parts: list[str] = []
    depth, start = 0, 0
    for index, character in enumerate(text):
        if character in "<([{":
            depth += 1
        elif character in ">)]}" and not (character == ">" and index and text[index - 1] == "-"):
            depth -= 1
        elif character == "," and depth == 0:
            parts.append(text[start:index].strip())
            start = index + 1
    rest = text[start:].strip()
    return (*parts, rest) if rest or parts else ()


@functools.lru_cache(maxsize=4096)
def parse_type(text: str) -> CppType:
    """Read a type as written: `const std::optional<torch::Tensor>&`. What it cannot read is UNKNOWN."""
    constant = bool(re.search(r"\bconst\b", text.partition("<")[0] + text.rpartition(">")[2]))
    bare = _WORDS_AWAY.sub(" ", text).strip()
    head, bracket, rest = bare.partition("<")
    arguments: tuple[CppType, ...] = ()
    tail = ""
    if bracket:
        inside, _, tail = rest.rpartition(">")
        arguments = tuple(_argument(part) for part in split_arguments(inside))
    suffix = tail if bracket else head
    name = re.sub(r"[&*\s\[\]]+$", "", head).strip()
    last = re.split(r"::", name)[-1].strip() if name else ""
    if arguments and (last.endswith("_t") or re.match(r"::\s*type\b", tail)):
        trait = last.removesuffix("_t")
        if trait in SAME_TYPE and len(arguments) == 1:
            return _marked(arguments[0], constant, suffix)
        if trait == "enable_if" and len(arguments) == 2:
            return _marked(arguments[1], constant, suffix)
        if trait in _COMPUTED:
            return UNKNOWN
    # `std::optional<T>::value_type` and the like; others are beyond what is read here
    if bracket and "::" in tail:
        member = re.sub(r"[&*\s]+$", "", tail).removeprefix("::").strip()
        owner = CppType(_KNOWN.get(last, last), arguments)
        return _marked(held_by(owner, member), constant, suffix) if member in HELD else UNKNOWN
    if last in HELD and "::" in name:
        owner = parse_type(name.rpartition("::")[0])
        return CppType(last, (owner,), suffix.count("*"), constant, "&" in suffix) if owner.is_known else UNKNOWN
    if not re.fullmatch(r"[A-Za-z_]\w*(?:\s+\w+)*", last):
        return UNKNOWN
    if last == "decltype":
        return UNKNOWN
    if last in _OF_AUTOGRAD and re.search(r"\bautograd\s*::\s*\w+$", name):
        meant = _OF_AUTOGRAD[last]
        return meant._replace(pointers=suffix.count("*"), const=constant, reference="&" in suffix)
    if bracket and last == TENSOR.name:  # cute::Tensor<Engine, Layout>: torch's is no template
        last = _OTHER_TENSOR
    return CppType(_KNOWN.get(last, last), arguments, suffix.count("*"), constant, "&" in suffix)


def held_by(owner: CppType, member: str) -> CppType:
    """What `owner::member` is, UNKNOWN where that cannot be told: the type of the elements of a container."""
    if owner.name in MAPS:
        place = {"mapped_type": 1, "key_type": 0}.get(member, -1)
        known = len(owner.arguments) > max(place, 0)
        return UNKNOWN if not known else owner.arguments[place] if place >= 0 else CppType("tuple", owner.arguments[:2])
    return owner.inner or UNKNOWN


def _marked(kind: CppType, constant: bool, suffix: str) -> CppType:
    """A type with the stars and the `&` behind the text that means it."""
    if not kind.is_known:
        return kind
    return kind._replace(pointers=kind.pointers + suffix.count("*"), const=constant, reference="&" in suffix)


def _argument(part: str) -> CppType:
    """A template argument; of a function's type, what it returns: `R` of `std::function<R(A)>`."""
    return parse_type(part.partition("(")[0] if part.endswith(")") else part)
