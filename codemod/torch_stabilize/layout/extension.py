"""The extension a run is about: its units, the files that bind them to Python, and its folders."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from posixpath import dirname

from torch_stabilize.buildfiles.modules import BuildFiles, build_files
from torch_stabilize.config import Config
from torch_stabilize.repository.registrations import Registrations, registrations_of
from torch_stabilize.repository.snapshot import Snapshot
from torch_stabilize.repository.sources import BESIDE_FOLDERS, above, common_folder, join, project_of, source_files
from torch_stabilize.repository.unstable import holds_unstable_names
from torch_stabilize.source.document import HEADER_SUFFIXES, UNIT_SUFFIXES

STABLE_FOLDER = "libtorch_stable"


@dataclass(frozen=True)
class Extension:
    """Where an extension's sources and bindings are; every question is answered once, and what is configured wins."""

    snapshot: Snapshot
    config: Config
    alternative: str = ""  # bindings of an alternative build, which the run is about

    @cached_property
    def units(self) -> tuple[str, ...]:
        """Its C++ and CUDA units, by path."""
        return source_files(self.snapshot, self.config, UNIT_SUFFIXES)

    @cached_property
    def registrations(self) -> tuple[Registrations, ...]:
        """Every file with a registration block, of the extension the run is about, best candidate first."""
        found = [registrations_of(self.snapshot, path) for path in self.units]
        known = [file for file in found if file is not None]
        if self.alternative:
            folder = f"{build_folder(self.alternative)}/"
            inside = [file for file in known if file.path.startswith(folder)]
            alone = all(file.is_cpu_only for file in inside if file.ops)
            return tuple(sorted(inside if alone else [f for f in inside if f.path == self.alternative], key=self._rank))
        if self.snapshot.start:
            known = _nearest(known, self.snapshot.start, self._project_of) or known
        return tuple(sorted(known, key=self._rank))

    def _rank(self, file: Registrations) -> tuple[object, ...]:
        """Best first: outside of tests, defining, with an accelerator, of the outermost project, high up, large."""
        folders = file.path.split("/")[:-1]
        return (
            file.path not in self.config.legacy_bindings,
            bool(BESIDE_FOLDERS.intersection(folders)),
            not file.defines,
            file.is_cpu_only,
            self._project_of(file.path).count("/") + bool(self._project_of(file.path)),
            len(folders),
            -len(file.ops),
            file.path,
        )

    @cached_property
    def main(self) -> Registrations | None:
        """The main bindings file of the legacy build, or of the stable one where nothing legacy is left.

        Its project is that of the best candidate, stable ones included, so that it stays the same while files migrate.
        """
        if not self.registrations:
            return None
        project = self._project_of(self.registrations[0].path)
        own = [file for file in self.registrations if self._project_of(file.path) == project]
        legacy = [file for file in own if not file.stable and not self._is_other_build(file)]
        return [*legacy, *own][0]

    @cached_property
    def central(self) -> tuple[Registrations, ...]:
        """The bindings among the main file's sources, tests and examples left out."""
        if self.main is None:
            return ()
        beside = bool(BESIDE_FOLDERS.intersection(self.main.path.split("/")))
        prefix = f"{self.source_root}/" if self.source_root else ""
        return tuple(
            file
            for file in self.registrations
            if file.path.startswith(prefix)
            and self._project_of(file.path) == self.project_root
            and not (file.stable and self._is_of_stable_build(file.path))
            and bool(BESIDE_FOLDERS.intersection(file.path.split("/"))) <= beside
        )

    @cached_property
    def legacy(self) -> tuple[Registrations, ...]:
        """The bindings of the legacy build, without those of a build of its own for the CPU."""
        legacy = [file for file in self.central if not file.stable]
        if self.alternative:
            return tuple(legacy)
        if self.config.legacy_bindings:
            return tuple(file for file in legacy if file.path in self.config.legacy_bindings)
        return tuple(file for file in legacy if not self._is_other_build(file))

    def _is_of_stable_build(self, path: str) -> bool:
        """Whether stable bindings are in the stable folder of an alternative build, below the source root."""
        parts = path.split("/")
        if STABLE_FOLDER not in parts[:-1] or self.alternative:
            return False
        home = "/".join(parts[: parts.index(STABLE_FOLDER)])
        found = registrations_of(self.snapshot, path)
        return home.startswith(f"{self.source_root}/") and found is not None and found.is_cpu_only

    def _is_other_build(self, file: Registrations) -> bool:
        """A library of its own for the CPU that defines ops of another one: never loaded next to it."""
        if self.alternative or not (file.exclusive and file.is_cpu_only):
            return False
        home = f"{dirname(file.path)}/{STABLE_FOLDER}/"
        done = (one for one in self.registrations if one.path.startswith(home) and one.is_cpu_only)
        defined = file.defined.union(*(one.defined for one in done if dirname(file.path)))
        project = self._project_of(file.path)
        return any(
            defined & other.defined
            for other in self.registrations
            if not other.is_cpu_only and self._project_of(other.path) == project
        )

    # -- folders -------------------------------------------------------------------------------------------------

    def _project_of(self, path: str) -> str:
        return project_of(self.snapshot, path)

    @cached_property
    def build(self) -> BuildFiles:
        """The project's build files."""
        return build_files(self.snapshot, self.project_root)

    @cached_property
    def project_root(self) -> str:
        """The folder of the project that the main bindings belong to, "" for the top."""
        if self.main is not None:
            return self._project_of(self.main.path)
        return self._project_of(self.config.source_root + "/x" if self.config.source_root else self.units[0])

    @cached_property
    def source_root(self) -> str:
        """The highest folder below the project, on the way to the main bindings, that is no Python package."""
        if self.alternative:
            return build_folder(self.alternative)
        if self.config.source_root is not None:
            return self.config.source_root
        if self.main is None or self.main.stable:
            return self._folder_of_units()
        folder = dirname(self.main.path)
        while folder not in ("", self.project_root):
            parent = dirname(folder)
            if parent == self.project_root or parent == "" or self.snapshot.exists(join(parent, "__init__.py")):
                break
            folder = parent
        return common_folder([folder, *map(dirname, self._sources_of_main()), *self._folders_like(folder)])

    def _folders_like(self, folder: str) -> list[str]:
        """Folders of other modules' sources next to `folder`, one for each: ops/near/src is like ops/far/src."""
        parts = folder.split("/")
        named = {dirname(path) for path in self.units if any(module.owns(path) for module in self.build.naming(path))}
        alike = (other for other in sorted(named) if other.count("/") == folder.count("/"))
        return [other for other in alike if sum(a != b for a, b in zip(parts, other.split("/"), strict=True)) == 1]

    def _sources_of_main(self) -> list[str]:
        """The units that the main bindings' module names with their whole path: a project may keep them apart."""
        assert self.main is not None
        main = self.main.path
        module = max(self.build.modules, key=lambda module: module.names(main), default=None)
        if module is None or not module.names(main):
            return []
        return [path for path in self.units if module.owns(path)]

    def _folder_of_units(self) -> str:
        """Where no legacy bindings are: the deepest folder of all units of torch's C++ API and all stable ones."""
        own = [p for p in self.units if self.main is None or self._project_of(p) == self.project_root]
        units = [path for path in own if not BESIDE_FOLDERS.intersection(path.split("/"))] or list(self.units)
        torch_units = [
            path
            for path in units
            if STABLE_FOLDER in path.split("/")[:-1] or holds_unstable_names(self.snapshot.document(path))
        ]
        return common_folder([dirname(path).partition(STABLE_FOLDER)[0].rstrip("/") for path in torch_units or units])

    @cached_property
    def stable_root(self) -> str:
        """The folder that migrated files move to, there already or to be made."""
        if self.config.stable_root is not None and not self.alternative:
            return self.config.stable_root
        default = join(self.source_root, STABLE_FOLDER)
        first = next((file for file in self.central if file.stable), None)
        if first is None or self.snapshot.below(default):
            return default
        folder = dirname(first.path)
        # A project that migrates in place has both kinds side by side: then no folder says anything about a file.
        separate = all(file.path.startswith(f"{folder}/") is file.stable for file in self.central)
        return folder if folder and separate and folder != self.source_root else default

    @cached_property
    def include_roots(self) -> tuple[str, ...]:
        """The folders that includes are looked for in, in this order."""
        prefix = f"{self.project_root}/" if self.project_root else ""
        folders = {dirname(path) for path in source_files(self.snapshot, self.config, HEADER_SUFFIXES)}
        named = {
            folder[: match.end()]
            for folder in folders
            if folder.startswith(prefix) and (match := re.search(r"(?:^|/)include(?=/|$)", folder))
        }
        named |= self._named_by_build(folder for folder in folders if folder.startswith(prefix))
        outer = [f for f in above(self.source_root) if f.startswith(prefix) and f] if self.alternative else []
        own = [self.source_root, self.stable_root, *outer, self.project_root, ""]
        return tuple(dict.fromkeys([*own, *sorted(named)]))

    def _named_by_build(self, folders: Iterable[str]) -> set[str]:
        """Folders of headers whose path a build file spells out: include_dirs=["csrc/common"]."""
        files = [join(self.project_root, name) for name in ("setup.py", "CMakeLists.txt")]
        text = b"\n".join(self.snapshot.read(path) for path in files if self.snapshot.exists(path))
        found = set()
        for folder in folders:
            spelled = folder.removeprefix(f"{self.project_root}/") if self.project_root else folder
            if "/" not in spelled or spelled.encode() not in text:
                continue
            places = re.finditer(re.escape(spelled.encode()) + rb"/?[\"' )\n]", text)
            if any(text[place.start() - 1 : place.start()] in (b'"', b"'", b"/", b" ") for place in places):
                found.add(folder)
        return found

    def landing(self, path: str) -> str:
        """Where `path` moves to."""
        return join(self.stable_root, path.removeprefix(f"{self.source_root}/" if self.source_root else ""))


def build_folder(bindings: str) -> str:
    """The folder of an alternative build, by its bindings, which may be stable already."""
    folder = dirname(bindings)
    return dirname(folder) if folder.rpartition("/")[2] == STABLE_FOLDER else folder


def _nearest(files: Iterable[Registrations], start: str, project_of: Callable[[str], str]) -> list[Registrations]:
    """The files below `start`, else those of the project that `start` lies in."""
    known = list(files)
    below = [file for file in known if file.path.startswith(start + "/")]
    return below or [file for file in known if (start + "/").startswith(project_of(file.path) + "/")]
