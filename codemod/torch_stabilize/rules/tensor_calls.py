"""The call of a tensor's method: its receiver, its arguments, and whether it is a tensor's at all."""

from __future__ import annotations

from tree_sitter import Node

from torch_stabilize.model import Diagnostic, Span
from torch_stabilize.rules.context import Context, Site
from torch_stabilize.rules.foreign import is_foreign
from torch_stabilize.rules.rewrite import Part
from torch_stabilize.source.calls import is_unmistakable, reached
from torch_stabilize.source.declarations import text_of
from torch_stabilize.source.document import Fragment
from torch_stabilize.source.scopes import receiver_type_parts
from torch_stabilize.source.types import CppType
from torch_stabilize.surface.entry import Entry


class MethodCall:
    """`receiver.method<T>(arguments)` with the places of its parts in the file."""

    def __init__(self, site: Site, context: Context) -> None:
        self._context = context
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

    def following(self) -> tuple[Part, ...]:
        """`, ` and the arguments with the comments between them, to stand behind a receiver; nothing where there are none."""
        span = inside(self.argument_list, self.fragment)
        return (b", ", span) if span is not None else ()

    def receiver_parts(self) -> tuple[Part, ...]:
        """The receiver as an expression of type Tensor."""
        assert self.receiver is not None
        span = self.fragment.span(self.receiver)
        if not self.through_pointer:
            bare = self.receiver.type == "parenthesized_expression" and self.receiver.named_child_count == 1
            inner = self.receiver.named_children[0] if bare else self.receiver
            return (span if inner.type in ("comma_expression", "identifier") else self.fragment.span(inner),)
        return (b"*", *self.behind_arrow())

    def behind_arrow(self) -> tuple[Part, ...]:
        """What comes behind `*` for the tensor of `receiver->method()`."""
        assert self.receiver is not None
        if not self.through_pointer:
            return asked(self.receiver, self.fragment)
        return pointed(self.receiver, self.fragment, self._context)

    def asked_parts(self) -> tuple[Part, ...]:
        """The receiver with its parentheses, to stand before `.`."""
        parts = self.receiver_parts()
        assert self.receiver is not None
        if self.through_pointer:
            return (b"(", *parts, b")")
        bare = self.receiver.named_children[0] if self.receiver.type == "parenthesized_expression" else self.receiver
        return asked(bare, self.fragment)

    def template_text(self) -> str:
        """`T` of `data_ptr<T>`, empty if there is none."""
        assert self.callee is not None
        member = self.callee.child_by_field_name("field")
        text = text_of(member) if member is not None else ""
        return text.partition("<")[2].rpartition(">")[0].strip()


# What `.` can stand behind without parentheses.
_POSTFIX = frozenset({
    "identifier", "call_expression", "field_expression", "subscript_expression", "qualified_identifier", "this",
    "parenthesized_expression", "compound_literal_expression",
})  # fmt: skip


def asked(node: Node, fragment: Fragment) -> tuple[Part, ...]:
    """An expression to stand before `.`: `(c ? x : y)`."""
    span = fragment.span(node)
    return (span,) if node.type in _POSTFIX else (b"(", span, b")")


def pointed(node: Node, fragment: Fragment, context: Context) -> tuple[Part, ...]:
    """What `*` takes for the object of `node->m`: a class of the project may have its own `->` and no `*`."""
    finder = context.project.finder
    owner = finder.type_of(node, fragment, context.document)
    has = finder.written.methods_of
    is_own = not owner.pointers and has(owner, "operator->") and not has(owner, "operator*")
    return (*asked(node, fragment), b".operator->()") if is_own else asked(node, fragment)


def inside(arguments: Node | None, fragment: Fragment) -> Span | None:
    """The arguments with the comments before, between and behind them; None for an empty list."""
    if arguments is None or not any(child.type != "comment" for child in arguments.named_children):
        return None
    children = [
        child for child in arguments.named_children if child.type != "comment" or text_of(child).startswith("/*")
    ]
    return Span(fragment.span(children[0]).start, fragment.span(children[-1]).end)


def tensor_call(site: Site, context: Context) -> MethodCall | Diagnostic | None:
    """The call of a tensor's method; None for what is no tensor's, a diagnostic where the tree is of no help."""
    if site.entry is None or not is_tensor_method(site, context):
        return None
    call = MethodCall(site, context)
    if call.is_complete:
        return call
    advice = site.entry.note or "rewrite it by hand"
    return context.diagnose(site, site.entry.rule, f"cannot follow the call of {site.name}", advice)


def receiver_of(site: Site, context: Context) -> Node | None:
    """What a method is called on; None if the tree is of no help."""
    call = MethodCall(site, context)
    if call.callee is not None:
        return call.receiver
    node = context.ancestor(site, ("field_expression",), 3)
    return receiver_type_parts(node)[0] if node is not None else None


def receiver_type(site: Site, context: Context) -> CppType | None:
    """The type a method is called on, an optional or pointer seen through by `->`; None if the tree is of no help."""
    call = MethodCall(site, context)
    if call.callee is None:
        node = context.ancestor(site, ("field_expression",), 3)
        if node is None:
            return None
    else:
        node = call.callee
    kind = context.type_of(receiver_type_parts(node)[0], context.fragment(site))
    return reached(context.project.finder, kind, node, 0)


def is_receiver(site: Site, context: Context, entry: Entry) -> bool:
    """Whether the method is called on what `entry` is a method of."""
    if not entry.of:
        return is_tensor_method(site, context)
    kind = receiver_type(site, context)
    return kind is not None and kind.is_known and kind.name in entry.of


def is_tensor_method(site: Site, context: Context) -> bool:
    """Whether the method is called on a tensor."""
    kind = receiver_type(site, context)
    if kind is not None and kind.is_known:
        return kind.is_tensor
    if not is_unmistakable(context.project.finder, site.name, context.document):
        return False
    receiver, fragment = receiver_of(site, context), context.fragment(site)
    return receiver is None or not is_foreign(receiver, fragment, context.document, context)


def called_on(node: Node) -> tuple[str, Node] | None:
    """The method called on the result of `node`, with that call."""
    parent = node.parent
    if parent is None or parent.type != "field_expression" or parent.parent is None:
        return None
    if parent.parent.type != "call_expression":
        return None
    return receiver_type_parts(parent)[1], parent.parent
