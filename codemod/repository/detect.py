"""Find out what is where in a repository nobody configured; what is configured wins."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from posixpath import basename, dirname

from codemod.config import Config
from codemod.model import Refusal
from codemod.repository.includes import IncludeGraph
from codemod.repository.layout import Layout, Library
from codemod.repository.modules import TOOL_FOLDERS, BuildFiles, module_of
from codemod.repository.registrations import Registrations, declares, defines, registrations_of
from codemod.repository.snapshot import Snapshot
from codemod.repository.sources import (
    BESIDE_FOLDERS,
    above,
    common_folder,
    join,
    project_of,
    source_files,
)
from codemod.repository.unstable import holds_unstable_names
from codemod.source.document import HEADER_SUFFIXES, UNIT_SUFFIXES

STABLE_FOLDER = "libtorch_stable"
STABLE_SUFFIX = "_stable_libtorch"


def detect_layout(snapshot: Snapshot, config: Config) -> Layout:
    """Where the sources, bindings, declarations and build files of the extension are.

    Raises Refusal (exit 2) where the tree holds no C++ or CUDA source, or a configured path does not exist.
    """
    return _Detector(snapshot, config).layout()


@dataclass(frozen=True)
class _Detector:
    """One detection; every question is answered once."""

    snapshot: Snapshot
    config: Config

    def layout(self) -> Layout:
        self._check_configured()
        if not self.units:
            raise Refusal("no C++ or CUDA source in this repository", exit_code=2)
        return Layout(
            source_root=self.source_root,
            stable_root=self.stable_root,
            legacy_library=self.legacy_library,
            stable_library=self.stable_library,
            legacy_bindings=tuple(found.path for found in self.legacy),
            stable_bindings=self.stable_bindings,
            legacy_declarations=self._declared_by(file for file in self.legacy if file.defines),
            stable_declarations=self._stable_declarations(),
            stable_helpers=self.config.stable_helpers or self._stable_header(_asks_for_stream, "torch_utils.h"),
            stable_dispatch=self.config.stable_dispatch or self._stable_header(_defines_dispatch, "dispatch_utils.h"),
            cmake_files=tuple(sorted(self.build.cmake)),
            setup_files=tuple(sorted(self.build.setup)),
            python_roots=self.config.python_roots or self._python_roots(),
            project_root=self.project_root,
            include_roots=self.include_roots,
            libraries=self._libraries(),
            other_builds=tuple(found.path for found in self.central if found not in self.legacy and not found.stable),
        )

    def _check_configured(self) -> None:
        if self.config.source_root and not self.snapshot.below(self.config.source_root):
            folder = self.config.source_root
            raise Refusal(f"{self.config.source}: `source_root` names {folder}, which is not in the tree", exit_code=2)
        for path in self.config.legacy_bindings:
            if not self.snapshot.exists(path):
                raise Refusal(f"{self.config.source}: `legacy_bindings` names {path}, which is not there", exit_code=2)

    # -- sources and bindings ------------------------------------------------------------------------------------

    @cached_property
    def units(self) -> tuple[str, ...]:
        return source_files(self.snapshot, self.config, UNIT_SUFFIXES)

    @cached_property
    def registrations(self) -> tuple[Registrations, ...]:
        """Every file with a registration block, of the extension the run is about, best candidate first."""
        found = [registrations_of(self.snapshot, path) for path in self.units]
        known = [file for file in found if file is not None]
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
        """The main bindings file of the legacy build, or of the stable one where nothing legacy is left."""
        legacy = [file for file in self.registrations if not file.stable]
        return next(iter([*legacy, *self.registrations]), None)

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
            and bool(BESIDE_FOLDERS.intersection(file.path.split("/"))) <= beside
        )

    @cached_property
    def legacy(self) -> tuple[Registrations, ...]:
        legacy = [file for file in self.central if not file.stable]
        if self.config.legacy_bindings:
            return tuple(file for file in legacy if file.path in self.config.legacy_bindings)
        return tuple(file for file in legacy if not self._is_other_build(file))

    def _is_other_build(self, file: Registrations) -> bool:
        """A library of its own for the CPU that defines ops of another one: never loaded beside it."""
        if not (file.exclusive and file.is_cpu_only):
            return False
        return any(file.defined & other.defined for other in self.central if not other.is_cpu_only)

    # -- folders -------------------------------------------------------------------------------------------------

    def _project_of(self, path: str) -> str:
        return project_of(self.snapshot, path)

    @cached_property
    def build(self) -> BuildFiles:
        return BuildFiles(self.snapshot, self.project_root)

    @cached_property
    def project_root(self) -> str:
        if self.main is not None:
            return self._project_of(self.main.path)
        return self._project_of(self.config.source_root + "/x" if self.config.source_root else self.units[0])

    @cached_property
    def source_root(self) -> str:
        """The highest folder below the project, on the way to the main bindings, that is no Python package."""
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
        """Folders of other modules' sources beside `folder`, one for each: ops/near/src is like ops/far/src."""
        parts = folder.split("/")
        named = {dirname(path) for path in self.units if any(module.owns(path) for module in self.build.modules)}
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
        """Where there are no legacy bindings: the deepest folder that holds every unit of torch's C++ API."""
        units = [path for path in self.units if not BESIDE_FOLDERS.intersection(path.split("/"))] or list(self.units)
        torch_units = [path for path in units if holds_unstable_names(self.snapshot.document(path))] or units
        return common_folder([dirname(path).partition(STABLE_FOLDER)[0].rstrip("/") for path in torch_units])

    @cached_property
    def stable(self) -> Registrations | None:
        """The main library's bindings in the stable build, where there are any."""
        return self._stable_of(self.legacy_library, is_main=True)

    def _stable_of(self, library: str, *, is_main: bool) -> Registrations | None:
        """The first stable bindings whose module is called after `library`; the main one also takes other names."""
        others = {self._module_name(file) for file in self.legacy if file.defines} - {library}
        for file in (file for file in self.central if file.stable):
            name = self._module_name(file) or ""
            own_name = not name.endswith(STABLE_SUFFIX) and name not in others
            if name == library + STABLE_SUFFIX or (is_main and own_name):
                return file
        return None

    @cached_property
    def stable_root(self) -> str:
        if self.config.stable_root is not None:
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
        prefix = f"{self.project_root}/" if self.project_root else ""
        folders = {dirname(path) for path in source_files(self.snapshot, self.config, HEADER_SUFFIXES)}
        named = {
            folder[: match.end()]
            for folder in folders
            if folder.startswith(prefix) and (match := re.search(r"(?:^|/)include(?=/|$)", folder))
        }
        named |= self._named_by_build(folder for folder in folders if folder.startswith(prefix))
        return tuple(dict.fromkeys([self.source_root, self.stable_root, self.project_root, "", *sorted(named)]))

    def _named_by_build(self, folders: Iterable[str]) -> set[str]:
        """Folders of headers whose path a build file spells out: include_dirs=["csrc/common"]."""
        files = [join(self.project_root, name) for name in ("setup.py", "CMakeLists.txt")]
        text = b"\n".join(self.snapshot.read(path) for path in files if self.snapshot.exists(path))
        found = set()
        for folder in folders:
            spelled = folder.removeprefix(f"{self.project_root}/") if self.project_root else folder
            if "/" not in spelled or spelled.encode() not in text:
                continue
            if re.search(rb"[\"'/ ]" + re.escape(spelled.encode()) + rb"/?[\"' )\n]", text):
                found.add(folder)
        return found

    # -- libraries -----------------------------------------------------------------------------------------------

    def _module_name(self, file: Registrations) -> str | None:
        """The module `file` is built into: as the build files say, else as the file itself does."""
        if (named := module_of(file.path, self.build.modules)) is not None:
            return named
        libraries = (name for name in file.libraries if not (self.build.modules and self._is_package(name)))
        known = (name for name in (*file.modules, *libraries) if name.isidentifier())
        return next((name for name in known if name not in ("TORCH_EXTENSION_NAME", "NAME")), None)

    def _is_package(self, name: str) -> bool:
        """Whether `name` is the package itself, which no module that is built into it can be called by."""
        folders = (join(self.project_root, name), join(self.project_root, f"src/{name}"))
        return any(self.snapshot.exists(f"{folder}/__init__.py") for folder in folders)

    @cached_property
    def legacy_library(self) -> str:
        if self.config.legacy_library is not None:
            return self.config.legacy_library
        legacy = next((file for file in self.legacy if file.defines), None)
        if legacy is not None and (named := self._module_name(legacy)) is not None:
            return named
        names = [module.name for module in self.build.modules] + [self._module_name(f) or "" for f in self.central]
        known = (name.removesuffix(STABLE_SUFFIX) for name in names if name)
        return next((name for name in known if "stable" not in name), "_C")

    @cached_property
    def stable_library(self) -> str:
        if self.config.stable_library is not None:
            return self.config.stable_library
        # Nothing but a build file or an export tells a module's name from the namespace of its ops.
        found = self.stable
        if found and (named := module_of(found.path, self.build.modules) or next(iter(found.modules), None)):
            return named
        named_stable = [module.name for module in self.build.modules if "stable" in module.name]
        own = self.legacy_library + STABLE_SUFFIX
        return next((name for name in named_stable if name == own or not name.endswith(STABLE_SUFFIX)), own)

    def _libraries(self) -> tuple[Library, ...]:
        """Every legacy module with its bindings, sources and stable counterpart, the main one first."""
        bindings: dict[str, list[Registrations]] = {self.legacy_library: []}
        for file in self.legacy:
            if file.defines:
                bindings.setdefault(self._module_name(file) or self.legacy_library, []).append(file)
        several = len(bindings) > 1
        return tuple(self._library(name, files, several=several) for name, files in bindings.items())

    def _library(self, name: str, files: list[Registrations], *, several: bool) -> Library:
        modules = [module for module in self.build.modules if module.name == name]
        library = Library(
            name,
            tuple(file.path for file in files),
            # Whose a source is matters only where there are several to choose from.
            tuple(path for path in self.units if any(module.owns(path) for module in modules)) if several else (),
            self.stable_library,
            self.stable_bindings,
            self._stable_declarations(),
        )
        return library if name == self.legacy_library else self._other_library(library, files)

    def _other_library(self, library: Library, files: list[Registrations]) -> Library:
        """A library beside the main one: its stable bindings and declarations land where its legacy ones come from."""
        first = self._landing(files[0].path)
        if defines(self.snapshot.document(files[0].path), files[0].functions):
            # A file with kernels of its own moves to that very place and takes its registrations along.
            first = join(dirname(first), f"{library.name.strip('_')}_bindings.cpp")
        existing = self._stable_of(library.name, is_main=False)
        declarations = [self._landing(header) for header in self._declared_by(files)]
        return replace(
            library,
            stable_name=(self._module_name(existing) if existing else None) or library.name + STABLE_SUFFIX,
            stable_bindings=existing.path if existing and existing.defines else first,
            stable_declarations=declarations[0] if declarations else join(dirname(first), "ops.h"),
        )

    def _landing(self, path: str) -> str:
        return join(self.stable_root, path.removeprefix(f"{self.source_root}/" if self.source_root else ""))

    # -- bindings and headers ------------------------------------------------------------------------------------

    @cached_property
    def stable_bindings(self) -> str:
        if self.config.stable_bindings is not None:
            return self.config.stable_bindings
        found = self.stable
        if found is not None and found.defines and not defines(self.snapshot.document(found.path), found.functions):
            return found.path
        return join(self.stable_root, "torch_bindings.cpp")  # also where kernels register themselves so far

    def _declared_by(self, files: Iterable[Registrations]) -> tuple[str, ...]:
        """The headers that `files` include themselves and that declare functions they bind."""
        graph = IncludeGraph(self.snapshot, (), self.include_roots)
        found: list[str] = []
        for file in files:
            for header in graph.direct(file.path):
                if header not in found and declares(self.snapshot.document(header), file.functions):
                    found.append(header)
        return tuple(header for header in found if not header.startswith(self.stable_root + "/"))

    def _stable_declarations(self) -> str:
        if self.config.stable_declarations is not None:
            return self.config.stable_declarations
        if self.stable is not None and self.stable.defines:
            graph = IncludeGraph(self.snapshot, (), self.include_roots)
            for header in graph.direct(self.stable.path):
                inside = header.startswith(self.stable_root + "/")
                if inside and declares(self.snapshot.document(header), self.stable.functions):
                    return header
        return join(self.stable_root, "ops.h")

    def _stable_header(self, fits: Callable[[bytes], bool], default: str) -> str:
        """The highest header of the stable folder that `fits`, or where one is to be made."""
        headers = self.snapshot.below(self.stable_root, (*HEADER_SUFFIXES, ".cuh"))
        fitting = [path for path in headers if fits(self.snapshot.read(path))]
        return min(fitting, key=lambda path: (path.count("/"), path), default=join(self.stable_root, default))

    def _python_roots(self) -> tuple[str, ...]:
        """The top-level packages that name the extension; where none does, every package."""
        packages: set[str] = set()
        naming: set[str] = set()
        library = re.escape(self.legacy_library).encode()
        imports = re.compile(rb"\bimport\b[^\n]*\b" + library + rb"\b|[.\"']" + library + rb"\b")
        for path in self.build.files((".py",)):
            folder = self._package_root(path)
            if folder is None or folder in naming:
                continue
            if self.snapshot.exists(join(folder, "__init__.py")):
                packages.add(folder)
            if imports.search(self.snapshot.read(path)):
                naming.add(folder)
        return tuple(sorted(naming or packages)) or self._loose_modules()

    def _package_root(self, path: str) -> str | None:
        """The highest package above `path`: `src/` and its like are no packages."""
        folders = [folder for folder in reversed(above(path)) if folder.startswith(self.project_root)]
        below = [folder for folder in folders if folder != self.project_root]
        if not below or below[0] == self.source_root or basename(below[0]) in TOOL_FOLDERS:
            return None
        if basename(below[0]) in ("src", "python") and len(below) > 1:
            return below[1]
        return below[0]

    def _loose_modules(self) -> tuple[str, ...]:
        """A project without packages: its own folder, where modules beside setup.py import the extension."""
        for path in self.build.files((".py",)):
            if dirname(path) == self.project_root and path not in self.build.setup:
                return (self.project_root,)
        return ()


_STREAMS = (
    re.compile(rb"aoti_torch_get_current_cuda_stream(?<!\waoti_torch_get_current_cuda_stream)\b"),
    re.compile(rb"getCurrentStream(?<!\wgetCurrentStream)\b"),
)
_DISPATCH = re.compile(rb"^[ \t]*#[ \t]*define\b[^\n]*(?:\\\n[^\n]*)*\bTHO_DISPATCH_", re.MULTILINE)


def _asks_for_stream(data: bytes) -> bool:
    return any(pattern.search(data) for pattern in _STREAMS)


def _defines_dispatch(data: bytes) -> bool:
    return b"THO_DISPATCH_" in data and _DISPATCH.search(data) is not None


def _nearest(files: Iterable[Registrations], start: str, project_of: Callable[[str], str]) -> list[Registrations]:
    """The files below `start`, else those of the project that `start` lies in."""
    known = list(files)
    below = [file for file in known if file.path.startswith(start + "/")]
    return below or [file for file in known if (start + "/").startswith(project_of(file.path) + "/")]
