"""What calls do with what they are given: `Uses` is the walk with its steps into functions, methods and macros."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tree_sitter import Node

from codemod.model import Span
from codemod.source.aliases import read_aliases
from codemod.source.declarations import text_of
from codemod.source.document import Document, Fragment
from codemod.source.scopes import arguments_of, receiver_type_parts
from codemod.source.signatures import Function
from codemod.source.types import parse_type
from codemod.source.uses.callees import (
    Callee,
    enclosing_function,
    may_take,
    of_function,
    of_node,
    reference_of,
    result_type,
    template_argument,
)  # fmt: skip
from codemod.source.uses.held import ANY, NUMBERS, TENSOR, Access, Held, combined, generic_names, up_to_write
from codemod.source.uses.names import body_of, identifiers, is_made_text, own_scope
from codemod.source.uses.walk import At, Event, Walk, is_whole_macro

_CASTS = frozenset({"static_cast", "reinterpret_cast", "const_cast", "dynamic_cast"})
_TUPLES = frozenset({"std::make_tuple", "std::make_pair", "std::tie", "std::forward_as_tuple"})
_KEEPS = frozenset({"push_back", "emplace_back", "push_front", "insert", "emplace", "assign"})
_OF_TORCH = ("at", "torch")


class Uses(Walk):
    """What is done with values, in a set of documents that belong together."""

    def of_expression(self, node: Node, fragment: Fragment, document: Document, held: Held) -> Access:
        """What becomes of the memory that the expression `node` holds."""
        self._begin()
        return combined(self._up(At(node, fragment, document), held)) or Access.UNKNOWN

    def of_parameter(self, document: Document, function: Function, index: int, held: Held = TENSOR) -> Access | None:
        """What `function` does with its parameter `index`; None where it does nothing with it."""
        self._begin()
        return combined(self._entered(of_function(document, function), index, held))

    def places(self, document: Document, function: Function, index: int) -> list[At]:
        """Where a function uses its parameter `index`, also in the macros that it uses."""
        self._begin()
        callee, parameter = of_function(document, function), function.parameters[index]
        root = At(callee.fragment.tree.root_node, callee.fragment, document)
        return list(self._places(parameter.name, callee.body or Span(0, 0), parameter.span, root))

    def parameter_types(self, at: At) -> list[str]:
        """The types of the parameter that takes the argument at a place, in every function that may be meant."""
        call = at.node.parent.parent if at.node.parent is not None else None
        callee = call.child_by_field_name("function") if call is not None else None
        if call is None or callee is None or reference_of(callee) in self.macros:
            return []
        given = arguments_of(call)
        found = self._meant(callee, reference_of(callee), len(given), at)
        return [one.parameters[given.index(at.node)].type_text for one in found]

    # what an argument goes to

    def _in_argument_list(self, at: At, arguments: Node, held: Held) -> Iterator[Event]:
        call = arguments.parent
        given = [child for child in arguments.named_children if child.type != "comment"]
        place = given.index(at.node) + at.shift
        if any(text_of(argument) == "__VA_ARGS__" for argument in given):
            given = []  # nobody knows how many
        if call is None:
            yield Access.UNKNOWN
        elif call.type == "init_declarator":  # `float* p(x.data_ptr<float>())`, `S s(p)`
            kind = call.parent.child_by_field_name("type") if call.parent is not None else None
            yield from self._made(text_of(kind) if kind is not None else "", place, given, at.to(arguments), held)
        elif call.type == "field_initializer":
            yield from self._in_field_initializer(at.to(arguments), call, held)
        elif call.type == "new_expression":
            kind = call.child_by_field_name("type")
            yield from self._made(text_of(kind) if kind is not None else "", place, given, at.to(arguments), held)
        elif (callee := call.child_by_field_name("function")) is not None:
            yield from self._given_to(callee, place, given, at.to(call), held)

    def _in_parameter_declaration(self, at: At, parent: Node, held: Held) -> Iterator[Event]:
        """`S s(p);`, which could be a function's declaration."""
        listed = parent.parent
        declaration = listed
        while declaration is not None and declaration.type != "declaration":
            declaration = declaration.parent
        kind = declaration.child_by_field_name("type") if declaration is not None else None
        if listed is not None and kind is not None:
            given = listed.named_children
            yield from self._made(text_of(kind), given.index(parent), given, at.to(listed), held)

    def _given_to(self, callee: Node, place: int, given: Sequence[Node], at: At, held: Held) -> Iterator[Event]:
        """`at` is the call."""
        while callee.type == "parenthesized_expression":
            callee = callee.named_children[0]
        name = reference_of(callee)
        if callee.type == "field_expression":
            yield from self._given_to_method(callee, place, given, at, held)
        elif callee.type == "lambda_expression":
            yield from self._through([of_node(callee, at.fragment, at.document)], place, given, at, held)
        elif name in _CASTS:
            yield from self._cast(template_argument(callee), at, held)
        elif name in _TUPLES:
            yield from self._up(at, held._replace(members=(f"#{place}", *held.members)))
        elif name == "std::get" and held.members:
            is_meant = held.members[0] in ("*", f"#{template_argument(callee)}")
            yield from self._up(at, held.inside) if is_meant else (Access.READ,)
        elif name in self.macros:
            yield from self._given_to_macro(name, place, at, held)
        elif found := self._meant(callee, name, len(given), at):
            yield from self._through(found, place, given, at, held)
        else:
            yield from self._given_to_unknown(callee, name, place, given, at, held)

    def _given_to_unknown(
        self, callee: Node, name: str, place: int, given: Sequence[Node], at: At, held: Held
    ) -> Iterator[Event]:
        """A function that no document has: one of torch, C, CUDA or the standard library, or a constructor."""
        effect = self.effects.function(name, place)
        if not effect and held.is_tensor and name.removeprefix("::").startswith(tuple(f"{n}::" for n in _OF_TORCH)):
            effect = self.effects.argument(name.rpartition("::")[2], place)
        if effect:
            yield from self._affected(effect, at, held)
        else:
            yield from self._made(text_of(callee), place, given, at, held)

    def _affected(self, effect: str, at: At, held: Held) -> Iterator[Event]:
        """The call `at` does to what it is given what a letter of `Effects` says."""
        if effect in ("R", "W"):
            yield Access.WRITE if effect == "W" else Access.READ
        elif effect == "T":
            yield from self._up(at, TENSOR._replace(is_slot=False))
        elif effect in ("V", "M"):
            kept = held._replace(many=False, is_slot=held.many) if held.is_tensor else held
            for event in self._up(at, kept):
                yield Access.UNKNOWN if effect == "M" and event is Access.WRITE else event
        else:
            yield Access.UNKNOWN

    def _made(self, type_text: str, place: int, given: Sequence[Node], at: At, held: Held) -> Iterator[Event]:
        """An object or a number of a type, made from arguments; `at` is what it is."""
        kind = parse_type(type_text)
        constructors = self.callees.members(kind.name, kind.name, len(given)) if kind.name else []
        if constructors:
            yield from self._through(constructors, place, given, at, held)
        elif kind.pointers or kind.name in ("auto", "Tensor", "optional") or (held.is_tensor and kind.arguments):
            got = self._taken(type_text, held)
            yield from (got,) if isinstance(got, Access) else self._up(at, got)
        elif held.is_element and (kind.name in NUMBERS or self._is_type(kind.name, at.node)):
            yield Access.READ
        elif kind.name in NUMBERS:
            yield from self._cast(type_text, at, held)
        else:
            yield from self._affected(self.effects.function(kind.name, place) or "?", at, held)

    def _is_type(self, name: str, node: Node) -> bool:
        """Whether a name is an alias or a template's parameter, so that `name(x)` converts."""
        walk: Node | None = node
        while walk is not None:
            if walk.type == "template_declaration" and name in generic_names(text_of(walk.named_children[0])):
                return True
            walk = walk.parent
        return any(alias.name == name for document in self.finder.documents for alias in read_aliases(document))

    def _meant(self, callee: Node, name: str, count: int, at: At, depth: int = 0) -> list[Callee]:
        """The functions and lambdas that a name may mean at a place, also by way of a variable."""
        declared = self.finder.declaration_of(name, callee) if name.isidentifier() else None
        value = declared.value if declared is not None else None
        if value is None or depth > 2:
            return self.callees.named(name, count)
        if value.type == "lambda_expression":
            return [of_node(value, at.fragment, at.document)]
        targets = [value.child_by_field_name(side) for side in ("consequence", "alternative")]
        found: list[Callee] = []
        for target in [value] if targets[0] is None else targets:
            while target is not None and target.type in ("pointer_expression", "parenthesized_expression"):
                target = target.named_children[0] if target.named_children else None
            if target is None or not (meant := self._meant(target, reference_of(target), count, at, depth + 1)):
                return []
            found += meant
        return found

    def _through(
        self, found: Sequence[Callee], place: int, given: Sequence[Node], at: At, held: Held
    ) -> Iterator[Event]:
        """What the functions that a call may mean do with an argument, and what becomes of what they give back."""
        kinds = tuple(self.finder.type_of(node, at.fragment, at.document) for node in given) if len(found) > 1 else ()
        chosen = [one for one in found if may_take(one.types, kinds, one.generic)] or found
        answers = [list(self._entered(one, place, held)) for one in chosen]
        writes = [Access.WRITE in answer for answer in answers]
        is_clear = all(writes) or not any(writes) or _differ_in_const(chosen)
        yield Access.READ
        for event in (event for answer in answers for event in answer):
            if isinstance(event, Held):
                yield from self._up(at, event)
            else:
                yield Access.UNKNOWN if event is Access.WRITE and not is_clear else event

    def _entered(self, callee: Callee, place: int, held: Held) -> Iterator[Event]:
        """What a function does with what it is given as its parameter `place`."""
        key = (callee.document.path, callee.fragment.base, callee.start, place, held)
        if key not in self._results:
            self._results[key] = ()
            self._open.add(key)
            outer, self._followed = self._followed, set()
            self._results[key] = tuple(up_to_write(self._enter(callee, place, held)))
            self._followed = outer
            self._open.remove(key)
        elif key in self._open:
            self._is_partial = True  # what is found meanwhile lacks what this call does
        yield from self._results[key]

    def _enter(self, callee: Callee, place: int, held: Held) -> Iterator[Event]:
        if place >= len(callee.parameters):
            yield Access.UNKNOWN
            return
        parameter = callee.parameters[place]
        got = self._taken(parameter.type_text, held, callee.generic)
        if isinstance(got, Access) or callee.body is None:
            yield got if isinstance(got, Access) else Access.UNKNOWN
            return
        inside = At(callee.fragment.tree.root_node, callee.fragment, callee.document, callee.start)
        yield from self._named(parameter.name, callee.body, parameter.declared, None, got, inside)

    def _given_to_macro(self, name: str, place: int, at: At, held: Held) -> Iterator[Event]:
        for document, macro in self.macros[name]:
            parameters = macro.params or ()
            rest = bool(parameters) and place >= len(parameters) - 1 and parameters[-1].endswith("...")
            if not rest and place >= len(parameters):
                yield Access.UNKNOWN
                continue
            word = (parameters[-1].removesuffix("...") or "__VA_ARGS__") if rest else parameters[place]
            fragment, body = body_of(document, macro)
            for node in identifiers(word, body, fragment, document):
                if is_made_text(node, fragment, document):
                    continue
                inside = At(node, fragment, document, shift=place - len(parameters) + 1 if rest else 0)
                for event in self._up(inside, held):
                    yield from self._up(at, event) if isinstance(event, Held) else (event,)
            yield Access.READ

    # methods and members

    def _in_field_expression(self, at: At, field: Node, held: Held) -> Iterator[Event]:
        """`receiver.member` of what is held."""
        _, name = receiver_type_parts(field)
        call = field.parent if field.parent is not None and field.parent.type == "call_expression" else None
        call = call if call is not None and call.child_by_field_name("function") == field else None
        if call is None:
            yield from self._member(name, at.to(field), held)
        elif held.is_tensor and not held.members:
            yield from self._method(name, field, at.to(call), held)
        elif held.members:
            owner = self.finder.type_of(at.node, at.fragment, at.document).name
            found = self.callees.members(owner, name, len(arguments_of(call)))
            yield Access.READ if found else Access.UNKNOWN
            for event in (event for callee in found for event in self._own_method(callee, held)):
                yield from self._up(at.to(call), event) if isinstance(event, Held) else (event,)
        else:  # of an accessor
            effect = self.effects.method(name)
            if name == "data" and not held.is_element:
                yield from self._up(at.to(call), Held())
            else:
                yield Access.READ if effect == "R" else Access.UNKNOWN

    def _member(self, name: str, at: At, held: Held) -> Iterator[Event]:
        """A data member; of a structure that is pointed to it is a part of the memory."""
        if held.members:
            is_meant = held.members[0] == name or not held.members[0].isidentifier()
            yield from self._up(at, held.inside) if is_meant else (Access.READ,)
        elif held.is_tensor:
            yield from self._up(at, held)  # `pair.first`
        else:
            yield from self._up(at, held._replace(depth=0))

    def _method(self, name: str, field: Node, at: At, held: Held) -> Iterator[Event]:
        """A method of a tensor, or of what holds tensors; `at` is its call."""
        effect = self.effects.method(name)
        argument = template_argument(field)
        if name == "data" and argument:
            effect = "P"
        if effect not in ("P", "A"):
            yield from self._affected(effect, at, held)
        elif argument.startswith("const ") or argument.endswith(" const"):
            yield Access.READ
        elif effect == "P":
            yield from self._up(at, Held())
        else:
            dimensions = template_argument(field, 1)
            yield from self._up(at, Held(int(dimensions) if dimensions.isdigit() else ANY))

    def _own_method(self, callee: Callee, held: Held) -> Iterator[Event]:
        """What an object's member function does with the member that holds something."""
        if callee.body is None or not held.members[0].isidentifier():
            yield Access.UNKNOWN
            return
        inside = At(callee.fragment.tree.root_node, callee.fragment, callee.document, callee.start)
        for node in identifiers(held.members[0], callee.body, callee.fragment, callee.document, of_this=True):
            found = self.finder.declaration_of(held.members[0], node) if node.type == "identifier" else None
            if found is None or not callee.body.start <= found.start < callee.body.end:
                yield from self._up(inside.to(node), held.inside)

    def _given_to_method(self, callee: Node, place: int, given: Sequence[Node], at: At, held: Held) -> Iterator[Event]:
        """`receiver.method(what is held)`."""
        receiver, name = receiver_type_parts(callee)
        kind = self.finder.type_of(receiver, at.fragment, at.document) if receiver is not None else parse_type("")
        if found := self.callees.members(kind.name, name, len(given)) if kind.name else []:
            yield from self._through(found, place, given, at, held)
        elif name in _KEEPS and receiver is not None:
            kept = held._replace(many=True) if held.is_tensor else held._replace(depth=held.depth + 1)
            yield from self._stored(receiver, at.node, kept, at)
        elif held.is_tensor and (kind.is_tensor or not kind.is_known):
            yield from self._affected(self.effects.argument(name, place + 1), at, held)
        else:
            yield Access.UNKNOWN

    # what a function gives back

    def _in_return_statement(self, at: At, parent: Node, held: Held) -> Iterator[Event]:
        function = enclosing_function(at.node)
        if function is None or is_whole_macro(at):
            yield held
            return
        got = self._taken(result_type(function), held)
        if isinstance(got, Access) or function.type != "lambda_expression" or function.start_byte == at.frame:
            yield got._replace(is_slot=False) if isinstance(got, Held) and got.is_tensor else got
        else:
            yield from self._called(function, got, at)

    def _called(self, function: Node, held: Held, at: At) -> Iterator[Event]:
        """What becomes of what a lambda gives back, where it is called."""
        parent = function.parent
        while parent is not None and parent.type == "parenthesized_expression":
            parent = parent.parent
        if parent is not None and parent.type == "call_expression":
            yield from self._up(at.to(parent), held)
        elif parent is None or parent.type != "init_declarator" or (scope := own_scope(parent)) is None:
            yield Access.READ if held.is_tensor else Access.UNKNOWN
        else:
            name, region = text_of(parent.named_children[0]), Span(function.end_byte, scope.end_byte)
            for node in identifiers(name, region, at.fragment, at.document):
                is_call = node.parent is not None and node.parent.type == "call_expression"
                yield from self._up(at.to(node.parent), held) if is_call and node.parent else (Access.UNKNOWN,)


def _differ_in_const(found: Sequence[Callee]) -> bool:
    """Whether functions are one for pointers to const and one for others, which is taken where it can be."""
    return len({tuple(text.replace("const", "") for text in one.types) for one in found}) == 1
