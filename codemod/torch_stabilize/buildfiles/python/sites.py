"""Python code that loads the legacy library: it loads the stable one next to it.

`import pkg._C`, `from . import _C`, `importlib.import_module("pkg._C")` and `torch.ops.load_library(".../_C.so")` get
a twin behind them; a `try` or `with` around nothing but the import is repeated whole, so that one missing library does
not hide the other. Probes and patterns that cannot be followed are listed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from torch_stabilize.buildfiles.codes import LIBRARY_LOADED, LIBRARY_PROBED
from torch_stabilize.buildfiles.python.facade import (
    facade_import,
    import_behind_computed_loads,
    is_imported,
)
from torch_stabilize.buildfiles.python.library import (
    COMPUTED_LOAD,
    IMPORTERS,
    LOADERS,
    Library,
    Sites,
    assigned_value,
    compiles_library,
    imported_names,
    importers,
    is_facade,
    legacy_modules,
    load_sites,
    names_library,
    package_of,
    python_files,
    string_value,
)
from torch_stabilize.buildfiles.python.shadowed import shadowed_modules
from torch_stabilize.buildfiles.python.syntax import dotted_name, read_python, statements_about
from torch_stabilize.buildfiles.python.twins import add_twin, has_twin
from torch_stabilize.buildfiles.setup.text import add_statement
from torch_stabilize.buildfiles.text_edits import TextEdits
from torch_stabilize.model import Diagnostic, FileEdit, Refusal, Severity, Span
from torch_stabilize.repository.layout import Layout
from torch_stabilize.repository.snapshot import Snapshot
from torch_stabilize.repository.stable_target import short_name
from torch_stabilize.source.document import CUDA_SUFFIXES

if TYPE_CHECKING:
    import libcst as cst

_DEVICE_WORDS = {"HIP": ("hip", "rocm"), "ROCM": ("hip", "rocm"), "CUDA": ("cuda",), "CPU": ("cpu",)}


def plan_imports(
    snapshot: Snapshot,
    layout: Layout,
    named: Iterable[str],
    *,
    is_new: bool,
    is_gone: bool = False,
    widened: Sequence[str],
    units: Sequence[str],
    functions: Mapping[str, str],
    python_module: str = "",
) -> tuple[tuple[FileEdit, ...], tuple[Diagnostic, ...]]:
    """Load the stable library wherever the legacy one is loaded, and call `functions` (pybind11) as operators.

    `named` are the extension modules that setup files name. `is_new` says that the library is built for the first
    time: all sites get a twin, or are replaced where `is_gone` says that nothing of the legacy library is left. Where
    it exists, its import sites do too, and only those for the devices in `widened` ("HIP") may lack it. Where there is
    a `python_module`, Python imports that in place of the library. A file with a syntax error is listed.
    """
    modules = legacy_modules(layout, named)
    legacy, stable = short_name(layout.legacy_library), short_name(layout.stable_library)
    library = Library(legacy, stable, modules, python_module, shadowed_modules(snapshot, layout, modules))
    paths = python_files(snapshot, layout, library, by_attribute=bool(functions))
    about = None
    if not (is_new or is_gone or functions or python_module):
        words = map(re.escape, (library.legacy, library.stable, *LOADERS, *IMPORTERS))
        about = re.compile(rf"(?<!\w)(?:{'|'.join(words)})(?!\w)".encode())
        devices = tuple(word for value in widened for word in _DEVICE_WORDS.get(value.upper(), ()))
        paths = [path for path in paths if _speaks_of(devices, path, snapshot.read(path))]
    sites, diagnostics = _read(snapshot, layout, library, paths, about)
    handed_on = frozenset(name for one in sites for name in _handed_on(one)) if functions else frozenset()
    others = importers(snapshot, layout, handed_on, [one.file.path for one in sites])
    others = [path for path in others if not is_facade(path, snapshot, library)]
    more, unread = _read(snapshot, layout, library, others)
    names = imported_names(snapshot, layout) if functions else {}
    for one in (*sites, *more):
        one.replaces, one.handed_on, one.wanted = is_gone, handed_on, names.get(one.dotted, frozenset())
        one.functions = frozenset(functions)
        _plan_file(one, is_new or bool(python_module), widened, units, functions)
        if functions:
            from torch_stabilize.buildfiles.python.pybind_calls import rewrite_calls

            rewrite_calls(one, functions)
    edits = tuple(edit for one in (*sites, *more) for edit in one.edits.edits())
    said = (*diagnostics, *unread, *(d for one in (*sites, *more) for d in one.diagnostics))
    found = any(one.finds_it or load_sites(one) for one in sites)
    if python_module and not found and not is_imported(snapshot, layout, library):
        if behind := import_behind_computed_loads(snapshot, layout, library):
            return (*edits, *behind.edits.edits()), said
        said = (*said, *_not_imported(snapshot, layout, library))
    if is_new and not found and not any(d.code == LIBRARY_PROBED for d in said):
        said = (*said, *_not_loaded(snapshot, layout, library))
    return edits, said


def _not_imported(snapshot: Snapshot, layout: Layout, library: Library) -> list[Diagnostic]:
    """That nothing imports the Python side of a library, which keeps its name: where to do so."""
    home = next((f"{root}/__init__.py" for root in layout.python_roots if snapshot.exists(f"{root}/__init__.py")), "")
    if library.stable != library.legacy or not home:
        return []
    message = f"no place was found where {library.legacy} is loaded: nothing imports {library.facade_module}"
    advice = f"Import {library.facade_module}, which registers what only Python can, once {library.legacy} is loaded."
    return [Diagnostic(LIBRARY_PROBED, Severity.ERROR, home, Span(0, 0), message, advice)]


def _not_loaded(snapshot: Snapshot, layout: Layout, library: Library) -> list[Diagnostic]:
    """Where a library is loaded by a computed name, if the legacy one is loaded nowhere that can be told."""
    paths = [path for path in snapshot.below(layout.project_root, (".py",)) if path not in layout.setup_files]
    computed = [(path, match) for path in paths for match in COMPUTED_LOAD.finditer(snapshot.read(path))]
    found = []
    if computed:
        path, match = computed[0]
        message = f"this loads a library whose name is computed: whether that is {library.legacy} cannot be told"
        if len(computed) > 1:
            message += f"; {len(computed) - 1} more do so"
        others = [other for other in dict.fromkeys(place for place, _ in computed) if other != path]
        seen = f" Look in {', '.join(others[:5])}{' and others' * (len(others) > 5)} too." if others else ""
        advice = f"Load {library.stable} where {library.legacy} is{library.also}.{seen}"
        found.append(Diagnostic(LIBRARY_PROBED, Severity.ERROR, path, Span(*match.span()), message, advice))
    home = next((f"{root}/__init__.py" for root in layout.python_roots if snapshot.exists(f"{root}/__init__.py")), "")
    if not found and home:
        message = f"no place was found where {library.legacy} is loaded: {library.stable} has to be loaded too"
        advice = (
            f"Import {library.stable}, or load its file by torch.ops.load_library, before its operators are called"
            f"{library.also}."
        )
        found.append(Diagnostic(LIBRARY_PROBED, Severity.ERROR, home, Span(0, 0), message, advice))
    return found


def _handed_on(sites: Sites) -> frozenset[str]:
    from torch_stabilize.buildfiles.python.names import handed_on

    return handed_on(sites)


def _read(
    snapshot: Snapshot,
    layout: Layout,
    library: Library,
    paths: Iterable[str],
    about: re.Pattern[bytes] | None = None,
) -> tuple[list[Sites], list[Diagnostic]]:
    """The files at `paths`, parsed, or their statements that match `about`; what cannot be parsed is listed."""
    found: list[Sites] = []
    diagnostics: list[Diagnostic] = []
    for path in paths:
        try:
            data = snapshot.read(path)
            file = read_python(path, data, statements_about(data, about) if about else None)
        except Refusal as refusal:
            message = f"{refusal}: its imports of {library.legacy} were not looked at"
            diagnostics.append(Diagnostic(LIBRARY_PROBED, Severity.WARNING, path, Span(0, 0), message))
            continue
        found.append(Sites(file, library, package_of(layout, path), TextEdits(path, file.data)))
    return found, diagnostics


def _speaks_of(devices: Sequence[str], path: str, data: bytes) -> bool:
    """Whether any of `devices` is named in the file or its path, without which no site in it runs for them alone."""
    text = path.encode("utf-8", "surrogateescape") + b" " + data
    return any(word in text.lower() for word in (device.encode() for device in devices))


def _plan_file(
    sites: Sites, is_new: bool, widened: Sequence[str], units: Sequence[str], functions: Mapping[str, str]
) -> None:
    from torch_stabilize.buildfiles.python.compiled import bind_compiled
    from torch_stabilize.buildfiles.python.replace import replace_load

    loads = load_sites(sites)
    done: set[tuple[cst.CSTNode, tuple[str, ...]]] = set()
    for node in loads:
        statement = sites.file.statement(node)
        place = (sites.file.scope(node), sites.file.conditions(node))
        if compiles_library(sites, node):
            bind_compiled(sites, node, functions)
            continue
        if sites.replaces or (functions and _wants_facade(sites, node)):
            replace_load(sites, node, functions, is_first=place not in done or bool(place[1]))
            if place not in done:
                _import_facade(sites, node, statement)
            done.add(place)
            continue
        if place in done or has_twin(sites, statement):
            continue
        if _wanted(sites, node, is_new, widened, units):
            done.add(place)
            add_twin(sites, node, statement)
            _import_facade(sites, node, statement)
    if is_new:
        _list_probes(sites)


def _import_facade(sites: Sites, node: cst.CSTNode, statement: cst.CSTNode) -> None:
    """Import the Python side of a library behind a call that loads the library's file."""
    import libcst as cst

    if not sites.library.facade or not isinstance(node, cst.Call) or _has_facade(sites):
        return
    if dotted_name(node.func).rpartition(".")[2] in LOADERS:
        add_statement(sites.file, statement, facade_import(sites.library), sites.edits, LIBRARY_LOADED)


