"""What a call gives back: of functions of torch, of the standard library and of the project, of lambdas and methods."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from tree_sitter import Node

from torch_stabilize.source import library
from torch_stabilize.source.classes import template_parameters
from torch_stabilize.source.declarations import text_of
from torch_stabilize.source.document import Document, Fragment, per_document
from torch_stabilize.source.function_index import Located
from torch_stabilize.source.results import UNMISTAKABLE, method_result
from torch_stabilize.source.signatures import Function
from torch_stabilize.source.types import LIST, NUMBERS, TENSOR, UNKNOWN, CppType, parse_type, split_arguments
from torch_stabilize.source.written_types import substituted

if TYPE_CHECKING:
    from torch_stabilize.source.scopes import TypeFinder

# Methods of a tensor whose template argument says what they give: how many pointers stand before it.
_ELEMENTS = {"data_ptr": 1, "const_data_ptr": 1, "mutable_data_ptr": 1, "data": 1, "item": 0}
_CASTS = frozenset({"static_cast", "reinterpret_cast", "const_cast", "dynamic_cast"})
_CONSTRUCTED = frozenset({
    "Tensor", "TensorOptions", "Device", "IntArrayRef", "ScalarType", "optional", "vector", "string", "Scalar",
    "TensorList", "OptionalIntArrayRef",
})  # fmt: skip
_BODIES = frozenset({"lambda_expression", "function_definition"})


def result(finder: TypeFinder, node: Node, fragment: Fragment, document: Document, depth: int) -> CppType:
    """The type of the call `node`."""
    callee = node.child_by_field_name("function")
    if callee is None:
        return UNKNOWN
    if callee.type == "parenthesized_expression" and len(callee.named_children) == 1:
        callee = callee.named_children[0]
    if callee.type == "field_expression":
        return _method(finder, node, callee, fragment, document, depth)
    if callee.type in ("lambda_expression", "call_expression", "subscript_expression", "pointer_expression"):
        return _of_object(finder, node, callee, fragment, document, depth)
    bare, bracket, rest = text_of(callee).partition("<")
    written = bare.strip()
    bare = written.removeprefix("::").strip()
    template = tuple(map(parse_type, split_arguments(rest.rpartition(">")[0]))) if bracket else ()
    if bare in _CASTS and template:
        return finder.written.resolved(template[0])
    if bare in ("std::numeric_limits", "numeric_limits") and template:
        return finder.written.resolved(template[0])  # max(), infinity() and their kin
    if bare.startswith("std::") and bare.count("::") == 1:
        found = _of_library(finder, node, bare.removeprefix("std::"), rest, fragment, document, depth)
        if found.is_known:
            return found
    if "::" in bare and not finder.own_spaces.has(written, node):
        known = finder.returns.function(bare, given(finder, node, fragment, document, depth))
        if known:
            return parse_type(known)
    if bracket and rest.rpartition(">")[2].startswith("::"):
        return _of_class_template(finder, node, text_of(callee), fragment, document, depth)
    if callee.type == "primitive_type":
        return parse_type(bare)  # int64_t(n)
    as_type = finder.written.resolved(parse_type(text_of(callee)))
    if as_type.name in _CONSTRUCTED or (as_type.arguments and as_type.name in library.CONTAINERS):
        return as_type
    local = _of_variable(finder, node, callee, fragment, document, depth)
    if local.is_known:
        return local
    own = _own(finder, node, callee, bare, template, fragment, document, depth)
    if own.is_known or "::" in bare or finder.functions.named(bare):
        return own
    kinds = given(finder, node, fragment, document, depth)
    numbers = all(kind.name in NUMBERS and not kind.pointers for kind in kinds)
    if any(kind.is_tensor for kind in kinds) or (finder.written.sees_tensor(document) and not numbers):
        return parse_type(finder.returns.function(f"at::{bare}", kinds))  # by a using-directive or its arguments
    return UNKNOWN


def given(finder: TypeFinder, node: Node, fragment: Fragment, document: Document, depth: int) -> tuple[CppType, ...]:
    """The types of a call's arguments, "list" for a braced one."""
    return tuple(
        LIST if argument.type == "initializer_list" else finder.type_of(argument, fragment, document, depth)
        for argument in _arguments(node)
    )


def _arguments(node: Node) -> list[Node]:
    arguments = node.child_by_field_name("arguments")
    return [c for c in arguments.named_children if c.type != "comment"] if arguments is not None else []


