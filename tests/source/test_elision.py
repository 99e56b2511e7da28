"""What nobody changed is left out while clang-format runs, and that makes no difference to what it does."""

from __future__ import annotations

import subprocess
from textwrap import dedent

import pytest
from clang_format import get_executable  # type: ignore[import-untyped, unused-ignore]
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_stabilize.diff import changed_ranges, split_lines
from torch_stabilize.formatting.clang_format import format_changed
from torch_stabilize.formatting.elision import Elided, Untouched, elide
from torch_stabilize.source.document import Document

STYLE = b"{BasedOnStyle: Google, ColumnLimit: 60, DerivePointerAlignment: false, SortIncludes: false}\n"


def elided(text: str, *changed: str) -> Elided:
    """`text` less what can be left out when the lines that hold one of `changed` are formatted."""
    data = dedent(text).encode()
    lines = split_lines(data)
    touched = {number for number, line in enumerate(lines) if any(word.encode() in line for word in changed)}
    found = Untouched(Document("a.cu", data), lambda lines: touched.isdisjoint(range(*lines)))
    return elide(lines, list(found.stretches()))


KERNEL = """\
    __global__ void scale(float* out, const float* in) {
      int row = blockIdx.x;
      int column = threadIdx.x;
      if (row < column) {
        return;
      }
      float value = in[row];
      out[row] = value;
      out[column] = value;
    }
"""


def test_the_body_of_a_kernel_is_left_out() -> None:
    text = f"{KERNEL}\n    void launch(torch::Tensor& out) {{\n      scale<<<1, 1>>>(out);\n    }}\n"
    short = elided(text, "torch::Tensor", "scale<<<")
    assert short.text.decode() == dedent(
        """\
        __global__ void scale(float* out, const float* in) {
          //!left out 0
        }

        void launch(torch::Tensor& out) {
          scale<<<1, 1>>>(out);
        }
        """
    )
    assert short.line(11) == 4, "the launcher"
    assert short.restored(short.text) == dedent(text).encode()


def test_declarations_with_untouched_neighbours_are_left_out_whole() -> None:
    text = (
        "void a(torch::Tensor& x);\n"
        + "".join(f"\nvoid f{n}(int x);\n" for n in range(8))
        + "\nvoid b(torch::Tensor& x);\n"
    )
    assert elided(text, "torch::Tensor").text == (
        b"void a(torch::Tensor& x);\n\nvoid f0(int x);\n\n//!left out 0\n\nvoid f7(int x);\n\nvoid b(torch::Tensor& x);\n"
    )


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(KERNEL.replace("return;", "return  // clang-format off"), id="switches formatting off"),
        pytest.param(KERNEL.replace("if (row < column) {", "CASE(row) }"), id="not understood"),
        pytest.param(KERNEL.replace("in) {", "in) { //"), id="a comment beside the brace"),
        pytest.param(KERNEL.replace("  float value", "  TORCH_CHECK(value"), id="changed"),
        pytest.param(
            "    static const int table[] = {  // TORCH_CHECK\n" + "        1, 2, 3,\n" * 9 + "    };\n",
            id="a table whose first line is changed",
        ),
        pytest.param(
            "    DISPATCH(out, [&] {\n" + "      f();\n" * 9 + "      TORCH_CHECK(a);\n    });\n",
            id="a lambda of a changed call",
        ),
    ],
)
def test_what_may_count_for_a_changed_line_is_not_left_out(text: str) -> None:
    assert elided(text, "TORCH_CHECK").text == dedent(text).encode()


def test_a_text_that_came_back_without_its_marks_is_not_put_together() -> None:
    short = elided(f"{KERNEL}\n    int a;\n", "int a;")
    assert short.restored(short.text.replace(b"//!left out 0", b"// left out")) is None
    assert short.restored(short.text + short.text) is None


def whole(before: bytes, after: bytes) -> bytes:
    """What clang-format makes of the changed lines when it reads everything."""
    changed = [
        (start + 1, end) for tag, _, _, start, end in changed_ranges(before, after) if tag != "equal" and end > start
    ]
    command = [get_executable("clang-format"), f"--style={STYLE.decode().strip()}", "--assume-filename=a.cu"]
    options = [f"--lines={start}:{end}" for start, end in changed]
    if not options:
        return after
    return subprocess.run([*command, *options], input=after, capture_output=True, check=True).stdout


