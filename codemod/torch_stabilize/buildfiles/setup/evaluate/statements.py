"""The statements of a setup file, and its functions."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from torch_stabilize.buildfiles.model import When
from torch_stabilize.buildfiles.setup.evaluate import conditions
from torch_stabilize.buildfiles.setup.evaluate.classes import fields_of, set_attribute
from torch_stabilize.buildfiles.setup.evaluate.functions import name_of
from torch_stabilize.buildfiles.setup.evaluate.imports import Imports
from torch_stabilize.buildfiles.setup.evaluate.state import MOST_ROUNDS, Exit
from torch_stabilize.buildfiles.setup.evaluate.values import (
    NONE,
    Blueprint,
    External,
    Frame,
    Function,
    Item,
    Items,
    Kind,
    Table,
    Unknown,
    Value,
    alternatives,
    beyond,
    both,
    without,
)  # fmt: skip

_STOPS = frozenset({"sys.exit", "exit", "quit", "os._exit"})
_FALLS_THROUGH: list[Exit] = []


class Statements(Imports):
    """Runs the statements of a file without running the file."""

    # -- blocks ------------------------------------------------------------------------------------------------------

    def block(self, body: Sequence[ast.stmt]) -> list[Exit]:
        """Run a block; how it may be left before its end. An exit without conditions always happens."""
        found: list[Exit] = []
        for index, statement in enumerate(body):
            exits = self.statement(statement)
            if any(not one.when for one in exits):
                return [*found, *exits]
            found += exits
            if exits:
                stays: When = ()
                for one in exits:
                    stays = both(stays, without(one.when))
                if self.state.is_dead(stays):
                    return found
                with self.state.under(stays):
                    return [*found, *self._under(self.block(body[index + 1 :]), stays)]
        return found

    def _under(self, exits: Sequence[Exit], when: When) -> list[Exit]:
        return [one._replace(when=both(when, one.when)) if one.kind != "raise" else one for one in exits]

    def statement(self, node: ast.stmt) -> list[Exit]:
        """Run one statement."""
        self.state.steps += 1
        handler = getattr(self, f"_do_{type(node).__name__.lower()}", None)
        if handler is None:
            return _FALLS_THROUGH
        if self.state.is_late():
            return _FALLS_THROUGH
        try:
            exits: list[Exit] | None = handler(node)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            self.state.gaps.append(self.state.gap(node, f"the statement was not understood ({error})"))
            return _FALLS_THROUGH
        return exits or _FALLS_THROUGH

    def _do_expr(self, node: ast.Expr) -> list[Exit]:
        value = node.value
        if isinstance(value, ast.Call) and self.is_external(value.func, _STOPS):
            return [Exit("raise")]
        if not isinstance(value, ast.Constant):
            self.evaluate(value)
        return []

    def is_external(self, node: ast.expr, names: frozenset[str]) -> bool:
        """Whether `node` is one of these functions of Python."""
        if not isinstance(node, (ast.Name, ast.Attribute)):
            return False
        value = self.evaluate(node)
        return isinstance(value, External) and value.name in names

    def _do_return(self, node: ast.Return) -> list[Exit]:
        value = self.evaluate(node.value) if node.value is not None else NONE
        self.state.returned.append((self.state.when, value))
        return [Exit("return")]

    def _do_raise(self, node: ast.Raise) -> list[Exit]:
        return [Exit("raise")]

    def _do_break(self, node: ast.Break) -> list[Exit]:
        return [Exit("break")]

    def _do_continue(self, node: ast.Continue) -> list[Exit]:
        return [Exit("continue")]

    # -- assignments -------------------------------------------------------------------------------------------------

    def _do_assign(self, node: ast.Assign) -> None:
        value = self._into(node.targets[0], node.value)
        for target in node.targets:
            self._give(target, value, node.value)

    def _into(self, target: ast.expr, value: ast.expr) -> Value:
        """A value that is given to `target`: lists that are written there are called after it."""
        if (
            isinstance(target, ast.Tuple)
            and isinstance(value, ast.Tuple)
            and len(target.elts) == len(value.elts)
            and not any(isinstance(part, ast.Starred) for part in (*target.elts, *value.elts))
        ):
            rows = [self._into(*pair) for pair in zip(target.elts, value.elts, strict=True)]
            return self.new_list([Item(row, self.state.when) for row in rows], is_tuple=True)
        before, self.state.holder = self.state.holder, name_of(target)
        found = self.evaluate(value)
        self.state.holder = before
        return found

    def _give(self, target: ast.expr, value: Value, node: ast.expr) -> None:
        if isinstance(target, ast.Subscript):
            held, key = self.evaluate(target.value), self.evaluate(target.slice)
            for when, one in alternatives(held, self.state.when):
                if isinstance(one, Table):
                    with self.state.under(when):
                        self.put(one, key, value, node)
                elif isinstance(one, Items):
                    one.gaps.append(self.state.gap(target, "an element of the list is replaced"))
            return
        if isinstance(target, ast.Attribute):
            set_attribute(self, self.evaluate(target.value), target.attr, value, node)
            return
        for name, part in (self.bound(target, value) or {}).items():
            self.state.assign(name, part)

    def _do_annassign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self._give(node.target, self._into(node.target, node.value), node.value)

    def _do_augassign(self, node: ast.AugAssign) -> None:
        before = self.evaluate(node.target)
        value = self._into(node.target, node.value)
        rows = alternatives(before, self.state.when)
        if isinstance(node.op, (ast.Add, ast.BitOr)) and all(isinstance(one, Items) for _, one in rows):
            for when, one in rows:
                if isinstance(one, Items) and not one.is_tuple:
                    with self.state.under(when):
                        self.extend(one, value, node.value)
            if not any(isinstance(one, Items) and one.is_tuple for _, one in rows):
                return
        load = ast.copy_location(ast.BinOp(_as_read(node.target), node.op, node.value), node)
        if isinstance(node.op, ast.Sub) and len(rows) == 1 and isinstance(rows[0][1], Items):
            items, gaps = self.items(value, node.value)
            self.take_out(rows[0][1], Items(items, self.state.when, gaps), node.value)
            return
        self._give(node.target, self._binop(load), node.value)

    def _do_delete(self, node: ast.Delete) -> None:
        for target in node.targets:
            held = self.evaluate(target.value) if isinstance(target, ast.Subscript) else None
            if isinstance(held, Items):
                held.gaps.append(self.state.gap(target, "something is taken out of the list"))

    def _do_global(self, node: ast.Global | ast.Nonlocal) -> None:
        frames = list(self.state.frame.chain())[1:]
        for name in node.names:
            outer = frames[-1:] if isinstance(node, ast.Global) else [f for f in frames if name in f.names]
            if outer:
                self.state.frame.shared[name] = outer[0]

    _do_nonlocal = _do_global

    # -- conditions and loops ----------------------------------------------------------------------------------------

    def _do_if(self, node: ast.If) -> list[Exit]:
        test = self.decide(node.test)
        if test.yes is None or test.no is None:
            return self.block(node.body if test.yes is not None else node.orelse)
        return self._branches(test.yes, node.body, test.no, node.orelse)

    def _branches(self, yes: When, body: Sequence[ast.stmt], no: When, other: Sequence[ast.stmt]) -> list[Exit]:
        """Both arms of an `if` whose test is decided later; the variables are what they are after either."""
        state = self.state
        before = state.saved()
        exits: list[Exit] = []
        if not state.is_dead(yes):
            with state.under(yes):
                exits = self.block(body)
        after = state.saved()
        state.restore(before)
        others: list[Exit] = []
        if not state.is_dead(no):
            with state.under(no):
                others = self.block(other)
        is_left, other_left = _always_left(exits), _always_left(others)
        if is_left and other_left:
            raises = [one for one in (*exits, *others) if one.kind == "raise" and not one.when]
            if len(raises) == 2:
                return raises
            if len(raises) == 1:  # the build fails in that arm
                return [one for one in (*exits, *others) if one.kind != "raise" or one.when]
            return [*self._under(exits, yes), *self._under(others, no), Exit(exits[-1].kind)]
        if other_left and not is_left:
            state.restore(after)
        elif not is_left:
            state.merge(yes, after)
        elif exits and exits[-1].kind in ("break", "continue"):
            state.left.append((both(state.when, yes), after))
        kept = [one for one in self._under(exits, yes) if one.kind != "raise"]
        return [*kept, *(one for one in self._under(others, no) if one.kind != "raise")]

    def _do_for(self, node: ast.For) -> list[Exit]:
        items, gaps = self.items(self.evaluate(node.iter), node.iter)
        if len(items) > MOST_ROUNDS:
            return self._open_loop(node)
        exits = self._known_rounds(node, items)
        return [*exits, *self._open_loop(node)] if gaps and not _always_left(exits) else exits

    def _known_rounds(self, node: ast.For, items: Sequence[Item]) -> list[Exit]:
        exits: list[Exit] = []
        stopped: When | None = None
        left, self.state.left = self.state.left, []
        base = self.state.when
        for item in items:
            when = both(beyond(item.when, base), stopped or ())
            if self.state.is_dead(when):
                continue
            given = self.bound(node.target, item.value) or {}
            found = self._one_round(node.body, given, when)
            for one in found:
                outer = both(when, one.when)
                if one.kind == "return":
                    exits.append(Exit("return", outer))
                if one.kind in ("return", "break") and outer:
                    stopped = both(stopped or (), without(outer))
            if any(one.kind in ("return", "break", "raise") and not both(when, one.when) for one in found):
                exits += [one for one in found if one.kind == "raise"]
                break
        for when, names in self.state.left:
            if more := beyond(when, base):
                self.state.merge(more, names)
        self.state.left = left
        return exits

    def _one_round(self, body: Sequence[ast.stmt], given: object, when: When) -> list[Exit]:
        state = self.state
        assert isinstance(given, dict)
        before = state.saved()
        with state.round(given), state.under(when):
            for name, value in given.items():
                state.assign(name, value)
            found = self.block(body)
        if when:
            after = state.saved()
            state.restore(before)
            state.merge(when, after)
        return found

    def _open_loop(self, node: ast.For | ast.While) -> list[Exit]:
        """A loop whose rounds are not known: what is in it happens, or does not."""
        test = node.iter if isinstance(node, ast.For) else node.test
        word = f"for {self.state.written(node.target)} in " if isinstance(node, ast.For) else "while "
        when = (word + conditions.condition_text(self.state, test),)
        if isinstance(node, ast.For):
            for name in ast.walk(node.target):
                if isinstance(name, ast.Name):
                    self.state.assign(name.id, Unknown(name.id, self.state.gap(node.target, "differs in a loop")))
        before = self.state.saved()
        with self.state.under(when):
            exits = self.block(node.body)
        after = self.state.saved()
        self.state.restore(before)
        self.state.merge(when, after)
        return [Exit("return", both(when, one.when)) for one in exits if one.kind == "return"]

    def _do_while(self, node: ast.While) -> list[Exit]:
        if self.decide(node.test).yes is None:
            return []
        return self._open_loop(node)

    _do_asyncfor = _do_for

    def _do_with(self, node: ast.With) -> list[Exit]:
        for item in node.items:
            value = self.evaluate(item.context_expr)
            if item.optional_vars is not None:
                self._give(item.optional_vars, Unknown("with", getattr(value, "gap", None)), item.context_expr)
        return self.block(node.body)

    _do_asyncwith = _do_with

    def _do_try(self, node: ast.Try) -> list[Exit]:
        exits = self.block([*node.body, *node.orelse])
        for handler in node.handlers:
            kind = self.state.written(handler.type) if handler.type is not None else "Exception"
            what = self.state.written(node.body[0])[:60]
            if handler.name:
                self.state.assign(handler.name, Unknown(handler.name))
            test = conditions.atom(self.state, f"{kind} in {what!r}")
            if test.yes and test.no:
                exits = [*exits, *self._branches(test.yes, handler.body, test.no, [])]
        if node.finalbody:
            exits = [*exits, *self.block(node.finalbody)]
        return [one for one in exits if one.kind != "raise"] if node.handlers else exits

    _do_trystar = _do_try

    def _do_match(self, node: ast.Match) -> None:
        for case in node.cases:
            text = f"{self.state.written(node.subject)} matches {ast.unparse(case.pattern)}"
            test = conditions.atom(self.state, text)
            if test.yes and test.no:
                self._branches(test.yes, case.body, test.no, [])

    # -- functions, classes, modules ---------------------------------------------------------------------------------

    def _do_functiondef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self.state.assign(node.name, Function(node, self.state.frame))

    _do_asyncfunctiondef = _do_functiondef

    def _do_classdef(self, node: ast.ClassDef) -> None:
        bases = [one for base in node.bases for _, one in alternatives(self.evaluate(base))]
        kinds = [kind for base in bases if (kind := self.kind_of(base)) is not None]
        value: Value = Kind(node.name, node) if kinds else self._blueprint(node, bases)
        self.state.assign(node.name, value)

    def _blueprint(self, node: ast.ClassDef, bases: Sequence[Value]) -> Value:
        """A class with the names that its body defines; its functions do not see those."""
        outer = self.state.frame
        self.state.frame = inner = Frame(outer.path, outer)
        self.block(node.body)
        self.state.frame = outer
        names = {
            name: Function(value.node, outer) if isinstance(value, Function) and value.frame is inner else value
            for name, value in inner.names.items()
        }
        return Blueprint(names, bases, [self.evaluate(one) for one in node.decorator_list], fields_of(node.body))


def _always_left(exits: Sequence[Exit]) -> bool:
    return any(not one.when for one in exits)


def _as_read(node: ast.expr) -> ast.expr:
    """The target of `x += ...` as an expression."""
    return ast.copy_location(ast.parse(ast.unparse(node), mode="eval").body, node)