def _has_facade(sites: Sites) -> bool:
    """Whether an earlier run imported the Python side in this file."""
    return f"import {sites.library.facade_module}  # noqa".encode() in sites.file.data


def _loads_a_file(sites: Sites, node: cst.CSTNode) -> bool:
    """Whether the statement around `node` loads a library by its file."""
    text = sites.file.text(sites.file.statement(node))
    return re.search(rf"\b(?:{'|'.join(LOADERS)})\s*\(", text) is not None


def _wants_facade(sites: Sites, node: cst.CSTNode) -> bool:
    """Whether an import has to bind the Python side of the library where the legacy one stays too."""
    import libcst as cst

    from torch_stabilize.buildfiles.python.names import module_names
    from torch_stabilize.buildfiles.python.pybind_calls import is_shared, other_uses, through_facade

    if not sites.library.facade or (isinstance(node, cst.Call) and not _is_imported_value(sites, node)):
        return False
    if isinstance(node, cst.ImportFrom) and through_facade(sites, node):
        return True
    holder = sites.file.parent(node) if isinstance(node, cst.Call) else node
    names = [name for name in module_names(sites) if name.node is holder]
    if isinstance(node, cst.Call) and not names:
        return True  # returned, passed on, or asked for an attribute
    return any(is_shared(sites, name) or other_uses(sites, name) for name in names)


