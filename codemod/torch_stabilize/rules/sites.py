"""Find the sites of a file: every token that may name something unstable, by plain search over masked code.

This search knows nothing of the rules; what the rules make of the sites is counted against it (no site vanishes).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Container, Iterator, Mapping
from types import MappingProxyType

from torch_stabilize.model import Span
from torch_stabilize.rules.context import Site, SiteKind
from torch_stabilize.source.aliases import USING_NAME
from torch_stabilize.source.conditions import conditions_at, read_directives
from torch_stabilize.source.document import Document, lines_matching, per_document
from torch_stabilize.source.patterns import word_start
from torch_stabilize.source.spans import line_start
from torch_stabilize.surface.entry import Entry
from torch_stabilize.surface.headers import OLDEST_TARGET
from torch_stabilize.surface.table import Surface
from torch_stabilize.surface.versions import parse_version

# These patterns run over every byte of a tree. A search is fast where the first thing it asks for is a letter, so what
# must not stand before a name is looked at behind its first letter.
_SPACES = (b"torch", b"at", b"c10", b"caffe2")
_BEHIND_SPACE = rb"\s*[A-Za-z_]\w*(?:\s*::\s*[A-Za-z_]\w*)*"
_QUALIFIED = re.compile(b"::(?:" + b"|".join(b"(?<=%b::)" % space for space in _SPACES) + b")" + _BEHIND_SPACE)
_QUALIFIED_APART = re.compile(b"(?:" + b"|".join(_SPACES) + rb")\s*::" + _BEHIND_SPACE)  # `at :: Tensor`, rare and slow
_COLONS_APART = re.compile(rb"::(?<=\s::)")
_LONGEST_GAP = 200  # bytes between a namespace and its colons
_LEADING_COLONS = re.compile(rb"::\s*\Z")
_NOT_BEFORE_A_NAME = re.compile(rb"[\w:.>]\Z")
_STABLE_NAMESPACE = re.compile(r"^torch::(?:stable|headeronly)(?:::|$)")
_MACRO = re.compile(
    rb"[A-Zg](?<!\w.)(?:[A-Z0-9_]{3,}\b|(?<=g)puAtomic\w+"
    rb"|(?<=L)OG(?=\s*\()"
    rb"|(?:(?<=T)ORCH|(?<=A)T|(?<=C)10|(?<=C)AFFE2|(?<=C)UDA|(?<=P)YBIND11)_\w+)"
)
_LOGGING_CHECK = re.compile(r"D?CHECK(?:_|$)")
_UNSTABLE_PREFIX = ("TORCH_", "AT_", "C10_", "CAFFE2_")
_METHOD = re.compile(rb"(?:\.|->)\s*(?:template\s+)?(?P<name>[A-Za-z_]\w*)\s*(?=[(<])")
_INCLUDE = re.compile(rb"#[ \t]*include[ \t]*(?P<path>[<\"][^>\"\n]+[>\"])")
_TORCH_INCLUDE = re.compile(r"^(?:torch|ATen|c10|caffe2|pybind11|THC?)/")
_STABLE_INCLUDE = re.compile(r"^torch/(?:csrc/stable|headeronly|csrc/inductor/aoti_torch)/")
# Found without a namespace because an argument's type brings it along.
_BARE = re.compile(
    rb"(?P<name>device_of|toString|elementSize|isFloatingType|isIntegralType|isComplexType|isReducedFloatingType"
    rb"|DeviceTypeName)\s*(?=\()"
)
# Macros of the stable API itself, and names that both builds share.
_NOT_UNSTABLE = frozenset({
    "TORCH_EXTENSION_NAME", "TORCH_TARGET_VERSION", "TORCH_STABLE_ONLY", "TORCH_BOX", "TORCH_ERROR_CODE_CHECK",
    "TORCH_ABI_VERSION", "TORCH_FEATURE_VERSION", "TORCH_VERSION", "TORCH_VERSION_MAJOR", "TORCH_VERSION_MINOR",
})  # fmt: skip
# What torch's dispatch macros call, and the copies that projects made of them: a function of the global namespace.
_GLOBAL = re.compile(rb"::\s*detail\s*::\s*scalar_type\b(?=\s*\()")
_BARE_NAMES = tuple(re.findall(rb"\w{6,}", _BARE.pattern))
_NAMESPACE_ALIAS = re.compile(
    word_start(b"namespace") + rb"\s+(?P<short>[A-Za-z_]\w*)\s*=\s*"
    rb"(?P<space>(?:::\s*)?(?:torch|at|c10)(?:\s*::\s*\w+)*)\s*;"
)
_IN_ALIAS = re.compile(rb"\bnamespace\s+[A-Za-z_]\w*\s*=\s*$")
STABLE_ONLY = re.compile(r"^#(?:ifdef\s+TORCH_TARGET_VERSION|if\s+defined\s*\(?\s*TORCH_TARGET_VERSION\s*\)?)$")
LEGACY_ONLY = re.compile(r"^#(?:ifndef\s+TORCH_TARGET_VERSION|if\s+!\s*defined\s*\(?\s*TORCH_TARGET_VERSION\s*\)?)$")


def find_sites(
    document: Document,
    surface: Surface,
    macros: Container[str] = (),
    known: Container[str] = (),
    methods: Mapping[str, str] = MappingProxyType({}),
) -> tuple[Site, ...]:
    """The sites of `document` in file order.

    `macros` are the project's own macros that stand for unstable ones, `known` all macros it defines: a name like
    TORCH_UTILS_CHECK is no site where the project defines it. `methods` are macros that name a method, with its name.

    Method calls are candidates only: whether the receiver is a tensor is decided by the rules.
    """
    found = [*_names(document, surface), *_macros(document, surface, macros, known), *_includes(document, surface)]
    found += [
        *_aliased(document, surface),
        *_methods(document, surface, methods),
        *_bare(document, surface),
        *_global(document, surface),
        *_used_names(document, surface),
    ]
    found.sort(key=lambda site: (site.span.start, site.span.end, site.kind))
    return tuple({site.span: site for site in found}.values())


@per_document
def _names_target(document: Document) -> bool:
    return b"TORCH_TARGET_VERSION" in document.data


def in_legacy_branch(document: Document, offset: int) -> bool:
    """Whether the place is compiled only where TORCH_TARGET_VERSION is not defined."""
    if not _names_target(document):
        return False
    return any(LEGACY_ONLY.match(condition) for condition in conditions_at(document, offset))


def resolve(surface: Surface, name: str) -> tuple[str, Entry | None]:
    """The longest leading part of a qualified name that the tables know, with its entry."""
    parts = name.split("::")
    for length in range(len(parts), 1, -1):
        prefix = "::".join(parts[:length])
        entry = surface.name(prefix)
        if entry is not None:
            return prefix, entry
    return name, None


def _aliased(document: Document, surface: Surface) -> Iterator[Site]:
    """Names behind `namespace F = torch::nn::functional;`."""
    code = document.code
    for alias in _NAMESPACE_ALIAS.finditer(code):
        meant = b"".join(alias.group("space").split()).decode().removeprefix("::")
        if _STABLE_NAMESPACE.match(meant):
            continue
        yield Site(Span(*alias.span()), alias.group().decode(), SiteKind.USING)
        for match in re.finditer(word_start(alias.group("short"), rb"\w:.>") + rb"(?:\s*::\s*[A-Za-z_]\w*)+", code):
            text = match.group()
            name = meant + "".join(text.decode().split())[len(alias.group("short")) :]
            prefix, entry = resolve(surface, name)
            shorter = prefix.count("::") - meant.count("::")
            if shorter > 0:
                short = alias.group("short").decode() + "::" + "::".join(name.split("::")[-shorter:])
                kept = name.count("::") - prefix.count("::")
                span = Span(*match.span()) if not kept else _span_of(Span(*match.span()), text, short, name)
                yield Site(span, prefix, SiteKind.NAME, entry)


def _names(document: Document, surface: Surface) -> Iterator[Site]:
    code = document.code
    known: dict[bytes, tuple[str, str, Entry | None] | None] = {}  # a file has the same few names many times
    for span in _qualified(code):
        text = code[span.start : span.end]
        if text not in known:
            name = b"".join(text.split()).decode().removeprefix("::").removesuffix("_symint")  # sizes are numbers
            known[text] = None if _STABLE_NAMESPACE.match(name) else (name, *resolve(surface, name))
        found = known[text]
        if found is None or code[span.end : span.end + 1] == b"/":
            continue
        name, prefix, entry = found
        before = code[max(0, span.start - 80) : span.start]
        if not (before.rstrip().endswith(b"=") and _IN_ALIAS.search(before)):
            yield Site(_span_of(span, text, prefix, name), prefix, SiteKind.NAME, entry)


def _qualified(code: bytes) -> Iterator[Span]:
    """The names of torch's namespaces, with a leading `::` where there is one."""
    is_apart = any(map(functools.partial(_ends_apart, code), _COLONS_APART.finditer(code)))
    pattern, place = _QUALIFIED_APART if is_apart else _QUALIFIED, 0
    while match := pattern.search(code, place):
        start = match.start()
        if not is_apart:
            start -= next(len(space) for space in _SPACES if code.endswith(space, 0, start))
        before = code[max(0, start - 40) : start]
        if colons := _LEADING_COLONS.search(before):
            start -= len(colons.group())
            before = before[: colons.start()]
        if _NOT_BEFORE_A_NAME.search(before):
            place = match.start() + 1
            continue
        yield Span(start, match.end())
        place = match.end()


