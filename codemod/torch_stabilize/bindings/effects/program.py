"""The functions and macros that a function's text may lead to."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from torch_stabilize.model import Span
from torch_stabilize.rules.snippets import known_returns
from torch_stabilize.source.document import Document
from torch_stabilize.source.function_index import FunctionIndex
from torch_stabilize.source.scopes import TypeFinder
from torch_stabilize.source.signatures import Function
from torch_stabilize.source.uses import Uses
from torch_stabilize.surface.effects import known_effects

_MACROS = b"\n;\x00\n"  # in front of the bodies of macros behind a function's own


@dataclass(frozen=True)
class Program:
    """The documents a function and what it calls are looked up in."""

    documents: Sequence[Document]

    @cached_property
    def functions(self) -> FunctionIndex:
        """Every function by its bare name."""
        return FunctionIndex(self.documents)

    @cached_property
    def uses(self) -> Uses:
        """What is done with the values of the documents."""
        return Uses(TypeFinder(self.documents, known_returns()), known_effects())

    @cached_property
    def macros(self) -> dict[str, bytes]:
        """The bodies of macros by name, continuations joined."""
        found: dict[str, bytes] = {}
        for document in self.documents:
            for macro in document.macros:
                body = document.code[macro.body.start : macro.body.end]
                found.setdefault(macro.name, re.sub(rb"\\\r?\n", b" ", body))
        return found

    @cached_property
    def _bodies(self) -> dict[tuple[str, Span], bytes]:
        return {}

    def body(self, document: Document, function: Function) -> bytes:
        """The text of a function's body, with the bodies of the macros that it calls behind it."""
        key = (document.path, function.span)
        if key not in self._bodies:
            self._bodies[key] = self._read_body(document, function)
        return self._bodies[key]

    def _read_body(self, document: Document, function: Function) -> bytes:
        if function.body is None:
            return b""
        text = document.code[function.body.start : function.body.end]
        parts, seen, waiting = [text], set[str](), [text]
        while waiting:
            for match in re.finditer(rb"\b[A-Z][A-Z0-9_]{2,}\b", waiting.pop()):
                name = match.group().decode()
                if name in self.macros and name not in seen:
                    seen.add(name)
                    parts.append(self.macros[name])
                    waiting.append(self.macros[name])
        return _MACROS.join(parts)
