"""Find the type of an expression by looking at declarations, as a reader would.

Locals, parameters, members, lambdas, range loops, structured bindings and `auto` from the return types of known
functions. In a macro body a free name or a parameter is looked up where the macro is used.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from tree_sitter import Node

from codemod.model import Span
from codemod.source.declarations import Declared, declared_in, may_declare, text_of
from codemod.source.document import Document, Fragment
from codemod.source.macro_uses import MacroUses
from codemod.source.results import FunctionResults, KnownReturns, method_result
from codemod.source.types import LIST, MAPS, TENSOR, UNKNOWN, CppType, parse_type
from codemod.source.written_types import WrittenTypes

# Methods of a tensor whose template argument says what they give: how many pointers stand before it.
_ELEMENTS = {"data_ptr": 1, "const_data_ptr": 1, "mutable_data_ptr": 1, "item": 0}
_CASTS = frozenset({"static_cast", "reinterpret_cast", "const_cast", "dynamic_cast"})
_ARITHMETIC = frozenset({"+", "-", "*", "/", "%", "&", "|", "^", "<<", ">>"})
_COMPARISON = frozenset({"==", "!=", "<", "<=", ">", ">="})
_DEPTH = 24
Names = tuple[dict[str, list[Declared]], ...]
_CLASSES = frozenset({"class_specifier", "struct_specifier"})
_BARE_TENSOR = re.compile(r"(?<![\w:])Tensor\b")
_OWNER = re.compile(r"(\w+)\s*(?:<[^()]*>)?\s*::\s*~?\w+$")
_DTYPE = re.compile(
    r"k(?:Bool|Byte|Char|Short|Int|Long|U?Int(?:8|16|32|64)|Half|BFloat16|Float|Double|Float(?:16|32|64)|Float8_\w+)"
)


@dataclass
class TypeFinder:
    """Types of expressions in a set of documents that belong together. Results are kept; documents do not change."""

    documents: Sequence[Document]
    returns: KnownReturns
    _visible: dict[tuple[int, int], Names] = field(default_factory=dict)

    @cached_property
    def written(self) -> WrittenTypes:
        """What the documents say by their text alone."""
        return WrittenTypes(self.documents)

    @cached_property
    def macros(self) -> MacroUses:
        """Where the documents use their macros."""
        return MacroUses(self.documents)

    @cached_property
    def functions(self) -> FunctionResults:
        """What the documents' own functions return."""
        return FunctionResults(self.documents)

    def type_of(self, node: Node, fragment: Fragment, document: Document, depth: int = 0) -> CppType:
        """The type of the expression `node`, or UNKNOWN."""
        if depth > _DEPTH:
            return UNKNOWN
        reader = getattr(self, f"_{node.type}", None)
        if reader is not None:
            found: CppType = reader(node, fragment, document, depth + 1)
            return found
        if node.type in ("parenthesized_expression", "comma_expression", "argument_list"):
            inner = [c for c in node.named_children if c.type != "comment"]
            return self.type_of(inner[-1], fragment, document, depth + 1) if inner else UNKNOWN
        return UNKNOWN

    # names -----------------------------------------------------------------------------------------------------------

    def type_of_name(self, name: str, node: Node, fragment: Fragment, document: Document, depth: int = 0) -> CppType:
        """The type of the variable `name` as seen from `node`."""
        declared = self.declaration_of(name, node)
        if declared is not None:
            return self._declared_type(declared, fragment, document, depth)
        if fragment.macro is not None:
            return self._type_at_uses(name, fragment, document, depth)
        member = self.written.member(owner, name) if (owner := class_of_function(node)) else ""
        if member:
            return self.written.resolved(parse_type(member))
        return self.written.last_tensor(name, document, fragment.span(node).start)

    def declaration_of(self, name: str, node: Node) -> Declared | None:
        """The declaration that `name` means at `node`, within the same fragment."""
        for names in self._names_seen_from(node):
            if declared := names.get(name):
                before = [d for d in declared if d.start <= node.start_byte] or declared[:1]
                return before[-1]
        return None

    def value_of(self, name: str, node: Node, fragment: Fragment) -> Node | None:
        """What the variable `name` was initialised with, if its declaration says so."""
        declared = self.declaration_of(name, node)
        return declared.value if declared is not None and not declared.element else None

    def _names_seen_from(self, node: Node) -> Names:
        """What the scopes around `node` declare, by name, the innermost first; scopes that declare nothing left out."""
        inner: list[Node] = []
        seen: Names | None = None
        scope: Node | None = node
        while scope is not None and (seen := self._visible.get((scope.id, scope.start_byte))) is None:
            if may_declare(scope):
                inner.append(scope)
            scope = scope.parent
        seen = seen or ()
        for scope in reversed(inner):
            names: dict[str, list[Declared]] = {}
            for declared in declared_in(scope):
                names.setdefault(declared.name, []).append(declared)
            self._visible[scope.id, scope.start_byte] = seen = (names, *seen) if names else seen
        return seen

    def _declared_type(self, declared: Declared, fragment: Fragment, document: Document, depth: int) -> CppType:
        written = self.written.resolved(parse_type(declared.type_text))
        if (
            written.name == "Tensor"
            and _BARE_TENSOR.search(declared.type_text)
            and not self.written.sees_tensor(document)
        ):
            return UNKNOWN  # of another library, such as CuTe
        if written.name != "auto" and declared.index is None:
            return written
        if declared.value is None:
            return UNKNOWN
        value = self.type_of(declared.value, fragment, document, depth + 1)
        if declared.element:
            value = value.inner or UNKNOWN
        if declared.index is not None:
            parts = value.arguments or self.written.layout(value.name)
            return parts[declared.index] if declared.index < len(parts) else UNKNOWN
        return value._replace(const=True) if written.const and value.is_known and not value.pointers else value

    # macros ----------------------------------------------------------------------------------------------------------

    def _type_at_uses(self, name: str, fragment: Fragment, document: Document, depth: int) -> CppType:
        assert fragment.macro is not None
        found: set[CppType] = set()
        for user, use_fragment, arguments, node in self.macros.of(fragment.macro.name):
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

    # expressions -----------------------------------------------------------------------------------------------------

    def _identifier(self, node: Node, fragment: Fragment, document: Document, depth: int) -> CppType:
        found = self.type_of_name(text_of(node), node, fragment, document, depth)
        return found if found.is_known else _constant(text_of(node))

    def _call_expression(self, node: Node, fragment: Fragment, document: Document, depth: int) -> CppType:
        callee = node.child_by_field_name("function")
        if callee is None:
            return UNKNOWN
        if callee.type == "field_expression":
            return self._method_call(node, callee, fragment, document, depth)
        name = text_of(callee)
        bare, bracket, rest = name.partition("<")
        bare = bare.strip()
        if bare in _CASTS and bracket:
            return parse_type(rest.rpartition(">")[0])
        if bare in ("std::move", "std::forward", "std::as_const"):
            arguments = node.child_by_field_name("arguments")
            return self.type_of(arguments, fragment, document, depth) if arguments is not None else UNKNOWN
        if bare in ("std::make_tuple", "std::tie", "std::make_pair"):
            arguments = node.child_by_field_name("arguments")
            parts = [c for c in arguments.named_children if c.type != "comment"] if arguments is not None else []
            return CppType("tuple", tuple(self.type_of(p, fragment, document, depth) for p in parts))
        if bare in ("std::make_optional",):
            arguments = node.child_by_field_name("arguments")
            inner = self.type_of(arguments, fragment, document, depth) if arguments is not None else UNKNOWN
            return CppType("optional", (inner,))
        if bare == "std::get" and bracket:
            held = self._given(node, fragment, document, depth)
            return _element(held[0], rest.rpartition(">")[0].strip()) if len(held) == 1 else UNKNOWN
        if "::" in bare:
            known = self.returns.function(bare, self._given(node, fragment, document, depth))
            if known:
                return parse_type(known)
        as_type = parse_type(name)
        if as_type.name in ("Tensor", "TensorOptions", "Device", "IntArrayRef", "ScalarType", "optional", "vector"):
            return as_type
        local = self._lambda_result(name, callee, fragment, document, depth)
        if local.is_known:
            return local
        return self.written.resolved(self.functions.result(bare, len(arguments_of(node))))

    def _lambda_result(self, name: str, callee: Node, fragment: Fragment, document: Document, depth: int) -> CppType:
        """What a call of the lambda in the variable `name` returns: as written behind `->`, or by its first return."""
        value = self.value_of(name, callee, fragment)
        if value is None or value.type != "lambda_expression":
            return UNKNOWN
        declarator, body = value.child_by_field_name("declarator"), value.child_by_field_name("body")
        for child in declarator.named_children if declarator is not None else ():
            if child.type == "trailing_return_type":
                return parse_type(text_of(child).removeprefix("->"))
        for statement in body.named_children if body is not None else ():
            if statement.type == "return_statement" and statement.named_children:
                return self.type_of(statement.named_children[0], fragment, document, depth)
        return UNKNOWN

    def _method_call(self, node: Node, callee: Node, fragment: Fragment, document: Document, depth: int) -> CppType:
        receiver, method = receiver_type_parts(callee)
        if receiver is None:
            return UNKNOWN
        owner = self.type_of(receiver, fragment, document, depth)
        arrow = any(child.type == "->" for child in callee.children)
        if arrow and (owner.pointers or owner.name in ("optional", "unique_ptr", "shared_ptr")):
            owner = owner.pointee
        if method in _ELEMENTS and (owner.is_tensor or not owner.is_known):
            wanted = text_of(callee.child_by_field_name("field") or callee).partition("<")[2].rpartition(">")[0]
            if wanted.strip():
                return parse_type(wanted)._replace(pointers=_ELEMENTS[method])
        given = self._given(node, fragment, document, depth) if owner.is_tensor or not owner.is_known else ()
        return method_result(owner, method, given, self.returns)

    def _given(self, node: Node, fragment: Fragment, document: Document, depth: int) -> tuple[CppType, ...]:
        """The types of a call's arguments, "list" for a braced one."""
        return tuple(
            LIST if argument.type == "initializer_list" else self.type_of(argument, fragment, document, depth)
            for argument in arguments_of(node)
        )

    def _this(self, node: Node, fragment: Fragment, document: Document, depth: int) -> CppType:
        owner = class_of_function(node)
        around: Node | None = node
        while not owner and around is not None:
            name = around.child_by_field_name("name") if around.type in _CLASSES else None
            owner = text_of(name) if name is not None else ""
            around = around.parent
        return CppType(owner, pointers=1) if owner else UNKNOWN

    def _field_expression(self, node: Node, fragment: Fragment, document: Document, depth: int) -> CppType:
        receiver, member = receiver_type_parts(node)
        if receiver is None:
            return UNKNOWN
        owner = self.type_of(receiver, fragment, document, depth)
        if not owner.is_known:
            return UNKNOWN
        written = self.written.member(owner.name, member)
        return parse_type(written) if written else UNKNOWN

    def _subscript_expression(self, node: Node, fragment: Fragment, document: Document, depth: int) -> CppType:
        base = node.child_by_field_name("argument")
        owner = self.type_of(base, fragment, document, depth) if base is not None else UNKNOWN
        if owner.is_tensor:
            return TENSOR
        if owner.pointers:
            return CppType(owner.name, owner.arguments, owner.pointers - 1)
        if owner.name in MAPS:
            return owner.arguments[1] if len(owner.arguments) > 1 else UNKNOWN
        return owner.inner or UNKNOWN

    def _pointer_expression(self, node: Node, fragment: Fragment, document: Document, depth: int) -> CppType:
        argument = node.child_by_field_name("argument")
        owner = self.type_of(argument, fragment, document, depth) if argument is not None else UNKNOWN
        if text_of(node).startswith("&"):
            return CppType(owner.name, owner.arguments, owner.pointers + 1) if owner.is_known else UNKNOWN
        if owner.pointers:
            return CppType(owner.name, owner.arguments, owner.pointers - 1)
        return (owner.inner or UNKNOWN) if owner.name in ("optional", "unique_ptr", "shared_ptr") else UNKNOWN

    def _conditional_expression(self, node: Node, fragment: Fragment, document: Document, depth: int) -> CppType:
        for field_name in ("consequence", "alternative"):
            branch = node.child_by_field_name(field_name)
            found = self.type_of(branch, fragment, document, depth) if branch is not None else UNKNOWN
            if found.is_known:
                return found
        return UNKNOWN

    def _binary_expression(self, node: Node, fragment: Fragment, document: Document, depth: int) -> CppType:
        operator = node.child_by_field_name("operator")
        sign = text_of(operator) if operator is not None else ""
        sides = [node.child_by_field_name(side) for side in ("left", "right")]
        kinds = [self.type_of(side, fragment, document, depth) for side in sides if side is not None]
        if any(kind.is_tensor for kind in kinds):
            return TENSOR
        if sign in _COMPARISON or sign in ("&&", "||"):
            return CppType("bool")
        return next((kind for kind in kinds if kind.is_known), UNKNOWN) if sign in _ARITHMETIC else UNKNOWN

    def _unary_expression(self, node: Node, fragment: Fragment, document: Document, depth: int) -> CppType:
        argument = node.child_by_field_name("argument")
        if text_of(node).startswith("!"):
            return CppType("bool")
        return self.type_of(argument, fragment, document, depth) if argument is not None else UNKNOWN

    def _update_expression(self, node: Node, fragment: Fragment, document: Document, depth: int) -> CppType:
        argument = node.child_by_field_name("argument")
        return self.type_of(argument, fragment, document, depth) if argument is not None else UNKNOWN

    def _assignment_expression(self, node: Node, fragment: Fragment, document: Document, depth: int) -> CppType:
        left = node.child_by_field_name("left")
        return self.type_of(left, fragment, document, depth) if left is not None else UNKNOWN

    def _cast_expression(self, node: Node, fragment: Fragment, document: Document, depth: int) -> CppType:
        kind = node.child_by_field_name("type")
        return parse_type(text_of(kind)) if kind is not None else UNKNOWN

    def _compound_literal_expression(self, node: Node, fragment: Fragment, document: Document, depth: int) -> CppType:
        kind = node.child_by_field_name("type")
        return parse_type(text_of(kind)) if kind is not None else UNKNOWN

    def _number_literal(self, node: Node, fragment: Fragment, document: Document, depth: int) -> CppType:
        text = text_of(node)
        return CppType("double" if re.search(r"[.eEfF]", text) and not text.startswith("0x") else "int64_t")

    def _true(self, node: Node, fragment: Fragment, document: Document, depth: int) -> CppType:
        return CppType("bool")

    _false = _true

    def _string_literal(self, node: Node, fragment: Fragment, document: Document, depth: int) -> CppType:
        return CppType("char", pointers=1, const=True)

    def _qualified_identifier(self, node: Node, fragment: Fragment, document: Document, depth: int) -> CppType:
        text = text_of(node)
        if re.match(r"(?s)(?:\w+::)*CppTypeToScalarType\s*<.*>\s*::\s*value$", text):
            return CppType("ScalarType")
        if re.match(r"(?:torch|at|c10)::(?:headeronly::)?(?:ScalarType::\w+|k[A-Z]\w*)$", text):
            return CppType("Device" if text.endswith(("kCUDA", "kCPU")) else "ScalarType")
        return CppType("ScalarType") if re.match(r"ScalarType::\w+$", text) else UNKNOWN


