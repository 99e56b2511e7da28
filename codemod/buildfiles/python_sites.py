"""Python code that loads the legacy library: it loads the stable one beside it.

`import pkg._C`, `from . import _C`, `importlib.import_module("pkg._C")` and `torch.ops.load_library(".../_C.so")` get
a twin behind them; a `try` or `with` around nothing but the import is repeated whole, so that one missing library does
not hide the other. Probes and patterns that nobody can decide on are listed.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from codemod.buildfiles.codes import LIBRARY_LOADED, LIBRARY_PROBED
from codemod.buildfiles.python_syntax import PythonFile, dotted_name, read_python
from codemod.buildfiles.setup_text import add_statement
from codemod.buildfiles.stable_target import short_name
from codemod.buildfiles.text_edits import TextEdits
from codemod.model import Diagnostic, FileEdit, Refusal, Severity, Span
from codemod.repository.layout import Layout
from codemod.repository.snapshot import Snapshot

if TYPE_CHECKING:
    import libcst as cst

_LOADERS = ("load_library", "CDLL", "LoadLibrary", "load_dynamic")
_IMPORTERS = ("import_module", "__import__")
_DEVICE_WORDS = {"HIP": ("hip", "rocm"), "ROCM": ("hip", "rocm"), "CUDA": ("cuda",), "CPU": ("cpu",)}


@dataclass(frozen=True)
class Library:
    """The legacy and the stable library: names without package, and every full name of the legacy one."""

    legacy: str
    stable: str
    modules: frozenset[str]

    def renamed(self, text: str) -> str:
        """`text` with the legacy library's name replaced, where it is not that of an op namespace."""
        packages = "|".join(sorted({re.escape(m.rpartition(".")[0] + ".") for m in self.modules if "." in m}))
        head = rf"(?:(?<![\w.])(?:{packages})|(?<![\w.])|(?<=/)|(?<=from \.)|(?<=from \.\.))"
        behind = r"(?=[\s\"'.,:;)\]=*]|$)(?!\.[a-z_]+\()"
        return re.sub(rf"({head}){re.escape(self.legacy)}{behind}", rf"\1{self.stable}", text)


@dataclass
class Sites:
    """One Python file and what is found in it."""

    file: PythonFile
    library: Library
    module: str  # the file's own package: "pkg.sub" for pkg/sub/x.py
    edits: TextEdits
    diagnostics: list[Diagnostic] = field(default_factory=list)

    def report(
        self, severity: Severity, node: cst.CSTNode, message: str, help: str = "", code: str = LIBRARY_PROBED
    ) -> None:
        """Add a diagnostic at `node`."""
        self.diagnostics.append(Diagnostic(code, severity, self.file.path, self.file.span(node), message, help))

    def absolute(self, node: cst.ImportFrom) -> str:
        """The module that a `from ... import` names, with its dots resolved."""
        name = dotted_name(node.module)
        level = len(node.relative)
        if level == 0:
            return name
        package = self.module.split(".")
        base = package[: len(package) - level + 1]
        return ".".join([*base, name] if name else base)

    def is_legacy(self, module: str) -> bool:
        """Whether an absolute module name means the legacy library."""
        return module in self.library.modules


def legacy_modules(layout: Layout, named: Iterable[str]) -> frozenset[str]:
    """Full names of the legacy library: what setup.py calls it, and every Python package with its short name."""
    short = short_name(layout.legacy_library)
    found = {name for name in named if name.rpartition(".")[2] == short}
    found |= {f"{posixpath.basename(root)}.{short}" for root in layout.python_roots if root}
    if "." in layout.legacy_library:
        found.add(layout.legacy_library)
    return frozenset(found or {short})


def python_files(snapshot: Snapshot, layout: Layout, library: Library) -> list[str]:
    """The project's Python files that import the library or name its file, build scripts left out.

    Parsing is slow, and most files that mention the name mean the operators: `torch.ops._C` is no reason.
    """
    word = rf"(?<![\w.]){re.escape(library.legacy)}(?!\w)"
    modules = "|".join(re.escape(module) for module in sorted(library.modules))
    pattern = re.compile(
        rf"^[ \t]*(?:from|import)\b[^\n]*(?:{word}|(?<!torch)\.{re.escape(library.legacy)}(?!\w))"
        rf"|^[ \t]*from\s[^\n]*\bimport\s*\([^)]*{word}"
        rf"|[\"'](?:{modules}|\.{re.escape(library.legacy)})[\"']"
        rf"|[\"'/]{re.escape(library.legacy)}(?:(?:\.abi3)?\.(?:so|pyd|dylib)|[^\"'\n]*\*)".encode(),
        re.MULTILINE,
    )
    paths = snapshot.below(layout.project_root, (".py",))
    return [path for path in paths if path not in layout.setup_files and pattern.search(snapshot.read(path))]


