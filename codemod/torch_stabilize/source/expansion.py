"""What macros that are used at namespace scope make: their bodies as text, with the arguments in place, read again."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from torch_stabilize.source.brackets import partners, split_spans
from torch_stabilize.source.document import Document, Macro
from torch_stabilize.source.symbols import Declaration, Definition, MacroUse, read_symbols

_DEPTH = 4
_TOKEN = re.compile(r'"(?:\\.|[^"\\])*"|[A-Za-z_]\w*|\s*##\s*|#(?=\s*[A-Za-z_])|.', re.DOTALL)
_CONTINUATION = re.compile(r"\\\r?\n")
_NAME = re.compile(rb"[A-Za-z_]\w*")
_OF_TORCH = re.compile(r"(?:STABLE_)?TORCH_LIBRARY\w*|PYBIND11_\w+|static_assert|TORCH_\w+")

FindMacro = Callable[[str], tuple[Document, Macro] | None]


class Expanded(NamedTuple):
    """What the uses of a file make, and the names that uses may make which nobody could read."""

    definitions: tuple[Definition, ...] = ()
    declarations: tuple[Declaration, ...] = ()
    hidden: frozenset[str] = frozenset()


def expand(uses: Iterable[MacroUse], find: FindMacro) -> Expanded:
    """What `uses` make, where `find` gives the macro that a name means at that place, None for one that is not seen."""
    definitions: list[Definition] = []
    declarations: list[Declaration] = []
    hidden: set[str] = set()
    for use in uses:
        found = _of_one(use, find)
        definitions += found.definitions
        declarations += found.declarations
        hidden |= found.hidden
    return Expanded(tuple(definitions), tuple(declarations), frozenset(hidden))


def _of_one(use: MacroUse, find: FindMacro) -> Expanded:
    if find(use.name) is None:
        if _OF_TORCH.fullmatch(use.name):
            return Expanded()
        words = frozenset(word.decode() for a in use.arguments for word in _NAME.findall(a.encode()))
        return Expanded(hidden=words)
    call = f"{use.name}({', '.join(use.arguments)})"
    text = _expanded(call, find, _DEPTH) + (" { }" if use.body is not None else "")
    if not text.rstrip().endswith((";", "}")):
        text += ";"
    symbols = read_symbols(Document(use.path, text.encode()))
    prefix = "::".join(filter(None, use.namespace))

    def qualified(name: str) -> str:
        return f"{prefix}::{name}" if prefix and not name.startswith("PyInit_") else name

    def placed(found: Definition) -> Definition:
        symbol = found.symbol._replace(name=qualified(found.symbol.name))
        return found._replace(symbol=symbol, span=use.span, via=use.name, when=())

    def announced(found: Declaration) -> Declaration:
        symbol = found.symbol._replace(name=qualified(found.symbol.name))
        return found._replace(symbol=symbol, span=use.span, via=use.name, when=())

    left = [one for one in symbols.uses if find(one.name) is None and not _OF_TORCH.fullmatch(one.name)]
    words = frozenset(word.decode() for one in left for a in one.arguments for word in _NAME.findall(a.encode()))
    return Expanded(tuple(map(placed, symbols.definitions)), tuple(map(announced, symbols.declarations)), words)


def _expanded(text: str, find: FindMacro, depth: int) -> str:
    """`text` with every macro of the project in it replaced, `depth` times over."""
    if depth == 0:
        return text
    document = Document("macro.h", text.encode())
    pairs = partners(document)
    parts: list[str] = []
    done = 0
    for match in _NAME.finditer(document.code):
        if match.start() < done:
            continue
        macro = find(match.group().decode())
        if macro is None:
            continue
        arguments, end = _arguments(document, pairs, match.end(), macro[1])
        if arguments is None:
            continue
        parts.append(document.data[done : match.start()].decode("utf-8", "replace"))
        parts.append(_filled(*macro, arguments))
        done = end
    if not parts:
        return text
    return _expanded("".join(parts) + document.data[done:].decode("utf-8", "replace"), find, depth - 1)


def _arguments(document: Document, pairs: dict[int, int], place: int, macro: Macro) -> tuple[Sequence[str] | None, int]:
    """The arguments for `macro` that stand at `place`, and where they end; None where it takes some and has none."""
    if macro.params is None:
        return (), place
    opening = place + len(document.code[place:]) - len(document.code[place:].lstrip())
    closing = pairs.get(opening)
    if document.code[opening : opening + 1] != b"(" or closing is None:
        return None, place
    parts = split_spans(document.code, opening + 1, closing)
    return [document.data[start:end].decode("utf-8", "replace") for start, end in parts], closing + 1


def _filled(document: Document, macro: Macro, arguments: Sequence[str]) -> str:
    """The body of `macro` with `arguments` for its parameters; what `##` is between becomes one word."""
    body = _CONTINUATION.sub(" ", document.data[macro.body.start : macro.body.end].decode("utf-8", "replace"))
    values = dict(_values(macro.params or (), arguments))
    parts: list[str] = []
    text_next = False
    for token in _TOKEN.findall(body):
        if token.strip() == "##":
            while parts and not parts[-1].strip():
                parts.pop()
        elif token == "#":
            text_next = True
        elif text_next:
            parts.append('"' + values.get(token, token).replace('"', "") + '"')
            text_next = False
        else:
            parts.append(values.get(token, token))
    return "".join(parts)


def _values(params: Sequence[str], arguments: Sequence[str]) -> Iterator[tuple[str, str]]:
    for place, name in enumerate(params):
        if name.endswith("..."):
            yield name.removesuffix("...") or "__VA_ARGS__", ", ".join(arguments[place:])
        else:
            yield name, arguments[place] if place < len(arguments) else ""
