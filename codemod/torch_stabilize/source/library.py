"""What the C++ standard library, and c10's stand-ins for it, give back: containers, iterators, pointers, functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch_stabilize.source.types import MAPS, TENSOR, UNKNOWN, CppType

SIZE, BOOL, TEXT = CppType("size_t"), CppType("bool"), CppType("string")
SEQUENCES = frozenset({
    "vector", "array", "ArrayRef", "TensorList", "IntArrayRef", "deque", "list", "forward_list", "initializer_list",
    "SmallVector", "SmallVectorImpl", "span", "valarray", "set", "multiset", "unordered_set", "stack", "queue",
    "priority_queue", "List", "IListRef", "ITensorListRef", "MutableArrayRef", "OwnedTensorList",
})  # fmt: skip
CONTAINERS = SEQUENCES | MAPS | {"tuple", "function", "reference_wrapper"}
POINTERS = frozenset({"unique_ptr", "shared_ptr", "weak_ptr", "intrusive_ptr", "MaybeOwned"})
# What `*` and `->` see through besides pointers.
BOXES = POINTERS | {"optional", "OptionalTensorRef"}
ITERATOR = "iterator"
_ELEMENTS = frozenset({"at", "front", "back", "top", "emplace_back", "get", "extract", "materialize"})
_POSITIONS = frozenset({
    "begin", "end", "cbegin", "cend", "rbegin", "rend", "crbegin", "crend", "find", "lower_bound", "upper_bound",
    "insert", "erase", "before_begin",
})  # fmt: skip
_COUNTS = frozenset({"size", "length", "capacity", "count", "max_size", "use_count", "size_bytes"})
_TRUTHS = frozenset({"empty", "has_value", "contains", "equals", "expired", "owns_lock", "is_initialized"})
# Functions of namespace std that give back their first argument, what it holds, or an iterator into it.
_FIRST = frozenset({"move", "forward", "as_const", "exchange", "min", "max", "clamp", "next", "prev", "copy"})
_INTO = frozenset({"begin", "end", "cbegin", "cend", "rbegin", "rend"})
_SEARCHES = frozenset({
    "max_element", "min_element", "find", "find_if", "find_if_not", "lower_bound", "upper_bound", "remove",
    "remove_if", "unique", "adjacent_find", "partition", "rotate",
})  # fmt: skip
# Macros of <cmath>, <cfloat> and <cstdint> that are numbers.
MACROS = {
    **dict.fromkeys(("INFINITY", "NAN", "HUGE_VALF", "FLT_MAX", "FLT_MIN", "FLT_EPSILON"), CppType("float")),
    **dict.fromkeys(("HUGE_VAL", "DBL_MAX", "DBL_MIN", "DBL_EPSILON"), CppType("double")),
    **dict.fromkeys(("M_PI", "M_E", "M_SQRT2", "M_SQRT1_2", "M_LN2", "M_LOG2E"), CppType("double")),
    **dict.fromkeys(("INT_MAX", "INT_MIN", "INT32_MAX", "INT32_MIN"), CppType("int")),
    **dict.fromkeys(("INT64_MAX", "INT64_MIN", "LONG_MAX", "LLONG_MAX"), CppType("int64_t")),
}  # fmt: skip


def element(owner: CppType) -> CppType:
    """What a container holds: for a map, pairs."""
    if owner.pointers:
        return owner.pointee
    if owner.name in MAPS:
        return CppType("tuple", owner.arguments[:2])
    return owner.inner or UNKNOWN


def pointed(owner: CppType) -> CppType:
    """What `*owner` is: of a pointer, an iterator, an optional or a smart pointer."""
    if owner.pointers or owner.name in BOXES or owner.name == ITERATOR:
        return owner.pointee
    return UNKNOWN


def indexed(owner: CppType, key: str = "") -> CppType:
    """What `owner[key]` is, for what is no tensor."""
    if owner.pointers:
        return owner.pointee
    if owner.name in MAPS:
        return owner.arguments[1] if len(owner.arguments) > 1 else UNKNOWN
    if owner.name in ("unique_ptr", ITERATOR) or owner.name in SEQUENCES:
        return owner.inner or UNKNOWN
    return UNKNOWN


def member(owner: CppType, name: str) -> CppType:
    """`first` and `second` of a pair."""
    place = {"first": 0, "second": 1}.get(name)
    if owner.name != "tuple" or place is None or place >= len(owner.arguments):
        return UNKNOWN
    return owner.arguments[place]


def method(owner: CppType, name: str) -> CppType | None:
    """What `owner.name(...)` gives back; None for what is not of the library."""
    if owner.name == "string":
        return TEXT if name in ("substr", "str", "append") else BOOL if name in _TRUTHS else SIZE
    if owner.name == "OptionalTensorRef":
        return TENSOR if name in ("value", "getTensorRef") else BOOL
    if owner.name in POINTERS:
        return _of_pointer(owner, name)
    if owner.name == "reference_wrapper":
        return (owner.inner or UNKNOWN) if name == "get" else UNKNOWN
    if owner.name in MAPS:
        return _of_map(owner, name)
    return _of_sequence(owner, name) if owner.name in SEQUENCES else None


def _of_pointer(owner: CppType, name: str) -> CppType:
    held = owner.inner or UNKNOWN
    if name in ("get", "release"):
        return held._replace(pointers=held.pointers + 1) if held.is_known else UNKNOWN
    if name == "lock":
        return CppType("shared_ptr", owner.arguments)
    return SIZE if name in _COUNTS else UNKNOWN


def _of_map(owner: CppType, name: str) -> CppType:
    if name in ("at", "insert_or_assign") and len(owner.arguments) > 1:
        return owner.arguments[1] if name == "at" else UNKNOWN
    position = CppType(ITERATOR, (element(owner),))
    if name in ("insert", "emplace", "try_emplace"):
        return CppType("tuple", (position, BOOL))
    if name in _POSITIONS:
        return position
    return SIZE if name in _COUNTS else BOOL if name in _TRUTHS else UNKNOWN


def _of_sequence(owner: CppType, name: str) -> CppType:
    held = element(owner)
    if name in _ELEMENTS:
        return held
    if name == "slice":
        return owner
    if name == "vec":
        return CppType("vector", (held,) if held.is_known else ())
    if name == "data":
        return held._replace(pointers=held.pointers + 1) if held.is_known else UNKNOWN
    if name in _POSITIONS:
        return CppType(ITERATOR, (held,))
    return SIZE if name in _COUNTS else BOOL if name in _TRUTHS else UNKNOWN


def _first(given: Sequence[CppType], template: Sequence[CppType]) -> CppType:
    found = template[0] if template else given[0] if given else UNKNOWN
    return found._replace(reference=False)


def _pair(given: Sequence[CppType], template: Sequence[CppType]) -> CppType:
    return CppType("tuple", tuple(given))


def _into(given: Sequence[CppType], template: Sequence[CppType]) -> CppType:
    return CppType(ITERATOR, (element(given[0]),)) if given and given[0].is_known else UNKNOWN


def _made(holder: str) -> Callable[[Sequence[CppType], Sequence[CppType]], CppType]:
    def made(given: Sequence[CppType], template: Sequence[CppType]) -> CppType:
        held = template[0] if template else given[0] if given else UNKNOWN
        return CppType(holder, (held,)) if held.is_known else UNKNOWN

    return made


def _of_template(given: Sequence[CppType], template: Sequence[CppType]) -> CppType:
    return template[0] if template else UNKNOWN


_FUNCTIONS: dict[str, Callable[[Sequence[CppType], Sequence[CppType]], CppType]] = {
    **dict.fromkeys(_FIRST | _SEARCHES, _first),
    **dict.fromkeys(_INTO, _into),
    **dict.fromkeys(("make_tuple", "make_pair", "tie", "forward_as_tuple"), _pair),
    **{f"make_{name}": _made(name) for name in ("shared", "unique")},
    "make_shared": _made("shared_ptr"),
    "make_unique": _made("unique_ptr"),
    "make_optional": _made("optional"),
    "ref": _made("reference_wrapper"),
    "cref": _made("reference_wrapper"),
    "any_cast": _of_template,
    "addressof": lambda given, template: _first(given, ())._replace(pointers=_first(given, ()).pointers + 1),
    "size": lambda given, template: SIZE,
    "to_string": lambda given, template: TEXT,
    "distance": lambda given, template: CppType("int64_t"),
    "accumulate": lambda given, template: given[2] if len(given) > 2 else UNKNOWN,
}


def function(name: str, given: Sequence[CppType], template: Sequence[CppType]) -> CppType:
    """What `std::name<template...>(given...)` gives back."""
    if name == "get":
        return _element_of(given[0], template) if len(given) == 1 else UNKNOWN
    reader = _FUNCTIONS.get(name)
    return reader(given, template) if reader is not None else UNKNOWN


def _element_of(held: CppType, wanted: Sequence[CppType]) -> CppType:
    """What `std::get<wanted>` takes out of a variant or, by its type, out of a tuple."""
    if not wanted:
        return UNKNOWN
    if held.name == "variant" or held.name == "tuple":
        return wanted[0]
    return UNKNOWN


# Methods that tensors have, and classes of the standard library, of CUDA's libraries or of CUTLASS too.
METHODS = frozenset({
    "all", "any", "at", "clear", "copy", "count", "data", "detach", "fill", "flip", "get", "imag", "index", "item",
    "layout", "name", "real", "reset", "resize", "size", "slice", "sort", "stream", "stride", "swap", "synchronize",
    "t", "test", "type", "unique", "use_count", "values", "where",
})  # fmt: skip
