"""What a rule may look at besides its site: the document, types, the surface, the project's macros and functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import NamedTuple

from tree_sitter import Node

from torch_stabilize.model import Confidence, Diagnostic, Severity, Span
from torch_stabilize.rules.effect_kinds import Effects
from torch_stabilize.rules.rewrite import Part, Rewrite
from torch_stabilize.source.document import Document, Fragment
from torch_stabilize.source.function_index import FunctionIndex
from torch_stabilize.source.scopes import TypeFinder
from torch_stabilize.source.types import UNKNOWN, CppType
from torch_stabilize.source.upwards import parent_of
from torch_stabilize.source.uses import Uses
from torch_stabilize.surface.effects import known_effects
from torch_stabilize.surface.entry import Entry
from torch_stabilize.surface.table import Surface


class SiteKind(str, Enum):
    """By what token a site was found."""

    NAME = "name"  # a qualified name: torch::Tensor, at::cuda::getCurrentCUDAStream
    MACRO = "macro"  # TORCH_CHECK, AT_DISPATCH_SWITCH, a project's own dispatch macro
    CONDITION = "condition"  # #ifdef TORCH_CHECK
    METHOD = "method"  # .view(, ->data_ptr<T>(
    INCLUDE = "include"
    BARE = "bare"  # an unqualified name found by argument-dependent lookup: device_of(x), toString(dtype)
    USING = "using"  # using namespace at;
    OPERATOR = "operator"  # t[i], a + b on tensors


class Site(NamedTuple):
    """One place that uses the unstable API. `name` is the spelling without blanks, `span` the token's."""

    span: Span
    name: str
    kind: SiteKind
    entry: Entry | None = None


class Allowed(NamedTuple):
    """A site that may stay as it is, with the reason."""

    reason: str


Outcome = Rewrite | Diagnostic | Allowed


class DispatchMacro(NamedTuple):
    """A project's dispatch macro and what replaces it in stable code."""

    name: str
    stable: str
    header: str  # repository path of the header that defines the stable one
    dtypes: frozenset[str] = frozenset()


@dataclass(frozen=True)
class StableHelpers:
    """Helper functions the repository has, or gets, for what the stable API lacks: role -> C++ name and header.

    `header` is a repository path. Roles: see `torch_stabilize.rules.helpers`.
    """

    names: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    takes: Mapping[str, str] = field(default_factory=dict)  # what is to be given where nothing is: see `helpers`

    def name(self, role: str) -> str:
        """The C++ name of the helper for `role`: by default the role's own."""
        return self.names.get(role) or role


@dataclass(frozen=True)
class Project:
    """What is the same for every file of a run."""

    surface: Surface
    target: str
    documents: Sequence[Document]
    finder: TypeFinder
    functions: FunctionIndex
    dispatch: Mapping[str, DispatchMacro] = field(default_factory=dict)
    helpers: StableHelpers = field(default_factory=StableHelpers)
    switches: Mapping[frozenset[str], DispatchMacro] = field(default_factory=dict)  # the stable ones it has, by dtypes
    macros: frozenset[str] = frozenset()  # every macro the group's files can see
    moving: frozenset[str] = frozenset()  # files that get a new place
    leaving: frozenset[str] = frozenset()  # headers that the files of the run will not include any more
    headers: str = ""  # torch version of the headers in use; empty: the target's
    macro_calls: dict[tuple[int, int], Node | None] = field(default_factory=dict, compare=False, repr=False)
    effectful_within: dict[tuple[int, int], tuple[Node, ...]] = field(default_factory=dict, compare=False, repr=False)
    effects_of_names: dict[tuple[str, int, int], Effects] = field(default_factory=dict, compare=False, repr=False)

    @cached_property
    def pointer_uses(self) -> Uses:
        """Whether a pointer to const would do for a pointer."""
        return Uses(self.finder, known_effects(), typed=True)

    @cached_property
    def method_aliases(self) -> Mapping[str, str]:
        """Macros that stand for the name of a tensor's method: `#define DATA_PTR data_ptr`."""
        found = {}
        for document in self.documents:
            for macro in document.macros:
                body = document.code[macro.body.start : macro.body.end].strip().decode("utf-8", "replace")
                if macro.params is None and body.isidentifier() and self.surface.method(body) is not None:
                    found[macro.name] = body
        return found


class Context(NamedTuple):
    """One document of a project, as a rule sees it."""

    project: Project
    document: Document

    @property
    def surface(self) -> Surface:
        """The tables."""
        return self.project.surface

    def fragment(self, site: Site) -> Fragment:
        """The tree the site is in."""
        return self.document.fragment_at(site.span.start)

    def node(self, site: Site) -> Node | None:
        """The smallest node over the site."""
        return self.fragment(site).node_at(site.span)

    def ancestor(self, site: Site, kinds: tuple[str, ...], levels: int = 6) -> Node | None:
        """The nearest node of one of `kinds` around the site, at most `levels` up."""
        node = self.node(site)
        for _ in range(levels):
            if node is None:
                return None
            if node.type in kinds:
                return node
            node = parent_of(node)
        return None

    def call(self, site: Site) -> Node | None:
        """The call whose callee is the site, or None."""
        node = self.ancestor(site, ("call_expression",), 5)
        if node is None:
            return None
        callee = node.child_by_field_name("function")
        fragment = self.fragment(site)
        return node if callee is not None and fragment.span(callee).contains(site.span) else None

    def type_of(self, node: Node | None, fragment: Fragment) -> CppType:
        """The type of an expression."""
        return self.project.finder.type_of(node, fragment, self.document) if node is not None else UNKNOWN

    def text(self, span: Span) -> bytes:
        """The bytes of `span`."""
        return self.document.text(span)

    def diagnose(
        self, site: Site, code: str, message: str, help: str = "", severity: Severity = Severity.ERROR
    ) -> Diagnostic:
        """A diagnostic at the site."""
        return Diagnostic(code, severity, self.document.path, site.span, message, help)

    def replace(self, site: Site, text: str, rule: str, **more: object) -> Rewrite:
        """The site's token replaced."""
        return self.rewrite(site.span, (text.encode(),), rule, **more)

    def rewrite(self, span: Span, parts: tuple[Part, ...], rule: str, **more: object) -> Rewrite:
        """A rewrite of `span`; keyword arguments as in Rewrite."""
        if more.get("entry") is not None:
            entry = more.pop("entry")
            assert isinstance(entry, Entry)
            more.setdefault("includes", tuple(name.strip() for name in entry.include.split(",") if name))
            more.setdefault("confidence", Confidence(entry.confidence))
            if entry.helper:
                more.setdefault("helpers", (entry.helper,))
        more.pop("entry", None)
        return Rewrite(span, parts, rule, **more)  # type: ignore[arg-type]
