"""The file of the stable bindings: the one there is gets new registrations, or a new one is made from a template."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence, Set
from dataclasses import replace

from torch_stabilize.bindings import codes
from torch_stabilize.bindings.boxing.adapters import Adapter, adapters_text
from torch_stabilize.bindings.reading.model import Bindings
from torch_stabilize.bindings.reading.registry import Registry
from torch_stabilize.bindings.reading.text import decode, encode, newline_of
from torch_stabilize.bindings.writing.blocks import block_order, insert_items, render_blocks
from torch_stabilize.bindings.writing.items import Item
from torch_stabilize.bindings.writing.namespaces import edits_named_by_build, named_by_build
from torch_stabilize.bindings.writing.stable_declarations import standard_headers
from torch_stabilize.bindings.writing.style import formatted, style_for
from torch_stabilize.model import Edit, FileEdit, NewFile, Span
from torch_stabilize.source.conditions import read_directives
from torch_stabilize.source.document import HEADER_SUFFIXES, Document
from torch_stabilize.source.spans import line_start

_LIBRARY = "torch/csrc/stable/library.h"
_ENDING = re.compile(
    r"#[ \t]*define[ \t]+(?P<name>\w+)\s*\(\s*\w+\s*\)(?P<body>(?:\\\r?\n|[^\n])*PyInit_(?:\\\r?\n|[^\n])*)"
)


def stable_file(
    registry: Registry,
    items: Sequence[Item],
    found: Sequence[Adapter],
    headers: Sequence[str],
    system: Set[str] = frozenset(),
) -> tuple[list[FileEdit], list[NewFile]]:
    """Put `items` and the adapters into the stable bindings file, or make one.

    `headers` are those of the repository that declare the functions, `system` what the adapters need of others.
    """
    layout, snapshot = registry.layout, registry.snapshot
    path = layout.stable_bindings
    style = style_for(snapshot, path)
    adapters = formatted(adapters_text(found) + "\n", style).rstrip() if found else ""
    if snapshot.exists(path):
        document = registry.document(path)
        bindings = registry.bindings.get(path, Bindings(path))
        ending = _ending(registry)[0]
        edits = _missing_includes(document, adapters, system) if adapters else []
        edits += _missing_headers(registry, document, headers) if items else []
        if adapters:
            first = bindings.blocks[0].span.start if bindings.blocks else len(document.data)
            place = _above_comments(document.data, first)
            block = encode(f"{adapters}\n\n".replace("\n", decode(newline_of(document.data))))
            edits.append(Edit(Span(place, place), block, codes.ADAPTER.code))
        edits += insert_items(document, bindings, items, style, ending)
        return edits_named_by_build(layout, (FileEdit(path, edit) for edit in _in_order(edits))), []
    if not items:
        return [], []
    from torch_stabilize.templates import render

    macro, header = _ending(registry)
    blocks = named_by_build(layout, "\n\n".join(render_blocks(block_order(items), style)))
    macro, header = ("", "") if layout.variants else (macro, header)
    written = [name for name in headers if layout.is_stable(name)]
    includes = [*(_include_of(registry, name) for name in written), *([header] if header else [])]
    # behind torch's, which they may lean on as they did in the legacy bindings
    late = [_include_of(registry, name) for name in headers if name not in written]
    text = render(
        "bindings/torch_bindings.cpp.jinja",
        includes=includes, registration=macro, library=layout.stable_library, variants=layout.variants,
        adapters=adapters, blocks=blocks,
        headers=sorted({*standard_headers(adapters), *system} - {_LIBRARY}), late=late,
    )  # fmt: skip
    return [], [NewFile(path, encode(text), "bindings/torch_bindings.cpp.jinja")]


def _in_order(insertions: Sequence[Edit]) -> list[Edit]:
    """The same, those of one place as one: includes come before the adapters that need them, these before blocks."""
    places: dict[Span, list[Edit]] = {}
    for edit in insertions:
        places.setdefault(edit.span, []).append(edit)
    return [replace(found[0], replacement=b"".join(one.replacement for one in found)) for found in places.values()]


def _missing_headers(registry: Registry, document: Document, headers: Sequence[str]) -> list[Edit]:
    """Includes of `headers`, where the file does not include them, behind its last one of a header of its own."""
    includes = [directive for directive in read_directives(document) if directive.kind == "include"]
    names = {directive.argument.strip('<>"') for directive in includes}
    folder = posixpath.dirname(document.path)
    roots = (folder, *registry.layout.include_roots)
    there = {posixpath.normpath(posixpath.join(root, name)) for name in names for root in roots}
    missing = [header for header in headers if header not in there]
    if not missing:
        return []
    own = [directive for directive in includes if directive.argument.startswith('"')] or includes
    place = own[-1].span.end if own else 0
    newline = decode(newline_of(document.data))
    lines = "".join(f"#include {_include_of(registry, header)}{newline}" for header in missing)
    return [Edit(Span(place, place), encode(lines), codes.DECLARED.code)]


def _missing_includes(document: Document, text: str, system: Set[str]) -> list[Edit]:
    """`system` and the standard headers that generated text needs and the file lacks, behind its last include."""
    includes = [directive for directive in read_directives(document) if directive.kind == "include"]
    there = {directive.argument.strip('<>"') for directive in includes}
    # the library's own header brings these along
    needed = {name for name in standard_headers(text) if name in ("algorithm", "array", "memory")}
    missing = sorted((needed | system) - there - {_LIBRARY})
    if not missing:
        return []
    place = includes[-1].span.end if includes else 0
    lines = "".join(f"#include <{name}>\n" for name in missing)
    return [
        Edit(Span(place, place), encode(lines.replace("\n", decode(newline_of(document.data)))), codes.ADAPTER.code)
    ]


def _above_comments(data: bytes, offset: int) -> int:
    place = line_start(data, offset)
    while place:
        above = line_start(data, place - 1)
        if not data[above:place].lstrip().startswith((b"//", b"#if")):
            break
        place = above
    return place


def _ending(registry: Registry) -> tuple[str, str]:
    """The macro that makes the library importable and the include of its header, where the repository has one."""
    for path in registry.sources:
        if not path.endswith(HEADER_SUFFIXES) or b"PyInit_" not in registry.snapshot.read(path):
            continue
        text = decode(registry.document(path).data)
        match = _ENDING.search(text)
        if match and not re.search(r'#\s*include\s*[<"](?:torch|ATen|c10)/(?!headeronly|csrc/stable)', text):
            return match["name"], _include_of(registry, path)
    return "", ""


def _include_of(registry: Registry, header: str) -> str:
    """How the stable bindings file includes `header`: below a folder the build is known to search, else relative."""
    layout = registry.layout
    if posixpath.dirname(header) == posixpath.dirname(layout.stable_bindings):
        return f'"{posixpath.basename(header)}"'
    for root in registry.graph.searched:
        if not root or header.startswith(root + "/"):
            return f'"{header[len(root) + 1 :] if root else header}"'
    return f'"{posixpath.relpath(header, posixpath.dirname(layout.stable_bindings))}"'
