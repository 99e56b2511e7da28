"""Names and messages inside of Markdown."""

from __future__ import annotations

import pytest
from torch_stabilize.report.markup import markdown, markdown_block, markdown_cell, markdown_code, split_help


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("std::vector<at::Tensor> *x", r"std::vector\<at::Tensor\> \*x"),
        ("TORCH_CHECK of __init__ and _C", r"TORCH_CHECK of \__init_\_ and \_C"),
        ("see `a<b>|*c*`, [x](y)", r"see `a<b>|*c*`, \[x\](y)"),
        ("one ` alone", r"one \` alone"),
    ],
)
def test_markup_is_escaped_outside_of_code(text: str, shown: str) -> None:
    assert markdown(text) == shown


def test_a_bar_ends_a_cell_in_code_too() -> None:
    assert markdown_cell("a | b, `c | d`\ne") == r"a \| b, `c \| d` e"


@pytest.mark.parametrize(("text", "span"), [("a", "`a`"), ("a`b", "``a`b``"), ("`", "`` ` ``")])
def test_code_spans_hold_backticks(text: str, span: str) -> None:
    assert markdown_code(text) == span


def test_code_of_advice_is_a_block_of_its_own() -> None:
    words, code = split_help("add it:\nsources += [\n  'a.cu',\n]")
    assert words == "add it:"
    assert markdown_block(code, "  ") == "  ```\n  sources += [\n    'a.cu',\n  ]\n  ```"
    assert split_help("use it: as it is") == ("use it: as it is", "")
    assert markdown_block("```", "") == "````\n```\n````"
