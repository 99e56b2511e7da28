"""Numbers that were signed: element_size() is an int64_t of a legacy tensor, and a size_t of a stable one."""

from __future__ import annotations

import re

from tree_sitter import Node

from torch_stabilize.codes import Example, untouched
from torch_stabilize.model import Span
from torch_stabilize.rules.context import Allowed, Context, Outcome, Site
from torch_stabilize.rules.expressions import expression_of
from torch_stabilize.rules.registry import rule
from torch_stabilize.rules.rewrite import Part
from torch_stabilize.rules.tensor_calls import MethodCall, tensor_call
from torch_stabilize.source.declarations import text_of
from torch_stabilize.source.document import Document, Fragment
from torch_stabilize.source.scopes import arguments_of
from torch_stabilize.source.types import parse_type
from torch_stabilize.surface.entry import Entry

# Two's complement has these the same, signed or not; so have comparisons for equality.
_MODULAR = frozenset({"+", "-", "*", "&", "|", "^"})
_EQUALITY = frozenset({"==", "!="})
_INTEGERS = re.compile(
    r"(?:unsigned |signed )?(?:int|long|long long|short|char)|u?int(?:8|16|32|64)_t|size_t|ptrdiff_t|bool|unsigned|DeviceIndex"
)
_UNSIGNED = re.compile(r"size_t|unsigned.*|uint64_t")
_OF_MEMORY = frozenset({"std::memcpy", "std::memmove", "std::memset", "std::to_string"})
_CASTS = re.compile(r"static_cast\s*<(?P<type>[^<>]*)>$")
_DEEP = 3
_LEGACY = re.compile(rb"(?<![\w:])(?:(?:at|c10)\s*::|torch\s*::\s*(?!stable\b|headeronly\b))")


