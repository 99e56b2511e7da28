"""`migrate`: shown, written, committed, reported; again on its own output; refused."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
from torch_stabilize.report.as_json import schema

from tests.cli.tree_state import tree_state
from tests.conftest import ROOT, Run, commit_all, git, make_repository

MOVED = "csrc/libtorch_stable/activation_kernels.cu"


def test_diff_is_the_default_and_writes_nothing(run_cli: Run, sample: Path) -> None:
    before = tree_state(sample)
    ran = run_cli("migrate", "activation", cwd=sample)
    assert ran.code in (0, 1)
    assert ran.out == run_cli("migrate", "activation", "--diff", cwd=sample).out
    assert f"rename to {MOVED}" in ran.out
    assert "Sites: " in ran.err
    assert tree_state(sample) == before


def test_the_diff_applied_is_what_write_writes(run_cli: Run, sample: Path, tmp_path: Path) -> None:
    diff = run_cli("migrate", "activation", cwd=sample).out
    other = tmp_path / "other"
    subprocess.run(["git", "clone", "-q", str(sample), str(other)], check=True)
    git(other, "apply", "--index", "-", given=diff)
    ran = run_cli("migrate", "activation", "--write", cwd=sample)
    assert ran.code in (0, 1)
    git(sample, "add", "-A")
    assert git(sample, "write-tree") == git(other, "write-tree")


def test_a_second_run_changes_nothing(run_cli: Run, sample: Path) -> None:
    run_cli("migrate", "activation", "--write", cwd=sample)
    commit_all(sample, "Migrate")
    ran = run_cli("migrate", "activation", cwd=sample)
    assert ran.out == ""
    assert "nothing to change" in ran.err


def test_every_process_writes_the_same_bytes(sample: Path) -> None:
    """Sets and dictionaries of two processes come in different orders."""
    script = (
        f"import sys; sys.path.insert(0, {str(ROOT / 'codemod')!r}); from torch_stabilize.cli.main import main; main()"
    )
    diffs = [
        subprocess.run(
            [sys.executable, "-c", script, "migrate", "activation", "layernorm"],
            cwd=sample,
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=False,
        ).stdout
        for seed in ("1", "2")
    ]
    assert diffs[0] == diffs[1] != b""


def test_git_sees_a_moved_unit_as_renamed(run_cli: Run, sample: Path) -> None:
    """In one commit with the edits; where most lines of a small header change, it takes the commit of moves alone."""
    moved = [
        (row["old"], row["new"])
        for row in json.loads(run_cli("migrate", "activation", "layernorm", "--write", "--json", cwd=sample).out)[
            "files"
        ]
        if row["action"] == "moved" and row["old"].endswith((".cu", ".cpp"))
    ]
    git(sample, "add", "-A")
    seen = [line.split("\t") for line in git(sample, "diff", "--cached", "-M", "--name-status").splitlines()]
    assert len(moved) == 4
    assert {(old, new) for kind, old, *rest in seen if kind.startswith("R") for new in rest} >= set(moved)


def test_migrated_files_find_their_headers_beside_themselves(run_cli: Run, sample: Path) -> None:
    """The sample's setup.py searches no folder: what an include means must not depend on one."""
    run_cli("migrate", "activation", "--write", cwd=sample)
    sources = [path for path in (sample / "csrc").rglob("*") if path.suffix in (".h", ".cuh", ".cu", ".cpp")]
    quoted = [
        (path, name) for path in sources for name in re.findall(r'^#include "(.+)"', path.read_text(), re.MULTILINE)
    ]
    assert any("libtorch_stable" in path.parts for path, _ in quoted)
    assert [(str(path), name) for path, name in quoted if not (path.parent / name).is_file()] == []


def test_commit_makes_a_move_and_an_edit(run_cli: Run, sample: Path) -> None:
    ran = run_cli("migrate", "activation", "--commit", cwd=sample)
    assert ran.code in (0, 1)
    assert git(sample, "status", "--porcelain") == ""
    edits, moves, _start = git(sample, "log", "--format=%H").split()
    assert f"R100\tcsrc/activation_kernels.cu\t{MOVED}" in git(sample, "show", "-M", "--name-status", moves)
    assert MOVED in git(sample, "show", "--name-only", edits)


def test_json_follows_its_schema_and_no_site_vanishes(run_cli: Run, sample: Path) -> None:
    ran = run_cli("migrate", "activation", "--json", cwd=sample)
    document = json.loads(ran.out)
    jsonschema.validate(document, schema("report"))
    sites = document["sites"]
    assert sites["found"] == sites["rewritten"] + sites["diagnosed"] + sites["allowed"] > 0
    assert ran.code == (1 if any(f["concern"] == "manual" for f in document["findings"]) else 0)


