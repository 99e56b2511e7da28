"""What newer headers or a newer target make needless of what earlier runs generated, as a plan like any other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from torch_stabilize.config import Config
from torch_stabilize.formatting.clang_format import format_changed, style_for
from torch_stabilize.model import Diagnostic, Edit, FileChange, Plan, Severity, Span
from torch_stabilize.repository.includes import IncludeGraph
from torch_stabilize.repository.layout import Layout
from torch_stabilize.repository.snapshot import Snapshot
from torch_stabilize.repository.sources import include_graph
from torch_stabilize.retire.codes import KEPT, RETIRED
from torch_stabilize.retire.generated import Generated, generated_headers, without
from torch_stabilize.retire.include_lines import exchanged
from torch_stabilize.retire.uses import Use, helper_uses, wrapped_uses, wrapper_names
from torch_stabilize.rules.context import Context, Project
from torch_stabilize.rules.needed_headers import needed_by_names
from torch_stabilize.rules.snippets import known_returns
from torch_stabilize.source.document import CUDA_SUFFIXES, Document
from torch_stabilize.source.edits import apply, settle
from torch_stabilize.source.function_index import FunctionIndex
from torch_stabilize.source.mask import mask
from torch_stabilize.source.scopes import TypeFinder
from torch_stabilize.source.signatures import read_signatures
from torch_stabilize.surface.entry import Entry
from torch_stabilize.surface.schemas import find_op
from torch_stabilize.surface.snippet import all_snippets
from torch_stabilize.surface.table import Surface, load_surface

NAME = "retire"
_ATOMIC_ADD = b"atomicAdd"  # CUDA's own name, which a helper and a header of torch overload


def plan_retirement(
    snapshot: Snapshot, layout: Layout, target: str, headers: str, config: Config | None = None, *, format: bool = True
) -> Plan:
    """What of the generated code in the tree is removed for a binary for `target` that headers of `headers` build."""
    graph = include_graph(snapshot, layout, config or Config())
    generated = generated_headers(snapshot, graph.files)
    if not generated:
        return Plan(NAME, target)
    return _Retirement(snapshot, graph, target, headers, generated, format).plan()


@dataclass(frozen=True)
class _Retirement:
    snapshot: Snapshot
    graph: IncludeGraph
    target: str
    headers: str
    generated: tuple[Generated, ...]
    format: bool

    def plan(self) -> Plan:
        """The plan; nothing is in it where everything generated is still needed."""
        after: dict[str, bytes | None] = {}
        edits: dict[str, tuple[Edit, ...]] = {}
        for path in self._users:
            done = tuple(
                use.edit for use in self._uses[path] if use.edit.replacement != self._text(path, use.edit.span)
            )
            edits[path] = done
            after[path] = apply(self.snapshot.read(path), done)
        for one in self.generated:
            after[one.path] = self._header(one, after)
        gone = {path for path, text in after.items() if text is None}
        for path in self._users:
            if path not in gone:
                more = self._includes(path, after, gone)
                edits[path] = settle([*edits[path], *more])
                after[path] = apply(self.snapshot.read(path), edits[path])
        files = [self._change(path, after[path], edits.get(path, ())) for path in sorted(after)]
        return Plan(NAME, self.target, tuple(one for one in files if one is not None), tuple(self._kept()))

    def _change(self, path: str, after: bytes | None, edits: tuple[Edit, ...]) -> FileChange | None:
        before = self.snapshot.read(path)
        if after == before:
            return None
        if after is None:
            return FileChange(path, None, before, None)
        if self.format:
            after = format_changed(self.snapshot.document(path), after, style_for(self.snapshot, path))
        if after == before:
            return None
        whole = (Edit(Span(0, len(before)), after, RETIRED),)
        return FileChange(path, path, before, after, edits or whole)

    def _text(self, path: str, span: Span) -> bytes:
        return self.snapshot.document(path).text(span)

    @cached_property
    def _surface(self) -> Surface:
        return load_surface().at(self.target, self.headers)

    @cached_property
    def _users(self) -> tuple[str, ...]:
        """The files that reach a generated header, those headers too."""
        own = {one.path for one in self.generated}
        return tuple(path for path in self.graph.files if path not in own and own & self.graph.reached(path))

    @cached_property
    def _project(self) -> Project:
        reached = {path for user in self._users for path in self.graph.reached(user)}
        paths = sorted({*self._users, *reached} & {*self.graph.files})
        documents = tuple(self.snapshot.document(path) for path in paths)
        finder = TypeFinder(documents, known_returns())
        return Project(
            self._surface, self.target, finder.documents, finder, FunctionIndex(finder.documents), headers=self.headers
        )

    @cached_property
    def _uses(self) -> Mapping[str, tuple[Use, ...]]:
        """The uses that become native, by file."""
        wrappers = {op for one in self.generated for op in one.ops}
        found: dict[str, tuple[Use, ...]] = {}
        for path in self._users:
            document = self.snapshot.document(path)
            uses = list(wrapped_uses(Context(self._project, document), wrappers)) if wrappers else []
            for name, rows in self._native_helpers.items():
                if name not in self._in_the_way and self._has(path, name):
                    uses += [use for entry, native in rows for use in helper_uses(document, entry, native)]
            found[path] = tuple(uses)
        return found

    @cached_property
    def _native_helpers(self) -> Mapping[str, tuple[tuple[Entry, Entry], ...]]:
        """Helpers of the tree all of whose names the headers have, with each row and the one in its place."""
        there = {name for one in self.generated for name in one.helpers}
        rows: dict[str, list[tuple[Entry, Entry | None]]] = {}
        for entry in load_surface().table:
            if entry.helper in there and entry.kind != "include":
                native = entry.native
                fits = native is not None and self._surface.available(native, self.target, self.headers)
                rows.setdefault(entry.helper, []).append((entry, native if fits else None))
        return {
            name: tuple((entry, native) for entry, native in found if native is not None)
            for name, found in sorted(rows.items())
            if all(native is not None for _, native in found)
        }

    def _has(self, path: str, helper: str) -> bool:
        """Whether a file sees the header that defines a helper."""
        reached = self.graph.reached(path)
        return any(helper in one.helpers and one.path in reached for one in self.generated)

    @cached_property
    def _in_the_way(self) -> Mapping[str, tuple[str, str]]:
        """Helpers that have to stay: by name, the file that needs them and why."""
        found: dict[str, tuple[str, str]] = {}
        own = {one.path for one in self.generated}
        for name, rows in self._native_helpers.items():
            words = {word.encode() for word in _defined(name)}
            for path in self._users:
                document = self.snapshot.document(path)
                if not self._has(path, name) or words.isdisjoint(document.words):
                    continue
                if any(native.device_only for _, native in rows) and not path.endswith((*CUDA_SUFFIXES, ".hip")):
                    found.setdefault(name, (path, "is no CUDA source"))
                namesakes = {f.name.encode() for f in read_signatures(document)} & words
                if namesakes and path not in own:
                    found.setdefault(name, (path, f"has a {min(namesakes).decode()} of its own"))
        return found

    def _kept(self) -> Iterable[Diagnostic]:
        for name, (path, why) in self._in_the_way.items():
            yield Diagnostic(KEPT, Severity.NOTE, path, Span(0, 0), f"{name} stays: {path} uses it and {why}")

    def _header(self, one: Generated, after: Mapping[str, bytes | None]) -> bytes | None:
        """What is left of a generated header once its users are as they will be."""
        texts = [mask(text) for path, text in after.items() if text is not None and self._sees(path, one.path)]
        ops: Sequence[str] = one.ops
        if one.ops:
            names = frozenset[str]().union(*map(wrapper_names, texts))
            natives = {use.edit.replacement for uses in self._uses.values() for use in uses}
            is_due = any(natives) or not names
            ops = [op for op in one.ops if _cpp_name(op) in names] if is_due else one.ops
        replaced = {name for name in one.helpers if name in self._native_helpers and name not in self._in_the_way}
        helpers = [name for name in one.helpers if name not in replaced]
        return without(self.snapshot, one, ops, helpers, self.headers)

    def _sees(self, path: str, header: str) -> bool:
        return header in self.graph.reached(path)

    def _includes(self, path: str, after: Mapping[str, bytes | None], gone: set[str]) -> tuple[Edit, ...]:
        """The edits of the include lines of a user: what is native comes in, headers of which it uses nothing go."""
        document = self.snapshot.document(path)
        wanted = {use.include for use in self._uses[path] if use.include}
        code = mask(after[path] or b"")
        dropped: set[str] = set()
        for include in self.graph.includes(path):
            if include.target in gone or (include.target and wanted and self._is_idle(include.target, code, after)):
                dropped.add(include.name)
        for name, rows in self._native_helpers.items():
            is_meant = name not in self._in_the_way and self._has(path, name)
            if is_meant and _ATOMIC_ADD.decode() in _defined(name) and _ATOMIC_ADD in document.words:
                wanted |= {native.include for _, native in rows if native.form == "same"}
        if not wanted and not dropped:
            return ()
        if dropped:
            wanted |= {name for name in needed_by_names(code) if not name.startswith(("torch/", "cuda"))}
        return exchanged(document, dropped, wanted)

    def _is_idle(self, header: str, code: bytes, after: Mapping[str, bytes | None]) -> bool:
        """Whether `code` uses nothing of a generated header, as it will be."""
        one = next((found for found in self.generated if found.path == header), None)
        text = after.get(header)
        if one is None or text is None:
            return False
        if one.ops and not one.helpers:
            return not wrapper_names(code)
        return False


def _defined(name: str) -> frozenset[str]:
    """The functions and macros that a helper defines for others."""
    document = Document(f"{name}.h", all_snippets()[name].code.encode())
    functions = {function.name for function in read_signatures(document)}
    return frozenset({*functions, *(macro.name for macro in document.macros)})


def _cpp_name(op: str) -> str:
    name, _, overload = op.partition(".")
    return find_op(name, overload).cpp_name


__all__ = ["NAME", "plan_retirement"]
