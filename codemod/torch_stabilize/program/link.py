"""What each unit defines for others and what it asks of them: the symbols that a linker would resolve.

Everything is asked by name: a file is read once a name is in it that somebody asks for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from torch_stabilize.buildfiles.model import Abi, Reference
from torch_stabilize.layout.read import Program, is_seen
from torch_stabilize.source.brackets import closing_angle, partners, plain_code, split_spans
from torch_stabilize.source.document import UNIT_SUFFIXES, Document, Macro, words_of
from torch_stabilize.source.expansion import Expanded, expand
from torch_stabilize.source.symbols import Declaration, Definition, Linkage, Symbol, SymbolKind, read_symbols

_LEGACY_TENSOR = re.compile(r"\b(?:torch|at)::Tensor\b")
_STABLE_TENSOR = re.compile(r"\bstable::Tensor\b")
_SPACES = re.compile(rb"\s+")


@dataclass(frozen=True)
class Linker:
    """The definitions and references of a program's units. Answers are kept."""

    program: Program
    _words: dict[tuple[str, Abi], frozenset[bytes]] = field(default_factory=dict, compare=False, repr=False)
    _made: dict[str, Expanded] = field(default_factory=dict, compare=False, repr=False)
    _of_units: dict[str, tuple[Expanded | None, Mapping[str, list[Definition]]]] = field(
        default_factory=dict, compare=False, repr=False
    )
    _named: dict[str, tuple[Definition, ...]] = field(default_factory=dict, compare=False, repr=False)

    @cached_property
    def units(self) -> tuple[str, ...]:
        """The units of the tree that no other file includes as text."""
        return tuple(path for path in self.program.files if path.endswith(UNIT_SUFFIXES))

    def document(self, path: str) -> Document:
        """The file at `path`."""
        return self.program.snapshot.document(path)

    # -- definitions ---------------------------------------------------------------------------------------------

    def definitions(self, unit: str) -> tuple[Definition, ...]:
        """What `unit` itself defines that other units can link against, with what its macros make."""
        own = read_symbols(self.document(unit)).definitions
        return tuple(d for d in (*own, *self.made(unit).definitions) if d.linkage is Linkage.EXTERNAL)

    def made(self, unit: str) -> Expanded:
        """What the macros that `unit` uses at namespace scope make."""
        if unit not in self._made:
            uses = read_symbols(self.document(unit)).uses
            self._made[unit] = expand(uses, self._finder(unit).get) if uses else Expanded()
        return self._made[unit]

    def _finder(self, unit: str) -> dict[str, tuple[Document, Macro]]:
        documents = [self.document(path) for path in self.program.closure(unit)]
        return {macro.name: (document, macro) for document in documents for macro in document.macros}

    def is_defined_in(self, symbol: Symbol, units: Iterable[str]) -> bool:
        """Whether one of `units` defines what `symbol`, as declared, may mean; no other unit is read."""
        word = symbol.bare.removeprefix("~").encode()
        return any(
            matches(symbol, found.symbol)
            for unit in units
            if self.program.snapshot.exists(unit) and self._may_define(unit, word)
            for found in self._by_name(unit).get(symbol.bare, ())
        )

    def _by_name(self, unit: str) -> Mapping[str, list[Definition]]:
        """The definitions of `unit` by their names without scopes."""
        made = self._made.get(unit)
        known = self._of_units.get(unit)
        if known is None or known[0] is not made:
            definitions = self.definitions(unit)
            found: dict[str, list[Definition]] = {}
            for one in definitions:
                found.setdefault(one.symbol.bare, []).append(one)
            known = self._of_units[unit] = (self._made.get(unit), found)
        return known[1]

    def defining(self, symbol: Symbol) -> Iterator[Definition]:
        """Every definition in a unit of the tree that `symbol`, as declared, may mean."""
        for found in self.named(symbol.bare):
            if matches(symbol, found.symbol):
                yield found

    def named(self, bare: str) -> tuple[Definition, ...]:
        """Every definition in a unit of the tree that has this name, whatever its scope."""
        if bare not in self._named:
            word = bare.removeprefix("~").encode()
            self._named[bare] = tuple(
                d for unit in self.units if self._may_define(unit, word) for d in self._by_name(unit).get(bare, ())
            )
        return self._named[bare]

    def _may_define(self, unit: str, word: bytes) -> bool:
        if word in self.program.snapshot.read(unit):
            return True
        # A macro may put the name together; only those of units that use some at namespace scope.
        return unit in self._made and any(d.symbol.bare.encode() == word for d in self._made[unit].definitions)

    # -- references ----------------------------------------------------------------------------------------------

    def references(self, unit: str, only: frozenset[str] | None = None, abi: Abi = Abi.UNKNOWN) -> list[Reference]:
        """What `unit` uses, declares and does not define, nor what it includes; `only` these names where given.

        `abi` is that of the library it is compiled for: code that the other ABI sees alone does not count.
        """
        documents = [self.document(path) for path in self.program.closure(unit, abi)]
        read = [read_symbols(document) for document in documents]
        made = self.made(unit)
        declared: dict[str, list[Declaration]] = {}
        for declaration in (d for symbols in read for d in symbols.declarations):
            if declaration.linkage in (Linkage.LOCAL, Linkage.DEVICE) or not is_seen(declaration.when, abi):
                continue
            if only is None or declaration.symbol.bare in only:
                declared.setdefault(declaration.symbol.bare, []).append(declaration)
        for declaration in made.declarations:
            if declaration.linkage is Linkage.EXTERNAL and (only is None or declaration.symbol.bare in only):
                declared.setdefault(declaration.symbol.bare, []).append(declaration)
        if not declared:
            return []
        words = self.reached(unit, abi)
        defined: dict[str, list[Definition]] = {}
        for definition in (*(d for symbols in read for d in symbols.definitions), *made.definitions):
            if definition.symbol.bare in declared:
                defined.setdefault(definition.symbol.bare, []).append(definition)
        found: dict[tuple[str, tuple[str, ...] | None, str], Reference] = {}
        for bare, declarations in declared.items():
            if bare.removeprefix("~").encode() not in words:
                continue
            for declaration in declarations:
                symbol = declaration.symbol
                if symbol.kind is SymbolKind.METHOD and symbol.name.split("::")[-2].encode() not in words:
                    continue
                if any(_satisfies(symbol, d.symbol) for d in defined.get(bare, ())):
                    continue
                for asked in self._asked(unit, declaration, len(declarations) > 1):
                    key = (asked.name, asked.types, asked.arguments)
                    found.setdefault(key, Reference(asked, declaration.path, declaration.span, declaration.when))
        return list(found.values())

    def _asked(self, unit: str, declaration: Declaration, is_overloaded: bool) -> Iterator[Symbol]:
        """What `unit` uses of a declaration: the specialisations it names; nothing where no call fits an overload."""
        symbol = declaration.symbol
        code, document = plain_code(self.document(unit)), self.document(unit)
        if symbol.kind is SymbolKind.TEMPLATE:
            used = set(_arguments_of(code, symbol.bare))
            for arguments in sorted(used) or [""]:
                yield symbol._replace(kind=SymbolKind.SPECIALISATION, arguments=arguments, types=None)
            return
        if is_overloaded and symbol.types is not None and symbol.kind is SymbolKind.FUNCTION:
            counts = set(_counts_of_calls(document, symbol.bare))
            most = len(symbol.types)
            if (
                counts
                and None not in counts
                and not any(count is not None and most - declaration.defaults <= count <= most for count in counts)
            ):
                return
        yield symbol

    def reached(self, unit: str, abi: Abi = Abi.UNKNOWN) -> frozenset[bytes]:
        """The words of `unit` less those of its declarations, and of what it uses in the files that it includes."""
        if (unit, abi) not in self._words:
            self._words[unit, abi] = self._reach(unit, abi)
        return self._words[unit, abi]

    def _reach(self, unit: str, abi: Abi) -> frozenset[bytes]:
        own = self.document(unit)
        words: set[bytes] = set()
        for piece in read_symbols(own).pieces:
            words |= words_of(own.code[piece.span.start : piece.span.end])
        waiting: dict[bytes, list[tuple[Document, int, int]]] = {}
        for path in self.program.closure(unit, abi):
            if path == unit:
                continue
            document = self.document(path)
            for piece in read_symbols(document).pieces:
                if not piece.name:
                    words |= words_of(document.code[piece.span.start : piece.span.end])
                else:
                    waiting.setdefault(piece.name.encode(), []).append((document, piece.span.start, piece.span.end))
        fresh = set(words)
        while fresh:
            more: set[bytes] = set()
            for name in fresh & waiting.keys():
                for document, start, end in waiting.pop(name):
                    more |= words_of(document.code[start:end])
            fresh = more - words
            words |= fresh
        return frozenset(words)


