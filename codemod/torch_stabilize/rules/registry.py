"""How a rule is written down: its page, its triggers and its functions in one place, found by code, name and kind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from torch_stabilize.codes import Code, Example
from torch_stabilize.model import Confidence
from torch_stabilize.rules.context import Context, Outcome, Site, SiteKind
from torch_stabilize.surface.entry import Entry

Handler = Callable[[Site, Context, Entry], "Outcome | None"]
SiteHandler = Callable[[Site, Context], "Outcome | None"]
_AnySite = TypeVar("_AnySite", bound=SiteHandler)

RULES: dict[str, Code] = {}
HANDLERS: dict[str, Handler] = {}  # by code, for what no case is declared for
_CASES: dict[tuple[str, str, SiteKind | None], Handler] = {}
_SITES: dict[tuple[SiteKind, str], SiteHandler] = {}


def rule(
    code: str,
    title: str,
    *,
    text: str = "",
    confidence: Confidence = Confidence.SAFE,
    since: str = "",
    examples: tuple[Example, ...] = (),
) -> Callable[[Handler], Handler]:
    """Declare the function below as the rule `code`: what is done where a row of the tables names it.

    A code has one rule; a second one is an error. The function returns None where the site turns out not to be one, for
    instance a string's `size()`.
    """

    def declare(handler: Handler) -> Handler:
        page(code, title, text, examples, confidence, since)
        HANDLERS[code] = handler
        return handler

    return declare


def case(code: str, *names: str, kind: SiteKind | None = None) -> Callable[[Handler], Handler]:
    """Declare the function below as what `code` does for sites of these names, less their namespaces, or of this kind."""

    def declare(handler: Handler) -> Handler:
        for name in names or ("",):
            if (code, name, kind) in _CASES:
                raise ValueError(f"{code} has two cases for {name or kind}")
            _CASES[code, name, kind] = handler
        return handler

    return declare


def on(kind: SiteKind, *names: str) -> Callable[[_AnySite], _AnySite]:
    """Declare the function below for sites of a kind that no row of the tables names, or for these of them."""

    def declare(handler: _AnySite) -> _AnySite:
        for name in names or ("",):
            if (kind, name) in _SITES:
                raise ValueError(f"{kind.value} sites {name!r} have two rules")
            _SITES[kind, name] = handler
        return handler

    return declare


def handler_of(code: str, site: Site) -> Handler | None:
    """The function that `code` declares for a site: by its name and kind, by its name, by its kind, or for all others."""
    keys: Iterator[tuple[str, str, SiteKind | None]] = (
        (code, name, kind)
        for name, kind in (
            (site.name.rpartition("::")[2], site.kind),
            (site.name.rpartition("::")[2], None),
            ("", site.kind),
        )
    )
    return next((_CASES[key] for key in keys if key in _CASES), HANDLERS.get(code))


def site_handler(site: Site) -> SiteHandler | None:
    """The function that is declared for a site by its kind."""
    return _SITES.get((site.kind, site.name)) or _SITES.get((site.kind, ""))


def page(
    code: str,
    title: str,
    text: str = "",
    examples: tuple[Example, ...] = (),
    confidence: Confidence = Confidence.SAFE,
    since: str = "",
) -> str:
    """Declare a code that has a page but no handler of its own; returns the code."""
    if code in RULES:
        raise ValueError(f"{code} is declared twice")
    RULES[code] = Code(code, title, text, confidence, since, examples)
    return code
