"""Find the type of an expression by looking at declarations, as a reader would.

Locals, parameters, members, lambdas, range loops, structured bindings and `auto` from the return types of known
functions. In a macro body a free name or a parameter is looked up where the macro is used; so is the parameter of a
function template or of a generic lambda where that is called.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from tree_sitter import Node

from torch_stabilize.model import Span
from torch_stabilize.source import calls, expressions, library
from torch_stabilize.source.classes import class_around
from torch_stabilize.source.declarations import Declared, alias_of_expression, declared_in, may_declare, text_of
from torch_stabilize.source.document import ANY_HEADER, Document, Fragment
from torch_stabilize.source.function_index import FunctionIndex
from torch_stabilize.source.instances import Instances
from torch_stabilize.source.macro_uses import MacroUses
from torch_stabilize.source.namespace_names import NamespaceNames
from torch_stabilize.source.own_spaces import OwnSpaces
from torch_stabilize.source.results import KnownReturns
from torch_stabilize.source.types import UNKNOWN, CppType, parse_type
from torch_stabilize.source.upwards import from_outside
from torch_stabilize.source.written_types import WrittenTypes, substituted

_DEPTH = 24


class _Seen:
    """What a scope declares, and those around it; an answer is kept in every scope that was asked on the way."""

    def __init__(self, names: dict[str, list[Declared]], outer: _Seen | None) -> None:
        self._known: dict[str, list[Declared] | None] = {**names}
        self._outer = outer

    def get(self, name: str) -> list[Declared] | None:
        """The declarations of `name` in the innermost scope that has some."""
        asked: list[_Seen] = []
        scope: _Seen | None = self
        while scope is not None and name not in scope._known:
            asked.append(scope)
            scope = scope._outer
        found = scope._known[name] if scope is not None else None
        for one in asked:
            one._known[name] = found
        return found


_BARE_TENSOR = re.compile(r"(?<![\w:])Tensor\b")
_OWNER = re.compile(r"(\w+)\s*(?:<[^()]*>)?\s*::\s*~?\w+$")


@dataclass
class TypeFinder:
    """Types of expressions in a set of documents that belong together. Results are kept; documents do not change."""

    documents: Sequence[Document]
    returns: KnownReturns
    _visible: dict[tuple[int, int], _Seen] = field(default_factory=dict)
    _known: dict[tuple[str, int, int, int], CppType] = field(default_factory=dict)
    _at_uses: dict[tuple[str, str, int, int], CppType] = field(default_factory=dict)  # macros that use macros

    @cached_property
    def written(self) -> WrittenTypes:
        """What the documents say by their text alone."""
        return WrittenTypes(self.documents)

    @cached_property
    def macro_names(self) -> frozenset[str]:
        """The names of the macros that the documents define."""
        return frozenset(macro.name for document in self.documents for macro in document.macros)

    @cached_property
    def headers(self) -> tuple[Document, ...]:
        """The documents that are headers."""
        return tuple(document for document in self.documents if document.path.endswith(ANY_HEADER))

    @cached_property
    def words(self) -> frozenset[bytes]:
        """The names and keywords of all documents."""
        return frozenset().union(*(document.words for document in self.documents))

    @cached_property
    def own_spaces(self) -> OwnSpaces:
        """The documents' own namespaces that have a name of torch's."""
        return OwnSpaces(self.documents)

    @cached_property
    def macros(self) -> MacroUses:
        """Where the documents use their macros."""
        return MacroUses(self.documents)

    @cached_property
    def functions(self) -> FunctionIndex:
        """The documents' own functions."""
        return FunctionIndex(self.documents)

    @cached_property
    def globals(self) -> NamespaceNames:
        """The documents' variables at namespace scope."""
        return NamespaceNames(self.documents)

    @cached_property
    def instances(self) -> Instances:
        """What templates and generic lambdas are called with."""
        return Instances(self)

    def type_of(self, node: Node, fragment: Fragment, document: Document, depth: int = 0) -> CppType:
        """The type of the expression `node`, or UNKNOWN."""
        if depth > _DEPTH:
            return UNKNOWN
        key = (document.path, fragment.base, node.id, node.start_byte)
        found = self._known.get(key)
        if found is None:
            self._known[key] = UNKNOWN  # for what leads back to itself
            found = expressions.type_of(self, node, fragment, document, depth + 1)
            if found.is_known or not depth:
                self._known[key] = found
            else:
                del self._known[key]  # may have been too deep
        return found

    # names -----------------------------------------------------------------------------------------------------------

    def type_of_name(self, name: str, node: Node, fragment: Fragment, document: Document, depth: int = 0) -> CppType:
        """The type of the variable `name` as seen from `node`."""
        declared = self.declaration_of(name, node)
        if declared is not None:
            return self.declared_type(declared, node, fragment, document, depth)
        if fragment.macro is not None:
            key = (name, document.path, fragment.macro.body.start, depth)
            if key not in self._at_uses:
                self._at_uses[key] = self._type_at_uses(name, fragment, document, depth)
            return self._at_uses[key]
        if (member := self._member_here(name, node, document, depth)).is_known:
            return member
        if (found := self._declared_by_macro(name, node, fragment, document, depth)).is_known:
            return found
        if (found := self._global(name, node, document, depth)).is_known:
            return found
        if (found := self.type_of_macro(name, None, depth)).is_known:
            return found
        return self.written.last_tensor(name, document, fragment.span(node).start)

    def declaration_of(self, name: str, node: Node) -> Declared | None:
        """The declaration that `name` means at `node`, within the same fragment."""
        declared = self._names_seen_from(node).get(name)
        if not declared:
            return None
        before = [d for d in declared if d.start <= node.start_byte] or declared[:1]
        return before[-1]

    def value_of(self, name: str, node: Node, fragment: Fragment) -> Node | None:
        """What the variable `name` was initialised with, if its declaration says so."""
        declared = self.declaration_of(name, node)
        return declared.value if declared is not None and not declared.element else None

    def class_at(self, node: Node) -> str:
        """The class in whose function `node` is, wherever that is defined."""
        around = class_around(node)
        name = around.child_by_field_name("name") if around is not None else None
        return text_of(name).partition("<")[0] if name is not None else class_of_function(node)

    def _member_here(self, name: str, node: Node, document: Document, depth: int) -> CppType:
        owner = self.class_at(node)
        if not owner:
            return UNKNOWN
        return self.written.member_of(self.instances.class_around(owner, node, document, depth + 1), name)

    def _global(self, name: str, node: Node, document: Document, depth: int) -> CppType:
        """A variable of a namespace, in this document or in another one that it can see."""
        found = {
            self.declared_type(declared, node, owner.whole, owner, depth + 1)
            for owner, declared in self.globals.named(name, document)
        }
        return found.pop() if len(found) == 1 else UNKNOWN

    def globals_have(self, name: str, document: Document) -> bool:
        """Whether a variable of a namespace is called `name`."""
        return any(True for _ in self.globals.named(name, document))

    def _names_seen_from(self, node: Node) -> _Seen:
        """What the scopes around `node` declare, by name, the innermost first; scopes that declare nothing left out."""

        def with_scope(scope: Node, seen: _Seen) -> _Seen:
            names: dict[str, list[Declared]] = {}
            for declared in declared_in(scope) if may_declare(scope) else ():
                names.setdefault(declared.name, []).append(declared)
            return _Seen(names, seen) if names else seen

        return from_outside(node, self._visible, _Seen({}, None), with_scope)

    def declared_type(
        self, declared: Declared, node: Node, fragment: Fragment, document: Document, depth: int
    ) -> CppType:
        """The type of what `declared` declares, which `node` mentions."""
        written = parse_type(declared.type_text)
        if written.name in self.written.computed_aliases and declared.index is None:
            return self._computed(written, node, fragment, document, depth)
        if written.name != "auto" and declared.index is None:
            given = self.instances.template_arguments(declared, written, node, fragment, document, depth)
            own = self.written.own_class(declared.type_text, node)
            return own or self._resolved(substituted(written, given), declared.type_text, document)
        value = self._initial(declared, fragment, document, depth)
        if declared.element:
            value = library.element(value)
        if declared.index is not None:
            parts = value.arguments or self.written.layout(value.name)
            return parts[declared.index] if declared.index < len(parts) else UNKNOWN
        if declared.value is None and declared.like is None:
            return self.instances.argument_of_lambda(declared, node, fragment, document, depth)
        marks = written.pointers if declared.like is not None else 0
        value = (
            value._replace(pointers=value.pointers + marks, reference=written.reference) if value.is_known else value
        )
        return value._replace(const=True) if written.const and value.is_known and not value.pointers else value

    def _computed(self, written: CppType, node: Node, fragment: Fragment, document: Document, depth: int) -> CppType:
        """The type behind an alias of the type of an expression: `using E = std::decay_t<decltype(v[0])>;`."""
        like = alias_of_expression(written.name, node)
        kind = self.type_of(like, fragment, document, depth + 1) if like is not None else UNKNOWN
        return kind._replace(pointers=kind.pointers + written.pointers) if kind.is_known else kind

    def _initial(self, declared: Declared, fragment: Fragment, document: Document, depth: int) -> CppType:
        """The type of the value that a variable is initialised with, or of the expression of its `decltype`."""
        value = declared.like or declared.value
        if value is None:
            return UNKNOWN
        if value.type == "initializer_list":
            first = next((c for c in value.named_children if c.type != "comment"), None)
            kind = self.type_of(first, fragment, document, depth + 1) if first is not None else UNKNOWN
            return CppType("initializer_list", (kind,)) if declared.element else kind
        return self.type_of(value, fragment, document, depth + 1)

    def _resolved(self, written: CppType, text: str, document: Document) -> CppType:
        meant = self.written.resolved(written)
        if meant.name == "Tensor" and _BARE_TENSOR.search(text) and not self.written.sees_tensor(document):
            return UNKNOWN  # of another library, such as CuTe
        return meant

    # macros ----------------------------------------------------------------------------------------------------------

    def _type_at_uses(self, name: str, fragment: Fragment, document: Document, depth: int) -> CppType:
        assert fragment.macro is not None
        found: set[CppType] = set()
        name_of_macro = fragment.macro.name
        for user, use_fragment, arguments, node in (
            *self.macros.of(name_of_macro),
            *self.macros.handed_on(name_of_macro),
        ):
            seen = UNKNOWN
            params = fragment.macro.params or ()
            if name in params:
                place = params.index(name)
                if place < len(arguments):
                    seen = self._type_of_span(arguments[place], use_fragment, user, depth + 1)
            elif depth < _DEPTH:
                seen = self.type_of_name(name, node, use_fragment, user, depth + 1)
            if seen.is_known:
                found.add(CppType(seen.name, seen.arguments, seen.pointers))
        return found.pop() if len(found) == 1 else UNKNOWN

    def _type_of_span(self, span: Span, fragment: Fragment, document: Document, depth: int) -> CppType:
        node = fragment.node_at(span)
        return self.type_of(node, fragment, document, depth) if node is not None else UNKNOWN

    def type_of_macro(self, name: str, count: int | None, depth: int) -> CppType:
        """The type of the expression that the macro `name` represents, `count` its arguments if it is called."""
        found = set()
        for document in self.documents:
            for macro in document.macros if name.encode() in document.words else ():
                if macro.name == name and (macro.params is None) == (count is None):
                    fragment = document.fragment_at(macro.body.start)
                    node = fragment.node_at(expressions.trimmed(document, macro.body))
                    found.add(self.type_of(node, fragment, document, depth + 1) if node is not None else UNKNOWN)
        return found.pop() if len(found) == 1 else UNKNOWN

    def _declared_by_macro(self, name: str, node: Node, fragment: Fragment, document: Document, depth: int) -> CppType:
        """The type of a variable that a macro declares by its argument, `DECLARE(name, value);`, or by its own name."""
        for statement in (*expressions.calls_before(node, name), *expressions.calls_before(node, "")):
            callee = statement.child_by_field_name("function")
            for declared, body, owner in self.macros.declaring(text_of(callee), statement, name) if callee else ():
                found = self.declared_type(declared, body.tree.root_node, body, owner, depth + 1)
                if found.is_known:
                    return found
        return UNKNOWN


def class_of_function(node: Node) -> str:
    """The class in whose member function `node` is, "" where that is defined inside of the class, or is none."""
    scope: Node | None = node
    while scope is not None and scope.type != "function_definition":
        scope = scope.parent
    head = scope.child_by_field_name("declarator") if scope is not None else None
    while head is not None and head.type != "function_declarator":
        head = head.child_by_field_name("declarator") or next(iter(head.named_children), None)
    name = head.child_by_field_name("declarator") if head is not None else None
    if name is None or name.type != "qualified_identifier":
        return ""
    found = _OWNER.search(text_of(name))
    return found.group(1) if found else ""


def arguments_of(node: Node) -> list[Node]:
    """The arguments of a call, comments left out."""
    return expressions.arguments_of(node)


def receiver_type_parts(callee: Node) -> tuple[Node | None, str]:
    """The receiver and the bare member name of `receiver.member` or `receiver->member<T>`."""
    return calls.receiver_type_parts(callee)
