"""Checks and warnings: the header-only macros, with arguments that they can print."""

from __future__ import annotations

import re

from tree_sitter import Node

from torch_stabilize.codes import Example, untouched
from torch_stabilize.model import Confidence, Severity, Span
from torch_stabilize.rules.check_texts import condition_text, printable
from torch_stabilize.rules.context import Allowed, Context, Outcome, Site, SiteKind
from torch_stabilize.rules.exceptions import caught, code_of_check
from torch_stabilize.rules.macro_calls import braces, call_arguments, is_streamed, semicolon, whole_call
from torch_stabilize.rules.registry import case, on, rule
from torch_stabilize.rules.rewrite import Rewrite
from torch_stabilize.surface.entry import Entry


@rule(
    "TSA201",
    "TORCH_CHECK becomes STD_TORCH_CHECK; arguments it cannot print are made text.",
    text="The header-only check throws std::runtime_error, which reaches Python as RuntimeError like before. It prints what\n"
    "has an operator<<: sizes, devices and layouts go through a small helper.",
    examples=(
        Example(
            'void f(const at::Tensor& x) { TORCH_CHECK(x.dim() == 2, "rank ", x.dim()); }',
            'void f(const torch::stable::Tensor& x) { STD_TORCH_CHECK(x.dim() == 2, "rank ", x.dim()); }',
        ),
        Example(
            "#define ON_CPU(x) TORCH_CHECK(x.is_cpu())\nvoid f(const at::Tensor& x) { TORCH_CHECK(x.dim() > 1); ON_CPU(x); }",
            '#define ON_CPU(x) STD_TORCH_CHECK(x.is_cpu(), "Expected " #x ".is_cpu() to be true, but got false.")\n'
            "void f(const torch::stable::Tensor& x) "
            '{ STD_TORCH_CHECK(x.dim() > 1, "Expected x.dim() > 1 to be true, but got false."); ON_CPU(x); }',
            "the stable macro does not print the condition",
        ),
        Example(
            "#ifdef TORCH_CHECK\n#define MY_CHECK TORCH_CHECK\n#endif",
            "#ifdef STD_TORCH_CHECK\n#define MY_CHECK STD_TORCH_CHECK\n#endif",
            "a condition keeps meaning what it did",
        ),
        Example(
            "void f(int n) { TORCH_CHECK(n, n); }\n#undef TORCH_CHECK\n#define TORCH_CHECK(c, ...) do { if (!(c)) throw 1; } while (0)\n"
            "int g(int n) { TORCH_CHECK(n); return n; }",
            "void f(int n) { STD_TORCH_CHECK(n, n); }\n#undef TORCH_CHECK\n"
            "#define TORCH_CHECK(c, ...) do { if (!(c)) throw 1; } while (0)\n"
            "int g(int n) { TORCH_CHECK(n); return n; }",
            "a macro that the project defines anew is its own",
        ),
        untouched(
            "void own_check(bool);\n"
            "#define TORCH_CHECK(condition, ...) own_check(condition)\n"
            'void f(int n) { TORCH_CHECK(n > 0, "n"); }',
            "a macro of the project",
        ),
    ),
)
def check(site: Site, context: Context, entry: Entry) -> Outcome | None:
    """`TORCH_CHECK(condition, message...)`."""
    printers = (*printable(site, context, 1), *_own_text(site, context))
    helpers = tuple(helper for rewrite in printers for helper in rewrite.helpers)
    whole = whole_call(site, context)
    if whole is not None:
        printers = (*printers, *semicolon(whole, context))
    return context.replace(site, entry.stable, entry.rule, entry=entry, also=printers, helpers=helpers)


def _own_text(site: Site, context: Context) -> tuple[Rewrite, ...]:
    """The condition as the message of a check without one, which the stable macro does not print."""
    arguments = call_arguments(site, context) or ()
    text = condition_text(arguments[0], context) if len(arguments) == 1 else None
    if text is None:
        return ()
    end = Span(arguments[0].end, arguments[0].end)
    return (Rewrite(end, (b", " + text,), "TSA201"),)


