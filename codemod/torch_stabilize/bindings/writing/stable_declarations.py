"""The header of the stable bindings, which declares what they register: its content and its path."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from typing import NamedTuple

from torch_stabilize.bindings import codes
from torch_stabilize.bindings.reading.registry import Registry
from torch_stabilize.bindings.reading.text import decode, encode, newline_of
from torch_stabilize.bindings.select import Located
from torch_stabilize.bindings.writing.legacy_declarations import Declaration
from torch_stabilize.bindings.writing.style import formatted
from torch_stabilize.bindings.writing.translate import stable_declaration
from torch_stabilize.model import Edit, FileEdit, NewFile, Span
from torch_stabilize.repository.layout import Group
from torch_stabilize.source.aliases import read_aliases
from torch_stabilize.source.conditions import canonical, read_conditionals, read_directives
from torch_stabilize.source.definitions import types_defined
from torch_stabilize.source.document import HEADER_SUFFIXES, Document
from torch_stabilize.source.mask import mask
from torch_stabilize.source.signatures import Function, read_signatures
from torch_stabilize.source.spans import line_end


class Wanted(NamedTuple):
    """A declaration for the stable header, in stable types."""

    namespace: tuple[str, ...]
    conditions: tuple[str, ...]
    comments: tuple[str, ...]
    text: str
    name: str
    arity: int
    source: tuple[str, Span]  # the lines it comes from


def declaring_header(registry: Registry, located: Located, group: Group) -> str:
    """The header with the function that stable code can include after the run, by its new path; "" where there is none.

    One moves with the group, or legacy and stable units both include it. A static function comes with its class.
    """
    name, qualified = located.function.name, located.function.qualified
    landing = registry.layout.landing
    shared = (path for path in group.shared_headers if not registry.snapshot.exists(landing(path)))
    for path, place in (*((path, landing(path)) for path in group.moving_headers), *((path, path) for path in shared)):
        document = registry.document(path)
        functions = read_signatures(document) if name.encode() in document.words else ()
        if any(function.name == name and function.qualified == qualified for function in functions):
            return place
    header = _header_of_class(registry, located)
    return landing(header) if header in group.moving_headers else header


def _header_of_class(registry: Registry, located: Located) -> str:
    """The header that defines the class whose static function this is, "" for other functions."""
    scope = located.function.namespace[-1] if located.function.namespace else ""
    graph = registry.graph
    for header in graph.closure(graph.direct(located.path)) if scope else ():
        document = registry.document(header)
        if scope.encode() in document.words and scope.encode() in types_defined(document):
            return header
    return ""


def wanted_declarations(
    registry: Registry, located: Sequence[Located], declarations: dict[str, list[Declaration]]
) -> list[Wanted]:
    """What the stable header has to declare for `located`, in the order of the legacy headers, then of the definitions.

    Those are functions that no other header declares for stable code.
    """
    wanted: list[tuple[tuple[int, int], Wanted]] = []
    order = {path: place for place, path in enumerate(registry.layout.legacy_declarations)}
    for found in located:
        function = found.function
        known = declarations.get(function.qualified, [])
        same_types = [d for d in known if d.function.parameter_types == function.parameter_types]
        matching = same_types or [d for d in known if len(d.function.parameters) == len(function.parameters)]
        if matching:
            best = next((d for d in matching if d.path in registry.neutral_declarations), matching[0])
            if best.path in registry.neutral_declarations:
                continue
            place = (order.get(best.path, len(order)), best.function.span.start)
            text = stable_declaration(best.text)
            wanted.append(
                (place, _wanted(best.function, best.function.conditions, best.comments, text, (best.path, best.lines)))
            )
        else:
            head = decode(registry.document(found.path).text(function.head))
            place = (len(order) + 1, len(wanted))
            text = stable_declaration(_declaration_of(head))
            wanted.append((place, _wanted(function, (), (), text, (found.path, function.span))))
    return [item for _, item in sorted(wanted, key=lambda pair: pair[0])]


def _wanted(
    function: Function, conditions: tuple[str, ...], comments: tuple[str, ...], text: str, source: tuple[str, Span]
) -> Wanted:
    return Wanted(
        tuple(filter(None, function.namespace)),
        conditions,
        comments,
        text,
        function.qualified,
        len(function.parameters),
        source,
    )


def _declaration_of(head: str) -> str:
    """A definition's head as a declaration."""
    text = re.sub(r"^\s*(?:(?:inline|constexpr|__host__)\s+)*", "", head).rstrip()
    return f"{text};"


