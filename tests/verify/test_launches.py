"""Launches are read from the source, macro bodies too, and compared site by site."""

from __future__ import annotations

import pytest
from torch_stabilize.model import Severity
from torch_stabilize.source.document import Document
from torch_stabilize.verify import codes
from torch_stabilize.verify.host_code import launches_step
from torch_stabilize.verify.launches import CURRENT_STREAM, DEFAULT_STREAM, compare_launches, read_launches
from torch_stabilize.verify.result import Status

LEGACY = """
void run(at::Tensor& out, const at::Tensor& x) {
  const cudaStream_t stream = at::cuda::getCurrentCUDAStream();
  dim3 grid(x.size(0));
  int threads = 256;
  ns::fill<float, 4><<<grid, threads, 0, stream>>>(out.data_ptr<float>(), x.numel());
  add<<<(x.numel() + 255) / 256, 256, 0, at::cuda::getCurrentCUDAStream()>>>(out.data_ptr<float>());
}
"""
STABLE = """
void run(torch::stable::Tensor& out, const torch::stable::Tensor& x) {
  const cudaStream_t stream = get_current_cuda_stream(x.get_device_index());
  dim3 grid(x.size(0));
  int threads = 256;
  ns::fill<float, 4>
      <<<grid, threads, 0, stream>>>(out.mutable_data_ptr<float>(), x.numel());
  add<<<(x.numel() + 255) / 256, 256, 0,
        get_current_cuda_stream()>>>(out.mutable_data_ptr<float>());
}
"""


def differences(legacy: str, stable: str) -> list[tuple[str, Severity, str]]:
    old, new = (read_launches(Document("a.cu", text.encode())) for text in (legacy, stable))
    return [(d.code, d.severity, d.message) for d in compare_launches(old, new, "a.cu")]


def test_what_a_launch_is() -> None:
    first, second = read_launches(Document("a.cu", LEGACY.encode()))
    assert first.kernel == "ns::fill<float,4>"
    assert first.parameters == ("grid", "threads", "0", "stream")
    assert first.meaning == ("x.size(0)", "256", "0", CURRENT_STREAM)
    assert second.parameters[:2] == ("(x.numel()+255)/256", "256")
    assert second.meaning[3] == CURRENT_STREAM


def test_the_rewrites_of_a_migration_are_no_difference() -> None:
    assert differences(LEGACY, STABLE) == []


def test_properties_of_the_device_are_asked_for_in_another_way() -> None:
    old = LEGACY.replace("= 256", "= at::cuda::getCurrentDeviceProperties()->maxThreadsPerBlock")
    new = STABLE.replace("= 256", "= get_device_prop()->maxThreadsPerBlock")
    assert differences(old, new) == []
    assert differences(old, new.replace("maxThreadsPerBlock", "warpSize")) != []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("<<<grid, threads, 0, stream>>>", "<<<grid, threads>>>"),
        ("<<<grid, threads, 0, stream>>>", "<<<grid, threads, 0, nullptr>>>"),
        ("= get_current_cuda_stream(x.get_device_index());", "= 0;"),
    ],
)
def test_a_dropped_stream_is_caught(old: str, new: str) -> None:
    assert old in STABLE
    ((code, severity, message),) = differences(LEGACY, STABLE.replace(old, new))
    assert (code, severity) == (codes.STREAM_DROPPED, Severity.ERROR)
    assert message == f"ns::fill<float,4>: runs on {DEFAULT_STREAM} instead of {CURRENT_STREAM}"


def test_a_launch_without_a_stream_before_is_none_of_ours() -> None:
    old = LEGACY.replace("<<<grid, threads, 0, stream>>>", "<<<grid, threads>>>")
    assert differences(old, STABLE.replace("<<<grid, threads, 0, stream>>>", "<<<grid, threads>>>")) == []


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("fill<float, 4>", "fill<float, 8>", "the launch of ns::fill<float,4> is gone"),
        ("int threads = 256", "int threads = 128", "block comes from '128' instead of '256'"),
        ("+ 255) / 256, 256", "+ 255) / 256, 128", "block is '128' instead of '256'"),
        ("threads, 0, stream", "threads, 64, stream", "shared memory is '64' instead of '0'"),
    ],
)
def test_another_launch_is_an_error(old: str, new: str, says: str) -> None:
    found = differences(LEGACY, STABLE.replace(old, new))
    assert (codes.LAUNCH_DIFFERS, Severity.ERROR) in [(code, severity) for code, severity, _ in found]
    assert any(says in message for _, _, message in found)


