"""Names and sources of any bytes: every verb ends with a clear line, and nothing unsafe reaches a terminal or a report."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from torch_stabilize.report.printable import printable, printable_line

from tests.conftest import commit_all, git, tree

BINDINGS = b"""\
#include <torch/library.h>
#include "ops.h"
// caf\xe9 \x1b[31m
TORCH_LIBRARY(_C, ops) {
  ops.def("scale(Tensor! out, Tensor input) -> ()");
  ops.impl("scale", torch::kCPU, &scale);
}
"""
UNIT = b"""\
#include "ops.h"
// caf\xe9 \x1b]0;title\x07 \xe2\x80\xae
void scale(torch::Tensor& out, torch::Tensor& input) {
  TORCH_CHECK(out.sizes() == input.sizes(), "caf\xe9 \x1b[2J");
  out.copy_(input);
  unknown_to_all(at::caf\xe9(input));
}
"""
FILES = {
    b"setup.py": b"from torch.utils.cpp_extension import CppExtension\nfrom setuptools import setup\n"
    b"setup(name='pkg', ext_modules=[CppExtension('pkg._C', ['csrc/bindings.cpp', 'csrc/scale.cpp'])])\n",
    b"pkg/__init__.py": b"import pkg._C\n",
    b"csrc/bindings.cpp": BINDINGS,
    b"csrc/ops.h": b"#pragma once\n#include <torch/all.h>\nvoid scale(torch::Tensor& out, torch::Tensor& input);\n",
    b"csrc/scale.cpp": UNIT,
    b"csrc/caf\xe9\x1b[31m.cpp": b'#include "ops.h"\nat::Tensor other(at::Tensor x) { return x.clone(); }\n',
    b"notes/line\nend.txt": b"\xff\xfe\x00",
}
UNSAFE = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]|\xe2\x80\xae")


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    root = tmp_path / "hostile"
    for name, data in FILES.items():
        path = root / os.fsdecode(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    commit_all(root)
    return root


def ran(root: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-c", "from torch_stabilize.cli.main import main; main()", *arguments]
    return subprocess.run(command, cwd=root, capture_output=True, check=False, env={**os.environ, "LC_ALL": "C.UTF-8"})


@pytest.mark.parametrize("suffix", ["md", "html", "json", "sarif"])
def test_every_form_of_report_is_written_or_nothing_is(hostile: Path, tmp_path: Path, suffix: str) -> None:
    report = tmp_path / f"report.{suffix}"
    done = ran(hostile, "migrate", "csrc/scale.cpp", "--write", "--report", str(report))
    assert done.returncode in (0, 1), done.stderr
    assert not UNSAFE.search(done.stdout + done.stderr)
    assert not UNSAFE.search(report.read_bytes())
    assert "csrc/libtorch_stable/scale.cpp" in tree(hostile)


@pytest.mark.parametrize(
    "arguments",
    [
        *(("scan",), ("scan", "--sites"), ("scan", "--json"), ("scan", "--ops"), ("scan", "--ops", "--json")),
        *(("check", "csrc"), ("check", "csrc", "--sarif"), ("check", "csrc", "--json")),
        *(("series",), ("series", "--json"), ("retire",), ("retire", "--json")),
    ],
    ids=" ".join,
)
def test_reading_verbs(hostile: Path, arguments: tuple[str, ...]) -> None:
    done = ran(hostile, *arguments)
    assert done.returncode in (0, 1), done.stderr
    assert not UNSAFE.search(done.stdout + done.stderr)


@pytest.mark.parametrize("suffix", ["md", "html", "json", "sarif"])
def test_a_report_of_retire(hostile: Path, tmp_path: Path, suffix: str) -> None:
    report = tmp_path / f"report.{suffix}"
    done = ran(hostile, "retire", "--write", "--report", str(report))
    assert done.returncode in (0, 1), done.stderr
    assert not UNSAFE.search(done.stdout + done.stderr + report.read_bytes())


def test_a_series_says_why_a_file_whose_name_does_not_decode_stays(hostile: Path) -> None:
    done = ran(hostile, "series")
    assert done.returncode == 1, done.stderr
    assert b"the name is not UTF-8, so no build file can name it" in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("golden", "record", "csrc/caf\udce9\x1b[31m.cpp"),
        ("golden", "check", "no\x1b[31msuch"),
        ("verify", "no\x1b[31m\nsuch"),
        ("series", "--target", "2\x1b.1"),
        ("retire", "--headers", "\x1b[2J"),
        ("explain", "\x1b[2J"),
    ],
    ids=lambda arguments: (
        " ".join(arguments).encode("ascii", "backslashreplace").decode("ascii").replace("\x1b", "ESC")
    ),
)
def test_what_cannot_be_done_is_said_in_safe_lines(hostile: Path, arguments: tuple[str, ...]) -> None:
    before = tree(hostile)
    done = ran(hostile, *arguments)
    assert done.returncode in (2, 3), (done.returncode, done.stdout, done.stderr)
    assert b"Traceback" not in done.stderr
    assert not UNSAFE.search(done.stdout + done.stderr)
    assert tree(hostile) == before


def test_a_piped_diff_has_the_bytes_of_the_file(hostile: Path) -> None:
    done = ran(hostile, "migrate", "csrc/scale.cpp")
    git(hostile, "status")
    applied = subprocess.run(["git", "apply", "-"], cwd=hostile, input=done.stdout, capture_output=True, check=False)
    assert applied.returncode == 0, applied.stderr


def test_a_file_whose_name_does_not_decode_migrates(hostile: Path) -> None:
    name = os.fsdecode(b"csrc/caf\xe9\x1b[31m.cpp")
    done = ran(hostile, "migrate", name, "--write")
    assert done.returncode in (0, 1, 3), done.stderr
    assert b"Traceback" not in done.stderr
    assert not UNSAFE.search(done.stdout + done.stderr)


def test_a_wrong_name_is_one_line(hostile: Path) -> None:
    done = ran(hostile, "migrate", "no\x1b[31m\nsuch")
    assert done.returncode == 2
    assert done.stderr.count(b"\n") == 1
    assert not UNSAFE.search(done.stderr)


@pytest.mark.parametrize("text", [b"target = '2.11\x00'\n", b"\xff\xfe", b"[groups]\n\x00", b"target = '2.11"])
def test_a_configuration_of_any_bytes_is_one_line(hostile: Path, text: bytes) -> None:
    (hostile / "torch-stabilize.toml").write_bytes(text)
    for verb in (("scan",), ("check",), ("migrate", "csrc/scale.cpp")):
        done = ran(hostile, *verb)
        assert done.returncode in (2, 3), (verb, done.stdout)
        assert done.stderr.count(b"\n") == 1, done.stderr


@pytest.mark.parametrize("opening", [b"(", b"{", b"[", b"f(", b"#if A\n", b"a<", b"if (x) ", b"-", b"!", b"*"])
def test_very_deep_nesting_ends(hostile: Path, opening: bytes) -> None:
    (hostile / "csrc/scale.cpp").write_bytes(
        UNIT + b"void deep(at::Tensor x) { return " + opening * 20000 + b"x.size(0)"
    )
    commit_all(hostile, "Deep")
    for verb in (("scan",), ("migrate", "csrc/scale.cpp")):
        done = ran(hostile, *verb)
        assert done.returncode in (0, 1, 2, 3)
        assert b"Traceback" not in done.stderr, done.stderr[-600:]


def test_escapes() -> None:
    assert printable("a\tb\n\x1b[1m\udce9\u202e") == "a\tb\n\\x1b[1m\\xe9\\u202e"
    assert printable_line("a\nb") == "a\\nb"
    assert printable("né → ok") == "né → ok"
