"""The headers that migrated code leans on: helpers, dispatch macros, dispatcher wrappers. Extended where they exist."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from torch_stabilize.migration.project import GroupProject
from torch_stabilize.model import Change, Edit, FileEdit, NewFile, Span
from torch_stabilize.repository.layout import Layout
from torch_stabilize.repository.snapshot import Snapshot
from torch_stabilize.repository.sources import join
from torch_stabilize.rules.dispatch_macros import render_definitions
from torch_stabilize.rules.includes import HELPERS, spell_relative
from torch_stabilize.rules.needed_headers import with_implied
from torch_stabilize.source.document import Document
from torch_stabilize.source.patterns import INCLUDED
from torch_stabilize.source.signatures import read_signatures
from torch_stabilize.surface.snippet import (
    APART,
    APART_SPACE,
    ERROR_CODES,
    Snippet,
    all_snippets,
    snippet,
    snippet_apart,
)
from torch_stabilize.surface.versions import headers_have
from torch_stabilize.templates import filled, render

RULE = HELPERS
_OPS = re.compile(rb"^// aten::(\w+(?:\.\w+)?)", re.MULTILINE)
_NAMED = re.compile(
    rb"^[ \t]*(?:template[ \t]*<[^\n]*>[ \t]*)?(?:class|struct|using)[ \t]+(\w+)\b(?=[^;\n]*[{=])"
    rb"|\bconstexpr\b[^;({]*?\b(\w+)\s*[={]",
    re.MULTILINE,
)
_DIRECTIVE = re.compile(rb"^[ \t]*#[ \t]*(?P<word>\w+)(?:[ \t]*[<\"](?P<name>[^>\"\n]+)[>\"])?[^\n]*\n?", re.MULTILINE)


def aten_header(layout: Layout) -> str:
    """Where the dispatcher wrappers live."""
    return join(layout.helper_folder, "stable_aten.h")


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
    missing = _without_written(snapshot, layout.stable_helpers, missing)
    missing += _apart(snapshot, layout.stable_helpers, sorted(role for role in roles if role.startswith(APART)))
    _add(_helpers(snapshot, layout, missing, made.project.headers), edits, created)
    macros = made.translation.needed(sorted(r.partition(":")[2] for r in roles if r.startswith("dispatch:")))
    _add(_dispatch(snapshot, layout, made, macros), edits, created)
    ops = [r.partition(":")[2] for r in roles if r.startswith("aten:")]
    _add(_aten(snapshot, layout, ops, made.project.headers), edits, created)
    if "dual_check" in roles and not snapshot.exists(made.check[1]):
        text = filled("torch_utils.h.in", check=made.check[0])
        created.append(NewFile(made.check[1], text.encode(), "torch_utils.h.in"))
    return Change("Helpers of the stable side", tuple(edits), (), tuple(created))


def _without_written(snapshot: Snapshot, path: str, roles: Sequence[str]) -> list[str]:
    """`roles` without those that an earlier group wrote to the header of helpers: their definitions are in it."""
    if not roles or not snapshot.exists(path) or _SPACE.encode() not in snapshot.read(path):
        return list(roles)  # a namesake of the project's own is another function
    there = _definitions(snapshot.document(path))
    wanted = {role: _definitions(Document(f"{role}.h", all_snippets()[role].code.encode())) for role in roles}
    return [role for role in roles if not wanted[role] or not wanted[role] <= there]


def _apart(snapshot: Snapshot, path: str, roles: Sequence[str]) -> list[str]:
    """Those of `roles` that the header of helpers does not have in the namespace for them."""
    if not roles or not snapshot.exists(path) or APART_SPACE.encode() not in snapshot.read(path):
        return list(roles)
    there = read_signatures(snapshot.document(path))
    names = {function.name for function in there if APART_SPACE in function.namespace}
    wanted = {role: snippet(role.removeprefix(APART)).code.encode() for role in roles}
    defined = {role: {one.name for one in read_signatures(Document("x.h", code))} for role, code in wanted.items()}
    return [role for role in roles if not defined[role] <= names]


def _of_role(role: str) -> Snippet:
    return snippet_apart(role.removeprefix(APART)) if role.startswith(APART) else all_snippets()[role]


def _definitions(document: Document) -> frozenset[bytes]:
    """The names that a header defines: functions with how many there are of one name, types, macros, constants."""
    functions = [function.name.encode() for function in read_signatures(document)]
    numbered = {b"%s %d" % (name, functions[:place].count(name)) for place, name in enumerate(functions)}
    macros = {macro.name.encode() for macro in document.macros}
    named = {name for found in _NAMED.findall(document.code) for name in found if name}
    return frozenset({*numbered, *macros, *named})


def _add(written: tuple[FileEdit, ...] | NewFile | None, edits: list[FileEdit], created: list[NewFile]) -> None:
    if isinstance(written, NewFile):
        created.append(written)
    elif written:
        edits += written


def _helpers(
    snapshot: Snapshot, layout: Layout, missing: Sequence[str], headers: str
) -> tuple[FileEdit, ...] | NewFile | None:
    if not missing:
        return None
    path = layout.stable_helpers
    held = "".join(snapshot.read(path).decode("utf-8", "replace").split()) if snapshot.exists(path) else ""
    snippets = [one for role in missing if "".join((one := _of_role(role)).code.split()) not in held]
    if not snippets:
        return None
    defines_check = not headers_have("error_code_check", headers)
    if not snapshot.exists(path):
        return NewFile(path, _header_of(snippets, defines_check=defines_check), "stable_helpers.h.j2")
    before = snapshot.read(path)
    present = {name.decode() for name in INCLUDED.findall(before)}
    defines_check &= b"define STABLE_TORCH_ERROR_CODE_CHECK(" not in before
    includes, blocks = _blocks(snippets, present, defines_check=defines_check)
    return extended(snapshot, path, includes, "\n".join(f"{block}\n" for block in blocks))


def helper_header(names: Iterable[str], *, defines_check: bool) -> bytes:
    """A header of the helpers `names` and nothing else, which defines the check of status codes if it has to."""
    return _header_of([all_snippets()[name] for name in names], defines_check=defines_check)


def _header_of(snippets: Sequence[Snippet], *, defines_check: bool) -> bytes:
    includes, blocks = _blocks(snippets, set(), defines_check=defines_check)
    return render("stable_helpers.h.j2", includes=_include_lines(includes), blocks=blocks).encode()


def _blocks(snippets: Sequence[Snippet], present: set[str], *, defines_check: bool) -> tuple[list[str], list[str]]:
    """The headers that helpers include in every build, and their code, those for CUDA with headers of their own."""
    host = [snippet for snippet in snippets if not snippet.needs_cuda]
    cuda = [snippet for snippet in snippets if snippet.needs_cuda]
    checked = any("STABLE_TORCH_ERROR_CODE_CHECK" in snippet.code for snippet in snippets)
    shared = {_HIDING, *(_CHECKS if checked else ())}
    includes = sorted({name for snippet in host for name in snippet.includes} | shared)
    head = [ERROR_CODES] if checked and defines_check else []
    return includes, [*head, *_hidden(host), *_guarded(cuda, present | set(includes))]


_HIDING = "torch/headeronly/macros/Macros.h"
_CHECKS = ("torch/csrc/stable/macros.h", "torch/headeronly/util/shim_utils.h")


def _hidden(snippets: Sequence[Snippet]) -> list[str]:
    """The helpers in a namespace whose symbols stay within their library, and those that have to be outside of it."""
    inside = [snippet.code.rstrip() for snippet in snippets if not snippet.is_outside]
    blocks = [snippet.code.rstrip() for snippet in snippets if snippet.is_outside]
    if inside:
        begin, end = f"HIDDEN_NAMESPACE_BEGIN({_SPACE})", f"HIDDEN_NAMESPACE_END({_SPACE})\nusing namespace {_SPACE};"
        blocks.append("\n\n".join([begin, *inside, end]))
    return blocks


_SPACE = "stable_helpers"


def _guarded(snippets: Sequence[Snippet], present: set[str]) -> list[str]:
    """Helpers that need CUDA's headers, as one block that units of CPU builds do not see."""
    if not snippets:
        return []
    head = _include_lines({name for snippet in snippets for name in snippet.includes} - present)
    return ["\n\n".join(filter(None, ["#ifdef USE_CUDA", head, *_hidden(snippets), "#endif  // USE_CUDA"]))]


