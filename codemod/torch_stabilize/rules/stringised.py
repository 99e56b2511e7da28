"""Names that a macro of the project turns into text: what it shows would change with them."""

from __future__ import annotations

import re

from tree_sitter import Node

from torch_stabilize.codes import Example, untouched
from torch_stabilize.model import Confidence, Severity
from torch_stabilize.rules.context import Context, Outcome, Site
from torch_stabilize.rules.registry import page
from torch_stabilize.rules.rewrite import Rewrite
from torch_stabilize.source.document import Document, Macro
from torch_stabilize.source.scopes import arguments_of
from torch_stabilize.source.upwards import parent_of

SHOWN = page(
    "TSA210",
    "A macro shows this argument as text, which reads otherwise with the stable name.",
    "The macro has the argument both as code and, by `#`, as text. Where the text alone is used, the name stays as it is.",
    (
        Example(
            "#define KEPT(T) T kept; const char* name = #T;\nvoid f() { KEPT(at::Tensor) }",
            "#define KEPT(T) T kept; const char* name = #T;\nvoid f() { KEPT(torch::stable::Tensor) }",
        ),
        Example(
            "#define NAME_OF(T) #T\nconst char* f() { return NAME_OF(at::Half); }",
            "#define NAME_OF(T) #T\nconst char* f() { return NAME_OF(at::Half); }",
            "text alone",
        ),
        untouched(
            "#define LABEL(n) #n\nconst char* f() { return LABEL(at most one); }",
            "what the rules do not touch",
        ),
    ),
    Confidence.REVIEW,
)


def keep_text(site: Site, outcome: Outcome | None, context: Context) -> Outcome | None:
    """The outcome; the name as it is where a macro makes text of it, and nothing else."""
    if not isinstance(outcome, Rewrite):
        return outcome
    uses = _uses_in_macro(site, context)
    if uses is None or not uses[0]:
        return outcome
    if not uses[1]:
        message = f"{site.name} is shown as text by a macro, and stays"
        return context.diagnose(site, SHOWN, message, "change it where the text should follow", Severity.WARNING)
    return outcome._replace(rule=SHOWN, confidence=Confidence.REVIEW)


def _uses_in_macro(site: Site, context: Context) -> tuple[bool, bool] | None:
    """Whether the macro around the site uses the argument as text, and as code; None where there is no such macro."""
    fragment = context.fragment(site)
    node = _macro_call(context.node(site), context)
    callee = node.child_by_field_name("function") if node is not None else None
    if node is None or callee is None or (macro := _macro(callee, context)) is None:
        return _in_unparsed(site, context)
    given = arguments_of(node)
    place = next((i for i, one in enumerate(given) if fragment.span(one).contains(site.span)), None)
    return _uses(*macro, place) if place is not None else None


def _macro_call(node: Node | None, context: Context) -> Node | None:
    """The innermost call of a macro of the project around `node`; kept for every node on the way to it."""
    known, way, found = context.project.macro_calls, list[tuple[int, int]](), None
    while node is not None:
        key = (node.id, node.start_byte)
        if key in known:
            found = known[key]
            break
        way.append(key)
        callee = node.child_by_field_name("function") if node.type == "call_expression" else None
        if callee is not None and _macro(callee, context) is not None:
            found = node
            break
        node = parent_of(node)
    known.update(dict.fromkeys(way, found))
    return found


def _macro(callee: Node, context: Context) -> tuple[Document, Macro] | None:
    """The macro of the project that a callee names."""
    name = (callee.text or b"").decode("utf-8", "replace")
    if callee.type != "identifier" or name not in context.project.finder.macro_names:
        return None
    found = ((d, m) for d in context.project.documents for m in d.macros if m.name == name and m.params is not None)
    return next(found, None)


def _uses(document: Document, macro: Macro, place: int) -> tuple[bool, bool]:
    params = macro.params or ()
    name = params[min(place, len(params) - 1)] if params else ""
    if name in ("...", "__VA_ARGS__") or place >= len(params):
        name = "__VA_ARGS__"
    body = document.code[macro.body.start : macro.body.end]
    word = re.escape(name.removesuffix("...").encode())
    as_text = re.search(rb"(?<!#)#\s*" + word + rb"\b", body) is not None
    as_code = re.search(rb"(?<![#\w])(?<!#\s)" + word + rb"\b(?!\s*##)", body) is not None
    return as_text, as_code


_CALL = re.compile(rb"\b(?P<name>[A-Za-z_]\w*)\s*\((?P<inside>[^();{}]*)$")


def _in_unparsed(site: Site, context: Context) -> tuple[bool, bool] | None:
    """The same where the grammar took the macro for something else: `KEPT(at::Tensor)` as a statement of its own."""
    code = context.document.code
    match = _CALL.search(code[max(0, site.span.start - 200) : site.span.start])
    name = match["name"].decode() if match is not None else ""
    if match is None or name not in context.project.finder.macro_names:
        return None
    for document in context.project.documents:
        for macro in document.macros:
            if macro.name == name and macro.params is not None:
                return _uses(document, macro, match["inside"].count(b","))
    return None
