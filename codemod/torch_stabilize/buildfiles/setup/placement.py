"""Where the call of a new stable extension is written: next to the legacy one, in its list, variable or branch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from torch_stabilize.buildfiles.codes import COMPUTED_SOURCES, EXTENSION_CREATED, SETUP_SOURCE_MOVED
from torch_stabilize.buildfiles.setup.families import all_of
from torch_stabilize.buildfiles.setup.model import Extension
from torch_stabilize.buildfiles.setup.round_edits import place_round
from torch_stabilize.buildfiles.setup.text import add_after, add_statement, dedented
from torch_stabilize.model import Severity

if TYPE_CHECKING:
    import libcst as cst

    from torch_stabilize.buildfiles.setup.run import SetupRun


class Call(NamedTuple):
    """A new call next to that of `legacy`. `only_if` is the list without which nothing has to be built, "" for always.

    One without `text` is a legacy call of the same name that gets no stable one.
    """

    legacy: Extension
    text: str
    only_if: str = ""


def place_calls(run: SetupRun, calls: Sequence[Call], *, takes_over: bool = False) -> bool:
    """Put each new call where its legacy one is: in its list, behind its append, or next to its variable.

    True where it `takes_over`, as asked for, the place of the round or call that makes the legacy one.
    """
    nodes: dict[int, cst.CSTNode] = {}
    for call in calls:
        if call.text and call.legacy.round is not None:
            place = place_round(run, call.legacy, call.text, takes_over=takes_over)
            if place is None:
                return takes_over
            if place is call.legacy.call:
                _report(run, [call])
                return False
            nodes[id(call)] = place
    lost = _place(run, [(call, nodes.get(id(call), call.legacy.call)) for call in calls])
    if lost:
        _report(run, lost)
    return False


def _report(run: SetupRun, lost: Sequence[Call]) -> None:
    """The calls that somebody has to put in their place, each with its condition."""
    first = lost[0].legacy
    several = len({all_of(call.legacy.conditions) for call in lost}) > 1
    texts = []
    for call in lost:
        condition = all_of(call.legacy.conditions) if several else ""
        texts.append((f"Where {condition}:\n" if condition else "") + call.text)
    run.report(
        COMPUTED_SOURCES, Severity.ERROR, first.call,
        f"cannot tell where extensions like {first.name or 'this one'} are collected",
        "Build this extension too:\n" + "\n".join(texts),
    )  # fmt: skip


def _place(run: SetupRun, calls: Sequence[tuple[Call, cst.CSTNode]]) -> list[Call]:
    """Put the calls next to the nodes; those for which there is no place."""
    import libcst as cst

    file = run.model.file
    above = [file.parent(node) for _, node in calls]
    if any(isinstance(node, cst.IfExp) for node in above):
        return _place_chosen(run, calls, [node for node in above if isinstance(node, cst.IfExp)])
    variable = _variable(above)
    if variable:
        assigns = [node for node in above if isinstance(node, cst.Assign)]
        made = list(zip([call for call, _ in calls], assigns, strict=True))
        return [] if _place_in_variable(run, made, variable) else [call for call, _ in calls if call.text]
    return [call for call, node in calls if call.text and not _place_beside(run, call, node)]


def _variable(nodes: Sequence[cst.CSTNode | None]) -> str:
    """The one variable that all of the nodes give a value; "" where there is none."""
    import libcst as cst

    names = set()
    for node in nodes:
        is_plain = isinstance(node, cst.Assign) and len(node.targets) == 1
        target = node.targets[0].target if isinstance(node, cst.Assign) and is_plain else None
        names.add(target.value if isinstance(target, cst.Name) else "")
    return names.pop() if len(names) == 1 else ""


def _place_beside(run: SetupRun, call: Call, node: cst.CSTNode) -> bool:
    """Whether a call could be put next to `node`, an element of a list or what is appended to one."""
    import libcst as cst

    file, edits, text = run.model.file, run.edits, call.text
    above = file.parent(node)
    if isinstance(above, cst.Element):
        element = f"*([{text}] if {call.only_if} else [])" if call.only_if else text
        add_after(file, node, [element], edits, EXTENSION_CREATED)
        return True
    around = file.parent(above) if isinstance(above, cst.Arg) else None
    if not (isinstance(around, cst.Call) and isinstance(around.func, cst.Attribute)):
        return False
    if around.func.attr.value != "append":
        return False
    start = file.span(node).start
    if not file.data[file.line_start(start) : start].strip():  # the call has its lines to itself
        text = f"\n{file.indent(start)}{text}\n{file.indent(file.span(around).start)}"
    statement = dedented(f"{file.text(around.func)}({text})", file, around)
    add_statement(file, around, _only_if(call, statement), edits, EXTENSION_CREATED)
    return True


def _only_if(call: Call, statement: str) -> str:
    if not call.only_if:
        return statement
    return f"if {call.only_if}:\n    " + statement.replace("\n", "\n    ")


def _place_chosen(run: SetupRun, calls: Sequence[tuple[Call, cst.CSTNode]], chosen: Sequence[cst.IfExp]) -> list[Call]:
    """Next to `A(...) if test else B(...)`; the calls for which there is no place."""
    import libcst as cst

    file = run.model.file
    wanted = [call for call, _ in calls if call.text]
    around = chosen[0]
    above = file.parent(around)
    if any(one is not around for one in chosen) or not isinstance(above, cst.Element):
        return wanted
    arms = {}
    for call, node in calls:
        if call.text:
            arms["body" if node is around.body else "orelse"] = f"[{call.text}]"
            if call.only_if:
                return wanted
    test, body, orelse = file.text(around.test), arms.get("body", "[]"), arms.get("orelse", "[]")
    add_after(file, around, [f"*({body} if {test} else {orelse})"], run.edits, EXTENSION_CREATED)
    return []


def _place_in_variable(run: SetupRun, calls: Sequence[tuple[Call, cst.Assign]], name: str) -> bool:
    """Whether a variable could be used wherever `name`, that of the legacy extension, is collected."""
    import libcst as cst

    file = run.model.file
    named = [node for node in file.find(cst.Name) if node.value == name]
    if len(calls) == 1:
        call, assign = calls[0]
        uses = _uses(run, name, [node for node in named if run.model.always_behind(node, assign)])
        if uses and not call.only_if:
            _give(run, call, assign, f"stable_{name}", uses)
            return True
    every = _uses(run, name, named)
    own = [[use for use in every if run.model.bindings(name, use) == [assign]] for _, assign in calls]
    if all(uses and not call.only_if for (call, _), uses in zip(calls, own, strict=True) if call.text):
        for (call, assign), uses in zip(calls, own, strict=True):
            if call.text:
                _give(run, call, assign, f"stable_{name}", uses)
        return True
    shared = [use for use in every if _sees_all(run, name, use, calls)]
    if not shared or len(shared) < len(every):
        return False
    if all(call.text and not call.only_if for call, _ in calls):
        for index, (call, assign) in enumerate(calls):
            _give(run, call, assign, f"stable_{name}", shared if index == 0 else [])
        return True
    return _place_in_list(run, calls, shared)


def _uses(run: SetupRun, name: str, nodes: Sequence[cst.CSTNode]) -> list[cst.CSTNode]:
    """Where a variable is put into a list: as its element, or as what is appended."""
    import libcst as cst

    file = run.model.file
    found: list[cst.CSTNode] = [node for node in nodes if isinstance(file.parent(node), cst.Element)]
    return found + [
        call
        for call in file.find(cst.Call)
        if file.text(call.func).endswith(".append") and len(call.args) == 1 and call.args[0].value in nodes
    ]


def _sees_all(run: SetupRun, name: str, use: cst.CSTNode, calls: Sequence[tuple[Call, cst.Assign]]) -> bool:
    """Whether what `use` finds in the variable is one of the extensions, whatever the branch."""
    seen = run.model.bindings(name, use)
    return len(seen) == len(calls) and all(any(assign is one for one in seen) for _, assign in calls)


def _give(run: SetupRun, call: Call, assign: cst.Assign, new: str, uses: Sequence[cst.CSTNode]) -> None:
    import libcst as cst

    file = run.model.file
    add_statement(file, assign, dedented(f"{new} = {call.text}", file, assign), run.edits, EXTENSION_CREATED)
    for use in uses:
        if isinstance(use, cst.Call):
            add_statement(file, use, f"{file.text(use.func)}({new})", run.edits, EXTENSION_CREATED)
        else:
            add_after(file, use, [new], run.edits, EXTENSION_CREATED)


def _place_in_list(run: SetupRun, calls: Sequence[tuple[Call, cst.Assign]], uses: Sequence[cst.CSTNode]) -> bool:
    """A list of what some branches build in addition, empty elsewhere."""
    import libcst as cst

    file, new = run.model.file, "stable_extensions"
    if run.model.bindings(new):
        return False
    first = _outermost(run, calls[0][1])
    start = file.line_start(file.span(first).start)
    run.edits.insert(start, f"{file.indent(file.span(first).start)}{new} = []\n", EXTENSION_CREATED)
    for call, assign in calls:
        if call.text:
            statement = dedented(f"{new}.append({call.text})", file, assign)
            add_statement(file, assign, _only_if(call, statement), run.edits, EXTENSION_CREATED)
    for use in uses:
        if isinstance(use, cst.Call):
            target = file.text(use.func).removesuffix(".append")
            add_statement(file, use, f"{target}.extend({new})", run.edits, EXTENSION_CREATED)
        else:
            add_after(file, use, [f"*{new}"], run.edits, EXTENSION_CREATED)
    return True


def _outermost(run: SetupRun, node: cst.CSTNode) -> cst.CSTNode:
    """The outermost `if` around `node` in its function, or its statement."""
    import libcst as cst

    file = run.model.file
    scope, found = file.scope(node), file.statement(node)
    for around in file.around(node):
        if around is scope:
            break
        if isinstance(around, cst.If):
            found = around
    while isinstance(above := file.parent(found), cst.If) and above.orelse is found:
        found = above  # an elif
    return found


def add_to_call(run: SetupRun, extension: Extension, texts: Sequence[str]) -> bool:
    """Whether sources could be added to what the call of an extension is given, wherever that comes from."""
    import libcst as cst

    sources = extension.sources
    if not texts:
        return True
    is_sum = isinstance(sources, cst.BinaryOperation) and isinstance(sources.operator, cst.Add)
    if sources is None or extension.round is not None or not (is_sum or isinstance(sources, (cst.Name, cst.Call))):
        return False
    run.edits.insert(run.model.file.span(sources).end, f" + [{', '.join(texts)}]", SETUP_SOURCE_MOVED)
    return True
