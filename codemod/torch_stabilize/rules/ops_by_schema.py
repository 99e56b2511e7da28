"""Ops that are called by their schema: `at::_ops::add_Tensor::call(x, y, 1)`."""

from __future__ import annotations

from collections.abc import Iterator

from torch_stabilize.rules.context import Context, Outcome, Site
from torch_stabilize.rules.dispatcher import choose_overloads
from torch_stabilize.rules.methods import free_function
from torch_stabilize.rules.registry import case
from torch_stabilize.source.scopes import arguments_of
from torch_stabilize.surface.aten import derived_entry
from torch_stabilize.surface.entry import Entry
from torch_stabilize.surface.schemas import Op, overloads


@case("TSA130", "call")
def _by_overload(site: Site, context: Context, entry: Entry) -> Outcome | None:
    """`at::_ops::index_Tensor::call(x, ..)`: the function `at::index`, where the arguments mean that overload."""
    node, written = context.call(site), site.name.split("::")[-2]
    arguments = tuple(arguments_of(node)) if node is not None else ()
    for op in _written_as(written):
        function = context.surface.name(f"at::{op.name}") or derived_entry("function", f"at::{op.name}")
        meant = site._replace(name=f"at::{op.name}", entry=function)
        if function is not None and choose_overloads(arguments, False, context, meant) == (op,):
            return free_function(meant, context, function)
    return context.diagnose(site, "TSA190", f"{site.name} has no stable form", entry.note)


def _written_as(name: str) -> Iterator[Op]:
    """The ops that are called so in namespace at::_ops: by their name and that of the overload, "index_Tensor"."""
    places = [place for place, letter in enumerate(name) if letter == "_"]
    for base, overload in [(name, ""), *((name[:place], name[place + 1 :]) for place in places)]:
        yield from (op for op in overloads(base) if (op.name, op.overload) == (base, overload))
