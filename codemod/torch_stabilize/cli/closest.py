"""What a word that is not known may have been meant to be."""

from __future__ import annotations

from collections.abc import Iterable


def closest(word: str, known: Iterable[str]) -> str:
    """`; did you mean NAME?` for the one of `known` that is most like `word`, nothing where none is."""
    from difflib import SequenceMatcher, get_close_matches  # only a mistake needs it

    def likeness(other: str) -> tuple[float, int]:
        same_place = sum(one == its for one, its in zip(word, other, strict=False))
        return SequenceMatcher(None, word, other).ratio(), same_place

    found = get_close_matches(word, list(known), n=20)
    return f"; did you mean {max(found, key=likeness)}?" if found else ""
