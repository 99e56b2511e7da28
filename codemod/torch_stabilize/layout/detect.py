"""Find out what is where in a repository nobody configured; what is configured wins."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from posixpath import basename, dirname

from torch_stabilize.buildfiles.modules import TOOL_FOLDERS
from torch_stabilize.config import Config
from torch_stabilize.layout.extension import Extension
from torch_stabilize.layout.libraries import Libraries
from torch_stabilize.model import Refusal
from torch_stabilize.repository.layout import Layout
from torch_stabilize.repository.snapshot import Snapshot
from torch_stabilize.repository.sources import above, join
from torch_stabilize.source.document import ANY_HEADER
from torch_stabilize.source.patterns import whole_word


def detect_layout(snapshot: Snapshot, config: Config, build: str = "") -> Layout:
    """Where the sources, bindings, declarations and build files of the extension are.

    `build` is the bindings of an alternative build, such as that for the CPU: then the layout is that build's.
    Raises Refusal (exit 2) where the tree holds no C++ or CUDA source, or a configured path does not exist.
    """
    _check_configured(snapshot, config)
    extension = Extension(snapshot, config, build)
    if not extension.units:
        raise Refusal(f"no C++ or CUDA source in this repository{_in_strings(snapshot)}", exit_code=2)
    libraries = Libraries(extension)
    legacy = extension.legacy
    return Layout(
        source_root=extension.source_root,
        stable_root=extension.stable_root,
        legacy_library=libraries.legacy_name,
        stable_library=libraries.stable_name,
        legacy_bindings=tuple(found.path for found in legacy),
        stable_bindings=libraries.stable_bindings,
        legacy_declarations=libraries.declared_by(file for file in legacy if file.defines),
        stable_declarations=libraries.stable_declarations,
        stable_helpers=config.stable_helpers or _stable_header(extension, _asks_for_stream, "torch_utils.h"),
        stable_dispatch=config.stable_dispatch or _stable_header(extension, _defines_dispatch, "dispatch_utils.h"),
        cmake_files=tuple(sorted(extension.build.cmake)),
        setup_files=tuple(sorted(extension.build.setup)),
        python_roots=config.python_roots or _python_roots(extension, libraries.legacy_name),
        project_root=extension.project_root,
        include_roots=extension.include_roots,
        libraries=libraries.all(),
        op_namespace=config.of_library(libraries.legacy_name).op_namespace or config.op_namespace or "",
        is_other_build=bool(build),
        other_builds=tuple(found.path for found in extension.central if found not in legacy and not found.stable),
    )


def _in_strings(snapshot: Snapshot) -> str:
    """Where Python files have C++ code in strings, if any do."""
    from torch_stabilize.buildfiles.jit.inline import WAY_OUT, inline_calls

    places = [(one.path, snapshot.read(one.path).count(b"\n", 0, one.span.start) + 1) for one in inline_calls(snapshot)]
    if not places:
        return ""
    return f": {', '.join(f'{path}:{line}' for path, line in places)} compiles strings with load_inline. {WAY_OUT}"


def _check_configured(snapshot: Snapshot, config: Config) -> None:
    if config.source_root and not snapshot.below(config.source_root):
        folder = config.source_root
        raise Refusal(f"{config.source}: `source_root` names {folder}, which is not in the tree", exit_code=2)
    for path in (*config.legacy_bindings, *(one for own in config.libraries.values() for one in own.legacy_bindings)):
        if not snapshot.exists(path):
            raise Refusal(f"{config.source}: `legacy_bindings` names {path}, which is not there", exit_code=2)


# -- headers of the stable folder ------------------------------------------------------------------------------------

_STREAMS = tuple(re.compile(whole_word(name)) for name in (b"aoti_torch_get_current_cuda_stream", b"getCurrentStream"))
_DISPATCH = re.compile(rb"^[ \t]*#[ \t]*define\b[^\n]*(?:\\\n[^\n]*)*\bTHO_DISPATCH_", re.MULTILINE)


def _stable_header(extension: Extension, fits: Callable[[bytes], bool], default: str) -> str:
    """The highest header of the stable folder that `fits`, or where one is to be made."""
    headers = extension.snapshot.below(extension.stable_root, ANY_HEADER)
    fitting = [path for path in headers if fits(extension.snapshot.read(path))]
    return min(fitting, key=lambda path: (path.count("/"), path), default=join(extension.stable_root, default))


def _asks_for_stream(data: bytes) -> bool:
    return any(pattern.search(data) for pattern in _STREAMS)


def _defines_dispatch(data: bytes) -> bool:
    return b"THO_DISPATCH_" in data and _DISPATCH.search(data) is not None


# -- Python packages -------------------------------------------------------------------------------------------------


def _python_roots(extension: Extension, library: str) -> tuple[str, ...]:
    """The top-level packages that name `library`; where none does, every package, or a folder of loose modules."""
    snapshot = extension.snapshot
    packages: set[str] = set()
    naming: set[str] = set()
    name = re.escape(library).encode()
    imports = re.compile(rb"\bimport\b[^\n]*\b" + name + rb"\b|[.\"']" + name + rb"\b")
    for path in extension.build.files((".py",)):
        folder = _package_root(extension, path)
        if folder is None or folder in naming:
            continue
        if snapshot.exists(join(folder, "__init__.py")):
            packages.add(folder)
        if imports.search(snapshot.read(path)):
            naming.add(folder)
    return tuple(sorted(naming or packages)) or tuple(_folder_of_loose_modules(extension))


def _package_root(extension: Extension, path: str) -> str | None:
    """The highest package above `path`: `src/` and its like are no packages."""
    folders = [folder for folder in reversed(above(path)) if folder.startswith(extension.project_root)]
    below = [folder for folder in folders if folder != extension.project_root]
    if not below or basename(below[0]) in TOOL_FOLDERS:
        return None
    has_package = extension.snapshot.exists(join(below[0], "__init__.py"))
    if below[0] == extension.source_root and not has_package:  # a package may be in the folder of the C++ sources
        inside = below[1] if len(below) > 1 else ""
        return inside if inside and extension.snapshot.exists(join(inside, "__init__.py")) else None
    if basename(below[0]) in ("src", "python") and len(below) > 1:
        return below[1]
    return below[0]


def _folder_of_loose_modules(extension: Extension) -> Iterator[str]:
    """A project without packages: its own folder, where modules next to setup.py import the extension."""
    root = extension.project_root
    beside = (path for path in extension.build.files((".py",)) if dirname(path) == root)
    if any(path not in extension.build.setup for path in beside):
        yield root
