"""The free functions a file declares and defines, read from its tokens rather than its tree.

Attributes, CUDA qualifiers, export macros and code the grammar cannot follow do not matter here: a function is what has
a type, a name and a parameter list at namespace scope. Members of classes are left out.
"""

from __future__ import annotations

import re
import string
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from torch_stabilize.model import Span
from torch_stabilize.source.brackets import closing_angle, partners, plain_code
from torch_stabilize.source.conditions import conditions_at
from torch_stabilize.source.document import Document, per_document
from torch_stabilize.source.parameters import Parameter, read_parameters

_INK = re.compile(rb"\S")
_TEMPLATE = re.compile(rb"template\b\s*")
_CHUNK = 64  # bytes looked at in one go, from behind
_STOP = re.compile(rb"[;{}(\[=]")
_NAMESPACE = re.compile(rb"^(?:inline\s+)?namespace\b\s*(?:\[\[.*?\]\]\s*)*(?P<name>[\w:\s]*)$", re.DOTALL)
TYPE_BODY = re.compile(rb"^(?:typedef\s+)?(?:class|struct|union|enum)\b")
NOT_A_NAME = frozenset(
    b"__launch_bounds__ __attribute__ __declspec alignas decltype noexcept requires if for while switch return "
    b"sizeof catch static_assert asm defined __cluster_dims__ __maxnreg__".split()
)
_TAIL = re.compile(
    rb"^(?:\s|\bconst\b|\bnoexcept\b(?:\s*\([^()]*\))?|\boverride\b|\bfinal\b|&|\btry\b|\[\[.*?\]\]"
    rb"|__attribute__\s*\(\(.*?\)\)|[A-Z][A-Z0-9_]*\b(?:\s*\([^()]*\))?)*(?:->(?P<returns>.*))?$",
    re.DOTALL,
)
_SPECIFIER = re.compile(
    r"\b(?:static|inline|extern|constexpr|consteval|friend|virtual|explicit|__global__|__device__|__host__|__inline__"
    r"|__forceinline__|__noinline__|PyMODINIT_FUNC)\b|\[\[.*?\]\]|\b(?:__launch_bounds__|__attribute__|__declspec"
    r"|alignas|__cluster_dims__|__maxnreg__)\s*\((?:[^()]|\([^()]*\))*\)",
    re.DOTALL,
)
_EXPORT_MACRO = re.compile(r"^[A-Z][A-Z0-9_]{2,}(?:\s*\([^()]*\))?\s+(?=[A-Za-z_:])")
_IN_NAMES = (string.ascii_letters + string.digits + "_~").encode()
_OPERATOR = re.compile(rb"operator\s*[-+*/%^&|<>!=]*$")
_EXTERN_BLOCK = re.compile(rb'extern\s*"\s*"')
_STATIC = re.compile(r"\bstatic\b")
_ON_DEVICE = re.compile(r"\b__(?:global|device)__\b")
_NO_RETURN_TYPE = re.compile(r"=(?<!operator=)|(?<!decltype)\(")
_LETTER = re.compile(r"[A-Za-z_]")


