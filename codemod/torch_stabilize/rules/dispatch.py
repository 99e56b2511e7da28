"""Dispatch over dtypes: the header-only building blocks, the families of ATen, and the project's own macros."""

from __future__ import annotations

from torch_stabilize.codes import Example, untouched
from torch_stabilize.model import Span
from torch_stabilize.rules.complex_numbers import HELPER, uses_functions_of_complex
from torch_stabilize.rules.context import Context, Outcome, Site
from torch_stabilize.rules.macro_calls import call_arguments, whole_call
from torch_stabilize.rules.registry import case, page, rule
from torch_stabilize.rules.rewrite import Copy, Part, Rewrite
from torch_stabilize.source.document import words_of
from torch_stabilize.surface.entry import Entry

_SCALAR = "torch::headeronly::ScalarType::"
# The type lists of Dispatch_v2.h, by the dtypes they stand for.
_LISTS = (
    ("AT_ALL_TYPES_AND_COMPLEX", "Byte Char Int Long Short Double Float ComplexDouble ComplexFloat"),
    ("AT_ALL_TYPES", "Byte Char Int Long Short Double Float"),
    ("AT_INTEGRAL_TYPES", "Byte Char Int Long Short"),
    ("AT_FLOATING_TYPES", "Double Float"),
    ("AT_COMPLEX_TYPES", "ComplexDouble ComplexFloat"),
)


def type_lists(dtypes: str) -> tuple[str, ...]:
    """Dtypes by name as arguments of THO_DISPATCH_V2: "Double Float Half" -> AT_EXPAND(AT_FLOATING_TYPES), ...Half."""
    left = dtypes.split()
    found: list[str] = []
    for name, members in _LISTS:
        wanted = members.split()
        if all(member in left for member in wanted):
            found.append(f"AT_EXPAND({name})")
            left = [dtype for dtype in left if dtype not in wanted]
    return (*found, *(_SCALAR + dtype for dtype in left))


