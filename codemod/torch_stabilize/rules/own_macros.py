"""Macros of torch that a project defines anew: where its definition is in force, the name is the project's."""

from __future__ import annotations

import functools
import re

from torch_stabilize.rules.context import Context, Project, Site
from torch_stabilize.rules.unqualified import reached_headers
from torch_stabilize.source.conditions import conditions_at
from torch_stabilize.source.document import ANY_HEADER, Document
from torch_stabilize.source.spans import line_start


def is_redefined(site: Site, context: Context) -> bool:
    """Whether the macro at `site` means a definition of the project's own, and no fallback where torch has none."""
    document = context.document
    if site.name.encode() in document.words and _defined_before(document, site.name, site.span.start):
        return True
    headers = _defining(context.project, site.name)
    return bool(headers) and any(header in headers for header in reached_headers(document, headers))


def _defined_before(document: Document, name: str, place: int) -> bool:
    return any(start < place for start in _definitions(document, name))


def _defining(project: Project, name: str) -> list[Document]:
    """The headers that define the macro."""
    word = name.encode()
    return [
        document
        for document in project.documents
        if document.path.endswith(ANY_HEADER) and word in document.words and _definitions(document, name)
    ]


@functools.lru_cache(maxsize=4096)
def _definitions(document: Document, name: str) -> tuple[int, ...]:
    """Where a file defines a macro, other than where nothing else does."""
    fallback = re.compile(rf"#\s*(?:ifndef\s+{name}\b|if\s+!\s*defined\s*\(?\s*{name}\b)")
    return tuple(
        macro.span.start
        for macro in document.macros
        if macro.name == name
        and not any(map(fallback.match, conditions_at(document, macro.span.start)))
        and not fallback.match(_line_above(document, macro.span.start))
    )


def _line_above(document: Document, place: int) -> str:
    """The line before, which looks like the guard of a header where nothing else is in it."""
    above = document.code[:place].rstrip()
    return above[line_start(above, len(above)) :].strip().decode("utf-8", "replace")
