"""What the arguments of a call say about the extension module that it makes."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from torch_stabilize.buildfiles.model import Gap, GapKind, When
from torch_stabilize.buildfiles.setup.evaluate.expressions import Expressions
from torch_stabilize.buildfiles.setup.evaluate.values import (
    NONE,
    Arguments,
    Const,
    Item,
    Items,
    Kind,
    Made,
    Table,
    Text,
    Value,
    alternatives,
    both,
    expanded,
)  # fmt: skip


def made_by(evaluator: Expressions, node: ast.Call, kinds: Sequence[tuple[When, Kind]], given: Arguments) -> Made:
    """The extension module that the call `node` makes, as its arguments are at this moment."""
    state = evaluator.state
    by_place, by_name = given.by_place, given.by_name
    gaps: list[Gap] = [given.gap] if given.gap is not None else []
    name = by_name.get("name", by_place[0] if by_place else None)
    names = alternatives(name, state.when) if name is not None else []
    if not names or any(not isinstance(one, Text) for _, one in names):
        gaps.append(state.gap(node, "the name is made when the file runs", GapKind.NAME))
    value = by_name.get("sources", by_place[1] if len(by_place) > 1 else None)
    sources: list[Item] | None = None
    if value is not None:
        sources, unread = evaluator.items(value, node)
        gaps += unread
    include_dirs, _ = evaluator.items(by_name.get("include_dirs", NONE), node)
    limited = by_name.get("py_limited_api", Const(False))
    return Made(
        kinds,
        names,
        state.place(node),
        state.when,
        state.round_text(),
        sources,
        [*include_dirs, *_included(evaluator, node, by_name)],
        list(_macros(evaluator, node, by_name)),
        limited != Const(False),
        gaps,
    )


def _flags(evaluator: Expressions, node: ast.Call, by_name: object) -> Iterator[tuple[str, When]]:
    """The compiler flags that the call gives, for every compiler."""
    assert isinstance(by_name, dict)
    for when, value in alternatives(by_name.get("extra_compile_args", NONE), evaluator.state.when):
        held = list(value.values.values()) if isinstance(value, Table) else [value]
        for one in held:
            for item in evaluator.items(one, node)[0]:
                if isinstance(item.value, Text):
                    yield item.value.text, both(item.when, when)


def _macros(evaluator: Expressions, node: ast.Call, by_name: object) -> Iterator[tuple[str, str, When]]:
    """The macros that the call defines: in define_macros, and as flags."""
    assert isinstance(by_name, dict)
    for item in evaluator.items(by_name.get("define_macros", NONE), node)[0]:
        if isinstance(item.value, Items) and item.value.items:
            parts: list[Value] = [part.value for part in expanded(item.value.items)]
            name, value = parts[0], parts[1] if len(parts) > 1 else NONE
            if isinstance(name, Text):
                yield name.text, _shown(value), item.when
    for flag, when in _flags(evaluator, node, by_name):
        if flag.startswith("-D") and len(flag) > 2:
            word, _, text = flag[2:].partition("=")
            yield word, text, when


def _shown(value: Value) -> str:
    if isinstance(value, Text):
        return value.text
    return str(value.value) if isinstance(value, Const) and value.value is not None else ""


def _included(evaluator: Expressions, node: ast.Call, by_name: object) -> list[Item]:
    flags = _flags(evaluator, node, by_name)
    return [Item(Text(flag[2:].strip()), when) for flag, when in flags if flag.startswith("-I") and flag != "-I"]
