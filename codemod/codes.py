"""A diagnostic's code with its page: the one form every room writes its codes in."""

from __future__ import annotations

from dataclasses import dataclass

from codemod.model import Confidence


@dataclass(frozen=True)
class Example:
    """Source before and after a rule; `after` equal to `before` shows what the rule leaves alone."""

    before: str
    after: str
    note: str = ""


@dataclass(frozen=True)
class Code:
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