@rule(
    "TSA137",
    "element_size() stays signed where that makes a difference.",
    text="The stable element_size() returns size_t. In a division, a comparison or an `auto` it is cast to the int64_t it was;\n"
    "where only the bits count, it stays as it is.",
    examples=(
        Example(
            "bool f(const at::Tensor& x, int64_t n) { return n - 8 < x.element_size(); }\n"
            "auto g(const at::Tensor& x) { auto bytes = x.numel() * x.element_size(); return bytes; }",
            "bool f(const torch::stable::Tensor& x, int64_t n) { return n - 8 < static_cast<int64_t>(x.element_size()); }\n"
            "auto g(const torch::stable::Tensor& x) "
            "{ auto bytes = x.numel() * static_cast<int64_t>(x.element_size()); return bytes; }",
        ),
        Example(
            "bool f(const at::Tensor& x) { return x.nbytes() > -1 && x.nbytes() > 1; }",
            "bool f(const torch::stable::Tensor& x) { return static_cast<size_t>(x.numel() * x.element_size()) > -1 && "
            "(x.numel() * x.element_size()) > 1; }",
            "a negative number is a large one to what is unsigned",
        ),
        Example(
            "size_t f(const at::Tensor& x, size_t n) { auto b = x.itemsize(); auto c = -x.nbytes(); return 2 * x.nbytes() + b + c; }",
            "size_t f(const torch::stable::Tensor& x, size_t n) { auto b = static_cast<size_t>(x.element_size()); "
            "auto c = -static_cast<size_t>(x.numel() * x.element_size()); "
            "return 2 * (x.numel() * x.element_size()) + b + c; }",
            "and what was unsigned stays so",
        ),
        Example(
            "#include <cstring>\n"
            "int64_t f(const at::Tensor& x, void* p) { int n = 16 / x.element_size(); if (x.element_size() == 2) n = 1;\n"
            "  std::memcpy(p, p, x.numel() * x.element_size()); return n * x.element_size(); }",
            "#include <cstring>\n"
            "int64_t f(const torch::stable::Tensor& x, void* p) "
            "{ int n = 16 / x.element_size(); if (x.element_size() == 2) n = 1;\n"
            "  std::memcpy(p, p, x.numel() * x.element_size()); return n * x.element_size(); }",
            "where it makes none",
        ),
        untouched(
            "struct Array { unsigned long element_size() const; };\n"
            "auto f(const Array& a) { return a.element_size() / 2; }",
            "of another class",
        ),
        Example(
            "int f(const at::Tensor& x, int n) { return (n < 0 ? n : x.element_size()) / 2; }\n"
            "int g(const at::Tensor& x, int n) { return (n < 0 ? 1 : x.element_size()) / 2; }",
            "int f(const torch::stable::Tensor& x, int n) { return (n < 0 ? n : "
            "static_cast<int64_t>(x.element_size())) / 2; }\n"
            "int g(const torch::stable::Tensor& x, int n) { return (n < 0 ? 1 : x.element_size()) / 2; }",
            "the other value may be negative",
        ),
        Example(
            "void g(int64_t n);\n"
            "void h(double d);\n"
            "void k(const at::Tensor& x, double& d, int64_t& n) { g(x.element_size()); h(x.element_size()); n "
            "+= x.element_size(); n /= x.element_size(); d = x.element_size(); }",
            "void g(int64_t n);\n"
            "void h(double d);\n"
            "void k(const torch::stable::Tensor& x, double& d, int64_t& n) { g(x.element_size()); "
            "h(static_cast<int64_t>(x.element_size())); n += x.element_size(); n /= "
            "static_cast<int64_t>(x.element_size()); d = static_cast<int64_t>(x.element_size()); }",
            "what takes the number decides",
        ),
        Example(
            "#include <cstring>\n"
            "#define COPY(p, n) std::memcpy(p, p, n)\n"
            "#define FEW(n) ((n) - 8 < 0)\n"
            "#define BYTES(t) t.element_size()\n"
            "bool f(const at::Tensor& x, void* p) { COPY(p, x.element_size()); return FEW(x.element_size()) || "
            "BYTES(x) - 8 < 0; }",
            "#include <cstring>\n"
            "#define COPY(p, n) std::memcpy(p, p, n)\n"
            "#define FEW(n) ((n) - 8 < 0)\n"
            "#define BYTES(t) static_cast<int64_t>(t.element_size())\n"
            "bool f(const torch::stable::Tensor& x, void* p) { COPY(p, x.element_size()); return "
            "FEW(static_cast<int64_t>(x.element_size())) || BYTES(x) - 8 < 0; }",
            "in macros, by what they do with it",
        ),
        Example(
            "double f(const at::Tensor& x) { int64_t n = [&] { return x.element_size(); }(); auto m = [&] { "
            "return x.element_size(); }(); return n + m - 8; }",
            "double f(const torch::stable::Tensor& x) { int64_t n = [&] { return x.element_size(); }(); auto m "
            "= [&] { return static_cast<int64_t>(x.element_size()); }(); return n + m - 8; }",
            "in a lambda that is called, by what becomes of its value",
        ),
        Example(
            "void f(const at::Tensor& x) { TORCH_CHECK(x.element_size() == 2, x.element_size(), "
            "-x.element_size()); for (int i = 0; i < x.element_size(); ++i) {} while (!x.element_size()) {} "
            "switch (x.element_size()) {} }",
            "void f(const torch::stable::Tensor& x) { STD_TORCH_CHECK(x.element_size() == 2, x.element_size(), "
            "-static_cast<int64_t>(x.element_size())); for (int i = 0; i < "
            "static_cast<int64_t>(x.element_size()); ++i) {} while (!x.element_size()) {} switch "
            "(x.element_size()) {} }",
            "in checks, loops and switches",
        ),
    ),
)
def signed_size(site: Site, context: Context, entry: Entry) -> Outcome | None:
    """`x.element_size()`, `x.nbytes()`."""
    call = tensor_call(site, context)
    if not isinstance(call, MethodCall):
        return call
    if site.name == "element_size" and _is_written_stable(context.document):
        return Allowed("of a stable tensor, whose size was never signed")
    return size_in_bytes(site, context, call, entry)


