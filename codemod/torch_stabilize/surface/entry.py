"""One row of the surface: a legacy name with its stable form, where that form comes from, and since when."""

from __future__ import annotations

from typing import NamedTuple

NAME_KINDS = ("type", "constant", "function")
KINDS = ("type", "constant", "function", "macro", "method", "include", "dispatch")


class TableError(ValueError):
    """A table that cannot be trusted: duplicates, chains, unknown keys, kinds, forms or versions."""


class Entry(NamedTuple):
    """One legacy API and what represents it on the stable surface.

    `form` says how the one becomes the other:

    - `rename`: `stable` is in the same place, with the same arguments;
    - `same`: allowed as it is, once `include` is there;
    - `free`: a method becomes the free function `stable`, receiver first;
    - `dispatcher`: only `torch_call_dispatcher` has it; `stable` is the aten op, "expand" or "slice.Tensor";
    - `special`: a rule of its own, named by `rule`; `stable` is a name the rule will write, or an expression;
    - `template`: the call becomes the expression `stable`, with its parts in the holes `{self}`, `{0}`, `{args}`, `{T}`
      and `{helper}`;
    - `none`: no stable form; `note` says what to do;
    - includes only: `replace` (`stable` lists the headers, comma-separated), `drop` (each name brings its own header).
    """

    id: str
    kind: str  # "type" | "constant" | "function" | "macro" | "method" | "include" | "dispatch"
    legacy: tuple[str, ...]  # qualified spellings; bare names for macros, methods and dispatch macros; include paths
    form: str
    stable: str = ""
    include: str = ""  # header the stable form needs
    target: str = "2.9"  # oldest TORCH_TARGET_VERSION
    headers: str = "2.9"  # oldest torch whose headers have it
    rule: str = ""  # TSA code
    confidence: str = "safe"  # safe | review | manual
    note: str = ""  # one sentence for the maintainer
    returns: str = ""  # "Tensor", "int64_t", "tuple<Tensor,Tensor>" ...; empty where unknown
    mutates: bool = False  # the receiver or first argument must be a non-const lvalue
    arity: tuple[int, int] | None = None  # fewest and most arguments (less the receiver) `stable` takes; None for any
    of: tuple[str, ...] = ()  # what a method is a method of, where that is no tensor
    helper: str = ""  # the snippet that defines `stable`
    overload: str = ""  # the one overload of the aten op that `stable` is, "fill_.Scalar"; empty for all of them
    device_only: bool = False  # exists under nvcc and hipcc alone
    newer: tuple[tuple[str, str], ...] = ()  # overloads that `stable` has too, and the oldest headers that have them
    native: Entry | None = None  # the row in its place where target and headers have what this one does without
