"""What an expression holds of the memory that is asked about, and what a variable of a written type makes of that."""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import Enum
from typing import NamedTuple

from torch_stabilize.source.types import CppType, parse_type

ANY = -1  # an accessor whose dimensions are not written as a number
# Classes that refer to memory of others: their first argument is a pointer or an iterator.
VIEWS = frozenset({"span", "ArrayRef", "MutableArrayRef"})
_CONST_VIEWS = frozenset({"ArrayRef"})
_ACCESSOR = re.compile(r"\w*TensorAccessor(?:32|64)?(?:Base)?")
_CONST = re.compile(r"\bconst\b")
_NUMBER_LIST = (
    "bool char short int long float double half size_t ptrdiff_t unsigned int8_t int16_t int32_t int64_t uint8_t "
    "uint16_t uint32_t uint64_t uintptr_t intptr_t Half BFloat16 nv_bfloat16 __half __nv_bfloat16 scalar_t opmath_t"
)
NUMBERS = frozenset(_NUMBER_LIST.split())


class Access(Enum):
    """What is done with the memory."""

    READ = "read"
    WRITE = "write"
    UNKNOWN = "unknown"


class Held(NamedTuple):
    """How an expression holds the memory that is asked about.

    A pointer or accessor takes `depth` subscripts to an element; 0 is an element itself. `is_tensor` is a tensor or,
    with `many`, what holds tensors: a list, an optional, a pointer to one. `is_slot` is a tensor that is a variable: to
    assign makes it another tensor, while `x[0] = y` writes. `may_be_copy` is what may be memory of its own, `is_const`
    what a cast has to make writable before anybody can write it. An object holds in its member `members[0]` what is
    left without that; "#2" is the third value between braces, "*" any member.
    """

    depth: int = 1
    is_tensor: bool = False
    many: bool = False
    is_slot: bool = False
    may_be_copy: bool = False
    members: tuple[str, ...] = ()
    is_const: bool = False

    @property
    def is_element(self) -> bool:
        """Whether an assignment to the expression writes the memory."""
        return self.depth <= 0 and not self.is_tensor and not self.members

    @property
    def element(self) -> Held:
        """What a subscript or a star leads to."""
        if self.members:
            return self.inside if self.members[0].startswith("#") else self
        if self.is_tensor:
            return self._replace(many=False, is_slot=self.many)
        return self._replace(depth=self.depth - 1 if self.depth > 0 else self.depth)

    @property
    def pointed(self) -> Held:
        """What an array or a list of it holds, and a pointer to it."""
        if self.is_tensor or self.members:
            return self._replace(many=self.is_tensor)
        return self._replace(depth=max(0, self.depth) + 1)

    @property
    def inside(self) -> Held:
        """What the member that holds it holds."""
        return self._replace(members=self.members[1:])

    def within(self, *members: str) -> Held:
        """What an object holds that has it in a member of a member."""
        return self._replace(members=(*members, *self.members))

    def listed(self, member: str) -> Held:
        """What a braced list holds: of tensors a list, of others an object whose type is not known yet."""
        return self._replace(many=True) if self.is_tensor and not self.members else self.within(member)


TENSOR = Held(0, is_tensor=True, is_slot=True)


class Effects(NamedTuple):
    """What functions do that no document defines, as a letter.

    R reads, W writes, V gives a view of it, M gives a view or a copy, T a tensor over it, A its address, X an object
    that refers to it, "" is not known. A method of a tensor by its name, which may also give a pointer (P), a pointer
    to const (C) or an accessor (A); an argument of torch's function by name and index; an argument of a C, CUDA or
    standard function by name, index and the number of arguments.
    """

    method: Callable[[str], str]
    argument: Callable[[str, int], str]
    function: Callable[[str, int, int], str]


def is_const_pointer(type_text: str) -> bool:
    """Whether a type is a pointer to const, or an accessor of const elements."""
    if "*" in type_text:
        return _CONST.search(type_text.partition("*")[0]) is not None
    kind = parse_type(type_text)
    return _ACCESSOR.fullmatch(kind.name) is not None and bool(kind.arguments) and kind.arguments[0].const


def viewed(kind: CppType, held: Held) -> Held:
    """What a `std::span<T>` holds that is made from a pointer or an iterator."""
    is_const = kind.name in _CONST_VIEWS or (bool(kind.arguments) and kind.arguments[0].const)
    return held._replace(is_const=held.is_const or is_const)


def taken(type_text: str, held: Held, *, typed: bool = False, generic: frozenset[str] = frozenset()) -> Access | Held:
    """What a variable, parameter or result of a type holds of what it is given; an access where that is the end of it.

    `typed` asks for types alone: what is no pointer to const and takes its type not from the value is unknown.
    """
    kind = parse_type(type_text)
    follows = kind.name == "auto" or kind.name in generic
    if held.members:
        return held
    if held.is_tensor:
        if kind.name in NUMBERS and not kind.pointers:
            return Access.READ
        holds_many = held.many or kind.pointers > 0 or (bool(kind.arguments) and not kind.is_tensor)
        return held._replace(many=holds_many, is_slot=True)
    if held.depth == 0 or (held.depth == ANY and not follows and not _ACCESSOR.fullmatch(kind.name)):
        outside = type_text.rpartition(">")[2].replace("decltype(auto)", "&&")  # which keeps what it is given
        is_const = "&&" not in outside and _CONST.search(type_text.partition("<")[0] + outside) is not None
        if "&" not in outside or (is_const and typed):
            return Access.READ
        return Access.UNKNOWN if typed and not follows else held._replace(depth=0, is_const=held.is_const or is_const)
    if kind.name == "bool" and not kind.pointers:
        return Access.READ
    if is_const_pointer(type_text):
        return Access.READ if typed or not kind.pointers else held._replace(is_const=True)
    if typed and not (kind.name == "auto" or (follows and not kind.pointers)):
        return Access.UNKNOWN
    if held.depth == ANY and len(kind.arguments) > 1 and kind.arguments[1].name.isdigit():
        return held._replace(depth=int(kind.arguments[1].name))
    return held
