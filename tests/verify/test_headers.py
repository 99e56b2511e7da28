"""Where headers of CUDA's libraries, and of libraries that are headers alone, are looked for."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from codemod.verify.headers import header_folders, wheel_folders

NO_NVCC = "/nonexistent/nvcc"


def test_a_folder_with_a_header_library_is_found_among_those_given(tmp_path: Path) -> None:
    (tmp_path / "some/cutlass").mkdir(parents=True)
    (tmp_path / "some/cutlass/cutlass.h").touch()
    (tmp_path / "other").mkdir()
    found = header_folders(NO_NVCC, [tmp_path / "other", tmp_path / "some"])
    assert tmp_path / "some" in found
    assert tmp_path / "other" not in found


def test_the_wheel_of_a_header_library_is_found_without_importing_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "cutlass_library"
    (package / "source/include").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('imported')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert package / "source/include" in wheel_folders()
    assert "cutlass_library" not in sys.modules
