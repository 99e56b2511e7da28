"""What most sites need: the table says what is in the same place, or that nothing does."""

from __future__ import annotations

import re

from tree_sitter import Node

from torch_stabilize.codes import Example, untouched
from torch_stabilize.model import Confidence, Diagnostic, Span
from torch_stabilize.rules.check_texts import printable
from torch_stabilize.rules.complex_numbers import HELPER, uses_functions_of_complex
from torch_stabilize.rules.context import Allowed, Context, Outcome, Site, SiteKind
from torch_stabilize.rules.expressions import by_template
from torch_stabilize.rules.methods import free_function
from torch_stabilize.rules.registry import case, handler_of, page
from torch_stabilize.rules.rewrite import Rewrite
from torch_stabilize.rules.tensor_calls import is_receiver
from torch_stabilize.source.brackets import closing_angle
from torch_stabilize.source.declarations import text_of
from torch_stabilize.source.document import Document, Macro
from torch_stabilize.source.macro_uses import Use
from torch_stabilize.source.scopes import arguments_of
from torch_stabilize.source.types import split_arguments
from torch_stabilize.surface.aten import derived_entry
from torch_stabilize.surface.entry import Entry

page(
    "TSA101",
    "Types get their stable name.",
    "Tensors, optionals, array views, dtypes and devices are renamed where they stand. Header-only types such as Half are\n"
    "the very same types under another name.",
    (
        Example("void f(torch::Tensor& x);", "void f(torch::stable::Tensor& x);"),
        Example("c10::optional<at::Tensor> bias;", "std::optional<torch::stable::Tensor> bias;"),
        Example(
            "auto f(c10::complex<float> z) { return std::conj(z); }",
            "auto f(torch::headeronly::complex<float> z) { return std::conj(z); }",
            "a helper has the functions that c10 adds to namespace std",
        ),
        Example(
            "at::Tensor f(at::Tensor x, at::Tensor y) { return at::complex(x, y); }",
            "torch::stable::Tensor f(torch::stable::Tensor x, torch::stable::Tensor y) { return stable_aten::complex(x, y); }",
            "a function of the same name",
        ),
        Example(
            "void f(const at::Tensor& x) { at::DimVector d(x.sizes()); at::DimVector e{1, 2}; }",
            "void f(const torch::stable::Tensor& x) { std::vector<int64_t> d(x.sizes().vec()); std::vector<int64_t> e{1, 2}; }",
            "a vector is not made from a view by itself",
        ),
        Example("struct Tensor {}; Tensor own;", "struct Tensor {}; Tensor own;", "a type of the project's own"),
    ),
)
page(
    "TSA102",
    "dtype constants become enumerators of torch::headeronly::ScalarType.",
    "The short constants (`torch::kFloat`) exist in no version of the stable headers.",
    (
        Example(
            "bool f(const at::Tensor& t) { return t.scalar_type() == torch::kHalf; }",
            "bool f(const torch::stable::Tensor& t) { return t.scalar_type() == torch::headeronly::ScalarType::Half; }",
        ),
        Example(
            "#define IS(t, dtype) ((t).scalar_type() == torch::dtype)\nbool f(const at::Tensor& t) { return IS(t, kInt); }",
            "#define IS(t, dtype) ((t).scalar_type() == dtype_constants::dtype)\n"
            "bool f(const torch::stable::Tensor& t) { return IS(t, kInt); }",
            "a macro that puts the name together",
        ),
        Example(
            "#define IS(dtype) (d == at::dtype)\nbool f(at::ScalarType d) { return IS(kInt); }\n#undef IS\n"
            "#define IS(n) (n == 1)\nbool g() { return IS(2); }",
            "#define IS(dtype) (d == dtype_constants::dtype)\nbool f(torch::headeronly::ScalarType d) { return IS(kInt); }\n"
            "#undef IS\n#define IS(n) (n == 1)\nbool g() { return IS(2); }",
            "and whose name is used again",
        ),
        untouched(
            "enum Paper { kHalf, kFloat };\nint f(Paper p) { return p == kHalf ? 1 : kFloat; }",
            "enumerators of the project",
        ),
    ),
)
page(
    "TSA103",
    "Devices, layouts and memory formats get their stable name.",
    examples=(
        untouched(
            "enum class Place { kCPU, kCUDA };\nbool f(Place p) { return p == Place::kCUDA; }",
            "enumerators of the project",
        ),
    ),
)
page(
    "TSA104",
    "Free helpers of at:: and c10:: get their stable name.",
    examples=(
        Example(
            "int f() { int n = at::get_num_threads(); return std::min(n, at::get_num_threads()); }",
            "int f() { int n = torch::stable::get_num_threads(); "
            "return std::min(n, static_cast<int>(torch::stable::get_num_threads())); }",
            "it was an int",
        ),
        Example(
            "void f(at::Tensor& x) { x.fill_(at::get_thread_num()); }\nauto g(const at::Tensor& x) "
            "{ return at::empty_symint(x.sym_sizes(), x.options()); }",
            "void f(torch::stable::Tensor& x) { torch::stable::fill_(x, get_thread_num()); }\nauto g(const "
            "torch::stable::Tensor& x) { return torch::stable::new_empty(x, x.sizes()); }",
            "sizes are numbers",
        ),
        untouched(
            "namespace own { inline int ceil_div(int a, int b) { return (a + b - 1) / b; } }\n"
            "int f(int n) { return own::ceil_div(n, 32); }",
            "of another namespace",
        ),
    ),
)
page("TSA190", "What only libtorch itself can do has no stable form.", confidence=Confidence.MANUAL)
page("TSA131", "The dispatcher cannot take this op's arguments.", confidence=Confidence.MANUAL)
page(
    "TSA205",
    "CUDA status checks become STD_CUDA_CHECK and STD_CUDA_KERNEL_LAUNCH_CHECK.",
    examples=(
        Example("void f() { C10_CUDA_CHECK(cudaGetLastError()); }", "void f() { STD_CUDA_CHECK(cudaGetLastError()); }"),
        Example(
            "void f(void* p) { C10_CUDA_CHECK_WARN(cudaFree(p)); }",
            "void f(void* p) { STD_CUDA_CHECK_WARN(cudaFree(p)); }",
            "a helper warns",
        ),
        untouched(
            "int g();\n#define GPU_CHECK(call) (call)\nint f() { return GPU_CHECK(g()); }",
            "a macro of the project",
        ),
    ),
)
_DEVICE_CODE = page("TSA407", "Device code that uses ATen's headers.", confidence=Confidence.MANUAL)
page("TSA490", "CUDA helpers of libtorch without a stable form.", confidence=Confidence.MANUAL)
page("TSA501", "Registrations are moved by the bindings, not rewritten in place.")
page("TSA002", "Header-only macros keep their name; only their include changes.")
page(
    "TSA900",
    "No rule knows this name.",
    "It looks like a name of the unstable API, and no table has it. Write it another way, or put it on the allow-list\n"
    "if it is harmless.",
    confidence=Confidence.MANUAL,
)
FLOOR = page(
    "TSA901",
    "The stable form of this API is newer than the target.",
    "Raise the target with --target, or take the way out that the message names.",
    confidence=Confidence.MANUAL,
)


