"""data_ptr<T>(): const where the pointer is only read, mutable otherwise, decided by what takes the pointer."""

from __future__ import annotations

import re

from tree_sitter import Node

from codemod.codes import Example
from codemod.model import Confidence, Span
from codemod.rules.context import Allowed, Context, Outcome, Site
from codemod.rules.options import enclosing_block, uses_of
from codemod.rules.registry import rule
from codemod.rules.tensor_calls import MethodCall, is_tensor_method
from codemod.source.declarations import innermost_name, text_of
from codemod.source.document import Fragment
from codemod.source.scopes import receiver_type_parts

_CASTS = ("static_cast", "reinterpret_cast", "const_cast")


@rule(
    "TSA111",
    "data_ptr<T>() becomes const_data_ptr<T>() or mutable_data_ptr<T>() by what the callee takes.",
    text="A pointer that goes into a parameter, a variable or a member of type pointer to const is const. Where it cannot\n"
    "be seen what happens to the pointer it is mutable, as it was. A pointer without a type keeps data_ptr().",
    since="2.10",
    examples=(
        Example(
            "void k(const float* in, float* out);\nvoid f(at::Tensor& a, at::Tensor& b) { k(a.data_ptr<float>(), b.data_ptr<float>()); }",
            "void k(const float* in, float* out);\nvoid f(torch::stable::Tensor& a, torch::stable::Tensor& b) "
            "{ k(a.const_data_ptr<float>(), b.mutable_data_ptr<float>()); }",
        ),
        Example(
            "void k(float* out);\nvoid f(at::Tensor& a) { k(&(a.data_ptr<float>()[2])); }",
            "void k(float* out);\nvoid f(torch::stable::Tensor& a) { k(&(a.mutable_data_ptr<float>()[2])); }",
        ),
        Example(
            "at::Tensor f(at::Tensor a) { return a.data(); }",
            "torch::stable::Tensor f(torch::stable::Tensor a) { return a; }",
            "the tensor without its gradient",
        ),
        Example(
            "#define DATA_PTR data_ptr\nfloat* f(at::Tensor& a) { return a.DATA_PTR<float>(); }",
            "#define DATA_PTR data_ptr\nfloat* f(torch::stable::Tensor& a) { return a.mutable_data_ptr<float>(); }",
            "a macro for the method's name",
        ),
        Example(
            "#include <vector>\nauto f(std::vector<int>& v) { return v.data(); }",
            "#include <vector>\nauto f(std::vector<int>& v) { return v.data(); }",
            "not a tensor",
        ),
    ),
)
def data_pointer(site: Site, context: Context) -> Outcome | None:
    """`x.data_ptr<T>()`; `x.data_ptr()` stays."""
    entry = site.entry
    assert entry is not None
    if not is_tensor_method(site, context):
        return None
    after = context.document.code[site.span.end : site.span.end + 2].lstrip()
    if not after.startswith(b"<"):
        return (
            Allowed("data_ptr() without a type is the same on both sides")
            if site.name == "data_ptr"
            else _detached(site, context)
        )
    call = MethodCall(site, context)
    wanted = call.template_text() if call.is_complete else ""
    if re.match(r"const\b|.*\bconst$", wanted):
        bare = re.sub(r"\s*\bconst\b\s*", "", wanted)
        opening = context.document.code.find(b"<", site.span.end)
        closing = context.document.code.find(b">", opening)
        return context.rewrite(
            Span(site.span.start, closing + 1), (f"const_data_ptr<{bare}>".encode(),), entry.rule, entry=entry
        )
    constant = call.node is not None and is_read_only(call.node, call.fragment, context)
    name = "const_data_ptr" if constant else "mutable_data_ptr"
    return context.replace(site, name, entry.rule, entry=entry)


def _detached(site: Site, context: Context) -> Outcome | None:
    """`x.data()`, the tensor without its gradient, which stable code does not track."""
    call = MethodCall(site, context)
    if site.name != "data" or not call.is_complete or call.arguments:
        return None
    return context.rewrite(call.span, call.receiver_parts(), "TSA111", confidence=Confidence.REVIEW)


def is_read_only(node: Node, fragment: Fragment, context: Context, depth: int = 0) -> bool:
    """Whether the pointer that `node` gives goes only where a pointer to const will do."""
    parent = node.parent
    if parent is None or depth > 8:
        return False
    if parent.type in ("parenthesized_expression", "conditional_expression"):
        if parent.type == "conditional_expression" and parent.child_by_field_name("condition") == node:
            return True
        return is_read_only(parent, fragment, context, depth + 1)
    if parent.type == "argument_list":
        return _argument_is_const(node, parent, fragment, context, depth)
    if parent.type == "init_declarator":
        return _variable_is_const(parent, fragment, context, depth)
    if parent.type == "assignment_expression" and parent.child_by_field_name("right") == node:
        left = parent.child_by_field_name("left")
        return left is not None and _target_is_const(left, fragment, context)
    if parent.type == "cast_expression":
        return "const" in text_of(parent.child_by_field_name("type") or parent).split("*")[0].split()
    if parent.type == "binary_expression":
        operator = text_of(parent.child_by_field_name("operator") or parent)
        return operator not in ("+", "-") or is_read_only(parent, fragment, context, depth + 1)
    if parent.type == "subscript_expression" and parent.child_by_field_name("argument") == node:
        return _is_only_read(parent, fragment, context, depth)
    if parent.type == "pointer_expression" and text_of(parent).startswith("*"):
        return _is_only_read(parent, fragment, context, depth)
    if parent.type == "return_statement":
        return _function_returns_const(parent)
    return False


