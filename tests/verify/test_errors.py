"""What compilers print becomes diagnostics at the line of the tree that is to blame."""

from __future__ import annotations

from pathlib import Path

import pytest
from torch_stabilize.verify import codes
from torch_stabilize.verify.errors import MOST_PER_UNIT, error_diagnostics, parse_errors


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "csrc").mkdir()
    (tmp_path / "csrc/a.cu").write_text("#include <x.h>\nint f() {\n  return y;\n}\n")
    (tmp_path / "csrc/a.h").write_text("#pragma once\n#include <torch/x.h>\n")
    return tmp_path


@pytest.mark.parametrize(
    ("log", "path", "line", "message"),
    [
        ("{tree}/csrc/a.cu:3:10: error: 'y' was not declared", "csrc/a.cu", 3, "'y' was not declared"),
        ("{tree}/csrc/a.cu:1:10: fatal error: x.h: No such file or directory", "csrc/a.cu", 1, "x.h: No such file"),
        ('{tree}/csrc/a.cu(3): error: identifier "y" is undefined', "csrc/a.cu", 3, 'identifier "y"'),
        ("{tree}/csrc/a.cu(3): error #20: a", "csrc/a.cu", 3, "a"),
        ('{tree}/csrc/a.cu(1): catastrophic error: cannot open source file "x.h"', "csrc/a.cu", 1, "cannot open"),
        ("ptxas fatal   : Unresolved extern function 'f'", "", 0, "ptxas: Unresolved extern function 'f'"),
        (
            "In file included from {tree}/csrc/a.h:2,\n                 from {tree}/csrc/a.cu:1:\n"
            "/opt/torch/x.h:9:2: error: #error no",
            "csrc/a.h", 2, "#error no (/opt/torch/x.h:9)",
        ),
        (
            "/opt/torch/x.h: In instantiation of 'f':\n{tree}/csrc/a.cu:3:4:   required from here\n"
            "/opt/torch/x.h:9:2: error: no match",
            "csrc/a.cu", 3, "no match (/opt/torch/x.h:9)",
        ),
        (
            "/opt/torch/x.h(9): error: static assertion failed\n          detected during instantiation of \"f\" "
            "at line 3 of {tree}/csrc/a.cu",
            "csrc/a.cu", 3, "static assertion failed (/opt/torch/x.h:9)",
        ),
    ],
)  # fmt: skip
def test_places(tree: Path, log: str, path: str, line: int, message: str) -> None:
    (error,) = parse_errors(log.replace("{tree}", str(tree)), tree)
    assert (error.path, error.line) == (path, line)
    assert error.message.startswith(message)


def test_warnings_and_notes_are_no_errors(tree: Path) -> None:
    assert parse_errors(f"{tree}/csrc/a.cu:3:1: warning: x\n{tree}/csrc/a.cu:3:1: note: y\n", tree) == ()


def test_a_diagnostic_has_the_span_of_the_line(tree: Path) -> None:
    (found,) = error_diagnostics("TSA801", "csrc/a.cu", f"{tree}/csrc/a.cu:3:10: error: no", tree)
    assert found.path == "csrc/a.cu"
    assert (tree / "csrc/a.cu").read_bytes()[found.span.start : found.span.end] == b"  return y;"


def test_where_the_line_comes_from_is_said(tree: Path) -> None:
    log = f"{tree}/csrc/a.cu:3:10: error: no"
    (found,) = error_diagnostics("TSA801", "csrc/a.cu", log, tree, origin=lambda path, line: f"{path} was {line}")
    assert found.message == "no [csrc/a.cu was 3]"
    assert found.place == "csrc/a.cu:3"


def test_a_compiler_that_dies_without_a_word_is_an_error_too(tree: Path) -> None:
    (found,) = error_diagnostics("TSA801", "csrc/a.cu", "", tree)
    assert (found.path, found.code) == ("csrc/a.cu", codes.STABLE_DOES_NOT_COMPILE)


def test_many_errors_are_counted(tree: Path) -> None:
    log = "\n".join(f"{tree}/csrc/a.cu:3:1: error: e{i}" for i in range(MOST_PER_UNIT + 5))
    found = error_diagnostics("TSA801", "csrc/a.cu", log, tree)
    assert len(found) == MOST_PER_UNIT + 1
    assert "5 more errors" in found[-1].message