def _is_written_stable(document: Document) -> bool:
    """Whether a file is written for the stable ABI, and nothing in it for another: its tensors are stable ones."""
    return b"torch::stable::" in document.code and _LEGACY.search(document.code) is None


def size_in_bytes(site: Site, context: Context, call: MethodCall, entry: Entry) -> Outcome:
    """The stable expression of a size, with the type that the legacy one had where that counts."""
    assert call.node is not None
    assert call.receiver is not None
    if _is_same(call.node, call.fragment, context, 0, bare=True):
        if site.name == "element_size":
            return Allowed("the same on both sides")
        return expression_of(context, call, entry.stable, entry)
    opening, closing = f"static_cast<{entry.returns}>(".encode(), b")"
    if site.name == "element_size":
        tail = Span(call.fragment.span(call.receiver).end, call.span.end)
        parts: tuple[Part, ...] = (opening, call.fragment.span(call.receiver), context.text(tail), closing)
        return context.rewrite(call.span, parts, "TSA137")
    made = expression_of(context, call, entry.stable, entry, is_enclosed=True)
    return made._replace(parts=(opening, *made.parts, closing))


def _is_same(node: Node, fragment: Fragment, context: Context, depth: int, *, bare: bool) -> bool:
    """Whether the sign of the number `node` makes no difference; a bare one is not negative itself."""
    parent = node.parent
    if parent is None or depth > _DEEP:
        return False
    if parent.type == "parenthesized_expression":
        return _is_same(parent, fragment, context, depth, bare=bare)
    if parent.type == "binary_expression":
        return _is_same_operand(node, parent, fragment, context, depth, bare=bare)
    if parent.type == "unary_expression":
        return text_of(parent).startswith("!") or _is_same(parent, fragment, context, depth, bare=False)
    if parent.type == "conditional_expression":
        if parent.child_by_field_name("condition") == node:
            return True
        arms = [parent.child_by_field_name(name) for name in ("consequence", "alternative")]
        others = all(arm is None or arm == node or _is_natural(arm) for arm in arms)
        return _is_same(parent, fragment, context, depth, bare=bare and others)
    if parent.type == "init_declarator":
        kind = parent.parent.child_by_field_name("type") if parent.parent is not None else None
        return kind is not None and _is_integer(text_of(kind))
    if parent.type == "assignment_expression":
        return _is_same_stored(parent, fragment, context)
    if parent.type in ("cast_expression", "type_descriptor"):
        kind = parent.child_by_field_name("type")
        return kind is not None and _is_integer(text_of(kind))
    if parent.type == "return_statement":
        around = _function_around(parent)
        called = around.parent if around is not None and around.type == "lambda_expression" else None
        if called is not None and called.type == "call_expression" and called.child_by_field_name("function") == around:
            return _is_same(called, fragment, context, depth, bare=bare)
        kind = around.child_by_field_name("type") if around is not None else None
        return kind is not None and _is_integer(text_of(kind))
    if parent.type == "expression_statement":
        return fragment.macro is None  # the value of a macro is used where that is
    if parent.type == "argument_list" and parent.parent is not None:
        return _is_same_argument(node, parent, parent.parent, fragment, context, depth, bare=bare)
    return parent.type in ("condition_clause", "subscript_argument_list")


def _is_integer(text: str) -> bool:
    return _INTEGERS.fullmatch(text.replace("const", "").strip().removeprefix("std::")) is not None