def by_table(site: Site, context: Context) -> Outcome | None:
    """What the tables say of a site: its rule's own handler, or the handler for the entry's form."""
    entry = site.entry
    if site.kind is SiteKind.NAME and (made := _pasted_dtype(site, context)) is not None:
        return made
    if entry is None:
        return context.diagnose(
            site, "TSA900", f"no rule knows {site.name}", "rewrite it by hand, and report it please"
        )
    handler = handler_of(entry.rule, site)
    special = handler is not None and entry.form not in ("none", "template")
    outcome = handler(site, context, entry) if handler is not None and special else by_form(site, context, entry)
    return too_new(site, context, entry) if _relies_on(entry, outcome, context) else outcome


_DTYPE_CONSTANT = re.compile(rb"k(?:Bool|Byte|Char|Short|Int|Long|Half|BFloat16|Float|Double|U?Int\d+|Float\d+\w*)")


def _pasted_dtype(site: Site, context: Context) -> Outcome | None:
    """`torch::DTYPE` in a macro whose parameter DTYPE is a dtype wherever the macro is used: CHECK_DTYPE(x, kHalf)."""
    macro = context.document.macro_at(site.span.start)
    name = site.name.rpartition("::")[2]
    if macro is None or name not in (macro.params or ()):
        return None
    place = (macro.params or ()).index(name)
    uses = [use for use in context.project.finder.macros.of(macro.name) if _means(macro, use, context.document)]
    given = [document.text(spans[place]) for document, _, spans, _ in uses if place < len(spans)]
    if not given or not all(_DTYPE_CONSTANT.fullmatch(text) for text in given):
        return None
    return context.replace(site, f"dtype_constants::{name}", "TSA102", helpers=("dtype_constants",))


