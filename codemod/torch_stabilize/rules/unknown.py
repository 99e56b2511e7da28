"""What is done to something of unknown type: nothing that only a tensor can be asked may pass without a word."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tree_sitter import Node

from torch_stabilize.codes import Example
from torch_stabilize.model import Confidence, Diagnostic
from torch_stabilize.rules.certainty import BROKEN, is_cut_off
from torch_stabilize.rules.context import Context, Site, SiteKind
from torch_stabilize.rules.foreign import is_foreign
from torch_stabilize.rules.number_places import holds_tensor, is_other, wants_a_number
from torch_stabilize.rules.operators import operands, operator_nodes, operator_of
from torch_stabilize.rules.registry import page
from torch_stabilize.rules.tensor_calls import receiver_of, receiver_type
from torch_stabilize.source.calls import returns_of
from torch_stabilize.source.declarations import Declared, text_of
from torch_stabilize.source.document import Document, Fragment
from torch_stabilize.source.library import BOXES, CONTAINERS, METHODS
from torch_stabilize.source.results import UNMISTAKABLE
from torch_stabilize.source.scopes import arguments_of, receiver_type_parts
from torch_stabilize.source.types import CppType, parse_type

METHOD = page(
    "TSA903",
    "A tensor's method is called on something whose type cannot be told.",
    "Only tensors have a method of this name, but the receiver's type is not written where it can be read. Give it a variable\n"
    "of a written type, `at::Tensor t = ...;`, and run again.",
    (
        Example(
            "struct { at::Tensor kept; } state;\nvoid f() { auto y = state.kept.exp(); }",
            "struct { torch::stable::Tensor kept; } state;\nvoid f() { auto y = state.kept.exp(); }",
            "a class without a name: reported, and left as it is",
        ),
        Example(
            "struct Grid { Grid exp() const; };\nGrid f(Grid g) { return g.exp(); }",
            "struct Grid { Grid exp() const; };\nGrid f(Grid g) { return g.exp(); }",
            "a class of the project",
        ),
    ),
    confidence=Confidence.MANUAL,
)
OPERATOR = page(
    "TSA904",
    "An operator has an operand that may be a tensor.",
    "The type of the operand is not written where it can be read. Give it a variable of a written type, and run again.",
    (
        Example(
            "struct { at::Tensor kept; } state;\nvoid f() { auto y = state.kept[0]; }",
            "struct { torch::stable::Tensor kept; } state;\nvoid f() { auto y = state.kept[0]; }",
            "reported, and left as it is",
        ),
        Example(
            "int f(int n) { auto m = n; return m + 1; }",
            "int f(int n) { auto m = n; return m + 1; }",
            "a number",
        ),
    ),
    confidence=Confidence.MANUAL,
)
_HELP = "give it a variable of a written type, like `at::Tensor t = ...;`, and run again"
_DEPTH = 12
# What marks functions that device code may call: nvcc's words, and the macros of CUTLASS and CuTe for them.
_FOR_DEVICE = re.compile(r"\b(?:__device__|__global__|(?:CUTE|CUTLASS)_(?:HOST_)?DEVICE)\b")
# In the text of a type that is beyond what is read: `decltype(v)::value_type`.
_OF_TENSORS = re.compile(r"\bdecltype\b|(?<!cute::)\bTensor\b")
# Rules of methods that guards, streams, exceptions and devices have, and tensors do not.
_NO_TENSORS = frozenset({"TSA139", "TSA173", "TSA208", "TSA402", "TSA408"})
_OF_DEVICES = frozenset({"device_of", "c10::device_of", "at::device_of"})  # found by the type of its argument
_PLAIN = frozenset({"int", "int64_t", "size_t", "float", "double", "bool", "string", "ScalarType", "Device"})
_PARTS = {
    "subscript_expression": ("argument",),
    "pointer_expression": ("argument",),
    "unary_expression": ("argument",),
    "update_expression": ("argument",),
    "binary_expression": ("left", "right"),
    "assignment_expression": ("left",),
    "conditional_expression": ("consequence", "alternative"),
}


def unknown_receiver(site: Site, context: Context) -> Diagnostic | None:
    """A diagnostic for a method that only tensors have, on what may be one."""
    if site.entry is not None and site.entry.rule in _NO_TENSORS:
        return None
    own = site.name in context.project.finder.written.classes.method_names and site.name not in UNMISTAKABLE
    if not _moves(context) or own:
        return None
    if site.name in METHODS - UNMISTAKABLE and not _is_given_tensor(receiver_of(site, context), context, site):
        return None
    kind = receiver_type(site, context)
    if kind is not None and kind.is_known:
        return None
    receiver = receiver_of(site, context)
    fragment = context.fragment(site)
    if receiver is None and is_cut_off(fragment.tree.root_node, site.span, fragment):
        return context.diagnose(site, BROKEN, f"the code around {site.name} cannot be parsed", "rewrite it by hand")
    if receiver is None:
        return None
    document = context.document
    if not may_be_tensor(receiver, fragment, document, context) and not (
        is_foreign(receiver, fragment, document, context) and not _is_on_device(receiver, context)
    ):
        return None
    return context.diagnose(
        site, METHOD, f"{site.name} is called on `{_short(receiver)}`, whose type cannot be told", _HELP
    )


def _is_given_tensor(receiver: Node | None, context: Context, site: Site) -> bool:
    """Whether a receiver is what a member template of the project makes of a tensor: `Box().run(x)`."""
    callee = (
        receiver.child_by_field_name("function")
        if receiver is not None and receiver.type == "call_expression"
        else None
    )
    if receiver is None or callee is None or callee.type != "field_expression":
        return False
    name = receiver_type_parts(callee)[1]
    fragment = context.fragment(site)
    given = any(context.type_of(one, fragment).is_tensor for one in arguments_of(receiver))
    return given and name in context.project.finder.written.classes.method_names


def unknown_operators(context: Context) -> Iterator[tuple[Site, Diagnostic]]:
    """Operators with an operand that may be a tensor, the innermost of an expression."""
    if not _moves(context):
        return
    finder, document = context.project.finder, context.document
    told: list[tuple[int, int]] = []
    found = [(fragment.span(node), node, fragment) for node, fragment in operator_nodes(document)]
    for span, node, fragment in sorted(found, key=lambda one: one[0].end - one[0].start):
        if any(span.start <= start and end <= span.end for start, end in told):
            continue
        printed = node.child_by_field_name("right") if operator_of(node) == "<<" else None
        given = [printed] if printed is not None else list(operands(node))
        kinds = [finder.type_of(one, fragment, document) for one in given]
        if any(kind.is_tensor or is_other(kind) for kind in kinds) or wants_a_number(node, fragment, context):
            continue
        unknown = [one for one in given if may_be_tensor(one, fragment, document, context)]
        if unknown:
            told.append((span.start, span.end))
            site = Site(span, operator_of(node), SiteKind.OPERATOR)
            message = f"`{site.name}` is applied to `{_short(unknown[0])}`, which may be a tensor"
            yield site, context.diagnose(site, OPERATOR, message, _HELP)


def _moves(context: Context) -> bool:
    return context.document.path in context.project.moving


def _short(node: Node) -> str:
    text = " ".join(text_of(node).split())
    return text if len(text) <= 40 else f"{text[:37]}..."


# where a tensor may come from ---------------------------------------------------------------------------------------


def may_be_tensor(node: Node, fragment: Fragment, document: Document, context: Context, depth: int = 0) -> bool:
    """Whether an expression, if its type is unknown, comes from where a tensor may come from."""
    finder = context.project.finder
    kind = finder.type_of(node, fragment, document)
    is_open = kind.name in CONTAINERS | BOXES and kind.inner is not None and not kind.inner.is_known  # std::optional<T>
    is_open = is_open and node.type == "identifier"
    if (kind.is_known and not is_open) or depth > _DEPTH:
        return kind.is_tensor or (kind.name not in _PLAIN and _is_tensor_somewhere(kind, node, document, context))
    if node.type == "identifier":
        return _name_may_be(node, fragment, document, context, depth)
    if node.type == "call_expression":
        return _call_may_be(node, fragment, document, context, depth)
    if node.type == "field_expression":
        return _field_may_be(node, fragment, document, context, depth)
    if node.type in ("parenthesized_expression", "comma_expression"):
        inner = [c for c in node.named_children if c.type != "comment"]
        return bool(inner) and may_be_tensor(inner[-1], fragment, document, context, depth + 1)
    parts = [found for name in _PARTS.get(node.type, ()) if (found := node.child_by_field_name(name)) is not None]
    return any(may_be_tensor(part, fragment, document, context, depth + 1) for part in parts)


def _name_may_be(node: Node, fragment: Fragment, document: Document, context: Context, depth: int) -> bool:
    finder = context.project.finder
    declared = finder.declaration_of(text_of(node), node)
    if declared is None and fragment.macro is not None:
        return _given_may_be(text_of(node), fragment, context, depth)
    if declared is None:
        written = parse_type(finder.written.member(finder.class_at(node), text_of(node)))
        return _is_tensor_somewhere(written, node, document, context)
    return declared is not None and _declared_may_be(declared, node, fragment, document, context, depth)


def _declared_may_be(
    declared: Declared, node: Node, fragment: Fragment, document: Document, context: Context, depth: int
) -> bool:
    finder = context.project.finder
    written = parse_type(declared.type_text)
    if not written.is_known and written.name != "auto" and declared.index is None:  # beyond what is read
        return _OF_TENSORS.search(declared.type_text) is not None and not _is_on_device(node, context)
    if written.name != "auto" and declared.index is None:  # an alias or a parameter of several meanings, or CuTe's
        is_computed = written.name in finder.written.computed_aliases and _is_on_device(node, context)
        return written.name != "Tensor" and not is_computed
    value = declared.like or declared.value
    if value is None:
        return not _is_on_device(node, context) and not _is_number_elsewhere(declared, node, fragment, context)
    if declared.element or declared.index is not None:
        held = finder.type_of(value, fragment, document)
        if held.is_known and declared.index is not None:  # a class of a name that several have
            parts = [one.layout for one in finder.written.classes.named(held.name)]
            return any(holds_tensor(parse_type(part[declared.index])) for part in parts if declared.index < len(part))
        return not held.is_known and may_be_tensor(value, fragment, document, context, depth + 1)
    return may_be_tensor(value, fragment, document, context, depth + 1)


def _is_tensor_somewhere(written: CppType, node: Node, document: Document, context: Context) -> bool:
    """Whether a type is a template parameter, or is made of one, that means a tensor and something else."""
    meant = written.inner if written.inner and written.name in CONTAINERS | BOXES else written
    kinds = context.project.finder.instances.kinds_of(meant, node, document)
    return len(kinds) > 1 and any(kind.is_tensor for kind in kinds)


def _given_may_be(name: str, fragment: Fragment, context: Context, depth: int) -> bool:
    """Whether a macro is anywhere called with a tensor, or with what may be one, for its parameter `name`."""
    macro = fragment.macro
    if macro is None or name not in (macro.params or ()):
        return False
    place = (macro.params or ()).index(name)
    for user, use_fragment, spans, _ in context.project.finder.macros.of(macro.name):
        node = use_fragment.node_at(spans[place]) if place < len(spans) else None
        if node is not None and may_be_tensor(node, use_fragment, user, context, depth + 1):
            return True
    return False


def _call_may_be(node: Node, fragment: Fragment, document: Document, context: Context, depth: int) -> bool:
    finder = context.project.finder
    callee = node.child_by_field_name("function")
    if callee is None:
        return False
    if callee.type == "field_expression":
        receiver, name = receiver_type_parts(callee)
        if receiver is None:
            return False
        owner = finder.type_of(receiver, fragment, document)
        if owner.is_known and not finder.written.classes.named(owner.name):  # maybe a template parameter
            made = finder.written.classes.with_method(name) if not owner.arguments else ()
            return any(holds_tensor(finder.written.resolved(parse_type(method.returns))) for method in made)
        if owner.is_known:
            return bool(finder.written.methods_of(owner._replace(pointers=0), name))
        known = finder.returns.method(name, [finder.type_of(a, fragment, document) for a in arguments_of(node)])
        if known and not holds_tensor(parse_type(known)):
            return False
        return may_be_tensor(receiver, fragment, document, context, depth + 1)
    if callee.type == "lambda_expression":
        return _body_may_be(callee, fragment, document, context, depth)
    name, _, template = text_of(callee).partition("<")
    name = name.strip()
    value = finder.value_of(name, callee, fragment) if callee.type == "identifier" else None
    if value is not None and value.type == "lambda_expression":
        return _body_may_be(value, fragment, document, context, depth)
    own = finder.functions.meant_by(name)
    for where, function in own:
        written = parse_type(function.return_type)
        definition = finder.instances.definition(where, function)
        if written.is_known and written.name != "auto":
            names = finder.instances.parameters(where, function) if function.template else ()
            if holds_tensor(written) or written.name in names:
                return True
        elif definition is None or _body_may_be(definition, where.whole, where, context, depth):
            return True
    if own:
        return False
    entry = context.surface.name(name if "::" in name else f"c10::{name}")
    if entry is not None and entry.kind == "function" and entry.returns and "Tensor" not in entry.returns:
        return False
    if name in _OF_DEVICES:
        return False
    is_asked_for = any(map(holds_tensor, parse_type(f"{name}<{template}").arguments)) if template else False
    return is_asked_for or any(holds_tensor(finder.type_of(one, fragment, document)) for one in arguments_of(node))


def _body_may_be(body_of: Node, fragment: Fragment, document: Document, context: Context, depth: int) -> bool:
    values = [one.named_children[0] for one in returns_of(body_of) if one.named_children]
    return any(may_be_tensor(value, fragment, document, context, depth + 1) for value in values)


def _field_may_be(node: Node, fragment: Fragment, document: Document, context: Context, depth: int) -> bool:
    finder = context.project.finder
    receiver, name = receiver_type_parts(node)
    if receiver is None:
        return False
    owner = finder.type_of(receiver, fragment, document)
    if owner.is_known:
        found = [m for one in finder.written.classes.named(owner.name) if (m := one.members.get(name))]
        return any(
            "Tensor" in member.type_text
            or "decltype" in member.type_text
            or _is_tensor_somewhere(parse_type(member.type_text), node, document, context)
            for member in found
        )
    declared = finder.declaration_of(text_of(receiver), receiver) if receiver.type == "identifier" else None
    if declared is not None and not parse_type(declared.type_text).is_known:
        return "Tensor" in declared.type_text
    return may_be_tensor(receiver, fragment, document, context, depth + 1)


def _is_on_device(node: Node, context: Context) -> bool:
    """Whether `node` is in a function or lambda for the device."""
    scope: Node | None = node
    while scope is not None:
        if scope.type in ("function_definition", "lambda_expression"):
            body = scope.child_by_field_name("body")
            head = text_of(scope)[: (body.start_byte - scope.start_byte) if body is not None else None]
            if _FOR_DEVICE.search(head) or (scope.type == "lambda_expression" and _is_called_on_device(scope, context)):
                return True
        scope = scope.parent
    return False


def _is_called_on_device(function: Node, context: Context) -> bool:
    """Whether a lambda is handed to a function of the project that device code may call, which makes no tensor."""
    call = function.parent.parent if function.parent is not None else None
    if call is None or call.type != "call_expression":
        return False
    callee = call.child_by_field_name("function")
    name = text_of(callee).partition("<")[0].strip() if callee is not None else ""
    functions = context.project.finder.functions
    heads = [
        document.data[function.span.start : function.head.end].decode("utf-8", "replace")
        for document, function in functions.meant_by(name)
    ]
    return bool(heads) and all(map(_FOR_DEVICE.search, heads))


def _is_number_elsewhere(declared: Declared, node: Node, fragment: Fragment, context: Context) -> bool:
    """Whether the parameter of a lambda is used as a number at another place: as an index, in a template argument."""
    scope: Node | None = node
    while scope is not None and scope.type != "lambda_expression":
        scope = scope.parent
    waiting = [scope] if scope is not None else []
    while waiting:
        one = waiting.pop()
        waiting += one.named_children
        if one.type not in ("identifier", "type_identifier") or text_of(one) != declared.name:
            continue
        if one.type == "type_identifier" or wants_a_number(one, fragment, context):  # `f<i>()` is read as of a type
            return True
    return False
