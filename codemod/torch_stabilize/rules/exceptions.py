"""Exceptions of torch: thrown, caught, and asked for their text."""

from __future__ import annotations

import re

from tree_sitter import Node

from torch_stabilize.codes import Example, untouched
from torch_stabilize.model import Confidence, Span
from torch_stabilize.rules.context import Context, Outcome, Site
from torch_stabilize.rules.macro_calls import call_arguments, whole_call
from torch_stabilize.rules.registry import case, page
from torch_stabilize.rules.rewrite import Rewrite
from torch_stabilize.rules.tensor_calls import MethodCall, is_receiver
from torch_stabilize.source.declarations import text_of
from torch_stabilize.surface.entry import Entry

_STANDARD = re.compile(r"\b(?:std::)?(?:exception|runtime_error)\b")
# Checks that throw something else than std::runtime_error now.
_OTHER_CHECKS = re.compile(r"\bTORCH_CHECK_(?:VALUE|INDEX)\b|\bC10_THROW_ERROR\s*\(\s*(?:ValueError|IndexError)\b")
_OWN = {"ValueError": "TORCH_CHECK_VALUE", "IndexError": "TORCH_CHECK_INDEX"}
_CALLED = re.compile(r"(?<![\w.:>])(?P<name>(?:\w+::)*\w+)\s*(?:<[^<>;()]*>)?\s*\(")
_NO_CALLS = frozenset({"if", "for", "while", "switch", "return", "sizeof", "catch", "static_cast", "defined"})
_TORCH_NAME = re.compile(r"(?:torch|at|c10|std)::")

CAUGHT = page(
    "TSA209",
    "Errors of torch are caught as std::runtime_error; their what() begins with the function, the file and the line.",
    "The stable API throws std::runtime_error. Where another clause catches that or std::exception too, or where a check\n"
    "throws a standard exception of another kind, which clause takes an error can change: that is left to you.",
    (
        Example(
            "void f(at::Tensor x) { try { x.view({7}); } catch (const c10::Error& e) { x.zero_(); } }",
            "void f(torch::stable::Tensor x) { try { torch::stable::view(x, {7}); } "
            "catch (const std::runtime_error& e) { torch::stable::zero_(x); } }",
        ),
        Example(
            "void g(); int f() { try { g(); } catch (const c10::Error& e) { return 1; } "
            "catch (const std::exception& e) { return 2; } return 0; }",
            "void g(); int f() { try { g(); } catch (const c10::Error& e) { return 1; } "
            "catch (const std::exception& e) { return 2; } return 0; }",
            "g() may throw a std::runtime_error, which the second clause caught: a diagnostic",
        ),
        untouched(
            "#include <stdexcept>\nvoid g();\nvoid f() { try { g(); } catch (const std::logic_error&) { } }",
            "no error of torch",
        ),
    ),
    Confidence.REVIEW,
)

RUNTIME_ERROR_NOW = page(
    "TSA914",
    "What was a TypeError, NotImplementedError or LinAlgError in Python becomes a RuntimeError.",
    "The header-only checks throw standard exceptions, which Python knows as RuntimeError, ValueError and IndexError. Python\n"
    "code and tests that expect another class have to expect RuntimeError.",
    (
        Example(
            'void f(int n) { TORCH_CHECK_NOT_IMPLEMENTED(n > 0, "got ", n); }',
            'void f(int n) { STD_TORCH_CHECK(n > 0, "got ", n); }',
        ),
        Example(
            'void f(int n) { if (n) C10_THROW_ERROR(TypeError, "no"); }',
            'void f(int n) { if (n) throw std::runtime_error("no"); }',
        ),
        untouched(
            "#include <stdexcept>\n"
            "struct TypeError : std::runtime_error { using std::runtime_error::runtime_error; };\n"
            'void f(int n) { if (n < 0) throw TypeError("n"); }',
            "an error of the project",
        ),
    ),
    Confidence.REVIEW,
)
_LOSE_THEIR_CLASS = frozenset({"TypeError", "NotImplementedError", "LinAlgError", "EnforceFiniteError", "BufferError"})
_CHECKS = {
    "TORCH_CHECK_TYPE": "TypeError", "TORCH_CHECK_NOT_IMPLEMENTED": "NotImplementedError",
    "TORCH_CHECK_LINALG": "LinAlgError", "TORCH_CHECK_BUFFER": "BufferError",
}  # fmt: skip


def code_of_check(name: str, code: str) -> str:
    """The code of a check or exception that is rewritten: one of its own where Python sees another class than before."""
    return RUNTIME_ERROR_NOW if _CHECKS.get(name, name.rpartition("::")[2]) in _LOSE_THEIR_CLASS else code


@case("TSA203", "C10_THROW_ERROR")
def throw(site: Site, context: Context, entry: Entry) -> Outcome:
    """`C10_THROW_ERROR(ValueError, message)` -> `throw std::invalid_argument(message)`."""
    whole, arguments = whole_call(site, context), call_arguments(site, context)
    if arguments is None:
        return context.diagnose(site, entry.rule, f"{site.name} is not called here", entry.note)
    kind = context.text(arguments[0]).decode("utf-8", "replace") if arguments else ""
    thrown = context.surface.name(f"c10::{kind}")
    if whole is None or len(arguments) != 2 or thrown is None or thrown.rule != "TSA203":
        return context.diagnose(site, "TSA203", f"{site.name} has no stable form", "throw a standard exception")
    keeps_type = thrown.stable != "std::runtime_error" or kind == "Error"
    confidence = Confidence.SAFE if keeps_type else Confidence.REVIEW
    head = f"throw {thrown.stable}(".encode()
    code = code_of_check(kind, "TSA203")
    return context.rewrite(whole, (head, arguments[1], b")"), code, includes=("stdexcept",), confidence=confidence)