@rule(
    "TSA302",
    "AT_DISPATCH_* over a family of dtypes becomes THO_DISPATCH_V2 over the same dtypes.",
    text="The set of dtypes is the same before and after, and is compared at every site.",
    examples=(
        Example(
            'void f(const at::Tensor& x) { AT_DISPATCH_FLOATING_TYPES_AND_HALF(x.scalar_type(), "f", [&] { g<scalar_t>(); }); }',
            'void f(const torch::stable::Tensor& x) { THO_DISPATCH_V2(x.scalar_type(), "f", AT_WRAP(([&] { g<scalar_t>(); })), '
            "AT_EXPAND(AT_FLOATING_TYPES), torch::headeronly::ScalarType::Half); }",
        ),
        untouched(
            "#define OWN_DISPATCH_FLOATING_TYPES(TYPE, ...) ((TYPE) ? __VA_ARGS__() : 0)\n"
            "int f(int t) { return OWN_DISPATCH_FLOATING_TYPES(t, [] { return 2; }); }",
            "a macro of the project",
        ),
        Example(
            "void f(const at::Tensor& x) { AT_DISPATCH_FLOATING_TYPES_AND2(at::kHalf, at::kBFloat16, "
            'x.scalar_type(), "f", [&] { g<scalar_t>(); }); }',
            'void f(const torch::stable::Tensor& x) { THO_DISPATCH_V2(x.scalar_type(), "f", AT_WRAP(([&] { '
            "g<scalar_t>(); })), AT_EXPAND(AT_FLOATING_TYPES), torch::headeronly::ScalarType::Half, "
            "torch::headeronly::ScalarType::BFloat16); }",
        ),
        Example(
            'void f(const at::Tensor& x) { AT_DISPATCH_INDEX_TYPES(x.scalar_type(), "f", [&] { g<index_t>(); }); }',
            'void f(const torch::stable::Tensor& x) { THO_DISPATCH_SWITCH(x.scalar_type(), "f", '
            "THO_PRIVATE_CASE_TYPE_USING_HINT(torch::headeronly::ScalarType::Int, index_t, [&] { g<index_t>(); "
            "}) THO_PRIVATE_CASE_TYPE_USING_HINT(torch::headeronly::ScalarType::Long, index_t, [&] { "
            "g<index_t>(); })); }",
            "the type is index_t in its body",
        ),
        Example(
            'void f(const at::Tensor& x) { AT_DISPATCH_SWITCH(x.scalar_type(), "f", '
            "AT_DISPATCH_CASE_FLOATING_TYPES_AND(at::kHalf, [&] { g<scalar_t>(); }) AT_DISPATCH_CASE(at::kInt, "
            "[&] { g<int>(); })); }",
            'void f(const torch::stable::Tensor& x) { THO_DISPATCH_SWITCH(x.scalar_type(), "f", '
            "THO_DISPATCH_CASE(torch::headeronly::ScalarType::Double, [&] { g<scalar_t>(); }) "
            "THO_DISPATCH_CASE(torch::headeronly::ScalarType::Float, [&] { g<scalar_t>(); }) "
            "THO_DISPATCH_CASE(torch::headeronly::ScalarType::Half, [&] { g<scalar_t>(); }) "
            "THO_DISPATCH_CASE(torch::headeronly::ScalarType::Int, [&] { g<int>(); })); }",
            "cases in a row",
        ),
    ),
)
def families(site: Site, context: Context, entry: Entry) -> Outcome | None:
    """`AT_DISPATCH_FLOATING_TYPES(type, name, body)` and its kin."""
    arguments = call_arguments(site, context)
    whole = whole_call(site, context)
    further = entry.arity[0] if entry.arity else 0
    if arguments is None or whole is None:
        return context.diagnose(site, entry.rule, f"{site.name} is not called here", entry.note)
    if site.name.startswith("AT_DISPATCH_CASE"):
        return _case(site, context, entry, arguments, whole, further)
    if len(arguments) < further + 3:
        return context.diagnose(site, entry.rule, f"{site.name} has too few arguments", entry.note)
    extra, (dtype, name, *body) = arguments[:further], arguments[further:]
    inside = Span(body[0].start, body[-1].end)
    own = context.project.switches.get(_dtypes(entry, extra, context))
    if own is not None:
        same: tuple[Part, ...] = (own.stable.encode() + b"(", dtype, b", ", name, b", ", inside, b")")
        return context.rewrite(whole, same, entry.rule, helpers=(f"switch:{own.header}",))
    lists = ", ".join(type_lists(entry.stable))
    parts: list[Part] = [b"THO_DISPATCH_V2(", dtype, b", ", name, b", AT_WRAP((", inside, b")), " + lists.encode()]
    for span in extra:
        parts += [b", ", Copy(span)]
    helpers = _of_complex(_dtypes(entry, extra, context), context)
    header = ("torch/headeronly/core/Dispatch_v2.h",)
    return context.rewrite(whole, (*parts, b")"), entry.rule, includes=header, helpers=helpers)


def _of_complex(dtypes: frozenset[str], context: Context) -> tuple[str, ...]:
    """What lacks for the complex numbers among the types of a dispatch."""
    is_complex = bool(dtypes & {"ComplexFloat", "ComplexDouble", "ComplexHalf"})
    return (HELPER,) if is_complex and uses_functions_of_complex(context) else ()


def _dtypes(entry: Entry, extra: tuple[Span, ...], context: Context) -> frozenset[str]:
    """The dtypes a site covers, by name."""
    named = [context.surface.name(context.text(span).decode("utf-8", "replace")) for span in extra]
    further = [e.stable.rpartition("::")[2] if e is not None else "?" for e in named]
    return frozenset((*entry.stable.split(), *further))


@case("TSA302", "AT_DISPATCH_INDEX_TYPES")
def _index(site: Site, context: Context, entry: Entry) -> Outcome:
    arguments = call_arguments(site, context)
    whole = whole_call(site, context)
    if arguments is None or whole is None:
        return context.diagnose(site, entry.rule, f"{site.name} is not called here", entry.note)
    if len(arguments) < 3:
        return context.diagnose(site, entry.rule, f"{site.name} has too few arguments", entry.note)
    dtype, name, body = *arguments[:2], Span(arguments[2].start, arguments[-1].end)
    cases: list[Part] = []
    for index, member in enumerate(entry.stable.split()):
        hole: Part = body if index == 0 else Copy(body)
        cases += [f" THO_PRIVATE_CASE_TYPE_USING_HINT({_SCALAR}{member}, index_t, ".encode(), hole, b")"]
    parts: tuple[Part, ...] = (b"THO_DISPATCH_SWITCH(", dtype, b", ", name, b",", *cases, b")")
    return context.rewrite(whole, parts, entry.rule, includes=("torch/headeronly/core/Dispatch.h",))


