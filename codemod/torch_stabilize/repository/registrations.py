"""A quick look at the files that bind functions to Python: which libraries, ops, functions and dispatch keys they name.

Enough to tell a main bindings file from an alternative one, and which unit implements what. The exact model of
registrations, with schemas and conditions, is `bindings/`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from torch_stabilize.repository.layout import Layout
from torch_stabilize.repository.snapshot import Snapshot
from torch_stabilize.source.document import Document
from torch_stabilize.source.patterns import places, word_start
from torch_stabilize.source.spans import line_start

_BLOCK = re.compile(
    rb"^(?![ \t]*#)[^\n\"]*?\b(?P<macro>(?P<stable>STABLE_)?TORCH_LIBRARY(?P<rest>[A-Z_]*)|PYBIND11_MODULE)\s*"
    rb"\((?P<arguments>(?:[^()]|\([^()]*\))*)\)",
    re.MULTILINE,
)
_MARKS = (b"TORCH_LIBRARY", b"PYBIND11_MODULE")
_STATEMENT = re.compile(
    rb"(?P<verb>" + word_start(b"def") + rb"|" + word_start(b"impl") + rb"|op(?<=\.op))"
    rb"""\s*\(\s*(?:TORCH_SELECTIVE_NAME\()?
         "(?P<op>[\w:]+)[^"\\]*(?:\\.[^"\\]*)*"       # the name, and a schema behind it
         (?P<rest>[^";.]*(?:(?:"[^"\\]*(?:\\.[^"\\]*)*"|\.(?!op\b))[^";.]*)*)""",
    re.VERBOSE,
)
_STRING = re.compile(rb'"(?:\\.|[^"\\\n])*"')
_FUNCTION = re.compile(rb"(?:&\s*|TORCH_FN\(\s*|TORCH_BOX\(\s*&?\s*)([A-Za-z_][\w:]*)")
_BARE_FUNCTION = re.compile(rb",\s*(?!(?:torch|at|c10)::)([A-Za-z_][\w:]*)\s*(?=[),])")
_LAMBDA = re.compile(rb"\[[&=\w, ]*\]\s*[({]")
_REGISTRY = re.compile(rb"\b(?:torch|c10)::RegisterOperators\b")  # what was used before TORCH_LIBRARY
_KEYS = tuple(
    re.compile(word_start(begin) + rb"(\w+)") for begin in (b"torch::k", b"c10::k", b"at::k", b"DispatchKey::")
)  # one by one, as each begins with letters that a search can skip to
_MODULE_NAME = re.compile(rb"\b(?:REGISTER_EXTENSION\s*\(\s*|PyInit_)(\w+)")
_OWN_NAME = re.compile(rb"^[ \t]*#[ \t]*define[ \t]+TORCH_EXTENSION_NAME[ \t]+(\w+)", re.MULTILINE)
COMPUTED_NAMES = ("TORCH_EXTENSION_NAME", "NAME")  # of namespaces that are called as the build calls the module
GPU_KEYS = frozenset({"CUDA", "HIP", "XPU", "MPS", "PrivateUse1"})


class Registrations(NamedTuple):
    """What one file binds. Names are as written; `TORCH_EXTENSION_NAME` represents whatever the build calls it."""

    path: str
    stable: bool  # written with STABLE_TORCH_LIBRARY*
    defines: bool  # opens a library, a fragment or a module; False where it only implements ops
    libraries: tuple[str, ...]  # first arguments of its blocks
    modules: tuple[str, ...]  # module names it exports by name (PyInit_, REGISTER_EXTENSION, PYBIND11_MODULE)
    exclusive: bool  # opens a library or module of its own: two such files with the same ops are alternatives
    defined: frozenset[str]  # ops it defines
    ops: frozenset[str]  # ops it defines or implements
    functions: frozenset[str]  # C++ functions it binds, without namespaces
    keys: frozenset[str]  # dispatch keys it names
    implements: tuple[tuple[str, str], ...]  # (op, function), in order; "" where no function is named
    has_lambdas: bool  # some op is implemented on the spot

    @property
    def is_cpu_only(self) -> bool:
        """It names the CPU and no accelerator."""
        return "CPU" in self.keys and not self.keys & GPU_KEYS


def extension_name(document: Document) -> str:
    """What a file itself defines TORCH_EXTENSION_NAME as, "" where the build does."""
    found = _OWN_NAME.search(document.code) if b"TORCH_EXTENSION_NAME" in document.data else None
    return found.group(1).decode() if found else ""


def registrations_of(snapshot: Snapshot, path: str) -> Registrations | None:
    """What the file at `path` binds, read once for everybody who asks."""
    return snapshot.once((Registrations, path), lambda: read_registrations(snapshot.document(path)))


def read_registrations(document: Document) -> Registrations | None:
    """What a file binds, or None where it holds no registration block."""
    if not any(mark in document.data for mark in (*_MARKS, b"RegisterOperators")):
        return None
    text = document.uncommented
    blocks = list(_blocks(text))
    by_registry = b"RegisterOperators" in document.data and _REGISTRY.search(document.code) is not None
    if not blocks and not by_registry:
        return None
    libraries: list[str] = []
    keys = {match.group(1).decode() for pattern in _KEYS for match in pattern.finditer(text)}
    exports = b"REGISTER_EXTENSION" in text or b"PyInit_" in text
    modules = [match.group(1).decode() for match in _MODULE_NAME.finditer(text)] if exports else []
    for match in blocks:
        arguments = [argument.strip().decode("utf-8", "replace") for argument in match.group("arguments").split(b",")]
        libraries.append(arguments[0])
        if match.group("macro") == b"PYBIND11_MODULE":
            modules.append(arguments[0])
        elif b"_IMPL" in match.group("rest") and len(arguments) > 1:
            keys.add(arguments[-2])
    statements = list(_STATEMENT.finditer(text))
    pairs = tuple((_op(match), _function(match)) for match in statements)
    if by_registry:
        libraries += [
            match.group("op").decode().partition("::")[0] for match in statements if match.group("verb") == b"op"
        ]
    kinds = [match.group("rest") or b"" for match in blocks]
    return Registrations(
        document.path,
        stable=any(match.group("stable") for match in blocks),
        defines=by_registry or any(b"_IMPL" not in kind for kind in kinds),
        libraries=tuple(dict.fromkeys(libraries)),
        modules=tuple(dict.fromkeys(modules)),
        exclusive=any(b"_IMPL" not in kind and b"_FRAGMENT" not in kind for kind in kinds),
        defined=frozenset(_op(match) for match in statements if match.group("verb") != b"impl"),
        ops=frozenset(op for op, _ in pairs),
        functions=frozenset(function for _, function in pairs if function),
        keys=frozenset(keys),
        implements=pairs,
        has_lambdas=any(_LAMBDA.search(match.group("rest")) for match in statements),
    )


def _blocks(text: bytes) -> Iterator[re.Match[bytes]]:
    """The heads of the registration blocks; only lines with a macro's name are looked at."""
    done = 0
    for mark in places(text, *_MARKS):
        line = line_start(text, mark)
        if line >= done and (match := _BLOCK.match(text, line)):
            yield match
            done = match.end()


def _function(match: re.Match[bytes]) -> str:
    """The function a `def`, `impl` or `op` binds, without namespaces; "" where it names none."""
    rest = _STRING.sub(b"", match.group("rest"))
    function = None if _LAMBDA.search(rest) else _FUNCTION.search(rest) or _BARE_FUNCTION.search(rest)
    return function.group(1).decode().rpartition("::")[2] if function else ""


def _op(match: re.Match[bytes]) -> str:
    """The op's name without its namespace."""
    return match.group("op").decode().rpartition("::")[2]


def may_be_counterpart(snapshot: Snapshot, layout: Layout, sources: Iterable[str]) -> bool:
    """Whether a stable library of `sources`, whose name does not tell whose it is, may be that of `layout`.

    It is another one's where it registers operators, and none in a namespace of the library that migrates.
    """
    theirs = _namespaces(snapshot, sources)
    library = next((one for one in layout.libraries if one.name == layout.legacy_library), None)
    ours = _namespaces(snapshot, library.bindings if library is not None else layout.legacy_bindings)
    is_computed = bool({"TORCH_EXTENSION_NAME", "NAME"} & (theirs | ours))
    return not theirs or not ours or is_computed or bool(theirs & ours)


def _namespaces(snapshot: Snapshot, paths: Iterable[str]) -> set[str]:
    read = (registrations_of(snapshot, path) for path in paths if snapshot.exists(path))
    return {name for found in read if found is not None for name in found.libraries}