def caught(site: Site, clause: Node, context: Context, entry: Entry) -> Outcome:
    """`catch (const c10::Error& e)`."""
    last = site.name.rpartition("::")[2]
    statement = clause.parent
    body = text_of(statement.child_by_field_name("body") or statement) if statement is not None else ""
    others = (
        [child for child in statement.children if child.type == "catch_clause" and child != clause] if statement else []
    )
    beside = [c for c in others if _STANDARD.search(text_of(c.child_by_field_name("parameters") or c))]
    problem = _unclear(last, body, bool(beside), context)
    if problem:
        return context.diagnose(site, CAUGHT, f"{problem} here", "catch the standard exception that is thrown")
    return context.replace(site, entry.stable, CAUGHT, entry=entry, confidence=Confidence.REVIEW)


def _unclear(kind: str, body: str, is_beside: bool, context: Context) -> str:
    """Why another clause might take an error after the migration; empty where none can."""
    if kind == "Error":
        if _OTHER_CHECKS.search(body):
            return "c10::Error also caught what is a std::invalid_argument or std::out_of_range now"
        if is_beside and _throws(body, context):
            return "a std::runtime_error of other code would be caught as an error of torch"
        return ""
    if kind in _OWN and not _calls_torch(body) and re.search(rf"\b{_OWN[kind]}\b", body):
        return ""
    return f"errors of torch are std::runtime_error, whatever kind they were: c10::{kind} cannot be told apart"


def _throws(body: str, context: Context) -> bool:
    """Whether code may throw what no call of torch throws."""
    if re.search(r"\bthrow\b", body):
        return True
    names = [match["name"] for match in _CALLED.finditer(body)]
    return any(
        name not in _NO_CALLS and not _TORCH_NAME.match(name) and context.surface.macro(name) is None for name in names
    )


def _calls_torch(body: str) -> bool:
    return re.search(r"(?:\.|->)\w+\s*\(|\b(?:torch|at)::\w+\s*\(", body) is not None


page(
    "TSA208",
    "The text of an exception is what(), which begins with the function, the file and the line of the check.",
    confidence=Confidence.REVIEW,
    examples=(
        Example(
            "#include <string>\nstd::string f(at::Tensor x) { try { x.view({7}); } "
            'catch (const c10::Error& e) { return e.what_without_backtrace(); } return ""; }',
            "#include <string>\nstd::string f(torch::stable::Tensor x) { try { torch::stable::view(x, {7}); } "
            'catch (const std::runtime_error& e) { return e.what(); } return ""; }',
        ),
        Example(
            "#include <string>\nbool f(at::Tensor x) { try { x.view({7}); } "
            'catch (const c10::Error& e) { puts(e.msg().c_str()); return e.msg().find("7") == 0; } return false; }',
            "#include <string>\nbool f(torch::stable::Tensor x) { try { torch::stable::view(x, {7}); } "
            'catch (const std::runtime_error& e) { puts(e.what()); return std::string(e.what()).find("7") == 0; } return false; }',
            "msg() was a std::string",
        ),
        Example(
            'void f() { try { TORCH_CHECK(false, "x"); } catch (c10::Error& e) { e.add_context("y"); throw; } }',
            'void f() { try { STD_TORCH_CHECK(false, "x"); } catch (std::runtime_error& e) { e.add_context("y"); throw; } }',
            "reported: a text cannot be added to",
        ),
        Example(
            'struct Mail { const char* msg() { return ""; } };\nconst char* f(Mail m) { return m.msg(); }',
            'struct Mail { const char* msg() { return ""; } };\nconst char* f(Mail m) { return m.msg(); }',
            "of another class",
        ),
        untouched(
            "namespace own { struct Error { const char* msg() const; }; }\n"
            "const char* f(const own::Error& e) { return e.msg(); }",
            "of a class with the name of torch's",
        ),
    ),
)


@case("TSA208", "msg")
def text_of_exception(site: Site, context: Context, entry: Entry) -> Outcome | None:
    """`e.what_without_backtrace()`, `e.msg()`."""
    if not is_receiver(site, context, entry):
        return None
    call = MethodCall(site, context)
    if not call.is_complete:
        return context.diagnose(site, entry.rule, f"{site.name} has no stable form", entry.note)
    also = _as_string(call, context)
    helpful: dict[str, object] = {"includes": ("string",)} if also else {}
    return context.replace(site, "what", entry.rule, confidence=Confidence.REVIEW, also=also, **helpful)


def _as_string(call: MethodCall, context: Context) -> tuple[Rewrite, ...]:
    """What makes a std::string of `e.msg()` again where it is used as one: what() is a `const char*`."""
    parent = call.node.parent if call.node is not None else None
    if (
        parent is None
        or parent.type == "argument_list"
        or (parent.type == "binary_expression" and b"<<" in _sign(parent))
    ):
        return ()
    asked = parent.child_by_field_name("field") if parent.type == "field_expression" else None
    if asked is not None and text_of(asked) in ("c_str", "data") and parent.parent is not None:
        return (Rewrite(Span(call.span.end, call.fragment.span(parent.parent).end), (), "TSA208"),)
    start, end = Span(call.span.start, call.span.start), Span(call.span.end, call.span.end)
    return (Rewrite(start, (b"std::string(",), "TSA208"), Rewrite(end, (b")",), "TSA208"))


def _sign(node: Node) -> bytes:
    operator = node.child_by_field_name("operator")
    return (operator.text or b"") if operator is not None else b""
