"""Offsets hold: whatever node of whatever fragment, its span in the file is its text."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_stabilize.model import Edit, Span
from torch_stabilize.source.document import Document, Fragment, per_document, word_places
from torch_stabilize.source.edits import apply
from torch_stabilize.source.mask import mask, mask_comments
from tree_sitter import Node

LINES = st.sampled_from(
    [
        "const at::Tensor& x = input.contiguous();",
        "int64_t d = x.size(-1) / 2;",
        'TORCH_CHECK(x.dim() == 2, "grüße, ", x.dim());',
        "KERNEL<scalar_t><<<grid, block, 0, stream>>>(out.data_ptr<scalar_t>(), d);",
        "AT_DISPATCH_SWITCH(x.scalar_type(), #NAME, CASE(at::kHalf, [&] { f##NAME(x); }));",
        "if (x.numel() == 0) { return; }",
        "for (int i = 0; i < d; ++i) { g(i); }",
        '/* a comment, with "quotes" */',
        "char c = '\"';",
    ]
)
NAMES = st.sampled_from(["LAUNCH", "CASE_OF", "M"])
HEADS = st.sampled_from(["", "\ufeff", "// caf\u00e9\n#include <torch/all.h>\n", "int before = 1;\n"])
ENDS = st.sampled_from(["\n", "\r\n"])


@st.composite
def files(draw: st.DrawFn) -> bytes:
    """A file with macros of several lines, each continued, and code between them."""
    end = draw(ENDS)
    encoding = draw(st.sampled_from(["utf-8", "cp1252"]))
    parts = [draw(HEADS.filter(lambda head: encoding == "utf-8" or "\ufeff" not in head))]
    for _ in range(draw(st.integers(1, 3))):
        body = draw(st.lists(LINES, min_size=1, max_size=5))
        padding = draw(st.sampled_from([" ", "   ", ""]))
        params = draw(st.sampled_from(["", "(NAME, KERNEL)", "(...)"]))
        lines = [f"#define {draw(NAMES)}{params}", *(f"  {line}" for line in body)]
        parts.append((padding + "\\\n").join(lines) + "\n")
        parts.append(f"void f(torch::Tensor& x) {{\n  {draw(LINES)}\n}}\n")
    text = "".join(parts).replace("\n", end)
    return text.encode(encoding)


def leaves(node: Node) -> list[Node]:
    if not node.children:
        return [node]
    return [leaf for child in node.children for leaf in leaves(child)]


def plain(text: bytes) -> bytes:
    """What a macro body and its parse may differ in: continuations and the operators # and ##."""
    return re.sub(rb"[\s\\#_]+", b"", text)


def macro_bodies(document: Document) -> list[Fragment]:
    """The parsed body of every macro."""
    return [document.fragment_at(macro.body.start) for macro in document.macros]


def check_offsets(document: Document, fragment: Fragment) -> int:
    checked = 0
    source = fragment.tree.root_node.text
    assert source is not None
    limit = fragment.macro.body if fragment.macro else Span(0, len(document.data))
    for leaf in leaves(fragment.tree.root_node):
        place = leaf.start_byte + fragment.base
        if leaf.is_missing or place < limit.start or leaf.end_byte + fragment.base > limit.end:
            continue  # the frame a body is parsed in
        assert leaf.text is not None
        assert plain(document.text(fragment.span(leaf))) == plain(leaf.text)
        checked += 1
    return checked


@settings(deadline=None)
@given(files())
def test_every_token_stands_where_its_span_says(data: bytes) -> None:
    document = Document("a.cu", data)
    assert check_offsets(document, document.whole) > 0
    for fragment in macro_bodies(document):
        assert check_offsets(document, fragment) > 0


@settings(deadline=None)
@given(files())
def test_every_name_in_a_macro_body_is_found_again(data: bytes) -> None:
    """The tokens of the text and the identifiers of the tree are the same."""
    document = Document("a.cu", data)
    for fragment in macro_bodies(document):
        assert fragment.macro is not None
        body = fragment.macro.body
        for match in re.finditer(rb"\bscalar_t\b|\bdata_ptr\b", document.code[body.start : body.end]):
            span = Span(match.start() + body.start, match.end() + body.start)
            node = fragment.node_at(span)
            assert node is not None
            assert fragment.span(node) == span
            assert document.fragment_at(span.start) is fragment


