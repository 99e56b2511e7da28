"""`x.index({...})` and `x.index_put_({...}, value)`: views taken apart, tensors as indices through the dispatcher."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from tree_sitter import Node

from torch_stabilize.codes import Example, untouched
from torch_stabilize.model import Confidence
from torch_stabilize.rules.context import Allowed, Context, Outcome, Site, SiteKind
from torch_stabilize.rules.kinds import kind_in_schemas
from torch_stabilize.rules.registry import case, rule
from torch_stabilize.rules.rewrite import Part
from torch_stabilize.rules.tensor_calls import MethodCall, is_tensor_method
from torch_stabilize.rules.wide_numbers import filled, full
from torch_stabilize.source.declarations import text_of
from torch_stabilize.source.document import Fragment
from torch_stabilize.source.scopes import arguments_of, receiver_type_parts
from torch_stabilize.source.spans import with_line
from torch_stabilize.source.types import UNKNOWN
from torch_stabilize.surface.entry import Entry

RULE = "TSA132"
_NUMBERS = ("int64_t", "double", "bool")


@dataclass(frozen=True)
class _View:
    """What the indices make of the tensor so far: an expression, and the tensors that are indices, by dimension."""

    parts: tuple[Part, ...]
    tensors: tuple[tuple[int, Part], ...] = ()
    helpers: frozenset[str] = frozenset()

    def call(self, name: str, *arguments: Part | tuple[Part, ...], helper: str = "") -> _View:
        """The expression as first argument of a function."""
        parts: list[Part] = [name.encode() + b"(", *self.parts]
        for argument in arguments:
            parts += [b", ", *(argument if isinstance(argument, tuple) else (argument,))]
        return replace(self, parts=(*parts, b")"), helpers=self.helpers | {helper} if helper else self.helpers)


@rule(
    RULE,
    "index() and index_put_() become views; tensors as indices go through the dispatcher.",
    text="An integer is select, a Slice is slice, None is unsqueeze; `...` counts the dimensions behind it from the back.",
    confidence=Confidence.REVIEW,
    examples=(
        untouched(
            "struct Book { int index(int) const; Book& index_put_(int, int); };\n"
            "int f(Book& b) { return b.index_put_(1, 2).index(1); }",
            "of another class",
        ),
        Example(
            "at::Tensor f(at::Tensor x, int64_t i) { using namespace torch::indexing;\n"
            "  return x.index({i, Slice(1, None), None}); }",
            "torch::stable::Tensor f(torch::stable::Tensor x, int64_t i) { \n"
            "  return torch::stable::unsqueeze(stable_aten::slice(torch::stable::select(x, 0, i), 0, 1, std::nullopt), 1); }",
        ),
        Example(
            'void f(at::Tensor x) { x.index_put_({"...", 0}, 1.0); }',
            "void f(torch::stable::Tensor x) { torch::stable::fill_(torch::stable::select(x, -1, 0), 1.0); }",
        ),
        Example(
            "at::Tensor f(at::Tensor x, at::Tensor rows) { return x.index({rows}); }",
            "torch::stable::Tensor f(torch::stable::Tensor x, torch::stable::Tensor rows) { "
            "return stable_aten::index(x, {rows}); }",
        ),
    ),
)
def indexing(site: Site, context: Context, entry: Entry) -> Outcome | None:
    """`x.index_put_({...}, value)` and the names of torch::indexing."""
    return _through_views(site, context, entry, lambda view, call: _written(view, call, context))


@case(RULE, "index")
def _index(site: Site, context: Context, entry: Entry) -> Outcome | None:
    return _through_views(site, context, entry, _read)


def _through_views(
    site: Site, context: Context, entry: Entry, make: Callable[[_View, MethodCall], _View | None]
) -> Outcome | None:
    """The views that the indices ask for, and what `make` does with them."""
    if not is_tensor_method(site, context):
        return None
    call = MethodCall(site, context)
    if not call.is_complete or not call.arguments or call.arguments[0].type != "initializer_list":
        return context.diagnose(site, RULE, f"the indices of {site.name} are not written here", entry.note)
    indices = [c for c in call.arguments[0].named_children if c.type != "comment"]
    view = _taken_apart(call.receiver_parts(), indices, call.fragment, context)
    if view is None:
        return context.diagnose(site, RULE, f"cannot tell the indices of {site.name} apart", entry.note)
    made = make(view, call)
    if made is None:
        return context.diagnose(site, RULE, f"cannot tell what {site.name} writes", entry.note)
    return context.rewrite(
        call.span,
        made.parts,
        RULE,
        confidence=Confidence.REVIEW,
        includes=("torch/csrc/stable/ops.h",),
        helpers=tuple(sorted(made.helpers)),
    )


def _taken_apart(receiver: tuple[Part, ...], indices: list[Node], fragment: Fragment, context: Context) -> _View | None:
    """The views the indices ask for, applied one after the other; None where an index cannot be told."""
    view = _View(receiver)
    dim, behind = 0, False  # behind `...` the dimensions count from the back
    for place, index in enumerate(indices):
        last = text_of(index).rpartition("::")[2]
        if text_of(index) == '"..."' or last == "Ellipsis":
            rest = [text_of(i).rpartition("::")[2] for i in indices[place + 1 :]]
            dim, behind = -sum(name != "None" for name in rest), True
        elif last == "None" or text_of(index) == "std::nullopt":
            view = view.call("torch::stable::unsqueeze", _number(dim - behind))
            dim += not behind
        else:
            step = _one(view, dim, index, fragment, context)
            if step is None:
                return None
            view, removed = step
            dim += behind or not removed
    return view


def _one(view: _View, dim: int, index: Node, fragment: Fragment, context: Context) -> tuple[_View, bool] | None:
    """The view with one index applied to `dim`, and whether the dimension is gone."""
    span = fragment.span(index)
    if index.type == "call_expression" and _called(index) == "Slice":
        return _sliced(view, dim, arguments_of(index), fragment), False
    kind = kind_in_schemas(index, context.type_of(index, fragment))
    if kind == "Tensor":
        if dim < 0:
            return None  # at which dimension from the front is not known
        return replace(view, tensors=(*view.tensors, (dim, span))), False
    if kind == "int64_t":
        return view.call("torch::stable::select", _number(dim), span), True
    return None


def _sliced(view: _View, dim: int, given: list[Node], fragment: Fragment) -> _View:
    bounds: list[Part] = [b"std::nullopt" if _is_none(node) else fragment.span(node) for node in given]
    if all(bound == b"std::nullopt" for bound in bounds):
        return view
    return view.call("stable_aten::slice", _number(dim), *bounds, helper="aten:slice.Tensor")


def _is_none(node: Node) -> bool:
    return text_of(node).rpartition("::")[2] in ("None", "nullopt")


def _called(node: Node) -> str:
    callee = node.child_by_field_name("function")
    return text_of(callee).rpartition("::")[2] if callee is not None else ""


def _number(value: int) -> bytes:
    return str(value).encode()


def _list_of(tensors: tuple[tuple[int, Part], ...]) -> tuple[Part, ...]:
    """`{std::nullopt, rows}`: a tensor per dimension, up to the last that has one."""
    by_dimension = dict(tensors)
    parts: list[Part] = []
    for dim in range(max(by_dimension) + 1):
        parts += [b", "] if dim else []
        parts.append(by_dimension.get(dim, b"std::nullopt"))
    return (b"{", *parts, b"}")


def _read(view: _View, call: MethodCall) -> _View | None:
    if len(call.arguments) != 1:
        return None
    if not view.tensors:
        return view
    return view.call("stable_aten::index", _list_of(view.tensors), helper="aten:index.Tensor")


def _written(view: _View, call: MethodCall, context: Context) -> _View | None:
    if len(call.arguments) < 2:
        return None
    fragment = call.fragment
    value = call.arguments[1]
    kind = kind_in_schemas(value, context.type_of(value, fragment))
    span: Part = fragment.span(value)
    more = [fragment.span(argument) for argument in call.arguments[2:]]
    if kind == "Tensor" and (view.tensors or not more):
        name = context.project.helpers.name("without_leading_ones").encode()
        stored: tuple[Part, ...] = (name + b"(", span, b")")
        view = replace(view, helpers=view.helpers | {"without_leading_ones"})
        if view.tensors:
            return view.call("stable_aten::index_put_", _list_of(view.tensors), stored, *more, helper="aten:index_put_")
        return view.call("stable_aten::copy_", stored, helper="aten:copy_")
    if kind not in _NUMBERS or more:
        return None
    if not view.tensors:
        parts, helpers = filled(view.parts, value, fragment, context)
        return replace(view, parts=parts, helpers=view.helpers | set(helpers))
    assert call.receiver is not None
    if call.receiver.type != "identifier" or call.through_pointer:
        return None
    name = text_of(call.receiver).encode()
    tail = (b", ", name + b".scalar_type()", b", std::nullopt, " + name + b".device()")
    number, helpers = full(b"{}", value, tail, fragment, context)
    put = view.call("stable_aten::index_put_", _list_of(view.tensors), number, helper="aten:index_put_")
    return replace(put, helpers=put.helpers | set(helpers))


@case(RULE, kind=SiteKind.NAME)
def _name(site: Site, context: Context, entry: Entry) -> Outcome:
    """`torch::indexing::Slice` within an index, and the using that made its name short."""
    walk = context.node(site)
    while walk is not None:
        if walk.type == "using_declaration":
            return context.rewrite(with_line(context.document.data, context.fragment(site).span(walk)), (), RULE)
        callee = walk.child_by_field_name("function") if walk.type == "call_expression" else None
        if callee is not None and callee.type == "field_expression":
            receiver, method = receiver_type_parts(callee)
            is_index = receiver is not None and method in ("index", "index_put_")
            kind = context.type_of(receiver, context.fragment(site)) if receiver is not None and is_index else UNKNOWN
            if kind.is_tensor or kind.pointee.is_tensor:
                return Allowed("taken apart by the index around it")
        walk = walk.parent
    return context.diagnose(site, RULE, f"{site.name} is kept in a place that cannot be followed", entry.note)
