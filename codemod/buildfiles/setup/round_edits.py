"""The stable extension of one round of a loop, or of one call of a function that makes extension modules."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from codemod.buildfiles.codes import EXTENSION_CREATED, SETUP_SOURCE_MOVED
from codemod.buildfiles.setup.model import Extension
from codemod.buildfiles.setup.text import add_statement, dedented, remove_elements

if TYPE_CHECKING:
    from codemod.buildfiles.setup.plan import SetupRun


def round_text(run: SetupRun, legacy: Extension, node: ast.AST) -> str:
    """The text of an argument, with their values in the place of what differs from round to round."""
    file = run.model.file
    given = legacy.round.given if legacy.round is not None else {}
    text, offset = file.data[file.span(node).start : file.span(node).end], file.span(node).start
    for name in reversed(file.find_in(node, ast.Name) if given else []):
        if name.id in given:
            span = file.span(name)
            value = file.text(given[name.id]).encode()
            text = text[: span.start - offset] + value + text[span.end - offset :]
    return text.decode("utf-8", "surrogateescape")


def place_round(run: SetupRun, legacy: Extension, text: str, *, takes_over: bool) -> ast.AST | None:
    """Behind the loop, or in the place of the call of the function where it takes that over; both are done then.

    Otherwise the node beside which the text belongs: the call of the function, or that of the class where nobody can
    tell.
    """
    assert legacy.round is not None
    file, call, site = run.model.file, legacy.call, legacy.round.site
    if not _is_known_outside(run, legacy):
        return call
    if legacy.round.row is not None:
        if isinstance(site, ast.ListComp) and site.elt is call and not site.generators[0].ifs:
            run.edits.insert(file.span(site).end, f" + [{text}]", EXTENSION_CREATED)
        elif isinstance(site, ast.For) and (statement := _collecting(run, call, text)):
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


def _is_returned(run: SetupRun, call: ast.AST) -> bool:
    """Whether a function returns what `call` makes and nothing else: at once, or through a variable."""
    file = run.model.file
    function, above = file.scope(call), file.parent(call)
    returned = [r for r in file.find_in(function, ast.Return) if file.scope(r) is function]
    if isinstance(above, ast.Assign) and len(above.targets) == 1 and isinstance(above.targets[0], ast.Name):
        name = above.targets[0].id
        values = [r.value for r in returned if isinstance(r.value, ast.Name) and r.value.id == name]
        return len(returned) == len(values) == 1 == len(run.model.bindings(name, call))
    return isinstance(above, ast.Return) and len(returned) == 1


def _collecting(run: SetupRun, call: ast.AST, text: str) -> str:
    """The statement that puts `text` where `call` goes by its own: `x.append(...)`, `x += [...]`; "" for another."""
    file = run.model.file
    above = file.parent(call)
    if isinstance(above, ast.Call) and above.func is not call and file.text(above.func).endswith(".append"):
        return f"{file.text(above.func)}({text})"
    if isinstance(above, ast.List) and len(above.elts) == 1:
        added = file.parent(above)
        if isinstance(added, ast.AugAssign) and isinstance(added.op, ast.Add):
            return f"{file.text(added.target)} += [{text}]"
    return ""


def _is_known_outside(run: SetupRun, legacy: Extension) -> bool:
    """Whether the call means the same where the loop or the function is not around it."""
    assert legacy.round is not None
    file, given = run.model.file, legacy.round.given
    for name in file.find_in(legacy.call, ast.Name):
        if name.id in given:
            continue
        for bound in run.model.bindings(name.id, name):
            if any(around is legacy.round.site for around in file.around(bound)):
                return False
        function = file.scope(legacy.call)
        if legacy.round.row is None and any(file.scope(b) is function for b in run.model.bindings(name.id, name)):
            return False
    return True


def can_take_over(run: SetupRun, legacy: Extension) -> bool:
    """Whether the row or the call that makes the legacy extension can go as a whole."""
    if legacy.round is None:
        return False
    row = legacy.round.row
    holder = run.model.file.parent(row) if row is not None else None
    return row is None or (isinstance(holder, (ast.List, ast.Tuple)) and len(holder.elts) > 1)


def _drop_row(run: SetupRun, row: ast.AST) -> None:
    holder = run.model.file.parent(row)
    assert isinstance(holder, (ast.List, ast.Tuple))
    remove_elements(run.model.file, holder, [row], run.edits, SETUP_SOURCE_MOVED)
