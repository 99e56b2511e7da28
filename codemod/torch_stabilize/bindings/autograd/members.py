"""What an autograd function has besides `forward` and `backward`: helpers, constants and types of its own.

They stay where they are, in a class of the same name without its base; what was in the class names them by it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from tree_sitter import Node

from torch_stabilize.bindings.autograd.model import Reason, plain_types
from torch_stabilize.source.document import Document
from torch_stabilize.source.signatures import Function

_ACCESS = re.compile(rb"^[ \t]*(?:public|private|protected)[ \t]*:[ \t]*\r?\n?", re.MULTILINE)
_OF_BASE = re.compile(rb"\b(?:AutogradContext|Function\s*<|autograd\s*::\s*\w+)")
_CONSTANT = re.compile(rb"\bstatic\b[^;(){}=]*?\b(?P<name>\w+)\s*(?:\[[^\]]*\]\s*)?(?=[={;])")
_TYPE = re.compile(rb"\b(?:using\s+(?P<alias>\w+)\s*=|(?:struct|class|enum(?:\s+class)?)\s+(?P<name>\w+)\s*[:{])")
_ENUM = re.compile(rb"\benum\s*(?:\w+\s*)?(?::\s*[\w:]+\s*)?\{(?P<names>[^}]*)\}")
_HEAD = b"auto f() "


class Members(NamedTuple):
    """The class that stays, "" for none, and the names that were known inside of it."""

    text: bytes = b""
    names: frozenset[str] = frozenset()


def members_of(name: str, source: bytes, code: bytes, methods: Sequence[Function]) -> Members:
    """The members of a class but `forward` and `backward`. `source` is its body, `code` that without comments.

    Raises Reason for members that depend on the base class.
    """
    taken = [method.span for method in methods if method.name in ("forward", "backward")]
    left, text = bytearray(code), source
    for span in sorted(taken, reverse=True):
        left[span.start : span.end] = b" " * len(span)
        text = text[: span.start].rstrip(b" \t") + text[span.end :].lstrip(b" \t")
    if not _ACCESS.sub(b"", bytes(left)).replace(b";", b"").strip():
        return Members()
    if found := _OF_BASE.search(left):
        raise Reason(f"it has members over {found.group().decode().rstrip(' <')}")
    others = [method.name for method in methods if method.name not in ("forward", "backward")]
    names = frozenset(others) | frozenset(_names(bytes(left), methods))
    text = re.sub(rb"\n{3,}", b"\n\n", _ACCESS.sub(b"", plain_types(text)))
    return Members(b"struct " + name.encode() + b" {\n" + text.strip(b"\r\n").rstrip() + b"\n};", names)


def _names(code: bytes, methods: Sequence[Function]) -> Iterator[str]:
    outside = bytearray(code)
    for method in methods:
        outside[method.span.start : method.span.end] = b" " * len(method.span)
    for match in _CONSTANT.finditer(outside):
        yield match["name"].decode()
    for match in _TYPE.finditer(outside):
        yield (match["alias"] or match["name"]).decode()
    for match in _ENUM.finditer(outside):
        yield from (part.partition(b"=")[0].strip().decode() for part in match["names"].split(b",") if part.strip())


def qualified(body: bytes, name: str, members: Members, parameters: Sequence[str]) -> bytes:
    """The body of a method as it is outside of its class `name`. Raises Reason where a name is a member and more."""
    if not members.names:
        return body
    document = Document("body.cpp", _HEAD + body)
    used = {one for one in members.names if one.encode() in document.words}
    declared = {*parameters, *_declared(document)}
    if both := sorted(used & declared):
        raise Reason(f"{both[0]} is a member of it and a local variable")
    if not used:
        return body
    code = document.code[len(_HEAD) :]
    words = "|".join(sorted(map(re.escape, used), key=len, reverse=True)).encode()
    for match in reversed(list(re.finditer(rb"(?<![\w.])(?<!->)(?<!::)(?:" + words + rb")\b", code))):
        body = body[: match.start()] + name.encode() + b"::" + body[match.start() :]
    return body


def _declared(document: Document) -> Iterator[str]:
    waiting: list[Node] = [document.whole.tree.root_node]
    while waiting:
        node = waiting.pop()
        waiting += node.children
        if node.type != "identifier" or node.parent is None:
            continue
        parent = node.parent
        is_declarator = parent.child_by_field_name("declarator") == node or parent.type == "reference_declarator"
        if is_declarator and parent.type != "function_declarator":
            yield document.data[node.start_byte : node.end_byte].decode("utf-8", "replace")
