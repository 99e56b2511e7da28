"""Names that `using namespace at;`, or standing inside of `namespace at { ... }`, makes visible without their namespace."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Sequence

from torch_stabilize.model import Span
from torch_stabilize.rules.context import Context, Outcome, Project, Site, SiteKind
from torch_stabilize.rules.registry import on
from torch_stabilize.source.aliases import USING_NAME, USING_NAMESPACE
from torch_stabilize.source.brackets import closing_bracket
from torch_stabilize.source.document import Document, per_document
from torch_stabilize.source.patterns import INCLUDED, word_start
from torch_stabilize.source.scopes import TypeFinder
from torch_stabilize.source.signatures import read_signatures
from torch_stabilize.source.spans import line_start, with_line
from torch_stabilize.source.types import NUMBERS
from torch_stabilize.surface.entry import Entry
from torch_stabilize.surface.schemas import overloads

_INSIDE = re.compile(word_start(b"namespace") + rb"\s+(?P<space>torch|at|c10)\b[\w:\s]*(?=\{)")
_WORD = re.compile(rb"(?<![\w:.>~#])[A-Za-z_]\w*\b(?P<rest>(?:\s*::\s*[A-Za-z_]\w*)*)")
_DEEPEST = 3  # at::Layout::Strided has two names behind its namespace, at::cuda::philox::unpack three
_CHAINS = [re.compile(rb"[A-Za-z_]\w*(?:\s*::\s*[A-Za-z_]\w*){%d}" % more) for more in range(_DEEPEST)]
_OWN = re.compile(
    rb"\b(?:struct|class|enum|union|typename|using|namespace|concept|define)\s+(?:class\s+)?([A-Za-z_]\w*)"
)
_TENSORS = ("Tensor", "TensorList")


def unqualified_sites(document: Document, project: Project) -> Iterator[Site]:
    """The names of torch, at and c10 that the document uses without saying so.

    A type or a constant counts where the document declares none of that name; a function where it is called with a
    tensor, or makes one, and no function of the project has its name.
    """
    code, surface, finder = document.code, project.surface, project.finder
    included = _included(document, finder)
    regions = [*_regions(code), *((0, len(code), space) for other in included for space in _spaces(other))]
    for match in USING_NAMESPACE.finditer(code):
        yield Site(Span(*match.span()), match.group().decode(), SiteKind.USING)
    yield from _declared_names(document, included, project)
    yield from _brought_along(document, project, regions)
    if not regions:
        return
    own = {name for each in (document, *included) for name in _own_names(each)}
    lookup = functools.lru_cache(maxsize=None)(surface.name)
    for match in _WORD.finditer(code, min(start for start, _, _ in regions)):
        word = match.group().partition(b"::")[0].strip()
        if word in own or word.decode() in project.functions:
            continue
        for start, end, space in regions:
            if start <= match.start() < end:
                site = _longest(match, space, lookup, document, finder)
                if site is not None:
                    yield site
                    break


def _longest(
    match: re.Match[bytes], space: str, lookup: Callable[[str], Entry | None], document: Document, finder: TypeFinder
) -> Site | None:
    """The name of `space` that the words at `match` begin with, of `Layout::Strided` rather the whole than the type."""
    for more in reversed(range(min(match["rest"].count(b"::") + 1, _DEEPEST))):
        part = _CHAINS[more].match(document.code, match.start())
        if part is None:
            continue
        name = f"{space}::{b''.join(part.group().split()).decode()}"
        entry = lookup(name)
        if entry is None or (part.end() < match.end() and entry.kind != "type"):
            continue
        if _is_meant(entry, part, document, finder):
            return Site(Span(*part.span()), name, SiteKind.NAME, entry)
    return None


_CALLED = re.compile(rb"(?<![\w:.>~#])(?P<name>[a-z_]\w*)\s*(?=\()")


def _brought_along(document: Document, project: Project, regions: Sequence[tuple[int, int, str]]) -> Iterator[Site]:
    """Calls like `exp(x)` that find torch's function by their argument, outside of where its names are visible."""
    if b"Tensor" not in document.code:
        return
    on_device = [(f.span.start, f.span.end) for f in read_signatures(document) if f.is_device]
    known: dict[bytes, Entry | None] = {}
    for match in _CALLED.finditer(document.code):
        word, place = match["name"], match.start()
        if word not in known:
            name = f"at::{word.decode()}"
            entry = project.surface.name(name) if word.decode() not in project.functions else None
            known[word] = entry if entry is not None and entry.kind == "function" and entry.form != "same" else None
        entry = known[word]
        if entry is None or any(start <= place < end for start, end in on_device):
            continue
        if any(start <= place < end for start, end, _ in regions) or _is_declared(match, document, project.finder):
            continue
        if _takes_a_tensor(match, document, project.finder):
            yield Site(Span(*match.span("name")), f"at::{word.decode()}", SiteKind.NAME, entry)


