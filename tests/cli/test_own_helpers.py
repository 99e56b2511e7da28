"""Helpers that a repository wrote for its stable code are called with their own signatures."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Run, make_repository

_HELPER = """\
#pragma once
#include <torch/csrc/stable/tensor.h>
#include <torch/csrc/inductor/aoti_torch/c/shim.h>
#include <cuda_runtime.h>
namespace mast {{
inline cudaStream_t wind({parameters}) {{
  void* stream = nullptr;
  aoti_torch_get_current_cuda_stream({device}, &stream);
  return static_cast<cudaStream_t>(stream);
}}
}}  // namespace mast
"""
_FILES = {
    "setup.py": "from setuptools import setup\nfrom torch.utils.cpp_extension import BuildExtension, CUDAExtension\n"
    'setup(name="mast", packages=["mast"], ext_modules=[CUDAExtension("mast._C", ["csrc/bind.cpp", "csrc/sail.cu"])],\n'
    '      cmdclass={"build_ext": BuildExtension})\n',
    "mast/__init__.py": "from . import _C\n",
    "csrc/bind.cpp": "#include <torch/library.h>\n#include <torch/all.h>\nvoid sail(at::Tensor x);\n"
    'TORCH_LIBRARY(mast, m) { m.def("sail(Tensor(a!) x) -> ()"); }\n'
    'TORCH_LIBRARY_IMPL(mast, CUDA, m) { m.impl("sail", &sail); }\n',
}
_SAIL = (
    "#include <torch/all.h>\n#include <ATen/cuda/CUDAContext.h>\n#include <c10/cuda/CUDAGuard.h>\n"
    "__global__ void go(float* x) {{ x[0] = 1; }}\n"
    "void sail(at::Tensor x) {{\n  {guard}\n"
    "  go<<<1, 1, 0, at::cuda::getCurrentCUDAStream({asked})>>>(x.data_ptr<float>());\n}}\n"
)
_GUARD = "const at::cuda::OptionalCUDAGuard held(device_of(x));"


@pytest.mark.parametrize(
    ("parameters", "device", "guard", "asked", "call"),
    [
        ("int device = -1", "device", _GUARD, "", "mast::wind()"),
        ("int device", "device", _GUARD, "", "mast::wind(-1)"),
        ("int32_t device", "device", _GUARD, "x.get_device()", "mast::wind(x.get_device_index())"),
        ("", "-1", _GUARD, "", "mast::wind()"),
        ("const torch::stable::Tensor& t", "t.get_device_index()", _GUARD, "", "mast::wind(x)"),
        ("const torch::stable::Tensor& t", "t.get_device_index()", "", "x.device().index()", "mast::wind(x)"),
        ("int device, bool high", "device", _GUARD, "", "get_current_cuda_stream()"),  # not to be told how: another one
    ],
)
def test_a_helper_for_streams(
    tmp_path: Path, run_cli: Run, parameters: str, device: str, guard: str, asked: str, call: str
) -> None:
    files = {
        "csrc/libtorch_stable/mast.h": _HELPER.format(parameters=parameters, device=device),
        "csrc/sail.cu": _SAIL.format(guard=guard, asked=asked),
    }
    tree = make_repository(tmp_path / "mast", _FILES | files)

    ran = run_cli("migrate", "csrc/sail.cu", "--write", cwd=tree)

    assert ran.code == 0, ran
    assert f"go<<<1, 1, 0, {call}>>>" in (tree / "csrc/libtorch_stable/sail.cu").read_text()


@pytest.mark.parametrize(
    ("parameters", "device", "asked"),
    [("const torch::stable::Tensor& t", "t.get_device_index()", ""), ("", "-1", "x.get_device()")],
)
def test_what_a_helper_cannot_be_asked_is_told(
    tmp_path: Path, run_cli: Run, parameters: str, device: str, asked: str
) -> None:
    files = {
        "csrc/libtorch_stable/mast.h": _HELPER.format(parameters=parameters, device=device),
        "csrc/sail.cu": _SAIL.format(guard="", asked=asked),
    }
    tree = make_repository(tmp_path / "mast", _FILES | files)

    ran = run_cli("migrate", "csrc/sail.cu", "--write", cwd=tree)

    assert ran.code == 1, ran
    assert "wind takes" in ran.out + ran.err or "and mast::wind takes none" in ran.out + ran.err
