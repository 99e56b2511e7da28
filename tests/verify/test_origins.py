"""A line of the migrated tree knows its place before the migration and the rules that wrote it."""

from __future__ import annotations

from torch_stabilize.model import Edit, FileChange, Plan, Span
from torch_stabilize.source.edits import apply
from torch_stabilize.verify.codes import CHANGED_SINCE
from torch_stabilize.verify.origins import Migration

BEFORE = b"""\
#include <torch/all.h>
int f(at::Tensor x) {
  return x.size(0) + x.size(1);
}
int g();
"""


def edit(old: bytes, new: bytes, rule: str) -> Edit:
    start = BEFORE.index(old)
    return Edit(Span(start, start + len(old)), new, rule)


EDITS = (
    edit(b"#include <torch/all.h>\n", b"#include <a.h>\n#include <b.h>\n", "TSA001"),
    edit(b"at::Tensor", b"torch::stable::Tensor", "TSA101"),
    edit(b"x.size(0)", b"size(x, 0)", "TSA117"),
    edit(b"int g();\n", b"", "TSA522"),
)
EDITED = apply(BEFORE, EDITS)
PATH = "csrc/stable/f.cpp"


def migration(after: bytes = EDITED) -> Migration:
    moved = FileChange("csrc/f.cpp", PATH, BEFORE, after, EDITS)
    generated = FileChange(None, "csrc/stable/utils.h", None, b"#pragma once\n")
    return Migration(Plan("f", "2.11", (moved, generated)), {"csrc/f.cpp": BEFORE}.__getitem__)


def origins(data: bytes, made: Migration | None = None) -> list[str]:
    made = made or migration()
    return [str(made.origin(PATH, line + 1, data)) for line in range(data.count(b"\n"))]


def test_every_line_has_its_place_and_its_rules() -> None:
    assert EDITED.decode().splitlines() == [
        "#include <a.h>",
        "#include <b.h>",
        "int f(torch::stable::Tensor x) {",
        "  return size(x, 0) + x.size(1);",
        "}",
    ]
    assert origins(EDITED) == [
        "csrc/f.cpp:1, edited by TSA001",
        "csrc/f.cpp:1, edited by TSA001",
        "csrc/f.cpp:2, edited by TSA101",
        "csrc/f.cpp:3, edited by TSA117",
        "csrc/f.cpp:4",
    ]


def test_what_was_wrapped_anew_is_still_found() -> None:
    wrapped = EDITED.replace(b"  return size(x, 0) + x", b"  return size(x, 0)\n         + x")
    assert origins(wrapped, migration(wrapped))[3:] == ["csrc/f.cpp:3, edited by TSA117"] * 2 + ["csrc/f.cpp:4"]


def test_what_somebody_changed_since_is_told_apart() -> None:
    by_hand = EDITED.replace(b"size(x, 0)", b"x.numel()") + b"int more;\n"
    found = origins(by_hand)
    assert found[3] == "csrc/f.cpp:3, edited by TSA117, changed since"
    assert found[5] == "added since the migration"


def test_generated_files_and_others() -> None:
    made = migration()
    assert str(made.origin("csrc/stable/utils.h", 1, b"#pragma once\n")) == "generated"
    assert made.origin("csrc/other.h", 1, b"") is None


def test_a_file_that_differs_is_said_in_the_report() -> None:
    files = {PATH: EDITED, "csrc/stable/utils.h": b""}
    (found,) = migration().against(files.get).plan.diagnostics
    assert (found.code, found.path) == (CHANGED_SINCE, "csrc/stable/utils.h")
