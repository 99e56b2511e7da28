"""A Python file as a tree: where its nodes stand, and that one read in part has them in the same places."""

from __future__ import annotations

import ast
import re

import pytest

from codemod.buildfiles.python.syntax import read_python
from codemod.model import Refusal

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
ABOUT = re.compile(rb"(?<!\w)_C(?!\w)")


def texts(data: bytes, about: re.Pattern[bytes] | None) -> list[tuple[int, str]]:
    file = read_python("x.py", data, about)
    nodes: list[ast.Import | ast.ImportFrom | ast.Call] = [
        *file.find(ast.Import),
        *file.find(ast.ImportFrom),
        *file.find(ast.Call),
    ]
    return [(file.span(node).start, file.text(node)) for node in nodes]


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_statements_that_do_not_matter_are_left_out_and_offsets_stay(mark: bytes, end: bytes) -> None:
    data = mark + TEXT.encode().replace(b"\n", end)
    assert texts(data, ABOUT) == texts(data, None)
    names = [node.name for node in read_python("x.py", data, ABOUT).find(ast.FunctionDef)]
    assert names == ["kept"]
    assert read_python("x.py", data, ABOUT).find(ast.ClassDef) == []


def test_a_syntax_error_is_an_error_in_part_too() -> None:
    with pytest.raises(Refusal, match=r"x\.py: Python syntax error"):
        read_python("x.py", b"import _C\ndef f(:\n", ABOUT)


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("x = (f(1))\n", "(f(1))"),
        ("x = ((\n    f(1)  # why\n))\n", "((\n    f(1)  # why\n))"),
        ("g(f(1))\n", "f(1)"),
        ("g((f(1)), 2)\n", "(f(1))"),
        ("g(2, (f(1)))\n", "(f(1))"),
        ("g (f(1))\n", "f(1)"),
        ("g(x=(f(1)))\n", "(f(1))"),
        ("class A(f(1)): pass\n", "f(1)"),
        ("x = (f(1), 2)\n", "f(1)"),
        ("x = [i for i in (f(1))]\n", "(f(1))"),
        ('x = "ä"; y = f(1)\n', "f(1)"),
    ],
)
def test_a_span_takes_in_the_parentheses_of_its_own(code: str, text: str) -> None:
    file = read_python("x.py", code.encode())
    found = [call for call in file.find(ast.Call) if file.text(call.func) == "f"]
    assert [file.text(call) for call in found] == [text]


def test_names_in_formatted_strings_have_their_places() -> None:
    code = """x = (f"é {one}" "two" f"{three + four!r:>{width}}")
y = f'''ü {five}
  {{six}} {  seven . eight }
'''
"""
    file = read_python("x.py", code.encode())
    read = [name for name in file.find(ast.Name) if name.id not in "xy"]
    assert [file.text(name) for name in read] == ["one", "three", "four", "width", "five", "seven"]
    assert [name.id for name in read] == ["one", "three", "four", "width", "five", "seven"]


def test_the_statement_of_a_node_is_all_that_is_on_its_lines() -> None:
    code = b"""\
if a:
    f(
        1
    )
elif b: f(2)
else:
    x = 1; f(3)
with c: f(4)
"""
    file = read_python("x.py", code)
    statements = [file.text(file.statement(call)) for call in file.find(ast.Call)]
    assert statements[0] == "f(\n        1\n    )"
    assert statements[1].startswith("elif b: f(2)\nelse:")
    assert statements[2:] == ["f(3)", "with c: f(4)"]
    assert [file.conditions(call) for call in file.find(ast.Call)] == [
        ("a",),
        ("not (a)", "b"),
        ("not (a)", "not (b)"),
        (),
    ]
