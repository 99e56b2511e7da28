"""Promise 6: format follows the repository's .clang-format, on changed lines alone."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_stabilize.formatting.clang_format import format_changed, style_for
from torch_stabilize.model import Refusal
from torch_stabilize.repository.snapshot import Snapshot
from torch_stabilize.source.document import Document

MakeRepository = Callable[..., Snapshot]

STYLE = b"BasedOnStyle: Google\nColumnLimit: 60\nSortIncludes: false\n"

BEFORE = b"""\
void   ugly( int a ) {   // stays as it is
  run( a );
}

void call(torch::Tensor& out, const torch::Tensor& input) {
  run(out.data_ptr<float>(), input.data_ptr<float>());
  stay( 1 );
}
"""


def test_a_changed_statement_is_wrapped_and_nothing_else() -> None:
    after = BEFORE.replace(b"out.data_ptr", b"out.mutable_data_ptr").replace(b"input.data_ptr", b"input.const_data_ptr")
    assert format_changed(Document("a.cu", BEFORE), after, STYLE) == BEFORE.replace(
        b"  run(out.data_ptr<float>(), input.data_ptr<float>());\n",
        b"  run(out.mutable_data_ptr<float>(),\n      input.const_data_ptr<float>());\n",
    )


MACRO = b"""\
#define LAUNCH(KERNEL)                                   \\
  const int tokens = input.numel();                      \\
  KERNEL<<<1, 1>>>(out.data_ptr<float>(), tokens);

#define   OTHER(x)   \\
  x
"""


def test_the_backslashes_of_a_changed_macro_stay_in_line() -> None:
    after = MACRO.replace(b"out.data_ptr<float>()", b"out.mutable_data_ptr<float>()")
    assert format_changed(Document("a.cu", MACRO), after, STYLE) == (
        b"#define LAUNCH(KERNEL)              \\\n"
        b"  const int tokens = input.numel(); \\\n"
        b"  KERNEL<<<1, 1>>>(out.mutable_data_ptr<float>(), tokens);\n"
        b"\n"
        b"#define   OTHER(x)   \\\n"
        b"  x\n"
    )


def test_without_a_style_nothing_is_formatted() -> None:
    assert format_changed(Document("a.cu", BEFORE), b"int   a;", None) == b"int   a;"


def test_a_new_file_is_formatted_whole() -> None:
    assert format_changed(Document("a.h", b""), b"int   a;\nint   b;\n", STYLE) == b"int a;\nint b;\n"


def test_removed_lines_leave_the_rest_alone() -> None:
    after = BEFORE.replace(b"  stay( 1 );\n", b"")
    assert format_changed(Document("a.cu", BEFORE), after, STYLE) == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(b"int  a;\r\nint b;\r\n", b"int  a;\r\nint   c;\r\n", id="CRLF"),
        pytest.param(b"\xef\xbb\xbfint  a;\nint b;\n", b"\xef\xbb\xbfint  a;\nint   c;\n", id="BOM"),
        pytest.param(b"// caf\xe9\nint  a;\nint b;\n", b"// caf\xe9\nint  a;\nint   c;\n", id="not UTF-8"),
        pytest.param(b"int  a;\nint b;", b"int  a;\nint   c;", id="no line end at the end"),
    ],
)
def test_bytes_survive(before: bytes, after: bytes) -> None:
    assert format_changed(Document("a.cu", before), after, STYLE) == after.replace(b"int   c", b"int c")


def test_an_option_of_a_newer_clang_format_is_no_obstacle() -> None:
    assert format_changed(Document("a.h", b""), b"int   a;\n", STYLE + b"OptionOfTomorrow: true\n") == b"int a;\n"


def test_a_style_that_cannot_be_read_is_named() -> None:
    with pytest.raises(Refusal, match=r"clang-format cannot format a\.h") as caught:
        format_changed(Document("a.h", b""), b"int a;\n", b"BasedOnStyle: [\n")
    assert "\n" not in str(caught.value)


def test_the_nearest_style_counts(make_repository: MakeRepository) -> None:
    snapshot = make_repository({".clang-format": STYLE, "deep/.clang-format": b"BasedOnStyle: LLVM\n", "a.cu": ""})
    assert style_for(snapshot, "a.cu") == STYLE
    assert style_for(snapshot, "csrc/new/b.cu") == STYLE, "a file that is about to be made"
    assert style_for(snapshot, "deep/er/c.cu") == b"BasedOnStyle: LLVM\n"


def test_a_style_may_inherit_from_the_folder_above(make_repository: MakeRepository) -> None:
    inner = b"BasedOnStyle: InheritParentConfig\nIndentWidth: 6\n"
    snapshot = make_repository({".clang-format": STYLE, "deep/er/.clang-format": inner, "a.cu": ""})
    style = style_for(snapshot, "deep/er/b.cu")
    assert style is not None
    assert b"IndentWidth:     6" in style
    assert b"ColumnLimit:     60" in style
    after = b"void f() {\n  " + b"g(aaaaaaaaaaaaaaaaaaaa, bbbbbbbbbbbbbbbbbbbbbbbb, cccccccccc);\n}\n"
    wrapped = b"void f() {\n      g(aaaaaaaaaaaaaaaaaaaa, bbbbbbbbbbbbbbbbbbbbbbbb,\n        cccccccccc);\n}\n"
    assert format_changed(Document("deep/er/b.cu", b""), after, style) == wrapped


def test_a_style_for_other_languages_is_none_for_this_one() -> None:
    assert format_changed(Document("a.cu", b""), b"int   a;\n", b"Language: JavaScript\n") == b"int   a;\n"


def test_no_style_and_ignored_files(make_repository: MakeRepository) -> None:
    assert style_for(make_repository({"a.cu": ""}), "a.cu") is None
    snapshot = make_repository(
        {".clang-format": STYLE, ".clang-format-ignore": "# theirs\nvendored/*\n!vendored/ours.h\n"}
    )
    assert style_for(snapshot, "vendored/a.h") is None
    assert style_for(snapshot, "vendored/ours.h") == STYLE
    assert style_for(snapshot, "ours/a.h") == STYLE


STATEMENTS = st.sampled_from(
    [
        b"auto a = x.view({-1, 2}).to(torch::kFloat).contiguous();\n",
        b"f(a,b);\n",
        b'if(a){ STD_TORCH_CHECK(a.dim() == 2, "a must be 2-dimensional, got ", a.dim()); }\n',
        b"for(int i=0;i<3;++i) g<<<1,2,0,stream>>>(i);\n",
        b'DISPATCH(a.scalar_type(), "f", [&] { g<scalar_t><<<grid, block>>>(a.mutable_data_ptr<scalar_t>()); });\n',
        b"// a comment that is a good deal longer than the sixty columns there are\n",
        b"#define M(x) \\\n  f(x);\\\n  g(x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x)\n",
        b"\n",
    ]
)


@settings(max_examples=15, deadline=None)
@given(before=st.lists(STATEMENTS, max_size=6), after=st.lists(STATEMENTS, min_size=1, max_size=6))
def test_formatting_keeps_the_code(before: list[bytes], after: list[bytes]) -> None:
    head, tail = b"void f() {\n", b"}\n"
    old, new = head + b"".join(before) + tail, head + b"".join(after) + tail
    once = format_changed(Document("a.cu", old), new, STYLE)
    assert format_changed(Document("a.cu", old), new, STYLE) == once

    def ink(data: bytes) -> bytes:
        return b"".join(data.replace(b"\\\n", b"").replace(b"//", b"").split())

    assert ink(once) == ink(new)
