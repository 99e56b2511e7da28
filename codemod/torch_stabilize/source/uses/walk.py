"""The walk from an expression to where its value ends up: a step for each kind of node around one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from tree_sitter import Node

from torch_stabilize.model import Span
from torch_stabilize.source.callees import Callees
from torch_stabilize.source.declarations import around, declared_by, innermost_name, text_of
from torch_stabilize.source.document import Document, Fragment, Macro
from torch_stabilize.source.macro_uses import is_all_of_macro
from torch_stabilize.source.patterns import word_pattern
from torch_stabilize.source.scopes import TypeFinder, receiver_type_parts
from torch_stabilize.source.types import CppType, parse_type
from torch_stabilize.source.uses.held import NUMBERS, VIEWS, Access, Effects, Held, is_const_pointer, taken, viewed
from torch_stabilize.source.uses.names import SCOPES, cuts_off, identifiers, in_lambda, region_start, stretch_behind

_ARRAY_REFERENCE = re.compile(r"[\w:]+\s*\(\s*&+\s*\w+\s*\)\s*\[")  # `float(&r)[4] = ..` is read as a call
_MOST = 3000  # steps for one question
# Nodes in which an expression ends as it is.
_READING = frozenset({
    "sizeof_expression", "decltype", "alignof_expression", "template_argument_list",
    "condition_clause", "if_statement", "while_statement", "do_statement", "for_statement", "switch_statement",
    "case_statement", "kernel_call_syntax", "lambda_capture_specifier", "throw_statement", "array_declarator",
    "static_assert_declaration", "unary_expression", "new_declarator", "noexcept",
})  # fmt: skip
_DECLARING = frozenset({"init_declarator", "declaration", "for_range_loop", "function_declarator"})
_LISTS = frozenset({"auto", "tuple", "pair", "array", "vector", "initializer_list"})  # what braces stay in
Event = Access | Held  # a Held is what a function gives back


class At(NamedTuple):
    """An expression, where it is, and what it holds.

    `shift` is what `__VA_ARGS__` adds to the place of an argument, `frame` where the function starts that is asked for.
    """

    node: Node
    fragment: Fragment
    document: Document
    held: Held = Held()
    frame: int = -1
    shift: int = 0

    def to(self, node: Node | None, held: Held | None = None) -> At:
        """Another expression of the same fragment."""
        return self._replace(node=node or self.node, held=self.held if held is None else held, shift=0)

    def up(self, held: Held | None = None) -> At:
        """The expression around it."""
        return self.to(self.node.parent, held)


Found = Iterable[Event | At]  # what is known, and where to look on


class Entered(tuple[Event | At, ...]):
    """What is known of what a callee does: a cast may have made writable there what is const outside."""


class Walk:
    """The steps through expressions and into variables."""

    def __init__(self, finder: TypeFinder, effects: Effects, *, typed: bool = False) -> None:
        self.finder, self.effects, self.typed = finder, effects, typed
        self.callees, self.macros = Callees(finder), finder.macros.definitions
        self._steps = 0
        self._followed: set[tuple[object, ...]] = set()
        self._results: dict[tuple[object, ...], tuple[Event, ...]] = {}  # of parameters
        self._open: set[tuple[object, ...]] = set()
        self._is_partial = False
        self._macro_names: dict[int, tuple[Document, list[str]]] = {}  # by the identity of the document

    def _answers(self, start: Found) -> tuple[Event, ...]:
        """What becomes of the expressions of `start`, each answer once; behind a write nobody looks at the others."""
        found: dict[Event, None] = {}
        waiting = [iter(start)]
        while waiting and Access.WRITE not in found and not (self.typed and Access.UNKNOWN in found):
            one = next(waiting[-1], None)
            if one is None:
                waiting.pop()
            elif isinstance(one, At):
                waiting.append(iter(self._step(one)))
            else:
                found[one] = None
        return tuple(found)

    def _step(self, at: At) -> Found:
        found = self._found(at)
        if not at.held.is_const or isinstance(found, Entered):
            return found
        return (Access.READ if one is Access.UNKNOWN else one for one in found)

    def _found(self, at: At) -> Found:
        parent = at.node.parent
        self._steps += 1
        if parent is None or self._steps > _MOST:
            self._is_partial = True
            return (Access.UNKNOWN,)
        if parent.type in _READING:
            return (Access.READ,)
        if parent.type in ("parenthesized_expression", "conditional_expression", "comma_expression"):
            is_asked = parent.child_by_field_name("condition") == at.node
            is_dropped = parent.type == "comma_expression" and parent.named_children[-1] != at.node
            return (Access.READ,) if is_asked or is_dropped else (at.up(),)
        if parent.type == "update_expression":
            return self._written(at.held) if at.held.is_element else (at.up(),)
        if parent.type in ("subscript_expression", "pointer_expression"):
            return (at.up(at.held.pointed if parent.children[0].type == "&" else at.held.element),)
        if parent.type in _DECLARING:
            return self._declared(parent, at)
        step = getattr(self, f"_in_{parent.type}", None)
        found: Found = step(at, parent, at.held) if step is not None else (Access.UNKNOWN,)
        return found

    def _in_subscript_argument_list(self, at: At, parent: Node, held: Held) -> Found:
        """`n[p]`, which is `p[n]`, and `map[p]`, which reads."""
        whole = parent.parent or parent
        if held.is_element or held.is_tensor or held.members:
            return (Access.READ,)
        base = self._type(whole.child_by_field_name("argument"), at)
        if base.name in NUMBERS and not base.pointers:
            return (at.to(whole, held.element),)
        return (Access.READ if base.is_known else Access.UNKNOWN,)

    def _in_expression_statement(self, at: At, parent: Node, held: Held) -> Found:
        return (held if is_all_of_macro(at.node, at.fragment, at.document) else Access.READ,)

    def _in_assignment_expression(self, at: At, parent: Node, held: Held) -> Found:
        left, is_plain = parent.child_by_field_name("left"), _is_plain(parent)
        if left == at.node:
            around_it = parent.parent or parent
            if held.is_element and around_it.type == "cast_expression" and "&" in type_text_of(around_it):
                held = held._replace(is_const=False)  # `(float&)r = 1` is read as a cast of the assignment
            if held.members and _is_tied(at.node):
                return self._written(held) if held.inside.is_element else (Access.READ,)
            if held.members[:1] == ("*",) and is_plain:
                return (Access.UNKNOWN,)  # which member, or element of a list, is not known
            is_other = is_plain and (held.is_slot or held.many or held.members)  # another tensor from now on
            if held.is_element or (held.is_tensor and not is_other):
                return self._written(held)
            return (Access.READ,) if is_plain else (at.up(),)
        if held.is_element and left is not None and _ARRAY_REFERENCE.match(text_of(left)):
            return (Access.UNKNOWN,)
        if (held.depth == 0 and not held.is_tensor) or not is_plain or left is None:
            return (Access.READ,)
        is_used = parent.parent is not None and parent.parent.type != "expression_statement"
        return (*self._stored(left, parent, held, at), *((at.up(),) if is_used else ()))

    def _written(self, held: Held) -> Found:
        if held.is_const:
            return (Access.READ,)
        return (Access.UNKNOWN if held.may_be_copy else Access.WRITE,)

    def _in_binary_expression(self, at: At, parent: Node, held: Held) -> Found:
        operator = text_of(parent.child_by_field_name("operator") or parent)
        left, right = parent.child_by_field_name("left"), parent.child_by_field_name("right")
        other = self._type(left if right == at.node else right, at)
        if held.is_element and operator == ">>" and right == at.node and other.name not in NUMBERS:
            return (Access.UNKNOWN,)  # out of a stream
        moves = operator in ("+", "-") and held.depth > 0 and not held.is_tensor and not other.pointers
        return (at.up(),) if moves else (Access.READ,)

    def _in_cast_expression(self, at: At, parent: Node, held: Held) -> Found:
        return self._cast(type_text_of(parent), at.up())

    def _cast(self, type_text: str, at: At) -> Found:
        """`at` is the cast, which may make writable what is const."""
        kind, held = parse_type(type_text), at.held
        if held.is_const and (kind.pointers or "&" in type_text) and not self.typed:
            at = at.to(at.node, held._replace(is_const=False))
            held = at.held
        if kind.name in ("void", "bool") and not kind.pointers:
            return (Access.READ,)
        is_number = not (held.is_element or held.is_tensor or kind.pointers)  # an address
        return (at,) if is_number else self._as_type(type_text, at)

    def _as_type(self, type_text: str, at: At) -> Found:
        """What becomes of an expression that is made one of a type."""
        got = self._taken(type_text, at.held)
        return (got,) if isinstance(got, Access) else (at.to(at.node, got),)

    def _type(self, node: Node | None, at: At) -> CppType:
        return self.finder.type_of(node, at.fragment, at.document) if node is not None else parse_type("")

    # into variables and members

    def _declared(self, holder: Node, at: At) -> Iterator[Event | At]:
        """The variables that a declaration gives what is held; `at::Tensor y(x)` could be a function's."""
        name, _ = innermost_name(holder.child_by_field_name("declarator") or holder)
        is_loop, declaration = holder.type == "for_range_loop", holder
        while declaration.type.endswith("declarator") and declaration.parent is not None:
            declaration = declaration.parent
        whole = at.held.element if is_loop else at.held
        for one in declared_by(declaration):
            is_part, member = one.index is not None and bool(whole.members), (*whole.members, "*")[0]
            if name is None or not name.start_byte <= one.start < name.end_byte:
                continue
            if not is_part or member in ("*", f"#{one.index}"):
                written = type_text_of(declaration)
                type_text = written if written == "decltype(auto)" else one.type_text
                got = self._taken(type_text, whole.inside if is_part else whole)
                binding = at.node if is_loop else holder
                yield from (got,) if isinstance(got, Access) else self._follow(one.start, one.name, binding, got, at)

    def _taken(self, type_text: str, held: Held, generic: frozenset[str] = frozenset()) -> Event:
        """What a variable of a type holds; a value between braces is a member of an object or an element."""
        kind, inner = parse_type(type_text), held.inside
        if kind.name in VIEWS and held.members[:1] in (("#0",), ("#1",)) and not self.typed:
            return viewed(kind, inner)
        if not held.members or not held.members[0].startswith("#") or kind.name in _LISTS:
            return taken(type_text, held, typed=self.typed, generic=generic)
        if kind.pointers or kind.name in NUMBERS:
            if inner.members:
                return self._taken(type_text.rstrip("*"), inner, generic)
            deeper = inner._replace(depth=inner.depth + max(0, kind.pointers - 1))
            return taken(type_text, deeper, typed=self.typed, generic=generic)
        member, member_text = self.callees.member_type(kind.name, int(held.members[0][1:]))
        if not member:
            return Access.UNKNOWN if self.typed else inner.within("*")
        got = self._taken(member_text, inner)
        return got if isinstance(got, Access) else got.within(member)

    def _stored(self, left: Node, binding: Node, held: Held, at: At) -> Found:
        """What is held is assigned to the variable, element or member that `left` names."""
        members: tuple[str, ...] = ()
        through = False
        if held.members and (kind := self._type(left, at)).is_known:
            got = self._taken(kind.name + "*" * kind.pointers, held)
            if isinstance(got, Access):
                return (got,)
            held = got
        while left.type in ("parenthesized_expression", "field_expression", "subscript_expression"):
            if left.type == "field_expression":
                receiver, member = receiver_type_parts(left)
                members, through = (member, *members), any(child.type == "->" for child in left.children)
                if is_const_pointer(self.finder.written.member(self._type(receiver, at).name, member)):
                    return (Access.READ,)
            elif left.type == "subscript_expression" and not held.members:
                held = held.pointed
            left = left.child_by_field_name("argument") or left.named_children[0]
        found = self.finder.declaration_of(text_of(left), left) if left.type == "identifier" else None
        if found is None:
            own = self.finder.written.member(self.finder.class_at(left), text_of(left))
            return (Access.READ if is_const_pointer(own) and not members else Access.UNKNOWN,)
        got = held if members else taken(found.type_text, held, typed=self.typed)
        if isinstance(got, Access):
            return (got,)
        right = binding.child_by_field_name("right") or binding
        itself = identifiers(found.name, Span(right.start_byte, right.end_byte), at.fragment, at.document)
        is_other = through or found.type_text.endswith(("&", "*") if members else "&")
        if self.typed or (is_other and not any(itself)):
            return (Access.UNKNOWN,)
        return self._follow(found.start, found.name, binding, got.within(*members), at)

    def _in_field_initializer(self, at: At, parent: Node, held: Held) -> Found:
        """`: p_(p)` of a constructor: the object holds it."""
        name = text_of(parent.named_children[0])
        got = self._taken(self.finder.written.member(self.finder.class_at(at.node), name) or "auto", held)
        return (got if isinstance(got, Access) else got.within(name),)

    def _in_initializer_list(self, at: At, parent: Node, held: Held) -> Found:
        place = [child for child in parent.named_children if child.type != "comment"].index(at.node)
        holder = parent.parent or parent  # `auto q{p}` is no list
        is_bare = type_text_of(holder.parent or holder) == "auto" and all(c.type != "=" for c in holder.children)
        return (at.up(held if is_bare else held.listed(f"#{place}")),)

    def _in_initializer_pair(self, at: At, parent: Node, held: Held) -> Found:
        named = (text_of(c).lstrip(".") for c in parent.named_children if c.type == "field_designator")
        return (at.up().up(held.listed(next(named, "*"))),)

    def _in_compound_literal_expression(self, at: At, parent: Node, held: Held) -> Found:
        return self._as_type(type_text_of(parent), at.up())

    def _in_lambda_capture_initializer(self, at: At, parent: Node, held: Held) -> Found:
        name = parent.named_children[0]
        return self._follow(name.start_byte, text_of(name), parent, held, at)

    def _follow(self, start: int, name: str, binding: Node, held: Held, at: At) -> Iterator[Event | At]:
        """The uses of the variable declared at `start` from where `binding` gives it what is held."""
        key = (at.document.path, at.fragment.base, start, binding.start_byte, held)
        if key in self._followed:
            return
        self._followed.add(key)
        yield Access.READ
        declared = Span(start, start + len(name.encode()))
        node = at.fragment.tree.root_node.descendant_for_byte_range(declared.start, declared.end)
        scope = around(node, SCOPES) if node is not None else None
        if scope is None:
            yield Access.READ if held.is_const else Access.UNKNOWN  # a global variable
            return
        first = start if self.typed else region_start(binding, scope)
        for place in self._named(name, Span(start, scope.end_byte), declared, binding, at.to(scope, held)):
            is_early = isinstance(place, At) and place.fragment is at.fragment and place.node.start_byte < first
            if not is_early or (isinstance(place, At) and in_lambda(place.node, binding)):  # which may run later
                yield place

    def _named(self, name: str, region: Span, declared: Span, binding: Node | None, at: At) -> Iterator[Event | At]:
        """What becomes of what a variable holds in a region of its fragment."""
        others: list[tuple[At, Span]] = []  # what gives it something else to hold, and where that is so
        for place in self._places(name, region, declared, at):
            parent = place.node.parent or place.node
            is_left = parent.type == "assignment_expression" and parent.child_by_field_name("left") == place.node
            if is_left and parent != binding and _is_plain(parent) and not at.held.is_element:
                others.append((place.up(), stretch_behind(parent)))
                yield Access.UNKNOWN if self.typed else Access.READ
            if not _is_cut_off(place, binding, others):
                yield place

    def _places(
        self, name: str, region: Span, declared: Span, at: At, seen: frozenset[Span] = frozenset()
    ) -> Iterator[At]:
        """The uses of a variable in a region of its fragment, and in the macros that are used there."""
        for node in identifiers(name, region, at.fragment, at.document):
            found = self.finder.declaration_of(name, node)
            is_ours = found is None or declared.start <= found.start < declared.end
            if is_ours and not declared.contains(Span(node.start_byte, node.end_byte)):
                yield at.to(node)
        code, whole = at.document.code, region.shifted(at.fragment.base)
        if id(at.document) not in self._macro_names:
            self._macro_names[id(at.document)] = (at.document, sorted(self.macros.keys() & at.document.names))
        near = self._macro_names[id(at.document)][1]
        used = [word for word in near if word_pattern(word.encode()).search(code, whole.start, whole.end)]
        for document, macro in (one for word in used for one in self.macros[word]):
            if macro.span not in seen and name not in (macro.params or ()):
                inside, body = inside_of(document, macro, at.held)
                yield from self._places(name, body, Span(0, 0), inside, seen | {macro.span})


