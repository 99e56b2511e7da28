"""Every code with its page, from all rooms, and the pages as text, Markdown and JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module

from torch_stabilize.codes import Code, Example
from torch_stabilize.model import Confidence

# The rooms that are not site rules write their codes in a tuple CODES.
CODE_MODULES = (
    "torch_stabilize.bindings.codes",
    "torch_stabilize.buildfiles.codes",
    "torch_stabilize.repository.codes",
    "torch_stabilize.program.codes",
    "torch_stabilize.retire.codes",
    "torch_stabilize.verify.codes",
    "torch_stabilize.verify.golden.pages",
    "torch_stabilize.checking.check",
)

# docs/architecture.md gives each room its hundred.
ROOMS = {
    "TSA0": "Includes and headers",
    "TSA1": "Types, methods, factories and operators on tensors",
    "TSA2": "Checks and error macros",
    "TSA3": "Dispatch",
    "TSA4": "Device: guards, streams, properties, handles, allocator",
    "TSA5": "Bindings, schemas and declarations",
    "TSA6": "Build files and Python",
    "TSA7": "Repository: groups, layout, parse errors, the allow-list",
    "TSA8": "Verification",
    "TSA9": "Names no rule knows",
}

CONFIDENCE = {
    Confidence.SAFE: "safe: the same behaviour by construction",
    Confidence.REVIEW: "review: applied, and listed first in the report",
    Confidence.MANUAL: "manual: not applied, there is something to do by hand",
}


def room(code: str) -> str:
    """What the code's hundred is about."""
    return ROOMS.get(code[:4], "")


def all_codes() -> Mapping[str, Code]:
    """Every code of every room, sorted. Raises ValueError where two rooms use the same one."""
    found: dict[str, Code] = {}
    for code in _every_code():
        if found.setdefault(code.code, code) is not code:
            raise ValueError(f"{code.code} is used twice: {found[code.code].title!r} and {code.title!r}")
    return dict(sorted(found.items()))


def _every_code() -> Iterator[Code]:
    from torch_stabilize.rules import RULES

    yield from RULES.values()
    for name in CODE_MODULES:
        codes: tuple[Code, ...] = import_module(name).CODES
        yield from codes


def page_text(code: Code) -> str:
    """The page of `code` for a terminal."""
    blocks = [f"{code.code}: {code.title}", CONFIDENCE[code.confidence]]
    if code.since:
        blocks[-1] += f"\nneeds torch {code.since} or newer"
    if code.text:
        blocks.append(code.text.strip())
    for example in code.examples:
        blocks.append("\n".join(_example_text(example)))
    return "\n\n".join(blocks) + "\n"


def _example_text(example: Example) -> Iterator[str]:
    if example.note:
        yield f"{example.note}:"
    if example.before == example.after:
        yield from (f"    {line}" for line in example.before.strip("\n").split("\n"))
        yield "  stays as it is"
        return
    yield from (f"  - {line}" for line in example.before.strip("\n").split("\n"))
    yield from (f"  + {line}" for line in example.after.strip("\n").split("\n"))


def pages_markdown(codes: Iterable[Code]) -> str:
    """The pages of `codes` as one Markdown document, room by room."""
    from torch_stabilize.templates import render

    rooms = {prefix: [code for code in codes if code.code.startswith(prefix)] for prefix in ROOMS}
    named = [(ROOMS[prefix], found) for prefix, found in rooms.items() if found]
    return render("report/codes.md.j2", rooms=named, confidence=CONFIDENCE)


def page_markdown(code: Code) -> str:
    """The page of `code` in Markdown, without a heading."""
    from torch_stabilize.templates import render

    return render("report/code.md.j2", code=code, confidence=CONFIDENCE)


def pages_json(codes: Iterable[Code]) -> str:
    """The pages of `codes` as JSON, with a line end."""
    pages = [
        {
            "code": code.code,
            "title": code.title,
            "text": code.text,
            "confidence": code.confidence.value,
            "since": code.since,
            "examples": [{"before": e.before, "after": e.after, "note": e.note} for e in code.examples],
        }
        for code in codes
    ]
    return json.dumps(pages, indent=2) + "\n"
