"""What the libraries register, before and after: names, schemas and dispatch keys as the dispatcher says them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from torch_stabilize.model import Severity
from torch_stabilize.surface.schema import Schema, SchemaError, Type, parse_schema
from torch_stabilize.verify import codes
from torch_stabilize.verify.announced import Announced
from torch_stabilize.verify.calls import Calls
from torch_stabilize.verify.golden.inventory import Operator
from torch_stabilize.verify.result import Finding, Step, finding

# What had no key is shown as CompositeImplicitAutograd; the stable API registers under a key only.
_KEYLESS = "CompositeImplicitAutograd"
_CHOSEN = frozenset({"CompositeExplicitAutograd", "CPU", "CUDA"})

_NUMBERED = re.compile(r"_\d+")


class Offered(NamedTuple):
    """The functions and classes that the Python modules have, before and after the migration: "f", "inner.f"."""

    before: frozenset[str] = frozenset()
    after: frozenset[str] = frozenset()


def operators_step(
    before: Iterable[Operator],
    after: Iterable[Operator],
    calls: Calls | None = None,
    group: Announced | None = None,
    offered: Offered | None = None,
) -> Step:
    """The `operators` step: the libraries after the migration together register what the legacy one did.

    `calls` are the operators that were called in every way. `group` is what the migration announces: operators that
    were functions of a Python module, and those that the stable library had before and the legacy one has not.
    `offered` are the functions and classes of Python modules.
    """
    group = group or Announced()
    old = {operator.name: operator for operator in before}
    new = {operator.name: operator for operator in after}
    earlier = group.earlier & new.keys() - old.keys()
    names = sorted({*old, *new} - earlier - group.functions.keys() - group.added)
    diagnostics = tuple(item for name in names for item in _compare(name, old.get(name), new.get(name)))
    announced = sorted(group.functions.keys() | group.added)
    diagnostics += tuple(item for name in announced for item in _expected(name, group, new))
    lost = sorted(group.earlier & group.always - new.keys() - old.keys())
    diagnostics += tuple(
        finding(codes.OPERATOR_LOST, f"{name}, which was stable before, is registered by no library any more")
        for name in lost
    )
    diagnostics += tuple(_lost_functions(offered or Offered(), group))
    summary = f"{len(old)} operators before, {len(new)} after; schemas and dispatch keys compared"
    figures = {"before": len(old), "after": len(new)}
    if earlier:
        figures["earlier"] = len(earlier)
        summary += f", but for {len(earlier)} that were stable before"
    if group.functions:
        figures["functions"] = len(group.functions)
        summary += f", {len(group.functions)} functions of a Python module before"
    if calls is not None:
        diagnostics += calls.findings
        figures["called"] = calls.operators
        summary += f", {calls.operators} called in every way" if calls.operators else ""
    return Step.judged("operators", summary, diagnostics, figures)


def _compare(name: str, old: Operator | None, new: Operator | None) -> list[Finding]:
    if old is None or new is None:
        what = "is new" if old is None else "is registered by no library any more"
        return [finding(codes.OPERATOR_LOST, f"{name} {what}")]
    found = []
    if old.schema != new.schema:
        severity = Severity.NOTE if _writes_out(new.schema, old.schema) else Severity.ERROR
        found.append(finding(codes.SCHEMA_DIFFERS, f"{new.schema}, and was {old.schema}", severity=severity))
    if old.keys != new.keys:
        text = (
            f"{name} has kernels for {', '.join(new.keys) or 'no key'}, and had for {', '.join(old.keys) or 'no key'}"
        )
        severity = Severity.NOTE if _was_keyless(old.keys, new.keys) else Severity.ERROR
        found.append(finding(codes.KEYS_DIFFER, text, severity=severity))
    if old.tags != new.tags:
        text = f"{name} has the tags {', '.join(new.tags) or 'none'}, and had {', '.join(old.tags) or 'none'}"
        found.append(
            finding(
                codes.TAGS_DIFFER,
                text,
                help="m.def takes them from target 2.12 on, torch.library.define in Python always",
            )
        )
    if old.module != new.module:
        text = f"{name} has its fakes in {new.module or 'no Python module'}, and had them in {old.module or 'none'}"
        found.append(finding(codes.MODULE_DIFFERS, text, help="import the module where the library is loaded"))
    return found


def _expected(name: str, group: Announced, new: Mapping[str, Operator]) -> list[Finding]:
    """What was a function of a Python module has to be an operator of the name that the migration announces."""
    if name in new:
        was = f"was the function {group.functions[name]}" if name in group.functions else "is new, as announced"
        text = f"{name} {was}; its schema is {new[name].schema}"
        return [finding(codes.BECAME_OPERATOR, text, severity=Severity.NOTE)]
    if name in group.always:
        return [finding(codes.OPERATOR_LOST, f"{name}, which was {group.functions[name]}, is registered by no library")]
    return []


def _lost_functions(offered: Offered, group: Announced) -> Iterator[Finding]:
    """What a Python module had, and neither a module nor an operator that the migration announces has now."""
    announced = {called.partition(".")[2] for called in group.functions.values()}
    for name in sorted(offered.before - offered.after - announced):
        yield finding(codes.OPERATOR_LOST, f"{name}, of a Python module before, is in no module any more")


def _was_keyless(old: Iterable[str], new: Iterable[str]) -> bool:
    """Whether only the keys were chosen that the stable API wants where there was none.

    A kernel for Meta may have become a fake kernel in Python.
    """
    lost, added = set(old) - set(new), set(new) - set(old)
    return lost <= {_KEYLESS, "Meta"} and bool(lost) and added <= _CHOSEN


def _writes_out(new: str, old: str) -> bool:
    """Whether torch inferred `old` from a C++ type, with numbers for names, and `new` is written with those types."""
    try:
        before, after = parse_schema(old), parse_schema(new)
    except SchemaError:
        return False
    numbered = [_NUMBERED.fullmatch(value.name) is not None for value in (*before.arguments, *before.returns)]
    return bool(numbered) and all(numbered) and _without_names(before) == _without_names(after)


def _without_names(schema: Schema) -> tuple[str, list[Type], list[Type]]:
    """The name of an operator, and the types of its arguments and results without aliasing."""
    return schema.full_name, [a.type.bare for a in schema.arguments], [r.type.bare for r in schema.returns]
