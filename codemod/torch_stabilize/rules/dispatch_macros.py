"""A project's dispatch macros: which stable macro replaces which legacy one, and the text of those that are missing.

A macro is translated by rewriting its definition. An existing stable macro counts as the translation when its
definition is the same, or when it has the name the convention gives and covers the same dtypes.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from torch_stabilize.model import Edit, Span
from torch_stabilize.rules.context import DispatchMacro
from torch_stabilize.rules.registry import page
from torch_stabilize.source.brackets import plain_code
from torch_stabilize.source.conditions import conditions_at
from torch_stabilize.source.document import Document, Macro
from torch_stabilize.source.edits import apply
from torch_stabilize.surface.table import Surface

OTHER_DTYPES = page(
    "TSA304",
    "A stable dispatch macro covers other dtypes than its legacy namesake.",
    "A wider macro runs a kernel on types it was not written for, a narrower one refuses types it took. The tool writes a\n"
    "macro with the legacy set of dtypes instead of using the namesake.",
)

_DTYPE = re.compile(r"\bScalarType::(\w+)|\b(?:torch|at|c10)::k([A-Z]\w*)")
_WORD = re.compile(r"[A-Za-z_]\w*")


class Definition(NamedTuple):
    """One `#define` of a macro, with the conditions it is under and its text from `#define` on."""

    name: str
    path: str
    conditions: tuple[str, ...]
    text: str

    @property
    def shape(self) -> str:
        """The text behind the name, without blanks and continuations: equal shapes mean equal macros."""
        return re.sub(r"\\\r?\n|\s+", "", self.text.partition(self.name)[2])


def is_macro_header(document: Document, *, surface: Surface | None = None) -> bool:
    """Whether a header defines macros and nothing else; with `surface`, macros that dispatch over dtypes."""
    if not document.macros or plain_code(document).strip():
        return False
    if surface is None:
        return True
    words = {
        w
        for m in document.macros
        for w in _WORD.findall(document.code[m.body.start : m.body.end].decode("utf-8", "replace"))
    }
    return any(entry.kind == "dispatch" for word in words if (entry := surface.macro(word)) is not None)


def read_definitions(document: Document, edits: Sequence[Edit] = ()) -> tuple[Definition, ...]:
    """The macros of `document` in order, `edits` applied to their text."""
    return tuple(
        Definition(macro.name, document.path, conditions_at(document, macro.span.start), _text(document, macro, edits))
        for macro in document.macros
    )


def _text(document: Document, macro: Macro, edits: Sequence[Edit]) -> str:
    inside = [
        Edit(Span(e.span.start - macro.span.start, e.span.end - macro.span.start), e.replacement, e.rule)
        for e in edits
        if macro.span.contains(e.span)
    ]
    text = apply(document.data[macro.span.start : macro.span.end], inside).decode("utf-8", "replace")
    return re.sub(r"^\s*#\s*define", "#define", text)


def dtypes_of(
    name: str, definitions: Mapping[str, Sequence[Definition]], surface: Surface, depth: int = 0
) -> frozenset[str]:
    """The dtypes a macro dispatches over, through the macros it uses, each with the conditions it is under."""
    found: set[str] = set()
    if depth > 12:
        return frozenset()
    for definition in definitions.get(name, ()):
        mark = "".join(f" [{condition}]" for condition in definition.conditions)
        for match in _DTYPE.finditer(definition.text):
            found.add((match.group(1) or match.group(2)) + mark)
        for word in _WORD.findall(definition.text.partition(name)[2]):
            entry = surface.macro(word)
            if entry is not None and entry.kind == "dispatch" and entry.rule == "TSA302":
                found |= {dtype + mark for dtype in entry.stable.split()}
            elif word in definitions and word != name:
                found |= {d + mark for d in dtypes_of(word, definitions, surface, depth + 1)}
    return frozenset(found)


class Translation(NamedTuple):
    """The stable name of every legacy macro, and the text of those the stable side lacks."""

    macros: Mapping[str, DispatchMacro]
    missing: Mapping[str, tuple[Definition, ...]]  # legacy name -> translated definitions
    clashes: tuple[str, ...] = ()  # legacy names whose stable namesake covers other dtypes

    def needed(self, names: Iterable[str]) -> tuple[str, ...]:
        """The missing macros that `names` use, in the order they must be written."""
        order: list[str] = []

        def visit(name: str) -> None:
            if name in order:
                return
            for definition in self.missing.get(name, ()):
                for word in _WORD.findall(definition.text):
                    for legacy, macro in self.macros.items():
                        if macro.stable == word and legacy != name:
                            visit(legacy)
            if name in self.missing:
                order.append(name)

        for name in names:
            visit(name)
        return tuple(order)


def switches(stable: Sequence[Document], surface: Surface) -> dict[frozenset[str], DispatchMacro]:
    """The stable switches over `scalar_t` a repository has, by the dtypes they cover."""
    have: dict[str, list[Definition]] = {}
    for document in stable:
        for definition in read_definitions(document):
            have.setdefault(definition.name, []).append(definition)
    found: dict[frozenset[str], DispatchMacro] = {}
    for name, definitions in have.items():
        if len(definitions) != 1 or "THO_DISPATCH_SWITCH" not in definitions[0].shape or _has_hint(name, have):
            continue
        if not re.match(r"#define\s+\w+\(\s*\w+\s*,\s*\w+\s*,\s*\.\.\.\s*\)", definitions[0].text):
            continue
        dtypes = dtypes_of(name, have, surface)
        if dtypes and not any("[" in dtype for dtype in dtypes):
            found.setdefault(dtypes, DispatchMacro(name, name, definitions[0].path, dtypes))
    return found


def _has_hint(name: str, have: Mapping[str, Sequence[Definition]], depth: int = 0) -> bool:
    """Whether a macro names its type otherwise than `scalar_t`, itself or through the macros it uses."""
    words = {word for definition in have.get(name, ()) for word in _WORD.findall(definition.text)} - {name}
    if "THO_PRIVATE_CASE_TYPE_USING_HINT" in words:
        return True
    return depth < 12 and any(_has_hint(word, have, depth + 1) for word in words if word in have)


def stable_name(name: str) -> str:
    """The name a translated macro gets: PROJECT_DISPATCH_X becomes PROJECT_STABLE_DISPATCH_X."""
    if "STABLE" in name:
        return name
    if "DISPATCH" in name:
        return name.replace("DISPATCH", "STABLE_DISPATCH", 1).replace("AT_STABLE", "STABLE", 1)
    return f"STABLE_{name}"


def translate(
    legacy: Sequence[Document],
    stable: Sequence[Document],
    surface: Surface,
    header: str,
    rewrite: Callable[[Document], Sequence[Edit]],
) -> Translation:
    """Pair the macros of the `legacy` headers with those of the `stable` ones.

    `header` is where missing ones will be written; `rewrite` gives the edits of a whole legacy header.
    """
    have = _by_name(definition for document in stable for definition in read_definitions(document))
    before = _by_name(definition for document in legacy for definition in read_definitions(document))
    after = _by_name(found for document in legacy for found in read_definitions(document, rewrite(document)))
    macros: dict[str, DispatchMacro] = {}
    missing: dict[str, tuple[Definition, ...]] = {}
    clashes: list[str] = []
    for name, definitions in after.items():
        renamed = [_renamed(definition, macros) for definition in definitions]
        dtypes = dtypes_of(name, before, surface)
        twin = _twin(renamed, have) or _namesake(name, have, dtypes, surface)
        if twin is not None:
            macros[name] = DispatchMacro(name, twin, have[twin][0].path, dtypes)
            continue
        wanted = stable_name(name)
        if wanted in have:
            clashes.append(name)
            wanted += "_EXACT"
        macros[name] = DispatchMacro(name, wanted, header, dtypes)
        missing[name] = tuple(_named(definition, name, wanted) for definition in renamed)
    return Translation(macros, missing, tuple(clashes))


def _by_name(definitions: Iterable[Definition]) -> dict[str, list[Definition]]:
    found: dict[str, list[Definition]] = {}
    for definition in definitions:
        found.setdefault(definition.name, []).append(definition)
    return found


def _renamed(definition: Definition, macros: Mapping[str, DispatchMacro]) -> Definition:
    text = _WORD.sub(lambda m: macros[m.group()].stable if m.group() in macros else m.group(), definition.text)
    return Definition(definition.name, definition.path, definition.conditions, text)


def _named(definition: Definition, old: str, new: str) -> Definition:
    text = re.sub(rf"\b{re.escape(old)}\b", new, definition.text)
    return Definition(new, definition.path, definition.conditions, text)


def _twin(definitions: Sequence[Definition], have: Mapping[str, Sequence[Definition]]) -> str | None:
    wanted = sorted((d.conditions, d.shape) for d in definitions)
    for name, there in have.items():
        if sorted((d.conditions, d.shape) for d in there) == wanted:
            return name
    return None


def _namesake(
    name: str, have: Mapping[str, Sequence[Definition]], dtypes: frozenset[str], surface: Surface
) -> str | None:
    for wanted in (stable_name(name), name):
        if wanted in have and dtypes and dtypes_of(wanted, have, surface) == dtypes:
            return wanted
    return None


def render_definitions(definitions: Iterable[Definition]) -> str:
    """The text of macros for the stable dispatch header, each under its conditions."""
    pieces = []
    for definition in definitions:
        opening = "".join(f"{condition}\n" for condition in definition.conditions)
        closing = "#endif\n" * len(definition.conditions)
        pieces.append(f"{opening}{_aligned(definition.text.rstrip())}\n{closing}")
    return "\n".join(pieces)


_COLUMN_LIMIT = 78  # backslashes from here on are aligned to the right, and lines may reach past them


def _aligned(text: str) -> str:
    """The macro with its backslashes in one column again, where its new names have pushed some aside."""
    lines = text.split("\n")
    columns = Counter(len(line) for line in lines if line.endswith("\\"))
    if not columns:
        return text
    column, often = columns.most_common(1)[0]
    if 2 * often < sum(columns.values()):
        return text
    longest = max(len(line[:-1].rstrip()) for line in lines if line.endswith("\\")) + 2
    if longest > column and column < _COLUMN_LIMIT:
        column = longest
    return "\n".join(_padded(line, column) if line.endswith("\\") else line for line in lines)


def _padded(line: str, column: int) -> str:
    code = line[:-1].rstrip()
    return f"{code.ljust(max(column - 1, len(code) + 1))}\\"
