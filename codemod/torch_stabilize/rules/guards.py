"""Guards of devices: which of them may stay empty, and what is asked of them after they were made."""

from __future__ import annotations

import re

from tree_sitter import Node

from torch_stabilize.codes import Example
from torch_stabilize.rules.context import Context, Outcome, Site
from torch_stabilize.rules.device_arguments import device_index, guard_argument
from torch_stabilize.rules.registry import case, rule
from torch_stabilize.rules.rewrite import Rewrite
from torch_stabilize.rules.tensor_calls import MethodCall, receiver_type
from torch_stabilize.source.declarations import innermost_name, text_of
from torch_stabilize.source.document import Fragment
from torch_stabilize.source.types import UNKNOWN, CppType
from torch_stabilize.surface.entry import Entry

GUARD = "torch::stable::accelerator::DeviceGuard"
HELPER = "OptionalDeviceGuard"
_OF_CUDA = frozenset({"CUDAGuard", "HIPGuard", "HIPGuardMasqueradingAsCUDA"})
_GUARDS = re.compile(r"(?:Optional)?(?:CUDA|Device|HIP)Guard(?:MasqueradingAsCUDA)?")
_TYPES_ONLY = frozenset({"template_argument_list", "type_descriptor", "parameter_declaration", "function_definition"})


def needs_helper(site: Site, context: Context) -> bool:
    """Whether a guard is of any device, may be empty, or is a member that is made elsewhere."""
    last = site.name.rpartition("::")[2]
    if "Device" in last:
        return not _is_on_gpu(site, context)
    node = context.node(site)
    holder = _holder(node)
    if holder is not None and holder.type == "field_declaration":
        return True
    if last in _OF_CUDA:
        return False
    fragment = context.fragment(site)
    if holder is None or holder.type != "declaration":
        call = context.ancestor(site, ("call_expression", "compound_literal_expression"), 3)
        made = call.child_by_field_name("arguments") or call.child_by_field_name("value") if call is not None else None
        return _may_be_none(made, fragment, context)
    declarator = next(iter(holder.children_by_field_name("declarator")), None)
    if declarator is None or declarator.type == "identifier":
        return True
    given = declarator.child_by_field_name("value") or declarator.child_by_field_name("parameters")
    name, _ = innermost_name(declarator)
    return _may_be_none(given, fragment, context) or (name is not None and _is_asked(text_of(name), holder))


_ON_GPU = re.compile(r"(?:\w+::)*Device\s*[({]\s*(?:\w+::)*(?:kCUDA|kHIP|CUDA|HIP)\s*,")


def _is_on_gpu(site: Site, context: Context) -> bool:
    """Whether a guard is made from a device that is a GPU by its own text: `Device(kCUDA, index)`."""
    argument = guard_argument(site, context)
    return argument is not None and _ON_GPU.match(text_of(argument)) is not None


def names_type_only(site: Site, context: Context) -> bool:
    """Whether a guard's type is named where none is made: the result of a function, an argument of a template."""
    node = context.node(site)
    while node is not None and node.type in ("type_identifier", "namespace_identifier", "qualified_identifier"):
        node = node.parent
    if node is None:
        return False
    if node.type == "declaration":
        declarators = node.children_by_field_name("declarator")
        return bool(declarators) and all(_is_function(one) or _is_copied(one) for one in declarators)
    if node.type == "type_descriptor" and _makes_one(node):
        return False
    return node.type in _TYPES_ONLY


def _makes_one(node: Node) -> bool:
    """Whether the type is the argument of a function that makes one: `std::make_unique<CUDAGuard>(x.device())`."""
    walk: Node | None = node
    while walk is not None and walk.type in ("type_descriptor", "template_argument_list", "template_function"):
        walk = walk.parent
    while walk is not None and walk.type == "qualified_identifier":
        walk = walk.parent
    return walk is not None and walk.type == "call_expression"


def _is_copied(declarator: Node) -> bool:
    """`CUDAGuard guard = CUDAGuard(x.device())`: the value says which device."""
    value = declarator.child_by_field_name("value") if declarator.type == "init_declarator" else None
    return value is not None and value.type == "call_expression"


def _is_function(declarator: Node) -> bool:
    if declarator.type != "function_declarator" or _is_local(declarator):
        return False
    parameters = declarator.child_by_field_name("parameters")
    kinds = [child.child_by_field_name("declarator") for child in parameters.named_children] if parameters else []
    return bool(kinds) and all(kind is not None for kind in kinds)


def _is_local(declarator: Node) -> bool:
    """Whether it is written in a function: the grammar of C++ takes `Guard guard(device_of(x))` for a declaration."""
    block = declarator.parent.parent if declarator.parent is not None else None
    return block is not None and block.type in ("compound_statement", "case_statement")


