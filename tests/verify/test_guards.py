"""Device guards are read from the source, macro bodies too, and compared with the launches that follow them."""

from __future__ import annotations

import pytest
from torch_stabilize.source.document import Document
from torch_stabilize.verify import codes
from torch_stabilize.verify.host_code import launches_step
from torch_stabilize.verify.result import Status

LEGACY = """
void one(at::Tensor& out, const at::Tensor& x) {
  const at::cuda::OptionalCUDAGuard device_guard(device_of(x));
  fill<<<1, 32>>>(out.data_ptr<float>());
}
#define LAUNCH(T) \\
  at::cuda::CUDAGuard guard{(char)other.get_device()}; \\
  add<T><<<1, 32>>>(other.data_ptr<T>())
void two(const at::Tensor& src, const at::Tensor& dst, int64_t index) {
  auto either = c10::cuda::CUDAGuard(src.is_cuda() ? src.device() : dst.device());
  c10::cuda::CUDAGuard numbered(c10::Device(c10::DeviceType::CUDA, index));
}
"""
STABLE = """
using torch::stable::accelerator::DeviceGuard;
void one(torch::stable::Tensor& out, const torch::stable::Tensor& x) {
  const DeviceGuard device_guard(
      x.get_device_index());
  fill<<<1, 32>>>(out.mutable_data_ptr<float>());
}
#define LAUNCH(T) \\
  torch::stable::accelerator::DeviceGuard guard{other.get_device_index()}; \\
  add<T><<<1, 32>>>(other.mutable_data_ptr<T>())
void two(const torch::stable::Tensor& src, const torch::stable::Tensor& dst, int64_t index) {
  auto either = DeviceGuard(src.is_cuda() ? src.get_device_index() : dst.get_device_index());
  DeviceGuard numbered(index);
}
"""
GUARD = "  const DeviceGuard device_guard(\n      x.get_device_index());\n"
LAUNCH = "  fill<<<1, 32>>>(out.mutable_data_ptr<float>());\n"


def messages(stable: str) -> list[tuple[str, str]]:
    step = launches_step([(Document("a.cu", LEGACY.encode()), Document("a.cu", stable.encode()))])
    assert (step.status is Status.FAILED) == bool(step.diagnostics)
    return [(found.code, found.message) for found in step.diagnostics]


def test_the_rewrites_of_a_migration_are_no_difference() -> None:
    assert messages(STABLE) == []


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (GUARD, "", "the guard of the device of 'x' is gone; it was in line 3"),
        (GUARD + LAUNCH, LAUNCH + GUARD, "the guard of the device of 'x' does not stand before the launch of fill now"),
        (
            "x.get_device_index()",
            "out.get_device_index()",
            "the guard makes the device of 'out' current instead of that of 'x'",
        ),
    ],
)
def test_a_guard_that_does_something_else(old: str, new: str, message: str) -> None:
    assert old in STABLE
    assert messages(STABLE.replace(old, new, 1)) == [(codes.GUARD_DIFFERS, message)]


def test_a_guard_that_is_given_its_device_later() -> None:
    legacy = "void f(const at::Tensor& x) { c10::cuda::OptionalCUDAGuard guard; guard.set_device(x.device()); }"
    stable = "void f(const Tensor& x) { OptionalDeviceGuard guard; guard.set_device(x.get_device_index()); }"

    def said(after: str) -> list[str]:
        pair = Document("a.cu", legacy.encode()), Document("a.cu", after.encode())
        return [found.message for found in launches_step([pair]).diagnostics]

    assert said(stable) == []
    assert said(stable.replace("guard.set_device(x.get_device_index()); ", "")) == [
        "the guard of the device of 'x' is gone; it was in line 1"
    ]


def test_a_new_guard_does_no_harm() -> None:
    assert messages(STABLE.replace("  DeviceGuard numbered", "  DeviceGuard more(0);\n  DeviceGuard numbered")) == []


ON_STREAM = """
void three(const at::Tensor& x, const at::Tensor& y, int64_t wide) {
  const auto stream = c10::cuda::getStreamFromPool(false, x.get_device());
  {
    const c10::cuda::CUDAStreamGuard on(stream);
    fill<<<1, 32, 0, stream>>>(x.data_ptr<float>());
  }
  c10::cuda::CUDAStreamGuard again(c10::cuda::getStreamFromPool(/*isHighPriority=*/true));
  c10::cuda::CUDAStreamGuard third{c10::cuda::getCurrentCUDAStream(y.device().index())};
  c10::cuda::CUDAStreamGuard unknown(of(wide));
}
"""
STREAM_STABLE = """
class CudaStreamGuard {
 public:
  CudaStreamGuard(cudaStream_t stream, int32_t device_index) {}
  CudaStreamGuard(const CudaStreamGuard&) = delete;
};
void three(const Tensor& x, const Tensor& y, int64_t wide) {
  const cudaStream_t stream = get_cuda_stream_from_pool(false, x.get_device_index());
  {
    const CudaStreamGuard on(stream, x.get_device_index());
    fill<<<1, 32, 0, stream>>>(x.mutable_data_ptr<float>());
  }
  CudaStreamGuard again(get_cuda_stream_from_pool(true), torch::stable::accelerator::getCurrentDeviceIndex());
  CudaStreamGuard third{get_current_cuda_stream(y.get_device_index()), y.get_device_index()};
  CudaStreamGuard unknown(of(wide), wide);
}
"""


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("", "", ""),
        (
            "on(stream, x.",
            "on(stream, y.",
            "the stream guard makes the device of 'y' current instead of the device of 'x'",
        ),
        (
            "again(get_cuda_stream_from_pool(true), torch::stable::accelerator::getCurrentDeviceIndex())",
            "again(get_cuda_stream_from_pool(true), 0)",
            "the stream guard makes the device of '0' current instead of no other device",
        ),
        ("  CudaStreamGuard unknown(of(wide), wide);\n", "", "a stream guard is gone; it was in line 10"),
    ],
)
def test_a_stream_guard_is_for_the_device_of_its_stream(old: str, new: str, message: str) -> None:
    assert old in STREAM_STABLE
    stable = STREAM_STABLE.replace(old, new, 1)
    step = launches_step([(Document("a.cu", ON_STREAM.encode()), Document("a.cu", stable.encode()))])
    assert [(found.code, found.message) for found in step.diagnostics] == (
        [(codes.GUARD_DIFFERS, message)] if message else []
    )
