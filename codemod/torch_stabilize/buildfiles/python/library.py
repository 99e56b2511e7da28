"""Python code that knows the legacy library: which files, and the places in them that load it."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from torch_stabilize.buildfiles.codes import LIBRARY_PROBED
from torch_stabilize.buildfiles.python.syntax import PythonFile, dotted_name
from torch_stabilize.buildfiles.text_edits import TextEdits
from torch_stabilize.model import Diagnostic, Severity
from torch_stabilize.repository.layout import Layout
from torch_stabilize.repository.snapshot import Snapshot
from torch_stabilize.repository.sources import project_of
from torch_stabilize.repository.stable_target import short_name
from torch_stabilize.source.patterns import word_start
from torch_stabilize.source.spans import line_start

if TYPE_CHECKING:
    import libcst as cst

_FROM_IMPORT = re.compile(
    r"^[ \t]*from[ \t]+(?P<dots>\.*)[ \t]*(?P<module>[\w.]*)[ \t]+import[ \t]*"
    r"(?:\((?P<inside>[^)]*)\)|(?P<names>[^\n#]*))",
    re.MULTILINE,
)
COMPUTED_LOAD = re.compile(
    rb"(?:\btorch\.(?:ops|classes)\.load_library|\bCDLL|\bimport_module)\((?![ \t\n]*[rR]?[\"'][^\"'{]*[\"'][ \t\n]*\))"
)
LOADERS = ("load_library", "CDLL", "LoadLibrary", "load_dynamic")
IMPORTERS = ("import_module", "__import__")


class Library(NamedTuple):
    """The legacy and the stable library: names without package, and every full name of the legacy one.

    `facade` is the Python module that is imported in place of the stable library and has what was bound under its old
    names, "" where there is none. `shadowed` are those of `modules` that are no attribute of their package, which binds
    something else to the name.
    """

    legacy: str
    stable: str
    modules: frozenset[str]
    facade: str = ""
    shadowed: frozenset[str] = frozenset()

    @property
    def imported(self) -> str:
        """What Python imports for the stable library."""
        return self.facade or self.stable

    @property
    def facade_module(self) -> str:
        """The full name of that Python module, "" where there is none."""
        packages = sorted({m.rpartition(".")[0] for m in self.modules if "." in m})
        return ".".join([*packages[:1], self.facade]) if self.facade else ""

    @property
    def also(self) -> str:
        """What to do besides loading the stable library, as the end of a sentence."""
        return f", and import {self.facade_module}, which registers what only Python can" if self.facade else ""

    def renamed(self, text: str) -> str:
        """`text` with the legacy library's name replaced, where it is not that of an op namespace."""
        packages = "|".join(sorted({re.escape(m.rpartition(".")[0] + ".") for m in self.modules if "." in m}))
        head = rf"(?:(?<![\w.])(?:{packages})|(?<![\w.])|(?<=/)|(?<=from \.)|(?<=from \.\.))"
        behind = r"(?=[\s\"'.,:;)\]=*]|$)(?!\.[a-z_]+\()"
        return re.sub(rf"({head}){re.escape(self.legacy)}{behind}", rf"\1{self.imported}", text)


@dataclass
class Sites:
    """One Python file and what is found in it."""

    file: PythonFile
    library: Library
    module: str  # the file's own package: "pkg.sub" for pkg/sub/x.py
    edits: TextEdits
    replaces: bool = False  # nothing is left of the legacy library: the stable one is loaded in its place
    handed_on: frozenset[str] = frozenset()  # other full names of the module: "pkg.backend.ext"
    functions: frozenset[str] = frozenset()  # of the module, operators now
    wanted: frozenset[str] = frozenset()  # top-level names that other files import from this one
    diagnostics: list[Diagnostic] = field(default_factory=list)
    bound_at: set[int] = field(default_factory=set)  # where names of operators are bound
    finds_it: bool = False  # a pattern that is loaded finds the stable library

    @property
    def dotted(self) -> str:
        """The full name under which the file itself is imported."""
        stem = posixpath.basename(self.file.path).removesuffix(".py")
        return self.module if stem == "__init__" else ".".join(filter(None, (self.module, stem)))

    @property
    def attributes(self) -> frozenset[str]:
        """The full names of the legacy library under which its package has it as an attribute, seen from this file.

        A package that binds the name to something else has the module until then.
        """
        return self.library.modules - {name for name in self.library.shadowed if name.rpartition(".")[0] != self.dotted}

    def loads(self, node: cst.Import | cst.ImportFrom) -> bool:
        """Whether an import loads the legacy library."""
        import libcst as cst

        if isinstance(node, cst.Import):
            return any(self.is_legacy(dotted_name(alias.name)) for alias in node.names)
        module = self.absolute(node)
        names = node.names if isinstance(node.names, Sequence) else ()
        attributes = self.attributes
        return self.is_legacy(module) or any(f"{module}.{dotted_name(a.name)}" in attributes for a in names)

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
    if layout.is_compiled_at_import:
        found.add(short)
    return frozenset(found or {short})


