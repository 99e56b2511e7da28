"""The walk from an expression to where its value ends up: a method for each kind of node around one."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import NamedTuple

from tree_sitter import Node

from codemod.model import Span
from codemod.source.declarations import innermost_name, text_of
from codemod.source.document import Document, Fragment
from codemod.source.scopes import TypeFinder, receiver_type_parts
from codemod.source.types import parse_type
from codemod.source.uses.callees import Callees
from codemod.source.uses.held import NUMBERS, Access, Effects, Held, is_const_pointer, taken
from codemod.source.uses.names import (
    Macros,
    body_of,
    dominates,
    identifiers,
    macros_of,
    macros_used,
    own_scope,
    region_start,
)

_MOST = 3000  # steps for one question
# Nodes in which an expression ends as it is.
_READING = frozenset({
    "subscript_argument_list", "sizeof_expression", "decltype", "alignof_expression", "template_argument_list",
    "condition_clause", "if_statement", "while_statement", "do_statement", "for_statement", "switch_statement",
    "case_statement", "kernel_call_syntax", "lambda_capture_specifier", "throw_statement", "array_declarator",
    "static_assert_declaration", "unary_expression", "new_declarator", "noexcept",
})  # fmt: skip
_LISTS = frozenset({"auto", "tuple", "pair", "array", "vector", "initializer_list"})
_STREAMS = frozenset({"istream", "ifstream", "istringstream", "stringstream", "fstream"})
Event = Access | Held  # a Held is what a function gives back


class At(NamedTuple):
    """An expression and where it stands.

    `shift` is what `__VA_ARGS__` adds to the place of an argument, `frame` where the function starts that is asked for.
    """

    node: Node
    fragment: Fragment
    document: Document
    frame: int = -1
    shift: int = 0

    def to(self, node: Node) -> At:
        """Another expression of the same fragment."""
        return self._replace(node=node, shift=0)


class Walk:
    """What is done with values, in a set of documents that belong together. Calls are in the class below."""

    def __init__(self, finder: TypeFinder, effects: Effects, *, typed: bool = False) -> None:
        self.finder, self.effects, self.typed = finder, effects, typed
        self.callees = Callees(finder)
        self._steps = 0
        self._followed: set[tuple[object, ...]] = set()
        self._results: dict[tuple[object, ...], tuple[Event, ...]] = {}  # of parameters
        self._open: set[tuple[object, ...]] = set()
        self._is_partial = False

    def _begin(self) -> None:
        self._steps = 0
        self._followed.clear()
        if self._is_partial or self._open:
            self._results.clear()
            self._open.clear()
            self._is_partial = False

    @cached_property
    def macros(self) -> Macros:
        """Every definition of every macro by name."""
        return macros_of(self.finder.documents)

    # from an expression to the one around it

    def _up(self, at: At, held: Held) -> Iterator[Event]:
        parent = at.node.parent
        self._steps += 1
        if parent is None or self._steps > _MOST:
            self._is_partial = True
            yield Access.UNKNOWN
        elif parent.type in _READING:
            yield Access.READ
        elif parent.type == "parenthesized_expression":
            yield from self._up(at.to(parent), held)
        else:
            step = getattr(self, f"_in_{parent.type}", None)
            yield from step(at, parent, held) if step is not None else (Access.UNKNOWN,)

    def _in_comma_expression(self, at: At, parent: Node, held: Held) -> Iterator[Event]:
        is_last = parent.named_children[-1] == at.node
        yield from self._up(at.to(parent), held) if is_last else (Access.READ,)

    def _in_conditional_expression(self, at: At, parent: Node, held: Held) -> Iterator[Event]:
        is_asked = parent.child_by_field_name("condition") == at.node
        yield from (Access.READ,) if is_asked else self._up(at.to(parent), held)

    def _in_expression_statement(self, at: At, parent: Node, held: Held) -> Iterator[Event]:
        yield held if is_whole_macro(at) else Access.READ

    def _in_assignment_expression(self, at: At, parent: Node, held: Held) -> Iterator[Event]:
        left, operator = parent.child_by_field_name("left"), parent.child_by_field_name("operator")
        is_plain = operator is None or text_of(operator) == "="
        if left == at.node:
            yield from self._assigned_to(at, parent, held, is_plain=is_plain)
        elif (held.depth == 0 and not held.is_tensor) or not is_plain or left is None:
            yield Access.READ
        else:
            yield from self._stored(left, parent, held, at)
            if parent.parent is not None and parent.parent.type != "expression_statement":
                yield from self._up(at.to(parent), held)

    def _assigned_to(self, at: At, parent: Node, held: Held, *, is_plain: bool) -> Iterator[Event]:
        if held.is_element or (held.is_tensor and not (is_plain and (held.is_slot or held.many or held.members))):
            yield Access.WRITE
        else:
            yield from (Access.READ,) if is_plain else self._up(at.to(parent), held)

    def _in_update_expression(self, at: At, parent: Node, held: Held) -> Iterator[Event]:
        yield from (Access.WRITE,) if held.is_element else self._up(at.to(parent), held)

    def _in_subscript_expression(self, at: At, parent: Node, held: Held) -> Iterator[Event]:
        yield from self._up(at.to(parent), held.element)

    def _in_pointer_expression(self, at: At, parent: Node, held: Held) -> Iterator[Event]:
        if parent.children[0].type == "*":
            yield from self._up(at.to(parent), held.element)
        elif held.is_tensor or held.members:
            yield from self._up(at.to(parent), held._replace(many=held.is_tensor))
        else:
            yield from self._up(at.to(parent), held._replace(depth=max(0, held.depth) + 1))

    def _in_binary_expression(self, at: At, parent: Node, held: Held) -> Iterator[Event]:
        operator = text_of(parent.children[1]) if parent.child_count > 1 else ""
        left, right = parent.child_by_field_name("left"), parent.child_by_field_name("right")
        other = left if right == at.node else right
        kind = self.finder.type_of(other, at.fragment, at.document) if other is not None else None
        if held.is_element and operator == ">>" and kind is not None and other == left and kind.name in _STREAMS:
            yield Access.WRITE
        elif held.is_tensor or held.depth <= 0 or operator not in ("+", "-") or (kind is not None and kind.pointers):
            yield Access.READ
        else:
            yield from self._up(at.to(parent), held)

    def _in_cast_expression(self, at: At, parent: Node, held: Held) -> Iterator[Event]:
        kind = parent.child_by_field_name("type")
        yield from self._cast(text_of(kind) if kind is not None else "", at.to(parent), held)

    def _cast(self, type_text: str, at: At, held: Held) -> Iterator[Event]:
        kind = parse_type(type_text)
        if kind.name == "void" and not kind.pointers:
            yield Access.READ
        elif held.is_element or held.is_tensor or kind.pointers:
            got = taken(type_text, held, typed=self.typed)
            yield from (got,) if isinstance(got, Access) else self._up(at, got)
        else:  # an address as a number
            yield from (Access.READ,) if kind.name == "bool" else self._up(at, held)

    # into variables and members

    def _in_init_declarator(self, at: At, parent: Node, held: Held) -> Iterator[Event]:
        if parent.parent is not None:
            yield from self._declared(parent, parent.parent, parent, held, at)

    def _in_declaration(self, at: At, parent: Node, held: Held) -> Iterator[Event]:
        yield from self._declared(parent, parent, parent, held, at)  # `if (auto* p = x.data_ptr<float>())`

    def _in_for_range_loop(self, at: At, parent: Node, held: Held) -> Iterator[Event]:
        yield from self._declared(parent, parent, at.node, held.element, at)

    def _in_function_declarator(self, at: At, parent: Node, held: Held) -> Iterator[Event]:
        """`at::Tensor y(x);`, which could be a function's declaration."""
        declaration = parent.parent
        while declaration is not None and declaration.type.endswith("declarator"):
            declaration = declaration.parent
        if declaration is not None:
            yield from self._declared(declaration, declaration, declaration, held, at)

    def _declared(self, holder: Node, declaration: Node, binding: Node, held: Held, at: At) -> Iterator[Event]:
        """A variable that `declaration` declares in `holder`, whose value is what is held."""
        kind = declaration.child_by_field_name("type")
        name, marks = innermost_name(holder.child_by_field_name("declarator") or holder)
        if kind is None or name is None:
            yield Access.UNKNOWN
            return
        qualifiers = " ".join(text_of(child) for child in declaration.children if child.type == "type_qualifier")
        type_text = f"{qualifiers} {text_of(kind)}{marks}".strip()
        if name.type != "structured_binding_declarator":
            yield from self._variable(name, type_text, binding, held, at)
            return
        for place, part in enumerate(child for child in name.named_children if child.type == "identifier"):
            if not held.members or held.members[0] in ("*", f"#{place}"):
                yield from self._variable(part, type_text, binding, held.inside if held.members else held, at)

    def _variable(self, name: Node, type_text: str, binding: Node, held: Held, at: At) -> Iterator[Event]:
        got = self._taken(type_text, held)
        yield got if isinstance(got, Access) else Access.READ
        if isinstance(got, Held):
            yield from self._follow(name, binding, got, at)

    def _taken(self, type_text: str, held: Held, generic: frozenset[str] = frozenset()) -> Event:
        """What a variable of a type holds; a value between braces is a member of an object or an element."""
        kind = parse_type(type_text)
        if not held.members or not held.members[0].startswith("#") or kind.name in _LISTS:
            return taken(type_text, held, typed=self.typed, generic=generic)
        if kind.pointers or kind.name in NUMBERS:
            inner = held.inside._replace(depth=held.depth + (0 if held.inside.members else max(0, kind.pointers - 1)))
            return self._taken(type_text.rstrip("*") if inner.members else type_text, inner, generic)
        member, member_text = self.callees.member_type(kind.name, int(held.members[0][1:]))
        if not member:
            return Access.UNKNOWN if self.typed else held._replace(members=("*", *held.members[1:]))
        got = self._taken(member_text, held.inside)
        return got if isinstance(got, Access) else got._replace(members=(member, *got.members))

    def _stored(self, left: Node, binding: Node, held: Held, at: At) -> Iterator[Event]:
        """What is held goes into the variable, element or member that `left` names."""
        members: tuple[str, ...] = ()
        if held.members and (kind := self.finder.type_of(left, at.fragment, at.document)).is_known:
            got = self._taken(kind.name + "*" * kind.pointers, held)
            if isinstance(got, Access):
                yield got
                return
            held = got
        while left.type in ("parenthesized_expression", "field_expression", "subscript_expression"):
            inner = left.child_by_field_name("argument") or next(iter(left.named_children), None)
            if left.type == "field_expression":
                receiver, member = receiver_type_parts(left)
                owner = self.finder.type_of(receiver, at.fragment, at.document) if receiver is not None else None
                written = self.finder.written.member(owner.name, member) if owner is not None else ""
                if is_const_pointer(written):
                    yield Access.READ
                    return
                members = (member, *members)
            elif left.type == "subscript_expression" and not held.members:
                held = held._replace(many=True) if held.is_tensor else held._replace(depth=held.depth + 1)
            if inner is None:
                break
            left = inner
        found = self.finder.declaration_of(text_of(left), left) if left.type == "identifier" else None
        if found is None:
            own = (
                self.finder.written.member(self.finder.class_at(left), text_of(left))
                if left.type == "identifier"
                else ""
            )
            yield Access.READ if is_const_pointer(own) and not members else Access.UNKNOWN
            return
        declared = at.fragment.tree.root_node.descendant_for_byte_range(found.start, found.start + len(found.name))
        got = held if members else taken(found.type_text, held, typed=self.typed)
        if isinstance(got, Access):
            yield got
        elif self.typed or declared is None or (members and found.type_text.endswith(("&", "*"))):
            yield Access.UNKNOWN
        else:
            yield from self._follow(declared, binding, got._replace(members=(*members, *got.members)), at)

    def _in_field_initializer(self, at: At, parent: Node, held: Held) -> Iterator[Event]:
        """`: p_(p)` of a constructor: the object holds it."""
        name = text_of(parent.named_children[0])
        owner = self.finder.class_at(at.node)
        got = self._taken(self.finder.written.member(owner, name) or "auto", held)
        yield got if isinstance(got, Access) else got._replace(members=(name, *got.members))

    def _in_initializer_list(self, at: At, parent: Node, held: Held) -> Iterator[Event]:
        place = [child for child in parent.named_children if child.type != "comment"].index(at.node)
        yield from self._up(at.to(parent), _listed(held, f"#{place}"))

    def _in_initializer_pair(self, at: At, parent: Node, held: Held) -> Iterator[Event]:
        designator = next((text_of(c).lstrip(".") for c in parent.named_children if "designator" in c.type), "*")
        if parent.parent is not None:
            yield from self._up(at.to(parent.parent), _listed(held, designator))

    def _in_compound_literal_expression(self, at: At, parent: Node, held: Held) -> Iterator[Event]:
        kind = parent.child_by_field_name("type")
        got = self._taken(text_of(kind) if kind is not None else "", held)
        yield from (got,) if isinstance(got, Access) else self._up(at.to(parent), got)

    def _in_lambda_capture_initializer(self, at: At, parent: Node, held: Held) -> Iterator[Event]:
        name = parent.child_by_field_name("left") or parent.named_children[0]
        if name != at.node:
            yield from self._follow(name, parent, held, at)

    def _follow(self, name: Node, binding: Node, held: Held, at: At) -> Iterator[Event]:
        """The uses of the variable declared at `name` from where `binding` gives it what is held."""
        key = (at.document.path, at.fragment.base, name.start_byte, binding.start_byte, held)
        if key in self._followed:
            return
        self._followed.add(key)
        scope = own_scope(name)
        if scope is None:
            yield Access.UNKNOWN  # a global variable
            return
        start = name.start_byte if self.typed else region_start(binding, scope)
        where = Span(name.start_byte, name.end_byte)
        yield from self._named(text_of(name), Span(start, scope.end_byte), where, binding, held, at)

    def _named(
        self, name: str, region: Span, declared: Span, binding: Node | None, held: Held, at: At
    ) -> Iterator[Event]:
        """What becomes of what a variable holds in a region of its fragment."""
        rebound: list[At] = []
        for place in self._places(name, region, declared, at):
            if (parent := _rebinding(place.node, held)) is not None and parent != binding:
                rebound.append(place.to(parent))
                if self.typed:
                    yield Access.UNKNOWN
            same = (other.node for other in rebound if other.fragment is place.fragment)
            if not any(dominates(other, place.node) for other in same):
                yield from self._up(place, held)

    def _places(
        self, name: str, region: Span, declared: Span, at: At, seen: frozenset[Span] = frozenset()
    ) -> Iterator[At]:
        """The uses of a variable in a region of its fragment, and in the macros that are used there."""
        for node in identifiers(name, region, at.fragment, at.document):
            found = self.finder.declaration_of(name, node)
            is_ours = found is None or declared.start <= found.start < declared.end
            if is_ours and not declared.contains(Span(node.start_byte, node.end_byte)):
                yield at.to(node)
        for macro in macros_used(region, at.fragment, at.document, self.macros):
            for document, definition in self.macros[macro]:
                if definition.span not in seen and name not in (definition.params or ()):
                    fragment, body = body_of(document, definition)
                    inside = At(fragment.tree.root_node, fragment, document)
                    yield from self._places(name, body, Span(0, 0), inside, seen | {definition.span})


def _rebinding(node: Node, held: Held) -> Node | None:
    """The assignment that gives the variable at `node` something else to hold."""
    parent = node.parent
    if parent is None or parent.type != "assignment_expression" or held.is_element:
        return None
    operator = parent.child_by_field_name("operator")
    is_plain = operator is None or text_of(operator) == "="
    return parent if is_plain and parent.child_by_field_name("left") == node else None


def _listed(held: Held, member: str) -> Held:
    """What a braced list holds: of tensors a list."""
    if held.is_tensor and not held.members:
        return held._replace(many=True)
    return held._replace(members=(member, *held.members))


def is_whole_macro(at: At) -> bool:
    """Whether an expression is all that a macro stands for, so that it goes where the macro is used."""
    if at.fragment.macro is None:
        return False
    body, span = at.fragment.macro.body, at.fragment.span(at.node)
    around = at.document.code[body.start : span.start] + at.document.code[span.end : body.end]
    return not around.translate(None, b"() \t\r\n\\")
