"""Headers, targets and tools: what is found, and what is refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from torch_stabilize.model import Refusal
from torch_stabilize.verify.headers import STABLE_FOLDERS, legacy_cuda_headers, stable_tree
from torch_stabilize.verify.sides import HeaderOptions, check_stable_target
from torch_stabilize.verify.toolchain import Toolchain, find_toolchain, find_torch

pytestmark = pytest.mark.torch


def test_the_stable_tree_holds_the_stable_headers_alone(tmp_path: Path) -> None:
    include = find_torch().include
    tree = stable_tree(include, tmp_path / "only")
    assert sorted(str(path.relative_to(tree)) for path in tree.rglob("*") if path.is_symlink()) == sorted(
        STABLE_FOLDERS
    )
    assert (tree / "torch/csrc/stable/tensor.h").is_file()
    assert not (tree / "torch/all.h").exists()
    assert not (tree / "ATen").exists()
    before = {path: path.lstat().st_mtime_ns for path in tree.rglob("*")}
    stable_tree(include, tree)
    assert {path: path.lstat().st_mtime_ns for path in tree.rglob("*")} == before


def test_headers_without_a_stable_part_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="no stable headers"):
        stable_tree(tmp_path, tmp_path / "only")


@pytest.mark.parametrize(
    ("target", "words"),
    [("2.15", "newer than the headers of torch 2"), ("2.1", "too old"), ("latest", "not a torch version")],
)
def test_a_target_that_cannot_be_built_is_refused(target: str, words: str) -> None:
    tools = Toolchain("/bin/c++", "/bin/ninja", find_torch(), Path("/py"))
    with pytest.raises(Refusal, match=words) as refusal:
        check_stable_target(target, tools, HeaderOptions())
    assert refusal.value.exit_code == 2
    check_stable_target("2.10", tools, HeaderOptions())


def test_a_missing_compiler_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(Refusal, match="no C\\+\\+ compiler found") as refusal:
        find_toolchain()
    assert "\n" not in str(refusal.value)


def test_a_compiler_that_is_asked_for_and_missing_is_not_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(Refusal, match="CXX is 'no-such-compiler', which is no program here"):
        find_toolchain()
    monkeypatch.setenv("CXX", "ccache c++")
    assert find_toolchain().cxx == shutil.which("c++")


def test_a_ccache_that_is_switched_off_is_not_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("ccache", "c++", "ninja"):
        (tmp_path / name).touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CCACHE_DISABLE", raising=False)
    assert find_toolchain().launcher == str(tmp_path / "ccache")
    monkeypatch.setenv("CCACHE_DISABLE", "1")
    assert find_toolchain().launcher is None


def test_missing_cuda_library_headers_get_stand_ins_and_a_note(tmp_path: Path) -> None:
    include = tmp_path / "torch"
    include.mkdir()
    found = legacy_cuda_headers(include, "/nowhere/nvcc", tmp_path / "stand_ins")
    assert (
        "C10_CUDA_BUILD_SHARED_LIBS" in (tmp_path / "stand_ins/generated/c10/cuda/impl/cuda_cmake_macros.h").read_text()
    )
    for note in found.diagnostics:
        for name in ("cublas_v2.h", "cusparse.h"):
            assert (name in note.message) == (tmp_path / "stand_ins/libraries" / name).exists()


def test_real_headers_win_over_stand_ins(tmp_path: Path) -> None:
    real = tmp_path / "real"
    real.mkdir()
    for name in ("cublas_v2.h", "cublasLt.h", "cusparse.h", "cusolverDn.h", "cusolver_common.h"):
        (real / name).touch()
    found = legacy_cuda_headers(tmp_path, "/nowhere/nvcc", tmp_path / "stand_ins", [real])
    assert found.folders[0] == real
    assert found.diagnostics == ()
    assert not (tmp_path / "stand_ins/libraries/cusparse.h").exists()