def _is_imported_value(sites: Sites, call: cst.Call) -> bool:
    """Whether a call imports the module and something is done with what it gives."""
    import libcst as cst

    is_import = dotted_name(call.func).rpartition(".")[2] in IMPORTERS
    return is_import and not isinstance(sites.file.parent(call), cst.Expr)


def _wanted(sites: Sites, node: cst.CSTNode, is_new: bool, widened: Sequence[str], units: Sequence[str]) -> bool:
    """Whether the stable library exists where this site runs."""
    words = f"{sites.file.path} {' '.join(sites.file.conditions(node))}".lower()
    if is_new:
        only_gpu = bool(units) and all(unit.endswith(CUDA_SUFFIXES) for unit in units)
        if only_gpu and re.search(r"(?<![a-z])cpu(?![a-z])", words):
            sites.report(
                Severity.NOTE, node,
                f"{sites.library.legacy} is loaded for the CPU here, where {sites.library.stable} has no operator yet",
            )  # fmt: skip
            return False
        return True
    return any(word in words for value in widened for word in _DEVICE_WORDS.get(value.upper(), ()))


def _now_named(sites: Sites, text: cst.SimpleString) -> str:
    """What a string that asks for the module asks for once it is gone, "" where that cannot be told.

    `find_spec("pkg._C")` asks whether the library was built, `sys.modules["pkg._C"]` for what has its functions.
    """
    import libcst as cst

    call, part = sites.file.enclosing(text, cst.Call), sites.file.enclosing(text, cst.Subscript)
    called = dotted_name(call.func) if call is not None and text is call.args[0].value else ""
    if called.rpartition(".")[2] == "find_spec":
        return sites.library.stable
    is_item = part is not None and dotted_name(part.value) == "sys.modules"
    return sites.library.imported if is_item or called == "sys.modules.get" else ""