def plan_imports(
    snapshot: Snapshot,
    layout: Layout,
    modules: frozenset[str],
    *,
    is_new: bool,
    widened: Sequence[str],
    units: Sequence[str],
    functions: Mapping[str, str],
) -> tuple[tuple[FileEdit, ...], tuple[Diagnostic, ...]]:
    """Load the stable library wherever the legacy one is loaded, and call `functions` (pybind11) as operators.

    `is_new` says that the library is built for the first time: all sites get a twin. Where it exists, its import sites
    do too, and only those for the devices in `widened` ("HIP") may lack it. A file with a syntax error is listed.
    """
    if not (is_new or widened or functions):
        return (), ()  # what loads the legacy library loads the stable one already
    from codemod.buildfiles.pybind_calls import rewrite_calls

    library = Library(short_name(layout.legacy_library), short_name(layout.stable_library), modules)
    edits: list[FileEdit] = []
    diagnostics: list[Diagnostic] = []
    devices = tuple(word for value in widened for word in _DEVICE_WORDS.get(value.upper(), ()))
    for path in python_files(snapshot, layout, library):
        if not (is_new or functions) and not _speaks_of(devices, path, snapshot.read(path)):
            continue
        try:
            file = read_python(path, snapshot.read(path))
        except Refusal as refusal:
            message = f"{refusal}: its imports of {library.legacy} were not looked at"
            diagnostics.append(Diagnostic(LIBRARY_PROBED, Severity.WARNING, path, Span(0, 0), message))
            continue
        sites = Sites(file, library, _package(layout, path), TextEdits(path, file.data))
        _plan_file(sites, is_new, widened, units)
        if functions:
            rewrite_calls(sites, functions)
        edits.extend(sites.edits.edits())
        diagnostics.extend(sites.diagnostics)
    return tuple(edits), tuple(diagnostics)


def _speaks_of(devices: Sequence[str], path: str, data: bytes) -> bool:
    """Whether any of `devices` is named in the file or its path, without which no site in it runs for them alone."""
    text = path.encode("utf-8", "surrogateescape") + b" " + data
    return any(word in text.lower() for word in (device.encode() for device in devices))


def _package(layout: Layout, path: str) -> str:
    folder = posixpath.dirname(path)
    for root in sorted(layout.python_roots, key=len, reverse=True):
        if folder == root or folder.startswith(f"{root}/"):
            return f"{posixpath.basename(root)}{folder[len(root) :]}".replace("/", ".")
    return folder.replace("/", ".")


def _plan_file(sites: Sites, is_new: bool, widened: Sequence[str], units: Sequence[str]) -> None:
    loads = load_sites(sites)
    done: set[tuple[cst.CSTNode, tuple[str, ...]]] = set()
    for node in loads:
        statement = sites.file.statement(node)
        place = (sites.file.scope(node), sites.file.conditions(node))
        if place in done or _has_twin(sites, statement):
            continue
        if _wanted(sites, node, is_new, widened, units):
            done.add(place)
            _add_twin(sites, node, statement)
    if is_new:
        _list_probes(sites)


def load_sites(sites: Sites) -> list[cst.CSTNode]:
    """The nodes that load the legacy library: imports and calls of loaders, in file order."""
    import libcst as cst

    found: list[cst.CSTNode] = []
    for imported in sites.file.find(cst.Import):
        if any(sites.is_legacy(dotted_name(alias.name)) for alias in imported.names):
            found.append(imported)
    for imported_from in sites.file.find(cst.ImportFrom):
        module = sites.absolute(imported_from)
        names = imported_from.names if isinstance(imported_from.names, Sequence) else ()
        if sites.is_legacy(module) or any(sites.is_legacy(f"{module}.{dotted_name(a.name)}") for a in names):
            found.append(imported_from)
    for call in sites.file.find(cst.Call):
        name = dotted_name(call.func).rpartition(".")[2]
        imports = name in _IMPORTERS and call.args and _string(call.args[0].value) in _spellings(sites)
        loads = name in _LOADERS and any(_names_library(text, sites.library.legacy) for text in _strings(sites, call))
        if imports or loads:
            found.append(call)
    return sorted(found, key=lambda node: sites.file.span(node))


def _spellings(sites: Sites) -> set[str]:
    return {*sites.library.modules, f".{sites.library.legacy}"}


def _string(node: cst.CSTNode) -> str:
    import libcst as cst

    value = node.evaluated_value if isinstance(node, cst.SimpleString) else ""
    return value if isinstance(value, str) else ""