@on(SiteKind.CONDITION)
def condition(site: Site, context: Context) -> Outcome | None:
    """`#ifdef TORCH_CHECK`: without a macro of that name another branch would be compiled."""
    entry = site.entry
    if entry is None:
        message = f"this asks for {site.name}, which is not defined in stable code if a header of torch defined it"
        return context.diagnose(site, "TSA900", message, "ask for what the project's own build or headers define")
    found = re.match(r"STD_[A-Z_]+", entry.stable)
    if found is not None:
        return context.replace(site, found.group(), entry.rule, entry=entry)
    if entry.form == "same":
        return Allowed("the same on both sides")
    message = f"this asks for {site.name}, which stable code does not have: another branch is compiled"
    return context.diagnose(site, entry.rule or "TSA900", message, entry.note, Severity.WARNING)


@rule(
    "TSA203",
    "Other checks become STD_TORCH_CHECK.",
    text="ValueError and IndexError stay what they are in Python; NotImplementedError, TypeError and LinAlgError become\n"
    "RuntimeError.",
    confidence=Confidence.REVIEW,
    examples=(
        Example(
            'void f(int n) { AT_ERROR("no kernel for ", n); }',
            'void f(int n) { STD_TORCH_CHECK(false, "no kernel for ", n); }',
        ),
        Example(
            'void f(int n) { if (n == 1) AT_ERROR("one"); else if (n == 2) AT_ASSERT(n > 2); else n = 0; }',
            'void f(int n) { if (n == 1) { STD_TORCH_CHECK(false, "one"); } '
            'else if (n == 2) { STD_TORCH_CHECK(n > 2, "Expected n > 2 to be true, but got false."); } else n = 0; }',
            "an `else` stays with its `if`",
        ),
        Example(
            'void f(int n) { TORCH_CHECK_ARG(n > 0, 1, "got ", n); }',
            'void f(int n) { STD_TORCH_CHECK(n > 0, "invalid argument ", 1, ": ", "got ", n); }',
        ),
        Example(
            "void f(int n) { TORCH_INTERNAL_ASSERT(n > 0); }",
            'void f(int n) { STD_TORCH_CHECK(n > 0, "Expected n > 0 to be true, but got false."); }',
        ),
        Example(
            "void f(int n) { CHECK(n > 0); TORCH_INTERNAL_ASSERT_DEBUG_ONLY(n > 1, n); }",
            'void f(int n) { STD_TORCH_CHECK(n > 0, "Expected n > 0 to be true, but got false."); '
            "STD_TORCH_DCHECK(n > 1, n); }",
            "of c10's logging, and in debug builds only",
        ),
        Example(
            'void f(int n) { TORCH_CHECK_VALUE(n > 0, "got ", n); if (n) TORCH_CHECK_INDEX(n > 1); else n = 2; '
            'C10_THROW_ERROR(ValueError, "no"); }',
            'void f(int n) { STD_TORCH_CHECK_VALUE(n > 0, "got ", n); '
            'if (n) STD_TORCH_CHECK_INDEX(n > 1, "Expected n > 1 to be true, but got false."); else n = 2; '
            'throw std::invalid_argument("no"); }',
            "what is a ValueError or an IndexError in Python stays one",
        ),
        Example(
            "#define CHECK(x) if (!(x)) throw 1\nvoid f(int n) { CHECK(n > 0); }",
            "#define CHECK(x) if (!(x)) throw 1\nvoid f(int n) { CHECK(n > 0); }",
            "a check of the project's own",
        ),
        Example(
            'void f() { throw c10::TypeError({__func__, __FILE__, static_cast<uint32_t>(__LINE__)}, "no such type"); }',
            'void f() { throw std::runtime_error("no such type"); }',
            "an exception keeps its message alone",
        ),
        Example(
            'void f(const at::TensorArg& x, const at::TensorArg& y) { at::checkAllSameGPU("f", {x, y}); }',
            'void f(const TensorArg& x, const TensorArg& y) { check_all_same_gpu("f", {x, y}); }',
        ),
        Example(
            'void f() { throw c10::Error("broken", c10::get_backtrace()); }',
            'void f() { throw std::runtime_error("broken"); }',
        ),
        Example(
            'void f(at::Tensor x) { at::TensorArg a{x, "x", 1}; at::checkAllSameGPU("f", {a}); }',
            'void f(torch::stable::Tensor x) { TensorArg a{x, "x", 1}; check_all_same_gpu("f", {a}); }',
        ),
        Example(
            'void f(int n) { TORCH_CHECK_WITH(ValueError, n > 0, "got ", n); TORCH_CHECK_WITH(IndexError, n > '
            '1); if (n) TORCH_CHECK_WITH(Error, n > 2, "x"); else n = 1; }',
            'void f(int n) { STD_TORCH_CHECK_VALUE(n > 0, "got ", n); STD_TORCH_CHECK_INDEX(n > 1, "Expected n '
            '> 1 to be true, but got false."); if (n) { STD_TORCH_CHECK(n > 2, "x"); } else n = 1; }',
            "by the class that is named",
        ),
        Example(
            'void f(int n) { TORCH_CHECK_WITH(Own, n > 0, "got ", n); }',
            'void f(int n) { TORCH_CHECK_WITH(Own, n > 0, "got ", n); }',
            "a class of the project is reported, and left as it is",
        ),
    ),
)
def other_check(site: Site, context: Context, entry: Entry) -> Outcome | None:
    """AT_ERROR, TORCH_INTERNAL_ASSERT, TORCH_CHECK_VALUE, TORCH_CHECK_NOT_IMPLEMENTED and their kin."""
    if entry.kind != "macro":
        return _exception(site, context, entry)
    arguments = call_arguments(site, context)
    if arguments is None:
        return _not_called(site, context, entry)
    confidence = Confidence(entry.confidence)
    extra: dict[str, object] = {"includes": (entry.include,), "confidence": confidence}
    own = context.project.helpers.names.get(f"STD_{site.name}")
    printers = (*printable(site, context, 1), *_own_text(site, context))
    helpers = tuple(helper for rewrite in printers for helper in rewrite.helpers)
    if own:
        return context.replace(site, own, entry.rule, also=printers, helpers=(f"STD_{site.name}", *helpers), **extra)
    if entry.helper:
        whole = whole_call(site, context)
        printers = (*printers, *(semicolon(whole, context) if whole is not None else ()))
        extra = {"helpers": (entry.helper, *helpers), "confidence": confidence}
        return context.replace(site, entry.stable, entry.rule, also=printers, **extra)
    opening, closing = braces(site, context)
    head = (opening + entry.stable.encode(),)
    code = code_of_check(site.name, entry.rule)
    return context.rewrite(site.span, head, code, also=(*printers, *closing), helpers=helpers, **extra)