def linker_of(program: Program) -> Linker:
    """The symbols of `program`, read once for everybody who asks with the same folders to look for headers in."""
    return program.snapshot.once((Linker, program.roots), lambda: Linker(program))


def matches(asked: Symbol, defined: Symbol) -> bool:
    """Whether a linker resolves `asked`, as it is declared, by `defined`."""
    if not _same_name(asked.name, defined.name):
        return False
    if SymbolKind.VARIABLE in (asked.kind, defined.kind):
        return asked.kind is defined.kind
    if asked.kind is SymbolKind.SPECIALISATION:
        known = bool(asked.arguments and defined.arguments)
        return defined.kind is SymbolKind.SPECIALISATION and (not known or asked.arguments == defined.arguments)
    if defined.kind in (SymbolKind.SPECIALISATION, SymbolKind.TEMPLATE, SymbolKind.INIT):
        return False
    return _types_agree(asked, defined)


def _satisfies(asked: Symbol, defined: Symbol) -> bool:
    """Whether a definition that the unit sees serves a declaration."""
    if asked.kind is SymbolKind.TEMPLATE:
        return defined.kind is SymbolKind.TEMPLATE and _same_name(asked.name, defined.name)
    return matches(asked, defined)


def _same_name(one: str, other: str) -> bool:
    return one == other or one.endswith(f"::{other}") or other.endswith(f"::{one}")