def python_files(snapshot: Snapshot, layout: Layout, library: Library, *, by_attribute: bool = False) -> list[str]:
    """The project's Python files that import the library or name its file, build scripts left out.

    Parsing is slow, and most files that mention the name mean the operators: `torch.ops._C` is no reason.
    `by_attribute` counts files that reach the module through its package, `pkg._C.fwd`.
    """
    names_it = _names_it(library, by_attribute=by_attribute)
    paths = [path for path in snapshot.below(layout.project_root, (".py",)) if path not in layout.setup_files]
    return [
        path
        for path in paths
        if names_it(snapshot.read(path))
        and not is_facade(path, snapshot, library)
        and not _has_its_own(snapshot, layout, path, library)
    ]


def _has_its_own(snapshot: Snapshot, layout: Layout, path: str, library: Library) -> bool:
    """Whether a file is in a project within the project, which builds a library of that name itself."""
    project = project_of(snapshot, path)
    if project == layout.project_root or not project.startswith(layout.project_root):
        return False
    if posixpath.join(project, "setup.py") in layout.setup_files:
        return False  # it builds this library
    word = re.compile(rb"(?<!\w)" + re.escape(library.legacy.encode()) + rb"(?!\w)")
    files = (f"{project}/{name}" for name in ("setup.py", "CMakeLists.txt"))
    return any(snapshot.exists(file) and word.search(snapshot.read(file)) for file in files)


def is_facade(path: str, snapshot: Snapshot, library: Library) -> bool:
    """Whether a file is the Python side of the library itself, whose imports are its own affair."""
    named = posixpath.basename(path) in (f"{library.legacy}_ops.py", f"{library.facade}.py")
    return named and snapshot.read(path).startswith(b'"""The operators of ')


def _names_it(library: Library, *, by_attribute: bool) -> Callable[[bytes], bool]:
    """Whether a Python file imports the library or names its file: what is around each place of the name tells."""
    name = re.escape(library.legacy)
    word = rf"(?<![\w.]){name}(?!\w)"
    modules = "|".join(re.escape(module) for module in sorted(library.modules))
    attribute = rf"|(?<!ops)\.{name}(?![\w*])" if by_attribute else ""
    places = re.compile(word_start(library.legacy.encode()))
    on_a_line = re.compile(
        rf"^[ \t]*(?:from|import)\b.*(?:{word}|(?<!torch)\.{name}(?!\w))"
        rf"|[\"'](?:{modules}|\.{name})[\"']"
        rf"|[\"'/]{name}(?:(?:\.abi3)?\.(?:so|pyd|dylib)|[^\"']*\*){attribute}".encode()
    )
    in_parentheses = re.compile(rf"[ \t]*from\s[^\n]*\bimport\s*\([^)]*{word}".encode())

    def names_it(data: bytes) -> bool:
        for match in places.finditer(data):
            start, end = line_start(data, match.start()), data.find(b"\n", match.end())
            if on_a_line.search(data[start : end if end >= 0 else len(data)]):
                return True
            opening = data.rfind(b"(", 0, match.start())
            if opening >= 0 and in_parentheses.match(data, line_start(data, opening)):
                return True
        return False

    return names_it


def importers(snapshot: Snapshot, layout: Layout, names: Iterable[str], known: Sequence[str]) -> list[str]:
    """The project's Python files, those in `known` left out, that may import one of `names` ("pkg.backend.ext")."""
    words = sorted({name.rpartition(".")[2] for name in names})
    if not words:
        return []
    pattern = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, words))})(?!\w)".encode())
    paths = snapshot.below(layout.project_root, (".py",))
    left_out = {*layout.setup_files, *known}
    return [path for path in paths if path not in left_out and pattern.search(snapshot.read(path))]


