"""What came in through torch's headers still comes in, also where one of the repository's own stood between."""

from __future__ import annotations

from pathlib import Path

import pytest

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


_UNIT = (
    '#include <torch/all.h>\n#include "wide.cuh"\n{}\nvoid sort(torch::Tensor& x) {{ wide(x.data_ptr<float>()); }}\n'
)
_WIDE = (
    "#pragma once\n{}#if defined(CUDA_VERSION) && CUDA_VERSION >= 12090\n#define WIDTH 8\n#else\n#define WIDTH 4\n#endif\n"
    "inline void wide(float* x) {{ x[0] = WIDTH; }}\n"
)


@pytest.mark.parametrize("stays", [True, False], ids=["a header that stays", "a header that moves along"])
def test_a_header_asks_for_a_macro_that_the_unit_includes_later(run_cli: Run, tmp_path: Path, stays: bool) -> None:
    """<cuda.h> is there, and too late: without it the header would take its narrow branch, and nothing would fail."""
    files = {**FILES, "csrc/wide.cuh": _WIDE.format(""), "csrc/sort.cu": _UNIT.format("#include <cuda.h>")}
    if stays:
        files["csrc/other.cu"] = '#include <torch/all.h>\n#include "wide.cuh"\nvoid other() { wide(nullptr); }\n'
    folder = make_repository(tmp_path, files)
    run_cli("migrate", "csrc/sort.cu", "--write", cwd=folder)
    migrated = (folder / "csrc/libtorch_stable/sort.cu").read_text()
    assert migrated.index("#include <cuda.h>\n") < migrated.index("wide.cuh")
    assert (folder / "csrc/wide.cuh").exists() == stays


LOOK_ALIKES = {
    "the header includes it": _WIDE.format("#include <cuda.h>\n"),
    "a header that it includes does": _WIDE.format('#include "driver.cuh"\n'),
    "nothing asks for it": "#pragma once\ninline void wide(float* x) { x[0] = 4; }\n",
}


@pytest.mark.parametrize("kind", LOOK_ALIKES)
def test_headers_that_need_nothing(run_cli: Run, tmp_path: Path, kind: str) -> None:
    files = {**FILES, "csrc/wide.cuh": LOOK_ALIKES[kind], "csrc/driver.cuh": "#pragma once\n#include <cuda.h>\n"}
    folder = make_repository(tmp_path, {**files, "csrc/sort.cu": _UNIT.format("")})
    run_cli("migrate", "csrc/sort.cu", "--write", cwd=folder)
    assert "<cuda.h>" not in (folder / "csrc/libtorch_stable/sort.cu").read_text()


BUILDS = {
    "a flag": "flags = ['-O2', '-DAT_PARALLEL_OPENMP']\n",
    "a pair": "macros = [('AT_PARALLEL_OPENMP', '1')]\n",
    "no build": "",
}


@pytest.mark.parametrize("kind", BUILDS)
def test_a_condition_asks_for_what_the_build_defines(run_cli: Run, tmp_path: Path, kind: str) -> None:
    """Without the build's own definition the branch is taken or not by what torch's configuration defines."""
    unit = FILES["csrc/sort.cu"] + "#if AT_PARALLEL_OPENMP\nint threads = 2;\n#endif\n"
    setup = FILES["setup.py"].replace("\n\n", f"\n\n{BUILDS[kind]}")
    folder = make_repository(tmp_path, {**FILES, "csrc/sort.cu": unit, "setup.py": setup})
    ran = run_cli("migrate", "csrc/sort.cu", cwd=folder)
    assert ("this asks for AT_PARALLEL_OPENMP" in ran.out + ran.err) == (kind == "no build")