def _is_declared(match: re.Match[bytes], document: Document, finder: TypeFinder) -> bool:
    """Whether the word names something that the code around declares: a variable, a parameter."""
    node = document.fragment_at(match.start()).node_at(Span(*match.span(match.lastgroup or 0)))
    if node is None:
        return False
    name = (node.text or b"").decode("utf-8", "replace")
    return node.type in _DECLARES or finder.declaration_of(name, node) is not None


_DECLARES = frozenset({"field_identifier", "enumerator", "statement_identifier"})


def _declared_names(document: Document, included: Sequence[Document], project: Project) -> Iterator[Site]:
    """`using torch::full;`, here or in a header, and the calls it is for.

    No `using` can make a wrapper or an enumerator visible. Types and constants are found by their name in the file that
    has the declaration (sites.py), and here in those that include it. A type keeps its short name, unless it is that of
    a header which the file will not include any more.
    """
    for source in (document, *included):
        for using in USING_NAME.finditer(source.code):
            qualified = using.group("name").decode()
            entry = project.surface.name(qualified)
            if entry is None or entry.form in ("none", "same"):
                continue
            is_named = "::" in entry.stable and "<" not in entry.stable  # no `using` can name a `vector<Tensor>`
            if entry.kind == "type" and is_named and source.path not in project.leaving:
                continue
            if source is document:
                yield Site(Span(*using.span()), using.group().decode(), SiteKind.USING)
            if entry.kind == "function" or source is not document:
                start = using.end() if source is document else 0
                yield from _uses_of(qualified, entry, start, document, project.finder)


def _uses_of(qualified: str, entry: Entry, start: int, document: Document, finder: TypeFinder) -> Iterator[Site]:
    """Where the last part of `qualified` is by itself from `start` on, a function's where it is called."""
    is_call = entry.kind == "function"
    short, behind = qualified.rpartition("::")[2].encode(), rb"(?=\s*\()" if is_call else rb"\b"
    for match in re.compile(word_start(short, rb"\w:.>~#") + behind).finditer(document.code, start):
        if not is_call or qualified.count("::") > 1 or not _takes_only_others(match, document, finder):
            yield Site(Span(*match.span()), qualified, SiteKind.NAME, entry)


def _included(document: Document, finder: TypeFinder) -> list[Document]:
    """The headers that `document` reaches, where one of them makes names of torch visible; else none."""
    if b"using" not in finder.words or not any(_spaces(header) or _declares(header) for header in finder.headers):
        return []
    return reached_headers(document, finder.headers)


def reached_headers(document: Document, headers: Sequence[Document]) -> list[Document]:
    """Those of `headers` that `document` includes, by way of others too."""
    named: dict[str, list[Document]] = {}
    for header in headers:
        named.setdefault(header.path.rpartition("/")[2], []).append(header)
    reached: dict[str, Document] = {}
    waiting = [document]
    while waiting:
        for name in _include_names(waiting.pop()):
            for header in named.get(name.rpartition("/")[2], ()):
                if (
                    f"/{header.path}".endswith(f"/{name}")
                    and header.path != document.path
                    and header.path not in reached
                ):
                    reached[header.path] = header
                    waiting.append(header)
    return list(reached.values())


@per_document
def _include_names(document: Document) -> tuple[str, ...]:
    """The paths that a file includes, without the way upwards."""
    names = (match["path"].decode("utf-8", "replace") for match in INCLUDED.finditer(document.uncommented))
    return tuple(re.sub(r"^(?:\.\.?/)+", "", name) for name in names)