def _of_library(
    finder: TypeFinder, node: Node, name: str, rest: str, fragment: Fragment, document: Document, depth: int
) -> CppType:
    """The result of `std::name<...>(...)`."""
    wanted = rest.rpartition(">")[0].strip()
    if name == "invoke":
        arguments = _arguments(node)
        return _of_object(finder, node, arguments[0], fragment, document, depth) if arguments else UNKNOWN
    kinds = given(finder, node, fragment, document, depth)
    if name == "get" and len(kinds) == 1 and (wanted.isdigit() or kinds[0].name == "array"):
        held = kinds[0]
        if held.name == "tuple":
            return held.arguments[int(wanted)] if int(wanted) < len(held.arguments) else UNKNOWN
        return (held.inner or UNKNOWN) if held.name == "array" else UNKNOWN
    template = tuple(finder.written.resolved(parse_type(part)) for part in split_arguments(wanted))
    return library.function(name, kinds, template)


# objects that are called --------------------------------------------------------------------------------------------


def _of_variable(
    finder: TypeFinder, node: Node, callee: Node, fragment: Fragment, document: Document, depth: int
) -> CppType:
    """What a call of a variable gives back: of a lambda, a std::function, a pointer to a function, an own object."""
    if callee.type != "identifier":
        return UNKNOWN
    name = text_of(callee)
    value = finder.value_of(name, callee, fragment)
    if value is not None and value.type == "lambda_expression":
        return returned(finder, value, fragment, document, depth)
    declared = finder.declaration_of(name, callee)
    if declared is not None and declared.value is None and name in finder.functions:
        return UNKNOWN  # the declaration of a function
    if declared is None and not finder.globals_have(name, document):
        return finder.written.pointed_function(name, document, fragment.span(node).start)
    return _called(finder, finder.type_of(callee, fragment, document, depth), len(_arguments(node)), depth)


def _of_object(
    finder: TypeFinder, node: Node, callee: Node, fragment: Fragment, document: Document, depth: int
) -> CppType:
    """What a call of an expression gives back: `[&] { return x; }()`, `f()()`, `(*p)()`."""
    if callee.type == "lambda_expression":
        return returned(finder, callee, fragment, document, depth)
    if callee.type == "identifier":
        found = _of_variable(finder, node, callee, fragment, document, depth)
        return found if found.is_known else _own(finder, node, callee, text_of(callee), (), fragment, document, depth)
    inner = _lambda_given_back(finder, callee, fragment)
    if inner is not None:
        return returned(finder, inner, fragment, document, depth)
    return _called(finder, finder.type_of(callee, fragment, document, depth), len(_arguments(node)), depth)


def _called(finder: TypeFinder, kind: CppType, count: int, depth: int) -> CppType:
    if kind.name == "function":
        return kind.inner or UNKNOWN
    if kind.pointers:
        return kind.pointee
    own = result_of_method(finder, kind, "operator()", count, depth)
    return own if own.is_known else kind if kind.is_tensor else UNKNOWN


def _lambda_given_back(finder: TypeFinder, node: Node, fragment: Fragment) -> Node | None:
    """The lambda that a call of a lambda returns."""
    callee = node.child_by_field_name("function")
    value = finder.value_of(text_of(callee), callee, fragment) if callee is not None else None
    for statement in returns_of(value) if value is not None and value.type == "lambda_expression" else ():
        if statement.named_children and statement.named_children[0].type == "lambda_expression":
            return statement.named_children[0]
    return None


def returned(finder: TypeFinder, body_of: Node, fragment: Fragment, document: Document, depth: int) -> CppType:
    """What a lambda or a function with `auto` gives back: as written behind `->`, or by its returns."""
    declarator = body_of.child_by_field_name("declarator")
    for child in declarator.named_children if declarator is not None else ():
        if child.type == "trailing_return_type":
            written = text_of(child).removeprefix("->").strip()
            if not written.startswith(("decltype", "auto")):
                return finder.written.resolved(parse_type(written))
    for statement in returns_of(body_of):
        if statement.named_children:
            found = finder.type_of(statement.named_children[0], fragment, document, depth)
            if found.is_known:
                return found._replace(const=found.const and found.pointers > 0, reference=False)
    return UNKNOWN


def returns_of(body_of: Node) -> Iterator[Node]:
    """The return statements of a function or lambda, those of lambdas within left out."""
    body = body_of.child_by_field_name("body")
    waiting = [body] if body is not None else []
    while waiting:
        node = waiting.pop()
        if node.type == "return_statement":
            yield node
        elif node.type not in _BODIES:
            waiting += reversed(node.named_children)


# functions and methods ----------------------------------------------------------------------------------------------


