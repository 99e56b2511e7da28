"""Where the macros of a set of documents are called, and with what."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from tree_sitter import Node

from torch_stabilize.model import Span
from torch_stabilize.source.arguments import argument_spans
from torch_stabilize.source.declarations import Declared, declared_by, text_of
from torch_stabilize.source.document import Document, Fragment, Macro
from torch_stabilize.source.spans import line_start

_ENDS_IN_WORD = re.compile(rb"\w\Z")
_DEFINES = re.compile(rb"\s*#\s*define\s+$")

# One call of a macro: the document, the fragment, the spans of its arguments, the node at the place.
Use = tuple[Document, Fragment, tuple[Span, ...], Node]


@dataclass
class MacroUses:
    """The calls of macros in `documents`. Results are kept; documents do not change."""

    documents: Sequence[Document]
    _found: dict[str, list[Use]] = field(default_factory=dict)
    _handed: dict[str, list[Use]] = field(default_factory=dict)

    @cached_property
    def definitions(self) -> dict[str, list[tuple[Document, Macro]]]:
        """Every definition of every macro by name."""
        found: dict[str, list[tuple[Document, Macro]]] = {}
        for document in self.documents:
            for macro in document.macros:
                found.setdefault(macro.name, []).append((document, macro))
        return found

    def of(self, macro: str) -> list[Use]:
        """Every call of `macro`, and every mention of one that takes no arguments; its definitions are none."""
        if macro not in self._found:
            self._found[macro] = self._find(macro)
        return self._found[macro]

    def handed_on(self, macro: str) -> list[Use]:
        """Where the name of `macro` alone is an argument, of another macro that calls it: `FOR_EACH(n, LAUNCH)`."""
        if macro not in self._handed:
            pattern = re.compile(rb"(?<=[(,\s])" + re.escape(macro.encode()) + rb"(?=\s*[,)])")
            found: list[Use] = []
            for document in self.documents if macro in self.definitions else ():
                for match in pattern.finditer(document.code):
                    fragment = document.fragment_at(match.start())
                    node = fragment.node_at(Span(match.start(), match.end()))
                    if node is not None:
                        found.append((document, fragment, (), node))
            self._handed[macro] = found
        return self._handed[macro]

    def declaring(self, macro: str, call: Node, name: str) -> Iterator[tuple[Declared, Fragment, Document]]:
        """What the macro called by `call` declares by the argument `name`, or under that name of its own.

        With the fragment of its body.
        """
        arguments = call.child_by_field_name("arguments")
        texts = [text_of(child) for child in arguments.named_children] if arguments is not None else []
        for document, one in self.definitions.get(macro, ()):
            place = texts.index(name) if name in texts else -1
            if place >= len(one.params or ()) or (place < 0 and name.encode() not in document.words):
                continue
            parameter = (one.params or ())[place] if place >= 0 else name
            body = document.fragment_at(one.body.start)
            waiting = [body.tree.root_node]
            while waiting:
                node = waiting.pop()
                waiting += node.named_children
                if node.type == "declaration":
                    yield from ((d, body, document) for d in declared_by(node) if d.name == parameter)

    def _find(self, macro: str) -> list[Use]:
        found = []
        plain = any(one.params is None for _, one in self.definitions.get(macro, ()))
        pattern = re.compile(re.escape(macro.encode()) + (rb"\b" if plain else rb"\s*\("))
        for document in self.documents:
            for match in pattern.finditer(document.code):
                if _ENDS_IN_WORD.search(document.code[max(0, match.start() - 1) : match.start()]):
                    continue
                line = document.code[line_start(document.code, match.start()) : match.start()]
                if _DEFINES.match(line):
                    continue
                fragment = document.fragment_at(match.start())
                node = fragment.node_at(Span(match.start(), match.start() + len(macro)))
                if node is not None:
                    arguments = () if plain else argument_spans(document, match.end() - 1)
                    found.append((document, fragment, arguments, node))
        return found


def is_made_text(node: Node, fragment: Fragment, document: Document) -> bool:
    """Whether a macro's parameter is behind `#`, which makes text of it."""
    before = document.code[: node.start_byte + fragment.base].rstrip()
    return before.endswith(b"#") and not before.endswith(b"##")


def is_all_of_macro(node: Node, fragment: Fragment, document: Document) -> bool:
    """Whether an expression is the whole body of a macro, so that it is written where the macro is used."""
    if fragment.macro is None:
        return False
    body, span = fragment.macro.body, fragment.span(node)
    around = document.code[body.start : span.start] + document.code[span.end : body.end]
    return not around.translate(None, b"() \t\r\n\\")
