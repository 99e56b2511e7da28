from __future__ import annotations

from codemod.model import Severity
from codemod.repository.codes import CODES
from codemod.repository.layout import Group
from codemod.repository.notes import notes_on


def test_what_has_migrated_already_is_noted() -> None:
    (note,) = notes_on(Group("norm", ("csrc/norm.cu",), migrated=("csrc/libtorch_stable/old.cu",)))
    assert (note.path, note.severity) == ("csrc/libtorch_stable/old.cu", Severity.NOTE)
    assert note.code in {code.code for code in CODES}
