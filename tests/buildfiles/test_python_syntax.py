"""A Python file read in part has every node where the whole file has it."""

from __future__ import annotations

import re

import libcst as cst
import pytest
from torch_stabilize.buildfiles.python.syntax import read_python, statements_about
from torch_stabilize.model import Refusal

TEXT = '''\
"""Docstring with _C in it: ä."""
import os

@decorated
def kept():
    from pkg import _C
    return _C.f()

def left_out():  # ü
    return os.environ["HOME"]

x = 1; y = load("_C.so")
class AlsoLeftOut:
    z = "ß"
try:
    import pkg._C
except ImportError:
    pass
'''
BROKEN = b"import _C\ndef f(:\n"
ABOUT = re.compile(rb"(?<!\w)_C(?!\w)")


def texts(data: bytes, about: re.Pattern[bytes] | None) -> list[tuple[int, str]]:
    file = read_python("x.py", data, statements_about(data, about) if about else None)
    nodes: list[cst.CSTNode] = [*file.find(cst.Import), *file.find(cst.ImportFrom), *file.find(cst.Call)]
    return [(file.span(node).start, file.text(node)) for node in nodes]


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_statements_that_do_not_matter_are_left_out_and_offsets_stay(mark: bytes, end: bytes) -> None:
    data = mark + TEXT.encode().replace(b"\n", end)
    assert texts(data, ABOUT) == texts(data, None)
    names = [node.name.value for node in read_python("x.py", data, statements_about(data, ABOUT)).find(cst.FunctionDef)]
    assert names == ["kept"]
    assert read_python("x.py", data, statements_about(data, ABOUT)).find(cst.ClassDef) == []


def test_a_syntax_error_is_an_error_in_part_too() -> None:
    with pytest.raises(Refusal, match=r"x\.py: Python syntax error"):
        read_python("x.py", BROKEN, statements_about(BROKEN, ABOUT))
