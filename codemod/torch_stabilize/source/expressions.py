"""The type of an expression from the types of its parts. `scopes.TypeFinder` knows those of names."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from tree_sitter import Node

from torch_stabilize.model import Span
from torch_stabilize.source import calls, library
from torch_stabilize.source.declarations import text_of
from torch_stabilize.source.document import Document, Fragment
from torch_stabilize.source.types import NUMBERS, TENSOR, UNKNOWN, CppType, parse_type

if TYPE_CHECKING:
    from torch_stabilize.source.scopes import TypeFinder

Reader = Callable[["TypeFinder", Node, Fragment, Document, int], CppType]

_ARITHMETIC = frozenset({"+", "-", "*", "/", "%", "&", "|", "^", "<<", ">>"})
_COMPARISON = frozenset({"==", "!=", "<", "<=", ">", ">="})
_CLASSES = frozenset({"class_specifier", "struct_specifier"})


def type_of(finder: TypeFinder, node: Node, fragment: Fragment, document: Document, depth: int) -> CppType:
    """The type of `node`, or UNKNOWN."""
    reader = _READERS.get(node.type)
    return reader(finder, node, fragment, document, depth) if reader is not None else UNKNOWN


def arguments_of(node: Node) -> list[Node]:
    """The arguments of a call, comments left out."""
    arguments = node.child_by_field_name("arguments")
    return [c for c in arguments.named_children if c.type != "comment"] if arguments is not None else []


def trimmed(document: Document, span: Span) -> Span:
    """`span` without the blanks and line ends around what is in it."""
    text = document.code[span.start : span.end].replace(b"\\\n", b"  ").replace(b"\\\r\n", b"   ")
    return Span(span.start + len(text) - len(text.lstrip()), span.start + len(text.rstrip()))


def calls_before(node: Node, name: str) -> Iterator[Node]:
    """The calls, as statements before `node` in the blocks around it, that are handed something called `name`.

    All of them where it is empty.
    """
    scope: Node | None = node
    while scope is not None:
        if scope.type in ("compound_statement", "translation_unit"):
            for start, call in _calls_in(scope).get(name, ()):
                if start >= node.start_byte:
                    break
                yield call
        scope = scope.parent


@functools.lru_cache(maxsize=1 << 14)
def _calls_in(scope: Node) -> dict[str, list[tuple[int, Node]]]:
    """The calls that are statements of `scope`, and where each begins, by what they are handed."""
    found: dict[str, list[tuple[int, Node]]] = {}
    for child in scope.named_children:
        is_statement = child.type == "expression_statement" and child.named_children
        inner = child.named_children[0] if is_statement else child
        if inner.type == "call_expression":
            for name in {"", *(text_of(argument) for argument in arguments_of(inner))}:
                found.setdefault(name, []).append((child.start_byte, inner))
    return found


def _last(finder: TypeFinder, node: Node, fragment: Fragment, document: Document, depth: int) -> CppType:
    inner = [c for c in node.named_children if c.type != "comment"]
    return finder.type_of(inner[-1], fragment, document, depth) if inner else UNKNOWN


def _argument(finder: TypeFinder, node: Node, fragment: Fragment, document: Document, depth: int) -> CppType:
    argument = node.child_by_field_name("argument")
    return finder.type_of(argument, fragment, document, depth) if argument is not None else UNKNOWN


def _left(finder: TypeFinder, node: Node, fragment: Fragment, document: Document, depth: int) -> CppType:
    left = node.child_by_field_name("left")
    return finder.type_of(left, fragment, document, depth) if left is not None else UNKNOWN


def _identifier(finder: TypeFinder, node: Node, fragment: Fragment, document: Document, depth: int) -> CppType:
    name = text_of(node)
    found = finder.type_of_name(name, node, fragment, document, depth)
    if not found.is_known and name in library.MACROS and finder.declaration_of(name, node) is None:
        return library.MACROS[name]
    if found.is_known or not _CONSTANT.fullmatch(name) or finder.declaration_of(name, node) is not None:
        return found
    return CppType(finder.returns.constant(f"torch::{name}"))  # which a using-directive made visible


_CONSTANT = re.compile(r"k[A-Z]\w*")


def _qualified(finder: TypeFinder, node: Node, fragment: Fragment, document: Document, depth: int) -> CppType:
    text = text_of(node)
    if re.match(r"(?s)(?:\w+::)*CppTypeToScalarType\s*<.*>\s*::\s*value$", text):
        return CppType("ScalarType")
    name = "".join(text.split())
    constant = "" if finder.own_spaces.has(name, node) else finder.returns.constant(name.removeprefix("::"))
    if constant:
        return CppType(constant)
    scope, _, name = text.rpartition("::")
    member = finder.written.member_of(parse_type(scope), name) if scope else UNKNOWN
    return member if member.is_known else finder.type_of_name(text, node, fragment, document, depth)


def _this(finder: TypeFinder, node: Node, fragment: Fragment, document: Document, depth: int) -> CppType:
    owner = finder.class_at(node)
    return finder.instances.class_around(owner, node, document, depth + 1)._replace(pointers=1) if owner else UNKNOWN


def _field(finder: TypeFinder, node: Node, fragment: Fragment, document: Document, depth: int) -> CppType:
    receiver, name = calls.receiver_type_parts(node)
    if receiver is None:
        return UNKNOWN
    operator = node.child_by_field_name("operator")
    if operator is not None and text_of(operator).endswith("*"):  # h.*m: m is a pointer to a member
        member = node.child_by_field_name("field")
        if member is None:
            return UNKNOWN
        return finder.type_of_name(text_of(member), member, fragment, document, depth).pointee
    owner = calls.reached(finder, finder.type_of(receiver, fragment, document, depth), node, depth)
    if not owner.is_known:
        return UNKNOWN
    pair = library.member(owner, name)
    return pair if pair.is_known else finder.written.member_of(owner, name)


def _subscript(finder: TypeFinder, node: Node, fragment: Fragment, document: Document, depth: int) -> CppType:
    owner = _argument(finder, node, fragment, document, depth)
    if owner.is_tensor:
        return TENSOR
    found = library.indexed(owner)
    if found.is_known or owner.pointers:
        return found
    own = calls.result_of_method(finder, owner, "operator[]", 1, depth)
    return own if own.is_known or finder.written.classes.named(owner.name) else owner.inner or UNKNOWN


def _pointer(finder: TypeFinder, node: Node, fragment: Fragment, document: Document, depth: int) -> CppType:
    owner = _argument(finder, node, fragment, document, depth)
    if text_of(node).startswith("&"):
        return CppType(owner.name, owner.arguments, owner.pointers + 1) if owner.is_known else UNKNOWN
    pointed = library.pointed(owner)
    return pointed if pointed.is_known else calls.result_of_method(finder, owner, "operator*", 0, depth)


def _conditional(finder: TypeFinder, node: Node, fragment: Fragment, document: Document, depth: int) -> CppType:
    for field_name in ("consequence", "alternative"):
        branch = node.child_by_field_name(field_name)
        found = finder.type_of(branch, fragment, document, depth) if branch is not None else UNKNOWN
        if found.is_known:
            return found
    return UNKNOWN


_FLOATING = ("double", "float")  # which an operator makes of two numbers, one of them such


def _binary(finder: TypeFinder, node: Node, fragment: Fragment, document: Document, depth: int) -> CppType:
    operator = node.child_by_field_name("operator")
    sign = text_of(operator) if operator is not None else ""
    sides = [node.child_by_field_name(side) for side in ("left", "right")]
    kinds = [finder.type_of(side, fragment, document, depth) for side in sides if side is not None]
    for kind in kinds:
        own = calls.result_of_method(finder, kind, f"operator{sign}", 1, depth)
        if own.is_known:
            return own
    if any(kind.is_tensor for kind in kinds):
        return TENSOR
    if sign in _COMPARISON or sign in ("&&", "||"):
        return CppType("bool")
    if sign not in _ARITHMETIC:
        return UNKNOWN
    known = [kind for kind in kinds if kind.is_known]
    if len(known) == 2 and all(kind.name in NUMBERS and not kind.pointers for kind in known):
        return next((kind for name in _FLOATING for kind in known if kind.name == name), known[0])
    return known[0] if known else UNKNOWN


def _unary(finder: TypeFinder, node: Node, fragment: Fragment, document: Document, depth: int) -> CppType:
    if text_of(node).startswith("!"):
        return CppType("bool")
    kind = _argument(finder, node, fragment, document, depth)
    operator = node.child_by_field_name("operator")
    own = calls.result_of_method(finder, kind, f"operator{text_of(operator) if operator is not None else ''}", 0, depth)
    return own if own.is_known else kind


def _written(finder: TypeFinder, node: Node, fragment: Fragment, document: Document, depth: int) -> CppType:
    """A cast, or a type in front of braces."""
    kind = node.child_by_field_name("type")
    return finder.written.resolved(parse_type(text_of(kind))) if kind is not None else UNKNOWN


def _new(finder: TypeFinder, node: Node, fragment: Fragment, document: Document, depth: int) -> CppType:
    kind = _written(finder, node, fragment, document, depth)
    return kind._replace(pointers=kind.pointers + 1) if kind.is_known else UNKNOWN


def _number(finder: TypeFinder, node: Node, fragment: Fragment, document: Document, depth: int) -> CppType:
    text = text_of(node)
    return CppType("double" if re.search(r"[.eEfF]", text) and not text.startswith("0x") else "int64_t")


def _string(finder: TypeFinder, node: Node, fragment: Fragment, document: Document, depth: int) -> CppType:
    return CppType("char", pointers=1, const=True)


def _character(finder: TypeFinder, node: Node, fragment: Fragment, document: Document, depth: int) -> CppType:
    return CppType("char")


def _truth(finder: TypeFinder, node: Node, fragment: Fragment, document: Document, depth: int) -> CppType:
    return CppType("bool")


def _size(finder: TypeFinder, node: Node, fragment: Fragment, document: Document, depth: int) -> CppType:
    return CppType("size_t")


_READERS: dict[str, Reader] = {
    "parenthesized_expression": _last,
    "comma_expression": _last,
    "argument_list": _last,
    "identifier": _identifier,
    "qualified_identifier": _qualified,
    "call_expression": calls.result,
    "this": _this,
    "field_expression": _field,
    "subscript_expression": _subscript,
    "pointer_expression": _pointer,
    "conditional_expression": _conditional,
    "binary_expression": _binary,
    "unary_expression": _unary,
    "update_expression": _argument,
    "assignment_expression": _left,
    "cast_expression": _written,
    "compound_literal_expression": _written,
    "new_expression": _new,
    "number_literal": _number,
    "string_literal": _string,
    "concatenated_string": _string,
    "raw_string_literal": _string,
    "char_literal": _character,
    "true": _truth,
    "false": _truth,
    "sizeof_expression": _size,
}
