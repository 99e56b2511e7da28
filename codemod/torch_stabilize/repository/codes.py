"""The codes of this room: what `torch-stabilize explain TSA7xx` prints."""

from __future__ import annotations

from torch_stabilize.codes import Code
from torch_stabilize.model import Confidence

MIGRATED_ALREADY = "TSA701"
BRANCHES_UNUSED = "TSA702"
SPLIT_IN_PLACE = "TSA720"
WHOLE_IN_PLACE = "TSA721"
CONVERTED_IN_PLACE = "TSA722"
REGISTERS_ONLY = "TSA723"
CALLED_THROUGH_OPERATOR = "TSA732"
EDITS_COLLIDE = "TSA790"
NEWER_THAN_TABLES = "TSA930"
CANNOT_BE_PLANNED = "TSA940"
NOT_PARSED = "TSA040"

CODES: tuple[Code, ...] = (
    Code(
        code=CALLED_THROUGH_OPERATOR,
        title="Legacy code that calls a function which moves calls its operator.",
        text="The function's definition leaves the legacy library. Where C++ can call the operator with the same "
        "types, the unit that calls it gets a definition that does. The call is one of the dispatcher then: the stable "
        "library has to be loaded, and autograd sees one operator where it saw what the function called.",
        confidence=Confidence.REVIEW,
    ),
    Code(
        code=MIGRATED_ALREADY,
        title="A unit of the group has migrated already.",
        text="The file lies in the folder of stable sources and holds no unstable name; it is left as it is.",
    ),
    Code(
        code=BRANCHES_UNUSED,
        title="A shared header has lost its last legacy user.",
        text="No unit of the repository compiles its branches for the unstable API any more, such as the `#else` of "
        "`#ifdef TORCH_TARGET_VERSION`. They are left for you to delete: sources outside of the repository may include "
        "the header.",
    ),
    Code(
        code=SPLIT_IN_PLACE,
        title="In place, a library of which something stays gets a second one next to it.",
        text="With `--in-place` a library is converted as a whole, with its name and files, where all of it that uses "
        "torch was asked for and can migrate. Otherwise the units that migrate are built into a stable library of "
        "its own, and the rest stays where it was; the message has the reason.",
        confidence=Confidence.REVIEW,
    ),
    Code(
        code=WHOLE_IN_PLACE,
        title="The library could be converted where it is.",
        text="All of the library that uses torch migrates, so that no second library is needed: `--in-place`, or "
        "`in_place = true` in the configuration, converts it with its name and files kept. The message has the number "
        "of changed lines of both ways.",
    ),
    Code(
        code=CONVERTED_IN_PLACE,
        title="A library is converted where it is.",
        text="Its files and its name stay what they are; its build entry gets what the stable ABI needs.",
    ),
    Code(
        code=REGISTERS_ONLY,
        title="A file that was asked for holds registrations alone.",
        text="Nothing in it has to be migrated by itself: each registration moves with the unit that implements it, "
        "and the file stays for the others.",
    ),
    Code(
        code=EDITS_COLLIDE,
        title="Two edits of one file overlap.",
        text="None of the file's edits is made: it stays as it was. Edit the place by hand and run again; please "
        "report it too, with the lines around the place.",
        confidence=Confidence.MANUAL,
    ),
    Code(
        code=NEWER_THAN_TABLES,
        title="A torch that is newer than the tables.",
        text="Everything that the tables have is there in it too; what it brought itself is not used yet. "
        "`python -m torch_stabilize.surface.probe INCLUDE_DIR` lists what its headers have and no table does.",
    ),
    Code(
        code=CANNOT_BE_PLANNED,
        title="A group of a series cannot be migrated as its files are.",
        text="The message has the reason, as `torch-stabilize migrate` of the group would give it. The other groups of "
        "the series are not concerned.",
        confidence=Confidence.MANUAL,
    ),
    Code(
        code=NOT_PARSED,
        title="A file that could be parsed cannot be parsed any more.",
        text="The edits were made where the code means something else than it seems to, most often in code that does "
        "not compile. The message has the line; mend it before the migration, or in what came out.",
        confidence=Confidence.MANUAL,
    ),
)