class Function(NamedTuple):
    """A function at namespace scope, declared or defined.

    `span` runs from its first word (`template <...>` included) to its `;` or closing brace; `head` leaves out the body
    and the `;`. `is_local` says that no other unit can see it. `written_scope` is what is before the name where it
    is defined, mostly a class: "Net" of `void Net::f() {}`. `needs_scope` says that a bare name does not mean it: it is
    in a hidden namespace of generated code, without a using-directive.
    """

    name: str
    namespace: tuple[str, ...]
    return_type: str
    parameters: tuple[Parameter, ...]
    template: str
    is_static: bool
    is_device: bool
    span: Span
    head: Span
    body: Span | None
    conditions: tuple[str, ...]
    written_scope: str = ""
    needs_scope: bool = False

    @property
    def is_definition(self) -> bool:
        """Whether the body is here."""
        return self.body is not None

    @property
    def is_local(self) -> bool:
        """Static, or in a namespace without a name."""
        return self.is_static or "" in self.namespace

    @property
    def qualified(self) -> str:
        """The name with its namespaces: `vllm::detail::f`."""
        return "::".join((*filter(None, self.namespace), self.name))

    @property
    def parameter_types(self) -> tuple[str, ...]:
        """The types of the parameters without blanks: what tells overloads apart."""
        return tuple("".join(parameter.type_text.split()) for parameter in self.parameters)

    def answers_to(self, reference: str) -> bool:
        """Whether `reference`, a name as written somewhere, may mean this function."""
        wanted = reference.strip().removeprefix("::")
        if self.written_scope and not f"::{wanted}".endswith(f"::{self.written_scope}::{self.name}"):
            return False  # a member, which its bare name does not mean
        if self.needs_scope and "::" not in wanted:
            return False
        return (
            self.qualified == wanted or self.qualified.endswith(f"::{wanted}") or wanted.endswith(f"::{self.qualified}")
        )


class Item(NamedTuple):
    """A stretch at namespace scope up to a `;`, a body or the end: a declaration, a definition, the use of a macro.

    `end` is where the `;` or the opening brace is, `close` where the body closes (None for a `;`). `is_c` says that
    a block of `extern "C"` is around it.
    """

    begin: int
    end: int
    close: int | None
    namespace: tuple[str, ...]
    is_c: bool = False


_HIDDEN_BEGIN = re.compile(rb"\bHIDDEN_NAMESPACE_BEGIN\s*\((?P<names>[\w\s,]+)\)")
_HIDDEN_END = re.compile(rb"\bHIDDEN_NAMESPACE_END\b")
_HIDDEN_MACROS = re.compile(rb"\bHIDDEN_NAMESPACE_(?:BEGIN|END)\s*\([\w\s,]*\)")


@per_document
def read_signatures(document: Document) -> tuple[Function, ...]:
    """Every function at namespace scope of `document`, in file order."""
    code, has_hidden = plain_code(document), b"HIDDEN_NAMESPACE_BEGIN" in document.words
    if has_hidden:  # macros without a `;`, which are no part of the function behind them
        code = _HIDDEN_MACROS.sub(lambda macro: b" " * len(macro[0]), code)
    items = (
        item
        for item in read_items(document, code, 0, len(code), ())
        if item.close is not None or code[item.end : item.end + 1] == b";"
    )
    found = (function_of(document, code, item.begin, item.end, item.close, item.namespace) for item in items)
    functions = tuple(function for function in found if function is not None)
    return _in_hidden_namespaces(document, functions) if has_hidden else functions


@per_document
def functions_by_name(document: Document) -> dict[str, list[Function]]:
    """Those that `read_signatures` finds, by their names without a scope."""
    found: dict[str, list[Function]] = {}
    for function in read_signatures(document):
        found.setdefault(function.name, []).append(function)
    return found


def _in_hidden_namespaces(document: Document, functions: tuple[Function, ...]) -> tuple[Function, ...]:
    """`functions` with the namespaces that torch's macros open: `HIDDEN_NAMESPACE_BEGIN(outer, inner)`."""
    stretches = []
    for begin in _HIDDEN_BEGIN.finditer(document.code):
        names = tuple(name.strip().decode("utf-8", "replace") for name in begin["names"].split(b","))
        end = _HIDDEN_END.search(document.code, begin.end())
        using = re.search(rb"\busing\s+namespace\s+(?:\w+\s*::\s*)*%b\s*;" % names[-1].encode(), document.code)
        stretches.append((begin.end(), end.start() if end else len(document.code), names, using is None))
    return tuple(
        next(
            (
                function._replace(namespace=(*names, *function.namespace), needs_scope=needs_scope)
                for start, stop, names, needs_scope in stretches
                if start <= function.span.start < stop
            ),
            function,
        )
        for function in functions
    )