@pytest.mark.parametrize(
    ("suffix", "start"),
    [
        (".md", "# Move `activation`"),
        (".html", "<!DOCTYPE html>"),
        (".json", '{\n  "format": "torch-stabilize-report/1"'),
        (".sarif", "{\n"),
    ],
)
def test_the_suffix_picks_the_form_of_the_report(
    suffix: str, start: str, run_cli: Run, sample: Path, tmp_path: Path
) -> None:
    report = tmp_path / f"report{suffix}"
    run_cli("migrate", "activation", "--report", str(report), cwd=sample)
    assert report.read_text().startswith(start)


def test_line_ends_byte_order_marks_and_other_encodings_survive(run_cli: Run, tmp_path: Path) -> None:
    def as_on_windows(text: str) -> bytes:
        return b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode("cp1252")

    kernel = (
        "#include <torch/all.h>\n\n// caf\u00e9\nvoid scale(torch::Tensor& x) {\n  TORCH_CHECK(x.is_contiguous());\n}\n"
    )
    header = "#pragma once\n#include <torch/all.h>\nvoid scale(torch::Tensor& x);\n"
    bindings = (
        '#include "ops.h"\n#include <torch/library.h>\nTORCH_LIBRARY(_C, m) {\n  m.def("scale(Tensor! x) -> ()");\n'
        '  m.impl("scale", torch::kCUDA, &scale);\n  m.def("other() -> ()");\n}\n'
    )
    files = {"csrc/scale.cu": kernel, "csrc/ops.h": header, "csrc/bindings.cpp": bindings}
    setup = "CUDAExtension(name='p._C', sources=['csrc/bindings.cpp', 'csrc/scale.cu'])\n"
    folder = tmp_path / "repository"
    make_repository(folder, {**{path: as_on_windows(text) for path, text in files.items()}, "setup.py": setup})
    assert run_cli("migrate", "scale", "--write", cwd=folder).code in (0, 1)
    for path in ("csrc/libtorch_stable/scale.cu", "csrc/ops.h", "csrc/bindings.cpp"):
        data = (folder / path).read_bytes()
        assert data not in [as_on_windows(text) for text in files.values()]
        assert data.startswith(b"\xef\xbb\xbf")
        assert data.count(b"\xef\xbb\xbf") == 1
        assert data.count(b"\n") == data.count(b"\r\n") > 1
    assert b"// caf\xe9\r\n" in (folder / "csrc/libtorch_stable/scale.cu").read_bytes()


def test_files_mean_the_same_as_their_group(run_cli: Run, sample: Path) -> None:
    group = json.loads(run_cli("migrate", "activation", "--json", cwd=sample).out)
    units = [row["old"] for row in group["files"] if row["action"] == "moved" and row["old"].endswith((".cu", ".cpp"))]
    files = json.loads(run_cli("migrate", *units, "--json", cwd=sample).out)
    assert files["files"] == group["files"]


# -- refusals: one line, the exit code, and not a byte changed ---------------------------------------------------------


def refused(run_cli: Run, folder: Path, *arguments: str, code: int) -> str:
    before = tree_state(folder)
    ran = run_cli(*arguments, cwd=folder)
    assert ran.code == code, ran
    assert ran.out == ""
    assert ran.err.startswith("torch-stabilize: ")
    assert ran.err.count("\n") == 1
    assert tree_state(folder) == before
    return ran.err


@pytest.mark.parametrize("mode", ["--write", "--commit"])
def test_a_dirty_tree_is_refused(mode: str, run_cli: Run, sample: Path) -> None:
    with open(sample / "csrc/ops.h", "a") as file:
        file.write("// unfinished\n")
    assert "uncommitted changes (csrc/ops.h)" in refused(run_cli, sample, "migrate", "activation", mode, code=2)


def test_allow_dirty_writes_all_the_same(run_cli: Run, sample: Path) -> None:
    (sample / "setup.cfg").write_text("")
    git(sample, "add", "setup.cfg")
    assert run_cli("migrate", "activation", "--write", "--allow-dirty", cwd=sample).code in (0, 1)
    assert (sample / MOVED).is_file()


def test_a_path_outside_of_the_repository_is_refused(run_cli: Run, sample: Path, tmp_path: Path) -> None:
    outside = tmp_path / "x.cu"
    outside.write_text("torch::Tensor x;\n")
    for path in (str(outside), "../x.cu"):
        assert "outside of the repository" in refused(run_cli, sample, "migrate", path, "--write", code=2)


def test_an_unknown_group_is_refused_with_what_was_meant(run_cli: Run, sample: Path) -> None:
    assert "did you mean activation?" in refused(run_cli, sample, "migrate", "activatoin", "--write", code=2)


