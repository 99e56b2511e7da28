"""The codes of this room: what `torch-stabilize explain TSA7xx` prints."""

from __future__ import annotations

from codemod.codes import Code
from codemod.model import Confidence

SHARED_HEADER = "TSA701"
MIGRATED_ALREADY = "TSA702"

CODES: tuple[Code, ...] = (
    Code(
        code=SHARED_HEADER,
        title="A header of the group is also included by units outside of it.",
        text=(
            "The header cannot move: it stays where it is and is made to compile in both builds. What differs is "
            "switched on TORCH_TARGET_VERSION, which only the stable target defines. It moves with the last legacy "
            "unit that includes it; naming those units together with the group moves it at once."
        ),
        confidence=Confidence.REVIEW,
    ),
    Code(
        code=MIGRATED_ALREADY,
        title="A unit of the group has migrated already.",
        text="The file lies in the folder of stable sources and holds no unstable name; it is left as it is.",
    ),
)