@settings(deadline=None)
@given(files())
def test_renaming_in_the_tree_is_renaming_in_the_text(data: bytes) -> None:
    """Edits at the spans of nodes do what a search in the code would: comments and strings are not touched."""
    document = Document("a.cu", data)
    edits = set()
    for fragment in (document.whole, *macro_bodies(document)):
        waiting = [fragment.tree.root_node]
        while waiting:
            node = waiting.pop()
            waiting += node.children
            if not node.children and node.text == b"data_ptr":
                edits.add(Edit(fragment.span(node), b"mutable_data_ptr", "TSA000"))
    places = [match.span() for match in re.finditer(rb"\bdata_ptr\b", document.code)]
    expected = {Edit(Span(*place), b"mutable_data_ptr", "TSA000") for place in places}
    assert edits == expected
    assert apply(data, edits).count(b"mutable_data_ptr") == len(places)


@given(files())
def test_masking_keeps_every_offset_and_line_end(data: bytes) -> None:
    for masked in (mask(data), mask_comments(data)):
        assert len(masked) == len(data)
        assert [i for i, byte in enumerate(masked) if byte in b"\r\n"] == [
            i for i, byte in enumerate(data) if byte in b"\r\n"
        ]
        assert all(new in (old, 0x20) for new, old in zip(masked, data, strict=True))


@given(st.binary(max_size=200))
def test_masking_any_bytes_keeps_their_number(data: bytes) -> None:
    assert len(mask(data)) == len(mask_comments(data)) == len(data)


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        (b'f("a // b", x); // c', b'f("      ", x);     '),
        (b"/* a\r\nb */ x", b"    \r\n     x"),
        (b'\xef\xbb\xbf#include "a/b.h"', b'   #include "a/b.h"'),
        (b'#include "a/b.h" // why', b'#include "a/b.h"       '),
        (b'auto s = R"x(at::Tensor " )x" + y;', b'auto s = R"                 " + y;'),
        (b"int n = 1'000'000; char c = '\\'';", b"int n = 1'000'000; char c = '  ';"),
        (b'char q = \'"\'; at::x("y");', b"char q = ' '; at::x(\" \");"),
    ],
)
def test_masking_by_example(text: bytes, masked: bytes) -> None:
    assert mask(text) == masked


def test_macros_know_their_parameters() -> None:
    document = Document("a.h", b"#define A 1\n#define B(x, ...) \\\n  f(x)\n#define EMPTY\n# define C() g()\n")
    assert [(m.name, m.params) for m in document.macros] == [("A", None), ("B", ("x", "...")), ("C", ())]
    assert document.text(document.macros[1].body) == b" \\\n  f(x)"


def test_blanks_behind_a_backslash_do_not_end_a_macro() -> None:
    """As compilers read it, with a warning; the bytes of the file stay what they are."""
    data = b"#define CHECK(x) {  \\  \n  TORCH_CHECK(x.is_cuda());\t\\\t\n}\nint f() { return 0; }\n"
    document = Document("a.cu", data)
    (macro,) = document.macros
    assert document.data[macro.body.start : macro.body.end].endswith(b"\n}")
    assert not document.whole.tree.root_node.has_error
    assert not document.fragment_at(data.index(b"TORCH_CHECK")).tree.root_node.has_error
    assert document.data == data


def test_words_are_those_of_the_code() -> None:
    document = Document("a.cpp", b'int n = f(n);  // n\nauto s = "n";\n')
    assert word_places(document)[b"n"] == [4, 10]
    assert set(word_places(document)) == {b"int", b"n", b"f", b"auto", b"s"}


def test_what_is_read_of_a_document_is_kept_with_it() -> None:
    asked: list[str] = []

    @per_document
    def length(document: Document) -> int:
        asked.append(document.path)
        return len(document.data)

    first, second = Document("a.cpp", b"int a;\n"), Document("b.cpp", b"")
    assert [length(first), length(first), length(second)] == [7, 7, 0]
    assert asked == ["a.cpp", "b.cpp"]
