"""What a namespace is called once the preprocessor has run: `CONCAT(TORCH_EXTENSION_NAME, _cache_ops)`."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch_stabilize.source.conditions import read_directives
from torch_stabilize.source.document import Document
from torch_stabilize.source.types import split_arguments

EXTENSION_NAME = "TORCH_EXTENSION_NAME"
_DEFINE = re.compile(r"(?P<name>\w+)\s+(?P<value>\w+)$")


def defined_names(document: Document) -> dict[str, str]:
    """The object-like macros of `document` that stand for one word."""
    found = {}
    for directive in read_directives(document):
        if directive.kind == "define" and (match := _DEFINE.match(directive.argument)):
            found[match["name"]] = match["value"]
    return found


def resolve_name(text: str, definitions: Mapping[str, str]) -> str:
    """The word that `text` expands to: macros of `definitions` replaced, the arguments of a pasting macro joined."""
    text = text.strip()
    if match := re.fullmatch(r"\w+\s*\((?P<arguments>.*)\)", text, re.DOTALL):
        return "".join(resolve_name(part, definitions) for part in split_arguments(match["arguments"]))
    if "##" in text:
        return "".join(resolve_name(part, definitions) for part in text.split("##"))
    seen: set[str] = set()
    while text in definitions and text not in seen:
        seen.add(text)
        text = definitions[text].strip().strip('"')
    return text