@per_document
def _spaces(document: Document) -> tuple[str, ...]:
    """The namespaces that a header opens for all that include it."""
    return tuple(match["space"].decode() for match in USING_NAMESPACE.finditer(document.code))


@per_document
def _declares(document: Document) -> bool:
    """Whether a header makes single names of torch visible."""
    return USING_NAME.search(document.code) is not None


@per_document
def _own_names(document: Document) -> frozenset[bytes]:
    return frozenset(_OWN.findall(document.code))


def _regions(code: bytes) -> Iterator[tuple[int, int, str]]:
    """Where the names of a namespace are visible: start, end, namespace."""
    for match in USING_NAMESPACE.finditer(code):
        yield match.end(), len(code), match.group("space").decode()
    for match in _INSIDE.finditer(code):
        end = closing_bracket(code, match.end())
        yield match.end(), end if end >= 0 else len(code), match.group("space").decode()


def _is_meant(entry: Entry, match: re.Match[bytes], document: Document, finder: TypeFinder) -> bool:
    code = document.code
    line = code[line_start(code, match.start()) : match.start()].lstrip()
    if line.startswith(b"using ") or (line.startswith(b"#") and not _in_body(match, document)):
        return False
    is_any = any("*" in spelling for spelling in entry.legacy)  # whatever its namespace has
    if entry.form == "same" or (is_any and b"::" not in match.group()):
        return False
    if (entry.form == "none" or entry.kind in ("type", "constant")) and _is_declared(match, document, finder):
        return False
    if is_any:
        return True
    if entry.kind in ("type", "constant"):
        return True
    if not re.match(rb"\s*\(", code[match.end() : match.end() + 8]):
        return False
    if b"::" in match.group():  # nothing else is called so
        return True
    if entry.rule in ("TSA120", "TSA121", "TSA104") or entry.form == "none":
        return True
    return _makes_a_tensor(match.group().decode()) or _takes_a_tensor(match, document, finder)


@functools.lru_cache(maxsize=512)
def _makes_a_tensor(name: str) -> bool:
    """Whether an overload of an op makes a tensor of none: `arange`, `rand`, and `linspace`, whose others take some."""
    return any(not any("Tensor" in argument.type for argument in op.arguments) for op in overloads(name))


def _in_body(match: re.Match[bytes], document: Document) -> bool:
    """Whether the word is in what a macro is defined as, and is no parameter of it."""
    macro = next((m for m in document.macros if m.body.start <= match.start() < m.body.end), None)
    return macro is not None and match.group().decode() not in (macro.params or ())


def _takes_only_others(match: re.Match[bytes], document: Document, finder: TypeFinder) -> bool:
    """Whether a call is handed something, and nothing of it is a tensor: it means a function of another library."""
    fragment = document.fragment_at(match.start())
    node = fragment.node_at(Span(*match.span()))
    arguments = node.parent.child_by_field_name("arguments") if node is not None and node.parent is not None else None
    given = arguments.named_children if arguments is not None else []
    kinds = [finder.type_of(argument, fragment, document) for argument in given]
    return bool(kinds) and all(kind.is_known and kind.name in NUMBERS for kind in kinds)


def _takes_a_tensor(match: re.Match[bytes], document: Document, finder: TypeFinder) -> bool:
    fragment = document.fragment_at(match.start())
    node = fragment.node_at(Span(*match.span()))
    while node is not None and node.type != "call_expression":
        if node.type in ("argument_list", "compound_statement"):
            return False
        node = node.parent
    arguments = node.child_by_field_name("arguments") if node is not None else None
    if arguments is None:
        return False
    for argument in arguments.named_children:
        given = argument.named_children[:1] if argument.type == "initializer_list" else [argument]
        for one in given:
            kind = finder.type_of(one, fragment, document)
            inner = kind.inner.name if kind.inner is not None else ""
            if kind.is_tensor or kind.name in _TENSORS or inner in _TENSORS:
                return True
    return False


@on(SiteKind.USING)
def using_namespace(site: Site, context: Context) -> Outcome:
    """`using namespace at;`, `using at::full;` and `namespace F = torch::nn;` go: what they made short is spelled out."""
    return context.rewrite(with_line(context.document.data, site.span), (), "TSA101")
