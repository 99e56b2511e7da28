"""What macros and function templates of the project print of what they are given: `#define NEED(c, ...) TORCH_CHECK(c, __VA_ARGS__)`."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator

from tree_sitter import Node

from torch_stabilize.model import Span
from torch_stabilize.rules.called import calls_of, place_of_parameter
from torch_stabilize.rules.printing import printer_of
from torch_stabilize.source.arguments import argument_spans
from torch_stabilize.source.brackets import closing_bracket
from torch_stabilize.source.declarations import around, declared_by
from torch_stabilize.source.document import Document, Fragment, Macro
from torch_stabilize.source.scopes import TypeFinder, arguments_of
from torch_stabilize.source.signatures import Function, read_signatures

# A check and how many arguments of it are no message, and functions that make text of all they are given.
_PRINTS = re.compile(
    rb"\b(?P<check>(?:STD_)?TORCH_(?:CHECK(?:_VALUE|_INDEX|_TYPE|_NOT_IMPLEMENTED)?|INTERNAL_ASSERT)|AT_ASSERTM)\s*\("
    rb"|\b(?:TORCH_WARN(?:_ONCE)?|AT_(?:ERROR|WARN)|(?:c10|at|torch)\s*::\s*str|concatenate)\s*\("
)
_CALLED = re.compile(rb"\b(?P<name>[A-Za-z_]\w*)\s*\(")
_MADE_TEXT = re.compile(rb"(?<!#)#\s*\Z")
_DEEP = 3
_REST = -1  # the arguments for `...`
Given = tuple[Fragment, Node]


def printed_arguments(document: Document, finder: TypeFinder) -> Iterator[Given]:
    """The arguments in a file, each with its fragment, that a macro or a function template with a pack prints."""
    macros = finder.macros
    for name, defined in macros.definitions.items():
        if name.encode() not in document.words:
            continue
        printed = _printed_by_macro(name, finder, 0)
        if not printed:
            continue
        count = max(len(macro.params or ()) for _, macro in defined)
        variadic = any((macro.params or ("",))[-1].endswith("...") for _, macro in defined)
        for user, fragment, spans, _ in macros.of(name):
            for place, span in enumerate(spans if user is document else ()):
                is_rest = variadic and place >= count - 1
                node = fragment.node_at(span) if (_REST if is_rest else place) in printed else None
                if node is not None and fragment.span(node) == span:
                    yield fragment, node
    for name, first in sorted(_pack_printers(finder)):
        if name.encode() in document.words:
            for call, fragment in calls_of(name, document):
                yield from ((fragment, node) for node in arguments_of(call)[first:])


def _printed_by_macro(name: str, finder: TypeFinder, depth: int) -> frozenset[int]:
    """The parameters of a macro that it does nothing with but print them."""
    found: set[int] = set()
    for document, macro in finder.macros.definitions.get(name, ()) if depth < _DEEP else ():
        body = document.code[macro.body.start : macro.body.end]
        printed = [*_messages(document, macro.body), *_handed_on(document, macro, finder, depth)]
        for place, parameter in enumerate(macro.params or ()):
            is_rest = parameter.endswith("...")
            word = (parameter.removesuffix("...") or "__VA_ARGS__").encode()
            spans = [Span(macro.body.start + m.start(), macro.body.start + m.end()) for m in _words(word, body)]
            inside = [any(one.contains(span) for one in printed) or _is_streamed(document, span) for span in spans]
            is_printed = any(inside) if is_rest else bool(spans) and all(inside)
            if is_printed and not (spans and _is_typed(spans[0], document, finder)):
                found.add(_REST if is_rest else place)
    return frozenset(found)


def _is_typed(span: Span, document: Document, finder: TypeFinder) -> bool:
    """Whether a parameter has one type wherever the macro is used, so that the body prints it."""
    fragment = document.fragment_at(span.start)
    node = fragment.node_at(span)
    return node is not None and printer_of(finder.type_of(node, fragment, document)) is not None


def _words(word: bytes, text: bytes) -> Iterator[re.Match[bytes]]:
    found = re.finditer(rb"\b" + re.escape(word) + rb"\b", text)
    return (match for match in found if not _MADE_TEXT.search(text[: match.start()]))


def _is_streamed(document: Document, span: Span) -> bool:
    """Whether what is at `span`, or brackets around it alone, is behind `<<`."""
    before = document.code[max(0, span.start - 40) : span.start]
    return re.search(rb"<<[\s\\(]*\Z", before) is not None


def _messages(document: Document, within: Span) -> Iterator[Span]:
    """Places in a body at which arguments are printed alone: each the span of an argument."""
    for match in _PRINTS.finditer(document.code, within.start, within.end):
        given = argument_spans(document, match.end() - 1)
        for span in given[1 if match["check"] else 0 :]:
            if re.fullmatch(rb"[\s\\(]*(?:##\s*)?\w+[\s\\)]*(?:\.\.\.)?", document.text(span)):
                yield span


def _handed_on(document: Document, macro: Macro, finder: TypeFinder, depth: int) -> Iterator[Span]:
    """Arguments in a macro's body that another macro prints."""
    for match in _CALLED.finditer(document.code, macro.body.start, macro.body.end):
        name, macros = match["name"].decode(), finder.macros
        if name == macro.name or name not in macros.definitions:
            continue
        printed = _printed_by_macro(name, finder, depth + 1)
        if not printed:
            continue
        count = max(len(one.params or ()) for _, one in macros.definitions[name])
        for place, span in enumerate(argument_spans(document, match.end() - 1)):
            if place in printed or (_REST in printed and place >= count - 1):
                yield span