def _of_class_template(
    finder: TypeFinder, node: Node, text: str, fragment: Fragment, document: Document, depth: int
) -> CppType:
    """The result of `Class<T>::member(...)`."""
    scope, _, name = text.rpartition("::")
    owner = finder.written.resolved(parse_type(scope.removeprefix("::")))
    count = len(given(finder, node, fragment, document, depth))
    return result_of_method(finder, owner, name, count, depth) if owner.is_known else UNKNOWN


def _own(
    finder: TypeFinder,
    node: Node,
    callee: Node,
    name: str,
    template: tuple[CppType, ...],
    fragment: Fragment,
    document: Document,
    depth: int,
) -> CppType:
    """What a function of the project gives back, a static one of a class, or one of the class around."""
    kinds = given(finder, node, fragment, document, depth)
    named = finder.functions.meant_by(name)
    around = finder.class_at(node) if "::" not in name else ""
    here = finder.instances.class_around(around, node, document, depth) if around else UNKNOWN
    if named and (made := result_of_method(finder, here, name, len(kinds), depth)).is_known:
        return made  # which hides functions of that name outside of the class
    found = _results(finder, name, named, template, kinds, depth)
    if found:
        return next(iter(found)) if len(found) == 1 else UNKNOWN
    macro = finder.type_of_macro(name, len(kinds), depth) if "::" not in name else UNKNOWN
    if macro.is_known:
        return macro
    scope, _, last = name.rpartition("::")
    owner = finder.written.resolved(parse_type(scope)) if scope else here
    made = result_of_method(finder, owner, last, len(kinds), depth) if owner.is_known else UNKNOWN
    if made.is_known or named:
        return made
    kind = finder.written.resolved(CppType(last, template))
    return kind if finder.written.classes.named(kind.name) else UNKNOWN  # a constructor


def _results(
    finder: TypeFinder,
    name: str,
    named: Sequence[Located],
    template: tuple[CppType, ...],
    kinds: tuple[CppType, ...],
    depth: int,
) -> frozenset[CppType]:
    """What the overloads give back that a call may mean."""
    known, asked = finder.functions.results, (name, kinds, template)
    if asked not in known:
        found = frozenset(_result(finder, d, f, template, kinds, depth) for d, f in _fitting(named, kinds))
        written = [parse_type(function.return_type) for _, function in named]
        if any(one.name == "auto" or not one.is_known for one in written):
            return found  # what a body returns is followed so far alone as the call's depth leaves
        known[asked] = found
    return known[asked]


def _fitting(named: Sequence[Located], kinds: tuple[CppType, ...]) -> list[Located]:
    """The overloads that a call with arguments of these types may mean: by their number, then by tensors."""
    fitting = [(d, f) for d, f in named if _takes(f, len(kinds))] or list(named)
    exact = [(d, f) for d, f in fitting if all(map(_accepts, f.parameters, kinds))]
    return exact or fitting


def _takes(function: Function, count: int) -> bool:
    required = sum(not parameter.default and "..." not in parameter.type_text for parameter in function.parameters)
    packs = any("..." in parameter.type_text for parameter in function.parameters)
    return required <= count and (packs or count <= len(function.parameters))


def _accepts(parameter: object, kind: CppType) -> bool:
    """Whether a parameter may take an argument: a parameter of a tensor takes a tensor, and no number."""
    wanted = parse_type(getattr(parameter, "type_text", ""))
    if not kind.is_known or not wanted.is_known or wanted.is_tensor == kind.is_tensor:
        return True
    return kind.is_tensor and wanted.name in ("optional", "OptionalTensorRef", "auto", "T")


def _result(
    finder: TypeFinder,
    document: Document,
    function: Function,
    template: tuple[CppType, ...],
    kinds: tuple[CppType, ...],
    depth: int,
) -> CppType:
    if (own := finder.written.own_class(function.return_type)) is not None:
        return own
    written = parse_type(function.return_type)
    if written.name == "auto" or not written.is_known:
        definition = finder.instances.definition(document, function)
        return returned(finder, definition, document.whole, document, depth) if definition is not None else UNKNOWN
    if function.template:
        names = finder.instances.parameters(document, function)
        arguments = dict(zip(names, template, strict=False))
        for parameter, kind in zip(function.parameters, kinds, strict=False):
            for name, meant in matched(parse_type(parameter.type_text), kind, names):
                arguments.setdefault(name, meant)
        left = substituted(written, arguments)
        written = UNKNOWN if left.name in names and left.name not in arguments else left
    meant = finder.written.resolved(written)
    return CppType(meant.name, meant.arguments, meant.pointers, meant.const and meant.pointers > 0)