def aliases_used(registry: Registry, wanted: Sequence[Wanted], declarations: dict[str, list[Declaration]]) -> list[str]:
    """The aliases of the legacy headers, `using fptr_t = int64_t;`, that the wanted declarations are written with."""
    found: dict[str, str] = {}
    text = " ".join(item.text for item in wanted)
    for path in dict.fromkeys(d.path for known in declarations.values() for d in known):
        document = registry.document(path)
        for alias in read_aliases(document):
            opens_line = document.code[: alias.span.start][-1:] in (b"", b"\n")  # one of a class is indented
            if opens_line and re.search(rf"\b{alias.name}\b", text):
                found.setdefault(alias.name, stable_declaration(decode(document.text(alias.span))))
    return list(found.values())


def headers_of_types(registry: Registry, wanted: Sequence[Wanted], group: Group) -> list[str]:
    """The repository's headers with the types that the wanted declarations are written with, for the stable header."""
    layout, graph = registry.layout, registry.graph
    text = mask(encode("\n".join(item.text for item in wanted)))
    words = frozenset(re.findall(rb"[A-Za-z_]\w*", re.sub(rb"\b(?:torch|std)(?:::\w+)+", b"", text)))
    found: dict[str, None] = {}
    for source in dict.fromkeys(item.source[0] for item in wanted):
        for header in graph.direct(source) if source.endswith(HEADER_SUFFIXES) else ():
            if header not in layout.legacy_declarations and words & types_defined(registry.document(header)):
                place = layout.landing(header) if header in group.moving_headers else header
                found[posixpath.relpath(place, posixpath.dirname(layout.stable_declarations) or ".")] = None
    return list(found)


def stable_edits(
    registry: Registry, wanted: Sequence[Wanted], aliases: Sequence[str], style: bytes, own: Sequence[str] = ()
) -> tuple[list[FileEdit], list[NewFile]]:
    """Put `wanted` into the stable header, or make one that includes the headers `own`."""
    path = registry.layout.stable_declarations
    if not registry.snapshot.exists(path):
        if not wanted:
            return [], []
        from torch_stabilize.templates import render

        body = _render(wanted, aliases, style)
        text = render("bindings/ops.h.jinja", declarations=body, headers=standard_headers(body), own=own)
        return [], [NewFile(path, encode(text), "bindings/ops.h.jinja")]
    document = registry.document(path)
    there = {(f.qualified, len(f.parameters)) for f in read_signatures(document)}
    missing = [item for item in wanted if (item.name, item.arity) not in there]
    aliases = [line for line in aliases if line.encode() not in document.data]
    if not missing:
        return [], []
    edits = [*_included(document, own), *_insert(document, missing, aliases, style)]
    return [FileEdit(path, edit) for edit in edits], []


def _included(document: Document, own: Sequence[str]) -> list[Edit]:
    """An edit that includes what of `own` the header does not include, behind what it does."""
    lines = [directive for directive in read_directives(document) if directive.kind == "include"]
    there = {directive.argument.strip('<>"') for directive in lines}
    text = "".join(f'#include "{name}"\n' for name in own if name not in there)
    if not text or not lines:
        return []
    place = Span(lines[-1].span.end, lines[-1].span.end)
    return [Edit(place, encode(text.replace("\n", decode(newline_of(document.data)))), codes.DECLARED.code)]


