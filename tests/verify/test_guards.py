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


def test_a_new_guard_does_no_harm() -> None:
    assert messages(STABLE.replace("  DeviceGuard numbered", "  DeviceGuard more(0);\n  DeviceGuard numbered")) == []