def _is_template_parameter(name: str, node: Node | None) -> bool:
    while node is not None:
        given = node.child_by_field_name("parameters") if node.type == "template_declaration" else None
        if given is not None and re.search(rb"\b" + name.encode() + rb"\b", given.text or b""):
            return True
        node = node.parent
    return False


_DECLARATORS = frozenset({"init_declarator", "parameter_declaration", "optional_parameter_declaration"})


def _not_called(site: Site, context: Context, entry: Entry) -> Outcome:
    """A macro that takes arguments is none without them: then the name is that of a variable, if one is declared."""
    node = context.node(site)
    if node is not None and node.type == "identifier":
        is_declared = node.parent is not None and node.parent.type in _DECLARATORS
        is_declared |= context.project.finder.declaration_of(site.name, node) is not None
        if is_declared or _is_template_parameter(site.name, node):
            return Allowed("a variable of that name")
    return context.diagnose(site, entry.rule, f"{site.name} is not called here", entry.note)


def _exception(site: Site, context: Context, entry: Entry) -> Outcome:
    """`c10::Error` and its kin: caught, made, or named."""
    is_exception = entry.kind == "type" and not entry.helper
    clause = context.ancestor(site, ("catch_clause",), 8) if is_exception else None
    if clause is not None and _is_caught(site, clause, context):
        return caught(site, clause, context, entry)
    also = _message_alone(site, context) if is_exception else ()
    return context.replace(site, entry.stable, code_of_check(site.name, entry.rule), entry=entry, also=also)


