"""Words in code, found fast."""

from __future__ import annotations

import functools
import re

INCLUDED = re.compile(rb"^[ \t]*#[ \t]*include[ \t]*[<\"](?P<path>[^>\"\n]+)[>\"]", re.MULTILINE)


@functools.lru_cache(maxsize=4096)
def word_start(word: bytes, not_behind: bytes = rb"\w") -> bytes:
    r"""The pattern for `word` where no character of the set `not_behind` is in front of it: `using`, not `reusing`.

    Says what `\busing` and `(?<!\w)using` say. Those make a search try every place; one that begins with letters skips
    to where they stand, which counts in patterns that run over every byte of a tree.
    """
    escaped = re.escape(word)
    return rb"%b(?<![%b]%b)" % (escaped, not_behind, escaped)


@functools.lru_cache(maxsize=4096)
def whole_word(word: bytes) -> bytes:
    """The pattern for `word` by itself, neither the end nor the beginning of a longer one."""
    return word_start(word) + rb"(?!\w)"


@functools.lru_cache(maxsize=4096)
def word_pattern(word: bytes) -> re.Pattern[bytes]:
    """`whole_word(word)`, compiled."""
    return re.compile(whole_word(word))


def places(code: bytes, *words: bytes) -> list[int]:
    """Where one of `words` is in `code`, also within a longer word, in order.

    They are looked for one after the other: a pattern that may begin with one or the other is tried at every place.
    """
    found = []
    for word in words:
        place = code.find(word)
        while place >= 0:
            found.append(place)
            place = code.find(word, place + len(word))
    return sorted(found)
