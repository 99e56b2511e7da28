"""The codes of this room: what `torch-stabilize explain TSA7xx` prints."""

from __future__ import annotations

from codemod.codes import Code
from codemod.model import Confidence

CODES: tuple[Code, ...] = (
    Code(
        code="TSA701",
        title="A file of the group does not parse cleanly.",
        text=(
            "The grammar met something it cannot read: a macro that opens a brace, a construct newer than the grammar, "
            "or a broken file. Sites inside the unreadable stretch are still found by their tokens; they are edited "
            "only where the edit is certain and are reported otherwise. Look at each site the report names there. "
            "Where a macro of the project is the cause, nothing has to be done once its sites are in order."
        ),
        confidence=Confidence.MANUAL,
    ),
    Code(
        code="TSA702",
        title="A header of the group is also included by units that stay legacy.",
        text=(
            "The header cannot move: it stays where it is and is made to compile in both builds. What differs is "
            "switched on TORCH_TARGET_VERSION, which only the stable target defines. Once the last legacy unit that "
            "includes it has migrated, a run on that unit's group moves it."
        ),
        confidence=Confidence.REVIEW,
    ),
    Code(
        code="TSA703",
        title="A unit of the group has migrated already.",
        text="The file lies in the folder of stable sources and holds no unstable name; it is left as it is.",
    ),
    Code(
        code="TSA704",
        title="A source that a generator writes is not in the tree.",
        text=(
            "A build file names a source that does not exist before the build: a script of the repository writes it. "
            "Migrate the generator's template, not its output; otherwise the next build brings the unstable code back."
        ),
        confidence=Confidence.MANUAL,
    ),
)
