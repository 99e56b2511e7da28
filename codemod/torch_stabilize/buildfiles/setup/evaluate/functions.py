"""The calls of a setup file: its own functions, extension classes and setup() itself."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from torch_stabilize.buildfiles.model import Gap, When
from torch_stabilize.buildfiles.setup.evaluate import conditions
from torch_stabilize.buildfiles.setup.evaluate.calls import KEEP_ITEMS
from torch_stabilize.buildfiles.setup.evaluate.classes import attribute_of, made_of
from torch_stabilize.buildfiles.setup.evaluate.made import made_by
from torch_stabilize.buildfiles.setup.evaluate.methods import Methods
from torch_stabilize.buildfiles.setup.evaluate.state import DEEPEST, Exit, SetupCall, State
from torch_stabilize.buildfiles.setup.evaluate.values import (
    NONE,
    Arguments,
    Blueprint,
    Choice,
    Const,
    External,
    Frame,
    Function,
    Instance,
    Item,
    Kind,
    Method,
    Partial,
    Table,
    Unknown,
    Value,
    alternatives,
    beyond,
    both,
    choice,
    is_possible,
    without,
)  # fmt: skip

COMMANDS = frozenset({"BuildExtension", "build_ext"})  # what setuptools runs, no modules
_SETUPS = frozenset({"setup", "setuptools.setup", "distutils.core.setup", "skbuild.setup"})
_FILLS = frozenset({"append", "extend", "insert", "add", "update"})  # methods that put what they are given into a list


class Functions(Methods):
    """Evaluates calls of what the repository defines."""

    def attribute_of(self, node: ast.Attribute, held: Value) -> Value:
        """An attribute of what a class of the repository makes, or of anything else."""
        rows = alternatives(held, self.state.when)
        if not all(isinstance(one, (Blueprint, Instance)) for _, one in rows):
            return super().attribute_of(node, held)
        return choice(
            [(when, attribute_of(self, node, one)) for when, one in rows if isinstance(one, (Blueprint, Instance))]
        )

    def block(self, body: Sequence[ast.stmt]) -> list[Exit]:
        """Run a block; how it may be left before its end. For the class that knows statements."""
        raise NotImplementedError

    def kind_of(self, value: Value) -> Kind | None:
        """The class of extension modules that a value is; None for anything else."""
        if isinstance(value, Kind):
            return value
        if isinstance(value, External):
            short = value.name.rpartition(".")[2]
            if short.endswith("Extension") and short not in COMMANDS:
                return Kind(short)
        return None

    def call(self, node: ast.Call) -> Value:
        """What a call gives: of every class or function that it may be of."""
        function = self.evaluate(node.func)
        if isinstance(function, External) and function.name in _SETUPS:
            return self._setup(node)
        arguments = self._arguments(node)
        rows = alternatives(function, self.state.when)
        kinds = [(when, kind) for when, one in rows if (kind := self.kind_of(one)) is not None]
        if kinds and len(kinds) == len(rows):
            return self._made(node, kinds, arguments)
        found: list[tuple[When, Value]] = []
        for when, one in rows:
            with self.state.under(when):
                found.append((when, self.invoke(node, one, arguments)))
        return choice(found) if found else self.unknown(node)

    def _arguments(self, node: ast.Call) -> Arguments:
        before = self.state.holder
        by_place: list[Value] = []
        by_name: dict[str, Value] = {}
        gap: Gap | None = None
        for argument in node.args:
            if not isinstance(argument, ast.Starred):
                by_place.append(self._argument(node, argument))
                continue
            items, gaps = self.items(self.evaluate(argument.value), argument)
            by_place += [item.value for item in items]
            gap = gap or next(iter(gaps), None)
        for keyword in node.keywords:
            value = self._argument(node, keyword.value)
            if keyword.arg is not None:
                by_name[keyword.arg] = value
                continue
            for _, one in alternatives(value, self.state.when):
                if isinstance(one, Table):
                    by_name |= {key: held for key, held in one.values.items() if isinstance(key, str)}
                    gap = gap or next(iter(one.gaps), None)
                else:
                    gap = gap or self.state.gap(keyword.value, "the settings are made when the file runs")
        self.state.holder = before
        return Arguments(by_place, by_name, gap)

    def _argument(self, node: ast.Call, argument: ast.expr) -> Value:
        """An argument: what `x.extend([...])` is given is in `x`, that of `sorted([...])` is in its result."""
        before = self.state.holder
        if isinstance(node.func, ast.Attribute) and node.func.attr in _FILLS:
            self.state.holder = name_of(node.func.value)
        elif not (isinstance(node.func, ast.Name) and node.func.id in KEEP_ITEMS):
            self.state.holder = ""
        value = self.evaluate(argument)
        self.state.holder = before
        return value

    def invoke(self, node: ast.Call, function: Value, arguments: Arguments) -> Value:
        """What calling `function` with these arguments gives."""
        kind = self.kind_of(function)
        if kind is not None:
            return self._made(node, [((), kind)], arguments)
        if isinstance(function, Partial):
            held = function.arguments
            by_name = {**held.by_name, **arguments.by_name}
            return self.invoke(node, function.function, Arguments([*held.by_place, *arguments.by_place], by_name))
        if isinstance(function, Function):
            return self.run(node, function, arguments)
        if isinstance(function, Blueprint):
            return made_of(self, node, function, arguments)
        if isinstance(function, Method):
            before = self.state.holder
            if isinstance(node.func, ast.Attribute) and function.name in _FILLS:
                self.state.holder = name_of(node.func.value)
            result = self.method(node, function, arguments)
            self.state.holder = before
            return result
        if isinstance(function, External):
            return self.external(node, function.name, arguments)
        return Unknown(self.state.written(node), getattr(function, "gap", None))

    def _setup(self, node: ast.Call) -> Value:
        """The call of setup(): the modules that it is given. Nothing else matters here, and versions take long."""
        wanted = [keyword for keyword in node.keywords if keyword.arg in (None, "ext_modules")]
        given = self._arguments(ast.copy_location(ast.Call(node.func, [], wanted), node))
        table = Table(dict(given.by_name.items()), self.state.when, [given.gap] if given.gap is not None else [])
        self.state.setups.append(SetupCall(table, self.state.place(node), self.state.when))
        return NONE

    def _made(self, node: ast.Call, kinds: Sequence[tuple[When, Kind]], arguments: Arguments) -> Value:
        if not arguments.by_place and "name" not in arguments.by_name and arguments.gap is None:
            return self.unknown(node)
        made = made_by(self, node, kinds, arguments)
        self.state.made.append(made)
        return made

    def run(self, node: ast.Call, function: Function, arguments: Arguments) -> Value:
        """What a function of the repository gives."""
        state = self.state
        state.called.add(id(function.node))
        if state.depth >= DEEPEST or state.is_late():
            return self.not_read(node, "functions call each other too deeply")
        if id(function.node) in state.undecided and not node.args and not node.keywords:
            return self.unknown(node)
        given = self._parameters(function, arguments, node)
        frame = Frame(function.frame.path, function.frame, dict(given))
        if isinstance(function.node, ast.Lambda):
            with _Within(state, frame, given):
                return self.evaluate(function.node.body)
        base, returned = state.when, state.returned
        state.returned = []
        with _Within(state, frame, given):
            exits = self.block(function.node.body)
        rows = [(beyond(when, base), value) for when, value in state.returned]
        state.returned = returned
        if not any(not one.when for one in exits):
            left: When = ()
            for when, _ in rows:
                left = both(left, without(when)) if when else left
            rows.append((left, NONE))
        possible = [(when, value) for when, value in rows if is_possible(both(base, when))]
        result = choice(possible) if possible else NONE
        if _is_decision(result):
            state.undecided.add(id(function.node))
            return Unknown(conditions.condition_text(state, node))
        return result

    def _parameters(self, function: Function, given: Arguments, node: ast.Call) -> dict[str, Value]:
        """The values of a function's parameters; one that is not given any has its default."""
        parameters = function.node.args
        by_place = [*parameters.posonlyargs, *parameters.args]
        values: dict[str, Value] = {}
        before, self.state.frame = self.state.frame, function.frame
        for argument, default in zip(reversed(by_place), reversed(parameters.defaults), strict=False):
            values[argument.arg] = self.evaluate(default)
        for argument, inner in zip(parameters.kwonlyargs, parameters.kw_defaults, strict=True):
            if inner is not None:
                values[argument.arg] = self.evaluate(inner)
        self.state.frame = before
        values |= {a.arg: value for a, value in zip(by_place, given.by_place, strict=False)}
        names = {a.arg for a in (*by_place, *parameters.kwonlyargs)}
        values |= {name: value for name, value in given.by_name.items() if name in names}
        if parameters.vararg is not None:
            rest = [Item(value, self.state.when) for value in given.by_place[len(by_place) :]]
            gaps = [given.gap] if given.gap else []
            values[parameters.vararg.arg] = self.new_list(rest, gaps, is_tuple=True)
        if parameters.kwarg is not None:
            others = {name: value for name, value in given.by_name.items() if name not in names}
            values[parameters.kwarg.arg] = Table(
                dict(others.items()), self.state.when, [given.gap] if given.gap else []
            )
        for name in names - set(values):
            values[name] = Unknown(name, given.gap or self.state.gap(node, f"{name} is not given here"))
        return values


class _Within:
    """Within, `frame` is the one of the function that runs."""

    def __init__(self, state: State, frame: Frame, given: dict[str, Value]) -> None:
        self.state, self.frame, self.given = state, frame, given

    def __enter__(self) -> None:
        state = self.state
        self.before = (state.frame, state.holder, state.left)
        state.frame, state.holder, state.left = self.frame, "", []
        state.depth += 1
        state.rounds.append(self.given)

    def __exit__(self, *_: object) -> None:
        state = self.state
        state.frame, state.holder, state.left = self.before
        state.depth -= 1
        state.rounds.pop()


def _is_decision(value: Value) -> bool:
    """Whether a value is one of several that no list is made of: the call itself says more than how it decides."""
    if not isinstance(value, Choice):
        return False
    return all(isinstance(one, (Const, Unknown, External)) for _, one in value.alternatives)


def name_of(node: ast.expr) -> str:
    """`a.b.c` for a name or a chain of attributes, "" for anything else."""
    if isinstance(node, ast.Attribute):
        head = name_of(node.value)
        return f"{head}.{node.attr}" if head else ""
    return node.id if isinstance(node, ast.Name) else ""
