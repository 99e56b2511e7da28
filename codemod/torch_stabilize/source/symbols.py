"""The linker symbols of one file, read from its tokens: what it defines, what it declares, and what a macro may make.

Everything at namespace scope counts, and the members of classes: functions, explicit specialisations with their
arguments, variables, the entry point of a Python module. A macro that is used at namespace scope is kept as a
`MacroUse`; `macros.py` reads what it expands to. Code that cannot be read as one of these is left out, never guessed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from torch_stabilize.model import Span
from torch_stabilize.source.brackets import closing_angle, partners, plain_code, split_spans
from torch_stabilize.source.conditions import conditions_at
from torch_stabilize.source.document import Document, per_document
from torch_stabilize.source.signatures import (
    NOT_A_NAME,
    TYPE_BODY,
    Function,
    Item,
    behind_template,
    function_of,
    parameter_list,
    read_items,
    skip_blanks,
)

_USE = re.compile(rb"\s*(?P<name>[A-Za-z_]\w*)\s*(?=\()")
_SPACES = re.compile(rb"\s+")
_LABEL = re.compile(rb"\s*(?:(?:public|private|protected)(?:\s+\w+)?\s*:(?!:)\s*)+")
_CLASS_NAME = re.compile(
    rb"\b(?:class|struct|union)\b(?:\s*\[\[.*?\]\]|\s*__attribute__\s*\(\(.*?\)\)|\s*alignas\s*\([^()]*\)"
    rb"|\s+[A-Z][A-Z0-9_]{2,}(?=\s+\w))*\s*(?P<name>[A-Za-z_][\w:]*)",
    re.DOTALL,
)
_INIT = re.compile(rb"\bPyInit_\w+(?=\s*\()")
_MEMBER = re.compile(
    rb"(?:(?:inline|explicit|constexpr|__host__|__device__|virtual)\s+)*(?P<scope>(?:[A-Za-z_]\w*\s*(?:<[^<>;]*>\s*)?::\s*)+)"
    rb"(?P<name>~?\s*[A-Za-z_]\w*|operator\s*[^\s(]*)\s*(?=\()"
)
_NO_VARIABLE = re.compile(
    rb"(?:using|typedef|friend|template|namespace|static_assert|return|enum|asm|goto|case|delete|throw|extern\s*\"\s*\"\s*\{)\b"
)
_VARIABLE = re.compile(
    rb"(?P<type>[A-Za-z_:][^;={(]*?[\s*&>\])])(?P<name>(?:[A-Za-z_]\w*\s*::\s*)*[A-Za-z_]\w*)\s*(?P<array>(?:\[[^\]]*\]\s*)*)$",
    re.DOTALL,
)
_ALIAS = re.compile(rb"(?:using\s+(?P<name>[A-Za-z_]\w*)\s*=|typedef\b.*?\b(?P<typedef>[A-Za-z_]\w*)\s*$)", re.DOTALL)
_EXTERN_TEMPLATE = re.compile(rb"extern\s+template\b")
_OPERATOR = re.compile(rb"\boperator\b")
_STATIC_MEMBER = re.compile(rb"static\b(?!.*\b(?:constexpr|inline)\b)[^=]*$", re.DOTALL)
_CONSTANT = re.compile(rb"\bconstexpr\b|\bconst\b(?![^*]*\*)|\*\s*const\b")
_ON_DEVICE = re.compile(rb"\b__(?:device|constant|shared|managed)__\b")
_TYPE_ONLY = frozenset(b"class struct union enum typename const volatile static extern inline constexpr".split())


class SymbolKind(str, Enum):
    """What a linker symbol is."""

    FUNCTION = "function"
    TEMPLATE = "template"
    SPECIALISATION = "specialisation"
    METHOD = "method"
    VARIABLE = "variable"
    INIT = "init"  # the entry point that Python calls


class Linkage(str, Enum):
    """Who can link against a definition."""

    EXTERNAL = "external"
    LOCAL = "local"  # static, or in a namespace without a name
    INLINE = "inline"  # every unit that sees it has one of its own
    DEVICE = "device"  # called by kernels only


class Symbol(NamedTuple):
    """A name that a linker matches. `types` are parameter types without blanks, None where they are not known."""

    name: str  # qualified: "ns::f", "ns::C::f"
    kind: SymbolKind
    types: tuple[str, ...] | None = None
    arguments: str = ""  # of a specialisation, without blanks: "<float,64>"
    is_c: bool = False

    @property
    def bare(self) -> str:
        """The name without namespaces and classes."""
        return self.name.rpartition("::")[2]

    def __str__(self) -> str:
        return self.name + self.arguments.replace(",", ", ")


class Definition(NamedTuple):
    """A symbol with a body, or an object with storage. `via` is the macro that made it."""

    symbol: Symbol
    path: str
    span: Span
    linkage: Linkage
    when: tuple[str, ...] = ()
    via: str = ""


class Declaration(NamedTuple):
    """A symbol that is announced. `defaults` counts the parameters that may be left out."""

    symbol: Symbol
    path: str
    span: Span
    linkage: Linkage
    when: tuple[str, ...] = ()
    via: str = ""
    defaults: int = 0


class MacroUse(NamedTuple):
    """A name with arguments where a declaration may stand. `body` are the braces behind it, if there are some."""

    name: str
    arguments: tuple[str, ...]
    path: str
    span: Span
    namespace: tuple[str, ...]
    body: Span | None = None
    is_c: bool = False


class Piece(NamedTuple):
    """Code that counts once `name` is used, or always where that is "": a body, a class, an initialiser."""

    name: str
    span: Span


@dataclass(frozen=True)
class Symbols:
    """What one file holds for the linker."""

    definitions: tuple[Definition, ...] = ()
    declarations: tuple[Declaration, ...] = ()
    uses: tuple[MacroUse, ...] = ()
    pieces: tuple[Piece, ...] = ()


@dataclass
class _Reader:
    document: Document
    code: bytes
    definitions: list[Definition] = field(default_factory=list)
    declarations: list[Declaration] = field(default_factory=list)
    uses: list[MacroUse] = field(default_factory=list)
    pieces: list[Piece] = field(default_factory=list)

    def define(self, symbol: Symbol, span: Span, linkage: Linkage) -> None:
        when = conditions_at(self.document, span.start)
        self.definitions.append(Definition(symbol, self.document.path, span, linkage, when))

    def declare(self, symbol: Symbol, span: Span, linkage: Linkage, defaults: int = 0) -> None:
        when = conditions_at(self.document, span.start)
        self.declarations.append(Declaration(symbol, self.document.path, span, linkage, when, "", defaults))

    def piece(self, name: str, item: Item) -> None:
        end = item.end if item.close is None else item.close + 1
        self.pieces.append(Piece(name, Span(item.begin, end)))

    def read(self, item: Item) -> None:
        """Add what `item` is."""
        begin = self._behind_uses(item)
        if begin is None:
            return
        item = item._replace(begin=begin)
        template = behind_template(self.code, begin, item.end)
        if template is None or _EXTERN_TEMPLATE.match(self.code, begin, item.end):
            self._instantiation(item)
            return
        head = self.code[template : item.end]
        if init := _INIT.search(head):
            name = init.group().decode()
            self.define(Symbol(name, SymbolKind.INIT, is_c=True), Span(begin, item.end), Linkage.EXTERNAL)
            self.piece("", item)
        elif item.close is not None and TYPE_BODY.match(head) and not head.rstrip().endswith(b")"):
            self._class(item, head, is_template=template > begin)
        elif function := function_of(self.document, self.code, begin, item.end, item.close, item.namespace):
            self._function(item, function, template)
        elif member := _MEMBER.match(head):
            self._member(item, member, is_template=template > begin)
        else:
            self._variable(item, template)

    def _behind_uses(self, item: Item) -> int | None:
        """Behind the macros that are used at the beginning of `item`; None where nothing else is in it."""
        pairs = partners(self.document)
        place = skip_blanks(self.code, item.begin, item.end)
        while place < item.end and (match := _USE.match(self.code, place, item.end)):
            closing = pairs.get(match.end())
            name = match.group("name")
            if closing is None or closing >= item.end or name in NOT_A_NAME:
                break
            behind = skip_blanks(self.code, closing + 1, item.end)
            body = Span(item.end, item.close + 1) if item.close is not None and behind >= item.end else None
            parts = split_spans(self.code, match.end() + 1, closing)
            arguments = tuple(self.document.text(Span(*part)).decode("utf-8", "replace") for part in parts)
            end = body.end if body is not None else closing + 1
            self.uses.append(
                MacroUse(
                    name.decode(), arguments, self.document.path, Span(place, end), item.namespace, body, item.is_c
                )
            )
            self.pieces.append(Piece("", Span(place, end)))
            place = behind
        return place if place < item.end else None

    def _instantiation(self, item: Item) -> None:
        """`template void f<int>(int);`, `extern template class C<int>;`."""
        head = self.code[item.begin : item.end]
        opening = re.match(rb"(?P<extern>extern\s+)?template\s+", head)
        if opening is None:
            return
        begin = item.begin + opening.end()
        symbol: Symbol | None = None
        if named := re.match(rb"(?:class|struct)\s+(?P<name>[\w:]+)\s*(?=<)", self.code[begin : item.end]):
            arguments = self._arguments(begin + named.end(), item.end)
            symbol = Symbol(_qualified(item, named.group("name").decode()), SymbolKind.SPECIALISATION, None, arguments)
        elif function := function_of(self.document, self.code, begin, item.end, None, item.namespace):
            arguments = self._arguments_of(begin, item.end)
            symbol = Symbol(function.qualified, SymbolKind.SPECIALISATION, function.parameter_types, arguments)
        if symbol is not None and opening["extern"]:
            self.declare(symbol, Span(item.begin, item.end), Linkage.EXTERNAL)
        elif symbol is not None:
            self.define(symbol, Span(item.begin, item.end), Linkage.EXTERNAL)

    def _arguments_of(self, begin: int, end: int) -> str:
        """The template arguments between the name of a function and its parameters."""
        found = parameter_list(self.document, self.code, begin, end)
        if found is None:
            return ""
        angle = self.code.find(b"<", found[0], found[2])
        return self._arguments(angle, found[2]) if angle >= 0 else ""

    def _arguments(self, angle: int, end: int) -> str:
        close = closing_angle(self.code, angle, end)
        return _SPACES.sub(b"", self.code[angle : close + 1]).decode("utf-8", "replace") if close > 0 else ""

    def _class(self, item: Item, head: bytes, *, is_template: bool) -> None:
        match = _CLASS_NAME.search(head)
        name = match.group("name").decode() if match else ""
        self.piece(name.rpartition("::")[2], item)
        if item.close is None or not name or is_template or b"enum" in head.split(b"{")[0].split():
            return
        for member in read_items(self.document, self.code, item.end + 1, item.close, (*item.namespace, name)):
            label = _LABEL.match(self.code, member.begin, member.end)
            self._declared_member(member._replace(begin=label.end() if label else member.begin), name)

    def _declared_member(self, item: Item, owner: str) -> None:
        """A member that is declared in its class and may be defined elsewhere."""
        if item.close is not None:
            return
        begin = skip_blanks(self.code, item.begin, item.end)
        if behind_template(self.code, begin, item.end) != begin:
            return
        head, span = self.code[begin : item.end], Span(begin, item.end)
        short = owner.rpartition("::")[2]
        linkage = Linkage.LOCAL if "" in item.namespace else Linkage.EXTERNAL
        constructor = re.match(
            rb"(?:(?:explicit|constexpr|virtual)\s+)*(~?\s*" + short.encode() + rb")\s*\([^=]*$", head
        )
        if constructor:
            name = _SPACES.sub(b"", constructor[1]).decode("utf-8", "replace")
            self.declare(Symbol(_qualified(item, name), SymbolKind.METHOD), span, linkage)
        elif function := function_of(self.document, self.code, begin, item.end, None, item.namespace):
            kind = Linkage.DEVICE if function.is_device else linkage
            symbol = Symbol(function.qualified, SymbolKind.METHOD, function.parameter_types)
            self.declare(symbol, span, kind, _defaults(function))
        elif _STATIC_MEMBER.match(head) and (variable := _VARIABLE.match(head.strip())):
            name = variable.group("name").decode()
            self.declare(Symbol(_qualified(item, name), SymbolKind.VARIABLE), span, linkage)

    def _function(self, item: Item, function: Function, template: int) -> None:
        is_specialised = bool(re.fullmatch(r"template\s*<\s*>", function.template))
        is_template = bool(function.template) and not is_specialised
        kind = SymbolKind.TEMPLATE if is_template else SymbolKind.FUNCTION
        arguments = ""
        if is_specialised:
            kind, arguments = SymbolKind.SPECIALISATION, self._arguments_of(template, item.end)
        elif function.written_scope and function.is_definition:
            kind = SymbolKind.METHOD if not is_template else SymbolKind.TEMPLATE
        head = self.code[template : function.head.end]
        is_c = item.is_c or bool(re.match(rb'extern\s*"', head))
        symbol = Symbol(function.qualified, kind, function.parameter_types, arguments, is_c)
        inline = is_template or re.search(rb"\b(?:inline|constexpr|consteval|__forceinline__|__inline__)\b", head)
        linkage = Linkage.INLINE if inline else Linkage.EXTERNAL
        is_device = function.is_device and b"__global__" not in head  # a kernel has a stub that other units can launch
        linkage = Linkage.DEVICE if is_device else Linkage.LOCAL if function.is_local else linkage
        if function.is_definition:
            self.define(symbol, function.head, linkage)
            self.piece(function.name, item)
        else:
            self.declare(symbol, function.head, linkage, _defaults(function))

    def _member(self, item: Item, member: re.Match[bytes], *, is_template: bool) -> None:
        """A constructor, a destructor or an operator, defined outside of its class."""
        scope = (
            _SPACES.sub(b"", re.sub(rb"<[^<>]*>", b"", member.group("scope"))).decode("utf-8", "replace").rstrip(":")
        )
        name = _SPACES.sub(b"", member.group("name")).decode("utf-8", "replace")
        self.piece(scope.rpartition("::")[2], item)
        if item.close is not None and not is_template:
            symbol = Symbol(_qualified(item, f"{scope}::{name}"), SymbolKind.METHOD)
            self.define(symbol, Span(item.begin, item.end), Linkage.EXTERNAL)

    def _variable(self, item: Item, template: int) -> None:
        head = self.code[template : item.end]
        if alias := _ALIAS.match(head):
            self.piece((alias["name"] or alias["typedef"]).decode("utf-8", "replace"), item)
            return
        if template > item.begin or _NO_VARIABLE.match(head) or _OPERATOR.search(head):
            self.piece("", item)
            return
        declared, _, rest = head.partition(b"=")
        match = _VARIABLE.match(declared.strip())
        if match is None or not set(match.group("type").split()) - _TYPE_ONLY:
            self.piece("", item)
            return
        name = _SPACES.sub(b"", match.group("name")).decode("utf-8", "replace")
        words = match.group("type").split()
        is_c = item.is_c or bool(re.match(rb'extern\s*"', head))
        symbol = Symbol(_qualified(item, name), SymbolKind.VARIABLE, is_c=is_c)
        span, has_value = Span(item.begin, item.end), bool(rest) or item.close is not None
        linkage = Linkage.EXTERNAL
        if _ON_DEVICE.search(head):
            linkage = Linkage.DEVICE
        elif (
            b"static" in words
            or "" in item.namespace
            or (b"extern" not in words and _CONSTANT.search(match.group("type")))
        ):
            linkage = Linkage.LOCAL
        elif b"inline" in words:
            linkage = Linkage.INLINE
        if b"extern" in words and not has_value:
            self.declare(symbol, span, linkage)
        else:
            self.define(symbol, span, linkage)
            # An object with a constructor does its work whether or not anybody names it.
            self.piece("", item)


def _qualified(item: Item, name: str) -> str:
    return "::".join((*filter(None, item.namespace), name))


def _defaults(function: Function) -> int:
    return sum(bool(parameter.default) for parameter in function.parameters)


@per_document
def read_symbols(document: Document) -> Symbols:
    """The symbols of `document`, in file order. A tree of many files is read once: what is read is kept."""
    reader = _Reader(document, plain_code(document))
    for item in _items(document):
        reader.read(item)
    macros = (Piece(macro.name, macro.body) for macro in document.macros)
    return Symbols(tuple(reader.definitions), tuple(reader.declarations), tuple(reader.uses), (*reader.pieces, *macros))


def _items(document: Document) -> Iterator[Item]:
    code = plain_code(document)
    return read_items(document, code, 0, len(code), ())
