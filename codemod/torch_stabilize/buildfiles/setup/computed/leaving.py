"""Names of sources that move leave the lists they are written in, or are left out of what the call is given."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from torch_stabilize.buildfiles.codes import SETUP_SOURCE_MOVED
from torch_stabilize.buildfiles.setup.computed.records import Split
from torch_stabilize.buildfiles.setup.computed.spelling import compared, imports_os
from torch_stabilize.buildfiles.setup.text import remove_elements
from torch_stabilize.model import Span

if TYPE_CHECKING:
    import libcst as cst

    from torch_stabilize.buildfiles.setup.run import SetupRun

_WIDTH = 88


@dataclass
class Leaving:
    """What is taken out of lists; nothing unless `in_lists`."""

    run: SetupRun
    in_lists: bool
    _elements: dict[cst.CSTNode, list[cst.CSTNode]] = field(default_factory=dict)
    _statements: dict[int, cst.CSTNode] = field(default_factory=dict)

    def take_out(self, split: Split, units: Collection[str]) -> frozenset[str]:
        """Those of `units` that will no longer be in the list, as all of their names are literals."""
        if not self.in_lists:
            return frozenset()
        found = []
        for unit in units:
            nodes = [self._literal(source.written) for source in split.entry.sources if source.path == unit]
            own = {source.file for source in split.entry.sources if source.path == unit}
            places = [self._place(node) for node in nodes if node is not None]
            if own == {self.run.model.file.path} and len(places) == len(nodes) and all(places):
                found.append(unit)
                for node, place in zip(nodes, places, strict=True):
                    if node is not None and place is not None:
                        self._note(node, place)
        return frozenset(found)

    def _note(self, node: cst.CSTNode, place: cst.CSTNode) -> None:
        import libcst as cst

        if not isinstance(place, (cst.List, cst.Tuple, cst.Set)):
            self._statements[id(place)] = place
        elif node not in self._elements.setdefault(place, []):
            self._elements[place].append(node)

    def _literal(self, span: Span) -> cst.CSTNode | None:
        import libcst as cst

        literals = self.run.model.file.find(cst.SimpleString)
        return next((node for node in literals if self.run.model.file.span(node) == span), None)

    def _place(self, node: cst.CSTNode) -> cst.CSTNode | None:
        """The literal list that a name is in, or the statement that appends it; None where it cannot be taken out."""
        import libcst as cst

        file = self.run.model.file
        above = file.parent(node)
        holder = file.parent(above) if above is not None else None
        if isinstance(above, cst.Element) and isinstance(holder, (cst.List, cst.Tuple, cst.Set)):
            return holder
        is_append = isinstance(holder, cst.Call) and isinstance(holder.func, cst.Attribute) and len(holder.args) == 1
        if not isinstance(above, cst.Arg) or holder is None or not is_append:
            return None
        statement = file.parent(holder)
        line = file.parent(statement) if isinstance(statement, cst.Expr) else None
        return self._removable(line) if isinstance(line, cst.SimpleStatementLine) else None

    def _adding(self, holder: cst.CSTNode) -> cst.CSTNode | None:
        """The statement that adds a list to another and may go; None for any other use of the list."""
        import libcst as cst

        file = self.run.model.file
        above = file.parent(holder)
        call = file.parent(above) if isinstance(above, cst.Arg) else None
        if isinstance(call, cst.Call) and isinstance(call.func, cst.Attribute) and call.func.attr.value == "extend":
            above = file.parent(call)
        elif not isinstance(above, cst.AugAssign):
            return None
        line = file.parent(above) if above is not None else None
        return self._removable(line) if isinstance(line, cst.SimpleStatementLine) else None

    def _removable(self, line: cst.SimpleStatementLine) -> cst.CSTNode | None:
        """A statement that may go: its block keeps others, or it is all that an `if` does, which is removed with it."""
        import libcst as cst

        file = self.run.model.file
        if len(line.body) > 1:
            return None
        block = file.parent(line)
        if isinstance(block, cst.Module) or (isinstance(block, cst.IndentedBlock) and len(block.body) > 1):
            return line
        around = file.parent(block) if block is not None else None
        if not isinstance(around, cst.If) or around.orelse is not None or around.body is not block:
            return None
        outer = file.parent(around)
        keeps = isinstance(outer, cst.Module) or (isinstance(outer, cst.IndentedBlock) and len(outer.body) > 1)
        return around if keeps else None

    def carry_out(self) -> None:
        """Make the edits of all that was taken out."""
        import libcst as cst

        file, edits = self.run.model.file, self.run.edits
        for holder, nodes in self._elements.items():
            assert isinstance(holder, (cst.List, cst.Tuple, cst.Set))
            adding = self._adding(holder) if len(nodes) == len(holder.elements) else None
            if adding is not None:
                self._statements[id(adding)] = adding
                continue
            remove_elements(file, holder, nodes, edits, SETUP_SOURCE_MOVED)
        for statement in self._statements.values():
            span = file.span(statement)
            end = file.line_end(max(span.start, span.end - 1))
            edits.delete(Span(file.line_start(span.start), end), SETUP_SOURCE_MOVED)


def leave_out(run: SetupRun, split: Split, units: Sequence[str]) -> bool:
    """Whether the call could be given its sources without `units`, and without what is found at its new place."""
    import libcst as cst

    node, file = split.extension.sources, run.model.file
    if not units and not split.found:
        return True
    if node is None or not (split.is_plain or imports_os(run.model)):
        return False
    if not run.is_first(node):
        return True  # another extension of this call asked for the same
    used = {name.value for name in file.find_in(node, cst.Name)}
    name = next(name for name in ("source", "path", "found", "one") if name not in used)
    tests = []
    if units:
        tests.append(f"{compared(split, name)} not in ({', '.join(map(run.quoted, units))}{',' * (len(units) == 1)})")
    if split.found:
        if not all(path.startswith(f"{run.layout.stable_root}/") for path in split.found):
            return False
        folder = run.quoted(f"{run.layout.stable_root}/")
        tests.append(f"not {compared(split, name)}.startswith({folder})")
    span = file.span(node)
    head, indent = f"[{name} for {name} in ", file.indent(span.start)
    first, last = ("(", ")") if isinstance(node, (cst.IfExp, cst.Lambda)) else ("", "")
    tail = f"if {' and '.join(tests)}"
    width = span.start - file.line_start(span.start) + len(head) + len(span) + len(tail)
    if width <= _WIDTH and "\n" not in file.text(node):
        before, after = head, f" {tail}]"
    else:
        before, after = f"[\n{indent}    {head[1:]}", f"\n{indent}    {tail}\n{indent}]"
    run.edits.insert(span.start, before + first, SETUP_SOURCE_MOVED)
    run.edits.insert(span.end, last + after, SETUP_SOURCE_MOVED)
    return True