def _ends_apart(code: bytes, colons: re.Match[bytes]) -> bool:
    """Whether one of torch's namespaces is before these colons, with blanks between."""
    return code[max(0, colons.start() - _LONGEST_GAP) : colons.start()].rstrip().endswith(_SPACES)


def _span_of(span: Span, text: bytes, prefix: str, name: str) -> Span:
    if prefix == name:
        return span
    wanted = prefix.count("::") + 1
    for count, word in enumerate(re.finditer(rb"[A-Za-z_]\w*", text), start=1):
        if count == wanted:
            return Span(span.start, span.start + word.end())
    return span


def _macros(
    document: Document, surface: Surface, project: Container[str], known_macros: Container[str]
) -> Iterator[Site]:
    defined: dict[str, int] = {}
    for macro in document.macros:
        defined.setdefault(macro.name, macro.span.start)
    unknown: set[bytes] = set()  # most names in capitals are none of torch's
    for match in _MACRO.finditer(document.code):
        word = match.group()
        if word in unknown:
            continue
        name = word.decode()
        if name in _NOT_UNSTABLE or name.startswith(("TORCH_LIBRARY", "PYBIND11_MODULE")):
            continue  # registrations belong to the bindings
        entry = surface.macro(name)
        if entry is None and name not in project and not name.startswith(_UNSTABLE_PREFIX):
            unknown.add(word)
            continue
        known = entry is not None and entry.form != "same"
        strange = (
            entry is None
            and name.startswith(_UNSTABLE_PREFIX)
            and name.isupper()
            and name not in defined
            and name not in known_macros
        )
        own = _is_own(document, name, match.start(), defined) if name in defined else name in known_macros
        if own and entry is not None and (entry.form == "none" or entry.helper or _LOGGING_CHECK.match(name)):
            continue  # the project's, under the same name
        if not (known or name in project or strange or entry is not None):
            continue
        if strange and _is_parameter(document, name, match.start()):
            continue
        if _is_directive_name(document.code, match.start()):
            known = entry is not None or (strange and not _is_defined(document, name))
            if not own and known and _is_asked_for(document.code, match.start()):
                yield Site(Span(*match.span()), name, SiteKind.CONDITION, entry)
            continue
        yield Site(Span(*match.span()), name, SiteKind.MACRO, entry)


