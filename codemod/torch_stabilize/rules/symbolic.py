"""Numbers that may be symbolic: a SymInt is an int64_t on the stable surface, and its methods go with its type."""

from __future__ import annotations

from torch_stabilize.codes import Example, untouched
from torch_stabilize.rules.context import Context, Outcome, Site
from torch_stabilize.rules.registry import rule
from torch_stabilize.rules.rewrite import Part
from torch_stabilize.rules.tensor_calls import MethodCall, receiver_type
from torch_stabilize.surface.entry import Entry

_NUMBERS = frozenset({"int64_t", "double", "bool", "SymFloat", "SymBool"})


@rule(
    "TSA170",
    "A SymInt is an int64_t; guard_int() and similar calls are removed.",
    examples=(
        Example(
            "at::Tensor f(const at::Tensor& x, c10::SymInt n) { return x.narrow(0, 0, n.guard_int(__FILE__, __LINE__)); }",
            "torch::stable::Tensor f(const torch::stable::Tensor& x, int64_t n) "
            "{ return stable_aten::narrow(x, 0, 0, n); }",
        ),
        Example(
            "int64_t f(c10::SymInt n, const c10::SymInt* m) { return n.expect_int() + m->maybe_as_int().value_or(1); }",
            "int64_t f(int64_t n, const int64_t* m) { return n + std::optional<int64_t>(*m).value_or(1); }",
        ),
        Example(
            "struct Size { int guard_int() const; };\nint f(Size n) { return n.guard_int(); }",
            "struct Size { int guard_int() const; };\nint f(Size n) { return n.guard_int(); }",
            "a class of the project",
        ),
        untouched(
            "namespace own { struct SymInt { int expect_int() const; }; }\n"
            "int f(own::SymInt s) { return s.expect_int(); }",
            "a class of that name in another namespace",
        ),
    ),
)
def symbolic(site: Site, context: Context, entry: Entry) -> Outcome | None:
    """`n.guard_int(__FILE__, __LINE__)` -> `n`."""
    kind = receiver_type(site, context)
    if kind is not None and kind.is_known and (kind.name not in _NUMBERS or kind.pointers):
        return None
    if (kind is None or not kind.is_known) and site.name in context.project.finder.written.classes.method_names:
        return None
    call = MethodCall(site, context)
    if not call.is_complete or call.receiver is None:
        return context.diagnose(site, entry.rule, f"cannot follow the call of {site.name}", "write the number itself")
    before, mark, after = entry.stable.partition("{self}")
    receiver: tuple[Part, ...] = (b"*" if call.through_pointer else b"", *call.behind_arrow()) if mark else ()
    parts: tuple[Part, ...] = (before.encode(), *receiver, after.encode())
    return context.rewrite(call.span, parts, entry.rule, entry=entry)
