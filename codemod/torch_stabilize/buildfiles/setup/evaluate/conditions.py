"""Conditions of a setup file: known one way or the other, or the text that decides."""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Sequence
from typing import NamedTuple

from torch_stabilize.buildfiles.model import When
from torch_stabilize.buildfiles.setup.evaluate.state import State, shown_value
from torch_stabilize.buildfiles.setup.evaluate.values import (
    Const,
    Items,
    Table,
    Text,
    Value,
    beyond,
    both,
    choice,
    combinations,
    expanded,
    joined,
    negation,
    truth,
    without,
)  # fmt: skip

Evaluate = Callable[[ast.expr], Value]


class Test(NamedTuple):
    """The conditions under which a test holds, and those under which it does not; None for never."""

    yes: When | None
    no: When | None


YES, NO = Test((), None), Test(None, ())


def decide(state: State, node: ast.expr, evaluate: Evaluate) -> Test:
    """When the test `node` holds, as far as the file says it; what it leaves to the build is a condition."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        inner = decide(state, node.operand, evaluate)
        return Test(inner.no, inner.yes)
    if isinstance(node, ast.BoolOp):
        return _both_or_either(state, node, evaluate)
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        return _compared(state, node, evaluate)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("any", "all"):
        found = _every(state, node, evaluate)
        return found if found is not None else atom(state, condition_text(state, node))
    return decide_value(state, node, evaluate(node))


def decide_value(state: State, node: ast.expr, value: Value) -> Test:
    """When a value counts as true; `node` is what it is written as."""
    rows = [(when, truth(one)) for when, (one,) in combinations((value,), state.when)]
    return of_rows(state, node, rows)


def of_rows(state: State, node: ast.expr, rows: Sequence[tuple[When, bool | None]]) -> Test:
    """The test that has these outcomes, each under its conditions."""
    if rows and all(outcome is not None for _, outcome in rows):
        yes = joined([when for when, outcome in rows if outcome])
        no = joined([when for when, outcome in rows if not outcome])
        if not yes or not no:
            return YES if yes else NO
        if len(yes) == 1 and yes[0]:
            return Test(yes[0], no[0] if len(no) == 1 else without(yes[0]))
        if len(no) == 1 and no[0]:
            return Test(without(no[0]), no[0])
    return atom(state, condition_text(state, node))


def atom(state: State, text: str) -> Test:
    """The test that `text` decides, known where it holds already."""
    if text in state.when:
        return YES
    opposite = negation(text)
    return NO if opposite in state.when else Test((text,), (opposite,))


def condition_text(state: State, node: ast.expr) -> str:
    """The text of a condition, with the values of what differs from round to round."""
    names = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
    values = {name: shown_value(value) for name in names if (value := state.given(name)) is not None}
    known = {name: text for name, text in values.items() if text}
    if not known:
        return state.written(node)

    class Filled(ast.NodeTransformer):
        def visit_Name(self, name: ast.Name) -> ast.expr:
            return ast.parse(known[name.id], mode="eval").body if name.id in known else name

    return ast.unparse(Filled().visit(copy.deepcopy(node)))


def value_of(test: Test) -> Value | None:
    """The boolean that a test gives; None where nothing but its text is known."""
    if test.yes is None or test.no is None:
        return Const(test.yes is not None)
    return choice([(test.yes, Const(True)), (test.no, Const(False))])


def _both_or_either(state: State, node: ast.BoolOp, evaluate: Evaluate) -> Test:
    """`a and b`, `a or b`, without those parts that are known."""
    is_and = isinstance(node.op, ast.And)
    open_parts: list[tuple[ast.expr, Test]] = []
    known: When = ()  # where the parts before do not decide
    for part in node.values:
        with state.under(known):
            test = decide(state, part, evaluate)
        goes_on, ends = (test.yes, test.no) if is_and else (test.no, test.yes)
        if goes_on is None:
            break
        if ends is not None:
            open_parts.append((part, test))
            known = both(known, goes_on)
    else:
        return _undecided(state, node, open_parts, known)
    return NO if is_and else YES


def _undecided(state: State, node: ast.BoolOp, parts: Sequence[tuple[ast.expr, Test]], known: When) -> Test:
    """The test that is made of those parts of `and` or `or` that are not known."""
    is_and = isinstance(node.op, ast.And)
    if len(parts) < 2:
        return parts[0][1] if parts else (YES if is_and else NO)
    if not all(_is_plain(state, part, test) for part, test in parts):
        return Test(known, without(known)) if is_and else Test(without(known), known)
    if len(parts) == len(node.values):
        return atom(state, condition_text(state, node))
    word = " and " if is_and else " or "
    texts = [condition_text(state, part) for part, _ in parts]
    return atom(state, word.join(f"({t})" if " or " in t or " and " in t else t for t in texts))


def _is_plain(state: State, node: ast.expr, test: Test) -> bool:
    """Whether nothing but the text of a test is known."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return _is_plain(state, node.operand, Test(test.no, test.yes))
    return test.yes == (condition_text(state, node),)


