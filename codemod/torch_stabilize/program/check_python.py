"""Whether Python would still find what it loads from the libraries, and the names that it takes from them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from torch_stabilize.buildfiles.model import Library
from torch_stabilize.model import Diagnostic
from torch_stabilize.program import codes
from torch_stabilize.program.codes import finding
from torch_stabilize.program.hollow import has_init
from torch_stabilize.program.imports import PythonSource, Use, loads_by_name, names_module
from torch_stabilize.program.planned import Planned
from torch_stabilize.repository.snapshot import Snapshot


@dataclass(frozen=True)
class PythonCheck:
    """The imports of a plan's Python files, for every library with a unit that changes."""

    planned: Planned
    _sources: dict[tuple[bool, str], PythonSource] = field(default_factory=dict, compare=False, repr=False)
    _lost: dict[tuple[str, str], bool] = field(default_factory=dict, compare=False, repr=False)

    def source(self, path: str, *, after: bool) -> PythonSource:
        """The Python file at `path`, before or after."""
        after = after and path in self.planned.origin
        if (after, path) not in self._sources:
            tree = self.planned.after.snapshot if after else self.planned.snapshot
            self._sources[after, path] = PythonSource(tree, path)
        return self._sources[after, path]

    def findings(self) -> Iterator[Diagnostic]:
        """What would not be found, once for each file and library."""
        for library in self.planned.before.libraries:
            if not any(path in self.planned.moved for path in library.units):
                continue
            partners = self._partners(library)
            for path in self._files(library):
                if path in self.planned.moved or self._may_break(library, partners):
                    yield from self._file(library, partners, path)

        for path, old in self.planned.origin.items():
            if old is None and path.endswith(".py"):
                yield from self._new_file(path)

    def _may_break(self, library: Library, partners: Sequence[Library]) -> bool:
        """Whether a file that stays as it is may lack something: a library is new or gone, or gives functions away."""
        known = {one.key for one in self.planned.before.libraries}
        keys = {one.key for one in partners}
        return (
            library.key not in keys or bool(keys - known) or any(one.is_python for one in self.planned.had.of(library))
        )

    def _new_file(self, path: str) -> Iterator[Diagnostic]:
        """Operators that a file which the plan makes calls, and that nothing registers."""
        for use in self.source(path, after=True).uses:
            if not use.module and not self._is_registered((use.space, use.name)) and not self.planned.said(use.name):
                message = f"{path} would call torch.ops.{use.space}.{use.name}, which nothing registers"
                yield finding(codes.PYTHON, self.planned.place(path), message, "Call the operator that is there.")
                return

    def _partners(self, library: Library) -> list[Library]:
        keys = self.planned.partners[library.key]
        return [one for one in self.planned.after.libraries if one.key in keys and one.units]

    def _files(self, library: Library) -> list[str]:
        """The Python files that may load `library`, build files left out."""
        built = {entry.file for entry in self.planned.before.entries}
        paths = self.planned.snapshot.below(library.project, (".py",))
        may_load = loads_by_name(library.name)
        theirs = {
            one.project
            for one in self.planned.before.libraries
            if one.name == library.name and one.project.startswith(f"{library.project}/" if library.project else "")
        } - {library.project}
        return [
            path
            for path in paths
            if path not in built
            and may_load(self.planned.snapshot.read(path))
            and not any(path.startswith(f"{project}/") for project in theirs)
        ]

    def _file(self, library: Library, partners: Sequence[Library], path: str) -> Iterator[Diagnostic]:
        before = self.source(path, after=False)
        loads = [load for load in before.loads if names_module(load, library.module, library.name)]
        if not loads:
            return
        place = (path, loads[0].span)
        name = library.module or library.name
        now = self.planned.now(path)
        if now is None:
            return
        after = self.source(now, after=True)
        if after.tree is None:
            return  # a finding of its own
        if not any(one.key == library.key for one in partners):
            left = [load for load in after.loads if names_module(load, library.module, library.name)]
            if left and not self._is_python(name) and not self.planned.said(name):
                yield finding(codes.PYTHON, place, f"{path} loads {name}, which would not be built")
                return
        imported = [load for load in after.loads if names_module(load, library.module, library.name)]
        if any(not load.is_file for load in imported) and self._loses_init(library):
            message = f"{path} imports {name}, which would have no entry point for Python (PyInit_{library.name})"
            if not self.planned.said(name):
                yield finding(codes.PYTHON, place, message, "Keep one in it, or import what takes its place.")
            return
        for other in partners:
            is_there = any(one.key == other.key for one in self.planned.before.libraries)
            holds = any(not found.is_python for found in self.planned.have.of(other))
            if other.key == library.key or is_there or not holds or self._speaks_of(path):
                continue
            if not self._loads(after, other):
                taker = other.module or other.name
                message = f"{path} loads {name} and would not load {taker}, which takes its operators"
                yield finding(codes.PYTHON, place, message, "Load it there too.")
        yield from self._names(library, partners, before, after)

    def _loses_init(self, library: Library) -> bool:
        """Whether `library` would go on to be built, and no source of it would have the entry point that one had."""
        if library.key not in self._lost:
            now = next((one for one in self.planned.after.libraries if one.key == library.key and one.units), None)
            is_known = now is not None and not self.planned.after.has_gap(now)
            has_none = is_known and now is not None and not self._has_init(self.planned.after.snapshot, now)
            self._lost[library.key] = has_none and self._has_init(self.planned.snapshot, library)
        return self._lost[library.key]

    def _has_init(self, snapshot: Snapshot, library: Library) -> bool:
        return any(has_init(snapshot.document(unit)) for unit in sorted(library.units) if snapshot.exists(unit))

    def _loads(self, source: PythonSource, library: Library) -> bool:
        """Whether a file, or one that it imports, loads `library`. What is imported first is read first."""
        tree, word = self.planned.after.snapshot, library.name.encode()
        if not any(word in tree.read(path) for path in tree.below(library.project, (".py",))):
            return False
        seen = {source.path}
        waiting = deque(seen)
        while waiting:
            one = self.source(waiting.popleft(), after=True)
            if word in tree.read(one.path) and any(
                names_module(load, library.module, library.name) for load in (*one.loads, *one.may_load)
            ):
                return True
            fresh = [path for path in one.imported if path not in seen]
            seen.update(fresh)
            # a file that names the library may load it: no other one has to be read before it
            waiting.extendleft(path for path in fresh if word in tree.read(path))
            waiting.extend(path for path in fresh if word not in tree.read(path))
        return False

    def _speaks_of(self, path: str) -> bool:
        """Whether the plan says something of how `path` loads libraries."""
        return any(d.path == path and d.code.startswith("TSA63") for d in self.planned.plan.diagnostics)

    def _is_python(self, name: str) -> bool:
        """Whether the module is a Python file of that name."""
        snapshot = self.planned.after.snapshot
        parts = name.replace(".", "/")
        return snapshot.exists(f"{parts}.py") or snapshot.exists(f"{parts}/__init__.py")

    def _names(
        self, library: Library, partners: Sequence[Library], before: PythonSource, after: PythonSource
    ) -> Iterator[Diagnostic]:
        """Functions that are taken from the module and would not be in it, and operators that nobody registers."""
        had = {found.name for found in self.planned.had.of(library) if found.is_python}
        has = {found.name for one in partners if one.key == library.key for found in self.planned.have.of(one)}
        name = library.module or library.name
        told: set[str] = set()
        for use in _taken(library, after):
            if use.name in had - has - told and not self.planned.said(use.name):
                told.add(use.name)
                message = f"{before.path} takes {use.name} from {name}, which would not have it"
                place = self.planned.place(after.path, use.span)
                yield finding(codes.PYTHON, place, message, "Call the operator that it became.")
        known = {(use.space, use.name) for use in before.uses if not use.module}
        ops = {
            (found.namespace, found.name.partition(".")[0]) for one in partners for found in self.planned.have.of(one)
        }
        for use in after.uses:
            key = (use.space, use.name)
            if use.module or key in known or key in ops or use.name in told or key in self._of_others(library, before):
                continue
            told.add(use.name)
            if self._is_registered(key) and use.name in {name for _, name in ops}:
                message = f"{before.path} would call torch.ops.{use.space}.{use.name}, which {name} does not register"
            elif not self._is_registered(key):
                message = f"{before.path} would call torch.ops.{use.space}.{use.name}, which nothing registers"
            else:
                continue  # another library's operator
            if not self.planned.said(use.name):
                yield finding(codes.PYTHON, self.planned.place(after.path), message, "Call the operator that is there.")

    def _of_others(self, library: Library, before: PythonSource) -> set[tuple[str, str]]:
        """The operators that functions become which a file takes from other libraries."""
        found: set[tuple[str, str]] = set()
        for other in self.planned.before.libraries:
            taken = {use.name for use in _taken(other, before)} if other.key != library.key else set()
            if taken:
                new = (one for partner in self._partners(other) for one in self.planned.have.of(partner))
                found |= {(one.namespace, name) for one in new if (name := one.name.partition(".")[0]) in taken}
        return found

    def _is_registered(self, key: tuple[str, str]) -> bool:
        return any(
            (found.namespace, found.name.partition(".")[0]) == key
            for one in self.planned.after.libraries
            for found in self.planned.have.of(one)
        )


def _taken(library: Library, source: PythonSource) -> Iterator[Use]:
    """The names that a file takes from `library`."""
    for load in source.loads:
        if names_module(load, library.module, library.name):
            yield from (Use(load.module, "", name, load.span) for name in load.names)
            yield from (use for use in source.uses if use.module == load.module)


def check_python(planned: Planned) -> Iterator[Diagnostic]:
    """Modules and names that Python would not find."""
    yield from PythonCheck(planned).findings()