def _is_parameter(document: Document, name: str, place: int) -> bool:
    """Whether a name in capitals is a parameter of the macro that `place` is in the definition of."""
    return any(m.span.start <= place < m.span.end and name in (m.params or ()) for m in document.macros)


def _is_own(document: Document, name: str, place: int, defined: Mapping[str, int]) -> bool:
    """Whether a macro that the file defines is meant at `place`: a body is expanded where its macro is used."""
    return defined[name] <= place or any(macro.body.start <= place < macro.body.end for macro in document.macros)


_CONDITION = re.compile(rb"[ \t]*#[ \t]*(?:ifn?def|if|elifn?def|elif)\b")


def _line_before(code: bytes, offset: int) -> bytes:
    return code[line_start(code, offset) : offset]


def _is_defined(document: Document, name: str) -> bool:
    """Whether the file defines the macro, as header guards are, which have no text."""
    return any(line.kind == "define" and line.argument == name for line in read_directives(document))


def _is_asked_for(code: bytes, offset: int) -> bool:
    """Whether a condition of the preprocessor asks for the token, or for its value."""
    return _CONDITION.match(_line_before(code, offset)) is not None


def _is_directive_name(code: bytes, offset: int) -> bool:
    """Whether the token is what a `#define`, `#ifdef`, `#undef` ... is about."""
    line = _line_before(code, offset)
    return bool(re.match(rb"[ \t]*#[ \t]*(?:define|undef|ifdef|ifndef|if\b.*|elif\b.*)[ \t]*$", line)) or bool(
        re.match(rb"[ \t]*#[ \t]*(?:if|elif)\b", line)
    )


