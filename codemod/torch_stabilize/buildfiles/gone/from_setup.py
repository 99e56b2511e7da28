"""An extension of a setup.py that nothing is left of: its call, and the lists that it alone reads."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from torch_stabilize.buildfiles.codes import SETUP_SOURCE_MOVED
from torch_stabilize.buildfiles.gone.taken_out import TakenOut
from torch_stabilize.buildfiles.setup.computed.records import extensions_in_classes
from torch_stabilize.buildfiles.setup.model import SetupModel, is_stable_extension, read_setup
from torch_stabilize.buildfiles.setup.package import is_limited, update_package
from torch_stabilize.buildfiles.setup.run import SetupRun
from torch_stabilize.buildfiles.setup.text import remove_elements
from torch_stabilize.buildfiles.setup.values import value_given
from torch_stabilize.buildfiles.text_edits import TextEdits
from torch_stabilize.model import Span
from torch_stabilize.repository.layout import Layout
from torch_stabilize.repository.snapshot import Snapshot
from torch_stabilize.repository.stable_target import short_name

if TYPE_CHECKING:
    import libcst as cst

_ADDERS = ("append", "extend")


def take_out_of_setup(snapshot: Snapshot, layout: Layout, path: str, target: str) -> tuple[TakenOut, list[str]]:
    """The edits of the setup file at `path`, and the full names of the extensions that they take out."""
    name = short_name(layout.legacy_library)
    if name.encode() not in snapshot.read(path):
        return TakenOut(), []
    model = read_setup(snapshot, path)
    extensions = [*model.extensions(), *extensions_in_classes(model)]
    leaving = [one for one in extensions if short_name(one.name) == name]
    if not leaving:
        return TakenOut(), []
    names = sorted({one.name for one in leaving})
    calls = {id(one.call): one.call for one in leaving}
    why = TakenOut(kept=f"{path} makes {names[0]} in a way that it cannot be taken out of")
    if any(id(one.call) in calls for one in extensions if one not in leaving):
        return why, names
    taking = _Taking(model, TextEdits(path, model.file.data), calls.keys())
    if not all(taking.take_call(call) for call in calls.values()):
        return why, names
    taking.take_lists(list(calls.values()))
    taking.carry_out()
    left = [one for one in extensions if one not in leaving]
    run = SetupRun(model, layout, {}, target, taking.edits)
    if left and all(one.sources is not None and is_stable_extension(model, layout, one) for one in left):
        update_package(run, left, [one for one in left if is_limited(run, one)])
    return TakenOut(taking.edits.edits(), tuple(run.diagnostics)), names


class _Taking:
    """What is to go: elements of lists, and statements."""

    def __init__(self, model: SetupModel, edits: TextEdits, calls: Collection[int]) -> None:
        self.model, self.edits, self.calls = model, edits, calls
        self.known: set[int] = set()
        self.elements: dict[cst.List | cst.Tuple, list[cst.CSTNode]] = {}
        self.statements: dict[int, cst.CSTNode] = {}

    def take_call(self, call: cst.CSTNode) -> bool:
        """Take out what makes an extension, wherever it is collected; False where that cannot be told."""
        import libcst as cst

        file = self.model.file
        above = file.parent(call)
        if isinstance(above, cst.Element):
            return self._take_element(file.parent(above), call)
        if isinstance(above, cst.Arg):
            return self._take_added(call, above)
        if not isinstance(above, cst.Assign) or len(above.targets) != 1:
            return False
        target = above.targets[0].target
        if not isinstance(target, cst.Name):
            return False
        making = [one for one in file.find(cst.Assign) if len(one.targets) == 1 and id(one.value) in self.calls]
        given = [one.targets[0].target for one in making]
        uses = [one for one in file.find(cst.Name) if one.value == target.value and one not in given]
        return self._take_statement(above) and all(map(self._take_use, uses))

    def _take_use(self, name: cst.CSTNode) -> bool:
        """Take out a name of what is removed; one that several branches bind is met several times."""
        import libcst as cst

        above = self.model.file.parent(name)
        if id(name) in self.known:
            return True
        self.known.add(id(name))
        return not isinstance(above, cst.Assign) and self.take_call(name)

    def _take_added(self, call: cst.CSTNode, argument: cst.Arg) -> bool:
        """`extensions.append(call)` is removed as a whole."""
        import libcst as cst

        outer = self.model.file.parent(argument)
        is_append = (
            isinstance(outer, cst.Call)
            and isinstance(outer.func, cst.Attribute)
            and outer.func.attr.value == "append"
            and len(outer.args) == 1
        )
        return is_append and outer is not None and self._take_statement(outer)

    def _take_element(self, holder: cst.CSTNode | None, node: cst.CSTNode) -> bool:
        import libcst as cst

        if not isinstance(holder, (cst.List, cst.Tuple)):
            return False
        going = [*self.elements.get(holder, ()), node]
        if len(going) == len(holder.elements):
            return self._take_list(holder)
        self.elements[holder] = going
        return True

    def _take_list(self, holder: cst.List | cst.Tuple) -> bool:
        """Remove a list of which nothing stays with what adds it to another; the first value of a name stays, empty."""
        import libcst as cst

        file = self.model.file
        above = file.parent(holder)
        if isinstance(above, cst.AugAssign):
            self.elements.pop(holder, None)
            return self._take_statement(above)
        if isinstance(above, cst.Arg):
            outer = file.parent(above)
            if isinstance(outer, cst.Call) and isinstance(outer.func, cst.Attribute):
                self.elements.pop(holder, None)
                return outer.func.attr.value == "extend" and self._take_statement(outer)
            return False
        if isinstance(above, cst.Assign):
            self.elements[holder] = [element.value for element in holder.elements]
            return True
        return False

    def _take_statement(self, node: cst.CSTNode) -> bool:
        import libcst as cst

        line = self.model.file.statement(node)
        if not isinstance(line, cst.SimpleStatementLine) or len(line.body) != 1:
            return False
        only = line.body[0]
        if only is not node and not (isinstance(only, cst.Expr) and only.value is node):
            return False
        self.statements[id(line)] = line
        return True

    def take_lists(self, calls: Sequence[cst.CSTNode]) -> None:
        """Take out the lists that only what is removed speaks of."""
        waiting = self._names_in(calls)
        while waiting:
            name = waiting.pop()
            bound = self.model.bindings(name)
            lines = [self._line_of(one, name) for one in bound]
            if not lines or any(line is None for line in lines):
                continue
            known = [line for line in lines if line is not None]
            if self._is_used(name, [*known, *calls, *self.statements.values()]):
                continue
            if all(id(line) in self.statements for line in known):
                continue
            for line in known:
                self.statements[id(line)] = line
            waiting |= self._names_in(known)

    def _names_in(self, nodes: Sequence[cst.CSTNode]) -> set[str]:
        import libcst as cst

        return {one.value for node in nodes for one in self.model.file.find_in(node, cst.Name)}

    def _line_of(self, bound: cst.CSTNode, name: str) -> cst.CSTNode | None:
        """The line of a statement that does nothing but give the list `name` something; None for any other one."""
        import libcst as cst

        line = self.model.file.statement(bound)
        if not isinstance(line, cst.SimpleStatementLine) or len(line.body) != 1:
            return None
        if isinstance(bound, cst.Call):
            is_adder = isinstance(bound.func, cst.Attribute) and bound.func.attr.value in _ADDERS
            return line if is_adder else None
        if isinstance(bound, cst.Assign) and len(bound.targets) == 1:
            target: cst.CSTNode = bound.targets[0].target
        elif isinstance(bound, cst.AugAssign):
            target = bound.target
        else:
            return None
        value = value_given(bound, name)
        is_plain = isinstance(value, (cst.List, cst.Tuple, cst.BinaryOperation, cst.ListComp, cst.Call, cst.Name))
        return line if is_plain and isinstance(target, cst.Name) else None

    def _is_used(self, name: str, going: Sequence[cst.CSTNode]) -> bool:
        import libcst as cst

        inside = {id(one) for node in going for one in self.model.file.find_in(node, cst.Name)}
        return any(one.value == name and id(one) not in inside for one in self.model.file.find(cst.Name))

    def carry_out(self) -> None:
        """Write the edits."""
        file = self.model.file
        for holder, nodes in self.elements.items():
            if not any(id(outer) in self.statements for outer in file.around(holder)):
                remove_elements(file, holder, nodes, self.edits, SETUP_SOURCE_MOVED)
        for line in self.statements.values():
            self._delete(line)

    def _delete(self, line: cst.CSTNode) -> None:
        """A statement, or the `if` that holds nothing else; `pass` where another block has to have a statement."""
        import libcst as cst

        file = self.model.file
        block = file.parent(line)
        if isinstance(block, cst.IndentedBlock) and all(id(one) in self.statements for one in block.body):
            around = file.parent(block)
            is_alone = isinstance(around, cst.If) and around.orelse is None and around.body is block
            if is_alone and around is not None and not isinstance(file.parent(around), cst.If):
                line = around
            elif line is block.body[0]:
                self.edits.replace(file.span(line), "pass", SETUP_SOURCE_MOVED)
                return
        span = file.span(line)
        end = file.line_end(max(span.start, span.end - 1))
        self.edits.delete(Span(file.line_start(span.start), end), SETUP_SOURCE_MOVED)
