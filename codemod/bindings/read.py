"""Read every form of registration of one file: TORCH_LIBRARY*, their STABLE_ counterparts, PYBIND11_MODULE."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from codemod.bindings.functions import read_function
from codemod.bindings.model import NO_KEY, Bindings, Block, BlockKind, PythonArgument, Side, Statement, StatementKind
from codemod.bindings.names import defined_names, resolve_name
from codemod.bindings.operators import read_register_operators
from codemod.bindings.text import comments_above, comments_below, line_end, line_start, string_value
from codemod.model import Span
from codemod.source.brackets import partners, plain_code, split_spans
from codemod.source.conditions import conditions_at
from codemod.source.document import Document

_BLOCK = re.compile(
    rb"\b(?P<macro>(?P<stable>STABLE_)?TORCH_LIBRARY(?P<kind>_FRAGMENT|_IMPL)?(?:_[A-Z]+)?|PYBIND11_MODULE(?:_[A-Z]+)?)"
    rb"\s*(?=\()"
)
_CALL = re.compile(rb"(?P<variable>[A-Za-z_]\w*)\s*(?:\.|->)\s*(?:template\s+)?(?P<method>[A-Za-z_]\w*)\s*(?P<open>[(<])")
_COMPOUND = re.compile(rb"(?:if|for|while|do|switch|try)\b|\{")
_KINDS = {None: BlockKind.LIBRARY, b"_FRAGMENT": BlockKind.FRAGMENT, b"_IMPL": BlockKind.IMPL}
_HINTS = (b"TORCH_LIBRARY", b"PYBIND11_MODULE", b"RegisterOperators")
_SCHEMA_WRAPPER = re.compile(r"^(?:torch::schema|TORCH_SELECTIVE_SCHEMA|TORCH_SELECTIVE_NAME)\s*\(", re.DOTALL)
_NAME = re.compile(r"\s*(?:(?P<namespace>\w+)::)?(?P<name>[\w\-]+)(?:\.(?P<overload>\w+))?\s*(?P<rest>.*)$", re.DOTALL)
_KEY = re.compile(r"(?:(?:torch|c10|at)::)?(?:(?:DispatchKey|DeviceType)::(?P<full>\w+)|k(?P<short>[A-Z]\w*))$")


def has_bindings(data: bytes) -> bool:
    """A quick look: whether a file may register something."""
    return any(hint in data for hint in _HINTS)


def read_bindings(document: Document, definitions: Mapping[str, str] | None = None) -> Bindings:
    """Every registration block of `document` with its statements, in file order.

    `definitions` are macros that the build defines (`TORCH_EXTENSION_NAME`); the file's own `#define`s win.
    """
    if not has_bindings(document.data):
        return Bindings(document.path)
    known = {**(definitions or {}), **defined_names(document)}
    blocks = [block for block in _blocks(document, known)]
    statements = [statement for block in blocks for statement in _statements(document, block)]
    for block, found in read_register_operators(document):
        blocks.append(block)
        statements += found
    return Bindings(
        document.path,
        tuple(sorted(blocks, key=lambda block: block.span.start)),
        tuple(sorted(statements, key=lambda statement: statement.span.start)),
    )


def binding_spans(document: Document) -> tuple[Span, ...]:
    """The spans of the registration blocks of `document`: other rooms leave them alone."""
    return tuple(block.span for block in read_bindings(document).blocks)


def dispatch_key(text: str) -> str | None:
    """`torch::kCUDA`, `c10::DispatchKey::CUDA`, `c10::DeviceType::CUDA` as "CUDA"; None for what is no key."""
    match = _KEY.fullmatch("".join(text.split()))
    return (match["full"] or match["short"]) if match else None


def _blocks(document: Document, definitions: Mapping[str, str]) -> Iterator[Block]:
    code = plain_code(document)
    pairs = partners(document)
    for match in _BLOCK.finditer(code):
        opening = code.index(b"(", match.end() - 1)
        closing = pairs.get(opening)
        if closing is None:
            continue
        brace = re.compile(rb"\s*\{").match(code, closing + 1)
        if brace is None or (end := pairs.get(brace.end() - 1)) is None:
            continue
        arguments = [document.text(Span(*part)).decode() for part in split_spans(code, opening + 1, closing)]
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
    while index < body.end:
        if code[index : index + 1].isspace() or code[index : index + 1] == b";":
            index += 1
            continue
        start = index
        compound = _COMPOUND.match(code, start)
        while index < body.end and code[index : index + 1] != b";":
            is_brace = code[index : index + 1] == b"{"
            index = pairs.get(index, index) + 1
            if is_brace and compound:
                break
        else:
            index += 1
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
        return _with(common, kind=StatementKind.CLASS)
    if call is None or call.group("variable").decode() != block.variable:
        return common
    method = call.group("method").decode()
    if method in ("class_", "fallback"):
        return _with(common, kind=StatementKind(method.rstrip("_")))
    closing = partners(document).get(call.end() - 1)
    chained = closing is None or code[closing + 1 : span.end].strip() != b";"
    if method not in ("def", "impl") or call.group("open") != b"(" or chained or closing is None:
        return common
    arguments = [Span(*part) for part in split_spans(code, call.end(), closing)]
    return read_arguments(document, common, method, arguments)


def read_arguments(document: Document, common: Statement, method: str, arguments: list[Span]) -> Statement:
    """The statement that `method` with these argument spans is; `common` comes back where they cannot be read."""
    named = _read_name(document.uncommented[arguments[0].start : arguments[0].end].decode()) if arguments else None
    if named is None:
        return common
    namespace, name, overload, schema = named
    block = common.block
    fields: dict[str, object] = {
        "kind": StatementKind(method), "namespace": namespace or block.namespace, "name": name, "overload": overload,
        "first": arguments[0], "key": block.key or NO_KEY,
    }  # fmt: skip
    if method == "def":
        fields["schema"] = schema or None
    python_arguments: list[PythonArgument] = []
    for span in arguments[1:]:
        text = document.uncommented[span.start : span.end].decode("utf-8", "replace").strip()
        if text.startswith("{"):
            fields["tags"] = text
        elif (key := dispatch_key(text)) is not None:
            fields["key"] = key
        elif argument := _python_argument(text):
            python_arguments.append(argument)
        elif (literal := string_value(text)) is not None:
            fields["doc"] = literal
        elif "function" not in fields and not re.match(r"(?:py|pybind11)::", text.replace("py::overload_cast", "")):
            key, function = read_function(document, span)
            fields["function"] = function
            if key:
                fields["key"] = key
    fields["arguments"] = tuple(python_arguments)
    return _with(common, **fields)


def _read_name(text: str) -> tuple[str, str, str, str] | None:
    """Namespace, name, overload and the rest of a schema or a name; None where the text is no literal."""
    text = text.strip()
    if match := _SCHEMA_WRAPPER.match(text):
        text = text[match.end() :].rpartition(")")[0]
        text = re.split(r",(?=[^\"]*$)", text)[0]
    value = string_value(text)
    match = _NAME.match(value) if value is not None else None
    return (match["namespace"] or "", match["name"], match["overload"] or "", match["rest"]) if match else None


def _python_argument(text: str) -> PythonArgument | None:
    match = re.match(r'(?:(?:py|pybind11)::)?arg\(\s*"(?P<name>\w+)"\s*\)(?:\.\w+\(.*?\))?\s*(?:=\s*(?P<default>.+))?$', text, re.DOTALL)
    if match is None:
        match = re.match(r'"(?P<name>\w+)"_a\s*(?:=\s*(?P<default>.+))?$', text, re.DOTALL)
    return PythonArgument(match["name"], " ".join((match["default"] or "").split())) if match else None


def _with(statement: Statement, **fields: object) -> Statement:
    from dataclasses import replace

    return replace(statement, **fields)  # type: ignore[arg-type]