def _types_agree(asked: Symbol, defined: Symbol) -> bool:
    if asked.is_c or defined.is_c or asked.types is None or defined.types is None:
        return True
    return len(asked.types) == len(defined.types) and not _differ_in_abi(asked.types, defined.types)


def _differ_in_abi(one: Iterable[str], other: Iterable[str]) -> bool:
    """Whether a tensor is torch's on one side and the stable ABI's on the other: two names to a linker."""
    first, second = " ".join(one), " ".join(other)
    return any(
        _LEGACY_TENSOR.search(a) and _STABLE_TENSOR.search(b) and not _LEGACY_TENSOR.search(b)
        for a, b in ((first, second), (second, first))
    )


def _arguments_of(code: bytes, name: str) -> Iterator[str]:
    """The template arguments that `name` is used with, as written and without blanks."""
    for match in re.finditer(rb"\b" + re.escape(name.encode()) + rb"\s*(?=<)", code):
        close = closing_angle(code, match.end())
        if close > 0:
            yield _SPACES.sub(b"", code[match.end() : close + 1]).decode("utf-8", "replace")


def _counts_of_calls(document: Document, name: str) -> Iterator[int | None]:
    """How many arguments each call of `name` has; None for a use that is no call."""
    code, pairs = plain_code(document), partners(document)
    for match in re.finditer(rb"\b" + re.escape(name.encode()) + rb"\b\s*(\()?", code):
        closing = pairs.get(match.end() - 1) if match[1] else None
        yield len(split_spans(code, match.end(), closing)) if closing is not None else None
