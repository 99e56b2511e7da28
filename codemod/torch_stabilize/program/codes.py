"""The codes of the decision and of the plan's own check: what `torch-stabilize explain TSA703` to `TSA715` print."""

from __future__ import annotations

from torch_stabilize.codes import Code
from torch_stabilize.model import Confidence, Diagnostic, Severity, Span

_READ_AGAIN = (
    "Before a plan is shown, the tree as it would be is read again and compared with the tree as it is. "
    "The files are written all the same; this is left to do by hand."
)

MEMBERSHIP = Code(
    code="TSA703",
    title="A source would not be built into the library that it belongs to.",
    text=f"{_READ_AGAIN} In every library that a source was in, it has to be in that library or in its stable "
    "counterpart, under the conditions that it had, and in both only if it uses no torch and both need it. Add it to "
    "the library that is named, or take it out of the other one.",
    confidence=Confidence.MANUAL,
)
ENTRIES = Code(
    code="TSA704",
    title="A build file would not describe its libraries as it did.",
    text=f"{_READ_AGAIN} No library may be left without sources, no name may be given to two of them, no source may be "
    "listed twice, and every source has to exist.",
    confidence=Confidence.MANUAL,
)
WRONG_ABI = Code(
    code="TSA705",
    title="A library would compile code of the other ABI.",
    text=f"{_READ_AGAIN} Stable code in a library that is built without TORCH_TARGET_VERSION, or code of the unstable "
    "API in one that is built with it, does not do what either was written for.",
    confidence=Confidence.MANUAL,
)
INCLUDE_LOST = Code(
    code="TSA706",
    title="An include would not find its header.",
    text=f"{_READ_AGAIN} The header was found from the old place of the file, or in a folder that the build does not "
    "search. Write the include relative to the new place, or add the folder to the include folders of the library.",
    confidence=Confidence.MANUAL,
)
NOT_LINKED = Code(
    code="TSA707",
    title="A library would lack the definition of something that it uses.",
    text=f"{_READ_AGAIN} What a source of the library calls is defined in a source that is not linked into it: the "
    "library would not load. Migrate both in one group, or build the source that defines it into both libraries.",
    confidence=Confidence.MANUAL,
)
REGISTRATION = Code(
    code="TSA708",
    title="A registration would be lost, doubled, or made by another library.",
    text=f"{_READ_AGAIN} Each operator and each function that a library gives to Python is registered once, by that "
    "library or its stable counterpart, with the function that was registered before.",
    confidence=Confidence.MANUAL,
)
PYTHON = Code(
    code="TSA709",
    title="Python would not find a module or a name that it takes from one.",
    text=f"{_READ_AGAIN} Each module that Python code of the repository imports has to be built, and each name that it "
    "takes from there has to be in it, or be called as an operator that the same code loads.",
    confidence=Confidence.MANUAL,
)
NAME_LEFT = Code(
    code="TSA710",
    title="A name of the unstable API is left in code that the stable build compiles.",
    text=f"{_READ_AGAIN} No rule handles this name, and the stable headers lack it: the file does not compile.",
    confidence=Confidence.MANUAL,
)
UNREADABLE = Code(
    code="TSA711",
    title="A file would no longer parse.",
    text=f"{_READ_AGAIN} The file could be read before, and its edited form cannot. Please report it.",
    confidence=Confidence.MANUAL,
)
NO_ENTRY = Code(
    code="TSA712",
    title="Nothing that could be read builds the sources of this project.",
    text="The build files name no library for these sources, so that what the plan does to the build was not checked. "
    "Look at the build yourself, and build it before and after.",
    confidence=Confidence.MANUAL,
)

COMES_ALONG = Code(
    code="TSA713",
    title="A source that was not asked for moves too.",
    text="The sources that were asked for use a function, a specialisation or a variable that it defines, or it uses "
    "one of theirs, and they are built into one library: one side would miss the other when it is linked. `scan` "
    "suggests them in one group.",
    confidence=Confidence.REVIEW,
)

EMPTIED = Code(
    code="TSA714",
    title="A library that nothing is left of is removed.",
    text="Its last registrations and sources moved to its counterpart. It is taken out of the build files, what loads "
    "it loads the counterpart, and files that hold nothing any more are removed. Programs outside of this repository "
    "that load it by its name have to load the counterpart too.",
    confidence=Confidence.REVIEW,
)
EMPTIED_STAYS = Code(
    code="TSA715",
    title="A library that nothing is left of stays.",
    text="Its last registrations and sources moved to its counterpart. Something that could not be edited still speaks "
    "of it, so that it is built as before, from files that hold nothing.",
    confidence=Confidence.REVIEW,
)

CODES = (
    MEMBERSHIP, ENTRIES, WRONG_ABI, INCLUDE_LOST, NOT_LINKED, REGISTRATION, PYTHON, NAME_LEFT, UNREADABLE, NO_ENTRY,
    COMES_ALONG, EMPTIED, EMPTIED_STAYS,
)  # fmt: skip


def finding(code: Code, place: tuple[str, Span], message: str, advice: str = "") -> Diagnostic:
    """Something that the plan would break, at a place of the tree as it is."""
    path, span = place
    return Diagnostic(code.code, Severity.ERROR, path, span, message, advice)
