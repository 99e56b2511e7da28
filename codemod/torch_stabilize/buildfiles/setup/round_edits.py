"""The stable extension of one round of a loop, or of one call of a function that makes extension modules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch_stabilize.buildfiles.codes import EXTENSION_CREATED, SETUP_SOURCE_MOVED
from torch_stabilize.buildfiles.setup.model import Extension
from torch_stabilize.buildfiles.setup.text import add_statement, dedented, remove_elements

if TYPE_CHECKING:
    import libcst as cst

    from torch_stabilize.buildfiles.setup.run import SetupRun


def round_text(run: SetupRun, legacy: Extension, node: cst.CSTNode) -> str:
    """The text of an argument, with their values in the place of what differs from round to round."""
    import libcst as cst

    file = run.model.file
    given = legacy.round.given if legacy.round is not None else {}
    text, offset = file.data[file.span(node).start : file.span(node).end], file.span(node).start
    for name in reversed(file.find_in(node, cst.Name) if given else []):
        if name.value in given and _is_read(run, name):
            span = file.span(name)
            value = file.text(given[name.value]).encode()
            text = text[: span.start - offset] + value + text[span.end - offset :]
    return text.decode("utf-8", "surrogateescape")


def place_round(run: SetupRun, legacy: Extension, text: str, *, takes_over: bool) -> cst.CSTNode | None:
    """Behind the loop, or in the place of the call of the function where it takes that over; both are done then.

    Otherwise the node next to which the text belongs: the call of the function, or that of the class where nobody can
    tell.
    """
    import libcst as cst

    assert legacy.round is not None
    file, call, site = run.model.file, legacy.call, legacy.round.site
    if not _is_known_outside(run, legacy):
        return call
    if legacy.round.row is not None:
        if isinstance(site, cst.ListComp) and site.elt is call and not site.for_in.ifs:
            run.edits.insert(file.span(site).end, f" + [{text}]", EXTENSION_CREATED)
        elif isinstance(site, cst.For) and (statement := _collecting(run, call, text)):
            add_statement(file, site, dedented(statement, file, call), run.edits, EXTENSION_CREATED)
        else:
            return call
        if takes_over:
            _drop_row(run, legacy.round.row)
        return None
    if not _is_returned(run, call):
        return call
    if takes_over:
        run.edits.replace(file.span(site), text, EXTENSION_CREATED)
        return None
    return site


def _is_returned(run: SetupRun, call: cst.CSTNode) -> bool:
    """Whether a function returns what `call` makes and nothing else: at once, or through a variable."""
    import libcst as cst

    file = run.model.file
    function, above = file.scope(call), file.parent(call)
    returned = [r for r in file.find_in(function, cst.Return) if file.scope(r) is function]
    if isinstance(above, cst.Assign) and len(above.targets) == 1 and isinstance(above.targets[0].target, cst.Name):
        name = above.targets[0].target.value
        values = [r.value for r in returned if isinstance(r.value, cst.Name) and r.value.value == name]
        return len(returned) == len(values) == 1 == len(run.model.bindings(name, call))
    return isinstance(above, cst.Return) and len(returned) == 1


def _collecting(run: SetupRun, call: cst.CSTNode, text: str) -> str:
    """The statement that adds `text` to what `call` is added to: `x.append(...)`, `x += [...]`; "" for another."""
    import libcst as cst

    file = run.model.file
    above = file.parent(call)
    around = file.parent(above) if above is not None else None
    if isinstance(above, cst.Arg) and isinstance(around, cst.Call) and file.text(around.func).endswith(".append"):
        return f"{file.text(around.func)}({text})"
    if isinstance(above, cst.Element) and isinstance(around, cst.List) and len(around.elements) == 1:
        added = file.parent(around)
        if isinstance(added, cst.AugAssign) and isinstance(added.operator, cst.AddAssign):
            return f"{file.text(added.target)} += [{text}]"
    return ""


def _is_known_outside(run: SetupRun, legacy: Extension) -> bool:
    """Whether the call means the same where the loop or the function is not around it."""
    import libcst as cst

    assert legacy.round is not None
    file, given = run.model.file, legacy.round.given
    for name in file.find_in(legacy.call, cst.Name):
        if name.value in given or not _is_read(run, name):
            continue
        for bound in run.model.bindings(name.value, name):
            if any(around is legacy.round.site for around in file.around(bound)):
                return False
        function = file.scope(legacy.call)
        if legacy.round.row is None and any(file.scope(b) is function for b in run.model.bindings(name.value, name)):
            return False
    return True


def _is_read(run: SetupRun, name: cst.Name) -> bool:
    """Whether a name is a variable here: not that of an attribute or of a keyword."""
    import libcst as cst

    above = run.model.file.parent(name)
    return not (isinstance(above, cst.Attribute) and above.attr is name) and not (
        isinstance(above, cst.Arg) and above.keyword is name
    )


def can_take_over(run: SetupRun, legacy: Extension) -> bool:
    """Whether the row or the call that makes the legacy extension can go as a whole."""
    import libcst as cst

    if legacy.round is None:
        return False
    row = legacy.round.row
    above = run.model.file.parent(row) if row is not None else None
    holder = run.model.file.parent(above) if above is not None else None
    return row is None or (isinstance(holder, (cst.List, cst.Tuple)) and len(holder.elements) > 1)


def _drop_row(run: SetupRun, row: cst.CSTNode) -> None:
    import libcst as cst

    element = run.model.file.parent(row)
    holder = run.model.file.parent(element) if element is not None else None
    assert isinstance(holder, (cst.List, cst.Tuple))
    remove_elements(run.model.file, holder, [row], run.edits, SETUP_SOURCE_MOVED)