def imported_names(snapshot: Snapshot, layout: Layout) -> dict[str, frozenset[str]]:
    """What the project's files import from each other by `from module import name`: names by the module's full name."""
    found: dict[str, set[str]] = {}
    for path in snapshot.below(layout.project_root, (".py",)):
        package = package_of(layout, path).split(".")
        for match in _FROM_IMPORT.finditer(snapshot.read(path).decode("utf-8", "replace")):
            dots, module = match["dots"], match["module"]
            base = package[: len(package) - len(dots) + 1] if dots else []
            names = re.findall(r"(\w+)(?:\s+as\s+\w+)?\s*(?:,|$)", (match["inside"] or match["names"]).strip())
            found.setdefault(".".join([*base, *filter(None, [module])]), set()).update(names)
    return {module: frozenset(names) for module, names in found.items()}


def package_of(layout: Layout, path: str) -> str:
    """The Python package that the file at `path` belongs to."""
    folder = posixpath.dirname(path)
    for root in sorted(layout.python_roots, key=len, reverse=True):
        if folder == root or folder.startswith(f"{root}/"):
            return f"{posixpath.basename(root)}{folder[len(root) :]}".replace("/", ".")
    return folder.replace("/", ".")


def compiles_library(sites: Sites, node: cst.CSTNode) -> bool:
    """Whether a call is one of `torch.utils.cpp_extension.load` that makes the legacy library."""
    import libcst as cst

    if not isinstance(node, cst.Call) or not node.args or b"cpp_extension" not in sites.file.data:
        return False
    others = {match.decode() for match in re.findall(rb"\bload\s+as\s+(\w+)", sites.file.data)}
    called = dotted_name(node.func)
    if called.rpartition(".")[2] != "load" and called not in others:
        return False
    named = [argument for argument in node.args if argument.keyword is not None and argument.keyword.value == "name"]
    return string_value((named or node.args)[0].value) == sites.library.legacy


def load_sites(sites: Sites) -> list[cst.CSTNode]:
    """The nodes that load the legacy library: imports and calls of loaders, in file order."""
    import libcst as cst

    imports: list[cst.Import | cst.ImportFrom] = [*sites.file.find(cst.Import), *sites.file.find(cst.ImportFrom)]
    found: list[cst.CSTNode] = [node for node in imports if sites.loads(node)]
    for call in sites.file.find(cst.Call):
        name = dotted_name(call.func).rpartition(".")[2]
        calls = name in IMPORTERS and call.args and string_value(call.args[0].value) in module_spellings(sites)
        opens = name in LOADERS and any(names_library(text, sites.library.legacy) for text in _strings(sites, call))
        if calls or opens or compiles_library(sites, call):
            found.append(call)
    return sorted(found, key=lambda node: sites.file.span(node))


def module_spellings(sites: Sites) -> set[str]:
    """What a string that names the module may be."""
    return {*sites.library.modules, f".{sites.library.legacy}"}


def string_value(node: cst.CSTNode) -> str:
    """The value of a plain string, "" for anything else."""
    import libcst as cst

    value = node.evaluated_value if isinstance(node, cst.SimpleString) else ""
    return value if isinstance(value, str) else ""


def _strings(sites: Sites, call: cst.Call) -> list[str]:
    """The literals in a loader's arguments, and in the one value of a variable that is passed."""
    text = " ".join(sites.file.text(argument) for argument in call.args)
    assigned = assigned_value(sites, call)
    return re.findall(r"[\"']([^\"']*)[\"']", f"{text} {sites.file.text(assigned) if assigned else ''}")


def assigned_value(sites: Sites, call: cst.Call) -> cst.BaseExpression | None:
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


def names_library(text: str, library: str) -> bool:
    """Whether a literal is the file name of the library (`_C.so`, `_C.abi3.so`), a pattern excluded."""
    name = text.rpartition("/")[2]
    return re.fullmatch(rf"{re.escape(library)}(\.abi3)?\.(so|pyd|dylib)", name) is not None
