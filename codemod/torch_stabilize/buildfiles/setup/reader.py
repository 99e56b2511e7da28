"""Follows an expression for the sources of an extension module into the lists and globs it is made of."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from typing import TYPE_CHECKING

from torch_stabilize.buildfiles.python.syntax import dotted_name
from torch_stabilize.buildfiles.setup.element import Element
from torch_stabilize.buildfiles.setup.globs import excluded_folder, read_glob
from torch_stabilize.buildfiles.setup.values import Values, place, value_given

if TYPE_CHECKING:
    import libcst as cst

    from torch_stabilize.buildfiles.setup.globs import Glob
    from torch_stabilize.buildfiles.setup.model import SetupModel

SAME_LIST = ("list", "sorted", "tuple", "set")  # calls that keep what is in a list
_Maps = tuple[tuple["cst.CSTNode", str], ...]  # for each comprehension around: what it makes of which variable


class Reader:
    """What one expression for sources holds: `elements`, `globs`, what is `computed`, and lists that flow together."""

    def __init__(self, model: SetupModel, values: Values) -> None:
        self.model = model
        self.values = values
        self.elements: list[Element] = []
        self.computed: list[cst.CSTNode] = []
        self.links: list[tuple[cst.CSTNode, str, str]] = []
        self.globs: list[Glob] = []

    def read(
        self, node: cst.CSTNode, name: str, conditions: tuple[str, ...], seen: frozenset[str], maps: _Maps = ()
    ) -> None:
        """Add what `node` holds; `name` is the list it is added to, `seen` the names that are being read."""
        import libcst as cst

        if isinstance(node, (cst.List, cst.Tuple, cst.Set)):
            for element in node.elements:
                if isinstance(element, cst.StarredElement):
                    self.read(element.value, name, conditions, seen, maps)
                else:
                    self._literal(element.value, node, name, conditions, maps)
        elif isinstance(node, cst.BinaryOperation) and isinstance(node.operator, cst.Add):
            self.read(node.left, name, conditions, seen, maps)
            self.read(node.right, name, conditions, seen, maps)
        elif isinstance(node, cst.IfExp):
            test = self.model.file.text(node.test)
            self.read(node.body, name, (*conditions, test), seen, maps)
            self.read(node.orelse, name, (*conditions, f"not ({test})"), seen, maps)
        elif isinstance(node, cst.Name):
            self._named(node, name, conditions, seen, maps)
        elif (inner := same_list(node)) is not None:
            self.read(inner, name, conditions, seen, maps)
        elif isinstance(node, (cst.ListComp, cst.GeneratorExp)):
            self._comprehended(node, name, conditions, seen, maps)
        else:
            self._globbed(node, name, conditions, maps)

    def settle(self) -> None:
        """Trust no glob of a list that is computed in part: what it finds may be taken out again."""
        if self.computed:
            self.computed += [glob.call for glob in self.globs]
            self.elements = [element for element in self.elements if element.glob is None]
            self.globs = []

    def _literal(
        self, node: cst.CSTNode, holder: cst.CSTNode, name: str, conditions: tuple[str, ...], maps: _Maps
    ) -> None:
        written = self.values.string(node)
        path = self.model.path(self._mapped(written, maps))
        if path is None or written is None:
            self.computed.append(node)
            return
        everything = tuple(dict.fromkeys((*conditions, *self.model.file.conditions(node))))
        base = self._base(path, written) if maps else None
        self.elements.append(Element(path, node, holder, name, everything, base=base))

    def _mapped(self, text: str | None, maps: _Maps) -> str | None:
        for element, variable in maps:
            text = self.values.with_given(**{variable: text}).string(element) if text is not None else None
        return text

    def _base(self, path: str, written: str) -> str:
        """The folder that was put in front of `written`; "" where that is not all that happened to it."""
        written = posixpath.normpath(written)
        return path.removesuffix(f"/{written}") if path.endswith(f"/{written}") else ""

    def _named(self, node: cst.Name, into: str, conditions: tuple[str, ...], seen: frozenset[str], maps: _Maps) -> None:
        import libcst as cst

        name = node.value
        given = self.values.given.get(name)
        bound = self.model.bindings(name, node)
        if isinstance(given, cst.CSTNode) and not bound:
            self.read(given, into, conditions, seen, maps)
            return
        if name in seen:
            return
        if not bound or given is not None:
            self.computed.append(node)
            return
        seen = seen | {name}
        remaps = [(b, remap) for b in bound if (remap := self._remap(b, name)) is not None]
        for statement in bound:
            start = self.model.file.span(statement).start
            later = tuple(remap for other, remap in remaps if self.model.file.span(other).start > start)
            if not any(statement is other for other, _ in remaps):
                self._bound(statement, name, conditions, seen, (*later, *maps))

    def _bound(
        self, statement: cst.CSTNode, name: str, conditions: tuple[str, ...], seen: frozenset[str], maps: _Maps
    ) -> None:
        """What a statement puts into the list `name`."""
        import libcst as cst

        here = tuple(dict.fromkeys((*conditions, *self.model.file.conditions(statement))))
        if isinstance(statement, cst.Del):
            value, into = None, True
        elif isinstance(statement, (cst.Assign, cst.AnnAssign, cst.AugAssign)):
            value, into = value_given(statement, name), True
        else:
            assert isinstance(statement, cst.Call)
            assert isinstance(statement.func, cst.Attribute)
            method = statement.func.attr.value
            if method not in ("extend", "append", "insert") or not statement.args:
                self.computed.append(statement)
                return
            value, into = statement.args[-1].value, method == "extend"
        if value is None:
            self.computed.append(statement)
            return
        if into:
            self.links += [(statement, source, name) for source in lists_in(value) if source != name]
            self.read(value, name, here, seen, maps)
        else:
            self._literal(value, statement, name, here, maps)

    def _remap(self, statement: cst.CSTNode, name: str) -> tuple[cst.CSTNode, str] | None:
        """What `x = [join(folder, one) for one in x]` makes of each: the expression and its variable."""
        import libcst as cst

        value = statement.value if isinstance(statement, cst.Assign) else None
        if not isinstance(value, cst.ListComp) or self.model.file.conditions(statement):
            return None
        target, source = value.for_in.target, value.for_in.iter
        plain = not value.for_in.ifs and value.for_in.inner_for_in is None
        if plain and isinstance(target, cst.Name) and dotted_name(source) == name:
            return value.elt, target.value
        return None

    def _comprehended(
        self,
        node: cst.ListComp | cst.GeneratorExp,
        name: str,
        conditions: tuple[str, ...],
        seen: frozenset[str],
        maps: _Maps,
    ) -> None:
        import libcst as cst

        loop = node.for_in
        if loop.inner_for_in is not None or not isinstance(loop.target, cst.Name):
            self.computed.append(node)
            return
        variable = loop.target.value
        inner: _Maps = ((node.elt, variable), *maps)
        if not loop.ifs:
            self.read(loop.iter, name, conditions, seen, inner)
            return
        folder = excluded_folder(self.values, loop.ifs[0].test, variable, self.model.folder)
        if len(loop.ifs) > 1 or folder is None:
            self.computed.append(node)
        else:
            self._globbed(loop.iter, name, conditions, inner, without=folder)

    def _globbed(
        self, node: cst.CSTNode, name: str, conditions: tuple[str, ...], maps: _Maps, without: str = ""
    ) -> None:
        glob = read_glob(self.values, node, self.model.folder)
        if glob is None or not self._keeps_paths(glob, maps):
            self.computed.append(node)
            return
        glob = glob._replace(without=without)
        self.globs.append(glob)
        everything = tuple(dict.fromkeys((*conditions, *self.model.file.conditions(node))))
        found = (path for path in self.model.files if glob.matches(path))
        self.elements += [Element(path, node, node, name, everything, glob) for path in found]

    def _keeps_paths(self, glob: Glob, maps: _Maps) -> bool:
        """Whether the comprehensions around a glob leave what it finds as it is, as `str(path)` does."""
        written = glob.pattern if glob.folder is not None else self.values.string(glob.argument)
        mapped = self._mapped(written, maps)
        if written is None or mapped is None:
            return False
        return mapped == written or place(mapped, self.model.folder) == glob.pattern


def same_list(node: cst.CSTNode) -> cst.CSTNode | None:
    """What `list(...)`, `sorted(...)` and `map(str, ...)` are given; None for anything else."""
    import libcst as cst

    if not isinstance(node, cst.Call) or not node.args:
        return None
    name = dotted_name(node.func)
    if name in SAME_LIST:
        return node.args[0].value
    if name == "map" and len(node.args) == 2 and dotted_name(node.args[0].value) in ("str", "os.fspath"):
        return node.args[1].value
    return None


def lists_in(node: cst.CSTNode) -> Iterator[str]:
    """The names of the lists that an expression puts together."""
    import libcst as cst

    if isinstance(node, cst.Name):
        yield node.value
    elif isinstance(node, cst.BinaryOperation):
        yield from lists_in(node.left)
        yield from lists_in(node.right)
    elif isinstance(node, cst.IfExp):
        yield from lists_in(node.body)
        yield from lists_in(node.orelse)
    elif isinstance(node, (cst.ListComp, cst.GeneratorExp)):
        yield from lists_in(node.for_in.iter)
    elif isinstance(node, (cst.List, cst.Tuple, cst.Set)):
        for element in node.elements:
            if isinstance(element, cst.StarredElement):
                yield from lists_in(element.value)
    elif (inner := same_list(node)) is not None:
        yield from lists_in(inner)
