"""The methods of lists, dictionaries, texts and paths in a setup file."""

from __future__ import annotations

import ast
import posixpath
from collections.abc import Callable, Sequence

from torch_stabilize.buildfiles.model import When
from torch_stabilize.buildfiles.setup.evaluate.calls import PATH_TESTS, Calls
from torch_stabilize.buildfiles.setup.evaluate.conditions import Test
from torch_stabilize.buildfiles.setup.evaluate.values import (
    NONE,
    ROOT,
    Arguments,
    Const,
    External,
    Item,
    Items,
    Method,
    Table,
    Text,
    Unknown,
    Value,
    alternatives,
    both,
    choice,
    expanded,
    without,
)  # fmt: skip

_TEXT_METHODS = frozenset(
    {"lower", "upper", "strip", "lstrip", "rstrip", "replace", "removeprefix", "removesuffix", "title", "capitalize"}
)
_TEXT_TESTS = frozenset({"startswith", "endswith", "isdigit"})


class Methods(Calls):
    """Evaluates methods."""

    def attribute_of(self, node: ast.Attribute, held: Value) -> Value:
        """An attribute of a path, or a method that may be called."""
        rows = alternatives(held, self.state.when)
        if all(isinstance(one, Text) for _, one in rows) and node.attr in ("parent", "name", "stem", "suffix"):
            name = node.attr
            return self.text_of(node, [held], lambda texts: _part_of(texts[0], name), is_path=name == "parent")
        if all(isinstance(one, (Text, Items, Table)) for _, one in rows):
            return Method(held, node.attr)
        return self.unknown(node, held)

    def method(self, node: ast.Call, method: Method, given: Arguments) -> Value:
        """What a method of a list, a dictionary, a text or a path gives; lists and dictionaries change."""
        results: list[tuple[When, Value]] = []
        for when, one in alternatives(method.held, self.state.when):
            with self.state.under(when):
                if isinstance(one, Items):
                    results.append((when, self._list_method(node, one, method.name, given)))
                elif isinstance(one, Table):
                    results.append((when, self._table_method(node, one, method.name, given)))
                elif isinstance(one, Text):
                    results.append((when, self._text_method(node, one, method.name, given)))
        return choice(results) if results else self.unknown(node)

    def _list_method(self, node: ast.Call, held: Items, name: str, given: Arguments) -> Value:
        values = given.by_place
        if name in ("append", "add", "insert") and values:
            held.items.append(self.entry(values[-1], node.args[-1]))
        elif name in ("extend", "update") and values:
            self.extend(held, values[0], node.args[0])
        elif name in ("remove", "discard") and values:
            gone = self.new_list([Item(values[0], self.state.when)])
            if name == "remove" and self._is_missing(held, values[0]):
                self.state.gaps.append(self.state.gap(node, "what is not in a list is removed from it"))
            self.take_out(held, gone, node)
        elif name == "clear":
            self.take_out(held, None, node)
        elif name == "copy":
            return held.copy(self.state.when)
        elif name in ("union", "difference") and values:
            items, gaps = self.items(held, node)
            more, unread = self.items(values[0], node)
            if name == "union":
                return self.new_list([*items, *more], [*gaps, *unread])
            gone = self.new_list(more, unread)
            return self.filtered(items, gaps, lambda item: self.is_in(item.value, gone, node))
        elif name in ("pop", "difference_update", "intersection_update"):
            held.gaps.append(self.state.gap(node, "something is taken out of the list"))
            return self.unknown(node)
        elif name not in ("sort", "reverse", "index", "count"):
            return self.unknown(node)
        return NONE

    def extend(self, held: Items, value: Value, node: ast.expr) -> None:
        """`held += value`, under the conditions that hold here."""
        if held is value:
            return
        items, gaps = self.items(value, node)
        held.items += items
        held.gaps += gaps

    def _is_missing(self, held: Items, value: Value) -> bool:
        """Whether a text is nowhere in a list of texts."""
        texts = [item.value.text if isinstance(item.value, Text) else None for item in expanded(held.items)]
        return isinstance(value, Text) and not held.gaps and None not in texts and value.text not in texts

    def take_out(self, held: Items, gone: Items | None, node: ast.expr) -> None:
        """Take what is in `gone`, or everything, out of a list under the conditions that hold here."""
        when = tuple(c for c in self.state.when if c not in held.made)
        outside = without(when) if when else None
        kept: list[Item] = []
        for item in held.items:
            test = Test(None, ()) if gone is None else self.is_in(item.value, gone, node)
            if test.no is None:
                kept.append(item)
            elif test.yes is None:
                kept += [item._replace(when=both(item.when, outside))] if outside is not None else []
            else:
                kept.append(item)
                held.gaps.append(self.state.gap(node, "something may be taken out of the list"))
        held.items = kept

    def _table_method(self, node: ast.Call, held: Table, name: str, given: Arguments) -> Value:
        values = given.by_place
        if name in ("items", "keys", "values"):
            rows = []
            for key, value in held.values.items():
                first = Item(Text(key) if isinstance(key, str) else Const(key), self.state.when)
                second = Item(value, self.state.when)
                pair = Item(self.new_list([first, second], is_tuple=True), self.state.when)
                rows.append({"items": pair, "keys": first}.get(name, second))
            return self.new_list(rows, held.gaps)
        if name in ("get", "setdefault") and values:
            key = values[0].text if isinstance(values[0], Text) else None
            if name == "get" and isinstance(values[0], (Unknown, External)) and not node.keywords:
                found = self.by_open_key(held, node.args[0], values[1] if len(values) > 1 else NONE)
                return found if found is not None else self.unknown(node)
            if key in held.values:
                return held.values[key]
            if key is None or held.gaps:
                return self.unknown(node)
            value = values[1] if len(values) > 1 else NONE
            if name == "setdefault":
                self.put(held, values[0], value, node)
            return value
        if name == "update":
            for value in values:
                self.update(held, value, node)
            for word, value in given.by_name.items():
                self.put(held, Text(word), value, node)
            return NONE
        if name == "copy":
            return held.copy(self.state.when)
        if name == "pop" and values and isinstance(values[0], Text):
            return held.values.get(values[0].text, values[1] if len(values) > 1 else self.unknown(node))
        return self.unknown(node)

    def _text_method(self, node: ast.Call, held: Text, name: str, given: Arguments) -> Value:
        values = given.by_place
        if name in ("glob", "rglob") and values:
            base = posixpath.join(held.text, "**") if name == "rglob" else held.text
            return self.glob(node, values[0], base, recursive=True, is_path=True)
        if name in PATH_TESTS:
            return self.is_there(node, held, PATH_TESTS[name])
        if name in ("resolve", "absolute"):
            return Text(posixpath.normpath(posixpath.join(ROOT, held.text)), True, held.written)
        if name in ("as_posix", "joinpath", "format", "relative_to", "with_suffix") or name in _TEXT_METHODS:
            return self.text_of(node, [held, *values, *given.by_name.values()], _made_by(name, tuple(given.by_name)))
        if name == "iterdir":
            return self.glob(node, Text("*"), held.text, recursive=False, is_path=True)
        if name in _TEXT_TESTS and values and not isinstance(values[0], Text):
            return self._tested_with(node, held, name, values[0])
        if name in _TEXT_TESTS:
            texts = [value.text for value in values if isinstance(value, Text)]
            return Const(getattr(held.text, name)(*texts)) if len(texts) == len(values) else self.unknown(node)
        if name in ("split", "rsplit", "splitlines", "partition", "rpartition"):
            plain = [v.text if isinstance(v, Text) else v.value for v in values if isinstance(v, (Text, Const))]
            if len(plain) != len(values) or given.by_name:
                return self.unknown(node)
            try:
                parts = getattr(held.text, name)(*plain)
            except (TypeError, ValueError):
                return self.unknown(node)
            return self.new_list([Item(Text(part), self.state.when) for part in parts])
        if name == "join" and values:
            items, gaps = self.items(values[0], node)
            if gaps or any(item.when != self.state.when for item in items):
                return self.unknown(node)
            return self.text_of(node, [item.value for item in items], held.text.join)
        return self.unknown(node)

    def _tested_with(self, node: ast.Call, held: Text, name: str, value: Value) -> Value:
        """`path.endswith((".cu", ".cpp"))`."""
        parts = [item.value for item in value.items] if isinstance(value, Items) else []
        texts = tuple(part.text for part in parts if isinstance(part, Text))
        return Const(getattr(held.text, name)(texts)) if texts and len(texts) == len(parts) else self.unknown(node)


def _part_of(text: str, name: str) -> str:
    base = posixpath.basename(text)
    stem, suffix = posixpath.splitext(base)
    return {"parent": posixpath.dirname(text) or ".", "name": base, "stem": stem}.get(name, suffix)


def _made_by(name: str, words: Sequence[str]) -> Callable[[list[str]], str | None]:
    """What a method makes of its text and its arguments; `words` are the names of the last arguments."""

    def make(texts: list[str]) -> str | None:
        held, *more = texts
        if name == "as_posix":
            return held
        if name == "joinpath":
            return posixpath.join(held, *more)
        if name == "with_suffix":
            return posixpath.splitext(held)[0] + "".join(more)
        if name == "relative_to":
            start = posixpath.normpath(posixpath.join(ROOT, more[0])) + "/"
            found = posixpath.normpath(posixpath.join(ROOT, held))
            return found.removeprefix(start) if found.startswith(start) else None
        plain = more[: len(more) - len(words)]
        try:
            if name == "format":
                return held.format(*plain, **dict(zip(words, more[len(plain) :], strict=True)))
            result: str = getattr(held, name)(*plain)
        except (IndexError, KeyError, ValueError, TypeError, AttributeError):
            return None
        return result

    return make
