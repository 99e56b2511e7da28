"""Names that a scope declares, with the type each is written with."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from tree_sitter import Node

from torch_stabilize.source.types import SAME_TYPE

# Nodes whose children declare names in the scope around them.
TRANSPARENT = frozenset({
    "preproc_if", "preproc_ifdef", "preproc_else", "preproc_elif", "preproc_elifdef", "ERROR", "case_statement",
    "template_declaration", "linkage_specification", "condition_clause", "init_statement", "labeled_statement",
})  # fmt: skip
PARAMETERS = frozenset({"parameter_declaration", "optional_parameter_declaration", "variadic_parameter_declaration"})
_DECLARATIONS = frozenset({"declaration", "field_declaration", "for_range_loop"}) | PARAMETERS
_NAMES = frozenset({"identifier", "field_identifier"})
# Nodes that declare nothing themselves, as far as the grammar could follow.
_EXPRESSIONS = frozenset({
    "identifier", "binary_expression", "unary_expression", "field_expression", "call_expression", "argument_list",
    "subscript_expression", "subscript_argument_list", "assignment_expression", "expression_statement",
    "parenthesized_expression", "pointer_expression", "conditional_expression", "cast_expression",
})  # fmt: skip


@dataclass(frozen=True)
class Declared:
    """A declared name: `type_text` as written with `*` and `&`, `value` its initialiser if it has one.

    `index` is the place in a structured binding; `element` says the value is a range whose elements are meant.
    `like` is the expression of a `decltype`.
    """

    name: str
    start: int
    type_text: str
    value: Node | None = None
    index: int | None = None
    element: bool = False
    like: Node | None = None


def text_of(node: Node) -> str:
    """The source of `node`."""
    return (node.text or b"").decode("utf-8", "replace")


def around(node: Node, kinds: Collection[str]) -> Node | None:
    """The innermost node of one of `kinds` that `node` is in."""
    walk = node.parent
    while walk is not None and walk.type not in kinds:
        walk = walk.parent
    return walk


def innermost_name(declarator: Node) -> tuple[Node | None, str]:
    """The identifier inside pointer, reference, array and function declarators, with the `*`, `&` met on the way."""
    marks = ""
    node: Node | None = declarator
    while node is not None and node.type not in _NAMES and node.type != "structured_binding_declarator":
        if node.type == "pointer_declarator":
            marks += "*"
        elif node.type == "reference_declarator":
            marks += "&"
        elif node.type == "array_declarator":
            marks += "*"
        node = node.child_by_field_name("declarator") or next(
            (c for c in node.named_children if c.type.endswith("declarator") or c.type in _NAMES), None
        )
    return node, marks


def _declarators(node: Node) -> Iterator[tuple[Node, Node | None]]:
    for child in node.children_by_field_name("declarator"):
        if child.type == "init_declarator":
            inner = child.child_by_field_name("declarator")
            if inner is not None:
                yield inner, child.child_by_field_name("value")
        else:
            values = (node.child_by_field_name(name) for name in ("default_value", "right", "value"))
            yield child, next((value for value in values if value is not None), None)


def declared_by(node: Node) -> Iterator[Declared]:
    """What one declaration, parameter or range loop declares."""
    kind = node.child_by_field_name("type")
    if kind is None:
        return
    qualifiers = " ".join(
        text_of(c) for c in node.children if c.type == "type_qualifier" and not text_of(c).startswith("alignas")
    )
    written, like = _written(kind)
    type_text = f"{qualifiers} {written}".strip()
    for declarator, value in _declarators(node):
        name, marks = innermost_name(declarator)
        if name is None:
            continue
        element = node.type == "for_range_loop"
        if name.type == "structured_binding_declarator":
            for index, part in enumerate(c for c in name.named_children if c.type == "identifier"):
                yield Declared(text_of(part), part.start_byte, type_text + marks, value, index, element)
        else:
            yield Declared(text_of(name), name.start_byte, type_text + marks, value, None, element, like)


def _written(kind: Node) -> tuple[str, Node | None]:
    """A type as written, `auto` for `decltype(auto)` and, with its expression, for `decltype(x)` or `decay_t` of it."""
    if kind.type == "placeholder_type_specifier":
        return "auto", None
    if kind.type == "decltype":
        return "auto", next(iter(kind.named_children), None)
    if (of := _of_trait(kind)) is not None:
        return "auto", of
    name = kind.child_by_field_name("name") if kind.child_by_field_name("body") is not None else None
    return text_of(name or kind), None  # of a class that is defined where it is used


def alias_of_expression(name: str, node: Node) -> Node | None:
    """`x` of the `using name = decltype(x);`, decayed or not, that is seen from `node`."""
    scope: Node | None = node
    while scope is not None:
        for child in scope.named_children:
            declared = child.child_by_field_name("name") if child.type == "alias_declaration" else None
            kind = child.child_by_field_name("type")
            if declared is not None and kind is not None and text_of(declared) == name:
                return _written(kind.child_by_field_name("type") or kind)[1]
        scope = scope.parent
    return None


def _of_trait(kind: Node) -> Node | None:
    """`x` of `std::decay_t<decltype(x)>` and `typename std::decay<decltype(x)>::type`."""
    walk: Node | None = kind
    while walk is not None and walk.type in ("dependent_type", "qualified_identifier"):
        scope, inner = walk.child_by_field_name("scope"), walk.child_by_field_name("name")
        if walk.type == "dependent_type":
            walk = next(iter(walk.named_children), None)
        elif scope is not None and scope.type == "template_type" and inner is not None and text_of(inner) == "type":
            walk = scope
        else:
            walk = inner
    name = walk.child_by_field_name("name") if walk is not None and walk.type == "template_type" else None
    listed = walk.child_by_field_name("arguments") if walk is not None and name is not None else None
    if name is None or listed is None or text_of(name).removesuffix("_t") not in SAME_TYPE:
        return None
    given = listed.named_children
    inside = given[0].child_by_field_name("type") if len(given) == 1 else None
    return next(iter(inside.named_children), None) if inside is not None and inside.type == "decltype" else None


def _captured(scope: Node) -> Iterator[Declared]:
    """What the captures of a lambda declare: `[y = f()]`."""
    captures = scope.child_by_field_name("captures")
    for capture in captures.named_children if captures is not None else ():
        if capture.type == "lambda_capture_initializer":
            name, value = capture.child_by_field_name("left"), capture.child_by_field_name("right")
            if name is not None:
                yield Declared(text_of(name), name.start_byte, "auto", value)


def data_members(body: Node) -> list[Declared]:
    """The members of a class that its objects consist of, in the order of a structured binding."""
    found: list[Declared] = []
    for child in body.named_children:
        if child.type in TRANSPARENT:
            found += data_members(child)
        elif child.type == "field_declaration" and not _is_static(child) and not declares_function(child):
            found += declared_by(child)
    return found


def _is_static(member: Node) -> bool:
    return any(child.type == "storage_class_specifier" and text_of(child) == "static" for child in member.children)


def declares_function(node: Node) -> bool:
    """Whether a function is declared, as against a pointer to one."""
    declarator = node.child_by_field_name("declarator")
    while declarator is not None and declarator.type in ("pointer_declarator", "reference_declarator"):
        declarator = next((c for c in declarator.named_children if c.type.endswith("declarator")), None)
    if declarator is None or declarator.type != "function_declarator":
        return False
    name = declarator.child_by_field_name("declarator")
    return name is not None and name.type != "parenthesized_declarator"


def may_declare(node: Node) -> bool:
    """False for expressions, which need not be asked what they declare."""
    return node.type not in _EXPRESSIONS or node.has_error


def declared_in(scope: Node) -> Iterator[Declared]:
    """What `scope` declares directly: statements of a block, parameters of a function or lambda, loop variables."""
    if scope.type in _DECLARATIONS:
        yield from declared_by(scope)
    if scope.type in ("function_definition", "lambda_expression", "catch_clause"):
        for parameter in _parameters(scope):
            yield from declared_by(parameter)
        yield from _captured(scope)
        return
    for child in scope.children:
        if child.type in _DECLARATIONS and child.type != "for_range_loop":
            yield from declared_by(child)
            if scope.type == "ERROR":
                yield from _loose_parameters(child)
        elif child.type in TRANSPARENT:
            yield from declared_in(child)
        elif scope.type == "ERROR":
            yield from _loose_parameters(child)


def _loose_parameters(node: Node) -> Iterator[Declared]:
    """In a broken tree a function's head may stand next to its body: its parameters are taken as the scope's."""
    if node.type in ("function_declarator", "parameter_list", "declaration", "pointer_declarator"):
        for parameter in _parameters(node):
            yield from declared_by(parameter)


def _parameters(node: Node) -> Iterator[Node]:
    """The parameters of the outermost parameter list below `node`, bodies not entered."""
    for child in node.children:
        if child.type in PARAMETERS:
            yield child
        elif child.type in ("compound_statement", "field_initializer_list"):
            continue
        elif child.type.endswith("declarator") or child.type in ("parameter_list", "ERROR"):
            yield from _parameters(child)
