"""Where a migrated unit includes what it needs: torch's headers where torch's stood, the repository's with its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Run, make_repository

CODE = (
    "\n__global__ void twice_kernel(float* x) { x[0] *= 2; }\n"
    "void twice(at::Tensor& x) {\n"
    "  twice_kernel<<<1, 1, 0, at::cuda::getCurrentCUDAStream()>>>(x.data_ptr<float>());\n}\n"
)
TENSOR = "#include <torch/csrc/stable/tensor.h>\n"
HELPERS = '#include "../torch_utils.h"\n'

CASES = {
    "behind the headers of the system": (
        "#include <ATen/cuda/CUDAContext.h>\n#include <torch/all.h>\n#include <cub/cub.cuh>\n",
        TENSOR + "#include <cub/cub.cuh>\n\n" + HELPERS,
    ),
    "before the first header of the repository": (
        '#include <torch/all.h>\n#include <cub/cub.cuh>\n\n#include "shapes.h"\n',
        TENSOR + "#include <cub/cub.cuh>\n\n" + HELPERS + '#include "../../ops/shapes.h"\n',
    ),
    "behind those that came before torch's": (
        '#include "shapes.h"\n#include <torch/all.h>\n#include <cub/cub.cuh>\n',
        '#include "../../ops/shapes.h"\n' + HELPERS + TENSOR + "#include <cub/cub.cuh>\n",
    ),
    "and a block above theirs where torch had none": (
        '#include "shapes.h"\n',
        TENSOR + '\n#include "../../ops/shapes.h"\n' + HELPERS,
    ),
    "not behind a condition": (
        '#include <torch/all.h>\n#include <cub/cub.cuh>\n\n#ifdef FAST\n#include "shapes.h"\n#endif\n',
        TENSOR + "#include <cub/cub.cuh>\n\n" + HELPERS + '\n#ifdef FAST\n#include "../../ops/shapes.h"\n#endif\n',
    ),
    "a header that only a condition includes": (
        "#include <torch/all.h>\n#ifdef DEBUG\n#include <deque>\n#endif\nstd::deque<int> list;\n",
        TENSOR + "#include <deque>\n\n" + HELPERS + "#ifdef DEBUG\n#include <deque>\n#endif\nstd::deque<int> list;\n",
    ),
    "a header for a condition that includes it": (
        "#include <torch/all.h>\n#ifdef DEBUG\n#include <deque>\nstd::deque<int> list;\n#endif\n",
        TENSOR + "\n" + HELPERS + "#ifdef DEBUG\n#include <deque>\nstd::deque<int> list;\n#endif\n",
    ),
    "one that is closed and has no user": (
        "#include <torch/all.h>\n#include <ATen/native/TypeProperties.h>\n",
        TENSOR + "\n" + HELPERS,
    ),
    "of torch's early years": (
        "#include <torch/all.h>\n#include <THC/THCAtomics.cuh>\n",
        TENSOR + "\n" + HELPERS,
    ),
    "pybind11 that nothing uses goes": (
        "#include <torch/extension.h>\n#include <pybind11/stl.h>\n",
        TENSOR + "\n" + HELPERS,
    ),
    "a block of their own": ("#include <torch/all.h>\n", TENSOR + "\n" + HELPERS),
    "of two empty lines around a header that goes, one stays": (
        "#include <torch/all.h>\n\n#include <cub/cub.cuh>\n\n#include <c10/cuda/CUDAGuard.h>\n\nint n = 0;\n",
        TENSOR + "\n#include <cub/cub.cuh>\n\n" + HELPERS + "\nint n = 0;\n",
    ),
}


def repository(tmp_path: Path, head: str) -> Path:
    files = {
        "csrc/ops/shapes.h": "#pragma once\n",
        "csrc/ops/twice.cu": head + CODE,
        "csrc/ops/other.cu": '#include <torch/all.h>\n#include "shapes.h"\nvoid other(at::Tensor& x) {}\n',
        "csrc/bindings.cpp": "#include <torch/all.h>\n#include <torch/library.h>\nvoid twice(at::Tensor& x);\n"
        'TORCH_LIBRARY(made_up, m) { m.def("twice(Tensor! x) -> ()"); m.impl("twice", torch::kCUDA, &twice); }\n',
        "setup.py": "from setuptools import setup\nfrom torch.utils.cpp_extension import BuildExtension, CUDAExtension\n\n"
        "setup(name='made_up', cmdclass={'build_ext': BuildExtension}, ext_modules=[CUDAExtension('made_up._C',\n"
        "    ['csrc/bindings.cpp', 'csrc/ops/twice.cu', 'csrc/ops/other.cu'], include_dirs=['csrc'])])\n",
    }
    return make_repository(tmp_path, files)


@pytest.mark.parametrize("name", CASES)
def test_before_becomes_after(run_cli: Run, tmp_path: Path, name: str) -> None:
    before, after = CASES[name]
    folder = repository(tmp_path, before)
    ran = run_cli("migrate", "csrc/ops/twice.cu", "--write", cwd=folder)
    assert "TSA003" not in ran.out
    migrated = (folder / "csrc/libtorch_stable/ops/twice.cu").read_text()
    assert migrated.partition("\n__global__")[0] == after


def test_the_helpers_are_spelled_as_the_other_stable_files_spell_them(run_cli: Run, tmp_path: Path) -> None:
    folder = repository(tmp_path, "#include <torch/all.h>\n")
    spelled = '#include "libtorch_stable/torch_utils.h"\n'
    added = {"torch_utils.h": "#pragma once\n", "ops/first.cu": spelled, "ops/second.cu": spelled}
    for path, text in added.items():
        (folder / "csrc/libtorch_stable" / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / "csrc/libtorch_stable" / path).write_text(text)
    run_cli("migrate", "csrc/ops/twice.cu", "--write", "--allow-dirty", cwd=folder)
    assert spelled in (folder / "csrc/libtorch_stable/ops/twice.cu").read_text()


def test_a_unit_that_got_torch_through_a_header_still_does(run_cli: Run, tmp_path: Path) -> None:
    folder = make_repository(
        tmp_path,
        {
            "csrc/rows.h": "#pragma once\n#include <torch/all.h>\n"
            "inline int64_t rows(const at::Tensor& x) { return x.size(0); }\n",
            "csrc/twice.cpp": '#include "rows.h"\n\nvoid twice(at::Tensor& x) { x.fill_(static_cast<double>(rows(x))); }\n',
            "csrc/bindings.cpp": "#include <torch/all.h>\n#include <torch/library.h>\nvoid twice(at::Tensor& x);\n"
            'TORCH_LIBRARY(made_up, m) { m.def("twice(Tensor! x) -> ()", &twice); }\n',
            "setup.py": "from setuptools import setup\n\nsetup(name='made_up')\n",
        },
    )
    run_cli("migrate", "csrc/twice.cpp", "--write", cwd=folder)
    migrated = (folder / "csrc/libtorch_stable/twice.cpp").read_text()
    assert "tensor.h" not in migrated
    assert "#include <torch/csrc/stable/ops.h>\n" in migrated
