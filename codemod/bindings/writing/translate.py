"""Declarations in stable types, by the rules that rewrite everything else."""

from __future__ import annotations

from codemod.bindings.reading.text import decode, encode


def stable_declaration(text: str) -> str:
    """`text`, a declaration or a function's head in legacy types, in stable ones."""
    from codemod.rules import rewrite_declaration

    return decode(rewrite_declaration(encode(text)))
