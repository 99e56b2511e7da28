from __future__ import annotations

from codemod.repository.codes import CODES
from codemod.repository.layout import Group
from codemod.repository.notes import notes_on

GROUP = Group("norm", ("csrc/norm.cu",), (), ("csrc/used.h", "csrc/untouched.h"), ("csrc/libtorch_stable/old.cu",))


def test_headers_that_stay_and_change_are_named() -> None:
    found = notes_on(GROUP, {"csrc/used.h", "csrc/norm.cu"})
    assert [(note.code, note.path) for note in found] == [
        ("TSA701", "csrc/used.h"),
        ("TSA702", "csrc/libtorch_stable/old.cu"),
    ]


def test_every_note_has_a_page() -> None:
    codes = [code.code for code in CODES]
    assert len(codes) == len(set(codes))
    assert {note.code for note in notes_on(GROUP, GROUP.shared_headers)} <= set(codes)
