"""Comments that allow the unstable sites of a line: `// torch-stabilize: allow at::Tensor: waits for torch 2.14`."""

from __future__ import annotations

import re
from typing import NamedTuple

_COMMENT = re.compile(
    r"(?://|/\*|\#)\s*torch-stabilize:\s*allow\b[ \t]*(?P<name>[^\s:*](?:[^\s:]|::)*)?"
    r"[ \t]*(?::[ \t]*(?P<reason>.*?))?\s*(?:\*/)?\s*$"
)


class InlineAllow(NamedTuple):
    """One comment. It is about sites of `name` on `covers`, of any name where `name` is empty."""

    line: int  # where the comment is, from 1
    covers: int  # the line that it is about: its own, or the next where it has one of its own
    name: str
    reason: str

    def allows(self, name: str, line: int) -> bool:
        """Whether a site of `name` on `line` is allowed by it; a comment without a reason allows nothing."""
        return bool(self.reason) and line == self.covers and self.name in ("", name)


def inline_allows(text: str) -> tuple[InlineAllow, ...]:
    """The comments of this kind in a file."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        match = _COMMENT.search(line) if "torch-stabilize:" in line else None
        if match is not None:
            covers = number if line[: match.start()].strip() else number + 1
            found.append(InlineAllow(number, covers, match["name"] or "", match["reason"] or ""))
    return tuple(found)
