"""What the text of declarations says of types: aliases, members of classes, tensors in code no grammar can follow."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from tree_sitter import Node

from torch_stabilize.source.aliases import made_short, read_aliases
from torch_stabilize.source.classes import ClassBody, Classes, Method
from torch_stabilize.source.document import HEADER_SUFFIXES, Document
from torch_stabilize.source.own_spaces import path_of
from torch_stabilize.source.types import HELD, SHARED_NAMES, UNKNOWN, CppType, held_by, parse_type

_MAKES_TENSOR_VISIBLE = re.compile(
    rb"\busing\s+(?:namespace\s+(?:torch|at|c10)\b|(?:torch|at|c10)::Tensor\b|Tensor\s*=)"
    rb"|\bnamespace\s+(?:torch|at|c10)\b(?!\s*=)|\btypedef\s+(?:torch|at|c10)::Tensor\s"
)
_FALLBACK = re.compile(
    rb"(?P<type>\b(?:const\s+)?(?:(?:torch|at|c10|std)::)+(?:stable::)?(?:optional\s*<[^;{}]*?>|Tensor))"
    rb"(?:\s+const)?\s*[&*]*\s*\b(?P<name>[A-Za-z_]\w*)\b"
)
# Other types than tensors, dtypes and devices, and what holds them, are of no interest to the rules.
_OF_INTEREST = frozenset(
    {"Tensor", "ScalarType", "Device", "IntArrayRef", "TensorOptions", "Variable", "variable_list"}
)
_BEYOND = re.compile(r"[{}=]|\bdecltype\b")  # values, and types of expressions
_WORD = re.compile(r"\w+")
_NAME = re.compile(r"(?:\b[A-Za-z_]\w*\s*::\s*)*\b(?P<name>[A-Za-z_]\w*)\b(?=(?:\s*\bconst\b|[\s&*])*$)")
_TYPE = re.compile(r"(?:const\s+)?[A-Za-z_][\w:]*(?:\s*<[\w:<>,\s*&]*>)?[\s*&]*")
_POINTER = rb"(?P<type>[A-Za-z_][\w:]*(?:<[^;{}()]*>)?[\s&*]*)\(\s*\*\s*%b\s*\)\s*\("
_OF_FUNCTION = re.compile(r"(?P<type>[^()]+)\(\s*\*?\s*\)\s*\(.*\)|(?P<bare>(?!.*<)[^()]+)\([^()]*\)")
_BASES = 6  # how far up bases are looked through


@dataclass
class WrittenTypes:
    """The types that a set of documents writes down. Results are kept; documents do not change."""

    documents: Sequence[Document]
    _tensors: dict[str, dict[str, list[tuple[int, str]]]] = field(default_factory=dict)

    def resolved(self, written: CppType) -> CppType:
        """A type behind the name that a `using T = at::Tensor;` gave it."""
        return _resolved(written, self._aliases)

    def parsed(self, text: str) -> CppType:
        """The type that `text` writes down: torch's, or a class of the project that has a name of torch's."""
        return self.own_class(text) or self.resolved(parse_type(text))

    def own_class(self, text: str, node: Node | None = None) -> CppType | None:
        """The class of the project that `text` names: `const own::Tensor&`, or as it is seen from `node`, `Tensor`."""
        named = _NAME.search(text.partition("<")[0])
        if named is None or named["name"] not in SHARED_NAMES:
            return None
        *spaces, name = (part.strip() for part in named.group().split("::"))
        if text[: named.start()].rstrip().endswith("::"):
            return None  # `::at::Tensor`
        for one in self.classes.named(name):
            around = path_of(one.body)[:-1]
            if _is_seen(around, tuple(spaces), node):
                return parse_type(text)._replace(name="::".join((*(around or ("",)), name)))
        return None

    def sees_tensor(self, document: Document) -> bool:
        """Whether `Tensor` without a namespace may be torch's: the file or a header says so."""
        return any(path == document.path or path.endswith(HEADER_SUFFIXES) for path in self._tensor_is_visible)

    def last_tensor(self, name: str, document: Document, before: int) -> CppType:
        """In code the grammar cannot follow: the last `Tensor NAME` that was written before the place."""
        if document.path not in self._tensors:
            table: dict[str, list[tuple[int, str]]] = {}
            for match in _FALLBACK.finditer(document.code):
                kind = match["type"].decode("utf-8", "replace")
                table.setdefault(match["name"].decode(), []).append((match.end(), kind))
            self._tensors[document.path] = table
        written = [text for end, text in self._tensors[document.path].get(name, ()) if end <= before]
        return parse_type(written[-1]) if written else UNKNOWN

    def pointed_function(self, name: str, document: Document, before: int) -> CppType:
        """What the function returns that a pointer `T (*name)(...)` before the place points to."""
        if b"*" + name.encode() + b")" not in document.code:
            return UNKNOWN
        pattern = _POINTER % re.escape(name.encode())
        found = [match["type"].decode("utf-8", "replace") for match in re.finditer(pattern, document.code[:before])]
        return self.resolved(parse_type(found[-1])) if found else UNKNOWN

    @cached_property
    def classes(self) -> Classes:
        """The classes that the documents define."""
        return Classes(self.documents)

    def member(self, owner: str, member: str) -> str:
        """The written type of a member of the class `owner`, empty if it is not known."""
        for one in self._with_bases(CppType(owner)):
            if found := one[0].members.get(member):
                return found.type_text
        return ""

    def member_of(self, owner: CppType, member: str) -> CppType:
        """The type of a member of an object, its class's template arguments put in and its bases looked through."""
        for one, given in self._with_bases(owner):
            if found := one.members.get(member):
                return self._within(owner, found.type_text, given)
        return UNKNOWN

    def methods_of(self, owner: CppType, name: str) -> list[tuple[Method, CppType]]:
        """The functions called `name` of an object's class or the bases of it, and what each gives back as written."""
        for one, given in self._with_bases(owner):
            if found := one.methods.get(name):
                return [(method, self._within(owner, method.returns, given)) for method in found]
        return []

    def _within(self, owner: CppType, text: str, given: Mapping[str, CppType]) -> CppType:
        """The type that `text` writes down in the class `owner`, where the class's own name means that class."""
        written = parse_type(text)
        if "::" in owner.name and written.name == owner.name.rpartition("::")[2]:
            return written._replace(name=owner.name)
        return substituted(self.parsed(text), given)

    def given_to(self, owner: CppType) -> Mapping[str, CppType]:
        """The template arguments of an object's class and of its bases, by the names of the parameters."""
        return {name: kind for _, given in self._with_bases(owner) for name, kind in given.items()}

    def _with_bases(self, owner: CppType, depth: int = 0) -> Iterator[tuple[ClassBody, Mapping[str, CppType]]]:
        """The definitions of a class and, behind them, those of its bases, with their template arguments."""
        for one in self.classes.named(owner.name):
            given = dict(zip(one.parameters, owner.arguments, strict=False))
            yield one, given
            for base in one.bases if depth < _BASES else ():
                yield from self._with_bases(substituted(self.resolved(base), given), depth + 1)

    def layout(self, owner: str) -> tuple[CppType, ...]:
        """The types of what an object of the class `owner` consists of; nothing if more than one class has the name."""
        found = self.classes.named(owner)
        return tuple(self.resolved(parse_type(text)) for text in found[0].layout) if len(found) == 1 else ()

    @cached_property
    def _aliases(self) -> Mapping[str, CppType]:
        """What the aliases stand for that lead, at once or by way of another, to a type of interest or to a class.

        A name that represents several types is none of them.
        """
        aliases = (alias for document in self.documents for alias in read_aliases(document))
        given = [(a.name, _without_parameters(a.type_text)) for a in aliases if not _BEYOND.search(a.type_text)]
        given += [alias for document in self.documents for alias in _defined(document)]
        known: dict[str, CppType] = {}
        left = given
        while True:
            names = _OF_INTEREST.union(known, self.classes.names)
            reached = [alias for alias in left if not names.isdisjoint(_WORD.findall(alias[1]))]
            if not reached:
                break
            left = [alias for alias in left if names.isdisjoint(_WORD.findall(alias[1]))]
            meant = {name: _resolved(parse_type(text), known) for name, text in reached if name not in text.split("::")}
            known |= {name: kind if kind.is_known else CppType(name) for name, kind in meant.items()}
        for name in {name for name, text in given if _differs(name, text, known)}:
            of_interest = any(_OF_INTEREST.intersection(_WORD.findall(text)) for n, text in given if n == name)
            known[name] = UNKNOWN if of_interest else CppType(name)
        return known | {name: kind for document in self.documents for name, kind in made_short(document)}

    @cached_property
    def computed_aliases(self) -> frozenset[str]:
        """The aliases that stand for the type of an expression."""
        aliases = (alias for document in self.documents for alias in read_aliases(document))
        return frozenset(alias.name for alias in aliases if "decltype" in alias.type_text)

    @cached_property
    def _tensor_is_visible(self) -> frozenset[str]:
        return frozenset(d.path for d in self.documents if _MAKES_TENSOR_VISIBLE.search(d.code))


