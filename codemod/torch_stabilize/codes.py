"""A diagnostic's code with its page: the one form every room writes its codes in."""

from __future__ import annotations

from typing import NamedTuple

from torch_stabilize.model import Confidence

DOCUMENTATION = "https://torch-stabilize.readthedocs.io/en/latest/"


class Example(NamedTuple):
    """Source before and after a rule; `after` equal to `before` shows what the rule leaves alone."""

    before: str
    after: str
    note: str = ""


def untouched(text: str, note: str = "") -> Example:
    """Source that looks like what a rule rewrites, and is left alone."""
    return Example(text, text, note)


class Code(NamedTuple):
    """What `torch-stabilize explain CODE` prints.

    `title` is one sentence; `text` says what happens, why, and what to do by hand; `since` is the oldest target
    (a torch version like "2.10") at which the stable form exists, empty where any will do.
    """

    code: str
    title: str
    text: str = ""
    confidence: Confidence = Confidence.SAFE
    since: str = ""
    examples: tuple[Example, ...] = ()


def page_address(code: str) -> str:
    """Where the documentation has the page of `code`."""
    return f"{DOCUMENTATION}codes/{code}/"
