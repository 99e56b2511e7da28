"""Operator schemas without torch: `f.out(Tensor(a!) x, int[2] n=1, *, ScalarType? t=None) -> (Tensor, int)`."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import NamedTuple

_TOKEN = re.compile(
    r"""\s*(?P<token>
        ->|\.\.\.
      | "(?:\\.|[^"\\])*" | '(?:\\.|[^'\\])*'
      | -?(?:\d+\.\d*|\.\d+|\d+)(?:[eE][-+]?\d+)? | -inf\b
      | [A-Za-z_]\w*(?:\.\w+)* | \$\d+  # a set that torch numbered
      | [()\[\],=*?!|:\-]
    )""",
    re.VERBOSE,
)
_NAME = re.compile(r"\s*(?P<name>(?:\w+::)?[\w\-]+)(?:\.(?P<overload>\w+))?\s*(?=\()")


class SchemaError(ValueError):
    """A schema that cannot be read. `offset` counts characters of the text that was given."""

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.offset = offset


class Type(NamedTuple):
    """A schema type. `form` is "base", "list", "optional", "tuple" or "dict"; `name` is set for a base type.

    `alias` is the annotation as written: "!", "a!", "a -> *"; `size` that of a list, "" for any.
    """

    form: str
    name: str = ""
    inner: tuple[Type, ...] = ()
    size: str = ""
    alias: str = ""

    @property
    def aliases(self) -> tuple[str, ...]:
        """The annotations of the type and of what it holds."""
        return tuple(filter(None, (self.alias, *(alias for inner in self.inner for alias in inner.aliases))))

    @property
    def is_written(self) -> bool:
        """Whether it is annotated as written to."""
        return any("!" in alias for alias in self.aliases)

    @property
    def bare(self) -> Type:
        """The type without annotations."""
        return Type(self.form, self.name, tuple(inner.bare for inner in self.inner), self.size)

    @property
    def leaf(self) -> str:
        """The base type at the bottom: "Tensor" for `Tensor(a!)[]?`."""
        return self.name if self.form == "base" else self.inner[0].leaf if self.inner else ""

    def __str__(self) -> str:
        if self.form == "list":
            text = f"{self.inner[0]}[{self.size}]"
        elif self.form == "optional":
            text = f"{self.inner[0]}?"
        elif self.form == "tuple":
            text = f"({', '.join(map(str, self.inner))})"
        elif self.form == "dict":
            text = f"{self.name}({', '.join(map(str, self.inner))})"
        else:
            text = self.name
        return text + (self.alias if self.alias in ("", "!") else f"({self.alias})")


class Argument(NamedTuple):
    """One argument, or one return value (whose name may be empty)."""

    type: Type
    name: str = ""
    default: str = ""
    keyword_only: bool = False

    def __str__(self) -> str:
        text = f"{self.type} {self.name}".rstrip()
        return f"{text}={self.default}" if self.default else text


class Schema(NamedTuple):
    """A parsed schema. `name` may carry a namespace (`ns::f`)."""

    name: str
    overload: str = ""
    arguments: tuple[Argument, ...] = ()
    returns: tuple[Argument, ...] = ()
    variadic_arguments: bool = False
    variadic_returns: bool = False

    @property
    def full_name(self) -> str:
        """The name with the overload."""
        return f"{self.name}.{self.overload}" if self.overload else self.name

    def __str__(self) -> str:
        return f"{self.full_name}{self.signature}"

    @property
    def signature(self) -> str:
        """Everything behind the name."""
        parts: list[str] = []
        for argument in self.arguments:
            if argument.keyword_only and "*" not in parts:
                parts.append("*")
            parts.append(str(argument))
        if self.variadic_arguments:
            parts.append("...")
        returns = [str(value) for value in self.returns] + ["..."] * self.variadic_returns
        if self.variadic_returns and not self.returns:
            return f"({', '.join(parts)}) -> ..."
        # one value is alone, unless it would read like several
        alone = len(returns) == 1 and not returns[0].startswith("(")
        return f"({', '.join(parts)}) -> {returns[0] if alone else '(' + ', '.join(returns) + ')'}"


@functools.lru_cache(maxsize=8192)
def parse_schema(text: str) -> Schema:
    """Read a whole schema. Raises SchemaError."""
    return _Parser(text).schema()


def normalised(text: str) -> str:
    """`text` in one spelling; a schema that cannot be read has its blanks joined."""
    try:
        return str(parse_schema(text))
    except SchemaError:
        return " ".join(text.split())


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.place = 0

    def schema(self) -> Schema:
        head = _NAME.match(self.text)
        if head is None:
            raise SchemaError("expected a name and an argument list", 0)
        self.place = head.end()
        arguments, variadic = self._arguments()
        returns, variadic_returns = self._returns()
        if self._peek():
            raise SchemaError(f"unexpected {self._peek()!r} behind the return type", self.place)
        return Schema(head["name"], head["overload"] or "", arguments, returns, variadic, variadic_returns)

    # tokens

    def _match(self) -> re.Match[str] | None:
        return _TOKEN.match(self.text, self.place)

    def _peek(self) -> str:
        match = self._match()
        if match is None:
            rest = self.text[self.place :].lstrip()
            if rest:
                raise SchemaError(f"unexpected {rest[0]!r}", len(self.text) - len(rest))
            return ""
        return match["token"]

    def _next(self, wanted: str = "") -> str:
        token = self._peek()
        if not token or (wanted and token != wanted):
            raise SchemaError(f"expected {wanted or 'more'!r}, found {token or 'the end'!r}", self.place)
        match = self._match()
        assert match is not None
        self.place = match.end()
        return token

    def _accept(self, wanted: str) -> bool:
        if self._peek() == wanted:
            self._next()
            return True
        return False

    # parts

    def _arguments(self) -> tuple[tuple[Argument, ...], bool]:
        keyword_only = False

        def part() -> tuple[Argument, ...]:
            nonlocal keyword_only
            if self._accept("*"):
                keyword_only = True
                return ()
            return (self._argument(keyword_only),)

        return self._listed(part)

    def _listed(self, part: Callable[[], tuple[Argument, ...]]) -> tuple[tuple[Argument, ...], bool]:
        """What is in parentheses, and whether anything may follow it: `...`."""
        self._next("(")
        found: list[Argument] = []
        if self._accept(")"):
            return (), False
        while True:
            if self._accept("..."):
                self._next(")")
                return tuple(found), True
            found += part()
            if self._accept(")"):
                return tuple(found), False
            self._next(",")

    def _argument(self, keyword_only: bool) -> Argument:
        kind = self._type()
        name = self._next()
        if not re.fullmatch(r"[A-Za-z_]\w*", name):
            raise SchemaError(f"expected the name of an argument, found {name!r}", self.place - len(name))
        # int[2] may also be written behind the name's type alone; `Tensor x` has nothing more
        default = self._default() if self._accept("=") else ""
        return Argument(kind, name, default, keyword_only)

    def _default(self) -> str:
        token = self._next()
        if token in ("[", "("):
            closing = "]" if token == "[" else ")"
            items: list[str] = []
            while not self._accept(closing):
                items.append(self._default())
                if self._peek() != closing:
                    self._next(",")
            return f"{token}{', '.join(items)}{closing}"
        if token == "-":
            return f"-{self._next()}"
        return token

    def _returns(self) -> tuple[tuple[Argument, ...], bool]:
        self._next("->")
        if self._accept("..."):
            return (), True
        if self._peek() != "(":
            return (self._return(),), False
        return self._listed(lambda: (self._return(),))

    def _return(self) -> Argument:
        kind = self._type()
        name = self._next() if re.fullmatch(r"[A-Za-z_]\w*", self._peek()) else ""
        return Argument(kind, name)

    def _type(self) -> Type:
        if self._accept("("):
            inner = [self._type()]
            while self._accept(","):
                inner.append(self._type())
            self._next(")")
            found = Type("tuple", inner=tuple(inner))
        else:
            name = self._next()
            if not re.fullmatch(r"[A-Za-z_]\w*(\.\w+)*", name):
                raise SchemaError(f"expected a type, found {name!r}", self.place - len(name))
            found = self._generic(name) if name in ("Dict", "Future", "RRef", "Await") else Type("base", name)
        found = self._annotated(found)
        while True:
            if self._accept("["):
                size = "" if self._peek() == "]" else self._next()
                self._next("]")
                found = self._annotated(Type("list", inner=(found,), size=size))
            elif self._accept("?"):
                found = self._annotated(Type("optional", inner=(found,)))
            else:
                return found

    def _generic(self, name: str) -> Type:
        self._next("(")
        inner = [self._type()]
        while self._accept(","):
            inner.append(self._type())
        self._next(")")
        return Type("dict", name, tuple(inner))

    def _annotated(self, kind: Type) -> Type:
        if self._accept("!"):
            return Type(kind.form, kind.name, kind.inner, kind.size, "!")
        if self._peek() != "(":
            return kind
        self._next("(")
        parts: list[str] = []
        while not self._accept(")"):
            parts.append(self._next())
        alias = "".join(f" {part} " if part == "->" else part for part in parts)
        return Type(kind.form, kind.name, kind.inner, kind.size, alias)
