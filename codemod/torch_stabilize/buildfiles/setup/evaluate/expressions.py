"""The expressions of a setup file."""

from __future__ import annotations

import ast
import posixpath
from collections.abc import Iterator, Mapping, Sequence

from torch_stabilize.buildfiles.model import Gap, When
from torch_stabilize.buildfiles.setup.evaluate import conditions
from torch_stabilize.buildfiles.setup.evaluate.conditions import Test
from torch_stabilize.buildfiles.setup.evaluate.making import Making, plain_key
from torch_stabilize.buildfiles.setup.evaluate.state import MOST_ROUNDS, MOST_STEPS
from torch_stabilize.buildfiles.setup.evaluate.values import (
    Choice,
    Const,
    External,
    Function,
    Items,
    Module,
    Table,
    Text,
    Unknown,
    Value,
    alternatives,
    beyond,
    both,
    choice,
    combinations,
)  # fmt: skip

_CONSTANTS = {"os.sep": "/", "os.path.sep": "/", "os.curdir": ".", "os.path.curdir": ".", "os.pardir": ".."}


class Expressions(Making):
    """Evaluates expressions; what calls do is for the class that is built on it."""

    # -- for the classes built on this one ---------------------------------------------------------------------------

    def call(self, node: ast.Call) -> Value:
        """What a call gives."""
        raise NotImplementedError

    def attribute_of(self, node: ast.Attribute, held: Value) -> Value:
        """`held.name` for a value that is no module."""
        raise NotImplementedError

    # -- what everything else asks -----------------------------------------------------------------------------------

    def evaluate(self, node: ast.expr) -> Value:
        """The value of an expression."""
        self.state.steps += 1
        if self.state.steps > MOST_STEPS:
            return self.not_read(node, "evaluating the file takes too long")
        handler = getattr(self, f"_{type(node).__name__.lower()}", None)
        value: Value = handler(node) if handler is not None else self.not_read(node, "an expression of another kind")
        return value

    def decide(self, node: ast.expr) -> Test:
        """When a test holds."""
        return conditions.decide(self.state, node, self.evaluate)

    # -- literals ----------------------------------------------------------------------------------------------------

    def _constant(self, node: ast.Constant) -> Value:
        if isinstance(node.value, str):
            return Text(node.value)
        return Const(node.value)

    def _joinedstr(self, node: ast.JoinedStr) -> Value:
        parts = [p.value if isinstance(p, ast.FormattedValue) else p for p in node.values]
        if any(isinstance(p, ast.FormattedValue) and (p.format_spec or p.conversion > 0) for p in node.values):
            return self.unknown(node)
        return self.text_of(node, [self.evaluate(part) for part in parts], "".join)

    def _list(self, node: ast.List | ast.Tuple | ast.Set) -> Value:
        made = self.new_list((), is_tuple=isinstance(node, ast.Tuple))
        self.fill(made, node.elts)
        return made

    _tuple = _set = _list

    def fill(self, into: Items, elements: Sequence[ast.expr]) -> None:
        """Put the elements of a literal into a list."""
        state, holder = self.state, self.state.holder
        for element in elements:
            if isinstance(element, ast.Starred):
                items, gaps = self.items(self.evaluate(element.value), element.value)
                into.items += items
                into.gaps += gaps
                continue
            value = self.evaluate(element)
            state.holder = holder
            into.items.append(self.entry(value, element))

    def _dict(self, node: ast.Dict) -> Value:
        table = Table({}, self.state.when)
        for key, value in zip(node.keys, node.values, strict=True):
            held = self.evaluate(value)
            if key is None:
                self.update(table, held, value)
            else:
                self.put(table, self.evaluate(key), held, value)
        return table

    # -- names and operators -----------------------------------------------------------------------------------------

    def _name(self, node: ast.Name) -> Value:
        value = self.state.frame.find(node.id)
        if value is not None:
            if isinstance(value, Choice):
                rows = alternatives(value, self.state.when)
                return rows[0][1] if len(rows) == 1 and not rows[0][0] else value
            return Unknown(node.id, value.gap) if isinstance(value, Unknown) else value
        if node.id == "__file__":
            return Text(posixpath.relpath(self.state.frame.path, self.state.folder or "."))
        return External(node.id)

    def _attribute(self, node: ast.Attribute) -> Value:
        held = self.evaluate(node.value)
        if isinstance(held, External):
            name = f"{held.name}.{node.attr}"
            return Text(_CONSTANTS[name]) if name in _CONSTANTS else External(name)
        if isinstance(held, Module):
            value = held.frame.names.get(node.attr)
            return value if value is not None else self.not_read(node, "the module does not define it")
        return self.attribute_of(node, held)

    def _binop(self, node: ast.BinOp) -> Value:
        left, right = self.evaluate(node.left), self.evaluate(node.right)
        if isinstance(node.op, ast.Mod):
            return self._formatted(node, left, right)
        if isinstance(node.op, ast.Div):
            return self.text_of(node, (left, right), lambda texts: posixpath.join(*texts), is_path=True)
        if _is_list(left) or _is_list(right):
            return self._lists(node, left, right)
        if isinstance(node.op, ast.BitOr) and isinstance(left, Table):
            table = left.copy(self.state.when)
            self.update(table, right, node.right)
            return table
        if isinstance(node.op, ast.Add):
            return self.text_of(node, (left, right), "".join)
        return self.unknown(node)

    def _lists(self, node: ast.BinOp, left: Value, right: Value) -> Value:
        first, gaps = self.items(left, node.left)
        if isinstance(node.op, ast.Mult):
            return self.new_list(first, gaps)
        second, more = self.items(right, node.right)
        if isinstance(node.op, (ast.Add, ast.BitOr)):
            return self.new_list([*first, *second], [*gaps, *more])
        if isinstance(node.op, ast.Sub):
            gone = Items(second, self.state.when, more)
            return self.filtered(first, gaps, lambda item: self.is_in(item.value, gone, node))
        return self.new_list((), [self.state.gap(node, "lists are put together in another way")])

    def _formatted(self, node: ast.BinOp, left: Value, right: Value) -> Value:
        values = [right]
        if isinstance(right, Items) and right.is_tuple and not right.gaps:
            values = [item.value for item in right.items]

        def make(texts: list[str]) -> str | None:
            form, *parts = texts
            plain = form.count("%s") + form.count("%d") == len(parts) == form.count("%")
            return form.replace("%d", "%s") % tuple(parts) if plain else None

        return self.text_of(node, [left, *values], make)

    def _boolop(self, node: ast.BoolOp) -> Value:
        is_or = isinstance(node.op, ast.Or)
        rows: list[tuple[When, Value]] = []
        known: When = ()
        for index, part in enumerate(node.values):
            with self.state.under(known):
                value = self.evaluate(part)
                if index == len(node.values) - 1:
                    rows.append((known, value))
                    break
                test = conditions.decide_value(self.state, part, value)
            taken, left = (test.yes, test.no) if is_or else (test.no, test.yes)
            if taken is not None:
                rows.append((both(known, taken), value))
            if left is None:
                break
            known = both(known, left)
        if all(isinstance(value, (Unknown, External, Const, Text)) for _, value in rows) and len(rows) > 1:
            decided = conditions.value_of(self.decide(node))
            return decided if isinstance(decided, Const) else self.unknown(node)
        return choice(rows)

    def _unaryop(self, node: ast.UnaryOp) -> Value:
        if isinstance(node.op, ast.Not):
            return self._boolean(node)
        value = self.evaluate(node.operand)
        if isinstance(node.op, ast.USub) and isinstance(value, Const) and isinstance(value.value, (int, float)):
            return Const(-value.value)
        return self.unknown(node)

    def _compare(self, node: ast.Compare) -> Value:
        return self._boolean(node)

    def _boolean(self, node: ast.expr) -> Value:
        test = self.decide(node)
        text = conditions.condition_text(self.state, node)
        if test.yes == (text,):
            return self.unknown(node)
        return conditions.value_of(test) or self.unknown(node)

    def _ifexp(self, node: ast.IfExp) -> Value:
        test = self.decide(node.test)
        rows: list[tuple[When, Value]] = []
        for when, part in ((test.yes, node.body), (test.no, node.orelse)):
            if when is not None:
                with self.state.under(when):
                    rows.append((when, self.evaluate(part)))
        return choice(rows)

    def _namedexpr(self, node: ast.NamedExpr) -> Value:
        value = self.evaluate(node.value)
        self.state.assign(node.target.id, value)
        return value

    def _starred(self, node: ast.Starred) -> Value:
        return self.evaluate(node.value)

    def _lambda(self, node: ast.Lambda) -> Value:
        return Function(node, self.state.frame)

    def _call(self, node: ast.Call) -> Value:
        return self.call(node)

    # -- subscripts --------------------------------------------------------------------------------------------------

    def _subscript(self, node: ast.Subscript) -> Value:
        held = self.evaluate(node.value)
        if isinstance(node.slice, ast.Slice):
            return self._sliced(node, node.slice, held)
        key = self.evaluate(node.slice)
        found: list[tuple[When, Value]] = []
        for when, (one, wanted) in combinations((held, key), self.state.when):
            value = self._element(one, wanted)
            if value is None and isinstance(one, Table) and isinstance(wanted, (Unknown, External)):
                value = self.by_open_key(one, node.slice, None)
            found.append((when, value if value is not None else self.unknown(node)))
        return choice(found) if found else self.unknown(node)

    def _element(self, held: Value, key: Value) -> Value | None:
        plain = plain_key(key)
        if isinstance(held, Table) and plain is not None:
            return held.values.get(plain)
        if not isinstance(plain, int):
            return None
        if isinstance(held, Items) and not held.gaps and not any(beyond(i.when, held.made) for i in held.items):
            return held.items[plain].value if -len(held.items) <= plain < len(held.items) else None
        if isinstance(held, Text) and -len(held.text) <= plain < len(held.text):
            return Text(held.text[plain])
        return None

    def _sliced(self, node: ast.Subscript, part: ast.Slice, held: Value) -> Value:
        bounds = [self.evaluate(b) if b is not None else Const(None) for b in (part.lower, part.upper, part.step)]
        plain = [b.value for b in bounds if isinstance(b, Const) and (b.value is None or isinstance(b.value, int))]
        if len(plain) < 3:
            return self.unknown(node)
        where = slice(*plain)
        found: list[tuple[When, Value]] = []
        for when, (one,) in combinations((held,), self.state.when):
            if isinstance(one, Text):
                found.append((when, Text(one.text[where])))
            elif isinstance(one, Items) and not one.gaps and not any(beyond(i.when, one.made) for i in one.items):
                found.append((when, self.new_list(one.items[where], is_tuple=one.is_tuple)))
            else:
                return self.unknown(node)
        return choice(found)

    # -- comprehensions ----------------------------------------------------------------------------------------------

    def _listcomp(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp) -> Value:
        made = self.new_list(())
        holder = self.state.holder
        for gap in self._rounds_of(node.generators):
            if gap is not None:
                made.gaps.append(gap)
                continue
            self.state.holder = holder
            made.items.append(self.entry(self.evaluate(node.elt), node.elt))
        return made

    _setcomp = _generatorexp = _listcomp

    def _dictcomp(self, node: ast.DictComp) -> Value:
        table = Table({}, self.state.when)
        for gap in self._rounds_of(node.generators):
            if gap is not None:
                table.gaps.append(gap)
            else:
                self.put(table, self.evaluate(node.key), self.evaluate(node.value), node.value)
        return table

    def _rounds_of(self, generators: Sequence[ast.comprehension]) -> Iterator[Gap | None]:
        """Once for each round, with the variables set and the conditions holding; a gap for what is not known."""
        first, *more = generators
        items, gaps = self.items(self.evaluate(first.iter), first.iter)
        yield from gaps
        if len(items) > MOST_ROUNDS:
            yield self.state.gap(first.iter, "the loop has too many rounds")
            return
        names = self.state.frame.names
        hidden = dict(names)
        for item in items:
            given = self.bound(first.target, item.value)
            if given is None:
                yield self.state.gap(first.target, "a value cannot be taken apart")
                continue
            names.update(given)
            with self.state.round(given), self.state.under(item.when):
                when = self._passed(first.ifs)
                if when is not None:
                    with self.state.under(when):
                        yield from self._rounds_of(more) if more else [None]
        names.clear()
        names.update(hidden)

    def _passed(self, tests: Sequence[ast.expr]) -> When | None:
        when: When = ()
        for test in tests:
            with self.state.under(when):
                found = self.decide(test)
            if found.yes is None or self.state.is_dead(found.yes):
                return None
            when = both(when, found.yes)
        return when

    def bound(self, target: ast.expr, value: Value) -> Mapping[str, Value] | None:
        """The names that a target gives values to; None where it cannot be told."""
        if isinstance(target, ast.Name):
            return {target.id: value}
        if not isinstance(target, (ast.Tuple, ast.List)):
            return {}
        if any(isinstance(element, ast.Starred) for element in target.elts):
            return {name.id: Unknown(name.id) for name in ast.walk(target) if isinstance(name, ast.Name)}
        rows = alternatives(value, self.state.when)
        if not all(isinstance(one, Items) and len(one.items) == len(target.elts) and not one.gaps for _, one in rows):
            return {
                name.id: Unknown(name.id, self.state.gap(target, "the values are made when the file runs"))
                for name in ast.walk(target)
                if isinstance(name, ast.Name)
            }
        found: dict[str, Value] = {}
        for index, element in enumerate(target.elts):
            parts = [(when, one.items[index].value) for when, one in rows if isinstance(one, Items)]
            inner = self.bound(element, choice(parts))
            if inner is None:
                return None
            found |= inner
        return found


def _is_list(value: Value) -> bool:
    return any(isinstance(one, Items) for _, one in alternatives(value))
