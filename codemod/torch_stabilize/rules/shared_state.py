"""What a shared header means for both libraries: state that would exist twice, declarations that only one of them needs."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tree_sitter import Node

from torch_stabilize.model import Confidence, Diagnostic, Severity, Span
from torch_stabilize.rules.context import Context
from torch_stabilize.rules.registry import page
from torch_stabilize.source.declarations import Declared, declared_by, text_of
from torch_stabilize.source.document import ANY_HEADER, Document
from torch_stabilize.source.signatures import read_signatures
from torch_stabilize.source.types import CppType, parse_type
from torch_stabilize.source.uses import Access, Held

SHARED_STATE = page(
    "TSA905",
    "State that a shared header holds would exist once in each library.",
    "An inline variable, or a static one of an inline function, is one object while all units that include the header are in\n"
    "one library. Once some of them are in the stable one there are two, and what one library writes the other never sees.\n"
    "Migrate all units that use it together, or move the state into a unit behind functions.",
    confidence=Confidence.MANUAL,
)
_CONSTANT = re.compile(r"\b(?:const|constexpr|consteval|constinit const)\b")
_SCALAR = re.compile(r"^(?:(?:un)?signed|u?int(?:8|16|32|64)?(?:_t)?|long|short|char|size_t|float|double|bool|int)\b")


def shared_state(context: Context) -> Iterator[Diagnostic]:
    """A diagnostic for each variable of a shared header that both libraries would have a copy of."""
    document = context.document
    waiting = [document.whole.tree.root_node]
    while waiting:
        node = waiting.pop()
        if node.type in ("declaration", "field_declaration"):
            for declared in _state(node, context):
                yield _told(document, declared)
        waiting += reversed(node.named_children)


def _told(document: Document, declared: Declared) -> Diagnostic:
    place = Span(declared.start, declared.start + len(declared.name.encode()))
    return Diagnostic(
        SHARED_STATE,
        Severity.ERROR,
        document.path,
        place,
        f"{declared.name} would exist twice, in the legacy library and in the stable one",
        "migrate all units that use it together, or keep it in one unit behind functions",
    )


def _state(node: Node, context: Context) -> Iterator[Declared]:
    """The variables of the declaration `node` that are one object for all units of a library, or one for each thread."""
    words = {text_of(child) for child in node.children if child.type in ("storage_class_specifier", "type_qualifier")}
    if "constexpr" in words or "extern" in words:
        return
    function = _function_around(node)
    if function is None:
        is_shared = "inline" in words or (_is_template(node) and "static" not in words)
    else:
        is_shared = not words.isdisjoint(("static", "thread_local")) and _is_one_function(function)
    if not is_shared:
        return
    for declared in declared_by(node):
        kind = parse_type(declared.type_text)
        is_function = any(c.type == "function_declarator" for c in node.children_by_field_name("declarator"))
        if is_function or _is_constant(declared, kind, node):
            continue
        kind = _element(kind) if declared.name in _arrays(node) else kind
        depth = 1 if declared.name in _arrays(node) else 0
        if function is None or not _only_read(declared, kind, function, context, depth):
            yield declared


def _arrays(node: Node) -> frozenset[str]:
    """The variables of a declaration that are arrays of one dimension."""
    found = (child for child in node.children_by_field_name("declarator"))
    inner = (c.child_by_field_name("declarator") if c.type == "init_declarator" else c for c in found)
    arrays = (c.child_by_field_name("declarator") for c in inner if c is not None and c.type == "array_declarator")
    return frozenset(text_of(name) for name in arrays if name is not None and name.type == "identifier")


def _element(array: CppType) -> CppType:
    return array._replace(pointers=array.pointers - 1)


def _is_template(node: Node) -> bool:
    """A template of variables, or the definition of a static member of a class template."""
    return node.type == "declaration" and node.parent is not None and node.parent.type == "template_declaration"


def _is_constant(declared: Declared, kind: CppType, node: Node) -> bool:
    """Whether nothing can be assigned to the variable: it is const itself, or a function object that keeps nothing."""
    if declared.value is not None and declared.value.type == "lambda_expression":
        captures = declared.value.child_by_field_name("captures")
        return captures is not None and not captures.named_children
    if not kind.pointers:
        return kind.const
    return any(re.search(r"\*\s*const\s+" + re.escape(declared.name) + r"\b", text_of(c)) for c in node.children)


def _function_around(node: Node) -> Node | None:
    around: Node | None = node.parent
    while around is not None and around.type not in ("function_definition", "lambda_expression"):
        around = around.parent
    return around


def _is_one_function(function: Node) -> bool:
    """Whether all units of a library share the function: inline, a template or a member, and not static or unnamed."""
    scope: Node | None = function
    shared = False
    while scope is not None:
        specifiers = {text_of(c) for c in scope.children if c.type == "storage_class_specifier"}
        if scope.type == "function_definition":
            head = text_of(scope).partition("{")[0]
            if "static" in specifiers and not _in_class(scope):
                return False
            if "__global__" in head or ("__device__" in head and "__host__" not in head):
                return False
            shared = shared or bool(re.search(r"\b(?:inline|constexpr)\b", head)) or _in_class(scope)
        elif scope.type == "template_declaration":
            shared = True
        elif scope.type == "namespace_definition" and scope.child_by_field_name("name") is None:
            return False
        scope = scope.parent
    return shared


def _in_class(function: Node) -> bool:
    return function.parent is not None and function.parent.type == "field_declaration_list"


def _only_read(declared: Declared, kind: CppType, function: Node, context: Context, depth: int) -> bool:
    """Whether a static number gets its value once: nothing writes it, and nobody outside gets it to write.

    `depth` is 1 for an array of numbers, whose elements are meant.
    """
    is_text = kind.const and kind.pointers == 1  # or other memory that cannot be written by way of it
    if not _SCALAR.match(kind.name) or (kind.pointers and not is_text) or declared.type_text.rstrip().endswith("]"):
        return False
    returned = text_of(function).partition("{")[0].partition("(")[0]
    if "&" in returned or ("*" in returned and not is_text):
        return False
    uses, document = context.project.pointer_uses, context.document
    waiting = [function]
    while waiting:
        node = waiting.pop()
        waiting += node.named_children
        if _names(node) and text_of(node) == declared.name and node.start_byte != declared.start:
            value = Held(depth=depth)
            is_returned = node.parent is not None and node.parent.type == "return_statement" and not depth
            if not is_returned and uses.of_expression(node, document.whole, document, value) is not Access.READ:
                return False
    return True


def _names(node: Node) -> bool:
    """Whether a node names a variable; `n` of `V v(n);` is taken for a parameter's type."""
    around = node.parent
    is_type = node.type == "type_identifier" and around is not None and around.type == "parameter_declaration"
    return node.type == "identifier" or is_type


def is_idle(context: Context, region: Span) -> bool:
    """Whether `region` of a shared header declares functions or a macro that nothing which moves can ask for."""
    document = context.document
    names = {f.name for f in read_signatures(document) if region.contains(f.head)}
    names |= {macro.name for macro in document.macros if region.contains(macro.span)}
    if not names:
        return False
    words = {name.encode() for name in names}
    moving = [d for d in context.project.documents if d.path in context.project.moving]
    others = [d for d in context.project.documents if d.path.endswith(ANY_HEADER)]
    if any(not words.isdisjoint(d.words) for d in (*moving, *others) if d.path != document.path):
        return False
    around = document.code[: region.start] + b" " + document.code[region.end :]
    return not any(re.search(rb"\b" + re.escape(word) + rb"\b", around) for word in words)