def _include_lines(names: Iterable[str]) -> str:
    """Includes in two blocks: those of torch, then the others."""
    blocks: dict[bool, list[str]] = {True: [], False: []}
    for name in sorted(names):
        blocks[name.startswith("torch/")].append(f"#include <{name}>")
    return "\n\n".join("\n".join(lines) for lines in blocks.values() if lines)


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


def _aten(
    snapshot: Snapshot, layout: Layout, ops: Sequence[str], headers: str
) -> tuple[FileEdit, ...] | NewFile | None:
    if not ops:
        return None
    from torch_stabilize.surface.aten import render_header

    path = aten_header(layout)
    before = snapshot.read(path) if snapshot.exists(path) else None
    known = [op.decode() for op in _OPS.findall(before)] if before is not None else []
    text = render_header({*known, *ops}, headers)
    if before is None:
        return NewFile(path, text, "stable_aten.h.j2")
    return (FileEdit(path, Edit(Span(0, len(before)), text, RULE)),) if text != before else None


def extended(snapshot: Snapshot, path: str, includes: Sequence[str], code: str) -> tuple[FileEdit, ...]:
    """Edits that add includes and code to an existing header: before the end of its include guard, if it has one."""
    data = snapshot.read(path)
    guard = re.search(rb"\n#endif[^\n]*\s*\Z", data) if b"#pragma once" not in data else None
    lines = _unconditional_includes(data, depth=1 if guard else 0)
    present = {line["name"].decode() for line in lines}
    covered = with_implied(present)
    new = [name for name in includes if name not in covered]
    end = guard.start() + 1 if guard else len(data)
    start = b"" if data[:end].endswith(b"\n") else b"\n"
    body = start + b"\n" + code.encode() + (b"\n" if guard else b"")
    place = lines[-1].end() if new and lines else end
    head = "".join(f"#include <{name}>\n" for name in new).encode() if lines else b""
    if place == end:
        return (FileEdit(path, Edit(Span(end, end), head + body, RULE)),)
    return (
        FileEdit(path, Edit(Span(place, place), head, RULE)),
        FileEdit(path, Edit(Span(end, end), body, RULE)),
    )


def _unconditional_includes(data: bytes, depth: int) -> list[re.Match[bytes]]:
    """The includes of a header that no condition hides, where `depth` is that of its include guard."""
    found: list[re.Match[bytes]] = []
    level = 0
    for line in _DIRECTIVE.finditer(data):
        level += {b"if": 1, b"ifdef": 1, b"ifndef": 1, b"endif": -1}.get(line["word"], 0)
        if line["word"] == b"include" and line["name"] is not None and level <= depth:
            found.append(line)
    return found


__all__ = ["aten_header", "extended", "headers_of", "plan_helpers", "spell_relative"]