def class_of_function(node: Node) -> str:
    """The class in whose member function `node` stands, "" where that is defined inside of the class, or is none."""
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


def _constant(name: str) -> CppType:
    """The type of `kInt` and `kCUDA`, which a using-directive made visible."""
    if name in ("kCUDA", "kCPU"):
        return CppType("Device")
    return CppType("ScalarType") if _DTYPE.fullmatch(name) else UNKNOWN


def _element(held: CppType, wanted: str) -> CppType:
    """What `std::get<wanted>` takes out of a tuple or an array."""
    if held.name == "tuple" and wanted.isdigit() and int(wanted) < len(held.arguments):
        return held.arguments[int(wanted)]
    return (held.inner or UNKNOWN) if held.name == "array" else UNKNOWN


def arguments_of(node: Node) -> list[Node]:
    """The arguments of a call, comments left out."""
    arguments = node.child_by_field_name("arguments")
    return [c for c in arguments.named_children if c.type != "comment"] if arguments is not None else []


def receiver_type_parts(callee: Node) -> tuple[Node | None, str]:
    """The receiver and the bare member name of `receiver.member` or `receiver->member<T>`."""
    member = callee.child_by_field_name("field")
    name = text_of(member).partition("<")[0].strip() if member is not None else ""
    return callee.child_by_field_name("argument"), name.removeprefix("template ").strip()
