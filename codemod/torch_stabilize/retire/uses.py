"""Uses of generated wrappers and helpers, and what replaces them in newer headers."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

from torch_stabilize.model import Confidence, Edit, Span
from torch_stabilize.retire.codes import RETIRED
from torch_stabilize.rules.context import Context, Site, SiteKind
from torch_stabilize.rules.kinds import kind_in_schemas
from torch_stabilize.source.document import Document
from torch_stabilize.source.scopes import arguments_of
from torch_stabilize.surface.aten import NAMESPACE
from torch_stabilize.surface.entry import Entry
from torch_stabilize.surface.headers import OLDEST_TARGET
from torch_stabilize.surface.schemas import find_op, undecided
from torch_stabilize.surface.table import Surface
from torch_stabilize.surface.versions import parse_version

_WRAPPED = re.compile(rb"\b" + NAMESPACE.encode() + rb"\s*::\s*(?P<op>\w+)(?=\s*\()")
_ANY_WRAPPED = re.compile(rb"\b" + NAMESPACE.encode() + rb"\s*::\s*(?P<op>\w+)")


class Use(NamedTuple):
    """A use that becomes native: the edit, and the header that it needs."""

    edit: Edit
    include: str


def native_overloads(surface: Surface, cpp_name: str, target: str, headers: str) -> Mapping[str, Entry]:
    """The overloads of an op ("view.dtype") that the stable headers got, as the rows of their functions."""
    found: dict[str, Entry] = {}
    for entry in (surface.name(f"at::{cpp_name}"), surface.method(cpp_name)):
        if entry is None or entry.form not in ("rename", "free") or not surface.available(entry, target, headers):
            continue
        for overload, since in entry.newer:
            if parse_version(since) <= parse_version(headers):
                found.setdefault(overload, entry)
        if max(parse_version(entry.headers), parse_version(entry.target)) > parse_version(OLDEST_TARGET):
            found.setdefault(entry.overload or cpp_name, entry)
    return found


def wrapped_uses(context: Context, wrappers: Collection[str]) -> Iterator[Use]:
    """The calls in a document of `wrappers` ("view.dtype") that the stable headers have functions for."""
    document, project = context.document, context.project
    for match in _WRAPPED.finditer(document.code):
        name = match["op"].decode()
        natives = native_overloads(context.surface, name, project.target, project.headers or project.target)
        if not natives:
            continue
        meant = {op for op in wrappers if _cpp_name(op) == name}
        if not meant <= natives.keys():
            meant = _overloads_given(Site(Span(*match.span()), f"at::{name}", SiteKind.NAME), context)
        if not meant or not meant <= natives.keys():
            continue
        entry = natives[min(meant)]
        yield Use(Edit(Span(*match.span()), entry.stable.encode(), RETIRED), entry.include)


def helper_uses(document: Document, entry: Entry, native: Entry) -> Iterator[Use]:
    """The uses in a document of what the helper for `entry` defines, as `native` has them and with its header."""
    old = {legacy.rpartition("::")[2] for legacy in entry.legacy} if entry.form == "same" else {entry.stable}
    confidence = Confidence.REVIEW if native.device_only else Confidence.SAFE
    for word in sorted(old):
        pattern = re.compile(
            rb"(?<![\w.:>])(?:stable_helpers(?:_apart)?\s*::\s*)?" + re.escape(word.encode()) + rb"\b(?=\s*[(<])"
        )
        for match in pattern.finditer(document.code):
            written = word if native.form == "same" else native.stable
            yield Use(Edit(Span(*match.span()), written.encode(), RETIRED, confidence), native.include)


def wrapper_names(code: bytes) -> frozenset[str]:
    """The C++ names of the wrappers that code mentions."""
    return frozenset(match["op"].decode() for match in _ANY_WRAPPED.finditer(code))


def _overloads_given(site: Site, context: Context) -> set[str]:
    """The overloads that the arguments of a call may mean."""
    call, fragment = context.call(site), context.fragment(site)
    if call is None:
        return set()
    kinds = [kind_in_schemas(one, context.type_of(one, fragment)) for one in arguments_of(call)]
    return {op.qualified for op in undecided(site.name.rpartition("::")[2], kinds)}


def _cpp_name(op: str) -> str:
    name, _, overload = op.partition(".")
    return find_op(name, overload).cpp_name
