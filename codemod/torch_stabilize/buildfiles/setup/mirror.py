"""Write the stable extension next to the legacy one: its lists mirror the legacy lists statement by statement."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from torch_stabilize.buildfiles.codes import COMPUTED_SOURCES, EXTENSION_CREATED, SETUP_SOURCE_MOVED
from torch_stabilize.buildfiles.setup.create import extension_text, report_missing
from torch_stabilize.buildfiles.setup.element import Element
from torch_stabilize.buildfiles.setup.emptied import Emptied
from torch_stabilize.buildfiles.setup.families import Member, unique
from torch_stabilize.buildfiles.setup.globs import Glob, left_out, stable_call
from torch_stabilize.buildfiles.setup.model import Extension, SetupModel
from torch_stabilize.buildfiles.setup.placement import Call, place_calls
from torch_stabilize.buildfiles.setup.reader import lists_in, same_list
from torch_stabilize.buildfiles.setup.round_edits import can_take_over
from torch_stabilize.buildfiles.setup.text import add_statement, dedented, is_spread, literal_list
from torch_stabilize.buildfiles.setup.values import value_given
from torch_stabilize.model import Confidence, Severity
from torch_stabilize.repository.stable_target import stable_list_name

if TYPE_CHECKING:
    import libcst as cst

    from torch_stabilize.buildfiles.setup.run import SetupRun

_Part = str | list[str]  # an expression, or literals for one list


def create(run: SetupRun, members: Sequence[Member], created: Sequence[str], emptied: Emptied) -> bool:
    """Write the stable extension next to each call of the legacy one that has moving sources, and the lists it needs.

    True where it takes the place of the legacy one.
    """
    built = [member for member in members if member.moving]
    everything = unique(built)
    homes = {id(member): _home(member) for member in built}
    mirrored = {name for member in built for name in _mirrored(member.extension, member.moving)}
    if created:
        mirrored |= {home for home in homes.values() if home}
    names = {name: _mirror_name(run.model, name) for name in mirrored}
    for name in sorted(mirrored):
        calls = [m.extension.call for m in built if name in _list_names(m.extension) | set(_top_names(m.extension))]
        _mirror(run, calls, name, names, everything, created if name in homes.values() else (), emptied)
    new = []
    for member in members:
        text = _call_text(run, member, names, () if homes.get(id(member)) else created) if member.moving else ""
        new.append(Call(member.extension, text, _only_if(member, names, created)))
    first = built[0].extension
    takes_over = len(members) == 1 and can_take_over(run, first) and members[0].is_whole
    took_over = place_calls(run, new, takes_over=takes_over)
    stable = run.stable_name(first)
    message = f"{stable} is built next to {first.name} with the same arguments"
    if took_over:
        message = f"every source of {first.name} moves: it becomes {stable}"
    run.report(EXTENSION_CREATED, Severity.NOTE, first.call, message)
    if len(built) < len(members) or any(call.only_if for call in new):
        report_missing(run, first, [member.conditions for member in built])
    return took_over


def _home(member: Member) -> str:
    """The list that new sources of the stable extension go to; "" where they stand in its call."""
    extension = member.extension
    if extension.round is not None:
        return ""
    known = _mirrored(extension, member.moving) | _list_names(extension)
    return next((name for name in _top_names(extension) if name in known), "")


def _call_text(run: SetupRun, member: Member, names: Mapping[str, str], free: Sequence[str]) -> str:
    """The call of the stable extension next to `member`; `free` are new sources that no list has."""
    legacy, moving = member.extension, member.moving
    assert legacy.sources is not None
    spread = is_spread(run.model.file, legacy.sources)
    if legacy.round is not None:
        literals = [*map(run.quoted, free), *(run.quoted(run.renames[element.path]) for element in moving)]
        return extension_text(run, legacy, literal_list(literals, spread=spread or len(literals) > 2))
    found = parts(run, legacy.sources, names, moving, free)
    fresh = _fresh(run, [element for element in moving if not element.name], free)
    return extension_text(run, legacy, _joined(found, fresh, spread=spread))


def _only_if(member: Member, names: Mapping[str, str], created: Sequence[str]) -> str:
    """The stable list that may be empty where the extension is built; "" where something is always in it."""
    top = [names[name] for name in _top_names(member.extension) if name in names]
    if created or member.always or not member.moving or member.extension.round is not None:
        return ""
    return " + ".join(top)


def parts(
    run: SetupRun, node: cst.CSTNode, names: Mapping[str, str], moving: Sequence[Element], free: Sequence[str] = ()
) -> list[_Part]:
    """What of an expression for sources moves, as expressions and literals; `names` are the lists' stable namesakes.

    `free` are those new units that a glob may find here.
    """
    import libcst as cst

    if isinstance(node, (cst.List, cst.Tuple, cst.Set)):
        found: list[_Part] = []
        for element in node.elements:
            if isinstance(element, cst.StarredElement):
                found += parts(run, element.value, names, moving, free)
        own = [run.new_literal(element) for element in moving if element.list_node is node]
        return [own, *found] if own else found
    if isinstance(node, cst.Name):
        return [names[node.value]] if node.value in names else []
    if isinstance(node, cst.BinaryOperation):
        return [p for side in (node.left, node.right) for p in parts(run, side, names, moving, free)]
    if isinstance(node, cst.IfExp):
        arms = [_joined(parts(run, arm, names, moving), []) for arm in (node.body, node.orelse)]
        return [f"({arms[0]} if {run.model.file.text(node.test)} else {arms[1]})"] if arms != ["[]", "[]"] else []
    if isinstance(node, (cst.ListComp, cst.GeneratorExp)):
        return parts(run, node.for_in.iter, names, moving, free)
    if (inner := same_list(node)) is not None:
        return parts(run, inner, names, moving, free)
    found_here = [element for element in moving if element.node is node]
    return _globbed(run, found_here, free) if found_here else []


def _globbed(run: SetupRun, found: Sequence[Element], free: Sequence[str]) -> list[_Part]:
    glob = found[0].glob
    text = glob_text(run, glob, found, free) if glob is not None else None
    if text is None or glob is None:
        return [[run.quoted(run.renames[element.path]) for element in found]]
    text = dedented(text, run.model.file, glob.call)
    return [text if glob.folder is None else f"[str(path) for path in {text}]"]


def finds(run: SetupRun, element: Element, path: str) -> bool:
    """Whether the glob that found a source finds `path` where it looks from now on."""
    if element.glob is None:
        return False
    is_in_place = run.renames.get(element.path) == element.path
    return (element.glob if is_in_place else _landed(run, element.glob)).matches(path)


def _landed(run: SetupRun, glob: Glob) -> Glob:
    """The same glob where it looks from now on."""
    return glob._replace(pattern=run.layout.landing(glob.pattern), without="")


def _fresh(run: SetupRun, here: Sequence[Element], created: Sequence[str]) -> list[str]:
    """The new units that no glob of the same list finds, as literals."""
    import libcst as cst

    always = [element for element in here if run.model.file.enclosing(element.node, cst.IfExp) is None]
    return [run.quoted(path) for path in created if not any(finds(run, element, path) for element in always)]


def glob_text(run: SetupRun, glob: Glob, found: Sequence[Element], free: Sequence[str]) -> str | None:
    """The call that finds the sources where they are now; None where no pattern says the same.

    `free` are those new units that it may find too.
    """
    if all(run.renames[element.path] == element.path for element in found):
        return run.model.file.text(glob.call)  # all of them move, and none to another place
    root = run.layout.source_root
    if root and not glob.pattern.startswith(f"{root}/"):
        return None
    stable = _landed(run, glob)
    there = {run.renames[element.path] for element in found}
    others = {path for path in (*run.model.files, *run.created) if stable.matches(path)}
    if not all(stable.matches(path) for path in there) or others - there - set(free):
        return None
    literal = run.literal(glob.argument, glob.pattern, stable.pattern)
    return stable_call(glob, run.model.values(), stable.pattern, literal, run.model.folder)


def leave_out(run: SetupRun, legacy: Sequence[Extension], paths: Sequence[str]) -> None:
    """Keep what moves to the stable folder from being found by a glob of a legacy extension all the same."""
    globs = {id(glob.call): glob for extension in legacy for glob in extension.globs}
    for glob in (glob for glob in globs.values() if not run.is_replaced(glob.call)):
        found = [path for path in paths if glob.matches(path) and run.layout.is_stable(path)]
        if not found:
            continue
        below = posixpath.relpath(run.layout.stable_root, glob.fixed or ".")
        text = left_out(glob, run.model.values(), below)
        if text is None:
            run.report(
                COMPUTED_SOURCES, Severity.ERROR, glob.call,
                f"this finds {', '.join(found)} too, which the stable extension has",
                f"Leave out what lies in {run.layout.stable_root}.",
            )  # fmt: skip
        else:
            run.edits.replace(run.model.file.span(glob.call), text, SETUP_SOURCE_MOVED, Confidence.REVIEW)


def _joined(found: Sequence[_Part], fresh: Sequence[str], *, spread: bool = False, prefix: str = "") -> str:
    """Parts as one expression: all literals in one list, where the first of them stood."""
    literals = [*fresh, *(text for part in found if isinstance(part, list) for text in part)]
    texts: list[str] = []
    start: list[_Part] = [[]] if fresh else []
    for part in [*start, *found]:
        if isinstance(part, str):
            texts.append(part)
        elif literals:
            texts.append(literal_list(literals, spread=spread or len(literals) > 2, prefix=prefix))
            literals = []
    return " + ".join(texts) or "[]"


def _list_names(extension: Extension) -> set[str]:
    return {e.name for e in extension.elements if e.name} | {name for _, *pair in extension.links for name in pair}


def _mirrored(legacy: Extension, moving: Sequence[Element]) -> set[str]:
    """The lists that need a stable namesake: those that hold a moved source, and those they flow into."""
    if legacy.round is not None:
        return set()
    names = {element.name for element in moving if element.name}
    grown = True
    while grown:
        grown = False
        for _, source, into in legacy.links:
            if source in names and into not in names:
                names.add(into)
                grown = True
    return names


def _top_names(extension: Extension) -> list[str]:
    """The names of the lists that the call itself is given."""
    return list(lists_in(extension.sources)) if extension.sources is not None else []


def mirror_name(name: str) -> str:
    """What the stable namesake of a list is called."""
    return stable_list_name(name) if name.isupper() else f"stable_{name}"


def _mirror_name(model: SetupModel, name: str) -> str:
    wanted = mirror_name(name)
    return f"{wanted}_list" if model.bindings(wanted) else wanted


def _mirror(
    run: SetupRun,
    calls: Sequence[cst.Call],
    name: str,
    names: Mapping[str, str],
    moving: Sequence[Element],
    created: Sequence[str],
    emptied: Emptied,
) -> None:
    """For each statement that gives the legacy list sources, one that gives the stable list those that move."""
    import libcst as cst

    file = run.model.file
    seen = {id(statement): statement for call in calls for statement in run.model.bindings(name, call)}
    for statement in seen.values():
        here = [e for e in moving if e.name == name and any(node is statement for node in file.around(e.node))]
        if isinstance(statement, cst.Call) and here and here[0].list_node is statement:
            text = file.text(statement)
            old = file.text(here[0].node)
            moved = text.replace(old, run.new_literal(here[0])).replace(name, names[name], 1)
            run.edits.replace(file.span(statement), moved, SETUP_SOURCE_MOVED)
            run.replaced.add(id(statement))
            continue
        value = _value(statement, name)
        if value is None:
            continue
        defines = isinstance(statement, (cst.Assign, cst.AnnAssign)) and name not in lists_in(value)
        free = created if defines else ()
        found = parts(run, value, {n: new for n, new in names.items() if n != name}, moving, free)
        if not (found or defines):
            continue
        head = f"{names[name]} {'=' if defines else '+='} "
        spread = bool(here) and is_spread(file, here[0].list_node)
        text = head + _joined(found, _fresh(run, here, free), spread=spread, prefix=head)
        if emptied.is_whole(statement, name) or (here and is_whole_statement(run, here[0].list_node, here)):
            line = file.span(statement)
            run.replaced.add(id(statement))
            run.edits.replace(line, text.replace("\n", "\n" + file.indent(line.start)), SETUP_SOURCE_MOVED)
        else:
            add_statement(file, statement, text, run.edits, SETUP_SOURCE_MOVED)


def _value(statement: cst.CSTNode, name: str) -> cst.CSTNode | None:
    """What a statement puts into the list `name`."""
    import libcst as cst

    if isinstance(statement, cst.Call):
        return statement.args[-1].value if statement.args else None
    return value_given(statement, name)


def is_whole_statement(run: SetupRun, holder: cst.CSTNode, elements: Sequence[Element]) -> bool:
    """Whether `holder` is the right side of a `+=` or the argument of an `extend`, and moves entirely."""
    import libcst as cst

    if not isinstance(holder, (cst.List, cst.Tuple)) or len(elements) != len(holder.elements):
        return False
    above = run.model.file.parent(holder)
    if isinstance(above, cst.Arg):
        call = run.model.file.parent(above)
        return isinstance(call, cst.Call) and call in run.model.bindings(elements[0].name)
    return isinstance(above, cst.AugAssign)
