"""Declarations in stable types, by the rules that rewrite everything else."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from torch_stabilize.bindings.reading.text import decode, encode
from torch_stabilize.source.aliases import USING_NAME, USING_NAMESPACE
from torch_stabilize.source.definitions import types_defined
from torch_stabilize.source.document import Document
from torch_stabilize.surface.table import load_surface

_BARE = re.compile(r"(?<![\w:.>])[A-Za-z_]\w*\b(?!\s*::)")


def stable_declaration(text: str) -> str:
    """`text`, a declaration or a function's head in legacy types, in stable ones."""
    from torch_stabilize.rules import rewrite_declaration

    return decode(rewrite_declaration(encode(text)))


def visible_types(documents: Sequence[Document]) -> Mapping[str, str]:
    """The types of torch that `using` makes visible in `documents`, with their stable names.

    `using torch::Tensor;` gives {"Tensor": "torch::stable::Tensor"}, `using namespace at;` all types of at. A type that
    the project defines under the same name is none of them.
    """
    named = {match["name"].decode() for document in documents for match in USING_NAME.finditer(document.code)}
    spaces = {match["space"].decode() for document in documents for match in USING_NAMESPACE.finditer(document.code)}
    if not named and not spaces:
        return {}
    own = {name.decode() for document in documents for name in types_defined(document)}
    types = (entry for entry in load_surface().table if entry.kind == "type" and entry.form == "rename")
    found = ((spelling, entry.stable) for entry in types for spelling in entry.legacy)
    return {
        short: stable
        for spelling, stable in found
        if (short := spelling.rpartition("::")[2]) not in own
        and short.isidentifier()
        and (spelling in named or spelling.rpartition("::")[0] in spaces)
    }


def spelled_out(text: str, types: Mapping[str, str]) -> str:
    """`text` with the full name of every one of `types` that is there without its namespace."""
    return _BARE.sub(lambda word: types.get(word[0], word[0]), text) if types else text