def _strings(sites: Sites, call: cst.Call) -> list[str]:
    """The literals in a loader's arguments, and in the one value of a variable that is passed."""
    text = " ".join(sites.file.text(argument) for argument in call.args)
    assigned = _assigned(sites, call)
    return re.findall(r"[\"']([^\"']*)[\"']", f"{text} {sites.file.text(assigned) if assigned else ''}")


def _assigned(sites: Sites, call: cst.Call) -> cst.BaseExpression | None:
    """The value of the variable that is the call's only argument, where it is assigned once in the same scope."""
    import libcst as cst

    if len(call.args) != 1 or not isinstance(call.args[0].value, cst.Name):
        return None
    name, scope = call.args[0].value.value, sites.file.scope(call)
    values = [
        assign.value
        for assign in sites.file.find(cst.Assign)
        if any(dotted_name(target.target) == name for target in assign.targets) and sites.file.scope(assign) is scope
    ]
    return values[0] if len(values) == 1 else None


def _names_library(text: str, library: str) -> bool:
    """Whether a literal is the file name of the library (`_C.so`, `_C.abi3.so`), a pattern excluded."""
    name = text.rpartition("/")[2]
    return re.fullmatch(rf"{re.escape(library)}(\.abi3)?\.(so|pyd|dylib)", name) is not None


def _has_twin(sites: Sites, statement: cst.CSTNode) -> bool:
    """Whether the stable library is loaded in the same function or module."""
    scope = sites.file.scope(statement)
    stable = re.compile(rf"(?<!\w){re.escape(sites.library.stable)}(?!\w)")
    import libcst as cst

    for node in (*sites.file.find(cst.Import), *sites.file.find(cst.ImportFrom), *sites.file.find(cst.Call)):
        if isinstance(node, cst.Call) and dotted_name(node.func).rpartition(".")[2] not in (*_LOADERS, *_IMPORTERS):
            continue
        same = sites.file.scope(node) is scope
        if same and stable.search(sites.file.text(node)) and _arms_agree(sites, node, statement):
            return True
    return False


def _arms_agree(sites: Sites, first: cst.CSTNode, second: cst.CSTNode) -> bool:
    """Whether both run in the same cases, as far as `if` statements tell."""
    return set(sites.file.conditions(first)) <= set(sites.file.conditions(second))


def _wanted(sites: Sites, node: cst.CSTNode, is_new: bool, widened: Sequence[str], units: Sequence[str]) -> bool:
    """Whether the stable library exists where this site runs."""
    words = f"{sites.file.path} {' '.join(sites.file.conditions(node))}".lower()
    if is_new:
        only_gpu = bool(units) and all(unit.endswith((".cu", ".cuh")) for unit in units)
        if only_gpu and re.search(r"(?<![a-z])cpu(?![a-z])", words):
            sites.report(
                Severity.NOTE, node,
                f"{sites.library.legacy} is loaded for the CPU here, where {sites.library.stable} has no operator yet",
            )  # fmt: skip
            return False
        return True
    return any(word in words for value in widened for word in _DEVICE_WORDS.get(value.upper(), ()))


def _add_twin(sites: Sites, node: cst.CSTNode, statement: cst.CSTNode) -> None:
    """The same load of the stable library, behind the legacy one or behind the `try` or `with` that is all about it."""
    import libcst as cst

    file = sites.file
    around = file.parent(statement)
    body = file.parent(around) if isinstance(around, cst.IndentedBlock) else None
    alone = isinstance(around, cst.IndentedBlock) and len(around.body) == 1
    if alone and isinstance(body, (cst.Try, cst.With)) and around is body.body and _can_repeat(body):
        text = _repeated(sites, node, statement, body)
        if sites.library.stable in text:
            add_statement(file, body, _spaced(file, body, text), sites.edits, LIBRARY_LOADED)
            return
    text = _twin(sites, node, statement)
    if text:
        add_statement(file, statement, text, sites.edits, LIBRARY_LOADED)
    else:
        sites.report(
            Severity.ERROR, node, f"{sites.library.stable} has to be loaded here too",
            f"Load {sites.library.stable} where {sites.library.legacy} is.",
        )  # fmt: skip


def _repeated(sites: Sites, node: cst.CSTNode, statement: cst.CSTNode, body: cst.Try | cst.With) -> str:
    """The `try` or `with` for the stable library. Handlers that give names a value are not repeated: `pass` does."""
    import libcst as cst

    names = node.names if isinstance(node, (cst.Import, cst.ImportFrom)) else ()
    has_alias = any(a.asname is not None for a in names) if isinstance(names, Sequence) else False
    assigns = isinstance(body, cst.Try) and any(
        isinstance(part, cst.Assign) and any(above is handler for above in sites.file.around(part))
        for handler in body.handlers
        for part in sites.file.find(cst.Assign)
    )
    if not (has_alias or assigns):
        return sites.library.renamed(_dedented(sites.file, body))
    twin = _twin(sites, node, statement)
    if isinstance(body, cst.With):
        head = _dedented(sites.file, body).split("\n")[0]
        return f"{head}\n    {twin}"
    handled = body.handlers[0].type
    caught = f" {sites.file.text(handled)}" if handled is not None else ""
    return f"try:\n    {twin}\nexcept{caught}:\n    pass"


