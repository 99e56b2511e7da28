"""What calls do with what they are given: `Uses` is the walk with its steps into functions, methods and macros."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from tree_sitter import Node

from torch_stabilize.model import Span
from torch_stabilize.source import callees
from torch_stabilize.source.aliases import read_aliases
from torch_stabilize.source.callees import Callee, reference_of, template_argument
from torch_stabilize.source.declarations import around, text_of
from torch_stabilize.source.document import Document, Fragment
from torch_stabilize.source.macro_uses import is_all_of_macro, is_made_text
from torch_stabilize.source.scopes import arguments_of, receiver_type_parts
from torch_stabilize.source.signatures import Function
from torch_stabilize.source.types import parse_type
from torch_stabilize.source.uses.held import ANY, NUMBERS, TENSOR, VIEWS, Access, Held, viewed
from torch_stabilize.source.uses.names import SCOPES, identifiers
from torch_stabilize.source.uses.walk import At, Entered, Event, Found, Walk, inside_of, type_text_of

_CASTS = frozenset({"static_cast", "reinterpret_cast", "const_cast", "dynamic_cast"})
_TUPLES = frozenset({"std::make_tuple", "std::make_pair", "std::tie", "std::forward_as_tuple"})
_COPIES = frozenset({"std::make_tuple", "std::make_pair"})
_KEEPS = frozenset({"push_back", "emplace_back", "push_front", "insert", "emplace", "assign"})


class Uses(Walk):
    """What is done with values, in a set of documents that belong together."""

    def of_expression(self, node: Node, fragment: Fragment, document: Document, held: Held) -> Access:
        """What becomes of the memory that the expression `node` holds."""
        return self._answer((At(node, fragment, document, held),)) or Access.UNKNOWN

    def of_parameter(self, document: Document, function: Function, index: int, held: Held = TENSOR) -> Access | None:
        """What `function` does with its parameter `index`; None where it does nothing with it."""
        return self._answer(self._entered(callees.of_function(document, function), index, held))

    def _answer(self, start: Found) -> Access | None:
        self._steps, self._followed = 0, set()
        self._results, self._is_partial = ({} if self._is_partial else self._results), False
        found = self._answers(start)
        # a tensor that is returned is looked into where schemas are; a pointer is passed to where it cannot be followed
        kinds = {
            one if isinstance(one, Access) else Access.READ if one.is_tensor or one.is_const else Access.UNKNOWN
            for one in found
        }
        return next((access for access in (Access.WRITE, Access.UNKNOWN, Access.READ) if access in kinds), None)

    def places(self, document: Document, function: Function, index: int) -> list[At]:
        """Where a function uses its parameter `index`, also in the macros that it uses."""
        callee, parameter = callees.of_function(document, function), function.parameters[index]
        return list(self._places(parameter.name, callee.body or Span(0, 0), parameter.span, _root(callee, Held())))

    def parameter_types(self, at: At) -> list[str]:
        """The types of the parameter that takes the argument at a place, in every function that may be meant."""
        call = at.up().node.parent
        callee = call.child_by_field_name("function") if call is not None else None
        if call is None or callee is None or reference_of(callee) in self.macros:
            return []
        given = arguments_of(call)
        found = self._meant(callee, len(given), at)
        return [one.parameters[given.index(at.node)].type_text for one in found]

    # what an argument is passed to

    def _in_argument_list(self, at: At, arguments: Node, held: Held) -> Found:
        given = [child for child in arguments.named_children if child.type != "comment"]
        place = given.index(at.node) + at.shift
        call = arguments.parent or arguments
        if any(text_of(argument) == "__VA_ARGS__" for argument in given):
            given = []  # their number is unknown
        if call.type == "field_initializer":
            return self._in_field_initializer(at.up(), call, held)
        callee = call.child_by_field_name("function")
        if callee is not None:
            return self._given_to(callee, place, given, at.to(call))
        named = call.parent if call.type == "init_declarator" else call
        return self._made(type_text_of(named or call), place, given, at.up())

    def _in_parameter_declaration(self, at: At, parent: Node, held: Held) -> Found:
        """`S s(p);`, which could be a function's declaration."""
        listed = declaration = at.up().up()
        while declaration.node.type.endswith("declarator") or declaration.node == listed.node:
            declaration = declaration.up()
        given = listed.node.named_children
        return self._made(type_text_of(declaration.node), given.index(parent), given, listed)

    def _given_to(self, callee: Node, place: int, given: Sequence[Node], at: At) -> Found:
        """The argument `place` of the call `at`."""
        name, held = reference_of(callee), at.held
        if callee.type == "field_expression":
            return self._given_to_method(callee, place, given, at)
        if name in _CASTS:
            return self._cast(template_argument(callee), at)
        if name in _TUPLES:
            if held.is_element and name in _COPIES:
                return (Access.READ,)
            return (at.to(at.node, held.within(f"#{place}")),)
        if name == "std::get" and held.members:
            is_meant = held.members[0] in ("*", f"#{template_argument(callee)}")
            return (at.to(at.node, held.inside),) if is_meant else (Access.READ,)
        if name in self.macros:
            return Entered(self._given_to_macro(name, place, at))
        if found := self._meant(callee, len(given), at):
            through, others = self._through(found, place, given, at), self._of_namesake(name, found, place, given, at)
            return Entered((*through, *others)) if others else through
        is_list = held.is_tensor and template_argument(callee)  # `std::vector<at::Tensor>(x)`
        effect = "" if is_list else self.effects.function(name, place, len(given))
        if not effect and held.is_tensor and name.removeprefix("::").startswith(("at::", "torch::")):
            effect = self.effects.argument(name.rpartition("::")[2], place)
        return self._affected(effect, at) if effect else self._made(text_of(callee), place, given, at)

    def _of_namesake(self, name: str, found: Sequence[Callee], place: int, given: Sequence[Node], at: At) -> Found:
        """What a function of CUDA or C++ writes that `found` overload for one type more, as atomicAdd(at::Half*)."""
        effect = self.effects.function(name, place, len(given))
        kind = self._type(given[place], at) if place < len(given) else None
        if effect not in ("W", "E") or kind is None or any(one.generic for one in found):
            return ()
        is_open = not kind.is_known or kind.name in callees.generic_names(at.node)
        return self._affected(effect, at) if is_open else ()

    def _affected(self, effect: str, at: At) -> Found:
        """What the call `at` does to what it is given, by a letter of `Effects`."""
        held = at.held
        if effect == "W" or (effect == "E" and held.is_element):
            return self._written(held)
        if effect == "T":
            return (at.to(at.node, TENSOR._replace(is_slot=False, may_be_copy=held.may_be_copy)),)
        if effect == "A":
            return (at.to(at.node, held.pointed),)
        if effect == "X" and held.is_element:
            return self._referred(at)
        if effect in ("V", "M", "X"):
            kept = held._replace(many=False, is_slot=held.many) if held.is_tensor else held
            return (at.to(at.node, kept._replace(may_be_copy=held.may_be_copy or effect == "M")),)
        return (Access.READ if effect == "R" else Access.UNKNOWN,)

    def _referred(self, at: At) -> Found:
        """`std::ref(p[0])`: what is behind its get() is followed."""
        field = at.node.parent
        if field is None or field.type != "field_expression" or receiver_type_parts(field)[1] != "get":
            return (Access.UNKNOWN,)
        return (at.up().up(),)

    def _made(self, type_text: str, place: int, given: Sequence[Node], at: At) -> Found:
        """An object or a number of a type, made from arguments; `at` is what it is."""
        kind, held = parse_type(type_text), at.held
        if kind.name in VIEWS and not (self.typed or held.is_element or held.is_tensor):
            return (at.to(at.node, viewed(kind, held)),)
        if constructors := self.callees.members(kind.name, kind.name, len(given)):
            return self._through(constructors, place, given, at)
        if kind.pointers or kind.name in ("auto", "Tensor", "optional") or (held.is_tensor and kind.arguments):
            return self._as_type(type_text, at)
        if held.is_element and (kind.name in NUMBERS or self._is_type(kind.name, at.node)):
            return (Access.READ,)
        if kind.name in NUMBERS:
            return self._cast(type_text, at)
        return self._affected(self.effects.function(kind.name, place, len(given)), at)

    def _is_type(self, name: str, node: Node) -> bool:
        """Whether a name is an alias or a template's parameter, so that `name(x)` converts."""
        aliases = (alias.name for document in self.finder.documents for alias in read_aliases(document))
        return name in callees.generic_names(node) or name in aliases

    def _meant(self, callee: Node, count: int, at: At, depth: int = 0) -> list[Callee]:
        """The functions and lambdas that what is called may mean, also by way of a variable."""
        while callee.type in ("pointer_expression", "parenthesized_expression") and callee.named_children:
            callee = callee.named_children[0]
        if callee.type == "lambda_expression":
            return [callees.of_node(callee, at.fragment, at.document)]
        if callee.type == "conditional_expression":
            sides = [self._meant(side, count, at, depth) for side in callee.named_children[1:]]
            return [one for side in sides for one in side] if all(sides) else []
        name = reference_of(callee)
        declared = self.finder.declaration_of(name, callee) if name.isidentifier() else None
        if declared is None or self.callees.is_function(declared, at.fragment):
            return self.callees.named(name, count)
        if declared.value is not None and depth < 3 and (found := self._meant(declared.value, count, at, depth + 1)):
            return found
        return self.callees.members(self._type(callee, at).name, "operator()", count)

    def _through(self, found: Sequence[Callee], place: int, given: Sequence[Node], at: At) -> Found:
        """What the functions that a call may mean do with an argument, and what becomes of what they give back."""
        kinds = tuple(self._type(node, at) for node in given) if len(found) > 1 else ()
        chosen = [one for one in found if one.may_take(kinds)] or found
        answers = [self._entered(one, place, at.held) for one in chosen]
        writes = [Access.WRITE in answer for answer in answers]
        # of one function for pointers to const and one for others the second is taken where it can be
        are_alike = len({tuple(text.replace("const", "") for text in one.types) for one in chosen}) == 1
        if any(writes) and not all(writes) and not are_alike:
            return (Access.UNKNOWN,)
        return Entered((Access.READ, *_given_back(answers, at)))

    def _entered(self, callee: Callee, place: int, held: Held) -> tuple[Event, ...]:
        """What a function does with what it is given as its parameter `place`, and what it gives back."""
        key = (callee.document.path, callee.fragment.base, callee.start, place, held)
        if key in self._open:
            self._is_partial = True  # what is found meanwhile lacks what this call does
            return ()
        if key not in self._results:
            self._open.add(key)
            outer, self._followed = self._followed, set()
            self._results[key] = self._answers(self._enter(callee, place, held))
            self._followed = outer
            self._open.remove(key)
        return self._results[key]

    def _enter(self, callee: Callee, place: int, held: Held) -> Found:
        if place >= len(callee.parameters):
            return (Access.UNKNOWN,)
        parameter = callee.parameters[place]
        got = self._taken(parameter.type_text, held, callee.generic)
        if isinstance(got, Access) or callee.body is None:
            return (got if isinstance(got, Access) else Access.READ if got.is_const else Access.UNKNOWN,)
        return self._named(parameter.name, callee.body, parameter.declared, None, _root(callee, got))

    def _given_to_macro(self, name: str, place: int, at: At) -> Iterator[Event | At]:
        for document, macro in self.macros[name]:
            parameters, last = macro.params or (), len(macro.params or ()) - 1
            is_rest = last >= 0 and place >= last and parameters[last].endswith("...")
            if not is_rest and place > last:
                yield Access.UNKNOWN
                continue
            word = (parameters[last].removesuffix("...") or "__VA_ARGS__") if is_rest else parameters[place]
            inside, body = inside_of(document, macro, at.held)
            for node in identifiers(word, body, inside.fragment, document):
                if not is_made_text(node, inside.fragment, document):
                    start = inside.to(node)._replace(shift=place - last if is_rest else 0)
                    yield from _given_back([self._answers((start,))], at)
            yield Access.READ

    # methods and members

    def _in_field_expression(self, at: At, field: Node, held: Held) -> Found:
        """`receiver.member` of what is held."""
        _, name = receiver_type_parts(field)
        call = field.parent
        if call is None or call.type != "call_expression" or call.child_by_field_name("function") != field:
            return self._member(name, at.up())
        at_call = at.to(call)
        if held.members:
            found = self.callees.members(self._type(at.node, at).name, name, len(arguments_of(call)))
            answers = [self._answers(self._own_method(callee, held)) for callee in found]
            return Entered((Access.READ if found or held.is_const else Access.UNKNOWN, *_given_back(answers, at_call)))
        if held.is_tensor:
            return self._method(name, field, at_call)
        if name == "data" and not held.is_element:  # of an accessor
            return (at_call.to(call, held._replace(depth=1)),)
        return (Access.READ if self.effects.method(name) == "R" else Access.UNKNOWN,)

    def _member(self, name: str, at: At) -> Found:
        """A data member; of a structure that is pointed to it is a part of the memory."""
        held = at.held
        if held.members:
            is_meant = held.members[0] == name or not held.members[0].isidentifier()
            return (at.to(at.node, held.inside),) if is_meant else (Access.READ,)
        return (at if held.is_tensor else at.to(at.node, held._replace(depth=0)),)

    def _method(self, name: str, field: Node, at: At) -> Found:
        """A method of a tensor, or of what holds tensors; `at` is its call."""
        argument, dimensions = template_argument(field), template_argument(field, 1)
        effect = "P" if name == "data" and argument else self.effects.method(name)
        if effect not in ("P", "C", "A"):
            return self._affected(effect, at)
        is_const = effect == "C" or "const" in argument.split()
        if is_const and (self.typed or effect == "A"):
            return (Access.READ,)
        depth = 1 if effect != "A" else int(dimensions) if dimensions.isdigit() else ANY
        return (at.to(at.node, Held(depth, may_be_copy=at.held.may_be_copy, is_const=is_const)),)

    def _own_method(self, callee: Callee, held: Held) -> Iterator[Event | At]:
        """What an object's member function does with the member that holds something."""
        name = held.members[0]
        if callee.body is None or not name.isidentifier():
            yield Access.UNKNOWN
            return
        for node in identifiers(name, callee.body, callee.fragment, callee.document, of_this=True):
            found = self.finder.declaration_of(name, node) if node.type == "identifier" else None
            if found is None or not callee.body.start <= found.start < callee.body.end:
                yield _root(callee, held.inside).to(node)

    def _given_to_method(self, callee: Node, place: int, given: Sequence[Node], at: At) -> Found:
        """`receiver.method(what is held)`."""
        receiver, name = receiver_type_parts(callee)
        kind, held = self._type(receiver, at), at.held
        if found := self.callees.members(kind.name, name, len(given)):
            return self._through(found, place, given, at)
        if name in _KEEPS and receiver is not None:
            return self._stored(receiver, at.node, held.pointed, at)
        if held.is_tensor and (kind.is_tensor or not kind.is_known):
            return self._affected(self.effects.argument(name, place + 1), at)
        return (Access.UNKNOWN,)

    # what a function gives back

    def _in_return_statement(self, at: At, parent: Node, held: Held) -> Found:
        function = around(at.node, ("function_definition", "lambda_expression"))
        if function is None or is_all_of_macro(at.node, at.fragment, at.document):
            return (held,)
        got = self._taken(callees.result_type(function), held)
        if isinstance(got, Access):
            return (got,)
        if function.type == "lambda_expression" and function.start_byte != at.frame:
            return self._called(function, at.to(function, got))
        return (got._replace(is_slot=False),)

    def _called(self, function: Node, at: At) -> Found:
        """What becomes of what the lambda `at` gives back, where it is called."""
        while at.node.parent is not None and at.node.parent.type == "parenthesized_expression":
            at = at.up()
        parent = at.node.parent
        if parent is not None and parent.type == "call_expression":
            return (at.up(),)
        scope = around(parent, SCOPES) if parent is not None and parent.type == "init_declarator" else None
        if scope is None or parent is None:
            return (Access.READ if at.held.is_tensor else Access.UNKNOWN,)
        name, region = text_of(parent.named_children[0]), Span(function.end_byte, scope.end_byte)
        calls = (node.parent for node in identifiers(name, region, at.fragment, at.document))
        return [at.to(call) if call and call.type == "call_expression" else Access.UNKNOWN for call in calls]


def _given_back(answers: Iterable[Iterable[Event]], call: At) -> list[Event | At]:
    """What functions do, and what becomes of what they give back to their call."""
    found = (event for answer in answers for event in answer)
    return [event if isinstance(event, Access) else call.to(call.node, event) for event in found]


def _root(callee: Callee, held: Held) -> At:
    return At(callee.fragment.tree.root_node, callee.fragment, callee.document, held, callee.start)
