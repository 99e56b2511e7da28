"""The headers that migrated code leans on: helpers, dispatch macros, dispatcher wrappers. Extended where they exist."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from codemod.model import Change, Edit, FileEdit, NewFile, Span
from codemod.project import GroupProject
from codemod.repository.layout import Layout
from codemod.repository.snapshot import Snapshot
from codemod.rules.dispatch_macros import render_definitions
from codemod.rules.includes import HELPERS, spell_relative, with_implied
from codemod.surface.snippet import all_snippets
from codemod.templates import render

RULE = HELPERS
_OPS = re.compile(rb"^// aten::([\w.]+)", re.MULTILINE)


def aten_header(layout: Layout) -> str:
    """Where the dispatcher wrappers live."""
    return f"{layout.stable_root}/stable_aten.h"


def headers_of(roles: Iterable[str], made: GroupProject, layout: Layout) -> frozenset[str]:
    """The repository headers that files using `roles` must include."""
    found: set[str] = set()
    for role in roles:
        kind, _, name = role.partition(":")
        if kind == "aten":
            found.add(aten_header(layout))
        elif kind == "dispatch":
            found.add(made.project.dispatch[name].header)
        elif kind == "switch":
            found.add(name)
        elif kind == "dual_check":
            found.add(made.check[1])
        else:
            found.add(made.project.helpers.headers.get(role, layout.stable_helpers))
    return frozenset(found)


def plan_helpers(snapshot: Snapshot, layout: Layout, made: GroupProject, roles: frozenset[str]) -> Change:
    """Write what is missing of the helpers that `roles` name."""
    edits: list[FileEdit] = []
    created: list[NewFile] = []
    wanted = sorted(role for role in roles if ":" not in role and role != "dual_check")
    missing = [role for role in wanted if role in all_snippets() and role not in made.project.helpers.names]
    _add(_helpers(snapshot, layout, missing), edits, created)
    macros = made.translation.needed(sorted(r.partition(":")[2] for r in roles if r.startswith("dispatch:")))
    _add(_dispatch(snapshot, layout, made, macros), edits, created)
    _add(_aten(snapshot, layout, [r.partition(":")[2] for r in roles if r.startswith("aten:")]), edits, created)
    if "dual_check" in roles and not snapshot.exists(made.check[1]):
        text = render("torch_utils.h.j2", check=made.check[0])
        created.append(NewFile(made.check[1], text.encode(), "torch_utils.h.j2"))
    return Change("Helpers of the stable side", tuple(edits), (), tuple(created))


Written = "tuple[FileEdit, ...] | NewFile | None"


def _add(written: tuple[FileEdit, ...] | NewFile | None, edits: list[FileEdit], created: list[NewFile]) -> None:
    if isinstance(written, NewFile):
        created.append(written)
    elif written:
        edits += written


def _helpers(snapshot: Snapshot, layout: Layout, missing: Sequence[str]) -> tuple[FileEdit, ...] | NewFile | None:
    if not missing:
        return None
    snippets = [all_snippets()[role] for role in missing]
    includes = sorted({name for snippet in snippets for name in snippet.includes})
    path = layout.stable_helpers
    if not snapshot.exists(path):
        ordered = sorted(includes, key=lambda n: (not n.startswith("torch/"), n))
        text = render("stable_helpers.h.j2", includes=ordered, snippets=[snippet.code.rstrip() for snippet in snippets])
        return NewFile(path, text.encode(), "stable_helpers.h.j2")
    code = "\n".join(snippet.code.rstrip() + "\n" for snippet in snippets)
    return extended(snapshot, path, includes, code)


def _dispatch(
    snapshot: Snapshot, layout: Layout, made: GroupProject, macros: Sequence[str]
) -> tuple[FileEdit, ...] | NewFile | None:
    if not macros:
        return None
    text = render_definitions(definition for name in macros for definition in made.translation.missing[name])
    path = layout.stable_dispatch
    needs = ["torch/headeronly/core/Dispatch.h"]
    if "THO_DISPATCH_V2" in text:
        needs.append("torch/headeronly/core/Dispatch_v2.h")
    if snapshot.exists(path):
        return extended(snapshot, path, needs, text)
    return NewFile(
        path, render("stable_dispatch.h.j2", includes=needs, macros=text.rstrip()).encode(), "stable_dispatch.h.j2"
    )


def _aten(snapshot: Snapshot, layout: Layout, ops: Sequence[str]) -> tuple[FileEdit, ...] | NewFile | None:
    if not ops:
        return None
    from codemod.surface.aten import render_header

    path = aten_header(layout)
    before = snapshot.read(path) if snapshot.exists(path) else None
    known = [op.decode() for op in _OPS.findall(before)] if before is not None else []
    text = render_header({*known, *ops})
    if before is None:
        return NewFile(path, text, "stable_aten.h.j2")
    return (FileEdit(path, Edit(Span(0, len(before)), text, RULE)),) if text != before else None


def extended(snapshot: Snapshot, path: str, includes: Sequence[str], code: str) -> tuple[FileEdit, ...]:
    """Edits that add includes and code to an existing header: before the end of its include guard, if it has one."""
    data = snapshot.read(path)
    lines = list(re.finditer(rb"^[ \t]*#[ \t]*include[ \t]*[<\"]([^>\"\n]+)[>\"][^\n]*\n", data, re.MULTILINE))
    present = {line.group(1).decode() for line in lines}
    covered = with_implied(present)
    new = [name for name in includes if name not in covered]
    edits: list[FileEdit] = []
    if new and lines:
        place = lines[-1].end()
        text = "".join(f"#include <{name}>\n" for name in new)
        edits.append(FileEdit(path, Edit(Span(place, place), text.encode(), RULE)))
    guard = re.search(rb"\n#endif[^\n]*\s*\Z", data) if b"#pragma once" not in data else None
    place = guard.start() + 1 if guard else len(data)
    start = b"" if data[:place].endswith(b"\n") else b"\n"
    edits.append(
        FileEdit(path, Edit(Span(place, place), start + b"\n" + code.encode() + (b"\n" if guard else b""), RULE))
    )
    return tuple(edits)


__all__ = ["aten_header", "extended", "headers_of", "plan_helpers", "spell_relative"]