def _is_same_operand(node: Node, parent: Node, fragment: Fragment, context: Context, depth: int, *, bare: bool) -> bool:
    sign = text_of(parent.child_by_field_name("operator") or parent)
    right = parent.child_by_field_name("right")
    other = parent.child_by_field_name("left") if right == node else right
    if sign in _EQUALITY or sign in ("&&", "||") or (sign in ("<<", ">>") and right == node):
        return True
    if other is None:
        return False
    if sign in _MODULAR:
        return _is_same(parent, fragment, context, depth, bare=bare and sign in ("+", "*", "&") and _is_natural(other))
    if _is_unsigned(other, fragment, context):
        return True  # it was converted before
    if not bare or not _is_natural(other):
        return False
    return sign not in ("/", "%") or _is_same(parent, fragment, context, depth, bare=True)


def _is_natural(node: Node) -> bool:
    """A number that is written down, and not negative."""
    return node.type == "sizeof_expression" or (node.type == "number_literal" and not text_of(node).startswith("-"))


def _is_unsigned(node: Node, fragment: Fragment, context: Context) -> bool:
    kind = context.type_of(node, fragment)
    return node.type == "sizeof_expression" or (not kind.pointers and _UNSIGNED.fullmatch(kind.name) is not None)


def _is_same_stored(parent: Node, fragment: Fragment, context: Context) -> bool:
    left = parent.child_by_field_name("left")
    sign = text_of(parent.child_by_field_name("operator") or parent)
    kind = context.type_of(left, fragment)
    return sign in ("=", "+=", "-=", "*=", "&=", "|=", "^=") and not kind.pointers and _is_integer(kind.name)


def _function_around(node: Node) -> Node | None:
    """The function or lambda in which `node` is."""
    walk: Node | None = node
    while walk is not None and walk.type not in ("function_definition", "lambda_expression"):
        walk = walk.parent
    return walk


def _is_same_argument(
    node: Node, arguments: Node, call: Node, fragment: Fragment, context: Context, depth: int, *, bare: bool
) -> bool:
    """Whether what a call does with its argument is the same: it is made text, copied bytes, or of a written type."""
    if call.type != "call_expression":
        return False
    callee = call.child_by_field_name("function")
    name = text_of(callee) if callee is not None else ""
    if cast := _CASTS.match(name):
        return _is_integer(cast["type"])
    entry = context.surface.macro(name)
    if entry is not None and entry.rule.startswith("TSA2"):
        return bare or arguments_of(call)[:1] == [node]
    if name.startswith("std::") or callee is None or callee.type == "field_expression":
        return name in _OF_MEMORY
    place = arguments_of(call).index(node) if node in arguments_of(call) else -1
    macros = [m for d in context.project.documents for m in d.macros if m.name == name]
    if macros:
        return all(
            _is_same_in_macro(d.path, m.name, place, context, depth, bare=bare)
            for d in context.project.documents
            for m in d.macros
            if m.name == name
        )
    named = [function for _, function in context.project.functions.named(name.rpartition("::")[2])]
    if not named:
        return name not in ("min", "max") and "<" not in name
    written = [f.parameters[place].type_text for f in named if 0 <= place < len(f.parameters) and not f.template]
    return len(written) == len(named) and len(named) == 1 and _is_integer(parse_type(written[0]).name)


def _is_same_in_macro(path: str, name: str, place: int, context: Context, depth: int, *, bare: bool) -> bool:
    document = next(d for d in context.project.documents if d.path == path)
    for macro in document.macros:
        if macro.name != name:
            continue
        params = macro.params or ()
        if not 0 <= place < len(params):
            return False
        fragment = document.fragment_at(macro.body.start)
        wanted = params[place].encode()
        for match in re.finditer(rb"\b" + re.escape(wanted) + rb"\b", document.code[macro.body.start : macro.body.end]):
            start = macro.body.start + match.start() - fragment.base
            node = fragment.tree.root_node.descendant_for_byte_range(start, start + len(wanted))
            if node is None or not _is_same(node, fragment, context._replace(document=document), depth + 1, bare=bare):
                return False
    return True