def function_names(document: Document, places: Sequence[int]) -> tuple[str, ...]:
    """The function around each of `places`, which are in order; "" at namespace scope. Other functions are not read."""
    names = [""] * len(places)
    if not places:
        return ()
    code = plain_code(document)
    for item in read_items(document, code, 0, len(code), ()):
        first = bisect_left(places, item.begin)
        if first == len(places):
            break
        if item.close is None or places[first] > item.close:
            continue
        function = function_of(document, code, item.begin, item.end, item.close, item.namespace)
        if function is not None:
            last = bisect_right(places, item.close)
            names[first:last] = [function.name if place >= function.span.start else "" for place in places[first:last]]
    return tuple(names)


def read_items(
    document: Document, code: bytes, start: int, end: int, namespace: tuple[str, ...], is_c: bool = False
) -> Iterator[Item]:
    """What is between two places of a namespace of `code`, the document's `plain_code`."""
    pairs = partners(document)
    begin = index = start
    while index < end:
        if index == begin:
            index = max(index, behind_template(code, skip_blanks(code, begin, end), end) or index)
        match = _STOP.search(code, index, end)
        if match is None:
            break
        index = match.start()
        sign = match.group()
        if sign in (b"(", b"["):
            index = pairs.get(index, index) + 1
        elif sign == b"=":
            index = _behind_initialiser(code, pairs, index, end)
        elif sign == b"{":
            close = min(pairs.get(index, end), end)
            yield from _braced(document, code, Item(begin, index, close, namespace, is_c))
            begin = index = close + 1
        else:
            if sign == b";":
                yield Item(begin, index, None, namespace, is_c)
            begin = index = index + 1
    if code[begin:end].strip():
        yield Item(begin, end, None, namespace, is_c)


def _behind_initialiser(code: bytes, pairs: dict[int, int], index: int, end: int) -> int:
    """Behind an `=`: an operator's name, a comparison or a default stays; an initialiser is skipped to its `;`."""
    if _OPERATOR.search(code[max(0, index - 24) : index]):
        return index + 1
    while index < end and code[index : index + 1] != b";":
        index = pairs.get(index, index) + 1
    return index


def _braced(document: Document, code: bytes, item: Item) -> Iterator[Item]:
    """The item with this body, or what is in the namespace or `extern "C"` block."""
    assert item.close is not None
    head = code[item.begin : item.end].strip()
    if match := _NAMESPACE.match(head):
        names = tuple(part.strip().decode("utf-8", "replace") for part in match.group("name").split(b"::"))
        yield from read_items(document, code, item.end + 1, item.close, (*item.namespace, *names), item.is_c)
    elif _EXTERN_BLOCK.fullmatch(head):
        yield from read_items(document, code, item.end + 1, item.close, item.namespace, is_c=True)
    else:
        yield item


def function_of(
    document: Document, code: bytes, begin: int, end: int, close: int | None, namespace: tuple[str, ...]
) -> Function | None:
    """The function whose head is `code[begin:end]`, or None where that is something else."""
    begin = skip_blanks(code, begin, end)
    head_end = _skip_back(code, begin, end)
    after_template = behind_template(code, begin, head_end)
    if after_template is None:
        return None
    is_type = TYPE_BODY.match(code[after_template:head_end]) and close is not None
    if is_type and not code[begin:head_end].endswith(b")"):
        return None
    if code[after_template:head_end].startswith((b"using ", b"typedef ", b"return ", b"friend ", b"template ")):
        return None
    found = parameter_list(document, code, after_template, head_end)
    if found is None:
        return None
    name_start, name, opening, closing, returns = found
    before = code[after_template:name_start].decode("utf-8", "replace")
    return_type = returns or _return_type(before)
    if not return_type or _NO_RETURN_TYPE.search(return_type):
        return None
    parameters = read_parameters(document, code, opening + 1, closing)
    if parameters is None:
        return None
    parts = [part.strip() for part in name.split("::")]
    return Function(
        name=parts[-1],
        namespace=(*namespace, *filter(None, parts[:-1])),
        return_type=return_type,
        parameters=parameters,
        template=" ".join(document.data[begin:after_template].decode("utf-8", "replace").split()),
        is_static=bool(_STATIC.search(before)),
        is_device=bool(_ON_DEVICE.search(before)) and "__host__" not in before,
        span=Span(begin, (close if close is not None else end) + 1),
        head=Span(begin, head_end),
        body=Span(end, close + 1) if close is not None else None,
        conditions=conditions_at(document, begin),
        written_scope="::".join(filter(None, parts[:-1])),
    )