def _means(macro: Macro, use: Use, document: Document) -> bool:
    """Whether a use of a macro's name means this definition: a file may define the name anew further down."""
    user, place = use[0], use[1].span(use[3]).start
    others = [other.span.start for other in document.macros if other.name == macro.name and other != macro]
    if user is not document or not others:
        return True
    following = min((start for start in others if start > macro.span.start), default=len(document.data))
    return macro.span.start <= place < following


def _relies_on(entry: Entry, outcome: Outcome | None, context: Context) -> bool:
    """Whether an outcome uses a stable form that the target or its headers lack; a rule may have found another way."""
    if context.surface.available(entry, context.project.target, context.project.headers):
        return False
    if isinstance(outcome, Rewrite):
        name = entry.stable.rpartition("}")[2].encode()
        return bool(name) and any(isinstance(part, bytes) and name in part for part in outcome.parts)
    return isinstance(outcome, Allowed)


def by_form(site: Site, context: Context, entry: Entry) -> Outcome | None:
    """The plain handlers: rename, same, none. Methods are checked for a tensor receiver first."""
    if entry.form == "template":
        return by_template(site, context, entry)
    if site.kind is SiteKind.METHOD and not is_receiver(site, context, entry):
        return None
    if entry.helper and site.kind is SiteKind.MACRO and site.name in context.project.functions:
        return None  # the project's own, under the same name
    if entry.form == "rename":
        name = context.project.helpers.name(entry.stable) if entry.helper else entry.stable
        return context.replace(site, name, entry.rule, entry=entry)
    if entry.form == "same" and (entry.helper or entry.rule == _DEVICE_CODE):
        return context.replace(site, site.name, entry.rule, entry=entry)
    if entry.form == "same":
        return Allowed("the same on both sides")
    if entry.form == "none":
        return no_stable_form(site, context, entry)
    if entry.form in ("free", "dispatcher"):
        return free_function(site, context, entry)
    return context.diagnose(site, entry.rule or "TSA900", f"{site.name} needs a rule of its own", entry.note)


@case("TSA104", "str")
def _concatenated(site: Site, context: Context, entry: Entry) -> Outcome:
    """`c10::str(a, b)`, with text for what the stable API does not print."""
    printers = printable(site, context, 0)
    helpers = (entry.helper, *(helper for rewrite in printers for helper in rewrite.helpers))
    return context.replace(site, entry.stable, entry.rule, entry=entry, also=printers, helpers=helpers)


@case("TSA104", "get_num_threads")
def _with_result(site: Site, context: Context, entry: Entry) -> Outcome:
    """A call with the int that it was, but where it only initialises a variable of a written type."""
    node = context.call(site)
    declared = node.parent.parent if node is not None and node.parent is not None else None
    kind = declared.child_by_field_name("type") if declared is not None and declared.type == "declaration" else None
    arguments = node.child_by_field_name("arguments") if node is not None else None
    if node is None or arguments is None or (kind is not None and text_of(kind) != "auto"):
        return context.replace(site, entry.stable, entry.rule, entry=entry)
    fragment = context.fragment(site)
    cast = f"static_cast<int>({entry.stable}".encode()
    return context.rewrite(fragment.span(node), (cast, fragment.span(arguments), b")"), entry.rule, entry=entry)


