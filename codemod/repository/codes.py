"""The codes of this room: what `torch-stabilize explain TSA7xx` prints."""

from __future__ import annotations

from codemod.codes import Code
from codemod.model import Confidence

MIGRATED_ALREADY = "TSA701"
BRANCHES_UNUSED = "TSA702"
EDITS_COLLIDE = "TSA790"

CODES: tuple[Code, ...] = (
    Code(
        code=MIGRATED_ALREADY,
        title="A unit of the group has migrated already.",
        text="The file lies in the folder of stable sources and holds no unstable name; it is left as it is.",
    ),
    Code(
        code=BRANCHES_UNUSED,
        title="A header of both worlds has lost its last legacy user.",
        text="No unit of the repository compiles its branches for the unstable API any more, such as the `#else` of "
        "`#ifdef TORCH_TARGET_VERSION`. They are left for you to delete: sources outside of the repository may include "
        "the header.",
    ),
    Code(
        code=EDITS_COLLIDE,
        title="Two edits of one file want the same bytes.",
        text="None of the file's edits is made: it stays as it was. Edit the place by hand and run again; please "
        "report it too, with the lines around the place.",
        confidence=Confidence.MANUAL,
    ),
)