def test_code_that_is_indented_in_its_own_way_stays_so() -> None:
    body = "\n".join(f"        int  a{n} = {n};" for n in range(12))
    before = f"void f(int x) {{\n    if (x) {{\n{body}\n    }}\n    g(x);\n}}\n".encode()
    after = before.replace(b"g(x)", b"h(x,x)")
    assert format_changed(Document("a.cu", before), after, STYLE) == whole(before, after)
    assert b"\n    h(x, x);\n" in format_changed(Document("a.cu", before), after, STYLE)


def test_what_follows_is_indented_as_the_last_code_before_it() -> None:
    functions = "".join(f"  int f{n}() {{ return {n}; }}\n\n" for n in range(6))
    flush = "".join(f"int g{n}() {{ return {n}; }}\n\n" for n in range(6))
    before = f"namespace n {{\n{functions}{flush}// words\n\nint  h(int  a);\n}}\n".encode()
    after = before.replace(b"int  h", b"long  h")
    formatted = format_changed(Document("a.cu", before), after, STYLE)
    assert formatted == whole(before, after)
    assert b"\nlong h(int a);\n" in formatted


def test_macros_have_no_indentation_of_their_own() -> None:
    macros = "".join(f"#define M{n}(x) \\\n    f{n}( x )\n\n" for n in range(6))
    before = f"#define A(x) f(x)\n\n{macros}#define B(x) f(x)\n".encode()
    after = before.replace(b"B(x) f(x)", b"B(x) call_of_a_function(x, call_of_another_function(x))")
    assert format_changed(Document("a.cu", before), after, STYLE).endswith(
        b"#define B(x) \\\n  call_of_a_function(x, call_of_another_function(x))\n"
    )


def test_whether_closing_brackets_are_parted_is_read_off_the_whole_file() -> None:
    users = "\n".join(f"  std::vector<std::vector<int>> a{n};" for n in range(12))
    before = f"void f() {{\n{users}\n}}\n\nstd::vector<std::vector<int> > b;\n".encode()
    after = before.replace(b" b;", b"  c;")
    expected = before.replace(b"<int> > b;", b"<int>> c;")
    assert format_changed(Document("a.cu", before), after, STYLE) == whole(before, after) == expected


LINES = st.sampled_from(
    [
        "int  a = 1;  // one",
        "call( a,b );",
        "if (a) { g<<<1,2>>>(a); }",
        "for (int i=0;i<3;++i) {\n  f( i );\n}",
        "",
        "// words",
    ]
)
BODIES = st.lists(LINES, min_size=6, max_size=12).map("\n".join)
PARTS = st.one_of(
    BODIES.map("void f(  int a, int b) {{\n{}\n}}\n".format),
    BODIES.map("namespace n {{\nvoid g( int a) {{\n{}\n}}\n\nint  b;\n}}  // namespace n\n".format),
    BODIES.map("#ifdef X\ntemplate <typename T>\nvoid h( T a) {{\n{}\n}}\n#else\nint  c;\n#endif\n".format),
    st.just("#define M(x) \\\n  f(x);\\\n  g(x)\n"),
    st.just("int  d[] = {\n" + "    1,2, 3,\n" * 9 + "};\n"),
)


@settings(max_examples=25, deadline=None)
@given(parts=st.lists(PARTS, min_size=1, max_size=5), seed=st.randoms(use_true_random=False))
def test_leaving_out_makes_no_difference(parts: list[str], seed: object) -> None:
    before = "\n".join(parts)
    lines = before.split("\n")
    for place in {seed.randrange(len(lines)) for _ in range(3)}:  # type: ignore[attr-defined]
        lines[place] = lines[place].replace("a", "another_one").replace("call(", "call_of_a_function_with_a_name(")
    old, new = before.encode(), "\n".join(lines).encode()
    assert format_changed(Document("a.cu", old), new, STYLE) == whole(old, new)