def inside_of(document: Document, macro: Macro, held: Held) -> tuple[At, Span]:
    """A macro's body as a place, and where the body is in its fragment."""
    fragment = document.fragment_at(macro.body.start)
    body = macro.body.shifted(-fragment.base)
    return At(fragment.tree.root_node, fragment, document, held), body


def _is_cut_off(place: At, binding: Node | None, others: Iterable[tuple[At, Span]]) -> bool:
    """Whether every way to `place` leads over one of the assignments `others`."""
    start = place.node.start_byte
    for one, reach in others:
        is_behind = reach.start <= start < reach.end and one.fragment is place.fragment
        if is_behind and cuts_off(one.node, place.node, binding):
            return True
    return False


def _is_plain(assignment: Node) -> bool:
    return text_of(assignment.child_by_field_name("operator") or assignment) == "="


def _is_tied(node: Node) -> bool:
    """Whether an expression is `std::tie(..)`, which refers to its arguments."""
    callee = node.child_by_field_name("function") if node.type == "call_expression" else None
    return callee is not None and text_of(callee).rpartition("::")[2] in ("tie", "forward_as_tuple")


def type_text_of(node: Node) -> str:
    """The type that a declaration, a cast or a call of a constructor names."""
    kind = node.child_by_field_name("type")
    return text_of(kind) if kind is not None else ""
