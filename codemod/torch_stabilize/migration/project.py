"""What the rules need to know of the whole group: its documents, functions, helpers and dispatch macros."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from torch_stabilize.buildfiles.model import Abi
from torch_stabilize.config import Config
from torch_stabilize.model import Edit
from torch_stabilize.program.abi import abi_of_file
from torch_stabilize.program.scan import macros_of_build
from torch_stabilize.repository.includes import IncludeGraph
from torch_stabilize.repository.layout import Group, Layout
from torch_stabilize.repository.snapshot import Snapshot
from torch_stabilize.repository.sources import include_graph
from torch_stabilize.rules.context import Context, Project
from torch_stabilize.rules.dispatch_macros import Translation, is_macro_header, switches, translate
from torch_stabilize.rules.engine import rewrite_document
from torch_stabilize.rules.helpers import find_helpers
from torch_stabilize.rules.shared import DEFAULT_CHECK, find_dual_check
from torch_stabilize.rules.snippets import known_returns
from torch_stabilize.source.document import ANY_HEADER, HEADER_SUFFIXES, Document, words_of
from torch_stabilize.source.function_index import FunctionIndex
from torch_stabilize.source.scopes import TypeFinder
from torch_stabilize.surface.table import load_surface


@dataclass(frozen=True)
class GroupProject:
    """A group made ready for the rules.

    `replaced` are headers of macros that have a stable translation; `shared` have to compile in both
    builds; `check` is the name and header of the check that does.
    """

    project: Project
    graph: IncludeGraph
    documents: dict[str, Document]
    replaced: frozenset[str]
    shared: tuple[str, ...]
    translation: Translation
    check: tuple[str, str]
    known: dict[tuple[str, frozenset[str]], frozenset[str]] = field(default_factory=dict, compare=False, repr=False)

    def once(self, what: str, paths: frozenset[str], make: Callable[[], frozenset[str]]) -> frozenset[str]:
        """What `make` finds in the files `paths`, made by the first who asks: a circle of headers asks for each."""
        if (what, paths) not in self.known:
            self.known[what, paths] = make()
        return self.known[what, paths]

    def context(self, path: str) -> Context:
        """The context of one of the group's files."""
        return Context(self.project, self.documents[path])

    def uses(self, word: str) -> bool:
        """Whether `word` is in a file that the group can see; the empty word is everywhere."""
        return not word or word.encode() in self._words

    @cached_property
    def _words(self) -> frozenset[bytes]:
        code = (
            re.sub(rb"^[ \t]*#[ \t]*include[^\n]*", b"", d.code, flags=re.MULTILINE) for d in self.documents.values()
        )
        return frozenset(word for text in code for word in re.findall(rb"[A-Za-z_]\w*", text))

    def idle_headers(self, path: str, after: bytes) -> frozenset[str]:
        """Headers of macros that `path` includes but, once its code is `after`, uses no more."""
        found = set()
        for header in self.graph.direct(path):
            document = self.documents.get(header)
            if document is None or header in self.replaced or not is_macro_header(document):
                continue
            names = {macro.name.encode() for macro in document.macros}
            if not names.isdisjoint(self.documents[path].words) and names.isdisjoint(words_of(after)):
                found.add(header)
        return frozenset(found)


def make_project(
    snapshot: Snapshot, layout: Layout, group: Group, target: str, config: Config | None = None, headers: str = ""
) -> GroupProject:
    """Read everything the group's files can see."""
    config = config or Config()
    graph = include_graph(snapshot, layout, config)
    closure = graph.closure((*group.units, *group.moving_headers))
    documents = {path: snapshot.document(path) for path in {*closure, *group.files, *group.shared_headers}}
    stable = [snapshot.document(path) for path in _stable_headers(snapshot, layout)]
    surface = load_surface().at(target, headers)
    finder = TypeFinder(tuple(documents[path] for path in sorted(documents)), known_returns())
    project = Project(
        surface,
        target,
        finder.documents,
        finder,
        FunctionIndex(finder.documents),
        {},
        find_helpers(stable),
        switches(stable, surface),
        frozenset(macro.name for document in (*finder.documents, *stable) for macro in document.macros)
        | macros_of_build(snapshot, layout),
        frozenset((*group.files, *group.migrated)),
        leaving=frozenset(layout.legacy_declarations),
        headers=headers or target,
    )
    replaced = tuple(
        p for p in group.shared_headers if is_macro_header(documents[p], surface=surface) and not layout.is_stable(p)
    )

    def rewrite(document: Document) -> Sequence[Edit]:
        return rewrite_document(Context(project, document)).edits

    translation = translate([documents[p] for p in replaced], stable, surface, layout.stable_dispatch, rewrite)
    check = find_dual_check(_top_headers(snapshot, layout)) or (
        DEFAULT_CHECK,
        f"{layout.source_root}/torch_utils.h".lstrip("/"),
    )
    return GroupProject(
        replace(project, dispatch=translation.macros),
        graph,
        documents,
        frozenset(replaced),
        tuple(p for p in group.shared_headers if p not in replaced),
        translation,
        check,
    )


def _stable_headers(snapshot: Snapshot, layout: Layout) -> tuple[str, ...]:
    """Headers right in the stable folder: helpers and dispatch macros live there."""
    folder = layout.helper_folder
    below = snapshot.below(folder, ANY_HEADER)
    top = tuple(p for p in below if "/" not in p.removeprefix(folder + "/"))
    if not layout.is_whole:
        return top
    return tuple(p for p in top if abi_of_file(snapshot.document(p)) is Abi.STABLE)


def _top_headers(snapshot: Snapshot, layout: Layout) -> list[Document]:
    below = snapshot.below(layout.source_root, HEADER_SUFFIXES)
    return [snapshot.document(p) for p in below if b"TORCH_TARGET_VERSION" in snapshot.read(p)]
