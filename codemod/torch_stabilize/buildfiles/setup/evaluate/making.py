"""Makes the values of an evaluation: texts, lists and dictionaries, each with its conditions."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from torch_stabilize.buildfiles.model import Gap, Origin, When
from torch_stabilize.buildfiles.setup.evaluate import conditions
from torch_stabilize.buildfiles.setup.evaluate.conditions import Test
from torch_stabilize.buildfiles.setup.evaluate.state import State, marked
from torch_stabilize.buildfiles.setup.evaluate.values import (
    Choice,
    Const,
    Item,
    Items,
    Table,
    Text,
    Unknown,
    Value,
    Written,
    alternatives,
    beyond,
    both,
    choice,
    combinations,
    expanded,
    joined,
    without,
)  # fmt: skip


class Making:
    """Makes values at the place where the evaluation is."""

    def __init__(self, state: State) -> None:
        self.state = state

    def not_read(self, node: ast.expr, why: str) -> Unknown:
        """What the evaluator does not understand."""
        return Unknown(self.state.written(node), self.state.gap(node, why))

    def unknown(self, node: ast.expr, *values: Value) -> Unknown:
        """What is decided when the file runs; `values` are what it is made of."""
        gaps = (one.gap for value in values for _, one in alternatives(value) if isinstance(one, Unknown))
        return Unknown(self.state.written(node), next((gap for gap in gaps if gap is not None), None))

    def items(self, value: Value, node: ast.expr) -> tuple[list[Item], list[Gap]]:
        """What is in a list under the conditions that hold here, and what else may be."""
        found: list[Item] = []
        gaps: list[Gap] = []
        rows_of_value = alternatives(value, self.state.when)
        for when, one in rows_of_value:
            outer = both(self.state.when, when)
            if isinstance(one, Items):
                rows = [Item(item.value, both(outer, item.when)) for item in expanded(one.items)]
                found += [row for row in rows if not self.state.is_dead(row.when)]
                gaps += one.gaps
            elif isinstance(one, Table):
                found += [Item(_key(key), outer) for key in one.values]
                gaps += one.gaps
            elif not (isinstance(one, Const) and one.value is None):
                known = one.gap if isinstance(one, Unknown) else None
                gaps.append(known or self.state.gap(node, "the list is made when the file runs"))
        return (_merged(found) if len(rows_of_value) > 1 else found), gaps

    def new_list(self, items: Sequence[Item], gaps: Sequence[Gap] = (), *, is_tuple: bool = False) -> Items:
        """A list that is made here."""
        return Items(list(items), self.state.when, list(gaps), is_tuple)

    def text_of(self, node: ast.expr, values: Sequence[Value], make: object, *, is_path: bool = False) -> Value:
        """The text that `make` makes of texts; unknown where one of `values` is no text."""
        assert callable(make)
        found: list[tuple[When, Value]] = []
        for when, row in combinations(values, self.state.when):
            texts = [_as_text(value) for value in row]
            if None in texts:
                return self.unknown(node, *row)
            made = make([text for text in texts if text is not None])
            if not isinstance(made, str):
                return self.unknown(node)
            keeps = next((v.written for v in reversed(row) if isinstance(v, Text) and _ends(made, v)), None)
            paths = is_path or any(isinstance(value, Text) and value.is_path for value in row)
            found.append((when, Text(made, paths, keeps)))
        return choice(found) if found else self.unknown(node)

    def entry(self, value: Value, node: ast.expr) -> Item:
        """A value as an item of a list, written at `node`."""
        origin = Origin.LOOP if self.state.rounds else Origin.LITERAL
        written = Written(self.state.place(node), self.state.holder, origin)
        if isinstance(value, Choice):
            value = Choice(tuple((when, marked(one, written)) for when, one in value.alternatives))
        return Item(marked(value, written), self.state.when)

    def update(self, table: Table, value: Value, node: ast.expr) -> None:
        """`table.update(value)`."""
        for when, one in alternatives(value, self.state.when):
            if isinstance(one, Table):
                table.gaps += one.gaps
                with self.state.under(when):
                    for key, held in one.values.items():
                        self.put(table, _key(key), held, node)
            elif not (isinstance(one, Const) and one.value is None):
                table.gaps.append(self.state.gap(node, "the settings are made when the file runs"))

    def put(self, table: Table, key: Value, value: Value, node: ast.expr) -> None:
        """`table[key] = value`, under the conditions that hold here."""
        plain = plain_key(key)
        if plain is None:
            table.gaps.append(self.state.gap(node, "the key is computed"))
            return
        when = beyond(self.state.when, table.made)
        before = table.values.get(plain)
        if when and before is not None:
            value = choice([(when, value), (without(when), before)])
        table.values[plain] = value

    def by_open_key(self, table: Table, key: ast.expr, otherwise: Value | None) -> Value | None:
        """What a dictionary has for a key that the build decides on; None where that is not to be told."""
        plain = [name for name in table.values if isinstance(name, str)]
        if table.gaps or len(plain) < len(table.values) or not plain:
            return None
        text = conditions.condition_text(self.state, key)
        rows: list[tuple[When, Value]] = []
        left: When = ()
        for name in plain:
            test = (f'{text} == "{name}"',)
            rows.append((both(left, test), table.values[name]))
            left = both(left, without(test))
        return choice([*rows, (left, otherwise)] if otherwise is not None else rows)

    def is_in(self, value: Value, held: Items, node: ast.expr) -> Test:
        """The test that keeps a value that is not in the list `held`."""
        rows: list[tuple[When, bool | None]] = [((), None)]
        if isinstance(value, (Text, Const)):
            rows = conditions.in_list(self.state, value, held)
        test = conditions.of_rows(self.state, node, rows)
        return Test(test.no, test.yes)

    def filtered(self, items: Sequence[Item], gaps: Sequence[Gap], keep: object) -> Items:
        """Those items for which the test `keep` holds, each under the conditions under which it does."""
        assert callable(keep)
        found = []
        for item in items:
            with self.state.under(item.when):
                test: Test = keep(item)
                if test.yes is not None and not self.state.is_dead(test.yes):
                    found.append(Item(item.value, both(item.when, test.yes)))
        return self.new_list(found, gaps)


def _merged(items: Sequence[Item]) -> list[Item]:
    """The items of several lists of which one is there; one that is in all of them is always there."""
    whens: dict[Value, list[When]] = {}
    for item in items:
        whens.setdefault(item.value, []).append(item.when)
    return [Item(value, when) for value, found in whens.items() for when in joined(found)]


def _key(key: object) -> Value:
    return Text(key) if isinstance(key, str) else Const(key)


def plain_key(value: Value) -> object | None:
    """What a value is as the key of a dictionary; None where that is not known."""
    if isinstance(value, Text):
        return value.text
    return value.value if isinstance(value, Const) else None


def _as_text(value: Value) -> str | None:
    if isinstance(value, Text):
        return value.text
    return str(value.value) if isinstance(value, Const) and isinstance(value.value, (int, float)) else None


def _ends(text: str, part: Text) -> bool:
    return part.written is not None and "." in part.text and text.endswith(part.text)