def _can_repeat(node: cst.CSTNode) -> bool:
    import libcst as cst

    return not (isinstance(node, cst.Try) and (node.finalbody is not None or node.orelse is not None))


def _dedented(file: PythonFile, node: cst.CSTNode) -> str:
    span = file.span(node)
    indent = file.indent(span.start)
    text = file.slice(span).replace("\r\n", "\n").rstrip("\n")
    return "\n".join(line.removeprefix(indent) for line in text.split("\n"))


def _spaced(file: PythonFile, node: cst.CSTNode, text: str) -> str:
    """Module-level blocks keep the blank line that separates such blocks."""
    end = file.line_end(max(0, file.span(node).end - 1))
    blank = file.data[end : file.line_end(end)].strip() == b"" and end < len(file.data)
    return f"\n{text}" if blank and not file.indent(file.span(node).start) else text


def _twin(sites: Sites, node: cst.CSTNode, statement: cst.CSTNode) -> str:
    """The text of the statement that loads the stable library; "" where it cannot be told."""
    import libcst as cst

    stable = sites.library.stable
    if isinstance(node, cst.Import):
        module = next(dotted_name(a.name) for a in node.names if sites.is_legacy(dotted_name(a.name)))
        return f"import {module.rpartition('.')[0]}{'.' if '.' in module else ''}{stable}{_remark(sites, statement)}"
    if isinstance(node, cst.ImportFrom):
        dots = "." * len(node.relative)
        name = dotted_name(node.module)
        if sites.is_legacy(sites.absolute(node)):  # from pkg._C import fwd
            package = name.rpartition(".")[0]
            where = f"{dots}{package}"
            if not where:
                return f"import {stable}{_remark(sites, statement)}"
        else:
            where = f"{dots}{name}"
        return f"from {where} import {stable}{_remark(sites, statement)}"
    if not isinstance(node, cst.Call) or not isinstance(statement, cst.SimpleStatementLine):
        return ""
    if not isinstance(statement.body[0], cst.Expr) or statement.body[0].value is not node:
        return ""
    assigned = _assigned(sites, node)
    if assigned is not None:
        return f"{sites.file.text(node.func)}({_loaded(sites, sites.file.text(assigned))})"
    return _loaded(sites, _dedented(sites.file, node))


def _loaded(sites: Sites, text: str) -> str:
    legacy, stable = re.escape(sites.library.legacy), sites.library.stable
    return re.sub(rf"(?<![\w])(?<!ops\.){legacy}(?=(\.abi3)?\.(so|pyd|dylib)|[\"'])", stable, text)


def _remark(sites: Sites, statement: cst.CSTNode) -> str:
    """The comment behind the import, with what keeps linters from removing one that is not used by name."""
    end = sites.file.span(statement).end
    line = sites.file.slice(Span(end, sites.file.line_end(end))).strip()
    if line.startswith("#") and "noqa" in line:
        return f"  {line}"
    return "  # noqa: F401"


def _list_probes(sites: Sites) -> None:
    """Strings that mean the legacy library and are neither imported nor loaded: probes, patterns, tables."""
    import libcst as cst

    legacy = re.escape(sites.library.legacy)
    loads = load_sites(sites)
    handled = {sites.file.statement(node) for node in loads}
    values = [_assigned(sites, node) for node in loads if isinstance(node, cst.Call)]
    handled |= {sites.file.statement(value) for value in values if value is not None}
    for node in sites.file.find(cst.SimpleString):
        if sites.file.statement(node) in handled:
            continue
        text = _string(node)
        if text in sites.library.modules:
            sites.report(
                Severity.NOTE, node, f"this looks for {text}: the operators that moved are in {sites.library.stable}",
                "Look for the stable library too if what follows needs those operators.",
            )  # fmt: skip
        elif re.search(rf"(?<!\w){legacy}[^/]*\*[^/]*$", text):
            sites.report(
                Severity.ERROR, node, f'the pattern "{text}" now finds {sites.library.stable} as well',
                f"Name the files: {sites.library.legacy}.* and {sites.library.stable}.*",
            )  # fmt: skip
        elif _names_library(text, sites.library.legacy):
            sites.report(
                Severity.WARNING, node, f'"{text}" names the legacy library\'s file alone',
                f"Name {sites.library.stable}.abi3.so beside it.",
            )  # fmt: skip
