"""Names in front of round brackets: which are declared, defined or called, by the text around them alone.

`declares` and `defines` answer, for members of classes too, and take what is a function's head for sure. `may_declare`
and `may_define` are first looks that spare reading the functions of most files (`read_signatures`): they take calls
along rather than miss what would be read.
"""

from __future__ import annotations

import functools
import re
import string
from collections.abc import Iterable, Iterator

from torch_stabilize.source.document import Document, word_places
from torch_stabilize.source.patterns import places

_ARGUMENTS = rb"\s*\([^()]*(?:\([^()]*(?:\([^()]*\)[^()]*)*\)[^()]*)*\)\s*"
_PROTOTYPE_TAIL = re.compile(_ARGUMENTS + rb";")
_DEFINITION_TAIL = re.compile(_ARGUMENTS + rb"(?:const\s*|noexcept\s*)*\{")
_TYPE_END = re.compile(rb"[\w>&*\])]")
_FEW = 20
_LONGEST_GAP = 200  # bytes between the end of a type and a name
_NO_TYPES = frozenset({b"return", b"else", b"throw", b"case", b"co_return", b"new", b"delete"})

_IN_NAMES = (string.ascii_letters + string.digits + "_").encode()
_UP_TO_BODY = re.compile(_ARGUMENTS + rb"[^;{}()]*(?:\([^()]*\)[^;{}()]*)?\{")
_UP_TO_SEMICOLON = re.compile(rb"(?:=\s*\{[^{}]*\}|[^;{}])*;")
_KEYWORDS = frozenset(
    b"if for while switch catch return sizeof constexpr defined assert static_assert asm volatile".split()
)


def declares(document: Document, functions: frozenset[str]) -> frozenset[str]:
    """Those of `functions` that a file declares: a prototype, not a definition or a call in a body."""
    return _named(document, functions, _PROTOTYPE_TAIL)


def defines(document: Document, functions: frozenset[str]) -> frozenset[str]:
    """Those of `functions` that a file defines with a body."""
    return _named(document, functions, _DEFINITION_TAIL)


def _named(document: Document, functions: frozenset[str], tail: re.Pattern[bytes]) -> frozenset[str]:
    """Those of `functions` that stand behind a type and before what matches `tail`."""
    words, others = _as_words(functions)
    wanted = [word.decode() for word in words & document.words]
    wanted += [name for name in others if name.encode() in document.data]
    return frozenset(
        name
        for name in wanted
        if any(
            tail.match(document.code, place + len(name.encode())) and _is_typed(document.code, place)
            for place in _places_of(document, name, of_many=len(wanted) > _FEW)
        )
    )


def _places_of(document: Document, name: str, *, of_many: bool) -> list[int]:
    known = word_places(document) if of_many else {}  # which takes longer and more than to look for a few
    return known[name.encode()] if name.encode() in known else places(document.code, name.encode())


@functools.lru_cache(maxsize=64)
def _as_words(functions: frozenset[str]) -> tuple[frozenset[bytes], tuple[str, ...]]:
    """Those of `functions` that are words of code, and the others: `outer::f`."""
    words = {name for name in functions if name.isascii() and name.isidentifier()}
    return frozenset(name.encode() for name in words), tuple(functions - words)


def _is_typed(code: bytes, place: int) -> bool:
    """Whether what is before `place` can be a type: `return f(x);` and `else f(x);` declare nothing."""
    before = code[max(0, place - _LONGEST_GAP) : place].rstrip(b"&*")
    ended = before.rstrip()
    if ended == before or not _TYPE_END.match(ended[-1:]):
        return False
    return re.split(rb"\W", ended[-40:])[-1] not in _NO_TYPES


def may_declare(document: Document, names: Iterable[str]) -> bool:
    """Whether one of `names` is behind what may be a type and in front of brackets, with a `;` next."""
    wanted = {name.encode() for name in names} & document.words
    return any(
        name in wanted and _may_end_in_type(before) and _UP_TO_SEMICOLON.match(document.code, bracket)
        for before, name, bracket in (_bracketed(document.code, specialised=True) if wanted else ())
    )


def may_define(document: Document, names: Iterable[str]) -> bool:
    """Whether one of `names` is in front of brackets with a body behind them."""
    wanted = {name.encode() for name in names}
    return any(
        name in wanted and _UP_TO_BODY.match(document.code, bracket)
        for _, name, bracket in _bracketed(document.code, specialised=True)
    )


def names_called(code: bytes) -> set[str]:
    """What `code` calls, declares or defines: the names in front of round brackets, but for members."""
    found = {name for before, name, _ in _bracketed(code) if not before.endswith((b".", b">"))}
    return {name.decode() for name in found - _KEYWORDS}


def _may_end_in_type(before: bytes) -> bool:
    text = before.rstrip()
    if text.endswith((b">", b"*", b"&", b"]", b")")):
        return True
    return len(text) < len(before) and text[-1:] in _IN_NAMES and not text.endswith((b"return", b"else"))


def _bracketed(code: bytes, *, specialised: bool = False) -> Iterator[tuple[bytes, bytes, int]]:
    """What is in front of each round bracket, from the one before on: text, the name, and the bracket's place.

    Names with template arguments count if asked for.
    """
    bracket = -1
    for before in code.split(b"(")[:-1]:
        bracket += len(before) + 1
        before = before.rstrip()
        if specialised and before.endswith(b">"):
            before = before[: before.rfind(b"<")].rstrip()
        text = before.rstrip(_IN_NAMES)
        name = before[len(text) :]
        if name and not name[:1].isdigit():
            yield text, name, bracket
