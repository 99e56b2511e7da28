"""Methods of a tensor: renamed, turned into free functions, or sent through the dispatcher."""

from __future__ import annotations

from tree_sitter import Node

from codemod.codes import Example
from codemod.model import Confidence, Span
from codemod.rules.context import Allowed, Context, Outcome, Site, SiteKind
from codemod.rules.registry import page, rule
from codemod.rules.rewrite import Copy, Part
from codemod.source.declarations import text_of
from codemod.source.document import Fragment
from codemod.source.scopes import receiver_type_parts
from codemod.source.types import CppType, split_arguments
from codemod.surface.table import Entry

# No class of the standard library, of CUDA or of CUTLASS has these: a receiver of unknown type is taken for a tensor.
UNMISTAKABLE = frozenset({
    "data_ptr", "scalar_type", "numel", "is_contiguous", "contiguous", "element_size", "storage_offset", "dtype",
    "is_cuda", "is_cpu", "unsqueeze", "get_device", "packed_accessor32", "packed_accessor64", "index_put_", "item",
    "options", "nbytes", "itemsize", "reshape", "view_as", "reshape_as", "new_empty", "new_zeros", "zero_", "fill_",
    "copy_", "narrow", "masked_fill_", "masked_fill", "index_select", "toType",
})  # fmt: skip

page(
    "TSA130",
    "What only the dispatcher has is called through a typed wrapper in stable_aten.h.",
    "The wrapper is generated from the op's schema: every argument with its default and its exact type.",
)


class MethodCall:
    """`receiver.method<T>(arguments)` with the places of its parts in the file."""

    def __init__(self, site: Site, context: Context) -> None:
        self.fragment: Fragment = context.fragment(site)
        self.node: Node | None = context.call(site)
        callee = self.node.child_by_field_name("function") if self.node is not None else None
        self.callee: Node | None = callee if callee is not None and callee.type == "field_expression" else None
        self.receiver: Node | None = receiver_type_parts(self.callee)[0] if self.callee is not None else None
        arguments = self.node.child_by_field_name("arguments") if self.node is not None else None
        self.arguments: tuple[Node, ...] = (
            tuple(c for c in arguments.named_children if c.type != "comment") if arguments is not None else ()
        )
        self.argument_list: Node | None = arguments

    @property
    def is_complete(self) -> bool:
        """Whether the tree could be followed."""
        return self.node is not None and self.receiver is not None and self.argument_list is not None

    @property
    def through_pointer(self) -> bool:
        """`->` rather than `.`."""
        assert self.callee is not None
        return any(child.type == "->" for child in self.callee.children)

    @property
    def span(self) -> Span:
        """The whole call."""
        assert self.node is not None
        return self.fragment.span(self.node)

    def receiver_parts(self) -> tuple[Part, ...]:
        """The receiver as an expression of type Tensor."""
        assert self.receiver is not None
        span = self.fragment.span(self.receiver)
        if not self.through_pointer:
            bare = self.receiver.type == "parenthesized_expression" and self.receiver.named_child_count == 1
            inner = self.receiver.named_children[0] if bare else self.receiver
            return (span if inner.type in ("comma_expression", "identifier") else self.fragment.span(inner),)
        simple = self.receiver.type in ("identifier", "field_expression", "call_expression", "subscript_expression")
        return (b"*", span) if simple else (b"*(", span, b")")

    def template_text(self) -> str:
        """`T` of `data_ptr<T>`, empty if there is none."""
        assert self.callee is not None
        member = self.callee.child_by_field_name("field")
        text = text_of(member) if member is not None else ""
        return text.partition("<")[2].rpartition(">")[0].strip()


def receiver_type(site: Site, context: Context) -> CppType | None:
    """The type a method is called on, an optional or pointer seen through by `->`; None if the tree is of no help."""
    call = MethodCall(site, context)
    if call.callee is None:
        node = context.ancestor(site, ("field_expression",), 3)
        if node is None:
            return None
        receiver = receiver_type_parts(node)[0]
        arrow = any(child.type == "->" for child in node.children)
    else:
        receiver, arrow = call.receiver, call.through_pointer
    kind = context.type_of(receiver, context.fragment(site))
    if arrow and kind.name in ("optional", "unique_ptr", "shared_ptr"):
        return kind.inner or CppType("")
    if arrow and kind.pointers == 1:
        return CppType(kind.name, kind.arguments, 0, kind.const)
    return kind


