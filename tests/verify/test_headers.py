"""Where headers of CUDA's libraries, and of libraries that are headers alone, are looked for."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from torch_stabilize.verify.headers import (
    CUDA_LIBRARY_HEADERS,
    HEADER_LIBRARIES,
    legacy_cuda_headers,
    stable_cuda_headers,
    wheel_folders,
)

NO_NVCC = "/nonexistent/nvcc"


def test_a_folder_with_a_header_library_is_found_among_those_given(tmp_path: Path) -> None:
    (tmp_path / "some/cutlass").mkdir(parents=True)
    (tmp_path / "some/cutlass/cutlass.h").touch()
    (tmp_path / "other").mkdir()
    found = stable_cuda_headers(NO_NVCC, tmp_path / "stand_ins", [tmp_path / "other", tmp_path / "some"])
    assert tmp_path / "some" in found
    assert tmp_path / "other" not in found


def test_the_stable_side_sees_stand_ins_and_no_header_of_torch(tmp_path: Path) -> None:
    legacy = legacy_cuda_headers(tmp_path / "torch", NO_NVCC, tmp_path / "stand_ins")
    found = stable_cuda_headers(NO_NVCC, tmp_path / "stand_ins")
    absent = [name for note in legacy.diagnostics for name in CUDA_LIBRARY_HEADERS if name in note.message]
    for name in absent:
        assert any((folder / name).is_file() for folder in found)
    assert not any((folder / "c10").exists() for folder in found)
    assert any((folder / "c10/cuda/impl/cuda_cmake_macros.h").is_file() for folder in legacy.folders)


def test_the_wheel_of_a_header_library_is_found_without_importing_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "cutlass_library"
    (package / "source/include").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('imported')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert package / "source/include" in wheel_folders()
    assert "cutlass_library" not in sys.modules


def test_header_libraries_are_where_their_wheels_have_them() -> None:
    """CUTLASS's wheel has its tools and the examples that attention kernels are made from."""
    folders = wheel_folders()
    if not any((folder / "cutlass/cutlass.h").is_file() for folder in folders):
        pytest.skip("cutlass_library is not installed")
    missing = [name for name in HEADER_LIBRARIES if not any((folder / name).is_file() for folder in folders)]
    assert missing == []
