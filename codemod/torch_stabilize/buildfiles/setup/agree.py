"""Whether a planned setup file builds what it built: both are read by the evaluator, and counted in every case."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

from torch_stabilize.buildfiles.codes import BUILD_CHANGED
from torch_stabilize.buildfiles.model import GapKind, When
from torch_stabilize.buildfiles.moving import Moving
from torch_stabilize.buildfiles.setup.evaluate.read import SetupEntry, SetupFile, read_setup_file
from torch_stabilize.model import Diagnostic, FileEdit, Severity
from torch_stabilize.repository.snapshot import Snapshot
from torch_stabilize.source.edits import apply

_MOST_ATOMS = 10


def disagreements(
    snapshot: Snapshot, path: str, moving: Moving, edits: Sequence[FileEdit], entered: Iterable[str]
) -> Iterator[Diagnostic]:
    """One finding where the file with `edits` builds a source more or less often than before, or an empty extension.

    `entered` are the new units that the edits put into the stable extension.
    """
    before = read_setup_file(snapshot, path)
    if not before.entries or any(gap.kind is GapKind.FILE for gap in before.gaps):
        return
    edited = {edit.path: snapshot.read(edit.path) for edit in edits}
    changed = {name: apply(data, [edit.edit for edit in edits if edit.path == name]) for name, data in edited.items()}
    gone = {old for old, new in moving.renames.items() if old != new}
    files = sorted({*snapshot.files, *moving.renames.values(), *moving.created} - gone)
    overlay = {**snapshot.overlay, **changed}
    after = read_setup_file(replace(snapshot, files=tuple(files), overlay=overlay), path)
    found = list(dict.fromkeys(_differences(before, after, moving, sorted(entered))))
    if found:
        entry = before.entries[0].entry
        yield Diagnostic(
            BUILD_CHANGED, Severity.ERROR, entry.file, entry.span,
            f"{path} would not build what it built: {found[0]}" + (f", and {len(found) - 1} more" if found[1:] else ""),
            "Look at the sources of each extension in each branch:\n" + "\n".join(found),
        )  # fmt: skip


def _differences(before: SetupFile, after: SetupFile, moving: Moving, entered: Sequence[str]) -> Iterator[str]:
    if any(gap.kind is GapKind.FILE for gap in after.gaps):
        yield "the file cannot be read any more"
        return
    if len(after.gaps) > len(before.gaps):
        yield after.gaps[-1].why
    unread = {one.entry.module: len(one.entry.gaps) for one in before.entries}
    for one in after.entries:
        if len(one.entry.gaps) > unread.get(one.entry.module, len(one.entry.gaps)):
            yield f"{one.entry.module}: {one.entry.gaps[-1].why}"
    old, new = _whens(before), _whens(after)
    is_open = any(one.is_open for one in before.entries)
    for unit in dict.fromkeys((*old, *(() if is_open else moving.units))):
        now = moving.renames.get(unit, unit)
        case = _different_case(old.get(unit, []), new.get(now, []))
        is_added = unit in moving.created and case is not None and case[2] > case[1]  # the stable library builds it too
        if case is not None and not is_added:
            yield f"{unit} {_how(case[1], case[2])} in{_shown(case[0])}"
    yield from (f"{u} is still named" for u in moving.units if moving.renames[u] != u and u in new and u in old)
    for path in entered:
        for unit in moving.units:
            lacking = _case_without(new.get(moving.renames[unit], []), new.get(path, []))
            if lacking is not None:
                yield f"{path} not in{_shown(lacking)}, which have {unit}"
    known = {one.entry.module for one in before.entries if any(_empty_cases(one))}
    for one in after.entries:
        if one.entry.module not in known:
            yield from (f"{one.entry.module} has no source in{_shown(case)}" for case in _empty_cases(one))
    yield from _doubled(before, after)


def _whens(file: SetupFile) -> dict[str, list[When]]:
    """The conditions under which each source is built, once for each time it is named."""
    found: dict[str, list[When]] = {}
    for one in file.entries:
        for source in one.entry.sources:
            found.setdefault(source.path, []).append(tuple(dict.fromkeys((*one.entry.when, *source.when))))
    return found


def _empty_cases(one: SetupEntry) -> Iterator[Mapping[str, bool]]:
    """A case in which an extension is built of nothing."""
    if not one.has_sources or one.entry.gaps:
        return
    whens = [source.when for source in one.entry.sources]
    for case in _cases([one.entry.when, *whens]):
        if _all(one.entry.when, case) and not any(_all(when, case) for when in whens):
            yield case
            return


def _doubled(before: SetupFile, after: SetupFile) -> Iterator[str]:
    """Names that two extensions of one build have, and had not before."""
    if not any(_same_names(before)):  # else it is not known which of them setup() gets
        yield from (f"two extensions called {name}" for name in _same_names(after))


def _same_names(file: SetupFile) -> Iterator[str]:
    for first, second in itertools.combinations([one.entry for one in file.entries if one.entry.module], 2):
        whens = [first.when, second.when]
        if first.module == second.module and any(all(_all(w, case) for w in whens) for case in _cases(whens)):
            yield first.module


def _different_case(old: Sequence[When], new: Sequence[When]) -> tuple[Mapping[str, bool], int, int] | None:
    """A case in which `old` and `new` hold differently often, and how often; None where there is none."""
    for case in _cases([*old, *new]):
        was, now = sum(_all(w, case) for w in old), sum(_all(w, case) for w in new)
        if was != now:
            return case, was, now
    return None


def _case_without(old: Sequence[When], new: Sequence[When]) -> Mapping[str, bool] | None:
    """A case in which one of `old` holds and none of `new`."""
    cases = (case for case in _cases([*old, *new]) if any(_all(w, case) for w in old))
    return next((case for case in cases if not any(_all(w, case) for w in new)), None)


def _how(was: int, now: int) -> str:
    return "no longer" if not now else "for the first time" if not was else "another number of times"


def _cases(whens: Iterable[When]) -> Iterator[Mapping[str, bool]]:
    """Every combination of what decides the conditions; none where that is too much."""
    atoms = list(dict.fromkeys(atom for when in whens for text in when for atom in _atoms(text)))
    if len(atoms) <= _MOST_ATOMS:
        for values in itertools.product((True, False), repeat=len(atoms)):
            yield dict(zip(atoms, values, strict=True))


def _shown(case: Mapping[str, bool]) -> str:
    texts = [name if value else f"not {name}" for name, value in case.items()]
    return f" builds where {' and '.join(texts)}" if texts else " any build"


def _all(when: When, case: Mapping[str, bool]) -> bool:
    return all(_value(_parsed(text), case) for text in when)


@lru_cache(1024)
def _parsed(text: str) -> ast.expr:
    try:
        return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError):
        return ast.Name(text)


@lru_cache(1024)
def _atoms(text: str) -> tuple[str, ...]:
    """What a condition is made of with `and`, `or` and `not`."""
    return tuple(_leaves(_parsed(text)))


def _leaves(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.BoolOp):
        for value in node.values:
            yield from _leaves(value)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield from _leaves(node.operand)
    else:
        yield ast.unparse(node)


def _value(node: ast.expr, case: Mapping[str, bool]) -> bool:
    if isinstance(node, ast.BoolOp):
        values = [_value(value, case) for value in node.values]
        return all(values) if isinstance(node.op, ast.And) else any(values)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return not _value(node.operand, case)
    return case[ast.unparse(node)]
