"""One registration as a line of stable code: its comments, its conditions and where it belongs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from torch_stabilize.bindings.reading.model import BlockKind, FunctionRef, Statement
from torch_stabilize.bindings.reading.statements import unwrapped
from torch_stabilize.bindings.reading.text import decode
from torch_stabilize.bindings.schemas.infer import stable_schema, stable_type
from torch_stabilize.model import Span
from torch_stabilize.source.conditions import canonical
from torch_stabilize.source.document import Document
from torch_stabilize.source.spans import line_end
from torch_stabilize.surface.schema import Schema, SchemaError, Type, parse_schema


@dataclass(frozen=True)
class Item:
    """A `def` (with an empty `key`) or an `impl` of the stable bindings, as lines without indentation.

    `call` is the statement behind the variable (`.def("f() -> ()");`). `outer` are the conditions of the block it
    stood in, `inner` those of the statement inside of it.
    """

    namespace: str
    key: str
    variable: str
    call: str
    outer: tuple[str, ...] = ()
    inner: tuple[str, ...] = ()
    comments: tuple[str, ...] = ()
    trailing: tuple[str, ...] = ()
    blank_before: bool = False
    source: Statement | None = field(default=None, compare=False)
    heading: tuple[str, ...] = ()

    def follows(self, other: Item) -> bool:
        """Whether the source has the item directly below `other`, without a blank line."""
        same_block = self.source is not None and other.source is not None and self.source.block == other.source.block
        return same_block and not self.blank_before and not other.trailing

    @property
    def conditions(self) -> tuple[str, ...]:
        """All conditions, outermost first, in one spelling."""
        return tuple(canonical(condition) for condition in (*self.outer, *self.inner))

    def lines(self, variable: str) -> list[str]:
        """The item as it is written in a block whose library is called `variable`."""
        heading = [*self.heading, ""] if self.heading else []
        return [*heading, *self.comments, *f"{variable}{self.call}".split("\n"), *self.trailing]


def definition_item(
    document: Document, statement: Statement, schema: Schema | None, tags: str = "", *, whole: bool = False
) -> Item:
    """The `def` of `statement`; `schema` is the one to write where the source has none, `tags` its last argument.

    `whole` says that all of the block is removed, and with it the comments between its statements.
    """
    if schema is not None:
        literal = schema_literal(schema)
    else:
        literal = unwrapped(decode(document.text(statement.first)))
        literal = _widened(re.sub(r'"\s*\w+::', '"', literal, count=1), statement)
        between = decode(document.data[_call_open(document, statement) : statement.first.start])
        literal = (between if "\n" in between and not between.strip() else "") + literal
    alone = statement.function is None
    heading = heading_of(document, statement) if whole else ()
    return Item(
        namespace=statement.namespace,
        key="",
        variable=statement.block.variable or "m",
        call=f".def({literal}, {tags});" if tags else f".def({literal});",
        outer=statement.block.conditions,
        inner=statement.inner_conditions,
        comments=_comments(document, statement.comments),
        trailing=(*_same_line(document, statement), *_comments(document, statement.trailing)) if alone else (),
        blank_before=statement.blank_before,
        source=statement,
        heading=heading,
    )


def implementation_items(
    document: Document, statement: Statement, boxed: str, keys: Sequence[str], kernel: Schema | None = None,
    *, whole: bool = False,
) -> list[Item]:  # fmt: skip
    """The `impl` of `statement` for each of `keys`, its function boxed as the expression `boxed`.

    `kernel` is the operator that it implements in place of that of `statement`: its `def` is first.
    """
    name = kernel.full_name if kernel is not None else statement.full_name
    first = _implementation_item(document, statement, f'.impl("{name}", TORCH_BOX({boxed}));', keys[0], whole=whole)
    others = (replace(first, key=key, comments=(), trailing=(), heading=()) for key in keys[1:])
    defined = []
    if kernel is not None:
        bare = replace(first, comments=(), trailing=(), heading=(), blank_before=False)
        defined = [replace(bare, key="", call=f".def({schema_literal(kernel)});")]
    return [*defined, first, *others]


def _implementation_item(document: Document, statement: Statement, call: str, key: str, *, whole: bool) -> Item:
    alone = statement.schema is None and statement.kind.value == "impl"
    return Item(
        namespace=statement.namespace,
        key=key,
        variable=statement.block.variable or "m",
        call=call,
        outer=statement.block.conditions,
        inner=statement.inner_conditions,
        comments=_comments(document, statement.comments) if alone else (),
        trailing=(*_same_line(document, statement), *_comments(document, statement.trailing)),
        blank_before=statement.blank_before and alone,
        source=statement,
        heading=heading_of(document, statement) if whole and alone else (),
    )


def boxed_expression(function: FunctionRef) -> str:
    """What TORCH_BOX gets for a function that is named plainly or with template arguments."""
    name = f"&{function.name}{function.template_arguments}"
    return f"({name})" if "," in function.template_arguments else name


def schema_literal(schema: Schema) -> str:
    """A schema as a string literal; clang-format breaks it where it is too long."""
    escaped = str(schema).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def widened_arguments(statement: Statement) -> list[Type]:
    """The argument types of a written schema that the stable boxing cannot pass and a wider type can."""
    try:
        schema = parse_schema(statement.full_name + (statement.schema or ""))
    except SchemaError:
        return []
    return [argument.type for argument in schema.arguments if stable_type(argument.type) != argument.type]


def _widened(literal: str, statement: Statement) -> str:
    """`literal` with tuples of one type written as lists."""
    for kind in widened_arguments(statement):
        pattern = r"\s*".join(re.escape(token) for token in re.findall(r"\w+|[^\w\s]", str(kind)))
        changed = re.sub(pattern, str(stable_type(kind)), literal, count=1)
        if changed == literal:
            return schema_literal(stable_schema(parse_schema(statement.full_name + (statement.schema or ""))))
        literal = changed
    return literal


def _call_open(document: Document, statement: Statement) -> int:
    return document.code.index(b"(", statement.span.start) + 1


def heading_of(document: Document, statement: Statement) -> tuple[str, ...]:
    """The comments above a statement that are about more than it: they are removed where its whole block is."""
    lines = [line.strip() for line in decode(document.text(statement.heading)).splitlines()]
    return tuple(line for line in lines if line.startswith(("//", "/*", "*")))


def _comments(document: Document, span: Span) -> tuple[str, ...]:
    return tuple(line.strip() for line in decode(document.text(span)).splitlines() if line.strip())


def _same_line(document: Document, statement: Statement) -> tuple[str, ...]:
    """A comment behind the statement, on its line."""
    if statement.block.kind is BlockKind.OPERATORS:
        return ()
    rest = decode(document.data[statement.span.end : line_end(document.data, statement.span.end - 1)]).strip()
    return (rest,) if rest.startswith(("//", "/*")) else ()
