"""Files that are no text, and names that no build file can have, are refused with the reason."""

from __future__ import annotations

import os

import pytest
from torch_stabilize.model import Refusal
from torch_stabilize.source.document import Document
from torch_stabilize.source.parsable import is_nameable, refuse_unparsable, refuse_unwritable

CODE = b"int f() { return 1; }\n"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\xff\xfe" + CODE.decode().encode("utf-16-le"), "ops.cpp is UTF-16; save it as UTF-8"),
        (b"\xfe\xff" + CODE.decode().encode("utf-16-be"), "ops.cpp is UTF-16; save it as UTF-8"),
        (CODE + b"int g;\n\0\0\n", "ops.cpp:3: not text: a zero byte"),
        (CODE + b"int g(int n {}\n", "ops.cpp:2: cannot be parsed: this `(` is never closed"),
        (CODE + b"}\n", "ops.cpp:2: cannot be parsed: this `}` closes nothing"),
    ],
)
def test_the_reason_names_the_place(data: bytes, reason: str) -> None:
    with pytest.raises(Refusal) as caught:
        refuse_unparsable(Document("ops.cpp", data))
    assert str(caught.value) == reason


def test_a_name_that_is_no_text() -> None:
    name = os.fsdecode(b"caf\xe9.cpp")
    assert not is_nameable(name)
    assert is_nameable("caf\u00e9.cpp")
    with pytest.raises(Refusal, match="the name is not UTF-8, so no build file can name it"):
        refuse_unparsable(Document(name, CODE))


@pytest.mark.parametrize("data", [b"\xef\xbb\xbf" + CODE, b"// caf\xe9\n" + CODE, CODE.replace(b"\n", b"\r\n")])
def test_marks_comments_and_line_ends_of_other_systems_are_fine(data: bytes) -> None:
    refuse_unparsable(Document("ops.cpp", data))


def test_bytes_that_would_be_lost_in_new_text_are_refused() -> None:
    document = Document("ops.cpp", b"int caf\xe9;\n")
    with pytest.raises(Refusal, match="not UTF-8 outside of comments and literals"):
        refuse_unwritable(document, document.data.decode("utf-8", "replace").encode())
    refuse_unwritable(document, b"int cafe;\n")
    marked = Document("ops.cpp", 'const char* mark = "\ufffd";\n'.encode())
    refuse_unwritable(marked, marked.data)  # the mark was in the file before


def test_a_macro_goes_on_behind_a_comment_of_several_lines() -> None:
    text = (
        b"#define F(x) \\\n  { \\\n    /* one \\\n       two */ \\\n    g(x); \\\n  }\n\nint f() { F(1) return 0; }\n"
    )
    document = Document("a.cu", text)
    refuse_unparsable(document)
    (macro,) = document.macros
    assert b"g(x)" in text[macro.body.start : macro.body.end]