def test_no_repository(run_cli: Run, tmp_path: Path) -> None:
    (tmp_path / "a.cu").write_text("torch::Tensor x;\n")
    ran = run_cli("migrate", "a.cu", "--write", cwd=tmp_path)
    assert ran.code == 2
    assert ran.err.count("\n") == 1
    assert "not a git repository" in ran.err


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"int a;\nvoid f(torch::Tensor x) {\n", ":2: cannot be parsed: this `{` is never closed"),
        (b"void f(torch::Tensor x) {}\n}\n", ":2: cannot be parsed: this `}` closes nothing"),
        (b"torch::Tensor x;\n\n\0\0", ":3: not text: a zero byte"),
        ("torch::Tensor x;".encode("utf-16"), " is UTF-16; save it as UTF-8"),
    ],
)
def test_an_unparsable_file_is_refused(content: bytes, words: str, run_cli: Run, sample: Path) -> None:
    (sample / "csrc/activation_kernels.cu").write_bytes(content)
    commit_all(sample, "Break it")
    line = refused(run_cli, sample, "migrate", "csrc/activation_kernels.cu", "--write", code=3)
    assert f"csrc/activation_kernels.cu{words}" in line


@pytest.mark.parametrize(
    ("target", "words"),
    [("9.9", "newer than the headers of torch"), ("2.1", "too old"), ("two", "a target looks like 2.11")],
)
def test_a_target_that_does_not_exist_is_refused(target: str, words: str, run_cli: Run, sample: Path) -> None:
    assert words in refused(run_cli, sample, "migrate", "activation", "--target", target, "--write", code=2)


def test_a_target_newer_than_the_headers_is_refused(
    run_cli: Run, sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = tmp_path / "torch/include/torch/headeronly/version.h"
    version.parent.mkdir(parents=True)
    numbers = (("MAJOR", 2), ("MINOR", 10), ("PATCH", 0))
    version.write_text("".join(f"#define TORCH_VERSION_{part} {number}\n" for part, number in numbers))
    monkeypatch.setattr(
        "torch_stabilize.repository.building_torch.find_torch_include", lambda: tmp_path / "torch/include"
    )
    line = refused(run_cli, sample, "migrate", "activation", "--target", "2.11", "--write", code=2)
    assert "newer than the headers of torch 2.10.0" in line


def test_a_read_only_folder_is_refused(run_cli: Run, sample: Path) -> None:
    folder = sample / "csrc"
    folder.chmod(0o555)
    try:
        line = refused(run_cli, sample, "migrate", "activation", "--write", code=3)
    finally:
        folder.chmod(0o755)
    assert "csrc is read-only" in line


@pytest.mark.parametrize(("report", "code"), [("nowhere/report.md", 2), ("locked/report.md", 3)])
def test_a_report_that_cannot_be_written_is_refused_before_the_tree_is(
    report: str, code: int, run_cli: Run, sample: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (sample / "locked").mkdir()
    monkeypatch.setattr(os, "access", lambda path, mode: "locked" not in str(path))
    line = refused(run_cli, sample, "migrate", "activation", "--write", "--report", report, code=code)
    assert f"cannot write {report}" in line


def test_a_file_in_the_way_is_refused(run_cli: Run, sample: Path) -> None:
    target = sample / MOVED
    target.parent.mkdir(parents=True)
    os.symlink("../activation_kernels.cu", target)
    commit_all(sample, "In the way")
    assert MOVED in refused(run_cli, sample, "migrate", "activation", "--write", code=3)


def test_a_function_of_the_c_library_is_not_the_wrapper_of_its_name(run_cli: Run, tmp_path: Path) -> None:
    """`rand()` is no `stable_aten::rand`, which the first run writes: the second finds nothing to do."""
    unit = (
        "#include <torch/extension.h>\n#include <cstdlib>\n\n"
        "at::Tensor pick(const at::Tensor& x, int64_t n) {\n"
        "  auto noise = at::rand({n}, x.options());\n  auto start = rand() % n;\n  return x + noise + start;\n}\n\n"
        'PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) { m.def("pick", &pick); }\n'
    )
    setup = (
        "from setuptools import setup\nfrom torch.utils.cpp_extension import CppExtension\n"
        'setup(name="pkg", packages=["pkg"], ext_modules=[CppExtension("pkg._C", ["csrc/pick.cpp"])])\n'
    )
    files = {"csrc/pick.cpp": unit, "setup.py": setup, "pkg/__init__.py": "from . import _C\n"}
    tree = make_repository(tmp_path, files)
    run_cli("migrate", "pick", "--write", cwd=tree)
    text = (tree / "csrc/libtorch_stable/pick.cpp").read_text()
    assert "stable_aten::rand({n}" in text
    assert "rand() % n;" in text
    commit_all(tree, "migrated")
    assert run_cli("migrate", "pick", cwd=tree).out == ""
