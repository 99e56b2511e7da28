"""The calls of a setup file: functions of Python that make lists, paths and texts, and methods of those."""

from __future__ import annotations

import ast
import posixpath
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from torch_stabilize.buildfiles.model import Origin, When
from torch_stabilize.buildfiles.setup.evaluate import conditions
from torch_stabilize.buildfiles.setup.evaluate.conditions import Test
from torch_stabilize.buildfiles.setup.evaluate.expressions import Expressions
from torch_stabilize.buildfiles.setup.evaluate.paths import Walked, exists, found_by, listed, of_path, place, walked
from torch_stabilize.buildfiles.setup.evaluate.state import MOST_ROUNDS
from torch_stabilize.buildfiles.setup.evaluate.values import (
    NONE,
    ROOT,
    Arguments,
    Const,
    Item,
    Items,
    Partial,
    Table,
    Text,
    Value,
    Written,
    alternatives,
    both,
    choice,
    combinations,
)  # fmt: skip

KEEP_ITEMS = frozenset({"list", "sorted", "tuple", "set", "frozenset", "reversed", "iter", "copy.copy"})
_SAME_PATH = frozenset({"str", "os.fspath", "Path", "PurePath", "PosixPath"})
_GLOBS = frozenset({"glob.glob", "glob.iglob"})
PATH_TESTS = {"exists": "any", "isfile": "file", "isdir": "folder", "is_file": "file", "is_dir": "folder"}