def test_a_variable_made_from_an_api_call_is_for_a_person_to_look_at() -> None:
    old = LEGACY.replace("grid(x.size(0))", "grid(at::cuda::getCurrentDeviceProperties()->multiProcessorCount)")
    new = STABLE.replace("grid(x.size(0))", "grid(own_properties()->multiProcessorCount)")
    ((code, severity, _),) = differences(old, new)
    assert (code, severity) == (codes.LAUNCH_DIFFERS, Severity.WARNING)


@pytest.mark.parametrize(
    ("before", "after", "differs"),
    [
        (
            "c10::cuda::getStreamFromPool(false, x.get_device())",
            "get_cuda_stream_from_pool(false, x.get_device_index())",
            False,
        ),
        ("at::cuda::getStreamFromPool()", "get_cuda_stream_from_pool()", False),
        ("c10::cuda::getDefaultCUDAStream()", "cudaStream_t{}", False),
        ("c10::cuda::getStreamFromExternal(mine, 0)", "mine", False),
        ("c10::cuda::getStreamFromPool(false, 0)", "get_cuda_stream_from_pool(true, 0)", True),
        ("c10::cuda::getStreamFromPool(false, 0)", "get_current_cuda_stream(0)", True),
    ],
)
@pytest.mark.parametrize("used", ["stream", "stream.stream()", "(cudaStream_t)stream"])
def test_streams_under_the_names_that_a_migration_gives_them(before: str, after: str, differs: bool, used: str) -> None:
    text = "void f(const T& x) {{ auto stream = {made};\n  add<<<1, 32, 0, {used}>>>(1); }}"
    found = differences(text.format(made=before, used=used), text.format(made=after, used="stream"))
    assert bool(found) == differs, found


def test_macro_bodies_and_continued_lines() -> None:
    text = """
#define LAUNCH(N)                                  \\
  const dim3 block(N);                             \\
  const cudaStream_t stream =                      \\
      at::cuda::getCurrentCUDAStream();            \\
  kernel<N>                                        \\
      <<<1, block, N * sizeof(float), stream>>>(p)
"""
    (launch,) = read_launches(Document("a.cuh", text.encode()))
    assert launch.kernel == "kernel<N>"
    assert launch.meaning == ("1", "N", "N*sizeof(float)", CURRENT_STREAM)


def test_the_launch_functions_of_cuda() -> None:
    text = """
void run() {
  config.stream = at::cuda::getCurrentCUDAStream();
  cudaLaunchKernelEx(&config, kernel, a);
  cudaLaunchCooperativeKernel((void*)other, grid, block, args, 0, at::cuda::getCurrentCUDAStream());
}
"""
    assert differences(text, text.replace("at::cuda::getCurrentCUDAStream()", "get_current_cuda_stream()")) == []
    lost = differences(text, text.replace("config.stream = at::cuda::getCurrentCUDAStream()", "config.stream = 0"))
    assert [code for code, _, _ in lost] == [codes.STREAM_DROPPED]
    lost = differences(text, text.replace("0, at::cuda::getCurrentCUDAStream()", "0, nullptr"))
    assert [code for code, _, _ in lost] == [codes.STREAM_DROPPED]


def test_comments_and_strings_launch_nothing() -> None:
    assert read_launches(Document("a.cu", b'// k<<<1, 2>>>()\nconst char* s = "k<<<1, 2>>>";')) == ()


def test_a_group_without_launches_is_said() -> None:
    nothing = Document("a.cpp", b"int f();")
    assert launches_step([(nothing, nothing)]).status is Status.SKIPPED
