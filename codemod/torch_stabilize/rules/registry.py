"""How a rule is written down: its page and its function in one place, found by code."""

from __future__ import annotations

from collections.abc import Callable

from torch_stabilize.codes import Code, Example
from torch_stabilize.model import Confidence
from torch_stabilize.rules.context import Context, Outcome, Site

Handler = Callable[[Site, Context], "Outcome | None"]

RULES: dict[str, Code] = {}
HANDLERS: dict[str, Handler] = {}


def rule(
    code: str,
    title: str,
    *,
    text: str = "",
    confidence: Confidence = Confidence.SAFE,
    since: str = "",
    examples: tuple[Example, ...] = (),
) -> Callable[[Handler], Handler]:
    """Declare the function below as the rule `code`. A code has one rule; a second one is an error.

    The function returns None where the site turns out not to be one, for instance a string's `size()`.
    """

    def declare(handler: Handler) -> Handler:
        if code in RULES:
            raise ValueError(f"{code} is declared twice")
        RULES[code] = Code(code, title, text, confidence, since, examples)
        HANDLERS[code] = handler
        return handler

    return declare


def page(
    code: str,
    title: str,
    text: str = "",
    examples: tuple[Example, ...] = (),
    confidence: Confidence = Confidence.SAFE,
) -> str:
    """Declare a code that has a page but no handler of its own; returns the code."""
    if code in RULES:
        raise ValueError(f"{code} is declared twice")
    RULES[code] = Code(code, title, text, confidence, "", examples)
    return code
