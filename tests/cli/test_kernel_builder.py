"""Kernels that kernel-builder builds: one module for each backend, and the stable ABI is a switch of each."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Run, make_repository

_KERNEL = """\
[kernel.{name}]
backend = "{backend}"
depends = ["torch"]
src = ["{source}"]
"""
_CODE = (
    "#include <torch/all.h>\nvoid glaze(torch::Tensor& pot, const torch::Tensor& slip) {{\n"
    '  TORCH_CHECK(slip.is_{device}(), "wrong kiln");\n  pot.copy_(slip);\n}}\n'
)


def _tree(tmp_path: Path, *backends: str, more: str = "", table: str = "") -> Path:
    build = f'[general]\nname = "kiln-glaze"\nbackends = [{", ".join(f"{one!r}" for one in backends)}]\n\n'
    build += f'[torch]\nsrc = [\n  "torch-ext/bind.cpp",\n  "torch-ext/bind.h",\n]\n{table}\n'
    files = {
        "torch-ext/bind.h": "#pragma once\n#include <torch/torch.h>\n"
        "void glaze(torch::Tensor& pot, const torch::Tensor& slip);\n",
        "torch-ext/bind.cpp": '#include <torch/library.h>\n#include "registration.h"\n#include "bind.h"\n\n'
        "TORCH_LIBRARY_EXPAND(TORCH_EXTENSION_NAME, ops) {\n"
        '  ops.def("glaze(Tensor! pot, Tensor slip) -> ()");\n'
        "#if defined(CPU_KERNEL)\n"
        '  ops.impl("glaze", torch::kCPU, &glaze);\n'
        "#elif defined(CUDA_KERNEL)\n"
        '  ops.impl("glaze", torch::kCUDA, &glaze);\n'
        "#endif\n}\n\nREGISTER_EXTENSION(TORCH_EXTENSION_NAME)\n",
        "torch-ext/kiln_glaze/__init__.py": "from ._ops import ops\n",
    }
    for backend, source in (("cpu", "on_cpu/glaze.cpp"), ("cuda", "on_cuda/glaze.cu")):
        if backend in backends:
            files[source] = _CODE.format(device=backend)
            build += _KERNEL.format(name=f"on_{backend}", backend=backend, source=source) + "\n"
    files["build.toml"] = build + more
    if more:
        files["on_metal/glaze.mm"] = (
            "#include <torch/all.h>\nvoid glaze(torch::Tensor& pot, const torch::Tensor& slip) {}\n"
        )
    return make_repository(tmp_path / "kiln", files)


def test_all_backends_are_switched_where_they_are(tmp_path: Path, run_cli: Run) -> None:
    tree = _tree(tmp_path, "cpu", "cuda")

    ran = run_cli("migrate", "on_cpu/glaze.cpp", "on_cuda/glaze.cu", "--commit", cwd=tree)

    assert ran.code == 0, ran
    build = (tree / "build.toml").read_text()
    assert '  "torch-ext/bind.h",\n]\n\n[torch.stable-abi]\ncpu = "2.11"\ncuda = "2.11"\n\n[kernel.on_cpu]' in build
    bind = (tree / "torch-ext/bind.cpp").read_text()
    assert "STABLE_TORCH_LIBRARY_EXPAND(TORCH_EXTENSION_NAME, ops) {" in bind
    assert "STABLE_TORCH_LIBRARY_IMPL_EXPAND(TORCH_EXTENSION_NAME, CPU, ops) {\n#if defined(CPU_KERNEL)" in bind
    assert "REGISTER_EXTENSION(TORCH_EXTENSION_NAME)" in bind
    again = run_cli("migrate", "on_cpu/glaze.cpp", "on_cuda/glaze.cu", "--write", cwd=tree)
    assert again.code == 0, again
    assert (tree / "build.toml").read_text() == build
    assert run_cli("check", cwd=tree).code == 0


def test_a_backend_of_other_code_is_told(tmp_path: Path, run_cli: Run) -> None:
    metal = _KERNEL.format(name="on_metal", backend="metal", source="on_metal/glaze.mm")
    tree = _tree(tmp_path, "cpu", "metal", more=metal)

    ran = run_cli("migrate", "on_cpu/glaze.cpp", "--write", cwd=tree)

    assert ran.code == 1, ran
    assert "the backend metal is built from on_metal/glaze.mm too" in ran.out + ran.err
    assert '[torch.stable-abi]\ncpu = "2.11"\n' in (tree / "build.toml").read_text()


@pytest.mark.parametrize("table", ['[torch.stable-abi]\ncuda = "2.10"\n'])
def test_a_table_that_is_there_gets_a_row(tmp_path: Path, run_cli: Run, table: str) -> None:
    tree = _tree(tmp_path, "cpu", table="\n" + table)

    ran = run_cli("migrate", "on_cpu/glaze.cpp", "--write", cwd=tree)

    assert ran.code == 0, ran
    assert '[torch.stable-abi]\ncuda = "2.10"\ncpu = "2.11"\n' in (tree / "build.toml").read_text()