def _insert(document: Document, wanted: Sequence[Wanted], aliases: Sequence[str], style: bytes) -> list[Edit]:
    newline = decode(newline_of(document.data))
    functions = list(read_signatures(document))
    places: dict[int, list[Wanted]] = {}
    end = _end_of_declarations(document)
    for item in wanted:
        conditions = tuple(map(canonical, item.conditions))
        anchors = [
            f for f in functions
            if conditions and tuple(map(canonical, f.conditions)) == conditions
            and tuple(filter(None, f.namespace)) == item.namespace
        ]  # fmt: skip
        place = line_end(document.data, anchors[-1].span.end - 1) if anchors else end
        places.setdefault(place, []).append(item)
    edits = []
    for place, items in sorted(places.items()):
        plain = items if place == end else [_without_conditions(item) for item in items]
        text = _render(plain, aliases, style)
        aliases = [line for line in aliases if line not in text]
        gap = "" if document.data[:place].endswith(b"\n") or not place else "\n"
        edits.append(Edit(Span(place, place), encode(f"{gap}\n{text}\n".replace("\n", newline)), codes.DECLARED.code))
    return edits


def _without_conditions(item: Wanted) -> Wanted:
    return item._replace(namespace=(), conditions=())


def _end_of_declarations(document: Document) -> int:
    """Behind the last thing in the header, before the `#endif` of an include guard."""
    guards = [c for c in read_conditionals(document) if c.is_guard]
    end = guards[0].branches[-1].body.end if guards else len(document.data)
    return len(document.data[:end].rstrip()) + len(newline_of(document.data)) if document.data[:end].strip() else end


def _render(wanted: Sequence[Wanted], aliases: Sequence[str], style: bytes) -> str:
    lines: list[str] = []
    before: Wanted | None = None
    conditions: tuple[str, ...] = ()
    namespace: tuple[str, ...] = ()
    for item in wanted:
        if before is not None and not _is_directly_below(item, before):
            lines.append("")
        if (item.conditions, item.namespace) != (conditions, namespace):
            _close(lines, conditions, namespace)
            if lines and lines[-1]:
                lines.append("")
            lines += item.conditions
            if item.namespace:
                lines += [f"namespace {'::'.join(item.namespace)} {{", ""]
            conditions, namespace = item.conditions, item.namespace
        lines += [*(line for line in aliases if _uses(item, line) and line not in lines), *item.comments, item.text]
        before = item
    _close(lines, conditions, namespace)
    return formatted("\n".join(lines) + "\n", style).rstrip("\n")


def _is_directly_below(item: Wanted, before: Wanted) -> bool:
    return item.source[0] == before.source[0] and item.source[1].start == before.source[1].end


def _uses(item: Wanted, alias: str) -> bool:
    """Whether a declaration is written with the type that a `using` line declares."""
    name = alias.split()[1]
    return bool(re.search(rf"\b{name}\b", item.text))


def _close(lines: list[str], conditions: tuple[str, ...], namespace: tuple[str, ...]) -> None:
    blank = bool(lines) and not lines[-1]
    if blank and (conditions or namespace):
        lines.pop()
    if namespace:
        lines += ["", f"}}  // namespace {'::'.join(namespace)}"]
    lines += ["#endif"] * len(conditions)


def standard_headers(body: str) -> list[str]:
    """The standard headers that a text needs, sorted."""
    wanted = {
        "algorithm": r"\bstd::copy\b",
        "array": r"\bstd::array\b",
        "cstdint": r"\bu?int\d+_t\b",
        "memory": r"\bstd::(?:unique_ptr|make_unique)\b",
        "optional": r"\bstd::(?:optional|nullopt)\b",
        "string": r"\bstd::string\b",
        "string_view": r"\bstd::string_view\b",
        "tuple": r"\bstd::tuple\b",
        "vector": r"\bstd::vector\b",
    }
    return sorted(name for name, pattern in wanted.items() if re.search(pattern, body))
