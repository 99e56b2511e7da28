"""The headers that declare what the bindings register: out of the legacy one, into the stable one."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from codemod.bindings import codes
from codemod.bindings.reading.registry import Registry
from codemod.bindings.reading.text import comments_above, decode, encode, newline_of
from codemod.bindings.select import Located, Selection, diagnostic
from codemod.bindings.writing.removal import removal_edits
from codemod.bindings.writing.style import formatted
from codemod.bindings.writing.translate import stable_declaration
from codemod.model import Diagnostic, Edit, FileEdit, NewFile, Span
from codemod.repository.includes import IncludeGraph
from codemod.repository.layout import Group
from codemod.source.aliases import read_aliases
from codemod.source.conditions import canonical, read_conditionals, read_directives
from codemod.source.definitions import types_defined
from codemod.source.document import HEADER_SUFFIXES, Document
from codemod.source.mask import mask
from codemod.source.patterns import word_start
from codemod.source.signatures import Function, read_signatures
from codemod.source.spans import line_end, line_start

_INCLUDED = re.compile(rb'#\s*include\s*["<](?:[^">]*/)?([^"/>]+)[">]')


class Declaration(NamedTuple):
    """A declaration of a moved function in a legacy file, with its comments, as whole lines."""

    path: str
    function: Function
    lines: Span
    comments: tuple[str, ...]
    text: str


def find_declarations(registry: Registry, located: Iterable[Located], group: Group) -> dict[str, list[Declaration]]:
    """The legacy declarations of each function, by qualified name, in the order of the layout's headers.

    What a unit of the group declares for itself stays there and is none.
    """
    layout = registry.layout
    paths = [*layout.legacy_declarations, *(p for p in layout.legacy_bindings if p not in layout.other_builds)]
    functions = {found.function.qualified: found.function for found in located}
    names = {function.name.encode() for function in functions.values()}
    result: dict[str, list[Declaration]] = {}
    for path in dict.fromkeys(paths):
        if not registry.snapshot.exists(path) or path in group.units:
            continue
        document = registry.document(path)
        for declared in () if names.isdisjoint(document.words) else read_signatures(document):
            if not declared.is_definition and declared.qualified in functions:
                result.setdefault(declared.qualified, []).append(_declaration(document, declared))
    return result


def _declaration(document: Document, function: Function) -> Declaration:
    start = line_start(document.data, function.span.start)
    end = line_end(document.data, function.span.end - 1)
    comments = comments_above(document, start, 0)
    texts = tuple(line.strip() for line in decode(document.text(comments)).splitlines() if line.strip())
    if _is_file_header(document, comments):
        comments, texts = Span(start, start), ()
    text = decode(document.data[function.span.start : end]).rstrip()
    return Declaration(document.path, function, Span(comments.start, end), texts, text)


def _is_file_header(document: Document, comments: Span) -> bool:
    return len(comments) > 0 and not document.uncommented[: comments.start].strip()


def legacy_edits(
    registry: Registry, group: Group, selection: Selection, declarations: dict[str, list[Declaration]]
) -> tuple[list[FileEdit], list[Diagnostic]]:
    """Take out the declarations that nothing legacy uses any more; say which calls will not link."""
    edits: list[FileEdit] = []
    diagnostics: list[Diagnostic] = []
    going: dict[str, list[Span]] = {}
    moved = {(moved.statement.path, moved.statement.span) for moved in selection.moved}
    places = _legacy_places(registry, group)
    for name, found in declarations.items():
        users = legacy_users(registry, places, found[0].function, moved)
        for path, offset, links in users:
            if links:
                diagnostics.append(
                    diagnostic(
                        codes.STILL_CALLED, path, Span(offset, offset + len(found[0].function.name)),
                        f"{name} is used here, and its definition moves to the stable library",
                        advice="add this unit to the group, or keep a legacy definition",
                    )
                )  # fmt: skip
        if not users:
            for declaration in found:
                if declaration.path in registry.neutral_declarations:
                    continue
                going.setdefault(declaration.path, []).append(declaration.lines)
    for path, spans in going.items():
        edits += [FileEdit(path, edit) for edit in removal_edits(registry.document(path), spans, codes.DECLARED.code)]
    return edits, diagnostics


class _LegacyPlaces(NamedTuple):
    """The legacy files, none of the group, that may see what `headers` declare."""

    paths: tuple[str, ...]
    headers: frozenset[bytes]  # without folders


def _legacy_places(registry: Registry, group: Group) -> _LegacyPlaces:
    own = {*group.units, *group.moving_headers, *registry.layout.legacy_declarations}
    headers = frozenset(path.rpartition("/")[2].encode() for path in own if path.endswith(HEADER_SUFFIXES))
    legacy = (path for path in registry.sources if path not in own and not registry.layout.is_stable(path))
    paths = (p for p in legacy if p.endswith(HEADER_SUFFIXES) or any(h in registry.snapshot.read(p) for h in headers))
    return _LegacyPlaces(tuple(paths), headers)


def legacy_users(
    registry: Registry, places: _LegacyPlaces, function: Function, moved: set[tuple[str, Span]]
) -> list[tuple[str, int, bool]]:
    """Places in legacy files that still use `function`: path, offset, and whether they need its moved definition."""
    name = function.name.encode()
    pattern = re.compile(word_start(name, rb"\w.") + rb"(?<!->%b)\b(?!\s*::)" % name)
    found: list[tuple[str, int, bool]] = []
    for path in places.paths:
        data = registry.snapshot.read(path)
        if name not in data or not pattern.search(data):
            continue
        document = registry.document(path)
        used = [Span(*m.span()) for m in pattern.finditer(document.code) if _is_use(document.code, *m.span(), function)]
        if not used or not _sees(document, places.headers):
            continue
        heads = [f for f in read_signatures(document) if f.name == function.name]
        defines = any(f.is_definition and f.answers_to(function.qualified) for f in heads)
        aside = [*(span for other, span in moved if other == path), *(f.head for f in heads)]
        links = not defines and not _other_build_unit(registry, path)
        found += [(path, span.start, links) for span in used if not any(one.contains(span) for one in aside)]
    return found


def _is_use(code: bytes, start: int, end: int, function: Function) -> bool:
    """A call or an address of the function, not of another that is only called the same."""
    before = re.search(rb"((?:\w+\s*::\s*)*)$", code[max(0, start - 80) : start])
    qualifier = b"".join((before.group(1) if before else b"").split()).decode().rstrip(":")
    scope = "::".join(filter(None, function.namespace))
    if qualifier and qualifier != scope and not scope.endswith(f"::{qualifier}"):
        return False
    if re.match(rb"\s*(?:<[^<>;]*>)?\s*\(", code[end : end + 200]):
        # a definition of a local of that type or a member of the same name is none
        return not re.search(rb"(?:\bauto|[\w>&*])\s+$", code[max(0, start - 40) : start]) or bool(
            re.search(rb"\b(?:return|else|do|co_return)\s+$", code[max(0, start - 40) : start])
        )
    return bool(re.search(rb"&\s*(?:\w+\s*::\s*)*$", code[max(0, start - 80) : start]))


def _sees(document: Document, headers: frozenset[bytes]) -> bool:
    """Whether a file can mean the function at all: it includes one of `headers`, which declare it, or declares it."""
    included = {m.group(1) for m in _INCLUDED.finditer(document.uncommented)}
    return bool(included & headers) or document.path.endswith(HEADER_SUFFIXES)


def _other_build_unit(registry: Registry, path: str) -> bool:
    """Whether `path` belongs to an alternative build: it lies beside the bindings of one."""
    if path in registry.layout.other_builds:
        return True
    folders = [bindings.rpartition("/")[0] for bindings in registry.layout.other_builds]
    return any(folder and path.startswith(folder + "/") for folder in folders)


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

    One moves with the group, or both worlds include it.
    """
    name, qualified = located.function.name, located.function.qualified
    landing = registry.layout.landing
    shared = (path for path in group.shared_headers if not registry.snapshot.exists(landing(path)))
    for path, place in (*((path, landing(path)) for path in group.moving_headers), *((path, path) for path in shared)):
        document = registry.document(path)
        functions = read_signatures(document) if name.encode() in document.words else ()
        if any(function.name == name and function.qualified == qualified for function in functions):
            return place
    return ""


def wanted_declarations(
    registry: Registry, located: Sequence[Located], declarations: dict[str, list[Declaration]], group: Group
) -> list[Wanted]:
    """What the stable header has to declare, in the order of the legacy headers, then of the definitions.

    What a header declares that stable code can include after the run is none of it.
    """
    wanted: list[tuple[tuple[int, int], Wanted]] = []
    order = {path: place for place, path in enumerate(registry.layout.legacy_declarations)}
    for found in located:
        function = found.function
        if declaring_header(registry, found, group):
            continue
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
    layout, graph = registry.layout, IncludeGraph(registry.snapshot, (), registry.layout.include_roots)
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
        from codemod.templates import render

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