@case("TSA203", "CHECK", "DCHECK")
def _logging_check(site: Site, context: Context, entry: Entry) -> Outcome | None:
    """`CHECK(condition)` of c10's logging, where nothing is streamed into it."""
    if call_arguments(site, context) is None:
        return _not_called(site, context, entry)
    whole = whole_call(site, context)
    if whole is None or is_streamed(whole, context):
        return context.diagnose(site, entry.rule, f"{site.name} has no stable form", entry.note)
    return other_check(site, context, entry)


@case("TSA203", "TORCH_CHECK_ARG")
def _check_of_argument(site: Site, context: Context, entry: Entry) -> Outcome:
    arguments = call_arguments(site, context)
    if arguments is None:
        return _not_called(site, context, entry)
    if len(arguments) < 2:
        return context.diagnose(site, entry.rule, f"{site.name} has no stable form", entry.note)
    number = context.rewrite(arguments[1], (b'"invalid argument ", ', arguments[1], b', ": "'), entry.rule)
    printers = printable(site, context, 2)
    helpers = tuple(helper for rewrite in printers for helper in rewrite.helpers)
    return context.replace(site, entry.stable, entry.rule, entry=entry, also=(number, *printers), helpers=helpers)


_CHECKS_BY_CLASS = {
    "ValueError": "TORCH_CHECK_VALUE", "IndexError": "TORCH_CHECK_INDEX", "TypeError": "TORCH_CHECK_TYPE",
    "NotImplementedError": "TORCH_CHECK_NOT_IMPLEMENTED", "LinAlgError": "TORCH_CHECK_LINALG", "Error": "TORCH_CHECK",
}  # fmt: skip


def _of_class(arguments: tuple[Span, ...], context: Context) -> tuple[str, Entry] | None:
    """The check that throws what `TORCH_CHECK_WITH(ValueError, ...)` names."""
    name = _CHECKS_BY_CLASS.get(context.text(arguments[0]).decode("utf-8", "replace").strip(), "")
    entry = context.surface.macro(name)
    return (name, entry) if entry is not None else None


@case("TSA203", "TORCH_CHECK_WITH")
def _check_with(site: Site, context: Context, entry: Entry) -> Outcome:
    arguments = call_arguments(site, context)
    if arguments is None:
        return _not_called(site, context, entry)
    found = _of_class(arguments, context) if len(arguments) > 1 else None
    if found is None:
        return context.diagnose(site, entry.rule, f"{site.name} has no stable form", entry.note)
    return _check_of_class(site, context, arguments, *found)


def _check_of_class(site: Site, context: Context, arguments: tuple[Span, ...], name: str, entry: Entry) -> Outcome:
    printers = list(printable(site, context, 2))
    helpers = tuple(helper for rewrite in printers for helper in rewrite.helpers)
    if len(arguments) == 2 and (text := condition_text(arguments[1], context)) is not None:
        end = Span(arguments[1].end, arguments[1].end)
        printers.append(Rewrite(end, (b", " + text,), "TSA201"))
    head = Span(site.span.start, arguments[1].start)
    opening, closing = (b"", ()) if entry.helper else braces(site, context)
    stable = context.project.helpers.names.get(f"STD_{name}", entry.stable)
    wanted = (f"STD_{name}" if stable != entry.stable else entry.helper,) if entry.helper else ()
    return context.rewrite(
        head,
        (opening + stable.encode() + b"(",),
        code_of_check(name, "TSA203"),
        also=(*printers, *closing),
        helpers=(*wanted, *helpers),
        includes=(entry.include,),
        confidence=Confidence(entry.confidence),
    )


