"""Helpers that a repository has: found by what they call, or by the name that they would get here."""

from __future__ import annotations

import pytest
from torch_stabilize.model import Edit, FileEdit, Span
from torch_stabilize.rules.helpers import find_helpers
from torch_stabilize.rules.raised import dtypes_shown, raised
from torch_stabilize.source.document import Document

from tests.rules.rewriting import rewrite

STREAM = (
    "inline cudaStream_t stream_of(int device) {\n  void* s = nullptr;\n"
    "  TORCH_ERROR_CODE_CHECK(aoti_torch_get_current_cuda_stream(device, &s));\n  return (cudaStream_t)s;\n}\n"
)


def helpers(text: str) -> dict[str, str]:
    return dict(find_helpers([Document("stable/utils.h", text.encode())]).names)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (STREAM, {"get_current_cuda_stream": "stream_of"}),
        ("cudaDeviceProp* get_device_prop(int device = -1);\n", {"get_device_prop": "get_device_prop"}),
        (
            "#define STD_TORCH_CHECK_EQ(a, b) STD_TORCH_CHECK((a) == (b))\n",
            {"STD_TORCH_CHECK_EQ": "STD_TORCH_CHECK_EQ"},
        ),
        # what only looks like one
        (STREAM.replace("cudaStream_t stream_of", "int64_t stream_of"), {}),
        ("// aoti_torch_get_current_cuda_stream\ninline cudaStream_t stream_of(int device) { return nullptr; }\n", {}),
        ("int get_device_prop(int device);\n", {}),
        ("#define OWN_CHECK_EQ(a, b) STD_TORCH_CHECK((a) == (b))\n", {}),
    ],
)
def test_helpers_of_a_header(text: str, found: dict[str, str]) -> None:
    assert helpers(text) == found


def test_the_first_header_that_has_one_is_used() -> None:
    found = find_helpers(
        [Document("a.h", STREAM.encode()), Document("b.h", STREAM.replace("stream_of", "other").encode())]
    )
    assert (found.names, found.headers) == (
        {"get_current_cuda_stream": "stream_of"},
        {"get_current_cuda_stream": "a.h"},
    )


def edit(path: str, start: int, text: str) -> FileEdit:
    return FileEdit(path, Edit(Span(start, start + 1), text.encode(), "TSA130"))


def test_operators_that_may_raise_something_else_are_told_once() -> None:
    (told,) = raised([edit("b.cu", 3, "stable_aten::exp(x)"), edit("a.cu", 7, "torch::stable::matmul(x, y)")])
    assert (told.code, told.path, told.span.start) == ("TSA913", "a.cu", 7)


def test_those_that_raise_the_same_are_not() -> None:
    assert raised([edit("a.cu", 3, "torch::stable::empty_like(x)"), edit("a.cu", 9, "x.scalar_type()")]) == ()


@pytest.mark.parametrize(
    ("text", "is_told"),
    [
        ('TORCH_CHECK(x.dim() == 2, "got ", x.dtype());', True),
        ('OWN_CHECK(x.dim() == 2, "got ", t.value().dtype());', True),
        ('std::cout << x.dtype() << "\\n";', True),
        ("TORCH_CHECK(x.dtype() == at::kHalf);", False),
        ("auto d = x.dtype();", False),
        ('TORCH_CHECK(x.dim() == 2, "dtype");', False),
    ],
)
def test_dtypes_in_texts_are_told_once(text: str, is_told: bool) -> None:
    document = Document("a.cu", f"void f(at::Tensor x) {{ {text} {text} }}".encode())
    assert len(dtypes_shown([document, document])) == is_told


OWN_HELPERS = (
    "template <class F> void parallel_for(int n, const F& f) { f(0, n); }\n"
    "inline int get_thread_num() { return omp_get_thread_num(); }\n"
)
LOOP = (
    "namespace {\nvoid f(float* p, int n) {\n"
    "  parallel_for(n, [&](int b, int e) { p[b] = get_thread_num(); });\n"
    "  at::parallel_for(0, n, 1, [&](int64_t b, int64_t e) {\n"
    "    p[b] = at::get_thread_num() + get_thread_num();\n    if (p[b] < 0) throw b;\n  });\n}\n}\n"
)


def test_a_helper_is_told_apart_from_a_function_of_its_name() -> None:
    """Within a namespace that has the name too, the bare name is the project's own."""
    text, found = rewrite(LOOP, "sum.cpp", others=(OWN_HELPERS,))
    assert "  parallel_for(n, [&](int b, int e) { p[b] = get_thread_num(); });" in text
    assert "  stable_helpers_apart::parallel_for(0, n, 1, [&]" in text
    assert "p[b] = stable_helpers_apart::get_thread_num() + get_thread_num();" in text
    assert found.helpers == {"apart:parallel_for", "apart:get_thread_num"}


def test_a_helper_alone_of_its_name_is_called_by_it() -> None:
    alone = LOOP.replace("  parallel_for(n, [&](int b, int e) { p[b] = get_thread_num(); });\n", "")
    text, _ = rewrite(alone.replace(" + get_thread_num()", ""), "sum.cpp")
    assert "  parallel_for(0, n, 1, [&]" in text
    assert "p[b] = get_thread_num();" in text
    assert "stable_helpers" not in text
