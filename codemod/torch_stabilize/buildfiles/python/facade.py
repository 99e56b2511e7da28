"""The import of a library's Python side, where the package loads the library by a name that it computes.

`for name in ("_ops", "_cuda"): torch.ops.load_library(PathFinder().find_spec(name, [HERE]).origin)` names no library.
Whichever it loads, the Python side is imported once the loop is over; it loads its own library.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from torch_stabilize.buildfiles.codes import LIBRARY_LOADED
from torch_stabilize.buildfiles.python.library import COMPUTED_LOAD, Library, Sites, package_of
from torch_stabilize.buildfiles.python.syntax import read_python
from torch_stabilize.buildfiles.setup.text import add_statement
from torch_stabilize.buildfiles.text_edits import TextEdits
from torch_stabilize.model import Refusal
from torch_stabilize.repository.layout import Layout
from torch_stabilize.repository.snapshot import Snapshot

if TYPE_CHECKING:
    import libcst as cst

# What finds files of the package itself; another place may hold another build of the library.
_OWN_FILES = re.compile(rb"\b(?:__file__|__path__|__name__|__package__)\b")


def facade_import(library: Library) -> str:
    """The statement that imports the Python side of a library."""
    return f"import {library.facade_module}  # noqa: E402, F401"


def is_imported(snapshot: Snapshot, layout: Layout, library: Library) -> bool:
    """Whether a file of the project imports the Python side of `library` already."""
    name = re.escape(library.facade.encode())
    imports = re.compile(rb"^[ \t]*(?:from|import)\b[^#\n]*(?<!\w)" + name + rb"(?!\w)", re.MULTILINE)
    paths = snapshot.below(layout.project_root, (".py",))
    return any(library.facade.encode() in data and imports.search(data) for data in map(snapshot.read, paths))


def import_behind_computed_loads(snapshot: Snapshot, layout: Layout, library: Library) -> Sites | None:
    """The import of the Python side of `library` behind what loads its package's libraries; None where nothing does.

    The package's own `__init__.py` comes first, then its other modules where one alone loads libraries.
    """
    package = library.facade_module.rpartition(".")[0]
    found: dict[str, Sites] = {}
    for path in _modules(snapshot, layout, package):
        data = snapshot.read(path)
        if not COMPUTED_LOAD.search(data) or not _OWN_FILES.search(data):
            continue
        try:
            file = read_python(path, data)
        except Refusal:
            continue
        sites = Sites(file, library, package_of(layout, path), TextEdits(path, file.data))
        if loads := list(_computed_loads(sites)):
            add_statement(file, _whole(sites, loads[-1]), facade_import(library), sites.edits, LIBRARY_LOADED)
            found[path] = sites
    own = [path for path in found if posixpath.basename(path) == "__init__.py"]
    chosen = own if own else list(found)
    return found[chosen[0]] if len(chosen) == 1 else None


def _modules(snapshot: Snapshot, layout: Layout, package: str) -> list[str]:
    paths = [path for root in layout.python_roots for path in snapshot.below(root, (".py",))]
    return [path for path in dict.fromkeys(paths) if package_of(layout, path) == package]


def _computed_loads(sites: Sites) -> Iterator[cst.Call]:
    """The calls, outside of functions, that load libraries of torch by a computed name or the module by one."""
    import libcst as cst

    starts = {match.start() for match in COMPUTED_LOAD.finditer(sites.file.data)}
    for call in sites.file.find(cst.Call):
        if sites.file.scope(call) is not sites.file.module:
            continue
        called, text = sites.file.span(call.func), sites.file.text(call)
        names_it = re.search(rf"(?<!\w){re.escape(sites.library.legacy)}(?!\w)", text)
        if any(called.start <= start < called.end for start in starts) and ("load_library" in text or names_it):
            yield call


def _whole(sites: Sites, call: cst.Call) -> cst.CSTNode:
    """The outermost loop around `call`, behind which all loads were made, or its statement."""
    import libcst as cst

    loops = [node for node in sites.file.around(call) if isinstance(node, (cst.For, cst.While))]
    return loops[-1] if loops else sites.file.statement(call)
