"""The results of a C++ function as a fake kernel sees them: from its body, where that is plain.

Plain is a body whose every `return` gives new tensors that are made at its top level, of sizes, dtypes and devices that
the arguments tell. Everything else is for somebody to write.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from tree_sitter import Node

from torch_stabilize.bindings.fakes.expressions import Translator, Unplain, python_name
from torch_stabilize.source.document import Document

_FACTORY_LIST = (
    "empty zeros ones full empty_symint zeros_symint ones_symint full_symint empty_like zeros_like ones_like new_empty "
    "new_zeros new_ones new_full"
)
_FACTORIES = frozenset(_FACTORY_LIST.split())
_CHANGING_LIST = (
    "push_back emplace_back insert erase resize assign pop_back clear resize_ set_ squeeze_ unsqueeze_ t_ transpose_ "
    "set_data swap"
)
_CHANGING = frozenset(_CHANGING_LIST.split())
_GET = re.compile(r"(?:std::)?get<(?P<place>\d)>\((?P<name>\w+)\)")
_TUPLES = frozenset({"make_tuple", "tuple", "make_pair", "pair", "tie", "forward_as_tuple"})


class Helper(NamedTuple):
    """A function of the project: its parameters by name, and its body with the braces."""

    parameters: tuple[str, ...]
    body: bytes


Helpers = Callable[[str], "Helper | None"]


@dataclass(frozen=True)
class Body:
    """A function's body, `text` with its braces. `names` maps its parameters to the operator's arguments.

    `helper` gives a function of the project by its name, None for what is none or one of several.
    """

    text: bytes
    names: Mapping[str, str]
    results: int = 1
    helper: Helpers = lambda _: None
    depth: int = 0

    @cached_property
    def _document(self) -> Document:
        return Document("body.cpp", b"auto f() " + self.text)

    @cached_property
    def _block(self) -> Node | None:
        root = self._document.whole.tree.root_node
        function = next((n for n in root.named_children if n.type == "function_definition"), None)
        return function.child_by_field_name("body") if function is not None else None

    def _text(self, node: Node) -> str:
        return self._document.data[node.start_byte : node.end_byte].decode("utf-8", "replace")

    @cached_property
    def _bindings(self) -> tuple[tuple[str, Node], ...]:
        """Names and the values they are bound to by the statements of the top level, in order."""
        return tuple(self._bound())

    def _bound(self) -> Iterator[tuple[str, Node]]:
        for statement in self._block.named_children if self._block is not None else ():
            for part in statement.named_children:
                name = part.child_by_field_name("declarator" if part.type == "init_declarator" else "left")
                value = part.child_by_field_name("value" if part.type == "init_declarator" else "right")
                is_binding = part.type == "init_declarator" or (
                    part.type == "assignment_expression" and self._text(part.children[1]) == "="
                )
                while name is not None and name.type == "reference_declarator":
                    name = name.named_children[0]
                if is_binding and name is not None and value is not None and name.type == "identifier":
                    yield self._text(name), value

    @cached_property
    def _unsteady(self) -> frozenset[str]:
        """Names that something but a statement of the top level changes, or that are bound more than once."""
        found: set[str] = set()
        names = [name for name, _ in self._bindings]
        places = {value.start_byte for _, value in self._bindings}
        for node in _nodes(self._block):
            target: Node | None = None
            if node.type == "assignment_expression":
                right = node.child_by_field_name("right")
                target = node.child_by_field_name("left")
                if right is not None and right.start_byte in places:
                    continue
            elif node.type == "update_expression":
                target = node.named_children[0]
            elif node.type == "init_declarator":
                value = node.child_by_field_name("value")
                if value is not None and value.start_byte not in places:
                    target = node.child_by_field_name("declarator")
            elif node.type == "call_expression":
                function = node.child_by_field_name("function")
                if function is not None and function.type == "field_expression":
                    method = self._text(function.named_children[-1])
                    target = function.named_children[0] if method in _CHANGING else None
            while target is not None and target.type in ("subscript_expression", "pointer_expression"):
                target = target.named_children[0] if target.type != "pointer_expression" else None
                if target is not None and target.type == "identifier" and self._is_memory(self._text(target)):
                    target = None
            if target is not None and target.type == "identifier":
                found.add(self._text(target))
        unpacked = {name for parts, _ in self._unpacked for name in parts}
        twice = {name for name in names if names.count(name) > 1 or name in self.names or name in unpacked}
        return frozenset(found | twice)

    def _is_memory(self, name: str) -> bool:
        """Whether a local is a pointer or an accessor: what is stored through it changes no size."""
        value = next((value for bound, value in self._bindings if bound == name), None)
        text = self._text(value) if value is not None else ""
        return value is None or "data_ptr" in text or "accessor" in text

    def _value_of(self, name: str) -> Node | None:
        if name in self._unsteady:
            return None
        return next((value for bound, value in self._bindings if bound == name), None)

    def lines(self) -> list[str]:
        """The statements of a fake kernel with these results. Raises Unplain where the body is not plain."""
        returned = {self._text(node): node for node in self._returns()}
        if len(returned) != 1:
            raise Unplain("several results")
        (values,) = (self._results(node) for node in returned.values())
        if len(values) != self.results:
            raise Unplain("a number of results that is not clear")
        values = [self._itself(value) for value in values]
        if (handed := self._handed_on(values)) is not None:
            return handed
        made = [self._made(value) for value in values]
        translator = Translator(self._text, self._steady_names, self._value_of)
        texts = [translator.value(node) for node in made]
        before = self._locals(translator)
        whole = texts[0] if len(texts) == 1 else f"{', '.join(texts)}"
        return [*before, f"return {whole}"]

    def _itself(self, node: Node) -> Node:
        """`x` of `kept(x, ...)`, a function that gives what it is given or a copy of it."""
        name, given = self._call(node)
        helper = self.helper(name) if name else None
        if helper is None:
            return node
        inside = Body(helper.body, {}, 1, self.helper, self.depth + 1)
        forms = {"".join(inside._text(one).split()) for one in inside._returns()}
        for parameter, argument in zip(helper.parameters, given, strict=False):
            if forms and forms <= {parameter, f"{parameter}.clone()", f"{parameter}.contiguous()"}:
                return argument
        return node

    def _handed_on(self, values: Sequence[Node]) -> list[str] | None:
        """The lines for results that one function of the project gives, in its order; None for others."""
        places = [self._place_in_call(value) for value in values]
        calls = {call.start_byte: call for call, _ in places if call is not None}
        if len(calls) != 1 or any(call is None for call, _ in places) or self.depth > 3:
            return None
        (call,) = calls.values()
        name, given = self._call(call)
        helper = self.helper(name) if name else None
        count = len({place for _, place in places})
        if helper is None or len(given) != len(helper.parameters):
            return None
        texts = [self._text(argument) for argument in given]
        if not set(texts) <= self._steady_names.keys():
            return None
        names = {p: self._steady_names[text] for p, text in zip(helper.parameters, texts, strict=True)}
        width = self._width(call) or count
        lines = Body(helper.body, names, width, self.helper, self.depth + 1).lines()
        if [place for _, place in places] == list(range(width)):
            return lines
        return [*lines[:-1], f"results = {lines[-1].removeprefix('return ')}",
                f"return {', '.join(f'results[{place}]' for _, place in places)}"]  # fmt: skip

    def _call(self, node: Node) -> tuple[str, list[Node]]:
        """The name of a free function that is called, "" for other expressions, and its arguments."""
        function = node.child_by_field_name("function") if node.type == "call_expression" else None
        arguments = node.child_by_field_name("arguments") if node.type == "call_expression" else None
        if function is None or arguments is None or function.type not in ("identifier", "qualified_identifier"):
            return "", []
        return self._text(function).rpartition("::")[2], [n for n in arguments.named_children if n.type != "comment"]

    def _place_in_call(self, node: Node) -> tuple[Node | None, int]:
        """The call among whose results a value is, and its place there: `a` of `auto [a, b] = f(x);`."""
        name = self._text(node) if node.type == "identifier" else ""
        if name in self._unsteady:
            return None, 0
        for names, call in self._unpacked:
            if name in names:
                return call, names.index(name)
        value = self._value_of(name) if name else node
        match = _GET.fullmatch("".join(self._text(value).split())) if value is not None else None
        held = self._value_of(match["name"]) if match and match["name"] not in self._unsteady else None
        return (held, int(match["place"])) if held is not None and match else (None, 0)

    @cached_property
    def _unpacked(self) -> tuple[tuple[tuple[str, ...], Node], ...]:
        """The names of every `auto [a, b] = f(x);` of the top level, and the call."""
        found = []
        for statement in self._block.named_children if self._block is not None else ():
            for part in statement.named_children:
                names = part.child_by_field_name("declarator") if part.type == "init_declarator" else None
                value = part.child_by_field_name("value") if part.type == "init_declarator" else None
                while names is not None and names.type == "reference_declarator":
                    names = names.named_children[0]
                if names is not None and value is not None and names.type == "structured_binding_declarator":
                    found.append((tuple(map(self._text, names.named_children)), value))
        return tuple(found)

    def _width(self, call: Node) -> int:
        return next((len(names) for names, value in self._unpacked if value.start_byte == call.start_byte), 0)

    @cached_property
    def _steady_names(self) -> dict[str, str]:
        """The parameters that keep their value; one that is made contiguous is still of the same sizes."""
        bound = dict(self._bindings)
        same = {
            name for name, value in self._bindings
            if "".join(self._text(value).split()) == f"{name}.contiguous()"
        }  # fmt: skip
        rebound = {name for name in self.names if name in bound and name not in same} | {
            name for name in self.names if name in self._unsteady and name not in bound
        }
        return {name: argument for name, argument in self.names.items() if name not in rebound}

    def _locals(self, translator: Translator) -> list[str]:
        """The locals that are used, in the order of the body."""
        done: dict[str, str] = {}
        while missing := [name for name in translator.used if name not in done]:
            for name in missing:
                value = self._value_of(name)
                assert value is not None
                done[name] = f"{python_name(name)} = {translator.value(value)}"
        order = [name for name, _ in self._bindings]
        return [done[name] for name in sorted(done, key=order.index)]

    def _made(self, node: Node) -> Node:
        """The factory call that makes a result. Raises Unplain for what is made in another way."""
        seen = 0
        while node.type == "identifier" and seen < 4:
            value = self._value_of(self._text(node))
            if value is None:
                raise Unplain(self._text(node))
            node, seen = value, seen + 1
        function = node.child_by_field_name("function") if node.type == "call_expression" else None
        last = function.named_children[-1] if function is not None and function.named_children else function
        if last is None or self._text(last) not in _FACTORIES:
            raise Unplain(self._text(node))
        return node

    def _returns(self) -> list[Node]:
        """What the body's own `return` statements give."""
        found: list[Node] = []
        waiting = list(self._block.named_children) if self._block is not None else []
        while waiting:
            node = waiting.pop()
            if node.type == "return_statement":
                found += [child for child in node.named_children if child.type != "comment"][:1]
            elif node.type not in ("lambda_expression", "class_specifier", "struct_specifier"):
                waiting += node.named_children
        return found

    def _results(self, node: Node) -> Sequence[Node]:
        if self.results == 1:
            return [node]
        if node.type == "initializer_list":
            return node.named_children
        function = node.child_by_field_name("function") if node.type == "call_expression" else None
        arguments = node.child_by_field_name("arguments") if node.type == "call_expression" else None
        if function is not None and arguments is not None:
            name = self._text(function).partition("<")[0].rpartition("::")[2]
            if name in _TUPLES:
                return arguments.named_children
        raise Unplain(self._text(node))


def _nodes(start: Node | None) -> Iterator[Node]:
    waiting = [start] if start is not None else []
    while waiting:
        node = waiting.pop()
        yield node
        waiting += node.named_children


def derived(text: bytes, names: Mapping[str, str], results: int, helper: Helpers = lambda _: None) -> list[str] | None:
    """The body of a fake kernel for a C++ body, None where it is not plain. `helper` gives functions of the project."""
    try:
        return Body(text, names, results, helper).lines()
    except Unplain:
        return None
