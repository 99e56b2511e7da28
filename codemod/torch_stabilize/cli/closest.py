"""What a word that is not known may have been meant to be."""

from __future__ import annotations

from collections.abc import Iterable


def closest(word: str, known: Iterable[str]) -> str:
    """`; did you mean NAME?` for the one of `known` that is most like `word`, nothing where none is."""
    from difflib import get_close_matches  # only a mistake needs it

    found = get_close_matches(word, list(known), n=1)
    return f"; did you mean {found[0]}?" if found else ""
