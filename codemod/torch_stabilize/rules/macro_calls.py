"""Calls of macros: their arguments, where they end, and what a statement needs when the macro is another one."""

from __future__ import annotations

from torch_stabilize.model import Span
from torch_stabilize.rules.context import Context, Site
from torch_stabilize.rules.rewrite import Rewrite
from torch_stabilize.source.arguments import argument_spans
from torch_stabilize.source.brackets import closing_bracket


def call_arguments(site: Site, context: Context) -> tuple[Span, ...] | None:
    """The spans of a macro's arguments, None where it is not called here."""
    code = context.document.code
    opening = site.span.end
    while code[opening : opening + 1].isspace():
        opening += 1
    return argument_spans(context.document, opening) if code[opening : opening + 1] == b"(" else None


def whole_call(site: Site, context: Context) -> Span | None:
    """The macro with its argument list, up to the closing parenthesis."""
    end = closing_bracket(context.document.code, site.span.end)
    return Span(site.span.start, end + 1) if end >= 0 else None


def braces(site: Site, context: Context) -> tuple[bytes, tuple[Rewrite, ...]]:
    """What opens and closes braces around a check between an `if` without them and its `else`.

    STD_TORCH_CHECK is an `if` itself, and would take the `else` for its own; some of the legacy macros are not.
    """
    statement = context.ancestor(site, ("expression_statement",), 4)
    branch = statement.parent if statement is not None else None
    if statement is None or branch is None or branch.type != "if_statement":
        return b"", ()
    if branch.child_by_field_name("alternative") is None or branch.child_by_field_name("consequence") != statement:
        return b"", ()
    end = context.fragment(site).span(statement).end
    return b"{ ", (Rewrite(Span(end, end), (b" }",), "TSA201"),)


def is_streamed(whole: Span, context: Context) -> bool:
    """Whether the message of a check follows it: `CHECK(n > 0) << "got " << n;`."""
    return context.document.code[whole.end :].lstrip().startswith(b"<<")


def semicolon(whole: Span, context: Context) -> tuple[Rewrite, ...]:
    """The `;` that a check without one gets: the macro no longer has to be a complete statement."""
    code = context.document.code
    after = whole.end
    while after < len(code) and code[after : after + 1] in b" \t\r\n\\":
        after += 1
    follows = code[after : after + 1]
    if not follows or follows in b";,)]?:.&|}" or follows == b"#":
        return ()
    body = next((m.body for m in context.document.macros if m.body.contains(whole)), None)
    if body is not None and after >= body.end:
        return ()
    place = Span(whole.end, whole.end)
    return (Rewrite(place, (b";",), "TSA201"),)
