"""Reads a setup.py once: the extension modules that it builds, as entries of the program."""

from __future__ import annotations

import ast
import posixpath
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from torch_stabilize.buildfiles.model import Abi, BuildEntry, Gap, GapKind, Source, When
from torch_stabilize.buildfiles.setup.evaluate.functions import COMMANDS
from torch_stabilize.buildfiles.setup.evaluate.paths import place
from torch_stabilize.buildfiles.setup.evaluate.state import SetupCall, State, source_of
from torch_stabilize.buildfiles.setup.evaluate.statements import Statements
from torch_stabilize.buildfiles.setup.evaluate.values import (
    NONE,
    Arguments,
    Frame,
    Function,
    Item,
    Made,
    Text,
    Value,
    Written,
    alternatives,
    beyond,
    both,
    expanded,
    is_possible,
    joined,
)  # fmt: skip
from torch_stabilize.model import Span
from torch_stabilize.repository.snapshot import Snapshot

SYSTEM = "setuptools"
_LANGUAGES = {"CUDAExtension": ("CXX", "CUDA"), "SyclExtension": ("CXX", "SYCL"), "CppExtension": ("CXX",)}
TARGET_MACRO = "TORCH_TARGET_VERSION"
_STABLE_MACROS = (TARGET_MACRO, "TORCH_STABLE_ONLY")  # either hides the unstable API


class SetupEntry(NamedTuple):
    """An extension module and what only setup.py has: the classes that make it, each with its conditions.

    `has_sources` tells an extension without sources (CMake builds it) from one with an empty list. `macros` are names,
    values and the conditions of each, beyond those of the entry. `spelled` has the path of each source, the text that
    the list has for it, and whether that is a path rather than a string.
    """

    entry: BuildEntry
    kinds: tuple[tuple[When, str], ...]
    has_sources: bool
    macros: tuple[tuple[str, str, When], ...] = ()
    spelled: tuple[tuple[str, str, bool], ...] = ()

    @property
    def is_given_unread(self) -> bool:
        """Whether the call is given arguments that are not known: `Extension(**settings)`."""
        return any(gap.kind is GapKind.SOURCES for gap in self.entry.gaps) and not self.has_sources

    @property
    def is_open(self) -> bool:
        """Whether more sources may be built into it than are known."""
        return any(gap.kind is GapKind.SOURCES for gap in self.entry.gaps)


class SetupFile(NamedTuple):
    """What a setup.py says. `files` are the Python files that were read for it, itself included."""

    entries: tuple[SetupEntry, ...]
    gaps: tuple[Gap, ...]
    setups: tuple[SetupCall, ...]
    files: tuple[str, ...]


def read_setup_file(snapshot: Snapshot, path: str) -> SetupFile:
    """What the setup file at `path` builds, read once for everybody who asks; what is not read is a gap."""
    return snapshot.once((SetupFile, path), lambda: _read(snapshot, path))


class _Known(NamedTuple):
    """A setup file that was read, its bytes, and what was asked of the tree on the way."""

    read: SetupFile
    data: bytes
    asked: Sequence[tuple[Callable[[Snapshot], object], object]]

    def is_so(self, snapshot: Snapshot, path: str) -> bool:
        """Whether the file says the same in another tree."""
        return snapshot.read(path) == self.data and all(ask(snapshot) == answer for ask, answer in self.asked)


_KNOWN: OrderedDict[str, _Known] = OrderedDict()  # by path: a plan's tree is read right behind the tree as it is
_MOST_KNOWN = 8


def _read(snapshot: Snapshot, path: str) -> SetupFile:
    known = _KNOWN.get(path)
    if known is not None and known.is_so(snapshot, path):
        return known.read
    state = State(snapshot, posixpath.dirname(path))
    found = _evaluated(state, path)
    _KNOWN[path] = _Known(found, snapshot.read(path), state.asked)
    _KNOWN.move_to_end(path)
    while len(_KNOWN) > _MOST_KNOWN:
        _KNOWN.popitem(last=False)
    return found