def is_tensor_method(site: Site, context: Context) -> bool:
    """Whether the method is called on a tensor."""
    kind = receiver_type(site, context)
    if kind is not None and kind.is_known:
        return kind.is_tensor
    return site.name in UNMISTAKABLE


@rule(
    "TSA117",
    "Tensor methods become free functions, the receiver first.",
    text="Chains nest: each call keeps its receiver, rewritten in turn. What the stable header cannot take (another number\n"
    "of arguments, a header too old) goes through the dispatcher.",
    examples=(
        Example(
            "torch::Tensor f(torch::Tensor x) { return x.contiguous().view({-1, 8}); }",
            "torch::stable::Tensor f(torch::stable::Tensor x) { return "
            "torch::stable::view(torch::stable::contiguous(x), {-1, 8}); }",
        ),
        Example(
            "#include <string_view>\nauto f(std::string_view s) { return s.substr(1); }",
            "#include <string_view>\nauto f(std::string_view s) { return s.substr(1); }",
            "not a tensor",
        ),
    ),
)
def methods_to_functions(site: Site, context: Context) -> Outcome | None:
    """`x.view(s)` -> `torch::stable::view(x, s)`; names of functions are renamed in place."""
    entry = site.entry
    assert entry is not None
    if site.kind is SiteKind.NAME:
        return _named_function(site, context, entry)
    if not is_tensor_method(site, context):
        return None
    if site.name == "t":
        call = MethodCall(site, context)
        return _call(context, call, entry, "torch::stable::transpose", (*call.receiver_parts(), b", 0, 1"))
    if site.name in ("view_as", "reshape_as"):
        call = MethodCall(site, context)
        if call.is_complete and len(call.arguments) == 1:
            other: tuple[Part, ...] = (b", ", call.fragment.span(call.arguments[0]), b".sizes()")
            return _call(context, call, entry, entry.stable, (*call.receiver_parts(), *other))
    return free_function(site, context, entry)


def free_function(site: Site, context: Context, entry: Entry) -> Outcome | None:
    """The call with its receiver as first argument, by the stable header or by the dispatcher."""
    if site.kind is SiteKind.NAME:
        return _named_function(site, context, entry)
    if not is_tensor_method(site, context):
        return None
    call = MethodCall(site, context)
    if not call.is_complete:
        return context.diagnose(site, entry.rule, f"cannot follow the call of {site.name}", "rewrite it by hand")
    usable = entry if _fits(context, call, entry) else context.surface.fallback(entry)
    if usable is None:
        return context.diagnose(site, entry.rule, f"{site.name} has no stable form with these arguments", entry.note)
    if usable.form == "dispatcher":
        from codemod.rules.dispatcher import wrapper_call

        return wrapper_call(site, context, usable, call)
    return _call(context, call, usable, usable.stable, _arguments(context, call, usable))


def _named_function(site: Site, context: Context, entry: Entry) -> Outcome | None:
    node = context.call(site)
    arguments = node.child_by_field_name("arguments") if node is not None else None
    given = [c for c in arguments.named_children if c.type != "comment"] if arguments is not None else []
    fragment = context.fragment(site)
    fits = _arity_fits(entry, len(given)) and context.surface.available(
        entry, context.project.target, context.project.headers
    )
    usable = entry if fits else context.surface.fallback(entry)
    if usable is None:
        return context.diagnose(site, entry.rule, f"{site.name} has no stable form with these arguments", entry.note)
    if usable.form == "dispatcher":
        from codemod.rules.dispatcher import wrapper_function

        return wrapper_function(site, context, usable, given)
    if entry.stable.endswith(("::sum", "::amax")) and len(given) > 1 and node is not None:
        parts: list[Part] = [entry.stable.encode() + b"(", fragment.span(given[0]), b", "]
        parts += [*_dimensions(fragment, given[1])]
        for argument in given[2:]:
            parts += [b", ", fragment.span(argument)]
        return context.rewrite(fragment.span(node), (*parts, b")"), entry.rule, entry=entry)
    return context.replace(site, entry.stable, entry.rule, entry=entry)


def _call(context: Context, call: MethodCall, entry: Entry, name: str, inside: tuple[Part, ...]) -> Outcome:
    return context.rewrite(call.span, (name.encode() + b"(", *inside, b")"), entry.rule, entry=entry)


