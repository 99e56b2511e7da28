"""at::parallel_for: what its body throws reaches the caller as it was."""

from __future__ import annotations

from collections.abc import Iterator

from tree_sitter import Node

from torch_stabilize.codes import Example, untouched
from torch_stabilize.rules.context import Context, Outcome, Site
from torch_stabilize.rules.registry import rule
from torch_stabilize.source.callees import Callees, of_node, reference_of
from torch_stabilize.source.declarations import text_of
from torch_stabilize.source.document import Document, Fragment
from torch_stabilize.source.library import BOXES, CONTAINERS
from torch_stabilize.source.scopes import arguments_of, receiver_type_parts
from torch_stabilize.surface.effects import is_check
from torch_stabilize.surface.entry import Entry

_DEPTH = 3  # functions that are followed
_BODY = 3  # the argument that is run
_THROWING = frozenset({("at", 1), ("value", 0)})  # methods of containers and optionals, and their arguments


@rule(
    "TSA182",
    "parallel_for is torch::stable's; where its body may throw, a helper rethrows the exception.",
    text="The C shim turns every exception into a RuntimeError and drops its message.",
    examples=(
        Example(
            "void f(float* p, int64_t n) { at::parallel_for(0, n, 1, [&](int64_t b, int64_t e) "
            "{ for (auto i = b; i < e; ++i) p[i] += 1; }); }",
            "void f(float* p, int64_t n) { torch::stable::parallel_for(0, n, 1, [&](int64_t b, int64_t e) "
            "{ for (auto i = b; i < e; ++i) p[i] += 1; }); }",
        ),
        Example(
            "void f(float* p, int64_t n) { at::parallel_for(0, n, 1, [&](int64_t b, int64_t e) "
            '{ if (p[b] < 0) throw std::out_of_range("negative"); }); }',
            "void f(float* p, int64_t n) { parallel_for(0, n, 1, [&](int64_t b, int64_t e) "
            '{ if (p[b] < 0) throw std::out_of_range("negative"); }); }',
            "an exception",
        ),
        Example(
            'void one(float v) { TORCH_CHECK(v > 0, "no ", v); }\n'
            "void f(float* p, int64_t n) { at::parallel_for(0, n, 1, [&](int64_t b, int64_t e) { one(p[b]); }); }",
            'void one(float v) { STD_TORCH_CHECK(v > 0, "no ", v); }\n'
            "void f(float* p, int64_t n) { parallel_for(0, n, 1, [&](int64_t b, int64_t e) { one(p[b]); }); }",
            "a check in a function that is called",
        ),
        untouched(
            "namespace own { template <class F> void parallel_for(int b, int e, int g, F f) { f(b, e); } }\n"
            "void f(int n) { own::parallel_for(0, n, 1, [](int b, int e) { throw b; }); }",
            "a function of the project",
        ),
    ),
)
def parallel_for(site: Site, context: Context, entry: Entry) -> Outcome:
    """`at::parallel_for(begin, end, grain, body)`."""
    call, fragment = context.call(site), context.fragment(site)
    given = arguments_of(call) if call is not None else []
    if len(given) <= _BODY or not _may_throw(given[_BODY], fragment, context):
        return context.replace(site, entry.stable, entry.rule, entry=entry)
    return context.replace(site, "parallel_for", entry.rule, helpers=("parallel_for",))


def _may_throw(body: Node, fragment: Fragment, context: Context) -> bool:
    """Whether what `body` runs may throw, as far as that is seen; what cannot be seen may."""
    if body.type == "identifier":
        body = context.project.finder.value_of(text_of(body), body, fragment) or body
    if body.type != "lambda_expression":
        return True
    callee = of_node(body, fragment, context.document)
    inner = body.child_by_field_name("body")
    return inner is not None and _throws(inner, callee.fragment, context.document, context, 0)


def _throws(node: Node, fragment: Fragment, document: Document, context: Context, depth: int) -> bool:
    waiting = [node]
    while waiting:
        one = waiting.pop()
        waiting += one.named_children
        if one.type == "throw_statement" or (
            one.type == "call_expression" and _call_throws(one, fragment, document, context, depth)
        ):
            return True
    return False


def _call_throws(call: Node, fragment: Fragment, document: Document, context: Context, depth: int) -> bool:
    callee = call.child_by_field_name("function")
    if callee is None:
        return False
    finder = context.project.finder
    if callee.type == "field_expression":
        receiver, name = receiver_type_parts(callee)
        kind = finder.type_of(receiver, fragment, document) if receiver is not None else None
        if kind is not None and (kind.is_tensor or kind.pointee.is_tensor):
            entry = context.surface.method(name)
            return entry is None or entry.returns in ("", "Tensor")
        is_container = kind is None or not kind.is_known or kind.name in CONTAINERS | BOXES
        return is_container and (name, len(arguments_of(call))) in _THROWING
    name = reference_of(callee).removeprefix("::")
    if is_check(name) and name not in finder.macros.definitions:
        return True
    entry = context.surface.name(name) if "::" in name else None
    if entry is not None:
        return entry.returns == "Tensor"
    return depth < _DEPTH and any(_throws(*one, context, depth + 1) for one in _bodies(name, call, context))


def _bodies(name: str, call: Node, context: Context) -> Iterator[tuple[Node, Fragment, Document]]:
    """The bodies of the functions and macros of the project that a call may mean."""
    finder = context.project.finder
    for document, macro in finder.macros.definitions.get(name, ()):
        fragment = document.fragment_at(macro.body.start)
        yield fragment.tree.root_node, fragment, document
    for one in Callees(finder).named(name, len(arguments_of(call))):
        root = one.fragment.tree.root_node
        body = root.descendant_for_byte_range(one.body.start, one.body.end) if one.body is not None else None
        if body is not None:
            yield body, one.fragment, one.document
