"""Autograd functions that are templates, written out: a class for each list of arguments that one is applied with.

The result is legacy code that means the same. Only what is written at the place of `apply` counts: an argument that is
itself a parameter of a template, or a name of a dispatch macro, is different from call to call.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from torch_stabilize.bindings.autograd.model import Reason
from torch_stabilize.model import Edit, Span
from torch_stabilize.source.brackets import partners
from torch_stabilize.source.document import Document
from torch_stabilize.source.edits import apply

_TEMPLATE = re.compile(
    rb"\btemplate\s*<(?P<parameters>[^<>]*)>\s*(?:class|struct)\s+(?P<name>\w+)\s*(?:final\s*)?:\s*(?:public\s+)?"
    rb"(?:\w+\s*::\s*)*Function\s*<\s*(?P=name)\s*<(?P<own>[\w\s,]*)>\s*>\s*\{"
)
_PARAMETER = re.compile(rb"(?:typename|class|[\w:]+(?:\s+[\w:]+)*?)\s+(?P<name>\w+)\s*(?:=\s*(?P<default>.+))?")
_PLAIN = re.compile(
    rb"-?\d[\w.]*|true|false|(?:unsigned|signed|long|short|int|char|bool|float|double|size_t|u?int\d+_t)"
    rb"(?:\s+(?:long|int|char))*|(?:::)?\w+(?:::\w+)+"
)
_CODE = "TSA531"


class Written(NamedTuple):
    """A file with its templates written out: for the name of each class made, the template and its place before."""

    data: bytes
    made: dict[str, tuple[str, Span]]


class _Template(NamedTuple):
    name: bytes
    parameters: tuple[tuple[bytes, bytes], ...]  # name and default
    own: bytes
    span: Span
    head: int  # where `class` or `struct` is


def has_templates(document: Document) -> bool:
    """Whether a file defines autograd functions that are templates."""
    return b"Function" in document.data and _TEMPLATE.search(document.code) is not None


def written_out(
    document: Document, staying: frozenset[str] = frozenset()
) -> tuple[Written, dict[str, tuple[str, Span]]]:
    """A file with its templates written out, and why others are not: the reason and the place, by name.

    The templates `staying` stay.
    """
    edits: list[Edit] = []
    made: dict[str, tuple[str, Span]] = {}
    left: dict[str, tuple[str, Span]] = {}
    for template in _templates(document):
        name = template.name.decode()
        if name in staying:
            continue
        try:
            written = list(_instances(document, template))
        except Reason as reason:
            left[name] = str(reason), template.span
            continue
        edits.append(Edit(template.span, b"\n\n".join(text for _, _, text in written), _CODE))
        for places, called, _ in written:
            made[called.decode()] = name, template.span
            edits += [Edit(place, called, _CODE) for place in places]
    return Written(apply(document.data, edits) if edits else document.data, made), left


def _templates(document: Document) -> Iterator[_Template]:
    for match in _TEMPLATE.finditer(document.code):
        end = partners(document).get(match.end() - 1)
        if end is None:
            continue
        semicolon = re.compile(rb"\s*;").match(document.code, end + 1)
        parameters = []
        for part in filter(None, map(bytes.strip, match["parameters"].split(b","))):
            found = _PARAMETER.fullmatch(part)
            parameters.append((found["name"], (found["default"] or b"").strip()) if found else (b"", b""))
        head = match.start() + re.compile(rb"template\s*<[^<>]*>\s*").match(match.group()).end()  # type: ignore[union-attr]
        span = Span(match.start(), semicolon.end() if semicolon else end + 1)
        yield _Template(match["name"], tuple(parameters), match["own"], span, head)


def _instances(document: Document, template: _Template) -> Iterator[tuple[list[Span], bytes, bytes]]:
    """For each list of arguments: where it is, the name of the class, and its text. Raises Reason."""
    if not all(name for name, _ in template.parameters):
        raise Reason("it is a template whose parameters are not read")
    used = re.compile(rb"\b" + template.name + rb"\b(?:\s*<(?P<given>[^<>;(){}]*)>)?(?P<apply>\s*::\s*apply\b)?")
    places: dict[tuple[bytes, ...], list[Span]] = {}
    for match in used.finditer(document.code):
        if template.span.start <= match.start() < template.span.end:
            continue
        if match["given"] is None or not match["apply"]:
            raise Reason("it is a template, and named for more than to apply it")
        end = match.end() - len(match["apply"])
        places.setdefault(_arguments(template, match["given"]), []).append(Span(match.start(), end))
    if not places:
        raise Reason("it is a template, and nothing in its file applies it")
    for given, spans in places.items():
        called = template.name + b"_" + b"_".join(map(_word, given))
        if called in document.words:
            raise Reason(f"there is a {called.decode()} already")
        yield spans, called, _text(document, template, given, called)


def _arguments(template: _Template, given: bytes) -> tuple[bytes, ...]:
    parts = [b" ".join(part.split()) for part in given.split(b",") if part.strip()]
    defaults = [default for _, default in template.parameters]
    parts += defaults[len(parts) :]
    if len(parts) != len(template.parameters) or not all(_PLAIN.fullmatch(part) for part in parts):
        text = b", ".join(parts).decode("utf-8", "replace")
        raise Reason(f"it is a template, and what it is applied with, <{text}>, is not the same everywhere")
    return tuple(parts)


def _text(document: Document, template: _Template, given: tuple[bytes, ...], called: bytes) -> bytes:
    values = dict(zip((name for name, _ in template.parameters), given, strict=True))
    code = document.code[template.head : template.span.end]
    text = document.data[template.head : template.span.end]
    own = rb"\b" + template.name + rb"\b(?:\s*<\s*" + rb"\s*,\s*".join(map(re.escape, values)) + rb"\s*>)?"
    words = rb"(?<![\w.])(?<!->)(?<!::)(?:" + b"|".join(map(re.escape, values)) + rb")\b"
    for match in reversed(list(re.finditer(rb"(?P<own>" + own + rb")|" + words, code))):
        new = called if match["own"] else values[match.group()]
        text = text[: match.start()] + new + text[match.end() :]
    return text


def _word(argument: bytes) -> bytes:
    return re.sub(rb"\W+", b"_", argument.replace(b"-", b"minus ")).strip(b"_")