def _arguments(context: Context, call: MethodCall, entry: Entry) -> tuple[Part, ...]:
    parts: list[Part] = list(call.receiver_parts())
    for place, argument in enumerate(call.arguments):
        wraps = place == 0 and entry.stable.endswith(("::sum", "::amax"))
        parts += [b", ", *(_dimensions(call.fragment, argument) if wraps else (call.fragment.span(argument),))]
    return tuple(parts)


def _dimensions(fragment: Fragment, argument: Node) -> tuple[Part, ...]:
    """Dimensions as a vector: a braced list or a lone number would dangle in the header's array view."""
    span = fragment.span(argument)
    if argument.type == "initializer_list":
        return (b"std::vector<int64_t>", span)
    if argument.type in ("number_literal", "unary_expression"):
        return (b"std::vector<int64_t>{", span, b"}")
    return (span,)


def _arity_fits(entry: Entry, given: int) -> bool:
    return entry.arity is None or entry.arity[0] <= given <= entry.arity[1]


def _fits(context: Context, call: MethodCall, entry: Entry) -> bool:
    if not _arity_fits(entry, len(call.arguments)):
        return False
    if not context.surface.available(entry, context.project.target, context.project.headers):
        return False
    if entry.stable.endswith("::view") and call.arguments:
        kind = context.type_of(call.arguments[0], call.fragment)
        if kind.name == "ScalarType":
            return False
    return not entry.mutates or _is_mutable_lvalue(context, call)


def _is_mutable_lvalue(context: Context, call: MethodCall) -> bool:
    assert call.receiver is not None
    if call.receiver.type not in ("identifier", "field_expression", "subscript_expression"):
        return False
    return not context.type_of(call.receiver, call.fragment).const


@rule(
    "TSA112",
    "dtype() becomes scalar_type(): the stable surface has no TypeMeta.",
    text="A dtype that is printed reads `Float` where it read `float`.",
    examples=(
        Example(
            "bool f(const at::Tensor& x) { return x.dtype() == at::kInt; }",
            "bool f(const torch::stable::Tensor& x) { return x.scalar_type() == torch::headeronly::ScalarType::Int; }",
        ),
    ),
)
def dtype(site: Site, context: Context) -> Outcome | None:
    """`x.dtype()`, `x.type()`, and the conversions between TypeMeta and ScalarType."""
    entry = site.entry
    assert entry is not None
    if site.kind is SiteKind.NAME:  # typeMetaToScalarType(x.dtype())
        node = context.call(site)
        arguments = node.child_by_field_name("arguments") if node is not None else None
        if node is None or arguments is None or arguments.named_child_count != 1:
            return context.diagnose(site, entry.rule, f"{site.name} has no stable form", entry.note)
        fragment = context.fragment(site)
        inner = arguments.named_children[0]
        return context.rewrite(fragment.span(node), (fragment.span(inner),), entry.rule)
    if not is_tensor_method(site, context):
        return None
    call = MethodCall(site, context)
    if call.arguments:
        return None  # TensorOptions::dtype(x)
    if call.is_complete and call.node is not None and (outer := _called_on(call.node)) is not None:
        member, whole = outer
        end = Span(site.span.start, context.fragment(site).span(whole).end)
        if member == "itemsize":
            return context.rewrite(end, (b"element_size()",), entry.rule, entry=entry)
        if member == "toScalarType" or member == "scalarType":
            return context.rewrite(end, (b"scalar_type()",), entry.rule, entry=entry)
    return context.replace(site, entry.stable, entry.rule, entry=entry)


def _called_on(node: Node) -> tuple[str, Node] | None:
    """The method called on the result of `node`, with that call."""
    parent = node.parent
    if parent is None or parent.type != "field_expression" or parent.parent is None:
        return None
    if parent.parent.type != "call_expression":
        return None
    return receiver_type_parts(parent)[1], parent.parent


