"""Blank out comments and literals, byte for byte, so that a plain search sees code alone.

Offsets stay what they were: every blanked byte becomes a space, line ends stay. Include paths are kept.
"""

from __future__ import annotations

import re

_TOKEN = re.compile(
    rb"""
      (?P<raw>\b(?:u8|[uUL])?R"(?P<tag>[^()\\\s]{0,16})\((?:.|\n)*?\)(?P=tag)")
    | (?P<include>^[ \t]*\#[ \t]*include(?:_next)?\b[^\n]*)
    | (?P<line>//(?:\\\r?\n|[^\n])*)
    | (?P<block>/\*(?:.|\n)*?(?:\*/|\Z))
    | (?P<string>"(?:\\(?:\r\n|.|\n)|[^"\\\n])*(?:"|(?=\n)|\Z))
    | (?P<char>(?<![0-9a-zA-Z_])'(?:\\.|[^'\\\n]){1,8}')
    """,
    re.VERBOSE | re.MULTILINE,
)
_INK = re.compile(rb"[^\n\r]")
_BOM = b"\xef\xbb\xbf"
_COMMENT_IN_INCLUDE = re.compile(rb"//.*|/\*.*?\*/")


def _blank(text: bytes) -> bytes:
    return _INK.sub(b" ", text)


def _without_bom(data: bytes) -> bytes:
    """`data` with its byte order mark blanked: a directive may stand right behind it."""
    return b"   " + data[3:] if data.startswith(_BOM) else data


def mask_comments(data: bytes) -> bytes:
    """`data` with comments blanked and literals kept."""

    def replace(match: re.Match[bytes]) -> bytes:
        text = match.group()
        if match.lastgroup == "include":
            return _COMMENT_IN_INCLUDE.sub(lambda part: _blank(part.group()), text)
        return _blank(text) if match.lastgroup in ("line", "block") else text

    return _TOKEN.sub(replace, _without_bom(data))


def mask(data: bytes) -> bytes:
    """`data` with comments, strings and character literals blanked; the quotes of a literal stay."""

    def replace(match: re.Match[bytes]) -> bytes:
        text = match.group()
        if match.lastgroup == "include":
            return _COMMENT_IN_INCLUDE.sub(lambda part: _blank(part.group()), text)
        if match.lastgroup in ("line", "block"):
            return _blank(text)
        first = text.find(b'"') if match.lastgroup != "char" else 0
        last = len(text) - 1
        if last <= first:
            return text
        return text[: first + 1] + _blank(text[first + 1 : last]) + text[last:]

    return _TOKEN.sub(replace, _without_bom(data))
