"""All registrations of a repository, read once, and the operators they add up to."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Set
from dataclasses import dataclass, field
from functools import cached_property

from torch_stabilize.bindings.reading.model import Bindings, BlockKind, Operator, Side, Statement, StatementKind
from torch_stabilize.bindings.reading.names import EXTENSION_NAME
from torch_stabilize.bindings.reading.namespaces import python_namespace
from torch_stabilize.bindings.reading.python_operators import python_operators
from torch_stabilize.bindings.reading.read import has_bindings, read_bindings
from torch_stabilize.layout.read import libraries_of
from torch_stabilize.repository.includes import IncludeGraph
from torch_stabilize.repository.layout import Layout
from torch_stabilize.repository.snapshot import Snapshot
from torch_stabilize.repository.stable_target import NAMESPACE_MACRO, STABLE_SUFFIX
from torch_stabilize.repository.unstable import holds_unstable_names
from torch_stabilize.source.document import SOURCE_SUFFIXES, Document


@dataclass(frozen=True)
class Registry:
    """The registrations of every source file below the layout's source root.

    `definitions` are macros of the legacy build. `TORCH_EXTENSION_NAME` is set for each file to the library that the
    file is compiled into.
    """

    snapshot: Snapshot
    layout: Layout
    definitions: Mapping[str, str] = field(default_factory=dict)

    def document(self, path: str) -> Document:
        """The file at `path`, parsed once."""
        return self.snapshot.document(path)

    @cached_property
    def sources(self) -> tuple[str, ...]:
        """Every C++ and CUDA file below the source root, the stable one included."""
        layout = self.layout
        found = set(self.snapshot.below(layout.source_root, SOURCE_SUFFIXES))
        found |= set(self.snapshot.below(layout.stable_root, SOURCE_SUFFIXES)) if layout.stable_root else set()
        known = (*layout.legacy_bindings, *layout.other_builds, layout.stable_bindings)
        return tuple(sorted(found | {path for path in known if self.snapshot.exists(path)}))

    @cached_property
    def graph(self) -> IncludeGraph:
        """Who includes whom; each file is read for it once."""
        return IncludeGraph(self.snapshot, self.sources, self.layout.include_roots)

    @cached_property
    def bindings(self) -> Mapping[str, Bindings]:
        """What each file registers; files without registrations are left out."""
        paths = [path for path in self.sources if has_bindings(self.snapshot.read(path))]
        homes = {path: library.name for library in self.layout.libraries for path in library.bindings}
        homes = {path: self._built_into(path) or name for path, name in homes.items()}
        found = {
            path: self._read(path, homes.get(path) or self._built_into(path) or self.layout.legacy_library)
            for path in paths
        }
        owners: dict[str, set[str]] = {}
        for path, library in homes.items():
            for statement in found[path].statements if path in found else ():
                owners.setdefault(statement.full_name, set()).add(library)
        for path in paths:
            if path in homes or self.layout.is_stable(path):
                continue
            if (owner := self.layout.library_of(path)) is not None:
                found[path] = self._read(path, owner.name)
                continue
            candidates = [owners[s.full_name] for s in found[path].statements if s.full_name in owners]
            if candidates and self.layout.legacy_library not in (common := set.intersection(*candidates)) and common:
                found[path] = self._read(path, min(common))
        return self._with_namespaces({path: bindings for path, bindings in found.items() if bindings.blocks})

    def _built_into(self, path: str) -> str:
        """The library that a file is built into, "" where there are several or none is known."""
        owners = {name.rpartition(".")[2] for _, name in libraries_of(self.snapshot, (path,))}
        return owners.pop() if len(owners) == 1 else ""

    def _with_namespaces(self, found: dict[str, Bindings]) -> dict[str, Bindings]:
        """`found`, with the functions of each Python module in the namespace that they get as operators."""
        functions: dict[str, set[str]] = {}
        taken: set[tuple[str, str]] = set()
        for statement in (s for bindings in found.values() for s in bindings.statements):
            if statement.kind is StatementKind.DEF and statement.block.kind is BlockKind.PYBIND:
                functions.setdefault(statement.namespace, set()).add(statement.name)
            elif statement.kind is StatementKind.DEF:
                taken.add((statement.namespace, statement.name))
        if functions:
            taken |= python_operators(self.snapshot, self.layout)
        chosen = {
            module: python_namespace(self.snapshot, self.layout, module, names, taken)
            for module, names in functions.items()
        }
        shared = {
            (chosen[module], name)
            for module, names in functions.items()
            for other, theirs in functions.items()
            if other != module and chosen[other] == chosen[module]
            for name in names & theirs
        }
        if shared:  # a function of two modules would be one operator
            chosen = {
                module: python_namespace(self.snapshot, self.layout, module, names, taken | shared)
                for module, names in functions.items()
            }

        def placed(statement: Statement) -> Statement:
            is_function = statement.kind is StatementKind.DEF and statement.block.kind is BlockKind.PYBIND
            return statement._replace(namespace=chosen[statement.namespace]) if is_function else statement

        return {path: one._replace(statements=tuple(map(placed, one.statements))) for path, one in found.items()}

    def _read(self, path: str, library: str) -> Bindings:
        own = {EXTENSION_NAME: library, NAMESPACE_MACRO: library.removesuffix(STABLE_SUFFIX)}
        found = read_bindings(self.document(path), own | dict(self.definitions))
        return found._replace(statements=tuple(map(self._with_tags, found.statements)))

    def _with_tags(self, statement: Statement) -> Statement:
        """`statement`, with tags in the place of its function where that is a variable that holds tags."""
        function = statement.function
        if statement.schema is None or function is None or not function.is_plain or "::" in function.name:
            return statement
        name = function.name.encode()
        variable = re.compile(rb"\bTag\b[^;(){}]*\b" + re.escape(name) + rb"\s*(?:\[\s*\]\s*)?[={(]")
        holders = (document for document in self._with_tag if name in document.words)
        if any(variable.search(document.code) for document in holders):
            return statement._replace(function=None, tags=function.text)
        return statement

    @cached_property
    def _with_tag(self) -> tuple[Document, ...]:
        """The sources that may make a variable of tags."""
        return tuple(self.document(path) for path in self.sources if b"Tag" in self.snapshot.read(path))

    @cached_property
    def statements(self) -> tuple[Statement, ...]:
        """Every statement: bindings files in the layout's order first, then the other files by path."""
        order = {path: place for place, path in enumerate(self.layout.legacy_bindings)}
        paths = sorted(self.bindings, key=lambda path: (order.get(path, len(order)), path))
        return tuple(statement for path in paths for statement in self.bindings[path].statements)

    def statements_about(self, words: Set[bytes]) -> tuple[Statement, ...]:
        """The statements whose functions have a name among `words`."""
        found = {place for word in self._by_word.keys() & words for place in self._by_word[word]}
        return tuple(self.statements[place] for place in sorted(found))

    @cached_property
    def _by_word(self) -> dict[bytes, list[int]]:
        """The places of the statements by the names of their functions."""
        found: dict[bytes, list[int]] = {}
        for place, statement in enumerate(self.statements):
            for name in statement.function_names:
                found.setdefault(name.rpartition("::")[2].encode(), []).append(place)
        return found

    @cached_property
    def neutral_declarations(self) -> frozenset[str]:
        """The declaring headers without a name of torch: both libraries include them as they are."""
        headers = (path for path in self.layout.legacy_declarations if self.snapshot.exists(path))
        return frozenset(path for path in headers if not holds_unstable_names(self.document(path)))

    def build_of(self, path: str) -> str:
        """A name for the build a file belongs to: "" for the main one, the path for an alternative one's bindings."""
        return path if path in self.layout.other_builds else ""

    @cached_property
    def operators(self) -> tuple[Operator, ...]:
        """The operators of each build, legacy and stable side apart, in the order of their first statement."""
        groups: dict[tuple[str, str, str, Side], list[Statement]] = {}
        for statement in self.statements:
            if statement.kind in (StatementKind.DEF, StatementKind.IMPL):
                key = (self.build_of(statement.path), statement.namespace, statement.full_name, statement.block.side)
                groups.setdefault(key, []).append(statement)
        found = []
        for (_, namespace, _, side), statements in groups.items():
            definitions = tuple(s for s in statements if s.kind is StatementKind.DEF)
            first = statements[0]
            functions = tuple(s for s in statements if s.registers_function)
            if definitions or functions:
                found.append(Operator(side, namespace, first.name, first.overload, definitions, functions))
        return tuple(found)

    def operators_about(self, files: Collection[str], words: Set[bytes]) -> tuple[Operator, ...]:
        """The operators that are registered in `files`, or for functions with a name among `words`."""
        keys = {("", word) for word in self._by_word.keys() & words} | {(path, b"") for path in files}
        found = {place for key in keys for place in self._operators_by.get(key, ())}
        return tuple(self.operators[place] for place in sorted(found))

    @cached_property
    def _operators_by(self) -> dict[tuple[str, bytes], list[int]]:
        """The places of the operators by the files they are registered in, and by the names of their functions."""
        found: dict[tuple[str, bytes], list[int]] = {}
        for place, operator in enumerate(self.operators):
            for statement in (*operator.definitions, *operator.implementations):
                found.setdefault((statement.path, b""), []).append(place)
                for name in statement.function_names:
                    found.setdefault(("", name.rpartition("::")[2].encode()), []).append(place)
        return found


def registry_of(snapshot: Snapshot, layout: Layout) -> Registry:
    """The registrations of a tree, read once for everybody who asks."""
    return snapshot.once((Registry, layout), lambda: Registry(snapshot, layout))
