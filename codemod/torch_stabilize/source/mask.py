"""Blank out comments and literals, byte for byte, so that a plain search sees code alone.

Offsets stay what they were: every blanked byte becomes a space, line ends stay, and so do the backslashes before them
in a comment of several lines. Include paths are kept.

Every file of a tree passes through here, so the pattern does no more than find where a comment or a literal may begin.
Each of its alternatives starts with one known byte: only then does a search skip the bytes between without a try.
"""

from __future__ import annotations

import functools
import re
import string
from collections.abc import Iterable, Iterator

from torch_stabilize.source.spans import line_start

_START = re.compile(rb"\"|'|#|//|/\*")
_INCLUDE = re.compile(rb"#[ \t]*include(?:_next)?\b[^\n]*")
_LINE = re.compile(rb"[^\n\\]*(?:\\(?:\r?\n)?[^\n\\]*)*")
_STRING = re.compile(rb'"[^"\\\n]*(?:\\(?s:\r\n|.)[^"\\\n]*)*"?')
_RAW = re.compile(rb'"(?P<tag>[^()\\\s]{0,16})\((?s:.*?)\)(?P=tag)"')
_RAW_PREFIX = re.compile(rb"(?:^|\W)(?:u8|[uUL])?R\Z")
_JOINED = re.compile(rb"\\\r?\n")
_CHAR = re.compile(rb"'(?:\\.|[^'\\\n]){1,8}'")
_WORD = frozenset((string.ascii_letters + string.digits + "_").encode())
_BLANKS = bytes(byte if byte in b"\n\r" else 32 for byte in range(256))
_BOM = b"\xef\xbb\xbf"
_COMMENT_IN_INCLUDE = re.compile(rb"//.*|/\*.*?\*/")

# Where something is blanked: start and end, and whether it is a comment.
_Stretch = tuple[int, int, bool]


def mask_comments(data: bytes) -> bytes:
    """`data` with comments blanked and literals kept."""
    return blanked(data, [(start, end) for start, end, is_comment in _stretches(data) if is_comment])


def mask(data: bytes) -> bytes:
    """`data` with comments, strings and character literals blanked; the quotes of a literal stay."""
    return blanked(data, [(start, end) for start, end, _ in _stretches(data)])


def blanked(data: bytes, stretches: Iterable[tuple[int, int]]) -> bytes:
    """`data` with a space for every byte of `stretches`, which are in order; line ends stay."""
    parts: list[bytes] = []
    done = 0
    for start, end in stretches:
        parts.append(data[done:start])
        parts.append(data[start:end].translate(_BLANKS))
        done = end
    return b"".join((*parts, data[done:])) if parts else data


@functools.lru_cache(maxsize=1024)
def _stretches(data: bytes) -> list[_Stretch]:
    """What there is to blank in `data`, in order."""
    # a directive may stand right behind a byte order mark
    found: list[_Stretch] = [(0, len(_BOM), True)] if data.startswith(_BOM) else []
    place = 0
    while match := _START.search(data, place):
        start = match.start()
        first = data[start]
        if first == 0x2F:  # a slash, and what kind of comment it opens
            place = _comment_end(data, start)
            found += _comment(data, start, place)
        elif first == 0x22:
            place = _add_string(data, start, found)
        elif first == 0x27:
            place = _add_character(data, start, found)
        else:
            place = _add_include(data, start, found)
    return found


def _comment_end(data: bytes, start: int) -> int:
    if data[start + 1] == 0x2A:
        end = data.find(b"*/", start + 2)
        return len(data) if end < 0 else end + 2
    line = _LINE.match(data, start)
    assert line is not None
    return line.end()


def _comment(data: bytes, start: int, end: int) -> Iterator[_Stretch]:
    """A comment, without the backslashes in a `/* */` that join lines: a macro continues behind it."""
    if data[start + 1] == 0x2A and b"\\" in data[start:end]:
        for joined in _JOINED.finditer(data, start, end):
            yield start, joined.start(), True
            start = joined.start() + 1
    yield start, end, True


def _add_string(data: bytes, start: int, found: list[_Stretch]) -> int:
    match = None
    if data[start - 1 : start] == b"R" and _RAW_PREFIX.search(data[max(0, start - 4) : start]):
        match = _RAW.match(data, start)
    match = match or _STRING.match(data, start)
    assert match is not None
    if match.end() - 1 > start + 1:
        found.append((start + 1, match.end() - 1, False))
    return match.end()


def _add_character(data: bytes, start: int, found: list[_Stretch]) -> int:
    if start and data[start - 1] in _WORD:  # 1'000'000
        return start + 1
    match = _CHAR.match(data, start)
    if match is None:
        return start + 1
    found.append((start + 1, match.end() - 1, False))
    return match.end()


def _add_include(data: bytes, start: int, found: list[_Stretch]) -> int:
    """The comments on an include line; its path is kept, though it looks like a string or holds `//`."""
    match = _INCLUDE.match(data, start)
    line = line_start(data, start)
    before = data[line:start] if line else data[:start].removeprefix(_BOM)
    if match is None or before.strip(b" \t"):
        return start + 1
    found += [(*part.span(), True) for part in _COMMENT_IN_INCLUDE.finditer(data, start, match.end())]
    return match.end()
