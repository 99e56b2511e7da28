"""The codes of this room: what `torch-stabilize explain TSA7xx` prints."""

from __future__ import annotations

from codemod.codes import Code

MIGRATED_ALREADY = "TSA701"

CODES: tuple[Code, ...] = (
    Code(
        code=MIGRATED_ALREADY,
        title="A unit of the group has migrated already.",
        text="The file lies in the folder of stable sources and holds no unstable name; it is left as it is.",
    ),
)
