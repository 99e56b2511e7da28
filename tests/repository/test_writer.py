"""Promise 4, nothing lost: what is refused leaves every byte where it was, and what fails is undone."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from torch_stabilize.model import FileChange, Plan, Refusal
from torch_stabilize.repository.snapshot import Snapshot
from torch_stabilize.writer import commit, write

from tests.conftest import git, tree

MakeRepository = Callable[..., Snapshot]

FILES: dict[str, str | bytes] = {
    "csrc/norm.cu": b"// one\r\n// caf\xe9\r\n",
    "csrc/deep/er/only.cu": "// only\n",
    "csrc/ops.h": "void norm();\n",
    "csrc/old.h": "// to go\n",
}


def plan_for(snapshot: Snapshot) -> Plan:
    """A plan with one of everything: moves with and without edits, an edit, a new file, a removed one."""
    norm = snapshot.read("csrc/norm.cu")
    only = snapshot.read("csrc/deep/er/only.cu")
    return Plan(
        group="norm",
        target="2.11",
        files=(
            FileChange("csrc/norm.cu", "csrc/stable/norm.cu", norm, norm.replace(b"one", b"two")),
            FileChange("csrc/deep/er/only.cu", "csrc/stable/deep/er/only.cu", only, only),
            FileChange("csrc/ops.h", "csrc/ops.h", snapshot.read("csrc/ops.h"), b""),
            FileChange(None, "csrc/stable/ops.h", None, b"void norm();\n"),
            FileChange("csrc/old.h", None, snapshot.read("csrc/old.h"), None),
        ),
    )


AFTER = {
    "csrc/stable/norm.cu": b"// two\r\n// caf\xe9\r\n",
    "csrc/stable/deep/er/only.cu": b"// only\n",
    "csrc/ops.h": b"",
    "csrc/stable/ops.h": b"void norm();\n",
}


@pytest.fixture
def snapshot(make_repository: MakeRepository) -> Snapshot:
    return make_repository(FILES)


def refuse(plan: Plan, snapshot: Snapshot, *, exit_code: int) -> str:
    """What `write` says when it refuses; not a byte may have changed, and no folder may be left behind."""
    before, folders = tree(snapshot.root), sorted(snapshot.root.rglob("*"))
    with pytest.raises(Refusal) as caught:
        write(plan, snapshot)
    assert tree(snapshot.root) == before
    assert sorted(snapshot.root.rglob("*")) == folders
    assert caught.value.exit_code == exit_code
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_everything_is_written(snapshot: Snapshot) -> None:
    write(plan_for(snapshot), snapshot)
    assert tree(snapshot.root) == AFTER
    assert not (snapshot.root / "csrc/deep").exists(), "folders that moves left empty are removed"


def test_an_empty_plan_touches_nothing(snapshot: Snapshot) -> None:
    (snapshot.root / "csrc/ops.h").write_text("dirty")
    before = tree(snapshot.root)
    write(Plan("norm", "2.11"), snapshot)
    assert tree(snapshot.root) == before


def test_modes_are_kept(snapshot: Snapshot) -> None:
    plan = plan_for(snapshot)
    (snapshot.root / "csrc/norm.cu").chmod(0o755)
    write(plan, snapshot, allow_dirty=True)
    assert stat.S_IMODE((snapshot.root / "csrc/stable/norm.cu").stat().st_mode) == 0o755


def test_two_files_can_change_places(make_repository: MakeRepository) -> None:
    snapshot = make_repository({"a.cu": "a", "b.cu": "b"})
    write(Plan("x", "2.11", (FileChange("a.cu", "b.cu", b"a", b"a"), FileChange("b.cu", "a.cu", b"b", b"b"))), snapshot)
    assert tree(snapshot.root) == {"a.cu": b"b", "b.cu": b"a"}


@pytest.mark.parametrize("staged", [False, True])
def test_a_dirty_tree_is_refused(snapshot: Snapshot, staged: bool) -> None:
    plan = plan_for(snapshot)
    (snapshot.root / "csrc/ops.h").write_text("void norm(); // mine\n")
    if staged:
        git(snapshot.root, "add", "-A")
    message = refuse(plan, snapshot, exit_code=2)
    assert "uncommitted changes (csrc/ops.h)" in message


def test_a_dirty_file_elsewhere_is_refused_too(make_repository: MakeRepository) -> None:
    snapshot = make_repository({**FILES, "README.md": "hello"})
    (snapshot.root / "README.md").write_text("mine")
    assert "README.md" in refuse(plan_for(snapshot), snapshot, exit_code=2)


def test_a_dirty_tree_may_be_allowed_but_never_a_file_that_changed(snapshot: Snapshot) -> None:
    plan = plan_for(snapshot)
    (snapshot.root / "csrc/norm.cu").write_text("mine\n")
    before = tree(snapshot.root)
    with pytest.raises(Refusal, match=r"csrc/norm\.cu has changed since it was read"):
        write(plan, snapshot, allow_dirty=True)
    assert tree(snapshot.root) == before


def test_an_untracked_file_is_not_edited(snapshot: Snapshot) -> None:
    (snapshot.root / "csrc/new.cu").write_text("precious")
    plan = Plan("new", "2.11", (FileChange("csrc/new.cu", "csrc/new.cu", b"precious", b"changed"),))
    assert "not under version control" in refuse(plan, snapshot, exit_code=2)


def test_untracked_files_beside_do_not_matter(snapshot: Snapshot) -> None:
    (snapshot.root / "csrc/deep/er/notes.txt").write_text("mine")
    write(plan_for(snapshot), snapshot)
    assert tree(snapshot.root) == {**AFTER, "csrc/deep/er/notes.txt": b"mine"}


def test_a_file_in_the_way_is_not_overwritten(snapshot: Snapshot) -> None:
    place = snapshot.root / "csrc/stable/norm.cu"
    place.parent.mkdir()
    place.write_text("somebody's")
    assert "csrc/stable/norm.cu is in the way" in refuse(plan_for(snapshot), snapshot, exit_code=3)


def test_a_file_where_a_folder_is_needed_is_refused(snapshot: Snapshot) -> None:
    (snapshot.root / "csrc/stable").write_text("a file")
    assert "csrc/stable is in the way" in refuse(plan_for(snapshot), snapshot, exit_code=3)


@pytest.mark.parametrize("path", ["../outside.cu", "/tmp/outside.cu", "csrc/../../outside.cu", ".git/config"])
def test_a_path_outside_is_refused(snapshot: Snapshot, path: str) -> None:
    plan = Plan("x", "2.11", (FileChange(None, path, None, b"x"),))
    assert "outside of the repository" in refuse(plan, snapshot, exit_code=2)


def test_a_link_does_not_lead_outside(snapshot: Snapshot, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (snapshot.root / "csrc/linked").symlink_to(elsewhere)
    plan = Plan("x", "2.11", (FileChange(None, "csrc/linked/new.cu", None, b"x"),))
    assert "symbolic link" in refuse(plan, snapshot, exit_code=2)
    assert list(elsewhere.iterdir()) == []


def test_a_link_is_not_replaced_by_a_file(snapshot: Snapshot) -> None:
    (snapshot.root / "csrc/link.h").symlink_to("ops.h")
    plan = Plan("x", "2.11", (FileChange("csrc/link.h", "csrc/link.h", b"void norm();\n", b"x"),))
    assert "csrc/link.h is a symbolic link" in refuse(plan, snapshot, exit_code=2)


@pytest.mark.parametrize("path", ["csrc", "csrc/ops.h"])
def test_what_is_read_only_is_refused(snapshot: Snapshot, path: str) -> None:
    plan = plan_for(snapshot)
    place = snapshot.root / path
    mode = place.stat().st_mode
    place.chmod(mode & ~0o222)
    try:
        assert f"{path} is read-only" in refuse(plan, snapshot, exit_code=3)
    finally:
        place.chmod(mode)


def test_two_changes_of_one_file_are_refused(snapshot: Snapshot) -> None:
    new = FileChange(None, "csrc/new.h", None, b"x")
    assert "csrc/new.h twice" in refuse(Plan("x", "2.11", (new, new)), snapshot, exit_code=3)


def test_left_over_files_of_another_run_are_not_touched(snapshot: Snapshot) -> None:
    place = snapshot.root / "csrc/stable/norm.cu.torch-stabilize-new"
    place.parent.mkdir()
    place.write_text("somebody's")
    assert "csrc/stable/norm.cu.torch-stabilize-new is in the way" in refuse(plan_for(snapshot), snapshot, exit_code=3)


def test_commit_moves_first(snapshot: Snapshot) -> None:
    made = commit(plan_for(snapshot), snapshot)
    assert tree(snapshot.root) == AFTER
    assert git(snapshot.root, "status", "--porcelain") == ""
    moves = git(snapshot.root, "show", "--format=", "--name-status", "-M", made[0])
    assert sorted(moves.split("\n")[:-1]) == [
        "R100\tcsrc/deep/er/only.cu\tcsrc/stable/deep/er/only.cu",
        "R100\tcsrc/norm.cu\tcsrc/stable/norm.cu",
    ]
    edits = git(snapshot.root, "show", "--format=", "--name-status", "-M", made[1])
    assert "M\tcsrc/stable/norm.cu" in edits.split("\n")
    assert git(snapshot.root, "log", "--format=%s").startswith("Migrate norm to the libtorch stable ABI\nMove norm")


def test_one_commit_on_request(snapshot: Snapshot) -> None:
    made = commit(plan_for(snapshot), snapshot, two_commits=False, message="All at once")
    assert len(made) == 1
    assert git(snapshot.root, "log", "-1", "--format=%s") == "All at once\n"


def test_commit_leaves_untracked_files_alone(snapshot: Snapshot) -> None:
    (snapshot.root / "notes.txt").write_text("mine")
    commit(plan_for(snapshot), snapshot)
    assert git(snapshot.root, "status", "--porcelain") == "?? notes.txt\n"


@pytest.mark.parametrize("allowed", [0, 1])
def test_a_hook_that_refuses_puts_everything_back(snapshot: Snapshot, allowed: int) -> None:
    """Also where the moves were committed already and the edits are what the hook will not have."""
    hook = snapshot.root / ".git/hooks/pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(
        f'#!/bin/sh\n[ "$(git rev-list --count HEAD)" -le {allowed} ] || {{ echo not today >&2; exit 1; }}\n'
    )
    hook.chmod(0o755)
    before, commit_id = tree(snapshot.root), git(snapshot.root, "rev-parse", "HEAD")
    with pytest.raises(Refusal, match="not today"):
        commit(plan_for(snapshot), snapshot)
    assert tree(snapshot.root) == before
    assert git(snapshot.root, "rev-parse", "HEAD") == commit_id
    assert git(snapshot.root, "status", "--porcelain") == ""


def test_commit_refuses_a_dirty_tree(snapshot: Snapshot) -> None:
    plan = plan_for(snapshot)
    (snapshot.root / "csrc/ops.h").write_text("mine")
    before = tree(snapshot.root)
    with pytest.raises(Refusal, match="uncommitted changes"):
        commit(plan, snapshot)
    assert tree(snapshot.root) == before


def test_half_of_an_old_file_that_a_full_disk_left_is_written_anew(tmp_path: Path) -> None:
    from types import SimpleNamespace

    from torch_stabilize.writer import recovery
    from torch_stabilize.writer.files import digest, staged
    from torch_stabilize.writer.journal import Entry

    place, old = tmp_path / "kernel.cu", b"int before;\n" * 100
    staged(place).write_bytes(old[:512])
    entry = Entry("kernel.cu", digest(old), None, (digest(b"new"),), None)
    journal = SimpleNamespace(bytes_before=lambda _entry: old)
    assert recovery._bring_back(place, journal, entry, None)  # type: ignore[arg-type]
    assert place.read_bytes() == old
    assert not staged(place).exists()