_OF_TORCH = frozenset({"torch", "at", "c10", "caffe2"})


def _is_seen(around: tuple[str, ...], spaces: tuple[str, ...], node: Node | None) -> bool:
    """Whether a name behind `spaces` at `node` means one within the namespaces and classes `around`."""
    if spaces and spaces[0] not in _OF_TORCH:
        return around[len(around) - len(spaces) :] == spaces  # wherever a using-directive makes it visible
    depth = len(around) - len(spaces)
    return node is not None and depth >= 0 and around == (*path_of(node)[:depth], *spaces) and (depth > 0 or not spaces)


def _differs(name: str, text: str, known: Mapping[str, CppType]) -> bool:
    """Whether an alias represents something else than what another one of its name represents."""
    return name in known and known[name].name != name and _resolved(parse_type(text), known) != known[name]


def _resolved(written: CppType, aliases: Mapping[str, CppType]) -> CppType:
    meant = aliases.get(written.name)
    if meant is not None:
        if written.arguments and len(meant.arguments) == 1 and not meant.arguments[0].arguments:
            meant = meant._replace(arguments=written.arguments[:1])  # an alias template
        return meant._replace(
            pointers=meant.pointers + written.pointers,
            const=meant.const or written.const,
            reference=meant.reference or written.reference,
        )
    if written.name in HELD and len(written.arguments) == 1:  # `Tensors::value_type`
        owner = _resolved(written.arguments[0], aliases)
        held = held_by(owner, written.name) if owner != written.arguments[0] else UNKNOWN
        return (
            held._replace(pointers=held.pointers + written.pointers, const=written.const) if held.is_known else written
        )
    if written.arguments and aliases:
        return written._replace(arguments=tuple(_resolved(argument, aliases) for argument in written.arguments))
    return written


def _without_parameters(text: str) -> str:
    """A pointer to what a function returns, for the type of a function or of a pointer to one."""
    match = _OF_FUNCTION.fullmatch(text.strip())
    return f"{match['type'] or match['bare']}*" if match else text


def substituted(kind: CppType, given: Mapping[str, CppType]) -> CppType:
    """`kind` with template arguments in the place of parameters."""
    if kind.name in given and not kind.arguments:
        meant = given[kind.name]
        return meant._replace(pointers=meant.pointers + kind.pointers, const=meant.const or kind.const)
    if not kind.arguments or not given:
        return kind
    return kind._replace(arguments=tuple(substituted(argument, given) for argument in kind.arguments))


def _defined(document: Document) -> Iterator[tuple[str, str]]:
    """The macros that stand for a type: `#define T at::Tensor`."""
    for macro in document.macros:
        body = document.code[macro.body.start : macro.body.end].decode("utf-8", "replace").strip()
        if macro.params is None and _TYPE.fullmatch(body):
            yield macro.name, body