def _methods(document: Document, surface: Surface, aliases: Mapping[str, str]) -> Iterator[Site]:
    for match in _METHOD.finditer(document.code):
        name = match.group("name").decode()
        name = aliases.get(name, name)
        entry = surface.method(name)
        if entry is not None and (entry.form != "same" or entry.helper or _has_floor(entry)):
            yield Site(Span(*match.span("name")), name, SiteKind.METHOD, entry)


def _has_floor(entry: Entry) -> bool:
    """Whether not every target has the stable form."""
    return max(parse_version(entry.headers), parse_version(entry.target)) > parse_version(OLDEST_TARGET)


def _includes(document: Document, surface: Surface) -> Iterator[Site]:
    for _, match in lines_matching(_INCLUDE, document.uncommented):
        path = match.group("path")[1:-1].decode("utf-8", "replace")
        if _TORCH_INCLUDE.match(path) and not _STABLE_INCLUDE.match(path):
            yield Site(Span(*match.span("path")), path, SiteKind.INCLUDE, surface.include(path))
        elif "/" not in path and match["path"].startswith(b"<") and (shipped := surface.include(path)) is not None:
            yield Site(Span(*match.span("path")), path, SiteKind.INCLUDE, shipped)


def _bare(document: Document, surface: Surface) -> Iterator[Site]:
    if document.words.isdisjoint(_BARE_NAMES):
        return
    for match in _BARE.finditer(document.code):
        if _NOT_BEFORE_A_NAME.search(document.code[max(0, match.start() - 1) : match.start()]):
            continue
        name = match.group("name").decode()
        yield Site(Span(*match.span("name")), name, SiteKind.BARE, surface.name(f"c10::{name}"))


def _global(document: Document, surface: Surface) -> Iterator[Site]:
    """`::detail::scalar_type(x)`, which ATen/Dispatch.h defines outside of its namespaces."""
    for match in _GLOBAL.finditer(document.code):
        if not re.search(rb"[\w>]\s*\Z", document.code[max(0, match.start() - 40) : match.start()]):
            name = b"".join(match.group().split()).decode().removeprefix("::")
            yield Site(Span(*match.span()), name, SiteKind.NAME, surface.name(name))


def _used_names(document: Document, surface: Surface) -> Iterator[Site]:
    """Names that a `using torch::Tensor;` made visible without their namespace."""
    for using in USING_NAME.finditer(document.code):
        qualified = using.group("name").decode()
        short = qualified.rpartition("::")[2]
        entry = surface.name(qualified)
        same = entry is not None and "::" in entry.stable and entry.stable.rpartition("::")[2] == short
        if entry is None or entry.kind == "function" or same:
            continue  # which calls of a function's name are meant needs types: unqualified.py
        for match in re.finditer(word_start(short.encode(), rb"\w:.>") + rb"\b", document.code[using.end() :]):
            start = using.end() + match.start()
            yield Site(Span(start, start + len(short)), qualified, SiteKind.NAME, entry)
