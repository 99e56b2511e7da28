"""What templates and generic lambdas are called with: the types that their parameters stand for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tree_sitter import Node

from torch_stabilize.model import Span
from torch_stabilize.source.brackets import closing_angle
from torch_stabilize.source.calls import matched
from torch_stabilize.source.classes import template_parameters
from torch_stabilize.source.declarations import PARAMETERS, Declared, text_of
from torch_stabilize.source.document import Document, Fragment
from torch_stabilize.source.library import ITERATOR
from torch_stabilize.source.signatures import Function
from torch_stabilize.source.types import UNKNOWN, CppType, parse_type, split_arguments
from torch_stabilize.source.upwards import from_outside
from torch_stabilize.source.written_types import substituted

if TYPE_CHECKING:
    from torch_stabilize.source.scopes import TypeFinder

_ON_DEVICE = re.compile(rb"__(?:global|device)__")
_NAME = re.compile(r"[A-Za-z_]\w*")


@dataclass
class Instances:
    """The instances of the templates of a finder's documents. Results are kept."""

    finder: TypeFinder
    _around: dict[tuple[int, int], tuple[Node, ...]] = field(default_factory=dict)
    _of: dict[tuple[str, int], Mapping[str, CppType]] = field(default_factory=dict)
    _meanings: dict[tuple[str, int], Mapping[str, set[CppType]]] = field(default_factory=dict)
    _calls: dict[tuple[str, str], list[tuple[Document, Fragment, Node]]] = field(default_factory=dict)

    def definition(self, document: Document, function: Function) -> Node | None:
        """The definition of `function` in the tree, where it has a body there."""
        if function.body is None:
            return None
        node = document.whole.node_at(Span(function.body.start, function.body.start + 1))
        while node is not None and node.type != "function_definition":
            node = node.parent
        return node

    def parameters(self, document: Document, function: Function) -> tuple[str, ...]:
        """The names of the template parameters of `function`."""
        listed = function.template.partition("<")[2].rpartition(">")[0]
        found = []
        for part in split_arguments(listed):
            names = _NAME.findall(part.partition("=")[0])
            found.append(names[-1] if names else "")
        return tuple(found)

    # function templates ----------------------------------------------------------------------------------------------

    def template_arguments(
        self, declared: Declared, written: CppType, node: Node, fragment: Fragment, document: Document, depth: int
    ) -> Mapping[str, CppType]:
        """What the template parameters in `written` stand for, if all calls of the function around agree."""
        if fragment.macro is not None or depth > 12:
            return {}
        names = {written.name, *(argument.name for argument in written.arguments)}
        for template in self._templates_around(node):
            if names.intersection(template_parameters(template)):
                return self._instance(template, document, depth)
        return {}

    def kinds_of(self, written: CppType, node: Node, document: Document) -> frozenset[CppType]:
        """All types that a template parameter `written` means at `node`; none for what is no parameter."""
        for template in self._templates_around(node):
            if written.name in template_parameters(template):
                self._instance(template, document, 0)
                return frozenset(self._meanings.get((document.path, template.start_byte), {}).get(written.name, ()))
        return frozenset()

    def _templates_around(self, node: Node) -> tuple[Node, ...]:
        """The templates that `node` is in, the innermost first."""

        def with_template(around: Node, found: tuple[Node, ...]) -> tuple[Node, ...]:
            return (around, *found) if around.type == "template_declaration" else found

        return from_outside(node, self._around, (), with_template)

    def _instance(self, template: Node, document: Document, depth: int) -> Mapping[str, CppType]:
        key = (document.path, template.start_byte)
        if key not in self._of:
            self._of[key] = {}
            self._of[key] = self._found(template, document, depth)
        return self._of[key]

    def _found(self, template: Node, document: Document, depth: int) -> Mapping[str, CppType]:
        definition = template.named_children[-1] if template.named_children else None
        names = template_parameters(template)
        if definition is not None and (owner := _class_of(definition)):
            return self._kept(template, document, self._class_arguments(owner, names, depth))
        if definition is None or definition.type != "function_definition":
            return {}
        head = document.code[template.start_byte : (definition.child_by_field_name("body") or definition).start_byte]
        if _ON_DEVICE.search(head):
            return {}  # no tensor gets there
        declarator = definition.child_by_field_name("declarator")
        while declarator is not None and declarator.type != "function_declarator":
            declarator = next((c for c in declarator.named_children if c.type.endswith("declarator")), None)
        name = declarator.child_by_field_name("declarator") if declarator is not None else None
        listed = declarator.child_by_field_name("parameters") if declarator is not None else None
        if name is None or listed is None:
            return {}
        wanted = [
            parse_type(text_of(kind) + text_of(inner).partition(_last_word(text_of(inner)))[0])
            for p in listed.named_children
            if p.type in PARAMETERS and (kind := p.child_by_field_name("type")) is not None
            for inner in [p.child_by_field_name("declarator") or p]
        ]
        meanings: dict[str, set[CppType]] = {}
        bare = text_of(name).rpartition("::")[2].partition("<")[0]
        for user, use_fragment, call in self._calls_of(bare, document):
            given = dict(zip(names, _explicit(call), strict=False))
            for expected, argument in zip(wanted, _arguments(call), strict=False):
                found = self.finder.type_of(argument, use_fragment, user, depth + 1)
                for one, meant in matched(expected, found, names):
                    given.setdefault(one, meant)
                if not found.is_known and expected.name in names:
                    given.setdefault(expected.name, UNKNOWN)
            for one, meant in given.items():
                meanings.setdefault(one, set()).add(meant)
        return self._kept(template, document, meanings)

    def _kept(self, template: Node, document: Document, meanings: Mapping[str, set[CppType]]) -> Mapping[str, CppType]:
        self._meanings[document.path, template.start_byte] = meanings
        return _agreed(meanings)

    # class templates -------------------------------------------------------------------------------------------------

    def class_around(self, owner: str, node: Node, document: Document, depth: int) -> CppType:
        """The class `owner`, in which `node` is: a class template with what its parameters stand for."""
        for template in self._templates_around(node) if depth <= 12 else ():
            if _class_of(template.named_children[-1]) == owner:
                given = self._instance(template, document, depth)
                return CppType(owner, tuple(given.get(name, CppType(name)) for name in template_parameters(template)))
        return CppType(owner)

    def _meant(self, written: CppType, node: Node, document: Document, depth: int) -> CppType:
        """A template argument that is at `node`, which may be the parameter of a template around."""
        for template in self._templates_around(node):
            if written.name in template_parameters(template) and depth <= 12:
                return substituted(written, self._instance(template, document, depth))
        return written

    def _class_arguments(self, owner: str, names: tuple[str, ...], depth: int) -> dict[str, set[CppType]]:
        """What the parameters `names` of the class template `owner` stand for where the documents name it."""
        meanings: dict[str, set[CppType]] = {}
        pattern = re.compile(rb"(?<![\w.>])" + re.escape(owner.encode()) + rb"\s*(?=<)")
        for document in self.finder.documents:
            for match in pattern.finditer(document.code) if owner.encode() in document.words else ():
                closing = closing_angle(document.code, match.end())
                if closing < 0:
                    continue
                node = document.fragment_at(match.start()).node_at(Span(*match.span()))
                listed = split_arguments(document.code[match.end() + 1 : closing].decode("utf-8", "replace"))
                for name, argument in zip(names, listed, strict=False):
                    meant = self.finder.written.resolved(parse_type(argument))
                    meant = self._meant(meant, node, document, depth + 1) if node is not None else meant
                    if meant.name not in names:
                        meanings.setdefault(name, set()).add(meant)
        return meanings

    # lambdas ---------------------------------------------------------------------------------------------------------

    def argument_of_lambda(
        self, declared: Declared, node: Node, fragment: Fragment, document: Document, depth: int
    ) -> CppType:
        """What the `auto` parameter of a lambda is in all calls of it, or in the algorithm that it is handed to."""
        scope: Node | None = node
        while scope is not None:
            if scope.type == "lambda_expression" and (place := _place(scope, declared)) is not None:
                found = set(self._given_to(scope, place, fragment, document, depth))
                return found.pop() if len(found) == 1 else UNKNOWN
            scope = scope.parent
        return UNKNOWN

    def _given_to(
        self, scope: Node, place: int, fragment: Fragment, document: Document, depth: int
    ) -> Iterator[CppType]:
        parent = scope.parent
        if parent is None:
            return
        if parent.type == "call_expression" and parent.child_by_field_name("function") == scope:
            yield self._argument(parent, place, fragment, document, depth)
        elif parent.type == "argument_list" and parent.parent is not None and _is_parallel_for(parent.parent):
            yield CppType("int64_t")
        elif parent.type == "argument_list" and parent.parent is not None:
            first = parent.named_children[0]
            kind = self.finder.type_of(first, fragment, document, depth + 1)
            yield (kind.inner or UNKNOWN) if kind.name == ITERATOR else UNKNOWN
        elif parent.type == "init_declarator":
            name = parent.child_by_field_name("declarator")
            for user, use_fragment, call in self._calls_of(text_of(name), document) if name is not None else ():
                if user is document and self.finder.value_of(text_of(name), call, use_fragment) == scope:  # type: ignore[arg-type]
                    yield self._argument(call, place, use_fragment, user, depth)

    def _argument(self, call: Node, place: int, fragment: Fragment, document: Document, depth: int) -> CppType:
        given = _arguments(call)
        kind = self.finder.type_of(given[place], fragment, document, depth + 1) if place < len(given) else UNKNOWN
        return kind._replace(const=False, reference=False)

    def _calls_of(self, name: str, document: Document) -> list[tuple[Document, Fragment, Node]]:
        key = (name, "")
        if key not in self._calls:
            self._calls[key] = list(self._find_calls(name))
        return self._calls[key]

    def _find_calls(self, name: str) -> Iterator[tuple[Document, Fragment, Node]]:
        word = name.encode()
        pattern = re.compile(rb"(?<![\w.>])" + re.escape(word) + rb"\b(?=\s*[(<])")
        for document in self.finder.documents:
            for match in pattern.finditer(document.code) if word in document.words else ():
                fragment = document.fragment_at(match.start())
                node = fragment.node_at(Span(*match.span()))
                while node is not None and node.type in ("identifier", "template_function", "qualified_identifier"):
                    node = node.parent
                if node is not None and node.type == "call_expression":
                    yield document, fragment, node