def _is_caught(site: Site, clause: Node, context: Context) -> bool:
    """Whether the site is what a catch clause names, rather than something in its body."""
    parameters = clause.child_by_field_name("parameters")
    return parameters is not None and context.fragment(site).span(parameters).contains(site.span)


def _message_alone(site: Site, context: Context) -> tuple[Rewrite, ...]:
    """What leaves an exception its message: `c10::Error` also takes the place before it, or a backtrace behind it."""
    arguments = call_arguments(site, context) or ()
    if len(arguments) != 2:
        return ()
    first, second = arguments
    head = context.document.code[first.start : first.end]
    if head.startswith(b"{") or b"SourceLocation" in head:
        return (Rewrite(Span(first.start, second.start), (), "TSA203"),)
    return (Rewrite(Span(first.end, second.end), (), "TSA203"),)


@case("TSA203", "AT_ERROR")
def _error(site: Site, context: Context, entry: Entry) -> Outcome:
    arguments = call_arguments(site, context)
    if arguments is None:
        return _not_called(site, context, entry)
    opening = context.document.code.find(b"(", site.span.end)
    head = Span(site.span.start, opening + 1)
    comma = b", " if arguments else b""
    printers = printable(site, context, 0)
    helpers = tuple(helper for rewrite in printers for helper in rewrite.helpers)
    opened, closing = braces(site, context)
    text = opened + b"STD_TORCH_CHECK(false" + comma
    return context.rewrite(head, (text,), "TSA203", entry=entry, also=(*printers, *closing), helpers=helpers)


@rule(
    "TSA206",
    "A project's CUDA_CHECK gives way to STD_CUDA_CHECK.",
    text="Only where the macro comes from a header that stays behind and compares with cudaSuccess. Most such macros print and\n"
    "exit; STD_CUDA_CHECK throws, hence the review. A macro that moves with the group is kept.",
    confidence=Confidence.REVIEW,
    examples=(
        Example(
            "#define CUDA_CHECK(e) do { if ((e) != cudaSuccess) abort(); } while (0)\nvoid f() { CUDA_CHECK(cudaGetLastError()); }",
            "#define CUDA_CHECK(e) do { if ((e) != cudaSuccess) abort(); } while (0)\nvoid f() { CUDA_CHECK(cudaGetLastError()); }",
            "the macro moves with the file",
        ),
    ),
)
def project_cuda_check(site: Site, context: Context, entry: Entry) -> Outcome | None:
    """`CUDA_CHECK(call)` of a header that legacy units keep."""
    for document in context.project.documents:
        for macro in document.macros:
            if macro.name != site.name:
                continue
            body = document.code[macro.body.start : macro.body.end]
            if document.path in context.project.moving or b"cudaSuccess" not in body:
                return None
            return context.replace(site, entry.stable, entry.rule, entry=entry)
    return None


@rule(
    "TSA204",
    "Warnings go through the C shim.",
    confidence=Confidence.REVIEW,
    text=("AOTI_TORCH_WARN shows its arguments as they are written, so a helper puts the message together first."),
    examples=(
        Example(
            'void f(int n) { TORCH_WARN("slow path for ", n); }',
            'void f(int n) { STD_TORCH_WARN("slow path for ", n); }',
        ),
        untouched(
            'void note(const char*);\n#define OWN_WARN(text) note(text)\nvoid f() { OWN_WARN("TORCH_WARN"); }',
            "a macro of the project",
        ),
    ),
)
def warning(site: Site, context: Context, entry: Entry) -> Outcome | None:
    """TORCH_WARN, TORCH_WARN_ONCE."""
    printers = printable(site, context, 0)
    helpers = ("torch_warn", *(helper for rewrite in printers for helper in rewrite.helpers))
    return context.replace(site, entry.stable, entry.rule, confidence=Confidence.REVIEW, helpers=helpers, also=printers)
