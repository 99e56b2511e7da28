"""Streams: the helper that a repository has for them, the device that a guard of one needs, and what has no form."""

from __future__ import annotations

import dataclasses

import pytest
from torch_stabilize.rules.engine import Rewritten, rewrite_document
from torch_stabilize.rules.helpers import find_helpers
from torch_stabilize.source.document import Document
from torch_stabilize.source.edits import apply

from tests.rules.rewriting import context_of, rewrite

_BODY = "{ void* s; aoti_torch_get_current_cuda_stream(0, &s); return (cudaStream_t)s; }\n"
BY_INDEX = f"inline cudaStream_t stream_on(int device) {_BODY}"
BY_TENSOR = f"inline cudaStream_t stream_of(const torch::stable::Tensor& x) {_BODY}"
BY_NOTHING = f"inline cudaStream_t stream_here() {_BODY}"


def with_helper(helper: str, text: str) -> tuple[str, Rewritten]:
    """The text as it is rewritten in a repository with the helper, and what the rules said."""
    context = context_of(text)
    helpers = find_helpers([Document("stable/utils.h", helper.encode())])
    context = context._replace(project=dataclasses.replace(context.project, helpers=helpers))
    found = rewrite_document(context)
    return apply(context.document.data, found.edits).decode(), found


# A helper, what is written, and the call that replaces `at::cuda::getCurrentCUDAStream`.
CALLS = {
    "an index, none given: the current device": (BY_INDEX, "auto s = at::cuda::getCurrentCUDAStream();", "stream_on(-1)"),
    "an index that is given": (BY_INDEX, "auto s = at::cuda::getCurrentCUDAStream(n);", "stream_on(n)"),
    "an index of a tensor": (
        BY_INDEX, "auto s = at::cuda::getCurrentCUDAStream(x.device().index());", "stream_on(x.get_device_index())"),
    "nothing": (BY_NOTHING, "auto s = at::cuda::getCurrentCUDAStream();", "stream_here()"),
    "the tensor whose device is asked": (
        BY_TENSOR, "auto s = at::cuda::getCurrentCUDAStream(x.get_device());", "stream_of(x)"),
    "the same by its device": (
        BY_TENSOR, "auto s = at::cuda::getCurrentCUDAStream(x.device().index());", "stream_of(x)"),
    "the tensor that is guarded": (
        BY_TENSOR, "const at::cuda::OptionalCUDAGuard guard(device_of(x)); auto s = at::cuda::getCurrentCUDAStream();",
        "stream_of(x)"),
    "the tensor that is guarded outside of a block": (
        BY_TENSOR, "at::cuda::CUDAGuard guard{x.device()}; if (n) { n++; auto s = at::cuda::getCurrentCUDAStream(); }",
        "stream_of(x)"),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_a_helper_of_the_repository_is_called_with_its_own_parameters(name: str) -> None:
    helper, body, call = CALLS[name]
    text, found = with_helper(helper, f"void f(at::Tensor x, int n) {{ {body} }}\n")
    assert f"auto s = {call};" in text
    assert [one for one in found.diagnostics if one.code == "TSA402"] == []


@pytest.mark.parametrize(
    ("helper", "body", "message"),
    [
        (BY_TENSOR, "auto s = at::cuda::getCurrentCUDAStream();", "stream_of takes the tensor whose device is asked"),
        (BY_TENSOR, "auto s = at::cuda::getCurrentCUDAStream(n);", "which it is cannot be told"),
        (
            BY_NOTHING,
            "auto s = at::cuda::getCurrentCUDAStream(n);",
            "is asked for a device, and stream_here takes none",
        ),
    ],
)
def test_a_helper_that_cannot_be_given_what_is_asked_is_reported(helper: str, body: str, message: str) -> None:
    code = f"void f(at::Tensor x, int n) {{ {body} }}\n"
    text, found = with_helper(helper, code)
    assert body in text, "what is reported stays"
    assert [message in one.message for one in found.diagnostics if one.code == "TSA402"] == [True]


# What is before `at::cuda::CUDAStreamGuard g(s);`, and the index of the device that the guard is given; "" for a report.
_CURRENT = "torch::stable::accelerator::getCurrentDeviceIndex()"
GUARDS = {
    "auto s = at::cuda::getStreamFromPool(true, n);": "n",
    "auto s = at::cuda::getStreamFromPool(true, x.device().index());": "x.get_device_index()",
    "auto s = at::cuda::getStreamFromPool();": _CURRENT,
    "auto s = at::cuda::getCurrentCUDAStream();": _CURRENT,
    "auto s = at::cuda::getCurrentCUDAStream(n);": "n",
    "auto s = at::cuda::getDefaultCUDAStream(1);": "1",
    "auto s = at::cuda::getCurrentCUDAStream(); s = at::cuda::getStreamFromPool(false, 2);": "2",
    # another device by then, or one that is not known
    "auto s = at::cuda::getCurrentCUDAStream(); c10::cuda::set_device(1);": "",
    "auto s = at::cuda::getCurrentCUDAStream(); at::cuda::CUDAGuard other(x.device());": "",
    "auto s = at::cuda::getStreamFromPool(true, n); n = 2;": "",
    "auto s = at::cuda::getStreamFromPool(true, next());": "",
    "auto s = at::cuda::getCurrentCUDAStream(n); if (n) s = at::cuda::getCurrentCUDAStream(0);": "",
    "auto s = at::cuda::getStreamFromPool(true, 1), t = chosen(); std::swap(s, t);": "",
    "auto s = at::cuda::getStreamFromPool(true, 1); choose(s);": "",
    "auto s = at::cuda::getStreamFromPool(true, 1); launch(s); auto t = s;": "1",
    "auto s = at::cuda::getStreamFromPool(true, 1); auto t = s; s = chosen(); s = t;": "1",
    "auto s = chosen();": "",
    "auto s = given;": "",
}


@pytest.mark.parametrize("before", GUARDS)
def test_a_guard_of_a_stream_gets_the_device_of_it(before: str) -> None:
    code = (
        "int next(); at::cuda::CUDAStream chosen(); void launch(const at::cuda::CUDAStream& s);\n"
        "void choose(at::cuda::CUDAStream& s) { s = chosen(); }\nvoid f(at::Tensor x, int n, at::cuda::CUDAStream given) "
        f"{{ {before} at::cuda::CUDAStreamGuard g(s); }}\n"
    )
    text, found = rewrite(code)
    reported = [one.message for one in found.diagnostics if "cannot tell the device of the stream" in one.message]
    if GUARDS[before]:
        assert f"CudaStreamGuard g(s, {GUARDS[before]});" in text
        assert reported == []
    else:
        assert "at::cuda::CUDAStreamGuard g(s);" in text
        assert len(reported) == 1


def test_a_stream_is_asked_for_where_it_is_guarded() -> None:
    text, _ = rewrite("void f(int n) { at::cuda::CUDAStreamGuard g(at::cuda::getStreamFromPool(false, n)); }\n")
    assert "CudaStreamGuard g(get_cuda_stream_from_pool(false, n), n);" in text


def test_a_stream_that_is_asked_for_its_device_is_reported() -> None:
    code = "int f(at::Tensor x, at::cuda::CUDAStream s) { return s.device().index() + x.device().index(); }\n"
    _, found = rewrite(code)
    places = [one.span.start for one in found.diagnostics if "device() of a stream" in one.message]
    assert places == [code.index("device()")], "that of a tensor is none"


@pytest.mark.parametrize(
    "body",
    [
        "auto p = &at::cuda::getCurrentCUDAStream;",
        "at::cuda::CUDAEvent event;",
        "at::cuda::CUDAMultiStreamGuard guard(streams);",
        "at::cuda::OptionalCUDAStreamGuard guard;",
    ],
)
def test_what_has_no_stable_form_stays_and_is_reported(body: str) -> None:
    text, found = rewrite(f"void f() {{ {body} }}\n")
    assert body in text
    assert [one.code for one in found.diagnostics] == ["TSA402"]


@pytest.mark.parametrize(
    ("kind", "is_known"), [("at::cuda::CUDAStream&", False), ("const at::cuda::CUDAStream&", True)]
)
def test_a_stream_that_a_declared_function_may_replace(kind: str, is_known: bool) -> None:
    """Of a function without a body only the parameter says what it may do."""
    text = f"void use({kind} s);\nvoid f() {{ auto s = at::cuda::getCurrentCUDAStream(); use(s); at::cuda::CUDAStreamGuard g(s); }}"
    assert ("cannot tell the device" not in str(rewrite(text)[1].diagnostics)) is is_known