def behind_template(code: bytes, begin: int, end: int) -> int | None:
    """Behind `template <...>`, which may come more than once; None for an explicit instantiation."""
    while match := _TEMPLATE.match(code, begin, end):
        if code[match.end() : match.end() + 1] != b"<":
            return None
        close = closing_angle(code, match.end(), end)
        if close < 0:
            return None
        begin = skip_blanks(code, close + 1, end)
    return begin


def parameter_list(document: Document, code: bytes, begin: int, end: int) -> tuple[int, str, int, int, str] | None:
    """Where the name starts, the name, the parentheses of its parameters, and a trailing return type."""
    pairs = partners(document)
    index = begin
    while (index := code.find(b"(", index, end)) >= 0:
        closing = pairs.get(index, -1)
        if not 0 <= closing < end:
            return None
        start, name = _name_before(code, begin, index)
        tail = _TAIL.match(code[closing + 1 : end])
        if name and tail and name not in NOT_A_NAME:
            returns = " ".join((tail.group("returns") or b"").decode("utf-8", "replace").split())
            return start, name.decode(), index, closing, returns
        index = closing + 1
    return None


def _name_before(code: bytes, begin: int, end: int) -> tuple[int, bytes]:
    """The qualified name that ends at `end`, its template arguments left out, and where it starts; "" for none."""
    words: list[bytes] = []
    place = end
    while True:
        end = _skip_back(code, begin, place)
        if code[begin:end].endswith(b">"):
            end = _skip_back(code, begin, _opening_angle(code, begin, end - 1))
        start = _skip_back(code, begin, end, _IN_NAMES)
        if start == end or code[start : start + 1].isdigit():
            return (place, b"::".join(words))
        words.insert(0, code[start:end])
        place = start
        before = _skip_back(code, begin, start)
        if code[begin:before][-2:] != b"::":
            return (place, b"::".join(words))
        place = before - 2


def skip_blanks(code: bytes, begin: int, end: int) -> int:
    """Where the first byte of `code[begin:end]` is that is no blank; `end` where there is none."""
    match = _INK.search(code, begin, end)
    return match.start() if match else max(begin, end)


def _skip_back(code: bytes, begin: int, end: int, skipped: bytes | None = None) -> int:
    """Where what ends at `end` begins that consists of `skipped`, of blanks if None."""
    while end > begin:
        start = max(begin, end - _CHUNK)
        kept = len(code[start:end].rstrip(skipped))
        if kept:
            return start + kept
        end = start
    return end


def _opening_angle(code: bytes, begin: int, closing: int) -> int:
    """The offset of the `<` that the `>` at `closing` closes, or `closing` where there is none."""
    depth = 0
    for index in range(closing, begin - 1, -1):
        depth += {b">": 1, b"<": -1}.get(code[index : index + 1], 0)
        if depth == 0:
            return index
    return closing


def _return_type(text: str) -> str:
    text = " ".join(_SPECIFIER.sub(" ", text.replace('""', " ").replace('" "', " ")).split())
    while match := _EXPORT_MACRO.match(text):
        text = text[match.end() :]
    return text if _LETTER.search(text) else ""
