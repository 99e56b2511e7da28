"""The oldest form of registration: `static auto r = torch::RegisterOperators("ns::op", &f).op("ns::g(...)", &g);`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from torch_stabilize.bindings.reading.functions import dispatch_key, read_function
from torch_stabilize.bindings.reading.model import Block, BlockKind, Side, Statement, StatementKind
from torch_stabilize.bindings.reading.statements import read_arguments
from torch_stabilize.bindings.reading.text import comments_above
from torch_stabilize.model import Span
from torch_stabilize.source.brackets import closing_angle, partners, plain_code, split_spans
from torch_stabilize.source.conditions import conditions_at
from torch_stabilize.source.document import Document
from torch_stabilize.source.spans import line_end, line_start

_START = re.compile(rb"\b(?:(?:torch|c10|at|jit)\s*::\s*)*RegisterOperators\b(?!\s*::)")
_OP = re.compile(rb"\s*\.\s*op\s*\(|\s*\(")
_KERNEL = re.compile(rb"\.\s*(?P<method>kernel|catchAllKernel|schema|aliasAnalysis)\s*(?P<open>[<(])")


def read_register_operators(document: Document) -> Iterator[tuple[Block, list[Statement]]]:
    """Each declaration that registers through RegisterOperators, as a block of `def` statements."""
    if b"RegisterOperators" not in document.data:
        return
    code = plain_code(document)
    pairs = partners(document)
    done = 0
    for match in _START.finditer(code):
        if match.start() < done:
            continue
        end = match.end()
        while end < len(code) and code[end : end + 1] != b";":
            end = pairs.get(end, end) + 1
        end = done = min(end + 1, len(code))
        start = _declaration_start(code, match.start())
        block = Block(
            path=document.path, kind=BlockKind.OPERATORS, side=Side.LEGACY, macro="RegisterOperators",
            namespace_text="", namespace="", key="", variable="", span=Span(start, end),
            body=Span(match.end(), end - 1), conditions=conditions_at(document, start),
        )  # fmt: skip
        yield block, list(_ops(document, block))


def _declaration_start(code: bytes, offset: int) -> int:
    before = max(code.rfind(sign, 0, offset) for sign in (b";", b"}", b"{")) + 1
    return before + len(code[before:offset]) - len(code[before:offset].lstrip())


def _ops(document: Document, block: Block) -> Iterator[Statement]:
    code = plain_code(document)
    pairs = partners(document)
    index = block.body.start
    # a variable may have been named: `RegisterOperators registry("ns::op", &f)`
    if match := re.compile(rb"\s+[A-Za-z_]\w*").match(code, index, block.body.end):
        index = match.end()
    while match := _OP.match(code, index, block.body.end):
        closing = pairs.get(match.end() - 1, block.body.end)
        arguments = [Span(*part) for part in split_spans(code, match.end(), closing)]
        span = Span(index + len(match.group()) - len(match.group().lstrip()), closing + 1)
        if arguments:
            yield _op(document, block, span, arguments)
        index = closing + 1


def _op(document: Document, block: Block, span: Span, arguments: list[Span]) -> Statement:
    first_line = line_start(document.data, span.start)
    common = Statement(
        block=block,
        kind=StatementKind.OTHER,
        span=span,
        lines=Span(first_line, max(span.end, line_end(document.data, span.end - 1))),
        comments=comments_above(document, first_line, 0)
        if first_line > block.span.start
        else Span(first_line, first_line),
        trailing=Span(span.end, span.end),
        heading=Span(first_line, first_line),
        conditions=conditions_at(document, span.start),
    )
    options = plain_code(document)[arguments[-1].start : arguments[-1].end]
    if not re.search(rb"\boptions\s*\(\s*\)", options):
        return read_arguments(document, common, "def", arguments)
    statement = read_arguments(document, common, "def", arguments[:1])
    return _with_options(document, statement, arguments[-1])


def _with_options(document: Document, statement: Statement, options: Span) -> Statement:
    """`RegisterOperators::options().schema(...).kernel<decltype(f), &f>(DispatchKey::CPU)`."""
    code = plain_code(document)
    pairs = partners(document)
    for match in _KERNEL.finditer(code, options.start, options.end):
        opening = match.end() - 1
        inside: list[Span] = []
        if match.group("open") == b"<":
            close = closing_angle(code, opening)
            inside = [Span(*part) for part in split_spans(code, opening + 1, close)]
            opening = code.index(b"(", close)
        called = [Span(*part) for part in split_spans(code, opening + 1, pairs.get(opening, options.end))]
        method = match.group("method")
        if method == b"schema" and called:
            read = read_arguments(document, statement, "def", called[:1])
            statement = read._replace(function=statement.function, key=statement.key)
        elif method in (b"kernel", b"catchAllKernel"):
            keys = [dispatch_key(document.text(span).decode("utf-8", "replace")) for span in called]
            functions = [span for span, key in zip(called, keys, strict=True) if key is None] or inside[-1:]
            if functions:
                _, function = read_function(document, functions[-1])
                statement = statement._replace(function=function, key=next((k for k in keys if k), ""))
    return statement
