"""The translation units of an extension: which build each belongs to, and which have migrated."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from posixpath import dirname

from torch_stabilize.config import Config
from torch_stabilize.layout.read import is_built_stable, libraries_of
from torch_stabilize.program.hollow import is_hollow
from torch_stabilize.repository.includes import IncludeGraph
from torch_stabilize.repository.layout import Layout
from torch_stabilize.repository.registrations import Registrations, registrations_of
from torch_stabilize.repository.snapshot import Snapshot
from torch_stabilize.repository.sources import BESIDE_FOLDERS, include_graph
from torch_stabilize.repository.stable_target import STABLE_SUFFIX
from torch_stabilize.repository.unstable import holds_unstable_names, is_stable_text
from torch_stabilize.source.document import UNIT_SUFFIXES
from torch_stabilize.source.heads import defines
from torch_stabilize.source.signatures import read_signatures
from torch_stabilize.source.symbols import Linkage, read_symbols


@dataclass(frozen=True)
class Units:
    """What the questions about groups are asked of; answers are kept."""

    snapshot: Snapshot
    layout: Layout
    config: Config
    _unstable: dict[str, bool] = field(default_factory=dict, compare=False, repr=False)
    _hollow: dict[str, bool] = field(default_factory=dict, compare=False, repr=False)
    _users: dict[frozenset[str], frozenset[str]] = field(default_factory=dict, compare=False, repr=False)

    @cached_property
    def graph(self) -> IncludeGraph:
        """The include graph of the extension."""
        return include_graph(self.snapshot, self.layout, self.config)

    @cached_property
    def all(self) -> tuple[str, ...]:
        """Every translation unit, legacy and stable; a .cu that another file includes is not one."""
        return tuple(
            path for path in self.graph.files if path.endswith(UNIT_SUFFIXES) and not self.graph.includers(path)
        )

    @cached_property
    def _everyone(self) -> frozenset[str]:
        return frozenset(self.all)

    def users(self, header: str) -> frozenset[str]:
        """The units that include `header`, directly or through others; not `header` itself."""
        reaching = self.graph.reaching(header)
        if reaching not in self._users:
            self._users[reaching] = reaching & self._everyone
        found = self._users[reaching]
        return found - {header} if header in found else found

    @cached_property
    def legacy(self) -> tuple[str, ...]:
        """The units a migration may be asked for: below the source root, of the main build, not yet stable."""
        return tuple(path for path in self.all if self._is_ours(path) and not self._is_done(path))

    @cached_property
    def done(self) -> tuple[str, ...]:
        """The units of the main build that are on the stable ABI: they have migrated, or were written so."""
        bindings = {self.layout.stable_bindings, *(library.stable_bindings for library in self.layout.libraries)}
        ours = (path for path in self.all if path not in bindings and self._is_ours(self.layout.origin(path)))
        return tuple(path for path in ours if self._is_done(path))

    def _is_ours(self, path: str) -> bool:
        prefix = f"{self.layout.source_root}/" if self.layout.source_root else ""
        below = path.startswith(prefix) and not self.is_of_other_build(path)
        return below and not BESIDE_FOLDERS.intersection(path.removeprefix(prefix).split("/")[:-1])

    def _is_done(self, path: str) -> bool:
        return self.layout.is_stable(path) or self.is_finished(path) or is_built_stable(self.snapshot, path)

    def owners(self, path: str) -> frozenset[str]:
        """The legacy libraries that `path` is or was built into; none where no build file that was read names it."""
        legacy = {library.stable_name: library.name for library in self.layout.libraries if library.stable_name}
        found = set()
        for _, module in libraries_of(self.snapshot, (path,)):
            package, _, name = module.rpartition(".")
            found.add(f"{package}.{legacy.get(name, name.removesuffix(STABLE_SUFFIX))}".strip("."))
        return frozenset(found)

    @cached_property
    def bindings(self) -> dict[str, Registrations]:
        """The main build's registrations by file."""
        read = ((path, registrations_of(self.snapshot, path)) for path in self.layout.legacy_bindings)
        return {path: found for path, found in read if found is not None}

    @cached_property
    def included_by_bindings(self) -> tuple[tuple[str, frozenset[str]], ...]:
        """The files that those of `bindings` include, directly or through others, each with the units that do."""
        found = ((path, self.users(path)) for path in self.graph.closure(self.bindings))
        return tuple((path, users) for path, users in found if users)

    @cached_property
    def stable_bindings(self) -> tuple[Registrations, ...]:
        """The registrations of the stable libraries."""
        paths = dict.fromkeys((self.layout.stable_bindings, *(one.stable_bindings for one in self.layout.libraries)))
        read = (registrations_of(self.snapshot, path) for path in paths if path and self.snapshot.exists(path))
        return tuple(found for found in read if found is not None)

    def is_unstable(self, path: str) -> bool:
        """Whether the stable build would meet an unstable name in `path` itself."""
        if path not in self._unstable:
            self._unstable[path] = holds_unstable_names(self.snapshot.document(path))
        return self._unstable[path]

    def is_finished(self, path: str) -> bool:
        """Whether `path` is written for the stable ABI, wherever it is, without a name of torch's C++ API."""
        data = self.snapshot.read(path)
        return (b"torch::stable::" in data or is_stable_text(data)) and not self.is_unstable(path)

    def is_only_bindings(self, path: str) -> bool:
        """Whether `path` registers ops and implements none, or holds nothing any more.

        It stays, and its registrations move one by one.
        """
        found = self.bindings.get(path)
        if found is None:
            return self.is_hollow(path)
        if not found.defines or found.has_lambdas:
            return False
        return not defines(self.snapshot.document(path), found.functions)

    def has_nothing_but_bindings(self, path: str) -> bool:
        """Whether `path` registers ops and has no function of its own that could migrate."""
        if not self.is_only_bindings(path):
            return False
        return not any(f.is_definition and not f.is_device for f in read_signatures(self.snapshot.document(path)))

    def is_hollow(self, path: str) -> bool:
        """Whether `path` registers and defines nothing any more: there is nothing in it to migrate."""
        if path not in self._hollow:
            included = (file for file in self.graph.closure((path,)) if file != path)
            self._hollow[path] = is_hollow(self.snapshot.document(path)) and not any(
                one.linkage is Linkage.EXTERNAL
                for file in included
                if self.snapshot.exists(file)
                for one in read_symbols(self.snapshot.document(file)).definitions
            )
        return self._hollow[path]

    def is_of_other_build(self, path: str) -> bool:
        """Whether `path` belongs to an alternative build: its bindings, and what lies in a folder of their own."""
        return path in self.layout.other_builds or self.domain(path) in self._other_folders

    def domain(self, path: str) -> str:
        """The folder of the bindings nearest above `path`: units of different libraries never form one group."""
        folders = self._bindings_folders
        folder = dirname(self.layout.origin(path))
        while folder and folder not in folders:
            folder = dirname(folder)
        return folder

    @cached_property
    def _other_folders(self) -> frozenset[str]:
        """The folders of alternative builds; one that holds sources of the main build too says nothing."""
        layout = self.layout
        main = {dirname(path) for library in layout.libraries for path in library.bindings} | {layout.source_root}
        folders = {dirname(path) for path in layout.other_builds}
        return frozenset(f for f in folders if f and not any(m == f or m.startswith(f"{f}/") for m in main))

    @cached_property
    def _bindings_folders(self) -> frozenset[str]:
        main = (path for library in self.layout.libraries for path in library.bindings)
        return frozenset(dirname(path) for path in (*main, *self.layout.other_builds))