def _evaluated(state: State, path: str) -> SetupFile:
    source = source_of(state.snapshot, path)
    if source is None:
        return _nothing(path, "the file cannot be parsed")
    state.sources[path] = source
    state.frame = Frame(path, None, {"__name__": Text("__main__")})
    evaluator = Statements(state)
    try:
        evaluator.block(source.tree.body)
        reached, gaps = _given_to_setup(evaluator)
        if reached is None:
            _run_the_rest(evaluator, source.tree)
            reached = [Item(made, made.when) for made in state.made]
    except RecursionError:
        return _nothing(path, "the file nests too deeply")
    if state.is_late():
        state.gaps.append(Gap(GapKind.SOURCES, path, Span(0, 0), "evaluating the file takes too long"))
    entries = [*_alike(_entries(state, reached))]
    entries.sort(key=lambda one: (one.entry.file != path, one.entry.file, one.entry.span.start))
    return SetupFile(tuple(entries), (*state.gaps, *gaps), tuple(state.setups), tuple(state.sources))


def _nothing(path: str, why: str) -> SetupFile:
    return SetupFile((), (Gap(GapKind.FILE, path, Span(0, 0), why),), (), (path,))


def _given_to_setup(evaluator: Statements) -> tuple[list[Item] | None, list[Gap]]:
    """The extension modules that setup() is given, each with its conditions; None where that was not read."""
    found: list[Item] = []
    state = evaluator.state
    if not state.setups:
        return None, []
    for call in state.setups:
        value = call.arguments.values.get("ext_modules")
        if value is None or call.arguments.gaps:
            return None, call.arguments.gaps
        state.when = call.when
        items, gaps = evaluator.items(value, _at(call))
        state.when = ()
        found += [item for item in items if isinstance(item.value, Made)]
        if gaps or len(found) < len(items):
            return None, gaps
    return found, []


def _at(call: SetupCall) -> ast.expr:
    """A node at the place of a call, for gaps."""
    return ast.Constant(None, lineno=1, col_offset=0, end_lineno=1, end_col_offset=0)


def _run_the_rest(evaluator: Statements, tree: ast.Module) -> None:
    """Functions that nothing calls here, and that make extension modules: with arguments that are not known."""
    state = evaluator.state
    functions = [value for value in state.frame.names.values() if isinstance(value, Function)]
    for function in functions:
        node = function.node
        if id(node) in state.called or isinstance(node, ast.Lambda) or not _makes_modules(node):
            continue
        call = ast.copy_location(ast.Call(ast.Name(node.name, ast.Load()), [], []), node.body[0])
        before, state.frame = state.frame, function.frame
        evaluator.run(call, function, Arguments())
        state.frame = before


def _makes_modules(node: ast.AST) -> bool:
    return any(
        isinstance(inner, (ast.Name, ast.Attribute))
        and (name := inner.id if isinstance(inner, ast.Name) else inner.attr).endswith("Extension")
        and name not in COMMANDS
        for inner in ast.walk(node)
    )


def _entries(state: State, reached: Iterable[Item]) -> Iterator[SetupEntry]:
    whens: dict[Made, list[When]] = {}
    for item in reached:
        if isinstance(item.value, Made):
            when = both(item.value.when, item.when)
            if is_possible(when):
                whens.setdefault(item.value, []).append(when)
    for made, found in whens.items():
        for when in joined(found):
            for more, name in made.names or [((), NONE)]:
                if is_possible(both(when, more)):
                    yield _entry(state, made, name, both(when, more))


