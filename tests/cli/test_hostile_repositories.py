"""What a repository brings along is data: none of its programs runs, and what is not there is named."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.conftest import Run, commit_all, git, make_repository

UNIT = """\
#include "ops.h"
void scale(torch::Tensor& out, torch::Tensor& input) { out.copy_(input); }
"""
FILES: dict[str, str | bytes] = {
    "setup.py": "from torch.utils.cpp_extension import CppExtension\nfrom setuptools import setup\n"
    "setup(name='pkg', ext_modules=[CppExtension('pkg._C', ['csrc/bindings.cpp', 'csrc/scale.cpp'])])\n",
    "pkg/__init__.py": "import pkg._C\n",
    "csrc/bindings.cpp": '#include <torch/library.h>\n#include "ops.h"\nTORCH_LIBRARY(_C, ops) {\n'
    '  ops.def("scale(Tensor! out, Tensor input) -> ()");\n  ops.impl("scale", torch::kCPU, &scale);\n}\n',
    "csrc/ops.h": "#pragma once\n#include <torch/all.h>\nvoid scale(torch::Tensor& out, torch::Tensor& input);\n",
    "csrc/scale.cpp": UNIT,
    "docs/notes.cpp": "// not of the extension\n",
}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "repository", FILES)


def test_programs_that_the_repository_names_do_not_run(repository: Path, run_cli: Run, tmp_path: Path) -> None:
    """A file system monitor and a filter, as a checkout from an archive with its .git may bring them."""
    ran = tmp_path / "ran"
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\necho $0 >> {ran}\ncat\n")
    program.chmod(0o755)
    git(repository, "config", "core.fsmonitor", str(program))
    git(repository, "config", "filter.odd=name.clean", str(program))
    git(repository, "config", "filter.odd=name.required", "true")
    (repository / ".git/info").mkdir(exist_ok=True)
    (repository / ".git/info/attributes").write_text("*.cpp filter=odd=name\n")
    os.utime(repository / "csrc/scale.cpp")  # git has to look at what the file holds
    run_cli("scan", cwd=repository)
    assert run_cli("migrate", "csrc/scale.cpp", "--write", cwd=repository).code in (0, 1)
    assert not ran.exists()


def test_a_sparse_checkout_is_refused(repository: Path, run_cli: Run) -> None:
    git(repository, "sparse-checkout", "set", "--no-cone", "/csrc/", "/pkg/", "/docs/")
    assert not (repository / "setup.py").exists()
    ran = run_cli("migrate", "csrc/scale.cpp", "--write", cwd=repository)
    assert (ran.code, ran.err.count("\n")) == (3, 1)
    assert "setup.py is tracked and left out by the sparse checkout" in ran.err


def test_a_file_of_a_submodule_is_named(repository: Path, run_cli: Run, tmp_path: Path) -> None:
    other = make_repository(tmp_path / "other", {"k.cpp": UNIT})
    git(repository, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(other), "third_party/other")
    commit_all(repository, "Add a submodule")
    ran = run_cli("migrate", "third_party/other/k.cpp", cwd=repository)
    assert ran.code == 2
    assert "third_party/other/k.cpp is in the submodule third_party/other" in ran.err


def test_the_working_folder_does_not_change_what_a_group_is(repository: Path, run_cli: Run) -> None:
    """In docs/ there is a folder that is called as the group is."""
    (repository / "docs/scale").mkdir()
    (repository / "docs/scale/other.cpp").write_text(UNIT.replace("scale", "other"))
    commit_all(repository, "Another folder of that name")
    at_root = run_cli("migrate", "scale", cwd=repository)
    assert "csrc/scale.cpp" in at_root.out
    assert run_cli("migrate", "scale", cwd=repository / "docs").out == at_root.out
