"""Operators that are looked up in the dispatcher and called with the types of a function."""

from __future__ import annotations

import re

from torch_stabilize.codes import Example, untouched
from torch_stabilize.model import Confidence, Span
from torch_stabilize.rules.context import Context, Outcome, Site
from torch_stabilize.rules.registry import rule
from torch_stabilize.source.arguments import argument_spans
from torch_stabilize.source.brackets import closing_angle, closing_bracket
from torch_stabilize.surface.entry import Entry

_FIND = re.compile(rb"\s*::\s*singleton\s*\(\s*\)\s*\.\s*findSchemaOrThrow\s*(?=\()")
_TYPED = re.compile(rb"\s*\.\s*typed\s*(?=<)")
_CALLED = re.compile(rb"\s*\(\s*\)")
_REFERENCE = re.compile(rb"\s*(?:const\s+)?(?:\w+\s*::\s*)*\w+\s*&\s*\(")
_ROLE = "dispatched_operator"


@rule(
    "TSA730",
    "An operator that is looked up in the dispatcher is called through the C shim.",
    text="A helper of the stable side has the types of the function and calls the operator by its name. It is looked up at\n"
    "each call, so that a name that is not registered is an error when it is called, and not when it is looked up.",
    confidence=Confidence.REVIEW,
    examples=(
        Example(
            "at::Tensor f(const at::Tensor& x) {\n  static auto op = c10::Dispatcher::singleton()\n"
            '      .findSchemaOrThrow("own::f", "")\n      .typed<decltype(f)>();\n  return op.call(x);\n}',
            "torch::stable::Tensor f(const torch::stable::Tensor& x) {\n"
            '  static auto op = dispatched_operator<decltype(f)>("own::f", "");\n  return op.call(x);\n}',
        ),
        Example(
            "at::Tensor f(const at::Tensor& x) {\n  return c10::Dispatcher::singleton().findSchemaOrThrow("
            '"own::f", "out").typed<at::Tensor(const at::Tensor&)>().call(x);\n}',
            "torch::stable::Tensor f(const torch::stable::Tensor& x) {\n  return dispatched_operator<"
            'torch::stable::Tensor(const torch::stable::Tensor&)>("own::f", "out").call(x);\n}',
        ),
        untouched(
            "struct Dispatcher { static Dispatcher& singleton(); int findSchemaOrThrow(const char*, const "
            "char*); };\n"
            'int f() { return Dispatcher::singleton().findSchemaOrThrow("a", "b"); }',
            "of another class",
        ),
    ),
)
def typed_operator(site: Site, context: Context, entry: Entry) -> Outcome | None:
    """`Dispatcher::singleton().findSchemaOrThrow(name, overload).typed<F>()`; other uses have no stable form."""
    code = context.document.code
    found = _FIND.match(code, site.span.end)
    names = argument_spans(context.document, found.end()) if found else None
    if found is not None and names is not None and len(names) == 2:
        end = closing_bracket(code, found.end()) + 1
        typed = _TYPED.match(code, end)
        close = closing_angle(code, typed.end()) if typed else -1
        called = _CALLED.match(code, close + 1) if close > 0 else None
        if typed is not None and called is not None and not _REFERENCE.match(code, typed.end() + 1):
            signature = Span(typed.end() + 1, close)
            return context.rewrite(
                Span(site.span.start, called.end()),
                (b"dispatched_operator<", signature, b">(", names[0], b", ", names[1], b")"),
                "TSA730",
                entry=entry,
                helpers=(_ROLE,),
                confidence=Confidence.REVIEW,
            )
    return context.diagnose(site, "TSA501", f"{site.name} has no stable form", entry.note)


@rule(
    "TSA731",
    "A record of the use of an API is removed.",
    text="It counts uses of torch's own API, and does nothing in a build that nobody handed a logger.",
    confidence=Confidence.REVIEW,
    examples=(
        Example(
            'int f() {\n  C10_LOG_API_USAGE_ONCE("own.f");\n  return 1;\n}',
            "int f() {\n  return 1;\n}",
        ),
        untouched(
            '#define OWN_LOG_API_USAGE_ONCE(name) (void)name\nvoid f() { OWN_LOG_API_USAGE_ONCE("f"); }',
            "a macro of the project",
        ),
    ),
)
def recorded_use(site: Site, context: Context, entry: Entry) -> Outcome | None:
    """`C10_LOG_API_USAGE_ONCE("...")` as a statement, which is removed with its line."""
    data = context.document.code
    end = closing_bracket(data, site.span.end)
    statement = context.ancestor(site, ("expression_statement",), 5)
    block = statement.parent if statement is not None else None
    if end < 0 or statement is None or block is None or block.type != "compound_statement":
        return context.diagnose(site, "TSA190", f"{site.name} has no stable form", entry.note)
    span = context.fragment(site).span(statement)
    start = data.rfind(b"\n", 0, span.start) + 1
    line = re.compile(rb"[ \t]*\r?\n").match(data, span.end)
    if line is not None and not data[start : span.start].strip():
        span = Span(start, line.end())
    return context.rewrite(span, (), "TSA731", confidence=Confidence.REVIEW)
