"""Where the macros of a set of documents are called, and with what."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from tree_sitter import Node

from codemod.model import Span
from codemod.source.arguments import argument_spans
from codemod.source.document import Document, Fragment

_ENDS_IN_WORD = re.compile(rb"\w\Z")
_DEFINES = re.compile(rb"\s*#\s*define\s+$")

# One call of a macro: the document, the fragment, the spans of its arguments, the node at the place.
Use = tuple[Document, Fragment, tuple[Span, ...], Node]


@dataclass
class MacroUses:
    """The calls of macros in `documents`. Results are kept; documents do not change."""

    documents: Sequence[Document]
    _found: dict[str, list[Use]] = field(default_factory=dict)

    def of(self, macro: str) -> list[Use]:
        """Every call of `macro`; its definitions are none."""
        if macro not in self._found:
            self._found[macro] = self._find(macro)
        return self._found[macro]

    def _find(self, macro: str) -> list[Use]:
        found = []
        pattern = re.compile(re.escape(macro.encode()) + rb"\s*\(")
        for document in self.documents:
            for match in pattern.finditer(document.code):
                if _ENDS_IN_WORD.search(document.code[max(0, match.start() - 1) : match.start()]):
                    continue
                line_start = document.code.rfind(b"\n", 0, match.start()) + 1
                if _DEFINES.match(document.code[line_start : match.start()]):
                    continue
                fragment = document.fragment_at(match.start())
                node = fragment.node_at(Span(match.start(), match.start() + len(macro)))
                if node is not None:
                    found.append((document, fragment, argument_spans(document, match.end() - 1), node))
        return found