def _compared(state: State, node: ast.Compare, evaluate: Evaluate) -> Test:
    operator = node.ops[0]
    left, right = evaluate(node.left), evaluate(node.comparators[0])
    if isinstance(operator, (ast.In, ast.NotIn)):
        test = _contained(state, node, left, right)
        return Test(test.no, test.yes) if isinstance(operator, ast.NotIn) else test
    length = _length_asked(state, node, evaluate)
    if length is not None:
        return length
    rows = [
        (when, _outcome(operator, first, second)) for when, (first, second) in combinations((left, right), state.when)
    ]
    return of_rows(state, node, rows)


def _outcome(operator: ast.cmpop, left: Value, right: Value) -> bool | None:
    if isinstance(operator, (ast.Is, ast.IsNot)):
        if isinstance(left, Const) and isinstance(right, Const):
            same = left.value is right.value
        elif {type(left), type(right)} & {Text, Items, Table} and {type(left), type(right)} & {Const}:
            same = False
        elif type(left) is type(right) and hasattr(left, "name") and left == right:
            same = True
        else:
            return None
        return same is isinstance(operator, ast.Is)
    first, second = _plain(left), _plain(right)
    if first is None or second is None:
        return None
    if isinstance(operator, (ast.Eq, ast.NotEq)):
        return (first[0] == second[0]) is isinstance(operator, ast.Eq)
    if not isinstance(first[0], (int, float)) or not isinstance(second[0], (int, float)):
        return None
    order = {ast.Lt: first[0] < second[0], ast.LtE: first[0] <= second[0], ast.Gt: first[0] > second[0]}
    return order.get(type(operator), first[0] >= second[0])


def _plain(value: Value) -> tuple[object] | None:
    if isinstance(value, Text):
        return (value.text,)
    return (value.value,) if isinstance(value, Const) else None


def _contained(state: State, node: ast.Compare, left: Value, right: Value) -> Test:
    """`left in right`: for a list, under the conditions that its item has."""
    rows: list[tuple[When, bool | None]] = []
    for when, (needle, held) in combinations((left, right), state.when):
        if isinstance(needle, Text) and isinstance(held, Text):
            rows.append((when, needle.text in held.text))
        elif isinstance(needle, (Text, Const)) and isinstance(held, Items):
            rows += [(both(when, more), outcome) for more, outcome in in_list(state, needle, held)]
        elif isinstance(needle, (Text, Const)) and isinstance(held, Table) and not held.gaps:
            rows.append((when, _plain(needle) in [(key,) for key in held.values]))
        else:
            rows.append((when, None))
    positive = ast.Compare(node.left, [ast.In()], node.comparators)
    return of_rows(state, ast.copy_location(positive, node), rows)


def in_list(state: State, needle: Text | Const, held: Items) -> list[tuple[When, bool | None]]:
    """Whether `needle` is in a list, each answer with its conditions."""
    wanted = _plain(needle)
    items = expanded(held.items)
    whens = [beyond(item.when, state.when) for item in items if _plain(item.value) == wanted]
    found = joined([when for when in whens if not state.is_dead(when)])
    if found and not found[0]:
        return [((), True)]
    if held.gaps or any(_plain(item.value) is None for item in items):
        return [((), None)]
    if len(found) > 1:
        either = (" or ".join(" and ".join(f"({c})" for c in when) for when in found),)
        return [(either, True), (without(either), False)]
    return [(found[0], True), (without(found[0]), False)] if found else [((), False)]


def _length_asked(state: State, node: ast.Compare, evaluate: Evaluate) -> Test | None:
    """`len(x) > 0` and its like: whether something is in `x`; None for another comparison."""
    call, bound = node.left, node.comparators[0]
    is_len = isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "len"
    if not (is_len and isinstance(call, ast.Call) and len(call.args) == 1 and isinstance(bound, ast.Constant)):
        return None
    asked = (type(node.ops[0]), bound.value)
    if asked not in ((ast.Gt, 0), (ast.GtE, 1), (ast.NotEq, 0), (ast.Eq, 0)):
        return None
    rows = [(when, truth(one)) for when, (one,) in combinations((evaluate(call.args[0]),), state.when)]
    if any(outcome is None for _, outcome in rows):
        return None
    test = of_rows(state, node, rows)
    return Test(test.no, test.yes) if asked == (ast.Eq, 0) else test


def _every(state: State, node: ast.Call, evaluate: Evaluate) -> Test | None:
    """`any(...)` or `all(...)` of tests that are known one by one."""
    if len(node.args) != 1 or not isinstance(node.args[0], (ast.GeneratorExp, ast.ListComp)):
        return None
    held = evaluate(node.args[0])
    if not isinstance(held, Items) or held.gaps:
        return None
    outcomes = [truth(item.value) if not beyond(item.when, state.when) else None for item in held.items]
    is_all = isinstance(node.func, ast.Name) and node.func.id == "all"
    if (not is_all) in outcomes:
        return NO if is_all else YES
    return None if None in outcomes else (YES if is_all else NO)
