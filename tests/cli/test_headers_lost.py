"""What came in through torch's headers still comes in, also where one of the repository's own stood between."""

from __future__ import annotations

from pathlib import Path

from tests.conftest import Run, make_repository

FILES = {
    "csrc/sort.h": "#pragma once\n#include <torch/all.h>\nvoid sort(torch::Tensor& x);\n",
    # torch's headers defined CUDA_VERSION. Without it the kernel would be gone, and nothing would say so.
    "csrc/sort.cu": '#include "sort.h"\n\n#if defined(CUDA_VERSION) && CUDA_VERSION >= 12000\n'
    "void sort(torch::Tensor& x) {}\n#endif\n",
    "csrc/bindings.cpp": '#include "sort.h"\n#include <torch/library.h>\n'
    'TORCH_LIBRARY(made_up, m) { m.def("sort(Tensor! x) -> ()", &sort); }\n',
    "setup.py": "from setuptools import setup\n\nsetup(name='made_up')\n",
}


def test_a_unit_loses_torch_through_a_header_of_its_own(run_cli: Run, tmp_path: Path) -> None:
    folder = make_repository(tmp_path, FILES)
    run_cli("migrate", "csrc/sort.cu", "--write", cwd=folder)
    migrated = (folder / "csrc/libtorch_stable/sort.cu").read_text()
    assert "#include <cuda.h>\n" in migrated
    assert migrated.index("<cuda.h>") < migrated.index("#if defined(CUDA_VERSION)")


def test_a_header_that_stays_relied_on_torch_s_headers(run_cli: Run, tmp_path: Path) -> None:
    """Both units include it behind torch's headers, which brought cuBLAS along: one unit migrates, the header stays."""
    unit = (
        '#include <ATen/cuda/CUDAContext.h>\n#include "status.cuh"\n#include "sort.h"\nvoid {}(torch::Tensor& x) {{}}\n'
    )
    files = {
        **FILES,
        "csrc/status.cuh": "#pragma once\ninline bool is_fine(cublasStatus_t status) { return status == 0; }\n",
        "csrc/sort.cu": unit.format("sort"),
        "csrc/other.cu": unit.format("other"),
    }
    folder = make_repository(tmp_path, files)
    run_cli("migrate", "csrc/sort.cu", "--write", cwd=folder)
    migrated = (folder / "csrc/libtorch_stable/sort.cu").read_text()
    assert migrated.index("#include <cublas_v2.h>\n") < migrated.index("status.cuh")
    assert (folder / "csrc/status.cuh").read_text() == files["csrc/status.cuh"]
