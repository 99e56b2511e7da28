"""Read every form of registration of one file: TORCH_LIBRARY*, their STABLE_ counterparts, PYBIND11_MODULE."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from torch_stabilize.bindings.reading.model import Bindings, Block, BlockKind, Side, Statement, StatementKind
from torch_stabilize.bindings.reading.names import EXTENSION_NAME, defined_names, resolve_name
from torch_stabilize.bindings.reading.operators import read_register_operators
from torch_stabilize.bindings.reading.overloads import told_apart
from torch_stabilize.bindings.reading.statements import read_arguments
from torch_stabilize.bindings.reading.text import comments_above, comments_below
from torch_stabilize.model import Span
from torch_stabilize.source.brackets import partners, plain_code, split_spans
from torch_stabilize.source.conditions import conditions_at
from torch_stabilize.source.document import Document, per_document
from torch_stabilize.source.patterns import places
from torch_stabilize.source.spans import line_end, line_start

_BLOCK = re.compile(
    rb"\b(?P<macro>(?P<stable>STABLE_)?TORCH_LIBRARY(?P<kind>_FRAGMENT|_IMPL)?(?:_[A-Z]+)?|PYBIND11_MODULE(?:_[A-Z]+)?)"
    rb"\s*(?=\()"
)
_MARKS = (b"TORCH_LIBRARY", b"PYBIND11_MODULE")
_BODY = re.compile(rb"\s*\{")
_CALL = re.compile(
    rb"(?P<variable>[A-Za-z_]\w*)\s*(?:\.|->)\s*(?:template\s+)?(?P<method>[A-Za-z_]\w*)\s*(?P<open>[(<])"
)
_BEGIN = re.compile(rb"[^\s;]")
_SIGN = re.compile(rb"[;(\[{]")
_COMPOUND = re.compile(rb"(?:if|for|while|do|switch|try)\b|\{")
_STABLE = b"STABLE_"
_KINDS = {None: BlockKind.LIBRARY, b"_FRAGMENT": BlockKind.FRAGMENT, b"_IMPL": BlockKind.IMPL}
_HINTS = (*_MARKS, b"RegisterOperators", b"::module")
# A function that the module of another file hands itself to.
_REGISTERING = re.compile(
    rb"\b(?:(?:static|inline)\s+)*void\s+(?P<name>[A-Za-z_]\w*)\s*\(\s*(?:::)?(?:py|pybind11)\s*::\s*module_?\s*&?\s*"
    rb"(?P<variable>[A-Za-z_]\w*)\s*\)\s*(?=\{)"
)


def has_bindings(data: bytes) -> bool:
    """A quick look: whether a file may register something."""
    return any(hint in data for hint in _HINTS)


def read_bindings(document: Document, definitions: Mapping[str, str] | None = None) -> Bindings:
    """Every registration block of `document` with its statements, in file order.

    `definitions` are macros that the build defines (`TORCH_EXTENSION_NAME`); the file's own `#define`s win.
    """
    if not has_bindings(document.data):
        return Bindings(document.path)
    words = document.words
    # a function that registers for a module of another file does so under that module's name
    is_handed = not words.isdisjoint((b"module", b"module_"))
    named = (
        (name, value)
        for name, value in (definitions or {}).items()
        if name.encode() in words or (is_handed and name == EXTENSION_NAME)
    )
    return _read_bindings(document, frozenset(named))  # read once for all who define what the file does not name


@functools.lru_cache(maxsize=1024)
def _read_bindings(document: Document, definitions: frozenset[tuple[str, str]]) -> Bindings:
    blocks = _opened(document, definitions)
    statements = [statement for block in blocks for statement in _statements(document, block)]
    statements = told_apart(statements)
    for block, found in read_register_operators(document):
        blocks.append(block)
        statements += found
    return Bindings(
        document.path,
        tuple(sorted(blocks, key=lambda block: block.span.start)),
        tuple(sorted(statements, key=lambda statement: statement.span.start)),
    )


def _opened(document: Document, definitions: Iterable[tuple[str, str]]) -> list[Block]:
    """The blocks that a macro or a function opens."""
    known = {**dict(definitions), **defined_names(document)}
    blocks = list(_blocks(document, known))
    return [*blocks, *_registering_functions(document, known, blocks)]


@per_document
def binding_spans(document: Document) -> tuple[Span, ...]:
    """The spans of the registration blocks of `document`: other rooms leave them alone."""
    if not has_bindings(document.data):
        return ()
    blocks = [*_opened(document, ()), *(block for block, _ in read_register_operators(document))]
    return tuple(sorted((block.span for block in blocks), key=lambda span: span.start))


def lambda_spans(document: Document) -> tuple[Span, ...]:
    """The lambdas that the blocks of `document` register: code like any other."""
    functions = (statement.function for statement in read_bindings(document).statements)
    return tuple(function.span for function in functions if function is not None and function.is_lambda)


def registration_spans(document: Document) -> tuple[Span, ...]:
    """The spans of the registration blocks without the lambdas in them."""
    found: list[Span] = []
    for block in binding_spans(document):
        start = block.start
        for inner in sorted((s for s in lambda_spans(document) if block.contains(s)), key=lambda s: s.start):
            found.append(Span(start, inner.start))
            start = inner.end
        found.append(Span(start, block.end))
    return tuple(found)


def _blocks(document: Document, definitions: Mapping[str, str]) -> Iterator[Block]:
    code = plain_code(document)
    pairs = partners(document)
    for mark in places(code, *_MARKS):
        match = _BLOCK.match(code, mark - len(_STABLE) * code.endswith(_STABLE, 0, mark))
        if match is None:
            continue
        opening = code.index(b"(", match.end() - 1)
        closing = pairs.get(opening)
        if closing is None:
            continue
        brace = _BODY.match(code, closing + 1)
        if brace is None or (end := pairs.get(brace.end() - 1)) is None:
            continue
        arguments = [
            document.text(Span(*part)).decode("utf-8", "replace") for part in split_spans(code, opening + 1, closing)
        ]
        macro = match.group("macro").decode()
        kind = BlockKind.PYBIND if macro.startswith("PYBIND11") else _KINDS[match.group("kind")]
        if len(arguments) < (3 if kind is BlockKind.IMPL else 2):
            continue
        yield Block(
            path=document.path,
            kind=kind,
            side=Side.STABLE if match.group("stable") else Side.LEGACY,
            macro=macro,
            namespace_text=arguments[0],
            namespace=resolve_name(arguments[0], definitions),
            key=resolve_name(arguments[1], definitions) if kind is BlockKind.IMPL else "",
            variable=arguments[2 if kind is BlockKind.IMPL else 1],
            span=Span(match.start(), end + 1),
            body=Span(brace.end(), end),
            conditions=conditions_at(document, match.start()),
        )


def _registering_functions(
    document: Document, definitions: Mapping[str, str], blocks: Sequence[Block]
) -> Iterator[Block]:
    """`void init(py::module& m) { m.def(...); }`: its functions belong to the module that calls it."""
    code = plain_code(document)
    modules = [block.namespace_text for block in blocks if block.kind is BlockKind.PYBIND]
    name = modules[0] if modules else "TORCH_EXTENSION_NAME"
    for match in _REGISTERING.finditer(code) if b"module" in code else ():
        end = partners(document).get(match.end())
        variable = match.group("variable")
        binds = (
            rb"\b" + variable + rb"\s*\.\s*def\s*\(|\b(?:class_|enum_|bind_\w+)\s*<[^;{}]*?\(\s*" + variable + rb"\b"
        )
        if end is None or not re.search(binds, code[match.end() : end]):
            continue
        yield Block(
            path=document.path, kind=BlockKind.PYBIND, side=Side.LEGACY, macro="", namespace_text=name,
            namespace=resolve_name(name, definitions), key="", variable=variable.decode(),
            span=Span(match.start(), end + 1), body=Span(match.end() + 1, end),
            conditions=conditions_at(document, match.start()), function=match.group("name").decode(),
        )  # fmt: skip


def _statements(document: Document, block: Block) -> Iterator[Statement]:
    floor = line_end(document.data, block.body.start)
    for span in _statement_spans(document, block.body):
        statement = _statement(document, block, span, floor)
        floor = statement.lines.end
        yield statement


def _statement_spans(document: Document, body: Span) -> Iterator[Span]:
    code = plain_code(document)
    pairs = partners(document)
    index = body.start
    while begin := _BEGIN.search(code, index, body.end):
        start = index = begin.start()
        compound = _COMPOUND.match(code, start)
        while sign := _SIGN.search(code, index, body.end):
            index = pairs.get(sign.start(), sign.start()) + 1
            if sign.group() == b";" or (sign.group() == b"{" and compound):
                break
        else:
            index = body.end
        yield Span(start, min(index, body.end))


def _statement(document: Document, block: Block, span: Span, floor: int) -> Statement:
    data = document.data
    first_line = line_start(data, span.start)
    end = line_end(data, max(span.start, span.end - 1))
    ceiling = line_start(data, block.body.end)
    comments = comments_above(document, first_line, min(floor, first_line))
    trailing = comments_below(document, end, ceiling) if end <= ceiling else Span(end, end)
    above = data[line_start(data, comments.start - 1) : comments.start] if comments.start else b"x"
    common = Statement(
        block=block,
        kind=StatementKind.OTHER,
        span=span,
        lines=Span(comments.start, max(trailing.end, span.end)),
        comments=comments,
        trailing=trailing,
        heading=Span(min(floor, comments.start), comments.start),
        conditions=conditions_at(document, span.start),
        blank_before=not above.strip() or above.lstrip().startswith(b"#") or above.rstrip().endswith(b"{"),
    )
    return _read_call(document, block, span, common)


def _read_call(document: Document, block: Block, span: Span, common: Statement) -> Statement:
    code = plain_code(document)
    call = _CALL.match(code, span.start, span.end)
    text = code[span.start : span.end]
    if block.kind is BlockKind.PYBIND and re.match(rb"(?:py|pybind11|torch|c10)::(?:class_|enum_|python::)", text):
        return common._replace(kind=StatementKind.CLASS)
    if call is None or call.group("variable").decode() != block.variable:
        return common
    method = call.group("method").decode()
    if method in ("class_", "fallback"):
        return common._replace(kind=StatementKind(method.rstrip("_")))
    closing = partners(document).get(call.end() - 1)
    chained = closing is None or code[closing + 1 : span.end].strip() != b";"
    if method not in ("def", "impl") or call.group("open") != b"(" or chained or closing is None:
        return common
    arguments = [Span(*part) for part in split_spans(code, call.end(), closing)]
    return read_arguments(document, common, method, arguments)
