"""Which registrations a group takes along: those of the functions that its units define."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Set
from typing import NamedTuple

from torch_stabilize.bindings import codes
from torch_stabilize.bindings.reading.model import Operator, Side, Statement, StatementKind
from torch_stabilize.bindings.reading.registry import Registry
from torch_stabilize.codes import Code
from torch_stabilize.layout.read import libraries_of
from torch_stabilize.model import Diagnostic, Severity, Span
from torch_stabilize.repository.layout import Group
from torch_stabilize.source.document import Document, per_document
from torch_stabilize.source.function_index import FunctionIndex
from torch_stabilize.source.signatures import Function, read_signatures

_MACRO_USE = re.compile(rb"^[A-Z][A-Z0-9_]*\s*\(([^;{}]*)\)", re.MULTILINE)
_NAME = re.compile(rb"\w+")


class Located(NamedTuple):
    """A function and the file it is in."""

    path: str
    function: Function


class Moved(NamedTuple):
    """A statement that becomes stable. `functions` are the definitions it may mean, in the units of the group.

    `in_place` says that it is in a unit and moves with it; the others go to the stable bindings file.
    """

    statement: Statement
    functions: tuple[Located, ...] = ()
    in_place: bool = False


class Selection(NamedTuple):
    """What moves, and what is to be said about it."""

    moved: tuple[Moved, ...]
    diagnostics: tuple[Diagnostic, ...] = ()

    @property
    def functions(self) -> tuple[Located, ...]:
        """The functions that are registered, each once."""
        found = {(f.path, f.function.span): f for moved in self.moved for f in moved.functions}
        return tuple(found.values())


def diagnostic(
    code: Code,
    path: str,
    span: Span,
    message: str,
    *,
    severity: Severity = Severity.WARNING,
    advice: str = "",
    subject: str = "",
) -> Diagnostic:
    """A diagnostic of this room at a place."""
    return Diagnostic(code.code, severity, path, span, message, advice, subject)


def select(registry: Registry, group: Group) -> Selection:
    """The statements of the legacy library that have to be stable once the units of `group` are."""
    files = (*group.units, *group.moving_headers)
    definitions = _index(registry, files)
    moved: dict[tuple[str, Span], Moved] = {}
    diagnostics: list[Diagnostic] = []
    homes = _homes(registry, files)
    documents = {path: registry.document(path) for path in files if registry.snapshot.exists(path)}
    words = frozenset[bytes]().union(*(document.words for document in documents.values()))
    for operator in registry.operators_about(files, words):
        if operator.side is Side.STABLE or _is_other_build(registry, operator):
            continue
        operator = _within(registry, operator, homes)
        named = [
            (s, _meant(registry, s, definitions) or _by_macro(registry, s, documents)) for s in operator.implementations
        ]
        ours = [
            (s, functions) for s, functions in named if s.path in files or (functions and not _has_its_own(registry, s))
        ]
        if not ours and not any(d.path in files for d in operator.definitions):
            continue
        for definition in operator.definitions:
            moved[definition.path, definition.span] = Moved(definition, (), definition.path in files)
        for statement, functions in ours:
            moved[statement.path, statement.span] = Moved(statement, functions, statement.path in files)
        own = {(s.path, s.span) for s, _ in ours}
        staying = [s for s in operator.implementations if (s.path, s.span) not in own]
        diagnostics += [_split(operator, s) for s in staying]
    diagnostics += _other_builds(registry, definitions, words, moved)
    order = {(s.path, s.span): place for place, s in enumerate(registry.statements)}
    return Selection(
        tuple(sorted(moved.values(), key=lambda m: order[m.statement.path, m.statement.span])), tuple(diagnostics)
    )


def _homes(registry: Registry, files: Iterable[str]) -> frozenset[tuple[str, str]]:
    """The libraries that `files` are built into: of several, the one that migrates, or all that do together."""
    homes = libraries_of(registry.snapshot, files)
    if registry.layout.is_whole:
        return homes
    migrating = registry.layout.legacy_library
    return frozenset(key for key in homes if key[1].rpartition(".")[2] == migrating) or homes


def _within(registry: Registry, operator: Operator, homes: frozenset[tuple[str, str]]) -> Operator:
    """`operator` less what other libraries than `homes` register under its name: their functions are their own."""

    def is_ours(statement: Statement) -> bool:
        theirs = libraries_of(registry.snapshot, (statement.path,))
        return not homes or not theirs or bool(theirs & homes)

    return operator._replace(
        definitions=tuple(filter(is_ours, operator.definitions)),
        implementations=tuple(filter(is_ours, operator.implementations)),
    )


def defined_functions(registry: Registry, files: Iterable[str]) -> list[Located]:
    """The host functions that `files` define."""
    return [
        Located(path, function)
        for path in files
        if registry.snapshot.exists(path)
        for function in read_signatures(registry.document(path))
        if function.is_definition and not function.is_device
    ]


def _index(registry: Registry, files: Iterable[str]) -> FunctionIndex:
    return FunctionIndex([registry.document(path) for path in files if registry.snapshot.exists(path)])


def _defined(functions: FunctionIndex, name: str) -> list[Located]:
    """The host functions called `name` that are defined."""
    found = functions.named(name)
    return [Located(document.path, f) for document, f in found if f.is_definition and not f.is_device]


def _has_its_own(registry: Registry, statement: Statement) -> bool:
    """Whether a unit that stays registers a function it defines itself, whatever others define under that name."""
    return (
        statement.function is not None
        and not statement.function.is_lambda
        and bool(_meant(registry, statement, _index(registry, (statement.path,))))
    )


def _meant(registry: Registry, statement: Statement, functions: FunctionIndex) -> tuple[Located, ...]:
    """The definitions that a statement's function may mean: of its own file first, else those other units can see."""
    found = [
        located
        for name in statement.function_names
        for located in _defined(functions, name.rpartition("::")[2])
        if located.function.answers_to(name) and not _hides(registry, statement.path, name, located.function)
    ]
    same_file = tuple(located for located in found if located.path == statement.path)
    return same_file or tuple(located for located in found if not located.function.is_local)


