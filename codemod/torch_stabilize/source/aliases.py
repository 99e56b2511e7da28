"""The names a file gives to types, `using fptr_t = int64_t;`, and those of torch that it makes visible."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from torch_stabilize.model import Span
from torch_stabilize.source.document import Document, per_document
from torch_stabilize.source.patterns import word_start
from torch_stabilize.source.types import CppType, parse_type

_ALIAS = re.compile(
    word_start(b"using")
    + rb"\s+(?P<name>[A-Za-z_]\w*)\s*=\s*(?P<type>[^;]+);|"
    + word_start(b"typedef")
    + rb"\s+(?P<old>[^;{}()\[\]]*?[\s*&>])\s*(?P<as>[A-Za-z_]\w*)\s*;"
)
USING_NAMESPACE = re.compile(word_start(b"using") + rb"\s+namespace\s+(?:::\s*)?(?P<space>torch|at|c10)\s*;")
USING_NAME = re.compile(word_start(b"using") + rb"\s+(?:::\s*)?(?P<name>(?:torch|at|c10)::[\w:]+)\s*;")


class TypeAlias(NamedTuple):
    """`name` represents the type written `type_text`, blanks squeezed; `span` is the declaration with its semicolon."""

    name: str
    type_text: str
    span: Span


@per_document
def read_aliases(document: Document) -> tuple[TypeAlias, ...]:
    """The aliases that `document` declares, in file order, in whatever scope. Those of templates are among them."""
    return tuple(
        TypeAlias(
            (match["name"] or match["as"]).decode(),
            " ".join((match["type"] or match["old"]).decode("utf-8", "replace").split()),
            Span(*match.span()),
        )
        for match in _ALIAS.finditer(document.code)
    )


def made_short(document: Document) -> Iterator[tuple[str, CppType]]:
    """Names that stand for tensors in torch's autograd namespace alone, and are made visible: `Variable`."""
    for match in USING_NAME.finditer(document.code):
        text = match["name"].decode()
        kind = parse_type(text)
        if text.rpartition("::")[2] != kind.name:
            yield text.rpartition("::")[2], kind
