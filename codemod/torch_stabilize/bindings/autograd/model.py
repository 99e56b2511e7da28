"""An autograd function of C++, taken apart: operators, and what Python registers for them."""

from __future__ import annotations

import re
from typing import NamedTuple

from torch_stabilize.model import Span

_VARIABLE = re.compile(r"(?:(?:torch|at)\s*::\s*)?(?:autograd\s*::\s*)?\bVariable\b")
_VARIABLES = re.compile(
    r"(?:(?:torch|at)\s*::\s*)?(?:autograd\s*::\s*)?\b(?:variable_list|tensor_list)\b"
    r"|(?:torch|at)\s*::\s*TensorList\b"
)
_QUALIFIED_TENSOR = re.compile(r"(?<![\w:])Tensor\b")


class Reason(Exception):
    """Why a class is not converted."""


class Saved(NamedTuple):
    """A tensor that `save_for_backward` keeps: an argument, a result, or what only `forward` has.

    `source` is "input", "output", "made", or "list" for an argument that is a list of tensors; `text` is the argument,
    the place of the result, or the C++ of the value.
    `may_be_missing` says that there may be no tensor, `key` what it is called where saved_data keeps it.
    """

    source: str
    text: str
    may_be_missing: bool = False
    key: str = ""


class Value(NamedTuple):
    """A value that `saved_data` keeps: its key, and how Python works it out of arguments and results."""

    key: str
    python: str
    lines: tuple[str, ...] = ()  # what Python does before
    is_argument: bool = False

    @property
    def attribute(self) -> str:
        """What Python calls it on its context: the argument that it is, or its key."""
        return self.python if self.is_argument else self.key


class Forward(NamedTuple):
    """What `forward` does besides its results: its body without that, ready to be an operator's."""

    body: bytes
    results: int
    saved: tuple[Saved, ...] = ()
    values: tuple[Value, ...] = ()
    not_differentiable: tuple[int, ...] = ()  # results
    dirty: tuple[str, ...] = ()  # arguments
    materializes: bool = True
    returned: tuple[str, ...] = ()  # the names of the results, "" for what has none
    gives_list: bool = False  # as many tensors as there are, in one list

    @property
    def given_back(self) -> tuple[str, ...]:
        """For each result the argument that it is, which forward has written to; "" for what is made anew."""
        return tuple(name if name in self.dirty else "" for name in self.returned)

    @property
    def own(self) -> tuple[int, ...]:
        """The places of the results that are made anew. No compiler takes an operator that gives back an argument."""
        return tuple(place for place, name in enumerate(self.given_back) if not name)

    @property
    def made(self) -> tuple[Saved, ...]:
        """The tensors that no argument and no result is: further results of the operator."""
        return tuple(one for one in self.saved if one.source == "made")


class Needed(NamedTuple):
    """Something that backward asks for: a C++ parameter, and the Python that is handed over."""

    cpp_type: str
    name: str
    python: str


class Backward(NamedTuple):
    """`backward` as an operator: its body, its parameters, and for each argument the place of its gradient."""

    body: bytes
    parameters: tuple[Needed, ...]
    gives: tuple[int | None, ...]
    names: tuple[str, ...]  # what the saved tensors are called
    gradients: tuple[str, ...]  # what the gradients of the results are called
    gives_list: bool = False  # one list has the gradients of all arguments; `gives` says nothing then
    raises: str = ""  # the text of the error that is all it does, as a literal: there is no operator then

    @property
    def gradients_given(self) -> int:
        """How many gradients the operator gives."""
        return len({place for place in self.gives if place is not None})


class AutogradClass(NamedTuple):
    """One class: `parameters` are type and name of each argument of forward, `returned` is what apply gives in C++.

    `members` is a class of its name with what else it has, b"" for nothing; `differentiated` are the lists of tensors
    whose tensors get gradients.
    """

    name: str
    span: Span
    parameters: tuple[tuple[str, str], ...]
    returned: str
    forward: Forward
    backward: Backward
    members: bytes = b""
    differentiated: frozenset[str] = frozenset()

    @property
    def is_plain(self) -> bool:
        """Whether the operator of forward has just the results that apply gives, and writes to nothing."""
        return not self.forward.made and not self.forward.dirty

    @property
    def lists(self) -> tuple[str, ...]:
        """The arguments that are lists of tensors."""
        return tuple(name for kind, name in self.parameters if is_tensor_list(kind))


def plain_type(text: str) -> str:
    """A type as written, without the names of torch::autograd."""
    return _VARIABLE.sub("at::Tensor", _VARIABLES.sub("std::vector<at::Tensor>", text))


def plain_types(body: bytes) -> bytes:
    """A body without the names of torch::autograd."""
    return plain_type(body.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")


def is_tensor(kind: str) -> bool:
    """Whether a parameter of this type is one tensor, which may be missing."""
    bare = re.sub(r"\s|\bconst\b|&|at::|torch::|std::|c10::", "", plain_type(kind))
    return bare in ("Tensor", "optional<Tensor>")


def is_tensor_list(kind: str) -> bool:
    """Whether a parameter of this type is a list of tensors."""
    bare = re.sub(r"\s|\bconst\b|&|at::|torch::|std::|c10::", "", plain_type(kind))
    return bare in ("vector<Tensor>", "ArrayRef<Tensor>", "TensorList")


def is_optional(kind: str) -> bool:
    """Whether a parameter of this type may bring nothing."""
    return re.search(r"\boptional\b", kind) is not None