def _hides(registry: Registry, path: str, name: str, function: Function) -> bool:
    """Whether `name` means another function in `path` than `function`, whose namespace `name` leaves out.

    One that is declared there under that very name comes before what a namespace has.
    """
    whole = name.removeprefix("::")
    if function.qualified == whole or not registry.snapshot.exists(path):
        return False
    seen = (registry.document(one) for one in registry.graph.closure((path,)) if registry.snapshot.exists(one))
    word = whole.rpartition("::")[2].encode()
    return any(
        one.qualified == whole and not one.is_local and not one.is_device
        for document in seen
        if word in document.words
        for one in read_signatures(document)
    )


@per_document
def _handed_to_macros(document: Document) -> frozenset[bytes]:
    """The words in the arguments of macros that are used at the start of a line."""
    return frozenset(word for use in _MACRO_USE.finditer(document.code) for word in _NAME.findall(use.group(1)))


def _by_macro(registry: Registry, statement: Statement, documents: Mapping[str, Document]) -> tuple[Located, ...]:
    """A function that a macro of a unit defines: `DEFINE_ACTIVATION(relu, ...)`, declared in a header."""
    reference = statement.function
    if reference is None or not reference.is_plain or statement.path in documents:
        return ()
    bare = reference.name.rpartition("::")[2].encode()
    units = [path for path, document in documents.items() if bare in _handed_to_macros(document)]
    headers = [path for path in registry.layout.legacy_declarations if registry.snapshot.exists(path)]
    if len(units) != 1:
        return ()
    found = [f for path in headers for f in read_signatures(registry.document(path)) if f.answers_to(reference.name)]
    return tuple(Located(units[0], function) for function in found[:1])


def _is_other_build(registry: Registry, operator: Operator) -> bool:
    statements = (*operator.definitions, *operator.implementations)
    return bool(statements) and all(registry.build_of(s.path) for s in statements)


def _split(operator: Operator, statement: Statement) -> Diagnostic:
    key = statement.key or "every backend"
    return diagnostic(
        codes.SPLIT_OPERATOR,
        statement.path,
        statement.span,
        f"{operator.namespace}::{operator.full_name} is now defined in the stable library; its implementation for "
        f"{key} stays in the legacy one",
        severity=Severity.NOTE,
        advice="load both libraries, or migrate the unit of that implementation too",
    )


def _other_builds(
    registry: Registry, definitions: FunctionIndex, words: Set[bytes], moved: dict[tuple[str, Span], Moved]
) -> list[Diagnostic]:
    """Functions of the group that only an alternative build registers."""
    taken = {located.function.qualified for found in moved.values() for located in found.functions}
    found = []
    for statement in registry.statements_about(words):
        if not registry.build_of(statement.path) or statement.kind is StatementKind.OTHER:
            continue
        for located in _meant(registry, statement, definitions):
            if located.function.qualified in taken:
                continue
            name = located.function.name
            near = [path for path in registry.sources if _near(path, statement.path)]
            named = [path for path in near if name.encode() in registry.snapshot.read(path)]
            if not _defined(_index(registry, named), name):
                found.append(
                    diagnostic(
                        codes.OTHER_BUILD, statement.path, statement.span,
                        f"{statement.full_name} is registered for {located.function.qualified} by an alternative build",
                    )
                )  # fmt: skip
    return found


def _near(path: str, bindings: str) -> bool:
    folder = bindings.rpartition("/")[0]
    return bool(folder) and path.startswith(folder + "/")