def _case(
    site: Site, context: Context, entry: Entry, arguments: tuple[Span, ...], whole: Span, further: int
) -> Outcome:
    if len(arguments) <= further:
        return context.diagnose(site, entry.rule, f"{site.name} has too few arguments", entry.note)
    body = Span(arguments[further].start, arguments[-1].end)
    parts: list[Part] = []
    for index, dtype in enumerate(entry.stable.split()):
        parts += [b" " * bool(index) + f"THO_DISPATCH_CASE({_SCALAR}{dtype}, ".encode(), Copy(body), b")"]
    for span in arguments[:further]:
        parts += [b" THO_DISPATCH_CASE(", Copy(span), b", ", Copy(body), b")"]
    helpers, header = (
        _of_complex(_dtypes(entry, arguments[:further], context), context),
        "torch/headeronly/core/Dispatch.h",
    )
    return context.rewrite(whole, tuple(parts), entry.rule, includes=(header,), helpers=helpers)


page(
    "TSA303",
    "The project's own dispatch macros give way to their stable translations.",
    text="A macro is migrated by translating its definition, so the set of dtypes cannot change. Where the repository has the\n"
    "translation already it is used; otherwise it is added to the stable dispatch header.",
)


def project_macro(site: Site, context: Context) -> Outcome | None:
    """`PROJECT_DISPATCH_FLOATING_TYPES(...)`."""
    macro = context.project.dispatch[site.name]
    return context.replace(site, macro.stable, "TSA303", helpers=(f"dispatch:{site.name}",))


@rule(
    "TSA301",
    "The building blocks of dispatch get their header-only name.",
    examples=(
        Example(
            "#define CASES(...) AT_DISPATCH_CASE(at::ScalarType::Half, __VA_ARGS__)",
            "#define CASES(...) THO_DISPATCH_CASE(torch::headeronly::ScalarType::Half, __VA_ARGS__)",
        ),
        untouched(
            "#define OWN_CASE(TYPE, ...) case TYPE: return __VA_ARGS__();\n"
            "int f(int t) { switch (t) { OWN_CASE(1, [] { return 2; }) } return 0; }",
            "a macro of the project",
        ),
        Example(
            'void f(const at::Tensor& x) { AT_DISPATCH_V2(x.scalar_type(), "f", AT_WRAP([&] { g<scalar_t>(); '
            "}), AT_EXPAND(AT_FLOATING_TYPES), at::kHalf); }",
            'void f(const torch::stable::Tensor& x) { THO_DISPATCH_V2(x.scalar_type(), "f", AT_WRAP(([&] { '
            "g<scalar_t>(); })), AT_EXPAND(AT_FLOATING_TYPES), torch::headeronly::ScalarType::Half); }",
            "a body with commas needs a second pair of parentheses",
        ),
    ),
)
def building_block(site: Site, context: Context, entry: Entry) -> Outcome | None:
    """AT_DISPATCH_SWITCH, AT_DISPATCH_CASE, AT_DISPATCH_V2."""
    from torch_stabilize.rules.context import Allowed

    if entry.form == "same":
        return Allowed("the same on both sides")
    return context.replace(site, entry.stable, entry.rule, entry=entry)


@case("TSA301", "AT_DISPATCH_V2")
def _with_wrapped_body(site: Site, context: Context, entry: Entry) -> Outcome:
    arguments = call_arguments(site, context)
    if arguments is None or len(arguments) < 3:
        return context.diagnose(site, entry.rule, "AT_DISPATCH_V2 has too few arguments", entry.note)
    body = context.text(arguments[2])
    also: tuple[Rewrite, ...] = ()
    if body.startswith(b"AT_WRAP(") and not body.startswith(b"AT_WRAP(("):
        inside = Span(arguments[2].start + len(b"AT_WRAP("), arguments[2].end - 1)
        also = (context.rewrite(inside, (b"(", inside, b")"), entry.rule),)
    words = {word.decode() for span in arguments[3:] for word in words_of(context.text(span))}
    helpers = (HELPER,) if words & _COMPLEX_LISTS and uses_functions_of_complex(context) else ()
    return context.replace(site, entry.stable, entry.rule, entry=entry, also=also, helpers=helpers)


_COMPLEX_LISTS = frozenset({"AT_COMPLEX_TYPES", "AT_ALL_TYPES_AND_COMPLEX", "kComplexFloat", "kComplexDouble"})