@functools.lru_cache(maxsize=1024)
def _packs_of(document: Document) -> frozenset[tuple[str, int]]:
    """The function templates of a file that print their pack, with its place among the parameters."""
    if b"..." not in document.code:
        return frozenset()
    found = {
        (function.name, len(function.parameters) - 1)
        for function in read_signatures(document)
        if function.template and function.body is not None and _prints_pack(document, function)
    }
    return frozenset(found | set(_packs_of_methods(document)))


def _packs_of_methods(document: Document) -> Iterator[tuple[str, int]]:
    """The member functions that classes define and that print their pack."""
    waiting = [document.whole.tree.root_node]
    while waiting:
        node = waiting.pop()
        waiting += node.named_children
        if node.type != "variadic_parameter_declaration" or node.parent is None:
            continue
        place, method = place_of_parameter(node), around(node, ("function_definition",))
        body = method.child_by_field_name("body") if method is not None else None
        declared = next(declared_by(node), None)
        if place is not None and body is not None and declared is not None:
            inside = Span(body.start_byte, body.end_byte)
            if around(node, ("field_declaration_list",)) is not None and _expands(declared.name, inside, document):
                yield place.name, place.position


def _prints_pack(document: Document, function: Function) -> bool:
    last = function.parameters[-1] if function.parameters else None
    assert function.body is not None
    if last is None or "..." not in document.code[function.head.start : function.head.end].decode("utf-8", "replace"):
        return False
    if "..." not in last.type_text or not last.name:
        return False
    return _expands(last.name, function.body, document)


def _expands(name: str, inside: Span, document: Document) -> bool:
    """Whether a body prints the pack `name`."""
    word = re.escape(name.encode())
    expanded = re.compile(rb"\b" + word + rb"\s*\)?\s*\.\.\.")
    body = document.code[inside.start : inside.end]
    if re.search(rb"<<\s*(?:\.\.\.\s*<<\s*)?(?:std\s*::\s*forward\s*<[^;()]*>\s*\(\s*)?" + word + rb"\b", body):
        return True
    for match in _PRINTS.finditer(document.code, inside.start, inside.end):
        close = closing_bracket(document.code, match.end() - 1)
        if expanded.search(document.code[match.end() : close]):
            return True
    return False


def _pack_printers(finder: TypeFinder) -> frozenset[tuple[str, int]]:
    return frozenset(one for document in finder.documents for one in _packs_of(document))
