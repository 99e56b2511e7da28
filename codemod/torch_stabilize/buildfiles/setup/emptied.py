"""Lists of a setup file that are left with nothing: they go with what puts them into others."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from torch_stabilize.buildfiles.codes import SETUP_SOURCE_MOVED
from torch_stabilize.buildfiles.setup.families import Member, nodes_of, unique
from torch_stabilize.buildfiles.setup.model import Extension
from torch_stabilize.buildfiles.setup.reader import same_list
from torch_stabilize.buildfiles.setup.values import value_given
from torch_stabilize.model import Span

if TYPE_CHECKING:
    import libcst as cst

    from torch_stabilize.buildfiles.setup.run import SetupRun


@dataclass(frozen=True)
class Emptied:
    """What is left with nothing once the sources of `members` have moved."""

    run: SetupRun
    members: Sequence[Member]
    others: Sequence[Extension] = ()  # that keep what they have

    @cached_property
    def _moving(self) -> set[int]:
        return nodes_of(unique(self.members))

    @cached_property
    def _globs(self) -> set[int]:
        """The globs of which every file moves."""
        moving = {(id(element.node), element.path) for element in unique(self.members)}
        found: dict[int, bool] = {}
        for member in self.members:
            for element in member.extension.elements:
                if element.glob is not None:
                    key = id(element.node)
                    found[key] = found.get(key, True) and (key, element.path) in moving
        return {key for key, all_move in found.items() if all_move}

    @cached_property
    def dropped(self) -> frozenset[str]:
        """The names of lists that hold nothing that stays, and are used for nothing but other lists."""
        if any(id(element.node) in self._moving for other in self.others for element in other.elements):
            return frozenset()
        names = {e.name for e in unique(self.members) if e.name}
        names |= {name for m in self.members for _, *pair in m.extension.links for name in pair}
        dropped: frozenset[str] = frozenset()
        while True:
            more = frozenset(name for name in names if self._is_dropped(name, dropped))
            if more == dropped:
                break
            dropped = more
        sources = [member.extension.sources for member in self.members]
        return frozenset() if any(one is not None and self.is_gone(one, dropped) for one in sources) else dropped

    def _is_dropped(self, name: str, dropped: frozenset[str]) -> bool:
        statements = self.run.model.bindings(name)
        if not statements or not all(self._is_emptied(statement, name, dropped) for statement in statements):
            return False
        return all(self._is_list_use(node, statements) for node in self._names(name))

    def _names(self, name: str) -> Iterator[cst.CSTNode]:
        import libcst as cst

        return (node for node in self.run.model.file.find(cst.Name) if node.value == name)

    def _is_emptied(self, statement: cst.CSTNode, name: str, dropped: frozenset[str]) -> bool:
        """Whether a statement gives `name` nothing that stays."""
        import libcst as cst

        if isinstance(statement, cst.Call):
            if not isinstance(statement.func, cst.Attribute) or not statement.args:
                return False
            value = statement.args[-1].value
            if statement.func.attr.value == "extend":
                return self.is_gone(value, dropped)
            return statement.func.attr.value == "append" and id(value) in self._moving
        given = value_given(statement, name)
        is_own = isinstance(statement, cst.AugAssign) or _target(statement) == name
        if is_own and isinstance(given, cst.List) and not given.elements:
            return True  # filled later
        return is_own and given is not None and self.is_gone(given, dropped)

    def _is_list_use(self, node: cst.CSTNode, statements: Sequence[cst.CSTNode]) -> bool:
        """Whether a name is where a list is put together: as a target, an operand, or an argument for sources."""
        import libcst as cst

        file = self.run.model.file
        below, above = node, file.parent(node)
        while above is not None:
            if above in statements or isinstance(above, cst.AssignTarget):
                return True
            if any(below is member.extension.sources for member in self.members):
                return below is not node
            if isinstance(above, (cst.AugAssign, cst.Assign)):
                return above.value is below and _target(above) != ""
            is_part = isinstance(above, (cst.BinaryOperation, cst.StarredElement, cst.List, cst.Arg))
            is_part = is_part or (isinstance(above, cst.Attribute) and file.parent(above) in _calls(statements))
            if isinstance(above, cst.Call):
                is_extend = isinstance(above.func, cst.Attribute) and above.func.attr.value == "extend"
                is_part = same_list(above) is not None or is_extend
                if is_extend:
                    return True
            if not is_part:
                return False
            below, above = above, file.parent(above)
        return False

    def is_gone(self, node: cst.CSTNode, dropped: frozenset[str] | None = None) -> bool:
        """Whether nothing of an expression for sources stays."""
        import libcst as cst

        names = self.dropped if dropped is None else dropped
        if isinstance(node, (cst.List, cst.Tuple, cst.Set)):
            return bool(node.elements) and all(
                self.is_gone(e.value, names) if isinstance(e, cst.StarredElement) else id(e.value) in self._moving
                for e in node.elements
            )
        if isinstance(node, cst.BinaryOperation):
            return self.is_gone(node.left, names) and self.is_gone(node.right, names)
        if isinstance(node, cst.Name):
            return node.value in names
        if isinstance(node, (cst.ListComp, cst.GeneratorExp)):
            return self.is_gone(node.for_in.iter, names)
        if (inner := same_list(node)) is not None:
            return self.is_gone(inner, names)
        return id(node) in self._globs

    def is_whole(self, statement: cst.CSTNode, name: str) -> bool:
        """Whether a statement that puts something into the list `name` is removed as a whole."""
        import libcst as cst

        if name in self.dropped:
            return True
        adds = isinstance(statement, (cst.AugAssign, cst.Call))
        return adds and self._is_emptied(statement, name, self.dropped)

    def operands(self) -> list[tuple[cst.CSTNode, cst.BinaryOperation]]:
        """The largest parts of expressions that go while the rest stays, each with the node that it is taken out of."""
        import libcst as cst

        file = self.run.model.file
        found: list[tuple[cst.CSTNode, cst.BinaryOperation]] = []
        for around in file.find(cst.BinaryOperation):
            if isinstance(around.operator, cst.Add) and not self.is_gone(around):
                found += [(side, around) for side in (around.left, around.right) if self.is_gone(side)]
        return found

    def take_out(self) -> None:
        """Delete the operands, outside of statements that were replaced."""
        file = self.run.model.file
        for side, around in self.operands():
            if self.run.is_replaced(around):
                continue
            left, right = file.span(around.left), file.span(around.right)
            span = Span(left.start, right.start) if side is around.left else Span(left.end, right.end)
            self.run.edits.delete(span, SETUP_SOURCE_MOVED)
            self.run.replaced.add(id(side))

    def delete_statements(self) -> None:
        """Delete the statements of dropped lists where a stable extension has their sources already, and operands.

        Nothing is removed where a block would be left without a statement.
        """
        file, edits = self.run.model.file, self.run.edits
        names = self.dropped | {into for m in self.members for _, _, into in m.extension.links}
        wanted = [s for name in names for s in self.run.model.bindings(name) if self.is_whole(s, name)]
        lines = {id(line): line for s in wanted if not self.run.is_replaced(s) for line in [file.statement(s)]}
        if not all(self._may_be_deleted(line, lines.keys()) for line in lines.values()):
            return
        for line in lines.values():
            span = file.span(line)
            edits.delete(
                Span(file.line_start(span.start), file.line_end(max(span.start, span.end - 1))), SETUP_SOURCE_MOVED
            )
            self.run.replaced.add(id(line))
        self.take_out()

    def _may_be_deleted(self, line: cst.CSTNode, gone: Collection[int]) -> bool:
        import libcst as cst

        if not isinstance(line, cst.SimpleStatementLine) or len(line.body) > 1:
            return False
        block = self.run.model.file.parent(line)
        if isinstance(block, cst.Module):
            return True
        return isinstance(block, cst.IndentedBlock) and any(id(other) not in gone for other in block.body)


def _target(statement: cst.CSTNode) -> str:
    """The one name that an assignment gives a value; "" for a tuple and anything else."""
    import libcst as cst

    if isinstance(statement, (cst.AugAssign, cst.AnnAssign)):
        return statement.target.value if isinstance(statement.target, cst.Name) else ""
    if not isinstance(statement, cst.Assign) or len(statement.targets) != 1:
        return ""
    target = statement.targets[0].target
    return target.value if isinstance(target, cst.Name) else ""


def _calls(statements: Sequence[cst.CSTNode]) -> list[cst.CSTNode]:
    import libcst as cst

    return [statement for statement in statements if isinstance(statement, cst.Call)]
