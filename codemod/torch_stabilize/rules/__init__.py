"""The rules: what becomes of each unstable name, one module per family.

Importing this package loads every rule, so that `RULES` is complete.
"""

from torch_stabilize.rules import (
    accessors,
    checks,
    comparisons,
    device,
    dispatch,
    exceptions,
    factories,
    generic,
    guards,
    handlers,
    indexing,
    methods,
    operators,
    options_uses,
    pointers,
    questions,
    signedness,
    small_vectors,
    streams,
    symbolic,
    typed_operators,
    undefined,
)
from torch_stabilize.rules.registry import RULES
from torch_stabilize.rules.snippets import rewrite_declaration, rewrite_text

__all__ = [
    "RULES",
    "accessors",
    "checks",
    "comparisons",
    "device",
    "dispatch",
    "exceptions",
    "factories",
    "generic",
    "guards",
    "handlers",
    "indexing",
    "methods",
    "operators",
    "options_uses",
    "pointers",
    "questions",
    "rewrite_declaration",
    "rewrite_text",
    "signedness",
    "small_vectors",
    "streams",
    "symbolic",
    "typed_operators",
    "undefined",
]