def _entry(state: State, made: Made, name: Value, when: When) -> SetupEntry:
    module = name.text if isinstance(name, Text) else ""
    sources: dict[tuple[str, Span], list[tuple[When, Source]]] = {}
    gaps = list(made.gaps)
    for item in made.sources or ():
        everything = both(when, item.when)
        if not is_possible(everything):
            continue
        source = _source(state, item.value, everything)
        if source is None:
            gaps.append(_unread(item.value, made))
        else:
            sources.setdefault((source.path, source.written), []).append((everything, source))
    found = [source._replace(when=w) for rows in sources.values() for w, source in _rows(rows)]
    found.sort(key=lambda source: (source.file, source.written, source.path))
    macros = [(name, value, more) for name, value, more in made.macros if is_possible(both(when, more))]
    kinds = tuple((beyond(more, when), kind.name) for more, kind in made.kinds if is_possible(both(when, more)))
    entry = BuildEntry(
        SYSTEM,
        made.place.path,
        made.place.span,
        module.rpartition(".")[2],
        module,
        when=when,
        sources=tuple(found),
        include_dirs=tuple(dict.fromkeys(_folders(state, made.include_dirs))),
        macros=tuple(dict.fromkeys((name, value) for name, value, _ in macros)),
        languages=_languages(kinds, found),
        abi=_abi(macros, when),
        limited_api=made.limited_api,
        round=made.round,
        gaps=tuple(dict.fromkeys(gaps)),
        always=frozenset(name for name, _, more in macros if beyond(more, when) == ()),
    )
    defined = tuple(dict.fromkeys((name, value, beyond(more, when)) for name, value, more in macros))
    return SetupEntry(entry, kinds, made.sources is not None, defined, tuple(dict.fromkeys(_spelled(state, made))))


def _spelled(state: State, made: Made) -> Iterator[tuple[str, str, bool]]:
    for item in expanded(made.sources or ()):
        path = place(item.value.text, state.folder) if isinstance(item.value, Text) else None
        if isinstance(item.value, Text) and path is not None:
            yield path, item.value.text, item.value.is_path


def _alike(entries: Iterable[SetupEntry]) -> Iterator[SetupEntry]:
    """The entries, those that differ in nothing but their conditions as few as can be."""
    groups: dict[tuple[object, ...], list[SetupEntry]] = {}
    for one in entries:
        sources = tuple((s.path, s.written, beyond(s.when, one.entry.when)) for s in one.entry.sources)
        key = (one.entry.file, one.entry.span, one.entry.module, one.entry.round, sources, one.kinds, one.entry.macros)
        groups.setdefault(key, []).append(one)
    for group in groups.values():
        first = group[0]
        for when in joined([one.entry.when for one in group]):
            entry = first.entry
            sources_then = tuple(s._replace(when=both(when, beyond(s.when, entry.when))) for s in entry.sources)
            yield first._replace(entry=entry._replace(when=when, sources=sources_then))


def _rows(rows: Sequence[tuple[When, Source]]) -> list[tuple[When, Source]]:
    return [(when, rows[0][1]) for when in joined([when for when, _ in rows])]


def _source(state: State, value: Value, when: When) -> Source | None:
    if not isinstance(value, Text) or value.written is None or not value.text:
        return None
    path = place(value.text, state.folder)
    written: Written = value.written
    if path is None:
        return None
    return Source(
        path, written.place.path, written.place.span, written.holder, when, written.origin, written.pattern
    )  # fmt: skip


def _unread(value: Value, made: Made) -> Gap:
    known = getattr(value, "gap", None)
    if isinstance(known, Gap):
        return known
    return Gap(GapKind.SOURCES, made.place.path, made.place.span, "a source is named when the file runs")


def _folders(state: State, items: Iterable[Item]) -> Iterator[str]:
    for item in items:
        for _, value in alternatives(item.value):
            path = place(value.text, state.folder) if isinstance(value, Text) and value.text else None
            if path is not None:
                yield "" if path == "." else path


def _languages(kinds: Sequence[tuple[When, str]], sources: Sequence[Source]) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for _, kind in kinds:
        found |= dict.fromkeys(_LANGUAGES.get(kind, ("CXX",)))
    if any(source.path.endswith(".cu") for source in sources):
        found["CUDA"] = None
    return tuple(found)


def _abi(macros: Sequence[tuple[str, str, When]], when: When) -> Abi:
    """By the macros that the headers ask for: in some cases only, it is built for both."""
    targets = joined([beyond(more, when) for name, _, more in macros if name in _STABLE_MACROS])
    if not targets:
        return Abi.LEGACY
    return Abi.STABLE if () in targets else Abi.MIXED
