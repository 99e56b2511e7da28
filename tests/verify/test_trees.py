"""Where the legacy side comes from, and what the build files say is compiled on each side."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from torch_stabilize.model import Refusal
from torch_stabilize.repository.snapshot import open_snapshot
from torch_stabilize.verify.golden.capture.calls import CAPTURED_FILE, Captured, write_captured
from torch_stabilize.verify.golden.cases import CASES_FILE
from torch_stabilize.verify.group import Request, find_cases, verify_group
from torch_stabilize.verify.project import gpu_macros, include_folders, read_libraries
from torch_stabilize.verify.setup import Setup
from torch_stabilize.verify.side import LEGACY, REMAINDER, STABLE
from torch_stabilize.verify.sides import HeaderOptions
from torch_stabilize.verify.toolchain import Toolchain, find_torch
from torch_stabilize.verify.trees import Tree, landed, legacy_tree, read_tree

from tests.conftest import git

PAIR = Path(__file__).parent / "pair"
NAMES = ("scale",)


@dataclass(frozen=True)
class Repository:
    root: Path
    build: Path

    def git(self, *arguments: str) -> str:
        return git(self.root, *arguments).strip()

    def write(self, path: str, text: str) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)

    def commit(self, message: str) -> str:
        self.git("add", "-A")
        self.git("commit", "-q", "-m", message)
        return self.git("rev-parse", "HEAD")

    def migrate(self) -> None:
        for path in ("csrc/scale.cpp", "csrc/scale_kernels.cu"):
            (self.root / path).unlink()
        shutil.copytree(PAIR / "stable", self.root, dirs_exist_ok=True)

    def tree(self) -> Tree:
        return read_tree(open_snapshot(self.root), "the work tree")

    def legacy(self, wanted: str | None = None) -> Tree:
        return legacy_tree(self.tree(), NAMES, wanted, self.build)[0]


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    found = Repository(tmp_path / "repo", tmp_path / "build")
    shutil.copytree(PAIR / "legacy", found.root)
    found.git("init", "-q")
    found.commit("legacy")
    return found


def test_before_a_commit_the_legacy_side_is_the_last_commit(repository: Repository) -> None:
    before = repository.git("rev-parse", "HEAD")
    repository.migrate()
    tree = repository.legacy()
    assert tree.label == before[:12]
    assert tree.snapshot.exists("csrc/scale.cpp")
    assert tree.snapshot.root == (repository.build / "trees" / before[:12]).resolve()


def test_behind_a_commit_it_is_the_last_one_in_which_the_group_is_legacy(repository: Repository) -> None:
    repository.write("README.md", "scaling\n")
    before = repository.commit("the last one before")
    repository.migrate()
    repository.commit("migrated")
    repository.write("csrc/libtorch_stable/more.h", "#pragma once\n")
    repository.commit("something later")
    assert repository.legacy().label == before[:12]


def test_a_commit_that_only_moves_files_is_half_of_the_migration(repository: Repository) -> None:
    before = repository.git("rev-parse", "HEAD")
    (repository.root / "csrc/libtorch_stable").mkdir()
    for unit in ("scale.cpp", "scale_kernels.cu"):
        repository.git("mv", f"csrc/{unit}", f"csrc/libtorch_stable/{unit}")
    repository.commit("moved")
    for unit in ("scale.cpp", "scale_kernels.cu"):
        repository.write(f"csrc/{unit}", "")
    repository.migrate()
    assert repository.legacy().label == before[:12]
    repository.commit("migrated")
    assert repository.legacy().label == before[:12]


def test_a_revision_or_a_folder_may_be_named(repository: Repository) -> None:
    repository.migrate()
    assert repository.legacy("HEAD").label == repository.git("rev-parse", "HEAD")[:12]
    assert repository.legacy(str(PAIR / "legacy")).label == str(PAIR / "legacy")
    with pytest.raises(Refusal, match="neither a folder nor a revision: v0") as refusal:
        repository.legacy("v0")
    assert refusal.value.exit_code == 2


def test_a_group_that_is_not_migrated_has_no_two_sides(repository: Repository) -> None:
    with pytest.raises(Refusal, match="scale is not migrated"):
        repository.legacy()


def test_a_group_may_have_migrated_where_it_is(repository: Repository) -> None:
    before = repository.git("rev-parse", "HEAD")
    for unit in ("scale.cpp", "scale_kernels.cu"):
        repository.write(f"csrc/{unit}", (PAIR / "stable/csrc/libtorch_stable" / unit).read_text())
    assert repository.legacy().label == before[:12]
    repository.commit("migrated in place")
    files = ("csrc/scale.cpp", "csrc/scale_kernels.cu")
    assert legacy_tree(repository.tree(), files, None, repository.build)[0].label == before[:12]
    with pytest.raises(Refusal):  # the name alone: no commit has touched the folder of stable sources
        repository.legacy()
    assert repository.legacy(before).label == before[:12]


@pytest.mark.torch
def test_a_refused_run_leaves_no_build_folder(repository: Repository) -> None:
    request = Request(NAMES, target="2.11")
    for wrong in (request, replace(request, names=("scales",)), replace(request, legacy="v0")):
        with pytest.raises(Refusal):
            verify_group(open_snapshot(repository.root), wrong)
        assert not (repository.root / "build").exists()
    (repository.root / "build/torch-stabilize").mkdir(parents=True)
    with pytest.raises(Refusal):
        verify_group(open_snapshot(repository.root), request)
    assert not list((repository.root / "build/torch-stabilize/trees").glob("*/csrc"))


def test_laying_a_commit_out_touches_neither_index_nor_work_tree(repository: Repository) -> None:
    repository.migrate()
    repository.git("add", "CMakeLists.txt")
    before = repository.git("status", "--porcelain")
    repository.legacy()
    assert repository.git("status", "--porcelain") == before
    assert repository.git("worktree", "list").count("\n") == 0


def test_a_file_is_found_where_it_landed(repository: Repository) -> None:
    repository.migrate()
    find = landed(repository.legacy(), repository.tree())
    assert find("csrc/scale.cpp") == "csrc/libtorch_stable/scale.cpp"
    assert find("CMakeLists.txt") == "CMakeLists.txt"
    assert find("csrc/gone.h") is None


def test_only_folders_that_an_include_needs_are_searched(repository: Repository) -> None:
    assert include_folders(repository.tree()) == ()
    repository.write("csrc/common.h", "#pragma once\n")
    repository.write("csrc/sub/near.h", "#pragma once\n")
    repository.write("csrc/sub/a.cpp", '#include "near.h"\n#include "../common.h"\n#include <ATen/ATen.h>\n')
    assert include_folders(repository.tree()) == ()
    repository.write("csrc/sub/b.cpp", '#include "common.h"\n#include <ATen/ATen.h>\n')
    assert include_folders(repository.tree()) == ("csrc",)


def test_macros_under_which_cuda_kernels_are_registered(repository: Repository) -> None:
    path = "csrc/scale.cpp"
    text = (repository.root / path).read_text()
    guarded = '#ifdef WITH_GPU\n  m.impl("scale", c10::kCUDA, &scale_cuda);\n#endif\n  m.def("join'
    repository.write(path, text.replace('  m.def("join', guarded))
    assert gpu_macros(repository.tree()) == ("WITH_GPU",)
    cpu = read_libraries(repository.tree(), (), with_cuda=False, includes=())
    cuda = read_libraries(repository.tree(), (), with_cuda=True, includes=())
    assert [[one.defines for one in found.legacy] for found in (cpu, cuda)] == [[()], [("WITH_GPU",)]]


def test_host_sources_of_gpu_builds_are_told_apart(repository: Repository) -> None:
    repository.write("csrc/entry.cpp", "#include <ATen/ATen.h>\n")
    repository.write("csrc/other.cpp", "#include <ATen/ATen.h>\n")
    cmake = (repository.root / "CMakeLists.txt").read_text().replace(
        "Python_add_library(_C MODULE USE_SABI 3.10 WITH_SOABI csrc/scale.cpp csrc/scale_kernels.cu)",
        'set(SOURCES csrc/scale.cpp csrc/scale_kernels.cu)\nif(LANG STREQUAL "CUDA")\n  list(APPEND SOURCES'
        ' csrc/entry.cpp)\nendif()\nif(LANG STREQUAL "HIP")\n  list(APPEND SOURCES csrc/other.cpp)\nendif()\n'
        "Python_add_library(_C MODULE USE_SABI 3.10 WITH_SOABI ${SOURCES})",
    )  # fmt: skip
    repository.write("CMakeLists.txt", cmake)
    (library,) = read_libraries(repository.tree(), (), with_cuda=False, includes=()).legacy
    assert library.units == ("csrc/scale.cpp", "csrc/scale_kernels.cu", "csrc/entry.cpp")
    assert library.gpu == frozenset({"csrc/entry.cpp"})


@pytest.mark.torch
def test_units_that_see_nothing_new_are_taken_from_the_legacy_side(repository: Repository) -> None:
    repository.write("csrc/common.h", "#pragma once\n")
    repository.write("csrc/own.h", "#pragma once\n")
    repository.write("csrc/same.cpp", '#include "own.h"\n#include <ATen/ATen.h>\n')
    repository.write("csrc/seen.cpp", '#include "common.h"\n#include <ATen/ATen.h>\n')
    sources = "csrc/same.cpp csrc/seen.cpp"
    cmake = (PAIR / "legacy/CMakeLists.txt").read_text()
    repository.write("CMakeLists.txt", cmake.replace("csrc/scale.cpp", f"csrc/scale.cpp {sources}"))
    repository.commit("two more units")
    repository.migrate()
    stable = (PAIR / "stable/CMakeLists.txt").read_text()
    left = f"Python_add_library(_C MODULE USE_SABI 3.10 WITH_SOABI {sources})\n"
    repository.write("CMakeLists.txt", stable + left)
    repository.write("csrc/common.h", "#pragma once\nint fresh();\n")
    legacy, group = legacy_tree(repository.tree(), NAMES, None, repository.build)
    tools = Toolchain("/bin/c++", "/bin/ninja", find_torch(), Path("/py"))
    setup = Setup(legacy, repository.tree(), group, "2.11", repository.build, tools, HeaderOptions())
    sides = {side.name: side for side in setup.sides()[0]}
    assert sides[LEGACY].units == ("csrc/scale.cpp", "csrc/same.cpp", "csrc/seen.cpp", "csrc/scale_kernels.cu")
    assert sides[REMAINDER].units == ("csrc/same.cpp", "csrc/seen.cpp")
    assert list(sides[REMAINDER].reused) == ["csrc/same.cpp"]
    assert sides[STABLE].units == ("csrc/libtorch_stable/scale.cpp", "csrc/libtorch_stable/scale_kernels.cu")


def test_cases_are_found_in_the_project_or_where_asked(repository: Repository, tmp_path: Path) -> None:
    tree = repository.tree()
    assert find_cases(tree, NAMES, None) == ()
    repository.write(f"golden/scale/{CASES_FILE}", (PAIR / "golden/scale" / CASES_FILE).read_text())
    (found,) = find_cases(tree, NAMES, None)
    assert found.group == "scale"
    captured = Captured("scale", ())
    (repository.root / "golden/scale" / CASES_FILE).unlink()
    write_captured(repository.root / "golden/scale" / CAPTURED_FILE, captured)  # without a case written by hand
    (found,) = find_cases(tree, NAMES, None)
    assert found.group == "scale"
    with pytest.raises(Refusal, match="no golden cases for scale"):
        find_cases(tree, NAMES, tmp_path)


def test_a_library_that_setup_py_makes_with_and_without_cuda_is_no_gpu_build(repository: Repository) -> None:
    """Both arms make the same library: what both compile can be linked here, what one adds cannot."""
    (repository.root / "CMakeLists.txt").unlink()
    repository.write("csrc/entry.cpp", "#include <ATen/ATen.h>\n")
    repository.write(
        "setup.py",
        "from setuptools import setup\nfrom torch.utils.cpp_extension import CppExtension, CUDAExtension\n"
        "if with_cuda:\n    modules = [CUDAExtension('pack._C', ['csrc/scale.cpp', 'csrc/entry.cpp'])]\n"
        "else:\n    modules = [CppExtension('pack._C', ['csrc/scale.cpp'])]\n"
        "setup(name='pack', ext_modules=modules)\n",
    )
    (library,) = read_libraries(repository.tree(), (), with_cuda=False, includes=(), legacy=("_C",)).legacy
    assert library.units == ("csrc/scale.cpp", "csrc/entry.cpp")
    assert library.gpu == frozenset({"csrc/entry.cpp"})
    setup = (repository.root / "setup.py").read_text().replace("pack._C'", "pack._C_stable_libtorch'")
    repository.write(
        "setup.py", setup.replace("])]", "], define_macros=[('TORCH_TARGET_VERSION', '0x020b000000000000ULL')])]")
    )
    stable = read_libraries(repository.tree(), (), with_cuda=False, includes=()).stable
    assert stable is not None
    assert (stable.units, stable.gpu) == (("csrc/scale.cpp", "csrc/entry.cpp"), frozenset({"csrc/entry.cpp"}))
