"""Find out what is where in a repository nobody configured; what is configured wins."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from posixpath import basename, dirname

from codemod.config import Config
from codemod.model import Refusal
from codemod.repository.includes import IncludeGraph
from codemod.repository.layout import Layout, Library
from codemod.repository.modules import Module, cmake_modules, module_of, setup_modules
from codemod.repository.registrations import Registrations, declares, defines, read_registrations
from codemod.repository.snapshot import Snapshot
from codemod.repository.sources import (
    BESIDE_FOLDERS,
    FOREIGN_FOLDERS,
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
_TOOLS = frozenset({"tools", "scripts", "cmake", "ci", "build_tools", "_build", "docker"})
_BUILD_HELPER = re.compile(rb"\b\w*Extension\s*\(")


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
            legacy_declarations=self._legacy_declarations(),
            stable_declarations=self._stable_declarations(),
            stable_helpers=self.config.stable_helpers or self._stable_header(_STREAM, "torch_utils.h"),
            stable_dispatch=self.config.stable_dispatch or self._stable_header(_DISPATCH, "dispatch_utils.h"),
            cmake_files=tuple(sorted(self.cmake_texts)),
            setup_files=tuple(sorted(self.setup_texts)),
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
        found = [read_registrations(self.snapshot.document(path)) for path in self.units]
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
        return common_folder([folder, *map(dirname, self._sources_of_main())])

    def _sources_of_main(self) -> list[str]:
        """The units that the main bindings' module names with their whole path: a project may keep them apart."""
        assert self.main is not None
        main = self.main.path
        module = max(self.modules, key=lambda module: module.names(main), default=None)
        if module is None or not module.names(main):
            return []
        depth = len(dirname(module.path).split("/")) if dirname(module.path) else 0
        return [path for path in self.units if module.names(path) == len(path.split("/")) - depth]

    def _folder_of_units(self) -> str:
        """Where there are no legacy bindings: the deepest folder that holds every unit of torch's C++ API."""
        units = [path for path in self.units if not BESIDE_FOLDERS.intersection(path.split("/"))] or list(self.units)
        torch_units = [path for path in units if holds_unstable_names(self.snapshot.document(path))] or units
        return common_folder([dirname(path).partition(STABLE_FOLDER)[0].rstrip("/") for path in torch_units])

    @cached_property
    def stable(self) -> Registrations | None:
        """The main bindings file of the stable build, where there is one."""
        return next((file for file in self.central if file.stable), None)

    @cached_property
    def stable_root(self) -> str:
        if self.config.stable_root is not None:
            return self.config.stable_root
        default = join(self.source_root, STABLE_FOLDER)
        if self.stable is None or self.snapshot.below(default):
            return default
        folder = dirname(self.stable.path)
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
        return tuple(dict.fromkeys([self.source_root, self.stable_root, self.project_root, "", *sorted(named)]))

    # -- libraries -----------------------------------------------------------------------------------------------

    @cached_property
    def cmake_texts(self) -> dict[str, str]:
        """The project's CMake files that name a source or define a module."""
        texts = {}
        for path in self._project_files(("CMakeLists.txt", ".cmake")):
            text = self._text(path)
            if re.search(r"\.(?:cu|cpp|cc|cxx)\b", text) or cmake_modules(path, text):
                texts[path] = text
        return texts

    @cached_property
    def setup_texts(self) -> dict[str, str]:
        """setup.py, and the helpers it names that make extension objects."""
        setup = join(self.project_root, "setup.py")
        texts = {setup: self._text(setup)} if self.snapshot.exists(setup) else {}
        named = texts.get(setup, "")
        for path in self._project_files((".py",)):
            folders = path.removeprefix(self.project_root).strip("/").split("/")[:-1]
            near = not folders or (len(folders) == 1 and folders[0] in _TOOLS)
            is_named = near and re.search(rf"\b{re.escape(basename(path)[:-3])}\b", named)
            if path != setup and is_named and _BUILD_HELPER.search(self.snapshot.read(path)):
                texts[path] = self._text(path)
        return texts

    def _text(self, path: str) -> str:
        return self.snapshot.read(path).decode("utf-8", "surrogateescape")

    def _project_files(self, endings: tuple[str, ...]) -> list[str]:
        skipped = FOREIGN_FOLDERS | BESIDE_FOLDERS
        below = self.snapshot.below(self.project_root, endings)
        prefix = f"{self.project_root}/" if self.project_root else ""
        return [path for path in below if not skipped.intersection(path.removeprefix(prefix).split("/")[:-1])]

    @cached_property
    def modules(self) -> tuple[Module, ...]:
        """The modules the build files make: CMake's with their sources first, then setup.py's.

        CMakeLists.txt counts before the files it includes: those hold the alternative builds.
        """
        cmake = sorted(self.cmake_texts, key=lambda path: (basename(path) != "CMakeLists.txt", path.count("/"), path))
        return (
            *(module for path in cmake for module in cmake_modules(path, self.cmake_texts[path])),
            *(module for path, text in self.setup_texts.items() for module in setup_modules(path, text)),
        )

    def _module_name(self, file: Registrations) -> str | None:
        """The module `file` is built into: as the build files say, else as the file itself does."""
        if (named := module_of(file.path, self.modules)) is not None:
            return named
        literal = [name for name in (*file.modules, *file.libraries) if name.isidentifier()]
        return next((name for name in literal if name not in ("TORCH_EXTENSION_NAME", "NAME")), None)

    @cached_property
    def legacy_library(self) -> str:
        if self.config.legacy_library is not None:
            return self.config.legacy_library
        legacy = next((file for file in self.legacy if file.defines), None)
        if legacy is not None and (named := self._module_name(legacy)) is not None:
            return named
        others = [module.name for module in self.modules if module.name != self._existing_stable_library]
        return others[0] if others else "_C"

    @cached_property
    def _existing_stable_library(self) -> str | None:
        if self.stable is not None and (named := self._module_name(self.stable)) is not None:
            exported = [name for name in self.stable.modules if name.isidentifier()]
            return named if module_of(self.stable.path, self.modules) else next(iter(exported), None)
        return next((module.name for module in self.modules if "stable" in module.name), None)

    @cached_property
    def stable_library(self) -> str:
        existing = self._existing_stable_library
        return self.config.stable_library or existing or self.legacy_library + STABLE_SUFFIX

    def _libraries(self) -> tuple[Library, ...]:
        bindings: dict[str, list[str]] = {self.legacy_library: []}
        for file in self.legacy:
            if file.defines:
                name = self._module_name(file) or self.legacy_library
                bindings.setdefault(name, []).append(file.path)
        return tuple(Library(name, tuple(paths)) for name, paths in bindings.items())

    # -- bindings and headers ------------------------------------------------------------------------------------

    @cached_property
    def stable_bindings(self) -> str:
        if self.config.stable_bindings is not None:
            return self.config.stable_bindings
        found = self.stable
        if found is not None and found.defines and not defines(self.snapshot.document(found.path), found.functions):
            return found.path
        return join(self.stable_root, "torch_bindings.cpp")  # also where kernels register themselves so far

    def _legacy_declarations(self) -> tuple[str, ...]:
        graph = IncludeGraph(self.snapshot, (), self.include_roots)
        found: list[str] = []
        for file in (file for file in self.legacy if file.defines):
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

    def _stable_header(self, marks: re.Pattern[bytes], default: str) -> str:
        """The highest header of the stable folder that holds `marks`, or where one is to be made."""
        headers = self.snapshot.below(self.stable_root, (*HEADER_SUFFIXES, ".cuh"))
        fitting = [path for path in headers if marks.search(self.snapshot.read(path))]
        return min(fitting, key=lambda path: (path.count("/"), path), default=join(self.stable_root, default))

    def _python_roots(self) -> tuple[str, ...]:
        """The top-level packages that name the extension; where none does, every package."""
        packages: set[str] = set()
        naming: set[str] = set()
        library = re.escape(self.legacy_library).encode()
        imports = re.compile(rb"\bimport\b[^\n]*\b" + library + rb"\b|[.\"']" + library + rb"\b")
        for path in self._project_files((".py",)):
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
        if not below or below[0] == self.source_root or basename(below[0]) in _TOOLS:
            return None
        if basename(below[0]) in ("src", "python") and len(below) > 1:
            return below[1]
        return below[0]

    def _loose_modules(self) -> tuple[str, ...]:
        """A project without packages: its own folder, where modules beside setup.py import the extension."""
        for path in self._project_files((".py",)):
            if dirname(path) == self.project_root and path not in self.setup_texts:
                return (self.project_root,)
        return ()


_STREAM = re.compile(rb"\baoti_torch_get_current_cuda_stream\b|\bgetCurrentStream\b")
_DISPATCH = re.compile(rb"^[ \t]*#[ \t]*define\b[^\n]*(?:\\\n[^\n]*)*\bTHO_DISPATCH_", re.MULTILINE)


def _nearest(files: Iterable[Registrations], start: str, project_of: Callable[[str], str]) -> list[Registrations]:
    """The files below `start`, else those of the project that `start` lies in."""
    known = list(files)
    below = [file for file in known if file.path.startswith(start + "/")]
    return below or [file for file in known if (start + "/").startswith(project_of(file.path) + "/")]