@rule(
    "TSA116",
    "Questions about the device are asked of device().type().",
    examples=(
        Example(
            "bool f(const at::Tensor& x) { return x.is_meta(); }",
            "bool f(const torch::stable::Tensor& x) { return x.device().type() == "
            "torch::headeronly::DeviceType::Meta; }",
        ),
    ),
)
def predicates(site: Site, context: Context) -> Outcome | None:
    """`x.is_meta()` and `x.device().is_meta()`."""
    entry = site.entry
    assert entry is not None
    kind = receiver_type(site, context)
    if kind is None or not (kind.is_tensor or kind.name == "Device"):
        return None
    call = MethodCall(site, context)
    if not call.is_complete or call.node is None:
        return context.diagnose(site, entry.rule, f"cannot follow the call of {site.name}", entry.note)
    if site.name == "is_contiguous":
        return _contiguity(site, context, call)
    text = entry.stable.replace(".device()", "") if kind.name == "Device" else entry.stable
    return _expression_of(context, call, text, entry)


def _contiguity(site: Site, context: Context, call: MethodCall) -> Outcome:
    """`is_contiguous()`, which takes no memory format any more."""
    entry = site.entry
    assert entry is not None
    if not call.arguments:
        return Allowed("the same on both sides")
    wanted = text_of(call.arguments[0]).rpartition("::")[2]
    if wanted == "Contiguous":
        return context.rewrite(call.fragment.span(call.argument_list), (b"()",), entry.rule)  # type: ignore[arg-type]
    if wanted in ("ChannelsLast", "ChannelsLast3d"):
        return _expression_of(context, call, "is_channels_last({t})", entry)
    return context.diagnose(site, entry.rule, "is_contiguous() with a memory format has no stable form", entry.note)


def _expression_of(context: Context, call: MethodCall, text: str, entry: Entry) -> Outcome:
    """The call replaced by an expression of the receiver, which `{t}` stands for in `text`."""
    assert call.node is not None
    assert call.receiver is not None
    receiver = call.fragment.span(call.receiver)
    sign = b"->" if call.through_pointer else b"."
    pieces = text.split("{t}")
    parts: list[Part] = [pieces[0].encode()]
    for place, piece in enumerate(pieces[1:]):
        named: Part = receiver if place == 0 else Copy(receiver)
        if piece.startswith("."):
            parts += [named, sign + piece[1:].encode()]
        else:
            parts += [b"*" if call.through_pointer else b"", named, piece.encode()]
    if not pieces[0] and _binds_tighter(call.node):
        parts = [b"(", *parts, b")"]
    return context.rewrite(call.span, tuple(parts), entry.rule, entry=entry)


def _binds_tighter(node: Node) -> bool:
    """Whether an operator or a member access around the call would tear a binary expression apart."""
    parent = node.parent
    if parent is None or parent.type not in (
        "unary_expression",
        "binary_expression",
        "field_expression",
        "cast_expression",
    ):
        return False
    operator = parent.child_by_field_name("operator")
    return parent.type != "binary_expression" or operator is None or text_of(operator) not in ("&&", "||")


@rule(
    "TSA110",
    "Tensor methods that exist under another name are renamed.",
    examples=(
        Example(
            "int64_t f(const at::Tensor& x) { return 2 * x.nbytes(); }",
            "int64_t f(const torch::stable::Tensor& x) { return 2 * (x.numel() * x.element_size()); }",
        ),
        Example(
            "int f(const at::Tensor& x) { return x.get_device(); }",
            "int f(const torch::stable::Tensor& x) { return x.get_device_index(); }",
            "the stable get_device() is one byte wide",
        ),
    ),
)
def renamed_methods(site: Site, context: Context) -> Outcome | None:
    """`x.get_device()`, `x.nbytes()`."""
    entry = site.entry
    assert entry is not None
    if not is_tensor_method(site, context):
        return None
    if "{t}" not in entry.stable:
        return context.replace(site, entry.stable, entry.rule, entry=entry)
    call = MethodCall(site, context)
    if not call.is_complete:
        return context.diagnose(site, entry.rule, f"cannot follow the call of {site.name}", entry.note)
    return _expression_of(context, call, entry.stable, entry)


@rule(
    "TSA118",
    "to(), cpu() and cuda() become torch::stable::to with its arguments in the stable order.",
    examples=(
        Example(
            "at::Tensor f(at::Tensor x) { return x.to(at::kHalf); }",
            "torch::stable::Tensor f(torch::stable::Tensor x) { return torch::stable::to(x, "
            "torch::headeronly::ScalarType::Half); }",
        ),
    ),
)
def conversions(site: Site, context: Context) -> Outcome | None:
    """`x.to(dtype)`, `x.to(device)`, `x.to(device, dtype)`, `x.to(other)`, `x.cpu()`, `x.cuda()`."""
    entry = site.entry
    assert entry is not None
    if not is_tensor_method(site, context):
        return None
    call = MethodCall(site, context)
    if not call.is_complete:
        return context.diagnose(site, entry.rule, f"cannot follow the call of {site.name}", entry.note)
    inside = _conversion_arguments(site, context, call)
    if inside is None:
        return context.diagnose(site, entry.rule, f"cannot tell the arguments of {site.name} apart", entry.note)
    return _call(context, call, entry, entry.stable, (*call.receiver_parts(), *inside))