def _finds(pattern: str, library: str) -> bool:
    """Whether the last word of a text, a pattern of the shell or a regular expression, finds a file of `library`."""
    word = re.split(r"[/\s]", pattern)[-1]
    files = [f"{library}{end}" for end in (".abi3.so", ".so", ".pyd", ".dylib", ".cpython-312-x86_64-linux-gnu.so")]
    if any(fnmatchcase(file, word) for file in files):
        return True
    try:
        return any(re.search(word, file) for file in files)
    except re.error:
        return False


def _list_probes(sites: Sites) -> None:
    """Strings that mean the legacy library and are neither imported nor loaded: probes, patterns, tables."""
    import libcst as cst

    legacy = re.escape(sites.library.legacy)
    loads = load_sites(sites)
    handled = {sites.file.statement(node) for node in loads}
    values = [assigned_value(sites, node) for node in loads if isinstance(node, cst.Call)]
    handled |= {sites.file.statement(value) for value in values if value is not None}
    for node in sites.file.find(cst.SimpleString):
        if sites.file.statement(node) in handled:
            continue
        text = string_value(node)
        if text in sites.library.modules and sites.replaces and (name := _now_named(sites, node)):
            quoted = f"{node.prefix}{node.quote}{text.rpartition('.')[0]}.{name}{node.quote}"
            sites.edits.replace(sites.file.span(node), quoted.replace(f"{node.quote}.", node.quote), LIBRARY_LOADED)
        elif text in sites.library.modules:
            sites.report(
                Severity.NOTE, node, f"this looks for {text}: the operators that moved are in {sites.library.stable}",
                "Look for the stable library too if what follows needs those operators.",
            )  # fmt: skip
        elif re.search(rf"(?<!\w){legacy}[^/\s]*\*[^/\s]*$", text) and _finds(text, sites.library.stable):
            if sites.library.stable == sites.library.legacy and not _loads_a_file(sites, node):
                continue  # it finds what it found
            if sites.replaces and _loads_a_file(sites, node):  # the stable library is the only one that it finds
                sites.finds_it = True
                if sites.library.facade and not _has_facade(sites):
                    add_statement(sites.file, node, facade_import(sites.library), sites.edits, LIBRARY_LOADED)
                continue
            sites.report(
                Severity.ERROR, node, f'the pattern "{text}" now finds {sites.library.stable} as well',
                f"Name the files: {sites.library.legacy}.* and {sites.library.stable}.*{sites.library.also}.",
            )  # fmt: skip
        elif names_library(text, sites.library.legacy):
            sites.report(
                Severity.WARNING, node, f'"{text}" names the legacy library\'s file alone',
                f"Name {sites.library.stable}.abi3.so next to it.",
            )  # fmt: skip