@case("TSA101", "complex")
def _complex(site: Site, context: Context, entry: Entry) -> Outcome | None:
    """`c10::complex<T>`, or `at::complex(real, imag)`, which has the name of the type."""
    if _is_called(site, context):
        function = derived_entry("function", site.name)
        return free_function(site, context, function) if function is not None else None
    helpers = (HELPER,) if uses_functions_of_complex(context) else ()
    return context.replace(site, entry.stable, entry.rule, entry=entry, helpers=helpers)


def _is_called(site: Site, context: Context) -> bool:
    """Whether arguments follow a name. Of c10's they make a value of the type."""
    following = context.document.code[site.span.end : site.span.end + 80].lstrip()
    return following.startswith(b"(") and not site.name.startswith("c10::")


@case("TSA101", "SmallVector", "SmallVectorImpl")
def _vector(site: Site, context: Context, entry: Entry) -> Outcome:
    """`c10::SmallVector<int64_t, 4>` -> `std::vector<int64_t>`: the inline size is dropped."""
    code = context.document.code
    opens = code[site.span.end : site.span.end + 1] == b"<"
    closing = closing_angle(code, site.span.end) if opens else -1
    given = split_arguments(code[site.span.end + 1 : closing].decode("utf-8", "replace")) if closing >= 0 else ()
    if not given:
        return context.diagnose(site, entry.rule, f"{site.name} without its arguments", entry.note)
    size = Span(site.span.end + 1 + len(given[0].encode()), closing)
    also = (context.rewrite(size, (), entry.rule),) if len(size) else ()
    also = (*also, *_views_given(site, context))
    return context.replace(site, "std::vector", entry.rule, entry=entry, also=also)


@case("TSA101", "DimVector")
def _from_view(site: Site, context: Context, entry: Entry) -> Outcome:
    """`at::DimVector v(x.sizes())`: a vector is not made from a view by itself."""
    return context.replace(site, entry.stable, entry.rule, entry=entry, also=_views_given(site, context))


def _views_given(site: Site, context: Context) -> tuple[Rewrite, ...]:
    """What makes a vector of the one view that a variable or a value of the type at `site` is made from."""
    fragment = context.fragment(site)
    node = context.node(site)
    kinds = ("type_identifier", "namespace_identifier", "qualified_identifier", "template_type", "identifier")
    while node is not None and node.parent is not None and node.type in kinds:
        if node.parent.type == "template_argument_list":
            return ()
        node = node.parent
    if node is None or node.type not in ("declaration", "call_expression"):
        return ()
    given: list[Node] = []
    if node.type == "call_expression":
        given = arguments_of(node)
    else:
        for declarator in node.children_by_field_name("declarator"):
            value = declarator.child_by_field_name("value")
            if value is not None:
                given += value.named_children if value.type in ("argument_list", "initializer_list") else [value]
    if len(given) != 1 or context.type_of(given[0], fragment).name != "IntArrayRef":
        return ()
    end = fragment.span(given[0]).end
    return (context.rewrite(Span(end, end), (b".vec()",), "TSA101"),)


def no_stable_form(site: Site, context: Context, entry: Entry) -> Diagnostic:
    """Nothing on the stable surface does this: the note says what to do."""
    return context.diagnose(site, entry.rule or "TSA900", f"{site.name} has no stable form", entry.note)


def too_new(site: Site, context: Context, entry: Entry) -> Diagnostic:
    """The stable form exists, but not at this target."""
    name = entry.stable.partition("(")[0].replace("{self}", "") or site.name
    if context.surface.available(entry, context.project.target):
        return context.diagnose(
            site,
            FLOOR,
            f"{name} needs the headers of torch {entry.headers}",
            f"build with torch {entry.headers} or later",
        )
    return context.diagnose(
        site, FLOOR, f"{name} needs target {entry.target}", f"run with --target {entry.target} or later"
    )
