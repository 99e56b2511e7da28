"""What a file defines for its includers: types, aliases, constants, macros and functions, found by their heads."""

from __future__ import annotations

import re

from torch_stabilize.source.aliases import read_aliases
from torch_stabilize.source.document import Document
from torch_stabilize.source.signatures import read_signatures

_THING = re.compile(
    rb"\b(?:(?:struct|class|enum|union)\s+(?:class\s+)?(?P<type>[A-Za-z_]\w*)[^;{}()=]*\{"
    rb"|constexpr\b[^;{}()=]*?(?P<constant>[A-Za-z_]\w*)\s*=)"
)


def types_defined(document: Document) -> set[bytes]:
    """The types, aliases and constants that `document` defines."""
    named = {match["type"] or match["constant"] for match in _THING.finditer(document.code)}
    return named | aliases_defined(document)


def aliases_defined(document: Document) -> set[bytes]:
    """The names that `document` gives other types: `using fptr_t = int64_t;`."""
    return {alias.name.encode() for alias in read_aliases(document)}


def things_defined(document: Document) -> set[bytes]:
    """What `document` defines: macros with a text, types, constants and functions with a body."""
    macros = {macro.name.encode() for macro in document.macros if len(macro.body)}
    return macros | types_defined(document) | {f.name.encode() for f in read_signatures(document) if f.is_definition}
