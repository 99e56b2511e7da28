"""Registrations as a model: blocks, the statements in them, and the operators that they add up to."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from torch_stabilize.model import Span

_NOWHERE = Span(0, 0)
NO_KEY = ""  # `impl(name, fn)` outside of an IMPL block: registered for every backend


class Side(str, Enum):
    """Which of the two libraries a registration is compiled into."""

    LEGACY = "legacy"
    STABLE = "stable"


class BlockKind(str, Enum):
    """What opens a block of registrations."""

    LIBRARY = "library"  # TORCH_LIBRARY(ns, m)
    FRAGMENT = "fragment"  # TORCH_LIBRARY_FRAGMENT(ns, m)
    IMPL = "impl"  # TORCH_LIBRARY_IMPL(ns, Key, m)
    PYBIND = "pybind"  # PYBIND11_MODULE(name, m)
    OPERATORS = "operators"  # torch::RegisterOperators


class StatementKind(str, Enum):
    """What one statement of a block does."""

    DEF = "def"
    IMPL = "impl"
    CLASS = "class"  # class_<T>, py::class_: no stable form
    FALLBACK = "fallback"  # m.fallback(...): no stable form
    OTHER = "other"


class FunctionRef(NamedTuple):
    """The function a statement registers, as written.

    `name` is the qualified name, "" for a lambda; `calls` are the names that a lambda calls; `cast` is the function
    type or the parameter list it is cast to, which picks one of several overloads; `wrapper` a function of the project
    that it is handed to, and whose result is registered.
    """

    text: str
    span: Span
    name: str = ""
    template_arguments: str = ""
    cast: str = ""
    is_lambda: bool = False
    calls: tuple[str, ...] = ()
    wrapper: str = ""

    @property
    def is_plain(self) -> bool:
        """A name and nothing more."""
        return bool(self.name) and not (self.template_arguments or self.cast or self.wrapper)


class PythonArgument(NamedTuple):
    """`py::arg("name") = default`; `name` is "" for `py::arg()`, `keyword_only` set behind `py::kw_only()`."""

    name: str
    default: str = ""
    keyword_only: bool = False


class Block(NamedTuple):
    """One registration block. `span` runs from the macro's name to the closing brace, `body` is what the braces hold.

    `key` is the dispatch key of an IMPL block, "" for others; `function` the name of a function that registers for a
    Python module it is handed, "" for what a macro opens.
    """

    path: str
    kind: BlockKind
    side: Side
    macro: str
    namespace_text: str
    namespace: str
    key: str
    variable: str
    span: Span
    body: Span
    conditions: tuple[str, ...] = ()
    function: str = ""


class Statement(NamedTuple):
    """One `m.def(...)`, `m.impl(...)` or whatever else is in a block.

    `lines` are the whole lines it takes, the comments that belong to it included: those directly above, and those
    directly below that nothing follows. `comments` and `trailing` are these two, `heading` is what is above them up
    to the statement before: comments that are about more than this statement. `schema` is the text after the name
    ("(Tensor x) -> Tensor") or None where none is written; `first` is the span of the first argument. `conditions` are
    those of the block and of the statement in it.
    """

    block: Block
    kind: StatementKind
    span: Span
    lines: Span
    comments: Span
    trailing: Span
    heading: Span
    conditions: tuple[str, ...]
    namespace: str = ""
    name: str = ""
    overload: str = ""
    schema: str | None = None
    first: Span = _NOWHERE
    tags: str = ""
    key: str = NO_KEY
    function: FunctionRef | None = None
    arguments: tuple[PythonArgument, ...] = ()
    doc: str = ""
    blank_before: bool = False

    @property
    def path(self) -> str:
        """The file the statement is in."""
        return self.block.path

    @property
    def function_names(self) -> tuple[str, ...]:
        """What the function is called, or the functions that a lambda calls."""
        if self.function is None:
            return ()
        return self.function.calls if self.function.is_lambda else (self.function.name,)

    @property
    def full_name(self) -> str:
        """The name with its overload: `scaled_fp4_quant.out`."""
        return f"{self.name}.{self.overload}" if self.overload else self.name

    @property
    def inner_conditions(self) -> tuple[str, ...]:
        """The conditions inside the block."""
        return self.conditions[len(self.block.conditions) :]

    @property
    def registers_function(self) -> bool:
        """Whether a kernel is registered here, by `impl` or by `def(schema, fn)`."""
        return self.function is not None


class Bindings(NamedTuple):
    """What one file registers, in file order."""

    path: str
    blocks: tuple[Block, ...] = ()
    statements: tuple[Statement, ...] = ()


class Operator(NamedTuple):
    """One operator of one library: where it is defined and which statements implement it, wherever they stand.

    More than one definition is a duplicate unless their conditions exclude each other. A `def(schema, fn)` is both a
    definition and an implementation.
    """

    side: Side
    namespace: str
    name: str
    overload: str
    definitions: tuple[Statement, ...] = ()
    implementations: tuple[Statement, ...] = ()

    @property
    def full_name(self) -> str:
        """The name with its overload."""
        return f"{self.name}.{self.overload}" if self.overload else self.name