def _conversion_arguments(site: Site, context: Context, call: MethodCall) -> tuple[Part, ...] | None:
    if site.name in ("cpu", "cuda"):
        device = "kCPU" if site.name == "cpu" else "kCUDA"
        return (f", torch::stable::Device(torch::headeronly::{device})".encode(),)
    spans = [call.fragment.span(argument) for argument in call.arguments]
    kinds = [context.type_of(argument, call.fragment).name for argument in call.arguments]
    if not spans:
        return None
    rest: list[Part] = [part for span in spans[1:] for part in (b", ", span)]
    if site.name == "type_as" or kinds[0] == "Tensor":
        return (b", ", spans[0], b".scalar_type(), std::nullopt, ", spans[0], b".device()", *rest)
    if kinds[0] == "TensorOptions":
        from codemod.rules.options import read_options

        options = read_options(call.arguments[0], call.fragment, context)
        if options is None:
            return None
        return (b", ", *options.dtype_parts(), b", std::nullopt, ", *options.device_parts(), *rest)
    if kinds[0] == "ScalarType":
        if len(spans) == 1:
            return (b", ", spans[0])
        return (b", ", spans[0], b", std::nullopt, std::nullopt, std::nullopt", *rest)
    if kinds[0] in ("Device", "DeviceType"):
        device_span: tuple[Part, ...] = (
            (spans[0],) if kinds[0] == "Device" else (b"torch::stable::Device(", spans[0], b")")
        )
        if len(spans) > 1 and kinds[1] == "ScalarType":
            more: list[Part] = [part for span in spans[2:] for part in (b", ", span)]
            pin: tuple[Part, ...] = (b", std::nullopt",) if more else ()
            return (b", ", spans[1], b", std::nullopt, ", *device_span, *pin, *more)
        return (b", ", *device_span, *rest)
    return None


@rule("TSA113", "item<T>() reads one value through the C shim.", confidence=Confidence.REVIEW)
def item(site: Site, context: Context) -> Outcome | None:
    """`x.item<float>()` -> `item<float>(x)` with the helper."""
    if not is_tensor_method(site, context):
        return None
    call = MethodCall(site, context)
    wanted = call.template_text() if call.is_complete else ""
    if not wanted:
        return context.diagnose(
            site,
            "TSA113",
            "item() without a type gives a Scalar, which has no stable form",
            "write item<T>() with the type that is meant",
        )
    name = context.project.helpers.name("item")
    return context.rewrite(
        call.span, (f"{name}<{wanted}>(".encode(), *call.receiver_parts(), b")"), "TSA113", helpers=("item",)
    )


@rule(
    "TSA115",
    "Sizes of storages and elements come from the tensor or from the C shim.",
    examples=(
        Example(
            "int f(const at::Tensor& x) { return at::elementSize(x.scalar_type()); }",
            "int f(const torch::stable::Tensor& x) { return x.element_size(); }",
        ),
    ),
)
def sizes(site: Site, context: Context) -> Outcome | None:
    """`elementSize(dtype)`, `x.storage().nbytes()`."""
    entry = site.entry
    assert entry is not None
    if site.kind is SiteKind.METHOD:
        return _storage(site, context, entry)
    node = context.call(site)
    arguments = node.child_by_field_name("arguments") if node is not None else None
    given = [c for c in arguments.named_children if c.type != "comment"] if arguments is not None else []
    if node is None or len(given) != 1:
        return context.diagnose(site, entry.rule, f"cannot follow the call of {site.name}", entry.note)
    fragment = context.fragment(site)
    tensor = _tensor_of_dtype(given[0], fragment, context)
    if tensor is not None:
        return context.rewrite(fragment.span(node), (f"{tensor}.element_size()".encode(),), entry.rule)
    name = context.project.helpers.name("element_size")
    return context.rewrite(
        fragment.span(node), (f"{name}(".encode(), fragment.span(given[0]), b")"), entry.rule, helpers=("element_size",)
    )


