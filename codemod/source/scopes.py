"""Find the type of an expression by looking at declarations, as a reader would.

Locals, parameters, members, lambdas, range loops, structured bindings and `auto` from the return types of known
functions. In a macro body a free name or a parameter is looked up where the macro is used.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from tree_sitter import Node

from codemod.model import Span
from codemod.source.arguments import argument_spans
from codemod.source.declarations import Declared, data_members, declared_in, text_of
from codemod.source.document import HEADER_SUFFIXES, Document, Fragment
from codemod.source.results import FunctionResults, KnownReturns, method_result
from codemod.source.types import LIST, TENSOR, UNKNOWN, CppType, parse_type

_CASTS = frozenset({"static_cast", "reinterpret_cast", "const_cast", "dynamic_cast"})
_ARITHMETIC = frozenset({"+", "-", "*", "/", "%", "&", "|", "^", "<<", ">>"})
_COMPARISON = frozenset({"==", "!=", "<", "<=", ">", ">="})
_DEPTH = 24
_CLASS = re.compile(rb"\b(?:struct|class)\s+(?:\w+\([^)]*\)\s*)?(\w+)[^;{}()]*\{")
_BARE_TENSOR = re.compile(r"(?<![\w:])Tensor\b")
_MAKES_TENSOR_VISIBLE = re.compile(
    rb"\busing\s+(?:namespace\s+(?:torch|at|c10)\b|(?:torch|at|c10)::Tensor\b|Tensor\s*=)"
    rb"|\bnamespace\s+(?:torch|at|c10)\b(?!\s*=)|\btypedef\s+(?:torch|at|c10)::Tensor\s"
)
_ENDS_IN_WORD = re.compile(rb"\w\Z")
_FALLBACK = re.compile(
    rb"(?P<type>\b(?:const\s+)?(?:(?:torch|at|c10|std)::)+(?:stable::)?(?:optional\s*<[^;{}]*?>|Tensor))"
    rb"(?:\s+const)?\s*[&*]*\s*\b(?P<name>[A-Za-z_]\w*)\b"
)
_DTYPE = re.compile(
    r"k(?:Bool|Byte|Char|Short|Int|Long|U?Int(?:8|16|32|64)|Half|BFloat16|Float|Double|Float(?:16|32|64)|Float8_\w+)"
)
# An alias of something with a tensor, a dtype or a device in it: other types are of no interest to the rules.
_ALIAS = re.compile(
    rb"\busing\s+(?P<name>[A-Za-z_]\w*)\s*=\s*(?P<type>[^;{}=()]*\b(?:Tensor|ScalarType|Device|IntArrayRef|TensorOptions)\b[^;{}=()]*);"
)


# One call of a macro: the document, the fragment, the spans of its arguments, the node at the place.
Use = tuple[Document, Fragment, tuple[Span, ...], Node]


@dataclass
class TypeFinder:
    """Types of expressions in a set of documents that belong together. Results are kept; documents do not change."""

    documents: Sequence[Document]
    returns: KnownReturns
    _scopes: dict[tuple[int, int], dict[str, list[Declared]]] = field(default_factory=dict)
    _aliases: Mapping[str, CppType] | None = None
    _members: Mapping[str, dict[str, str]] | None = None
    _tensor_is_visible: set[str] | None = None
    _written: dict[str, dict[str, list[tuple[int, str]]]] = field(default_factory=dict)
    _uses: dict[str, list[Use]] = field(default_factory=dict)
    _functions: FunctionResults | None = None

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
        return self._fallback(name, document, fragment.span(node).start)

    def declaration_of(self, name: str, node: Node) -> Declared | None:
        """The declaration that `name` means at `node`, within the same fragment."""
        scope: Node | None = node
        while scope is not None:
            declared = self._names(scope).get(name)
            if declared:
                before = [d for d in declared if d.start <= node.start_byte] or declared[:1]
                return before[-1]
            scope = scope.parent
        return None

    def value_of(self, name: str, node: Node, fragment: Fragment) -> Node | None:
        """What the variable `name` was initialised with, if its declaration says so."""
        declared = self.declaration_of(name, node)
        return declared.value if declared is not None and not declared.element else None

    def _names(self, scope: Node) -> dict[str, list[Declared]]:
        key = (scope.id, scope.start_byte)
        if key not in self._scopes:
            names: dict[str, list[Declared]] = {}
            for declared in declared_in(scope):
                names.setdefault(declared.name, []).append(declared)
            self._scopes[key] = names
        return self._scopes[key]

    def _declared_type(self, declared: Declared, fragment: Fragment, document: Document, depth: int) -> CppType:
        written = self._resolved(parse_type(declared.type_text))
        if written.name == "Tensor" and _BARE_TENSOR.search(declared.type_text) and not self._sees_tensor(document):
            return UNKNOWN  # of another library, such as CuTe
        if written.name != "auto" and declared.index is None:
            return written
        if declared.value is None:
            return UNKNOWN
        value = self.type_of(declared.value, fragment, document, depth + 1)
        if declared.element:
            value = value.inner or UNKNOWN
        if declared.index is not None:
            parts = value.arguments or self._layout(value.name)
            return parts[declared.index] if declared.index < len(parts) else UNKNOWN
        return value

    def _sees_tensor(self, document: Document) -> bool:
        """Whether `Tensor` without a namespace may be torch's: the file or a header says so."""
        if self._tensor_is_visible is None:
            self._tensor_is_visible = {
                other.path for other in self.documents if _MAKES_TENSOR_VISIBLE.search(other.code)
            }
        return any(path == document.path or path.endswith(HEADER_SUFFIXES) for path in self._tensor_is_visible)

    def _resolved(self, written: CppType) -> CppType:
        """A type behind the name that a `using T = at::Tensor;` gave it."""
        if self._aliases is None:
            self._aliases = {
                match.group("name").decode(): parse_type(match.group("type").decode())
                for document in self.documents
                for match in _ALIAS.finditer(document.code)
            }
        meant = self._aliases.get(written.name)
        if meant is not None:
            return replace(meant, pointers=meant.pointers + written.pointers, const=meant.const or written.const)
        if written.arguments and self._aliases:
            return replace(written, arguments=tuple(self._resolved(argument) for argument in written.arguments))
        return written

    def _fallback(self, name: str, document: Document, before: int) -> CppType:
        """In code the grammar cannot follow: the last `Tensor NAME` that was written before the place."""
        if document.path not in self._written:
            table: dict[str, list[tuple[int, str]]] = {}
            for match in _FALLBACK.finditer(document.code):
                table.setdefault(match["name"].decode(), []).append((match.end(), match["type"].decode()))
            self._written[document.path] = table
        written = [text for end, text in self._written[document.path].get(name, ()) if end <= before]
        return parse_type(written[-1]) if written else UNKNOWN

    # macros ----------------------------------------------------------------------------------------------------------

    def _type_at_uses(self, name: str, fragment: Fragment, document: Document, depth: int) -> CppType:
        assert fragment.macro is not None
        found: set[CppType] = set()
        for user, use_fragment, arguments, node in self.uses(fragment.macro.name):
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

    def uses(self, macro: str) -> list[Use]:
        """Where `macro` is called: document, fragment, the spans of its arguments, the node at the place."""
        if macro not in self._uses:
            self._uses[macro] = self._find_uses(macro)
        return self._uses[macro]

    def _find_uses(self, macro: str) -> list[Use]:
        found = []
        pattern = re.compile(re.escape(macro.encode()) + rb"\s*\(")
        for document in self.documents:
            for match in pattern.finditer(document.code):
                if _ENDS_IN_WORD.search(document.code[max(0, match.start() - 1) : match.start()]):
                    continue
                line_start = document.code.rfind(b"\n", 0, match.start()) + 1
                if re.match(rb"\s*#\s*define\s+$", document.code[line_start : match.start()]):
                    continue
                fragment = document.fragment_at(match.start())
                node = fragment.node_at(Span(match.start(), match.start() + len(macro)))
                if node is not None:
                    found.append((document, fragment, argument_spans(document, match.end() - 1), node))
        return found

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
        if self._functions is None:
            self._functions = FunctionResults(self.documents)
        return self._resolved(self._functions.result(bare, len(arguments_of(node))))

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
        given = self._given(node, fragment, document, depth) if owner.is_tensor or not owner.is_known else ()
        return method_result(owner, method, given, self.returns)

    def _given(self, node: Node, fragment: Fragment, document: Document, depth: int) -> tuple[CppType, ...]:
        """The types of a call's arguments, "list" for a braced one."""
        return tuple(
            LIST if argument.type == "initializer_list" else self.type_of(argument, fragment, document, depth)
            for argument in arguments_of(node)
        )

    def _field_expression(self, node: Node, fragment: Fragment, document: Document, depth: int) -> CppType:
        receiver, member = receiver_type_parts(node)
        if receiver is None:
            return UNKNOWN
        owner = self.type_of(receiver, fragment, document, depth)
        if not owner.is_known:
            return UNKNOWN
        written = self._member_table().get(owner.name, {}).get(member, "")
        return parse_type(written) if written else UNKNOWN

    def member_type(self, owner: str, member: str) -> str:
        """The written type of a member of the class `owner`, empty if it is not known."""
        return self._member_table().get(owner, {}).get(member, "")

    def _member_table(self) -> Mapping[str, dict[str, str]]:
        if self._members is None:
            table: dict[str, dict[str, str]] = {}
            for name, body in self._class_bodies():
                table.setdefault(name, {}).update({d.name: d.type_text for d in declared_in(body)})
            self._members = table
        return self._members

    def _layout(self, owner: str) -> tuple[CppType, ...]:
        """The types of what an object of the class `owner` consists of; nothing if more than one class has the name."""
        bodies = [body for name, body in self._class_bodies() if name == owner]
        if len(bodies) != 1:
            return ()
        return tuple(self._resolved(parse_type(member.type_text)) for member in data_members(bodies[0]))

    def _class_bodies(self) -> Iterator[tuple[str, Node]]:
        for document in self.documents:
            for match in _CLASS.finditer(document.code):
                node = document.whole.node_at(Span(match.end() - 1, match.end()))
                while node is not None and node.type != "field_declaration_list":
                    node = node.parent
                if node is not None:
                    yield match.group(1).decode(), node

    def _subscript_expression(self, node: Node, fragment: Fragment, document: Document, depth: int) -> CppType:
        base = node.child_by_field_name("argument")
        owner = self.type_of(base, fragment, document, depth) if base is not None else UNKNOWN
        if owner.is_tensor:
            return TENSOR
        if owner.pointers:
            return CppType(owner.name, owner.arguments, owner.pointers - 1)
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

    def _string_literal(self, node: Node, fragment: Fragment, document: Document, depth: int) -> CppType:
        return CppType("char", pointers=1, const=True)

    def _qualified_identifier(self, node: Node, fragment: Fragment, document: Document, depth: int) -> CppType:
        text = text_of(node)
        if re.match(r"(?s)(?:\w+::)*CppTypeToScalarType\s*<.*>\s*::\s*value$", text):
            return CppType("ScalarType")
        if re.match(r"(?:torch|at|c10)::(?:headeronly::)?(?:ScalarType::\w+|k[A-Z]\w*)$", text):
            return CppType("Device" if text.endswith(("kCUDA", "kCPU")) else "ScalarType")
        return CppType("ScalarType") if re.match(r"ScalarType::\w+$", text) else UNKNOWN


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
