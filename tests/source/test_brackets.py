"""Brackets are matched in every arm of an `#if`, as if that arm alone were compiled."""

from __future__ import annotations

import pytest
from torch_stabilize.model import Refusal
from torch_stabilize.source.brackets import partners
from torch_stabilize.source.document import Document
from torch_stabilize.source.parsable import refuse_unparsable


def _document(text: str) -> Document:
    return Document("a.cpp", text.encode())


def _pairs(text: str) -> dict[str, str]:
    """Opening and closing lines of the braces of `text`."""
    document = _document(text)
    lines = ["", *text.splitlines()]
    return {
        lines[document.line(opened)].strip(): lines[document.line(closed)].strip()
        for opened, closed in partners(document).items()
        if text[opened] == "{"
    }


def test_a_function_in_each_arm_has_its_own_braces() -> None:
    text = "#if A\nint f() {\n}  // f\n#else\nint g() {\n}  // g\n#endif\n"
    assert _pairs(text) == {"int f() {": "}  // f", "int g() {": "}  // g"}


def test_arms_that_open_one_body_share_its_end() -> None:
    text = "#if A\nint f() {\n#else\nint f(int) {\n#endif\n  g();\n}  // f\n"
    assert _pairs(text) == {"int f() {": "}  // f", "int f(int) {": "}  // f"}


def test_arms_that_close_one_namespace_each() -> None:
    text = "namespace n {\n#if A\n}  // first\n#else\nint g() {\n}  // g\n}  // second\n#endif\nint h() {\n}  // h\n"
    assert _pairs(text) == {"namespace n {": "}  // first", "int g() {": "}  // g", "int h() {": "}  // h"}
    refuse_unparsable(_document(text))


@pytest.mark.parametrize(
    "text",
    [
        '#ifdef __cplusplus\nextern "C" {\n#endif\nint f();\n#ifdef __cplusplus\n}\n#endif\n',
        "#if A\nint f() {\n#else\nnamespace n {\nint f() {\n#endif\n}\n#if !A\n}\n#endif\n",
    ],
)
def test_the_other_half_of_a_conditional_may_stand_elsewhere(text: str) -> None:
    refuse_unparsable(_document(text))


@pytest.mark.parametrize(
    "text",
    [
        "int f() {\n",
        "int f() {}\n}\n",
        "#if A\n#endif\nint f() {\n",
        "int f(int n {}\n",
        "int f() { return g(1)); }\n",
        "int f(int* n) { return n[0; }\n",
    ],
)
def test_brackets_without_partner_are_refused(text: str) -> None:
    with pytest.raises(Refusal, match="cannot be parsed"):
        refuse_unparsable(_document(text))


def test_the_body_of_a_macro_may_open_what_its_user_closes() -> None:
    refuse_unparsable(_document("#define BEGIN f(1,\n#define END )\nint g() { return BEGIN 2 END; }\n"))


@pytest.mark.parametrize(
    "text", ["void f() {} #include <vector>\n", "int a;\nint b; # define C 1\n", "#ifdef A\nint a; #endif\n#endif\n"]
)
def test_a_directive_behind_code_is_refused(text: str) -> None:
    with pytest.raises(Refusal, match="in the middle of a line is no directive"):
        refuse_unparsable(_document(text))


@pytest.mark.parametrize(
    "text",
    [
        "/* here */ #include <vector>\n",
        "#define AS_TEXT(line) #line\n",
        "#define A(x) f(x, \\\n  #x)\n",
        'const char* text = "a #include b";  // #if\n',
        "#if 0\nprint(f'#define {i}, {j} and so on') #if\n#endif\n",
    ],
)
def test_what_only_looks_like_a_directive_behind_code_is_none(text: str) -> None:
    refuse_unparsable(_document(text))