def _tensor_of_dtype(node: Node, fragment: Fragment, context: Context) -> str | None:
    """The tensor whose dtype the expression is: `x` for `x.scalar_type()`, also through a local variable."""
    if node.type == "identifier":
        value = context.project.finder.value_of(text_of(node), node, fragment)
        return _tensor_of_dtype(value, fragment, context) if value is not None else None
    if node.type != "call_expression":
        return None
    callee = node.child_by_field_name("function")
    if callee is None or callee.type != "field_expression":
        return None
    receiver, method = receiver_type_parts(callee)
    if method not in ("scalar_type", "dtype") or receiver is None or receiver.type != "identifier":
        return None
    arrow = any(child.type == "->" for child in callee.children)
    return None if arrow else text_of(receiver)


def _storage(site: Site, context: Context, entry: Entry) -> Outcome | None:
    if not is_tensor_method(site, context):
        return None
    call = MethodCall(site, context)
    outer = _called_on(call.node) if call.node is not None else None
    if outer is None or outer[0] not in ("nbytes", "sym_nbytes"):
        return context.diagnose(site, entry.rule, "storage() has no stable form", entry.note)
    name = context.project.helpers.name("storage_nbytes")
    return context.rewrite(
        call.fragment.span(outer[1]),
        (f"{name}(".encode(), *call.receiver_parts(), b")"),
        entry.rule,
        helpers=("storage_nbytes",),
    )


@rule(
    "TSA114",
    "Accessors are built from the pointer, the sizes and the strides.",
    confidence=Confidence.REVIEW,
    text=("The header-only accessor borrows the sizes and strides of the tensor and checks neither dtype nor rank."),
)
def accessors(site: Site, context: Context) -> Outcome | None:
    """`x.accessor<float, 2>()`, `x.packed_accessor32<float, 2, Traits>()` and their types."""
    entry = site.entry
    assert entry is not None
    if site.kind is SiteKind.NAME:
        return _accessor_type(site, context, entry)
    if not is_tensor_method(site, context):
        return None
    call = MethodCall(site, context)
    arguments = split_arguments(call.template_text()) if call.is_complete else ()
    if len(arguments) < 2:
        return context.diagnose(site, entry.rule, f"cannot follow the call of {site.name}", entry.note)
    dtype_text = arguments[0]
    if site.name != "accessor":
        traits = arguments[2] if len(arguments) > 2 else "torch::headeronly::DefaultPtrTraits"
        for old in ("torch::RestrictPtrTraits", "at::RestrictPtrTraits"):
            traits = traits.replace(old, "torch::headeronly::RestrictPtrTraits")
        index = "int32_t" if site.name == "packed_accessor32" else "int64_t"
        arguments = (*arguments[:2], traits, index)
    name = f"{entry.stable}<{', '.join(arguments)}>("
    receiver = call.receiver_parts()
    member = b".mutable_data_ptr<" + dtype_text.encode() + b">(), "
    return context.rewrite(
        call.span,
        (name.encode(), *receiver, member, *receiver, b".sizes().data(), ", *receiver, b".strides().data())"),
        entry.rule,
        entry=entry,
    )


def _accessor_type(site: Site, context: Context, entry: Entry) -> Outcome:
    if entry.form == "rename":
        return context.replace(site, entry.stable, entry.rule, entry=entry)
    index = "int32_t" if site.name.endswith("32") else "int64_t"
    code = context.document.code
    opening = site.span.end
    if code[opening : opening + 1] != b"<":
        return context.diagnose(site, entry.rule, f"{site.name} without its arguments", entry.note)
    from codemod.source.brackets import closing_angle

    closing = closing_angle(code, opening)
    if closing < 0:
        return context.diagnose(site, entry.rule, f"{site.name} without its arguments", entry.note)
    inside = split_arguments(code[opening + 1 : closing].decode())
    traits = "" if len(inside) > 2 else ", torch::headeronly::DefaultPtrTraits"
    name = entry.stable.partition("<")[0]
    end = Span(closing, closing)
    tail = context.rewrite(end, (f"{traits}, {index}".encode(),), entry.rule)
    return context.rewrite(site.span, (name.encode(),), entry.rule, entry=entry, also=(tail,))


__all__ = ["Allowed", "MethodCall", "free_function", "is_tensor_method", "receiver_type"]