def _arguments(call: Node) -> list[Node]:
    listed = call.child_by_field_name("arguments")
    return [c for c in listed.named_children if c.type != "comment"] if listed is not None else []


def _is_parallel_for(call: Node) -> bool:
    callee = call.child_by_field_name("function")
    return callee is not None and text_of(callee).rpartition("::")[2] == "parallel_for"


def _explicit(call: Node) -> tuple[CppType, ...]:
    callee = call.child_by_field_name("function")
    text = text_of(callee).partition("<")[2].rpartition(">")[0] if callee is not None else ""
    return tuple(map(parse_type, split_arguments(text)))


def _last_word(text: str) -> str:
    words = _NAME.findall(text)
    return words[-1] if words else "\0"


def _place(scope: Node, declared: Declared) -> int | None:
    """Which parameter of a lambda `declared` is."""
    declarator = scope.child_by_field_name("declarator")
    listed = declarator.child_by_field_name("parameters") if declarator is not None else None
    for place, parameter in enumerate(c for c in (listed.named_children if listed else ()) if c.type in PARAMETERS):
        if parameter.start_byte <= declared.start < parameter.end_byte:
            return place
    return None


def _class_of(definition: Node) -> str:
    """The class template that `definition` is, or that it defines a function of."""
    if definition.type in ("class_specifier", "struct_specifier"):
        name = definition.child_by_field_name("name")
        return text_of(name).partition("<")[0] if name is not None else ""
    head = definition.child_by_field_name("declarator") if definition.type == "function_definition" else None
    while head is not None and head.type != "function_declarator":
        head = next((c for c in head.named_children if c.type.endswith("declarator")), None)
    name = head.child_by_field_name("declarator") if head is not None else None
    scope = name.child_by_field_name("scope") if name is not None and name.type == "qualified_identifier" else None
    return text_of(scope).partition("<")[0] if scope is not None and scope.type == "template_type" else ""


def _agreed(meanings: Mapping[str, set[CppType]]) -> Mapping[str, CppType]:
    """What parameters stand for: a tensor everywhere, or unknown where it is a tensor in one place alone."""
    agreed = {one: next(iter(kinds)) for one, kinds in meanings.items() if len(kinds) == 1 and one}
    mixed = {one: UNKNOWN for one, kinds in meanings.items() if len(kinds) > 1 and _any_tensor(kinds)}
    return {one: kind for one, kind in {**agreed, **mixed}.items() if kind.name == "Tensor" or one in mixed}


def _any_tensor(kinds: set[CppType]) -> bool:
    return any(kind.name == "Tensor" for kind in kinds)
