"""`at::DimVector` and `c10::SmallVector` become std::vector: views that are put into one, and methods it lacks."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tree_sitter import Node

from torch_stabilize.codes import Example, untouched
from torch_stabilize.rules.array_views import is_view
from torch_stabilize.rules.context import Context, Outcome, Site, SiteKind
from torch_stabilize.rules.registry import case, on, page, rule
from torch_stabilize.rules.rewrite import Part
from torch_stabilize.rules.tensor_calls import receiver_type
from torch_stabilize.source.declarations import text_of
from torch_stabilize.source.document import Document, Fragment
from torch_stabilize.source.scopes import TypeFinder, arguments_of
from torch_stabilize.source.types import CppType, parse_type
from torch_stabilize.surface.entry import Entry

COPIED = "view copied into a vector"
_NAMES = frozenset({"DimVector", "SmallVector", "SmallVectorImpl"})
_WORDS = frozenset(name.encode() for name in _NAMES)
_GIVEN = re.compile(rb"(?<![=!<>+\-*/%&|^])=(?!=)|[\w\]]\s*[({]")
_ALONE = frozenset({"identifier", "call_expression", "field_expression", "qualified_identifier"})

COPY = page(
    "TSA172",
    "A view of an array that is put into a DimVector is made a vector first.",
    "at::DimVector becomes std::vector<int64_t>, which takes no array view.",
    (
        Example(
            "void f(const at::Tensor& x, bool c) { at::DimVector d; d = x.sizes(); d = c ? x.sizes() : x.strides(); }",
            "void f(const torch::stable::Tensor& x, bool c) { std::vector<int64_t> d; d = x.sizes().vec(); "
            "d = (c ? x.sizes() : x.strides()).vec(); }",
        ),
        Example(
            "struct Shape { at::DimVector dims; Shape(const at::Tensor& x) : dims(x.sizes()) {} };",
            "struct Shape { std::vector<int64_t> dims; Shape(const torch::stable::Tensor& x) : dims(x.sizes().vec()) {} };",
        ),
        Example(
            "void f(const at::Tensor& x) { at::DimVector d; at::IntArrayRef r; r = x.sizes(); d = {1, 2}; }",
            "void f(const torch::stable::Tensor& x) { std::vector<int64_t> d; "
            "torch::headeronly::IntHeaderOnlyArrayRef r; r = x.sizes(); d = {1, 2}; }",
            "a view may be assigned to a view",
        ),
        untouched(
            "#include <vector>\n"
            "std::vector<int64_t> f(const std::vector<int64_t>& v) { std::vector<int64_t> w; w = v; return w; }",
            "a vector already",
        ),
    ),
)


def copy_sites(document: Document, finder: TypeFinder) -> Iterator[Site]:
    """Views that a DimVector is assigned, or that a member of that type is made from."""
    if _WORDS.isdisjoint(finder.words):
        return
    for match in _GIVEN.finditer(document.code):
        fragment = document.fragment_at(match.start())
        at = match.end() - 1 - fragment.base
        token = fragment.tree.root_node.descendant_for_byte_range(at, at + 1)
        holder = token.parent if token is not None else None
        given = _given(holder, fragment, document, finder) if holder is not None else None
        if given is not None and is_view(finder.type_of(given, fragment, document)):
            yield Site(fragment.span(given), COPIED, SiteKind.OPERATOR)


def _given(holder: Node, fragment: Fragment, document: Document, finder: TypeFinder) -> Node | None:
    """What a vector is assigned or initialised with by `holder`, the node around the `=` or the bracket."""
    if holder.type == "assignment_expression":
        left, right = holder.child_by_field_name("left"), holder.child_by_field_name("right")
        return right if left is not None and _is_ours(finder.type_of(left, fragment, document)) else None
    initializer = holder.parent
    if initializer is None or initializer.type != "field_initializer" or holder.named_child_count != 1:
        return None
    member = finder.written.member(finder.class_at(initializer), text_of(initializer.named_children[0]))
    return holder.named_children[0] if _is_ours(parse_type(member)) else None


def _is_ours(kind: CppType) -> bool:
    return kind.name in _NAMES and not kind.pointers


@on(SiteKind.OPERATOR, COPIED)
def copied(site: Site, context: Context) -> Outcome | None:
    """The rewrite of one of `copy_sites`."""
    node = context.fragment(site).node_at(site.span)
    if node is None:
        return None
    if node.type in _ALONE:
        return context.rewrite(site.span, (site.span, b".vec()"), COPY)
    return context.rewrite(site.span, (b"(", site.span, b").vec()"), COPY)


@rule(
    "TSA173",
    "A method that std::vector does not have is called on a DimVector.",
    text="DimVector and SmallVector become std::vector. append() becomes insert() where it is called on a variable. Write\n"
    "pop_back_val() with back() and pop_back(), truncate() with resize().",
    examples=(
        Example(
            "void f(const at::DimVector& e, int64_t n) { at::DimVector d; d.append({n, 3}); d.append(e); "
            "d.append(e.begin(), e.end()); d.append(2, n); }",
            "void f(const std::vector<int64_t>& e, int64_t n) { std::vector<int64_t> d; d.insert(d.end(), {n, 3}); "
            "d.insert(d.end(), e.begin(), e.end()); d.insert(d.end(), e.begin(), e.end()); d.insert(d.end(), 2, n); }",
        ),
        Example(
            "int64_t f() { at::DimVector d{1, 2}; d.push_back(3); return d.pop_back_val(); }",
            "int64_t f() { std::vector<int64_t> d{1, 2}; d.push_back(3); return d.pop_back_val(); }",
            "reported, and left as it is",
        ),
        Example(
            "#include <string>\nvoid f(std::string& s) { s.append(2, 'x'); }",
            "#include <string>\nvoid f(std::string& s) { s.append(2, 'x'); }",
            "of another class",
        ),
    ),
)
def method_of_vector(site: Site, context: Context, entry: Entry) -> Outcome | None:
    """`d.pop_back_val()`."""
    kind = receiver_type(site, context)
    if kind is None or not _is_ours(kind):
        return None
    return context.diagnose(site, entry.rule, f"std::vector has no {site.name}", entry.note)


@case("TSA173", "append")
def _appended(site: Site, context: Context, entry: Entry) -> Outcome | None:
    outcome = method_of_vector(site, context, entry)
    call = context.call(site)
    parts = _inserted(site, context) if outcome is not None else None
    if call is None or parts is None:
        return outcome
    return context.rewrite(context.fragment(site).span(call), parts, entry.rule)


def _inserted(site: Site, context: Context) -> tuple[Part, ...] | None:
    """`d.insert(d.end(), ...)` for `d.append(...)`; None where `d` or what is appended would be evaluated twice."""
    call, fragment = context.call(site), context.fragment(site)
    callee = call.child_by_field_name("function") if call is not None else None
    receiver = callee.child_by_field_name("argument") if callee is not None else None
    given = arguments_of(call) if call is not None else []
    if receiver is None or receiver.type != "identifier" or not given:
        return None
    name = (receiver.text or b"") + (b"->" if b"->" in ((callee.text or b"") if callee is not None else b"") else b".")
    head: tuple[Part, ...] = (name + b"insert(" + name + b"end(), ",)
    if len(given) == 2:
        return (*head, fragment.span(given[0]), b", ", fragment.span(given[1]), b")")
    if given[0].type == "initializer_list":
        return (*head, fragment.span(given[0]), b")")
    if given[0].type != "identifier":
        return None
    appended = given[0].text or b""
    return (*head, appended + b".begin(), " + appended + b".end())")
