"""Clauses that catch standard exceptions, where what is thrown was an error of torch."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tree_sitter import Node

from torch_stabilize.codes import Example, untouched
from torch_stabilize.model import Confidence, Diagnostic, Severity, Span
from torch_stabilize.rules.context import Context, Site, SiteKind
from torch_stabilize.rules.registry import page
from torch_stabilize.rules.sites import in_legacy_branch
from torch_stabilize.source.declarations import text_of

TEXT = page(
    "TSA174",
    "The text of an error of torch that is caught as a std::exception is another one.",
    "what() of c10::Error has a backtrace behind the message; what() of what the stable API throws has the function, the\n"
    "file and the line before it. The code stays as it is.",
    (
        Example(
            "#include <string>\nstd::string f(const at::Tensor& x) "
            '{ try { TORCH_CHECK(x.dim() > 1, "flat"); } catch (const std::exception& e) { return e.what(); } return ""; }',
            "#include <string>\nstd::string f(const torch::stable::Tensor& x) "
            '{ try { STD_TORCH_CHECK(x.dim() > 1, "flat"); } catch (const std::exception& e) { return e.what(); } return ""; }',
        ),
        Example(
            "#include <string>\nint f(const std::string& s) { try { return std::stoi(s); } "
            "catch (const std::exception& e) { return e.what()[0]; } }",
            "#include <string>\nint f(const std::string& s) { try { return std::stoi(s); } "
            "catch (const std::exception& e) { return e.what()[0]; } }",
            "nothing of torch is called",
        ),
    ),
    Confidence.REVIEW,
)
CAUGHT_NOW = page(
    "TSA175",
    "A clause for a standard exception catches errors of torch that it did not catch before.",
    "c10::Error is no std::runtime_error, but what the stable API throws is one; TORCH_CHECK_VALUE and TORCH_CHECK_INDEX\n"
    "throw std::invalid_argument and std::out_of_range. Say which errors are meant.",
    (
        Example(
            'int f(const at::Tensor& x) { try { TORCH_CHECK(x.dim() > 1, "flat"); } '
            "catch (const std::runtime_error&) { return 1; } return 0; }",
            'int f(const torch::stable::Tensor& x) { try { STD_TORCH_CHECK(x.dim() > 1, "flat"); } '
            "catch (const std::runtime_error&) { return 1; } return 0; }",
            "reported, and left as it is",
        ),
        Example(
            "int f(const at::Tensor& x) { try { return x.dim(); } catch (const std::bad_alloc&) { return 1; } }",
            "int f(const torch::stable::Tensor& x) { try { return x.dim(); } catch (const std::bad_alloc&) { return 1; } }",
            "which the stable API does not throw",
        ),
        untouched(
            "#include <stdexcept>\nvoid g();\nvoid f() { try { g(); } catch (const std::bad_alloc&) { } }",
            "no error of torch is one",
        ),
    ),
    Confidence.MANUAL,
)
_CLAUSE = re.compile(rb"\bcatch\s*\(\s*(?:const\s+)?(?P<type>(?:std\s*::\s*)?(?P<name>\w+))\b")
_EXCEPTION = "exception"
# What is in a `try` and throws these: every check and call of torch the first, checks of their own the others.
_MOST_CALLED = 50  # functions that are looked into for what a block may throw
_THROWN = {
    "runtime_error": None,
    "logic_error": re.compile(r"\b(?:STD_)?TORCH_CHECK_(?:VALUE|INDEX)\b"),
    "invalid_argument": re.compile(r"\b(?:STD_)?TORCH_CHECK_VALUE\b"),
    "out_of_range": re.compile(r"\b(?:STD_)?TORCH_CHECK_INDEX\b"),
}
_OF_TORCH = re.compile(
    r"\b(?:(?:STD_)?TORCH_|AT_|C10_)[A-Z_]+\s*\(|\b(?:at|torch|c10)\s*::\s*(?:\w+\s*::\s*)*[a-z]\w*\s*\("
)


def clause_findings(context: Context) -> Iterator[tuple[Site, Diagnostic]]:
    """What is to be said of the clauses of a file that moves."""
    document = context.document
    if b"catch" not in document.words or document.path not in context.project.moving:
        return
    for match in _CLAUSE.finditer(document.code):
        name = match["name"].decode()
        if (name != _EXCEPTION and name not in _THROWN) or in_legacy_branch(document, match.start()):
            continue
        site = Site(Span(*match.span("type")), name, SiteKind.OPERATOR)
        clause = context.ancestor(site, ("catch_clause",), 8)
        statement = clause.parent if clause is not None else None
        body = statement.child_by_field_name("body") if statement is not None else None
        if clause is None or body is None:
            continue
        if name == _EXCEPTION:
            yield from _texts(clause, body, context, site)
        elif _may_throw(name, body, context, site) and not _has_clause_before(clause, context):
            message = f"std::{name} catches errors of torch here, which were no std::{name}"
            yield site, context.diagnose(site, CAUGHT_NOW, message, "say which errors are meant, or let these pass")


def _texts(clause: Node, body: Node, context: Context, site: Site) -> Iterator[tuple[Site, Diagnostic]]:
    asked = re.search(r"(?:\.|->)\s*what\s*\(", text_of(clause.child_by_field_name("body") or clause))
    if asked is None or not _calls_torch(body, context, site):
        return
    message = "what() of an error of torch begins with the function, the file and the line, and has no backtrace"
    yield site, context.diagnose(site, TEXT, message, "compare no texts of errors", Severity.WARNING)


def _may_throw(name: str, body: Node, context: Context, site: Site) -> bool:
    thrown = _THROWN[name]
    if thrown is None:
        return _calls_torch(body, context, site)
    return any(thrown.search(text) for text in _with_what_it_calls(body, context, site))


def _with_what_it_calls(body: Node, context: Context, site: Site) -> Iterator[str]:
    """The text of a block, of the lambdas that it and they call, and of the functions of the project that these call."""
    finder, fragment = context.project.finder, context.fragment(site)
    waiting, seen = [body], set[str]()
    while waiting:
        node = waiting.pop()
        yield text_of(node)
        for name, callee in _called(node):
            if name in seen:
                continue
            seen.add(name)
            value = finder.value_of(name, callee, fragment) if callee.type == "identifier" else None
            if value is not None and value.type == "lambda_expression":
                waiting.append(value)
            elif len(seen) <= _MOST_CALLED:
                yield from (
                    document.data[one.body.start : one.body.end].decode("utf-8", "replace")
                    for document, one in context.project.functions.meant_by(name)
                    if one.body is not None
                )


def _called(node: Node) -> Iterator[tuple[str, Node]]:
    waiting = [node]
    while waiting:
        one = waiting.pop()
        callee = one.child_by_field_name("function") if one.type == "call_expression" else None
        if callee is not None and callee.type in ("identifier", "qualified_identifier", "template_function"):
            yield text_of(callee).partition("<")[0].strip(), callee
        waiting += one.named_children


def _calls_torch(body: Node, context: Context, site: Site) -> bool:
    """Whether code has checks or calls of torch, methods or operators of tensors, or functions that take tensors."""
    text = text_of(body)
    if _OF_TORCH.search(text):
        return True
    fragment = context.fragment(site)
    waiting = [body]
    while waiting:
        node = waiting.pop()
        if node.type in ("call_expression", "binary_expression", "assignment_expression", "subscript_expression"):
            parts = [child for part in node.named_children for child in (part, *part.named_children)]
            if any(context.type_of(part, fragment).is_tensor for part in parts):
                return True
        waiting += node.named_children
    return False


def _has_clause_before(clause: Node, context: Context) -> bool:
    """Whether errors of torch, or all errors, are caught before the clause: then it takes what it took."""
    before = clause.prev_named_sibling
    while before is not None and before.type == "catch_clause":
        head = text_of(before.child_by_field_name("parameters") or before)
        if "..." in head or re.search(r"\b(?:c10\s*::\s*Error|exception)\b", head):
            return True
        before = before.prev_named_sibling
    return False
