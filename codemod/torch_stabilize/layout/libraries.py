"""The libraries an extension is built into: what each is called, which files bind it, and its stable counterpart."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from posixpath import dirname

from torch_stabilize.buildfiles.modules import Module
from torch_stabilize.config import OwnLibrary
from torch_stabilize.layout.extension import Extension
from torch_stabilize.repository.includes import IncludeGraph
from torch_stabilize.repository.layout import Library
from torch_stabilize.repository.registrations import COMPUTED_NAMES, Registrations, extension_name, registrations_of
from torch_stabilize.repository.sources import join
from torch_stabilize.repository.stable_target import STABLE_SUFFIX
from torch_stabilize.source.document import Document
from torch_stabilize.source.heads import declares, defines

_DIRECTIVE = re.compile(rb"^[ \t]*#[^\n]*", re.MULTILINE)


@dataclass(frozen=True)
class Libraries:
    """The legacy libraries of an extension and the stable ones next to them; every question is answered once."""

    extension: Extension
    _named: dict[str, str | None] = field(default_factory=dict, compare=False, repr=False)

    @property
    def _modules(self) -> tuple[Module, ...]:
        return self.extension.build.modules

    @cached_property
    def _graph(self) -> IncludeGraph:
        return IncludeGraph(self.extension.snapshot, (), self.extension.include_roots)

    def _document(self, path: str) -> Document:
        return self.extension.snapshot.document(path)

    @cached_property
    def stable(self) -> Registrations | None:
        """The main library's bindings in the stable build, where there are any."""
        return self._stable_of(self.legacy_name, is_main=True)

    def _stable_of(self, library: str, *, is_main: bool) -> Registrations | None:
        """The first stable bindings whose module is called after `library`; the main one also takes other names."""
        for file in self._stable_files:
            name = self._module_name(file) or ""
            own_name = not name.endswith(STABLE_SUFFIX) and (name == library or name not in self._legacy_names)
            if name == library + STABLE_SUFFIX or (is_main and own_name and self._shares_operators(file, library)):
                return file
        return None

    @cached_property
    def _stable_files(self) -> tuple[Registrations, ...]:
        return tuple(file for file in self.extension.central if file.stable)

    @cached_property
    def _legacy_names(self) -> frozenset[str | None]:
        return frozenset(self._module_name(file) for file in self.extension.legacy if file.defines)

    def _shares_operators(self, stable: Registrations, library: str) -> bool:
        """Whether stable bindings of another name may be those of `library`: one namespace, as far as that is known."""
        files = [file for file in self.extension.legacy if (self._module_name(file) or library) == library]
        spaces = {space for file in files for space in self._namespaces(file)}
        theirs = set(self._namespaces(stable))
        is_python = any(b"PYBIND11_MODULE" in self.extension.snapshot.read(file.path) for file in files)
        return not spaces or is_python or "" in spaces | theirs or bool(spaces & theirs)

    def _namespaces(self, file: Registrations) -> tuple[str, ...]:
        """The namespaces that `file` registers in; "" for one whose name is not known."""
        own = extension_name(self._document(file.path)) or self._module_of(file.path) or ""
        return tuple(own if space in COMPUTED_NAMES else space for space in file.libraries)

    def _module_name(self, file: Registrations) -> str | None:
        """The module `file` is built into: as the build files say, else as the file itself does."""
        if (named := self._module_of(file.path)) is not None:
            return named
        libraries = (name for name in file.libraries if not (self._modules and self._is_package(name)))
        known = (name for name in (*file.modules, *libraries) if name.isidentifier())
        return next((name for name in known if name not in COMPUTED_NAMES), None)

    def _module_of(self, path: str) -> str | None:
        if path not in self._named:
            self._named[path] = self.extension.build.module_of(path)
        return self._named[path]

    def _is_package(self, name: str) -> bool:
        """Whether `name` is the package itself, which no module that is built into it can be called by."""
        folders = (join(self.extension.project_root, name), join(self.extension.project_root, f"src/{name}"))
        return any(self.extension.snapshot.exists(f"{folder}/__init__.py") for folder in folders)

    @cached_property
    def legacy_name(self) -> str:
        """What the main library is called."""
        if (configured := self.extension.config.legacy_library) is not None:
            return configured
        legacy = next((file for file in self.extension.legacy if file.defines), None)
        if legacy is not None and (named := self._set_for(legacy) or self._module_name(legacy)) is not None:
            return named.removesuffix(STABLE_SUFFIX)  # something legacy was left in a stable library
        names = [module.name for module in self._modules] + [self._module_name(f) or "" for f in self.extension.central]
        known = (name.removesuffix(STABLE_SUFFIX) for name in names if name)
        return next((name for name in known if "stable" not in name), "_C")

    @property
    def _own(self) -> OwnLibrary:
        """What is set for the main library alone."""
        return self.extension.config.of_library(self.legacy_name)

    @cached_property
    def stable_name(self) -> str:
        """What the main library's stable counterpart is called, there already or to be made."""
        if (configured := self._own.stable_library or self.extension.config.stable_library) is not None:
            return configured
        # Nothing but a build file or an export tells a module's name from the namespace of its ops.
        found = self.stable
        if found and (named := self._module_of(found.path) or next(iter(found.modules), None)):
            return named
        named_stable = [module.name for module in self._modules if "stable" in module.name]
        own = self.legacy_name + STABLE_SUFFIX
        return next((name for name in named_stable if name == own or not name.endswith(STABLE_SUFFIX)), own)

    def all(self) -> tuple[Library, ...]:
        """Every legacy module with its bindings, sources and stable counterpart, the main one first."""
        bindings: dict[str, list[Registrations]] = {self.legacy_name: []}
        for file in self.extension.legacy:
            if file.defines:
                bindings.setdefault(self._owner_of(file), []).append(file)
        several = len(bindings) > 1
        return tuple(self._configured(self._library(name, files, several=several)) for name, files in bindings.items())

    def _owner_of(self, file: Registrations) -> str:
        """The library that `file` binds: as the settings say, else the module that it is built into."""
        return self._set_for(file) or self._module_name(file) or self.legacy_name

    def _set_for(self, file: Registrations) -> str | None:
        libraries = self.extension.config.libraries
        return next((name for name, own in libraries.items() if file.path in own.legacy_bindings), None)

    def _configured(self, library: Library) -> Library:
        """`library` with what is set for it alone."""
        own = self.extension.config.of_library(library.name)
        return replace(
            library,
            stable_name=own.stable_library or library.stable_name,
            stable_bindings=own.stable_bindings or library.stable_bindings,
            stable_declarations=own.stable_declarations or library.stable_declarations,
            op_namespace=own.op_namespace,
        )

    def _library(self, name: str, files: list[Registrations], *, several: bool) -> Library:
        library = Library(
            name,
            tuple(file.path for file in files),
            # Whose a source is matters only where there are several to choose from.
            self._owned.get(name, ()) if several else (),
            self.stable_name,
            self.stable_bindings,
            self.stable_declarations,
        )
        if name == self.stable_name or name.endswith(STABLE_SUFFIX):  # something legacy was left in it
            return replace(library, stable_name=name)
        return library if name == self.legacy_name else self._other_library(library, files)

    @cached_property
    def _owned(self) -> dict[str, tuple[str, ...]]:
        """The units that the modules of each name spell out with their whole path."""
        found: dict[str, dict[str, None]] = {}
        for path in self.extension.units:
            for module in self.extension.build.naming(path):
                if module.owns(path):
                    found.setdefault(module.name, {})[path] = None
        return {name: tuple(paths) for name, paths in found.items()}

    def _other_library(self, library: Library, files: list[Registrations]) -> Library:
        """A library next to the main one: its stable bindings and declarations land where its legacy ones come from."""
        first = self.extension.landing(files[0].path)
        if defines(self._document(files[0].path), files[0].functions):
            # A file with kernels of its own moves to that very place and takes its registrations along.
            first = join(dirname(first), f"{library.name.strip('_')}_bindings.cpp")
        existing = self._stable_of(library.name, is_main=False)
        declarations = [self.extension.landing(header) for header in self.declared_by(files)]
        return replace(
            library,
            stable_name=(self._module_name(existing) if existing else None) or library.name + STABLE_SUFFIX,
            stable_bindings=existing.path if existing and existing.defines else first,
            stable_declarations=declarations[0] if declarations else join(dirname(first), "ops.h"),
        )

    # -- bindings and declarations -------------------------------------------------------------------------------

    @cached_property
    def stable_bindings(self) -> str:
        """The bindings file of the main library's stable counterpart, there already or to be made."""
        if (configured := self._own.stable_bindings or self.extension.config.stable_bindings) is not None:
            return configured
        found = self.stable
        if found is not None and found.defines and not defines(self._document(found.path), found.functions):
            return found.path
        # also where kernels register themselves so far
        return self._own_place("torch_bindings.cpp", "bindings.cpp")

    def _own_place(self, name: str, short: str) -> str:
        """A file of the stable folder, with a name of the library's own where another library has the usual one."""
        usual = join(self.extension.stable_root, "torch_bindings.cpp")
        theirs = registrations_of(self.extension.snapshot, usual) if self.extension.snapshot.exists(usual) else None
        module = (self._module_name(theirs) or "") if theirs is not None else ""
        if self.stable is None and module.endswith(STABLE_SUFFIX) and module != self.legacy_name + STABLE_SUFFIX:
            name = f"{self.legacy_name.strip('_').lower()}_{short}"
        return join(self.extension.stable_root, name)

    def declared_by(self, files: Iterable[Registrations]) -> tuple[str, ...]:
        """The headers that declare functions `files` bind: of what they include, or what that brings in their place."""
        found: dict[str, None] = {}
        for file in files:
            for header in self._included(file.path):
                if header not in found and declares(self._document(header), file.functions):
                    found[header] = None
        return tuple(header for header in found if not header.startswith(self.extension.stable_root + "/"))

    def _included(self, path: str) -> list[str]:
        """What `path` includes, and what those of it bring that hold nothing but includes."""
        found: dict[str, None] = {}
        waiting = list(self._graph.direct(path))
        while waiting:
            header = waiting.pop(0)
            if header not in found:
                found[header] = None
                only_includes = not _DIRECTIVE.sub(b"", self._document(header).code).strip()
                waiting += self._graph.direct(header) if only_includes else ()
        return list(found)

    @cached_property
    def stable_declarations(self) -> str:
        """The header of the stable bindings, there already or to be made."""
        if (configured := self._own.stable_declarations or self.extension.config.stable_declarations) is not None:
            return configured
        if self.stable is not None and self.stable.defines:
            for header in self._graph.direct(self.stable.path):
                inside = header.startswith(self.extension.stable_root + "/")
                if inside and declares(self._document(header), self.stable.functions):
                    return header
        return self._own_place("ops.h", "ops.h")
