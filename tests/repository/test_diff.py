"""A rendered plan is a patch: `git apply` turns the tree before into the tree after, byte for byte."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch_stabilize.diff import changed_ranges, render_diff, split_lines
from torch_stabilize.model import FileChange, Plan
from torch_stabilize.repository.snapshot import Snapshot

from tests.conftest import tree

MakeRepository = Callable[..., Snapshot]


def git_apply(root: Path, patch: str) -> None:
    data = patch.encode("utf-8", "surrogateescape")
    subprocess.run(["git", "apply", "--whitespace=nowarn", "-"], cwd=root, input=data, check=True, capture_output=True)


def test_a_diff_reads_like_git(make_repository: MakeRepository) -> None:
    before = b"one\ntwo\nthree\nfour\nfive\nsix\nseven\neight\n"
    plan = Plan(
        "x",
        "2.11",
        (
            FileChange("a.cu", "stable/a.cu", before, before.replace(b"two", b"2")),
            FileChange(None, "stable/ops.h", None, b"int f();\n"),
        ),
    )
    assert render_diff(plan) == (
        "diff --git a/a.cu b/stable/a.cu\n"
        "similarity index 90%\n"
        "rename from a.cu\n"
        "rename to stable/a.cu\n"
        "--- a/a.cu\n"
        "+++ b/stable/a.cu\n"
        "@@ -1,5 +1,5 @@\n"
        " one\n-two\n+2\n three\n four\n five\n"
        "diff --git a/stable/ops.h b/stable/ops.h\n"
        "new file mode 100644\n"
        "--- /dev/null\n"
        "+++ b/stable/ops.h\n"
        "@@ -0,0 +1 @@\n"
        "+int f();\n"
    )


AWKWARD = {
    "windows.cu": (b"a\r\nb\r\nc\r\n", b"a\r\nB\r\nc\r\n"),
    "bom.h": (b"\xef\xbb\xbfint a;\n", b"\xef\xbb\xbfint b;\n"),
    "latin.h": (b"// caf\xe9\nint a;\n", b"// caf\xe9\nint b; // \xff\n"),
    "no_end.h": (b"int a;\nint b;", b"int a;\nint c;"),
    "gains_end.h": (b"int a;", b"int a;\n"),
    "old_mac.h": (b"a\rb\rc\nd\n", b"a\rb\rC\nd\n"),
    "form feed\x0c.h": (b"a\x0cb\nc\n", b"a\x0cb\nd\n"),
    'quo"te.h': (b"a\n", b"b\n"),
    "t\tab.h": (b"a\n", b"b\n"),
    "grüße.h": (b"a\n", b"b\n"),
    "emptied.h": (b"a\n", b""),
    "filled.h": (b"", b"a\n"),
    "far.h": (
        b"".join(b"%d\n" % i for i in range(60)),
        b"".join(b"%d\n" % i for i in range(60) if i not in (5, 30, 37)),
    ),
}


@pytest.mark.parametrize("moved", [False, True])
def test_git_applies_what_is_awkward(make_repository: MakeRepository, moved: bool) -> None:
    snapshot = make_repository({path: before for path, (before, _) in AWKWARD.items()})
    places = {path: f"new/{path}" if moved else path for path in AWKWARD}
    plan = Plan("x", "2.11", tuple(FileChange(path, places[path], *content) for path, content in AWKWARD.items()))
    git_apply(snapshot.root, render_diff(plan))
    assert tree(snapshot.root) == {places[path]: after for path, (_, after) in AWKWARD.items()}


def test_a_removed_file_and_a_pure_move(make_repository: MakeRepository) -> None:
    snapshot = make_repository({"gone.h": "a\nb\n", "moved.h": "c\n", "same.h": "d\n"})
    files = (
        FileChange("gone.h", None, b"a\nb\n", None),
        FileChange("moved.h", "deep/moved.h", b"c\n", b"c\n"),
        FileChange("same.h", "same.h", b"d\n", b"d\n"),
    )
    patch = render_diff(Plan("x", "2.11", files))
    assert "same.h" not in patch
    git_apply(snapshot.root, patch)
    assert tree(snapshot.root) == {"deep/moved.h": b"c\n", "same.h": b"d\n"}


def test_the_order_of_the_plan_does_not_matter() -> None:
    files = tuple(FileChange(None, f"{name}.h", None, b"x\n") for name in "cab")
    assert render_diff(Plan("x", "2.11", files)) == render_diff(Plan("x", "2.11", files[::-1]))


@pytest.mark.parametrize(("apart", "hunks"), [(6, 1), (7, 2)])
def test_changes_far_apart_are_hunks_of_their_own(apart: int, hunks: int) -> None:
    before = [b"%d\n" % number for number in range(30)]
    after = before[:]
    after[5] = after[6 + apart] = b"changed\n"
    plan = Plan("x", "2.11", (FileChange("a b.h", "a b.h", b"".join(before), b"".join(after)),))
    patch = render_diff(plan)
    assert patch.count("\n@@ ") == hunks
    assert "--- a/a b.h\t\n" in patch, "a name with a space ends in a tab, or patch takes the rest for a date"


LINES = st.lists(st.sampled_from([b"a\n", b"b\n", b"\n", b"c\r\n", b"\xe9\n"]), max_size=12).map(b"".join)


@given(LINES, LINES)
def test_changed_ranges_cover_both_sides(before: bytes, after: bytes) -> None:
    old, new = split_lines(before), split_lines(after)
    rebuilt: list[bytes] = []
    covered: list[bytes] = []
    for tag, i1, i2, j1, j2 in changed_ranges(before, after):
        covered += old[i1:i2]
        rebuilt += old[i1:i2] if tag == "equal" else new[j1:j2]
    assert (covered, rebuilt) == (old, new)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=LINES, after=LINES, cut=st.booleans())
def test_git_applies_any_change(tmp_path: Path, before: bytes, after: bytes, cut: bool) -> None:
    after = after[:-1] if cut else after
    (tmp_path / "x.h").write_bytes(before)
    patch = render_diff(Plan("x", "2.11", (FileChange("x.h", "x.h", before, after),)))
    if before != after:
        git_apply(tmp_path, patch)
    assert (tmp_path / "x.h").read_bytes() == after