def _holder(node: Node | None) -> Node | None:
    """The declaration whose type the node is."""
    while node is not None and node.type in ("type_identifier", "namespace_identifier", "qualified_identifier"):
        node = node.parent
    return node if node is not None and node.type in ("declaration", "field_declaration") else None


def _may_be_none(given: Node | None, fragment: Fragment, context: Context) -> bool:
    """Whether a guard is made from an optional, or from device_of() of one."""
    if given is None:
        return False
    inside = given.named_children if given.type in ("argument_list", "initializer_list", "parameter_list") else [given]
    return any(
        context.type_of(one, fragment).name == "optional" and not _is_of_tensor(one, fragment, context)
        for one in inside
    ) or any(_names_optional(one, fragment, context) for one in inside)


def _is_of_tensor(node: Node, fragment: Fragment, context: Context) -> bool:
    """`device_of(x)` of a tensor, which is there."""
    if node.type != "call_expression":
        return False
    arguments = node.child_by_field_name("arguments")
    given = arguments.named_children if arguments is not None else []
    return len(given) == 1 and not _is_optional(context.type_of(given[0], fragment))


def _names_optional(node: Node, fragment: Fragment, context: Context) -> bool:
    """`device_of(maybe)` in what the grammar took for a list of parameters."""
    found = re.fullmatch(r"(?:(?:c10|at)::)?(?:device_of\(\s*)?([A-Za-z_]\w*)\s*\)?", text_of(node))
    if found is None:
        return False
    return _is_optional(context.project.finder.type_of_name(found.group(1), node, fragment, context.document))


def _is_optional(kind: CppType) -> bool:
    return kind.name == "optional" and not kind.pointers


def _is_asked(name: str, declaration: Node) -> bool:
    """Whether something is asked of the guard later on."""
    block = declaration.parent
    text = text_of(block) if block is not None else ""
    return re.search(rf"\b{re.escape(name)}\s*\.\s*\w", text) is not None


@rule(
    "TSA408",
    "A guard is moved to another device by its index.",
    examples=(
        Example(
            "#include <optional>\nvoid f(const at::Tensor& x) { at::cuda::CUDAGuard g(x.device()); g.set_device(x.device());\n"
            "  std::optional<at::cuda::CUDAGuard> later; later.emplace(x.device()); }",
            "#include <optional>\nvoid f(const torch::stable::Tensor& x) { torch::stable::accelerator::DeviceGuard "
            "g(x.get_device_index()); g.set_index(x.get_device_index());\n"
            "  std::optional<torch::stable::accelerator::DeviceGuard> later; later.emplace(x.get_device_index()); }",
        ),
        Example(
            "#include <optional>\nstruct Row { void set_device(int n) {} };\n"
            "void f(Row r, std::optional<Row> s) { r.set_device(1); s.emplace(); }",
            "#include <optional>\nstruct Row { void set_device(int n) {} };\n"
            "void f(Row r, std::optional<Row> s) { r.set_device(1); s.emplace(); }",
            "other classes with such methods",
        ),
    ),
)
def guard_method(site: Site, context: Context, entry: Entry) -> Outcome | None:
    """`guard.set_device(x.device())`, `optional_guard.emplace(x.device())`."""
    place = _guarded(site, context, entry, receiver_type(site, context))
    if not isinstance(place, Rewrite):
        return place
    return context.replace(site, "set_index", entry.rule, also=(place,), includes=(entry.include,))


@case("TSA408", "emplace")
def _emplaced(site: Site, context: Context, entry: Entry) -> Outcome | None:
    call = MethodCall(site, context)
    owner = context.type_of(call.receiver, call.fragment) if call.is_complete else UNKNOWN
    return _guarded(site, context, entry, owner.inner if _is_optional(owner) else None)


def _guarded(site: Site, context: Context, entry: Entry, kind: CppType | None) -> Outcome | None:
    """The index of the device in place of the argument of a guard's method."""
    call = MethodCall(site, context)
    if not call.is_complete:
        return None
    if kind is None or not _GUARDS.fullmatch(kind.name):
        return None
    if entry.note:
        return context.diagnose(site, entry.rule, f"{site.name}() of a guard has no stable form", entry.note)
    if kind.name not in _OF_CUDA:
        return None  # the helper has the method
    index = device_index(call.arguments[0], call.fragment, context) if len(call.arguments) == 1 else None
    if index is None:
        return context.diagnose(site, entry.rule, f"cannot tell which device {site.name}() is about", entry.note)
    return context.rewrite(call.fragment.span(call.arguments[0]), index, entry.rule)