class Calls(Expressions):
    """Evaluates calls of what Python brings, and of methods."""

    def invoke(self, node: ast.Call, function: Value, arguments: Arguments) -> Value:
        """What calling `function` gives. For the class that knows functions and extension classes."""
        raise NotImplementedError

    # -- functions that Python brings --------------------------------------------------------------------------------

    def external(self, node: ast.Call, name: str, given: Arguments) -> Value:
        """What a function gives that is no part of the repository."""
        short = _plain_name(name)
        values = given.by_place
        if short.startswith("os.path."):
            return self._path_function(node, short.removeprefix("os.path."), values)
        if short in _GLOBS and values:
            recursive = given.by_name.get("recursive", Const(False))
            return self.glob(node, values[0], "", recursive=recursive == Const(True))
        if short in _SAME_PATH and values:
            if short == "str" and not isinstance(values[0], Text):
                return self.text_of(node, values[:1], "".join)
            return self.text_of(node, values, lambda texts: posixpath.join(*texts), is_path=short != "os.fspath")
        if short in _SAME_PATH | {"os.getcwd", "Path.cwd"}:
            return Text("." if short in _SAME_PATH else ROOT, short != "os.getcwd")
        handler: Callable[[ast.Call, Arguments], Value] | None = self._functions.get(short)
        if handler is not None:
            return handler(node, given)
        if short in KEEP_ITEMS:
            return self.new_list(*self.items(values[0], node)) if values else self.new_list(())
        return self.unknown(node)

    @property
    def _functions(self) -> Mapping[str, Callable[[ast.Call, Arguments], Value]]:
        return {
            "map": self._map,
            "filter": self._filter,
            "enumerate": self._enumerate,
            "zip": self._zip,
            "range": self._range,
            "len": self._len,
            "sum": self._sum,
            "dict": self._dict_of,
            "itertools.product": self._product,
            "itertools.chain": self._chain,
            "itertools.chain.from_iterable": self._sum,
            "dict.fromkeys": self._from_keys,
            "functools.partial": self._partial,
            "copy.deepcopy": self._deep_copy,
            "os.listdir": self._listdir,
            "os.walk": self._walk,
            "bool": lambda node, given: self._boolean(node.args[0]) if node.args else Const(False),
            "any": lambda node, given: self._boolean(node),
            "all": lambda node, given: self._boolean(node),
        }

    def _path_function(self, node: ast.Call, function: str, values: Sequence[Value]) -> Value:
        if not values:
            return self.unknown(node)
        if function in PATH_TESTS:
            return self.is_there(node, values[0], PATH_TESTS[function])
        if function in ("splitext", "split"):
            split = getattr(posixpath, function)
            pairs = [
                self.text_of(node, values[:1], lambda texts, at=at: split(texts[0])[at]) for at in (0, 1)
            ]  # fmt: skip
            return self.new_list([Item(pair, self.state.when) for pair in pairs], is_tuple=True)
        return self.text_of(node, values, lambda texts: of_path(function, texts))

    def is_there(self, node: ast.expr, value: Value, wanted: str) -> Value:
        """Whether a path is there, as far as the tree says it."""
        found: list[tuple[When, Value]] = []
        for when, (one,) in combinations((value,), self.state.when):
            if not isinstance(one, Text):
                return self.unknown(node)
            text, folder = one.text, self.state.folder
            known = self.state.ask(partial(exists, text=text, folder=folder, wanted=wanted))
            if known is None:
                return self.unknown(node)
            found.append((when, Const(known)))
        return choice(found)

    def glob(self, node: ast.Call, value: Value, base: str, *, recursive: bool, is_path: bool = False) -> Value:
        """What a glob finds, each file with the pattern."""
        state = self.state
        made = self.new_list(())
        for when, (one,) in combinations((value,), state.when):
            text = posixpath.join(base, one.text) if isinstance(one, Text) else None
            pattern = place(text, state.folder) if text is not None else None
            found = None
            if text is not None:
                found = state.ask(partial(found_by, text=text, folder=state.folder, recursive=recursive))
            if found is None or pattern is None:
                made.gaps.append(state.gap(node, "the pattern is made when the file runs"))
                continue
            written = Written(state.place(node), state.holder, Origin.GLOB, pattern)
            outer = both(state.when, when)
            made.items += [Item(Text(path, is_path, written), outer) for path in found]
        return made

    def _listdir(self, node: ast.Call, given: Arguments) -> Value:
        value = given.by_place[0] if given.by_place else Text(".")
        text, folder = value.text if isinstance(value, Text) else None, self.state.folder
        names = self.state.ask(lambda tree: listed(tree, text, folder)) if text is not None else None
        if names is None:
            return self.new_list((), [self.state.gap(node, "the folder is not in the repository")])
        listed_folder = place(text, folder) if text is not None else ""
        pattern = posixpath.join(listed_folder or "", "*")
        written = Written(self.state.place(node), self.state.holder, Origin.GLOB, pattern)
        return self.new_list([Item(Text(name, written=written), self.state.when) for name in names])

    def _walk(self, node: ast.Call, given: Arguments) -> Value:
        """The folder, its folders and its files, for every folder below the one that is given, outside in."""
        value = given.by_place[0] if given.by_place else Text(".")
        text, folder = value.text if isinstance(value, Text) else None, self.state.folder
        rows = self.state.ask(lambda tree: walked(tree, text, folder)) if text is not None else None
        if rows is None:
            return self.new_list((), [self.state.gap(node, "the folder is not in the repository")])
        return self.new_list([self._walked_row(node, row) for row in rows])

    def _walked_row(self, node: ast.Call, row: Walked) -> Item:
        when = self.state.when
        pattern = posixpath.join(place(row.folder, self.state.folder) or "", "*")
        written = Written(self.state.place(node), self.state.holder, Origin.GLOB, pattern)
        folders = self.new_list([Item(Text(name), when) for name in row.folders])
        files = self.new_list([Item(Text(name, written=written), when) for name in row.files])
        columns = [Item(value, when) for value in (Text(row.folder), folders, files)]
        return Item(self.new_list(columns, is_tuple=True), when)

    # -- lists -------------------------------------------------------------------------------------------------------

    def _map(self, node: ast.Call, given: Arguments) -> Value:
        if len(given.by_place) != 2:
            return self.unknown(node)
        function, held = given.by_place
        items, gaps = self.items(held, node)
        found = []
        for item in items:
            with self.state.under(item.when):
                value = self.invoke(node, function, Arguments([item.value]))
            found.append(Item(value, item.when))
        return self.new_list(found, gaps)

    def _filter(self, node: ast.Call, given: Arguments) -> Value:
        if len(given.by_place) != 2:
            return self.unknown(node)
        function, held = given.by_place

        def keep(item: Item) -> Test:
            value = item.value
            if function != NONE:
                value = self.invoke(node, function, Arguments([item.value]))
            return conditions.decide_value(self.state, node, value)

        return self.filtered(*self.items(held, node), keep)

    def _enumerate(self, node: ast.Call, given: Arguments) -> Value:
        items, gaps = self.items(given.by_place[0], node) if given.by_place else ([], [])
        pairs = [self._pair(Const(index), item) for index, item in enumerate(items)]
        return self.new_list(pairs, gaps)

    def _pair(self, first: Value, item: Item) -> Item:
        return Item(self.new_list([Item(first, item.when), item], is_tuple=True), item.when)

    def _zip(self, node: ast.Call, given: Arguments) -> Value:
        columns = [self.items(value, node) for value in given.by_place]
        rows = zip(*(items for items, _ in columns), strict=False)
        return self.new_list([self._row(row) for row in rows], [gap for _, gaps in columns for gap in gaps])

    def _row(self, row: Sequence[Item]) -> Item:
        when: When = ()
        for item in row:
            when = both(when, item.when)
        return Item(self.new_list([Item(item.value, when) for item in row], is_tuple=True), when)

    def _product(self, node: ast.Call, given: Arguments) -> Value:
        columns = [self.items(value, node) for value in given.by_place]
        if given.by_name:
            return self.new_list((), [self.state.gap(node, "a product with repeat=")])
        rows: list[list[Item]] = [[]]
        for items, _ in columns:
            rows = [[*row, item] for row in rows for item in items]
            if len(rows) > MOST_ROUNDS:
                return self.new_list((), [self.state.gap(node, "the product has too many rows")])
        found = [self._row(row) for row in rows]
        kept = [row for row in found if not self.state.is_dead(row.when)]
        return self.new_list(kept, [gap for _, gaps in columns for gap in gaps])

    def _chain(self, node: ast.Call, given: Arguments) -> Value:
        made = self.new_list(())
        for value in given.by_place:
            items, gaps = self.items(value, node)
            made.items += items
            made.gaps += gaps
        return made

    def _sum(self, node: ast.Call, given: Arguments) -> Value:
        """`sum(lists, [])`, `chain.from_iterable(lists)`."""
        made = self.new_list(())
        lists, gaps = self.items(given.by_place[0], node) if given.by_place else ([], [])
        made.gaps += gaps
        for held in lists:
            if not isinstance(held.value, Items):
                return self.unknown(node)
            with self.state.under(held.when):
                items, gaps = self.items(held.value, node)
            made.items += items
            made.gaps += gaps
        return made

    def _range(self, node: ast.Call, given: Arguments) -> Value:
        bounds = [value.value for value in given.by_place if isinstance(value, Const)]
        plain = [bound for bound in bounds if isinstance(bound, int)]
        if len(plain) != len(given.by_place) or not 0 < len(plain) < 4 or len(range(*plain)) > MOST_ROUNDS:
            return self.new_list((), [self.state.gap(node, "the range is made when the file runs")])
        return self.new_list([Item(Const(number), self.state.when) for number in range(*plain)])

    def _len(self, node: ast.Call, given: Arguments) -> Value:
        value = given.by_place[0] if given.by_place else NONE
        if isinstance(value, Items) and not value.gaps and all(item.when == value.made for item in value.items):
            return Const(len(value.items))
        return self.unknown(node)

    def _dict_of(self, node: ast.Call, given: Arguments) -> Value:
        table = Table({}, self.state.when)
        for value in given.by_place:
            self.update(table, value, node)
        for name, value in given.by_name.items():
            self.put(table, Text(name), value, node)
        if given.gap is not None:
            table.gaps.append(given.gap)
        return table

    def _from_keys(self, node: ast.Call, given: Arguments) -> Value:
        """`dict.fromkeys(names)`, by which people take out what is there twice."""
        items, gaps = self.items(given.by_place[0], node) if given.by_place else ([], [])
        return self.new_list(items, gaps)

    def _partial(self, node: ast.Call, given: Arguments) -> Value:
        if not given.by_place:
            return self.unknown(node)
        return Partial(given.by_place[0], given._replace(by_place=given.by_place[1:]))

    def _deep_copy(self, node: ast.Call, given: Arguments) -> Value:
        return self._copied(given.by_place[0]) if given.by_place else self.unknown(node)

    def _copied(self, value: Value) -> Value:
        if isinstance(value, Items):
            copied = [Item(self._copied(item.value), item.when) for item in value.items]
            return Items(copied, self.state.when, list(value.gaps), value.is_tuple)
        if isinstance(value, Table):
            values = {key: self._copied(held) for key, held in value.values.items()}
            return Table(values, self.state.when, list(value.gaps))
        rows = alternatives(value)
        return choice([(when, self._copied(one)) for when, one in rows]) if len(rows) > 1 else value


def _plain_name(name: str) -> str:
    """A dotted name as it is called elsewhere: "pathlib.Path" is "Path", "osp.join" is "os.path.join"."""
    for long, short in (("pathlib.", ""), ("builtins.", ""), ("posixpath.", "os.path."), ("osp.", "os.path.")):
        if name.startswith(long):
            return short + name.removeprefix(long)
    return name
