"""The functions and macros that a function's text may lead to, and the words for what is done with a tensor."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property

from codemod.model import Span
from codemod.source.document import Document
from codemod.source.function_index import FunctionIndex
from codemod.source.signatures import Function

MACROS = b"\n;\x00\n"  # in front of the bodies of macros behind a function's own


class Access(Enum):
    """What a function does with a parameter."""

    READ = "read"
    WRITE = "write"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Program:
    """The documents a function and what it calls are looked up in."""

    documents: Sequence[Document]

    @cached_property
    def functions(self) -> FunctionIndex:
        """Every function by its bare name."""
        return FunctionIndex(self.documents)

    @cached_property
    def macros(self) -> dict[str, bytes]:
        """The bodies of macros by name, continuations joined."""
        return {name: body for name, (_, body) in self.macro_table.items()}

    @cached_property
    def macro_table(self) -> dict[str, tuple[tuple[str, ...] | None, bytes]]:
        """Parameters and body of every macro by name."""
        found: dict[str, tuple[tuple[str, ...] | None, bytes]] = {}
        for document in self.documents:
            for macro in document.macros:
                body = document.code[macro.body.start : macro.body.end]
                found.setdefault(macro.name, (macro.params, re.sub(rb"\\\r?\n", b" ", body)))
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
        return MACROS.join(parts)


def combined(found: Iterable[Access]) -> Access | None:
    """One answer for several uses, None where there is none: behind a write nobody looks at the others."""
    kinds = set()
    for access in found:
        if access is Access.WRITE:
            return access
        kinds.add(access)
    return Access.UNKNOWN if Access.UNKNOWN in kinds else Access.READ if kinds else None