def _is_only_read(node: Node, fragment: Fragment, context: Context, depth: int) -> bool:
    """Whether the lvalue `node` is read and not written, nor its address taken."""
    while node.parent is not None and node.parent.type == "parenthesized_expression":
        node = node.parent
    parent = node.parent
    if parent is None:
        return False
    if parent.type == "assignment_expression" and parent.child_by_field_name("left") == node:
        return False
    if parent.type == "update_expression":
        return False
    if parent.type == "pointer_expression" and text_of(parent).startswith("&"):
        return is_read_only(parent, fragment, context, depth + 1)
    if parent.type == "argument_list":
        callee = _callee_of(parent)
        return (
            callee.startswith(("std::min", "std::max", "static_cast", "int", "float"))
            or "Check" in callee
            or "CHECK" in callee
        )
    return parent.type not in ("reference_declarator", "field_expression")


def _callee_of(arguments: Node) -> str:
    call = arguments.parent
    callee = call.child_by_field_name("function") if call is not None else None
    return text_of(callee) if callee is not None else ""


def _argument_is_const(node: Node, arguments: Node, fragment: Fragment, context: Context, depth: int) -> bool:
    call = arguments.parent
    if call is None:
        return False
    if call.type == "init_declarator":  # float* p(x.data_ptr<float>())
        return _variable_is_const(call, fragment, context, depth)
    callee = call.child_by_field_name("function")
    if callee is None:
        return False
    if callee.type == "kernel_call_syntax":
        callee = callee.named_children[0] if callee.named_child_count else callee
    text = text_of(callee)
    name = text.partition("<<<")[0].partition("<")[0].strip()
    if name in _CASTS:
        wanted = text.partition("<")[2]
        return bool(re.search(r"\bconst\b", wanted.split("*")[0])) or (
            "*" not in wanted and is_read_only(call, fragment, context, depth + 1)
        )
    place = [c for c in arguments.named_children if c.type != "comment"].index(node)
    count = sum(c.type != "comment" for c in arguments.named_children)
    return parameter_is_const(name, place, count, callee, fragment, context)


def parameter_is_const(name: str, place: int, count: int, node: Node, fragment: Fragment, context: Context) -> bool:
    """Whether parameter `place` of every function that `name` may mean here is a pointer to const."""
    bare = name.rpartition("::")[2]
    found = [
        function
        for _, function in context.project.functions.named(bare)
        if len(function.parameters) > place
        and sum(not parameter.default for parameter in function.parameters) <= count <= len(function.parameters)
    ]
    if found:
        return all(_is_const_pointer(function.parameters[place].type_text) for function in found)
    declared = context.project.finder.declaration_of(bare, node) if re.fullmatch(r"\w+", name) else None
    if declared is None or declared.value is None:
        return False
    value = text_of(declared.value).lstrip("&( ").strip()
    if declared.value.type == "lambda_expression":
        return _lambda_parameter_is_const(declared.value, place)
    target = re.match(r"[A-Za-z_][\w:]*", value)
    if target is None or target.group() == name:
        return False
    return parameter_is_const(target.group(), place, count, declared.value, fragment, context)


def _lambda_parameter_is_const(node: Node, place: int) -> bool:
    declarator = node.child_by_field_name("declarator")
    parameters = declarator.child_by_field_name("parameters") if declarator is not None else None
    given = (
        [c for c in parameters.named_children if c.type.endswith("parameter_declaration")]
        if parameters is not None
        else []
    )
    return place < len(given) and _is_const_pointer(text_of(given[place]))


def _is_const_pointer(text: str) -> bool:
    head = text.partition("*")[0]
    return "*" in text and bool(re.search(r"\bconst\b", head))


def _variable_is_const(init: Node, fragment: Fragment, context: Context, depth: int) -> bool:
    declaration = init.parent
    kind = declaration.child_by_field_name("type") if declaration is not None else None
    if declaration is None or kind is None:
        return False
    qualifiers = [text_of(c) for c in declaration.children if c.type == "type_qualifier"]
    name, marks = innermost_name(init.child_by_field_name("declarator") or init)
    if text_of(kind) != "auto" or "*" in marks:
        if "const" in qualifiers and ("*" in marks):
            return True
        if text_of(kind) != "auto":
            return False
    return name is not None and _uses_are_const(text_of(name), declaration, fragment, context, depth)


def _uses_are_const(name: str, declaration: Node, fragment: Fragment, context: Context, depth: int) -> bool:
    """Whether a pointer variable without a written type is only ever read through."""
    block = enclosing_block(declaration)
    if block is None or depth > 4:
        return False
    seen = False
    for use in uses_of(name, declaration.end_byte, block.end_byte, fragment):
        seen = True
        if not is_read_only(use, fragment, context, depth + 1):
            return False
    return seen


def _target_is_const(left: Node, fragment: Fragment, context: Context) -> bool:
    if left.type == "field_expression":
        receiver, member = receiver_type_parts(left)
        owner = context.type_of(receiver, fragment)
        written = context.project.finder.written.member(owner.name, member)
        return _is_const_pointer(written)
    if left.type == "identifier":
        declared = context.project.finder.declaration_of(text_of(left), left)
        return declared is not None and _is_const_pointer(declared.type_text)
    return False


def _function_returns_const(node: Node) -> bool:
    walk: Node | None = node
    while walk is not None and walk.type not in ("function_definition", "lambda_expression"):
        walk = walk.parent
    if walk is None or walk.type != "function_definition":
        return False
    kind = walk.child_by_field_name("type")
    qualifiers = [text_of(c) for c in walk.children if c.type == "type_qualifier"]
    return kind is not None and "const" in qualifiers and "*" in text_of(walk.child_by_field_name("declarator") or walk)