def matched(wanted: CppType, kind: CppType, names: tuple[str, ...]) -> Iterator[tuple[str, CppType]]:
    """What an argument of type `kind` makes of the template parameters in a parameter of type `wanted`."""
    if wanted.name in names and not wanted.arguments and kind.is_known and kind != LIST:
        yield wanted.name, CppType(kind.name, kind.arguments, max(0, kind.pointers - wanted.pointers))
    elif wanted.name == kind.name:
        for one, other in zip(wanted.arguments, kind.arguments, strict=False):
            yield from matched(one, other, names)


def result_of_method(finder: TypeFinder, owner: CppType, name: str, count: int, depth: int) -> CppType:
    """What a function of a class of the project gives back; UNKNOWN where overloads differ, or there is none."""
    if not owner.is_known or owner.is_tensor or owner.pointers:
        return UNKNOWN
    found = set()
    for method, written in finder.written.methods_of(owner, name):
        kind = written
        if (kind.name == "auto" or not kind.is_known) and method.definition is not None:
            kind = returned(finder, method.definition, method.document.whole, method.document, depth + 1)
            kind = substituted(kind, finder.written.given_to(owner))
        around = method.definition.parent if method.definition is not None else None
        if around is not None and kind.name in template_parameters(around):
            return UNKNOWN  # a parameter of the member template itself, which the arguments would say
        found.add(CppType(kind.name, kind.arguments, kind.pointers, kind.const and kind.pointers > 0))
    return found.pop() if len(found) == 1 else UNKNOWN


def _method(
    finder: TypeFinder, node: Node, callee: Node, fragment: Fragment, document: Document, depth: int
) -> CppType:
    receiver, method = receiver_type_parts(callee)
    if receiver is None:
        return UNKNOWN
    owner = reached(finder, finder.type_of(receiver, fragment, document, depth), callee, depth)
    if method in _ELEMENTS and (owner.is_tensor or not owner.is_known):
        wanted = text_of(callee.child_by_field_name("field") or callee).partition("<")[2].rpartition(">")[0]
        if wanted.strip():
            return parse_type(wanted)._replace(pointers=_ELEMENTS[method])
    is_options = owner.name == "TensorOptions"
    if is_options and "<" in text_of(callee.child_by_field_name("field") or callee):
        return owner  # dtype<float>()
    is_asked = owner.is_tensor or is_options or not owner.is_known
    kinds = given(finder, node, fragment, document, depth) if is_asked else ()
    own = result_of_method(finder, owner, method, len(_arguments(node)), depth)
    if own.is_known:
        return own
    called = finder.written.member_of(owner, method) if owner.is_known else UNKNOWN
    if called.is_known:  # a member that is called
        return _called(finder, called, len(_arguments(node)), depth)
    if not owner.is_known and is_unmistakable(finder, method, document):
        made = method_result(TENSOR, method, kinds, finder.returns)
        if made.is_tensor:
            return made
    return method_result(owner, method, kinds, finder.returns)


def is_unmistakable(finder: TypeFinder, method: str, document: Document) -> bool:
    """Whether a method is a tensor's, called on whatever: in a file about torch, and no class here has one."""
    return method in UNMISTAKABLE and method not in finder.written.classes.method_names and _may_hold_tensors(document)


_OF_TORCH = re.compile(rb"\b(?:torch|at|c10|ATen|Tensor)\b")


@per_document
def _may_hold_tensors(document: Document) -> bool:
    """Whether a file says anything of torch. Coordinates of CUTLASS have a `contiguous()` too."""
    return _OF_TORCH.search(document.uncommented) is not None


def receiver_type_parts(callee: Node) -> tuple[Node | None, str]:
    """The receiver and the bare member name of `receiver.member` or `receiver->member<T>`."""
    member = callee.child_by_field_name("field")
    name = text_of(member).partition("<")[0].strip() if member is not None else ""
    return callee.child_by_field_name("argument"), name.removeprefix("template ").strip()


def reached(finder: TypeFinder, owner: CppType, node: Node, depth: int) -> CppType:
    """What a member of `owner` is asked of, in `owner.m` or `owner->m`."""
    if not any(child.type == "->" for child in node.children):
        return owner
    pointed = library.pointed(owner)
    if pointed.is_known or owner.name in library.BOXES:
        return pointed
    own = result_of_method(finder, owner._replace(pointers=0), "operator->", 0, depth)
    return own.pointee if own.is_known else owner
