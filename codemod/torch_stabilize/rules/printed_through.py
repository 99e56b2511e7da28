"""What macros and function templates of the project print of what they are given: `#define NEED(c, ...) TORCH_CHECK(c, __VA_ARGS__)`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from tree_sitter import Node

from torch_stabilize.model import Span
from torch_stabilize.rules.called import calls_of, place_of_parameter
from torch_stabilize.rules.printing import printer_of
from torch_stabilize.source.callees import reference_of
from torch_stabilize.source.declarations import around, declared_by, text_of
from torch_stabilize.source.document import Document, Fragment, Macro, per_document
from torch_stabilize.source.macro_uses import is_made_text
from torch_stabilize.source.scopes import TypeFinder, arguments_of
from torch_stabilize.source.signatures import read_signatures
from torch_stabilize.source.types import NUMBERS
from torch_stabilize.source.uses.names import identifiers

# From which argument on checks print theirs, and functions that make text of all they are given.
_CHECKS = (
    "TORCH_CHECK", "TORCH_CHECK_VALUE", "TORCH_CHECK_INDEX", "TORCH_CHECK_TYPE", "TORCH_CHECK_NOT_IMPLEMENTED",
    "TORCH_INTERNAL_ASSERT", "STD_TORCH_CHECK", "STD_TORCH_CHECK_VALUE", "STD_TORCH_CHECK_INDEX", "AT_ASSERTM",
)  # fmt: skip
_TEXTS = ("TORCH_WARN", "TORCH_WARN_ONCE", "AT_ERROR", "AT_WARN", "c10::str", "at::str", "torch::str")
_PRINTED_FROM = {**dict.fromkeys(_CHECKS, 1), **dict.fromkeys(_TEXTS, 0)}
_HANDED_ON = frozenset({"std::forward", "std::move", "std::as_const"})
_DEEP = 3
_REST = -1  # the arguments for `...`

# Whether what a call names prints its argument at a place.
Prints = Callable[[Node, int], bool]


class Printed(NamedTuple):
    """An argument that is printed; `alone`: nothing else is done with it, so that it may be text already."""

    fragment: Fragment
    node: Node
    alone: bool


def printed_arguments(document: Document, finder: TypeFinder) -> Iterator[Printed]:
    """The arguments in a file that a macro or a function template with a pack prints."""
    macros = finder.macros
    for name, defined in macros.definitions.items():
        if name.encode() not in document.words:
            continue
        printed = _printed_by_macro(name, finder, 0)
        if not printed:
            continue
        for user, fragment, spans, _ in macros.of(name):
            for place, span in enumerate(spans if user is document else ()):
                alone = printed.get(_place(place, defined))
                node = fragment.node_at(span) if alone is not None else None
                if node is not None and alone is not None and fragment.span(node) == span:
                    yield Printed(fragment, node, alone)
    for pack in sorted(_pack_printers(finder)):
        if pack.name.encode() in document.words:
            for call, fragment in calls_of(pack.name, document):
                yield from (Printed(fragment, node, pack.alone) for node in arguments_of(call)[pack.first :])


def _place(place: int, defined: list[tuple[Document, Macro]]) -> int:
    """Which parameter of a macro an argument is for."""
    count = max(len(macro.params or ()) for _, macro in defined)
    is_rest = any((macro.params or ("",))[-1].endswith("...") for _, macro in defined) and place >= count - 1
    return _REST if is_rest else place


def _printed_by_macro(name: str, finder: TypeFinder, depth: int) -> dict[int, bool]:
    """The parameters that a macro prints, and whether that is all that it does with them."""
    found: dict[int, bool] = {}
    packs = _pack_printers(finder)

    def prints(callee: Node, place: int) -> bool:
        named = reference_of(callee).removeprefix("::")
        if named != name and (defined := finder.macros.definitions.get(named)):
            return _place(place, defined) in _printed_by_macro(named, finder, depth + 1)
        if finder.own_spaces.has(named, callee):
            return False
        last = named.rpartition("::")[2]
        return _of_torch(callee, place) or any(pack.name == last and place >= pack.first for pack in packs)

    for document, macro in finder.macros.definitions.get(name, ()) if depth < _DEEP else ():
        fragment = document.fragment_at(macro.body.start)
        body = macro.body.shifted(-fragment.base)
        for place, parameter in enumerate(macro.params or ()):
            is_rest = parameter.endswith("...")
            word = parameter.removesuffix("...") or "__VA_ARGS__"
            uses = [n for n in identifiers(word, body, fragment, document) if not is_made_text(n, fragment, document)]
            inside = [is_printed(node, prints) and not _shifts(node, fragment, document, finder) for node in uses]
            if any(inside) and not _is_typed(uses[0], fragment, document, finder):
                key = _REST if is_rest else place
                found[key] = all(inside) and found.get(key, True)
    return found


def is_printed(node: Node, prints: Prints) -> bool:
    """Whether an expression, itself or forwarded, is behind `<<` or an argument of what `prints` says that it prints."""
    parent = node.parent
    if parent is None:
        return False
    if parent.type in ("parenthesized_expression", "parameter_pack_expansion"):
        return is_printed(parent, prints)
    if parent.type in ("binary_expression", "fold_expression"):
        operator = parent.child_by_field_name("operator")
        is_right = parent.child_by_field_name("right") == node
        return is_right and operator is not None and text_of(operator) == "<<" and not _is_number(_stream(parent))
    call = parent.parent if parent.type == "argument_list" else None
    callee = call.child_by_field_name("function") if call is not None and call.type == "call_expression" else None
    if call is None or callee is None:
        return False
    if reference_of(callee) in _HANDED_ON:
        return is_printed(call, prints)
    return prints(callee, arguments_of(call).index(node))


def _of_torch(callee: Node, place: int) -> bool:
    """Whether what a call names is a check that prints its argument at a place, or a function that makes text."""
    name = reference_of(callee).removeprefix("::")
    return callee.type != "field_expression" and place >= _PRINTED_FROM.get(name, place + 1)


def _stream(node: Node) -> Node:
    """`a` of `a << b << c`."""
    while node.type in ("binary_expression", "fold_expression") and (left := node.child_by_field_name("left")):
        node = left
    return node


def _is_number(node: Node) -> bool:
    return node.type in ("number_literal", "char_literal", "sizeof_expression")


def _shifts(node: Node, fragment: Fragment, document: Document, finder: TypeFinder) -> bool:
    """Whether what is in front of the `<<` around an expression is a number."""
    shifted = around(node, ("binary_expression",))
    return shifted is not None and finder.type_of(_stream(shifted), fragment, document).name in NUMBERS


def _is_typed(node: Node, fragment: Fragment, document: Document, finder: TypeFinder) -> bool:
    """Whether a parameter has one type wherever the macro is used, so that the body prints it."""
    return printer_of(finder.type_of(node, fragment, document)) is not None


# function templates -------------------------------------------------------------------------------------------------


class Pack(NamedTuple):
    """A function that prints what it is given from the parameter `first` on; `alone`: and does nothing else with it."""

    name: str
    first: int
    alone: bool


@per_document
def _packs_of(document: Document) -> frozenset[Pack]:
    """The function templates of a file that print their pack."""
    if b"..." not in document.code:
        return frozenset()
    return frozenset((*_packs_of_functions(document), *_packs_of_methods(document)))


def _packs_of_functions(document: Document) -> Iterator[Pack]:
    for function in read_signatures(document):
        last = function.parameters[-1] if function.parameters and function.template else None
        if last is not None and function.body is not None and "..." in last.type_text:
            yield from _pack(function.name, len(function.parameters) - 1, last.name, function.body, document)


def _packs_of_methods(document: Document) -> Iterator[Pack]:
    """Of member functions that classes define."""
    waiting = [document.whole.tree.root_node]
    while waiting:
        node = waiting.pop()
        waiting += node.named_children
        if node.type != "variadic_parameter_declaration" or node.parent is None:
            continue
        place, method = place_of_parameter(node), around(node, ("function_definition",))
        body = method.child_by_field_name("body") if method is not None else None
        declared = next(declared_by(node), None)
        is_member = around(node, ("field_declaration_list",)) is not None
        if is_member and place is not None and body is not None and declared is not None:
            inside = Span(body.start_byte, body.end_byte)
            yield from _pack(place.name, place.position, declared.name, inside, document)


def _pack(name: str, first: int, pack: str, body: Span, document: Document) -> Iterator[Pack]:
    uses = [node for node in identifiers(pack, body, document.whole, document) if not _is_counted(node)]
    printed = [is_printed(node, _of_torch) for node in uses]
    if any(printed):
        yield Pack(name, first, all(printed))


def _is_counted(node: Node) -> bool:
    """Whether it is the pack of `sizeof...(args)`."""
    return around(node, ("sizeof_expression",)) is not None


def _pack_printers(finder: TypeFinder) -> frozenset[Pack]:
    return frozenset(one for document in finder.documents for one in _packs_of(document))
