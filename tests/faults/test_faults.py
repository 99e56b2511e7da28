"""Promise 4b: whatever moment a run is stopped at, the tree is as it was or as it should be after the next command.

Every event of a run is a point. `make faults` drives all of them with every fault, some 2,000 points in a few
minutes; `make test` drives every eleventh, and each of those at which a kill hurts most.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from torch_stabilize.model import FileChange, Plan, Refusal
from torch_stabilize.repository import git as questions
from torch_stabilize.repository.snapshot import open_snapshot
from torch_stabilize.writer import commit, recover, write
from torch_stabilize.writer.files import place_file, replace_file
from torch_stabilize.writer.journal import locked

from tests.conftest import git, make_repository, tree
from tests.faults.points import BROKEN, Fault, count_events, run_with_fault

FILES: dict[str, str | bytes] = {
    "csrc/norm.cu": b"// one\r\n// caf\xe9\r\n",
    "csrc/deep/er/only.cu": "// only\n",
    "csrc/ops.h": "void norm();\n",
    "csrc/old.h": "// to go\n",
    "setup.py": "sources = ['csrc/norm.cu']\n",
}
AFTER = {
    "csrc/stable/norm.cu": b"// two\r\n// caf\xe9\r\n",
    "csrc/stable/deep/er/only.cu": b"// only\n",
    "csrc/ops.h": b"",
    "csrc/stable/ops.h": b"void norm();\n",
    "setup.py": b"sources = ['csrc/stable/norm.cu']\n",
}
BEFORE = {path: data.encode() if isinstance(data, str) else data for path, data in FILES.items()}
EVERY = int(os.environ.get("FAULTS_EVERY", "11"))
_ONCE = (Fault.TERMINATED, Fault.INTERRUPTED, Fault.UNREADABLE)  # nothing is in the way of taking a run back
Do = Callable[[Path], object]


def plan() -> Plan:
    """Moves with and without edits, an edit, a new file and a removed one."""

    def change(old: str | None, new: str | None) -> FileChange:
        return FileChange(old, new, BEFORE[old] if old else None, AFTER[new] if new else None)

    pairs = (
        ("csrc/norm.cu", "csrc/stable/norm.cu"),
        ("csrc/deep/er/only.cu", "csrc/stable/deep/er/only.cu"),
        ("csrc/ops.h", "csrc/ops.h"),
        (None, "csrc/stable/ops.h"),
        ("csrc/old.h", None),
        ("setup.py", "setup.py"),
    )
    return Plan("norm", "2.11", tuple(change(old, new) for old, new in pairs))


def written(root: Path) -> None:
    """A run with --write."""
    write(plan(), open_snapshot(root))


def committed(root: Path) -> None:
    """A run with --commit: the moves, then the edits."""
    commit(plan(), open_snapshot(root))


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = make_repository(tmp_path_factory.mktemp("faults") / "template", FILES)
    shutil.rmtree(root / ".git/hooks", ignore_errors=True)
    for name, value in (("user.name", "A"), ("user.email", "a@example.org")):
        git(root, "config", name, value)
    return root


def copied(template: Path, place: Path) -> Path:
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(template, place)
    return place


def folders(root: Path) -> set[str]:
    found = (path for path in root.rglob("*") if path.is_dir() and ".git" not in path.parts)
    return {path.relative_to(root).as_posix() for path in found}


def is_whole(root: Path) -> bool:
    """The tree is wholly old or wholly new, with nothing left over in it or beside git's files."""
    state = {"before": (BEFORE, 1), "after": (AFTER, 3)}
    found = tree(root)
    name = next((name for name, (files, _) in state.items() if found == files), "")
    if not name or (questions.folder_of(root) / questions.OWN_FOLDER).exists():
        return False
    commits = int(git(root, "rev-list", "--count", "HEAD"))
    if commits != 1:  # what is committed is the tree
        return commits == state[name][1] and git(root, "status", "--porcelain") == ""
    return name == "after" or git(root, "status", "--porcelain") == ""


def events(template: Path, place: Path, do: Do) -> int:
    """How many events `do` has on a fresh copy."""
    root = copied(template, place)
    return count_events(lambda: do(root), root)


def drive(template: Path, place: Path, do: Do, fault: Fault, every: int) -> list[str]:
    """Let `fault` happen at every `every`-th event of `do`; what went wrong at which of them."""
    end = events(template, place, do)
    wrong = []
    for at in range(1, end + 1, every):
        root = copied(template, place)
        code = run_with_fault(lambda root=root: do(root), root, fault, at)  # type: ignore[misc]
        seen = sorted(tree(root))
        if code == BROKEN:
            wrong.append(f"event {at}: neither done nor refused")
        said = recover(root)
        if code >= 0 and said and fault in _ONCE and not said.endswith("was finished"):
            wrong.append(f"event {at}: the run ended by itself and left work to the next: {said}")
        if not is_whole(root):
            wrong.append(f"event {at}: {seen} became {sorted(tree(root))}, exit {code}, {said!r}")
            continue
        if tree(root) == BEFORE:
            do(root)
        if tree(root) != AFTER:
            wrong.append(f"event {at}: not the same after a second run")
    return wrong


@pytest.mark.parametrize("fault", Fault, ids=lambda fault: fault.name)
def test_a_write_that_is_stopped(template: Path, tmp_path: Path, fault: Fault) -> None:
    assert drive(template, tmp_path / "tree", written, fault, 1 if fault is Fault.KILLED else EVERY) == []


@pytest.mark.parametrize("fault", Fault, ids=lambda fault: fault.name)
def test_a_commit_that_is_stopped(template: Path, tmp_path: Path, fault: Fault) -> None:
    """The second run gives the commits of a run that nothing happened to."""
    assert drive(template, tmp_path / "tree", committed, fault, EVERY) == []


@pytest.mark.parametrize("fault", [Fault.KILLED, Fault.TERMINATED, Fault.INTERRUPTED], ids=lambda fault: fault.name)
def test_a_step_of_a_series_that_is_stopped(template: Path, tmp_path: Path, fault: Fault) -> None:
    """One commit with a message of its own, as `series --commit` makes it for each group."""

    def step(root: Path) -> None:
        commit(plan(), open_snapshot(root), two_commits=False, message="Move norm")

    def is_whole_step(root: Path) -> bool:
        commits = int(git(root, "rev-list", "--count", "HEAD"))
        is_old = tree(root) == BEFORE and commits == 1
        is_clean = git(root, "status", "--porcelain") == ""
        left = (questions.folder_of(root) / questions.OWN_FOLDER).exists()
        return is_clean and not left and (is_old or (tree(root) == AFTER and commits == 2))

    wrong = []
    for at in range(1, events(template, tmp_path / "tree", step) + 1, EVERY):
        root = copied(template, tmp_path / "tree")
        run_with_fault(lambda root=root: step(root), root, fault, at)  # type: ignore[misc]
        recover(root)
        if not is_whole_step(root):
            wrong.append(f"event {at}: {sorted(tree(root))}")
        elif tree(root) == BEFORE:
            step(root)
            wrong += [] if is_whole_step(root) and tree(root) == AFTER else [f"event {at}: not the same again"]
    assert wrong == []


@pytest.mark.parametrize("fault", [Fault.KILLED, Fault.TERMINATED, Fault.UNREADABLE], ids=lambda fault: fault.name)
def test_a_step_on_a_branch_of_its_own_that_is_stopped(template: Path, tmp_path: Path, fault: Fault) -> None:
    """`series --branches`: no branch without its commit is left, and the run starts again from the branch before."""

    def step(root: Path) -> None:
        commit(plan(), open_snapshot(root), two_commits=False, message="Move norm", branch="steps/01-norm")

    def state(root: Path) -> tuple[str, str, bool]:
        names = git(root, "for-each-ref", "--format=%(refname:short) %(contents:subject)", "refs/heads")
        left = (questions.folder_of(root) / questions.OWN_FOLDER).exists()
        return names, git(root, "symbolic-ref", "HEAD").strip(), left or git(root, "status", "--porcelain") != ""

    calm = copied(template, tmp_path / "tree")
    old = state(calm)
    step(calm)
    new = state(calm)
    assert "steps/01-norm Move norm" in new[0]
    assert new[1] == "refs/heads/steps/01-norm"
    wrong = []
    for at in range(1, events(template, tmp_path / "tree", step) + 1, EVERY):
        root = copied(template, tmp_path / "tree")
        run_with_fault(lambda root=root: step(root), root, fault, at)  # type: ignore[misc]
        recover(root)
        if state(root) == old and tree(root) == BEFORE:
            step(root)
        if state(root) != new or tree(root) != AFTER:
            wrong.append(f"event {at}: {state(root)}")
    assert wrong == []


def test_a_branch_that_is_there_is_kept(template: Path, tmp_path: Path) -> None:
    root = copied(template, tmp_path / "tree")
    git(root, "branch", "steps/01-norm")
    with pytest.raises(Refusal, match="there is a branch steps/01-norm already"):
        commit(plan(), open_snapshot(root), branch="steps/01-norm")
    assert "steps/01-norm" in git(root, "branch")
    assert tree(root) == BEFORE


def test_there_are_enough_points(template: Path, tmp_path: Path) -> None:
    """What `make faults` drives."""
    points = events(template, tmp_path / "tree", written) + events(template, tmp_path / "tree", committed)
    assert len(Fault) * points >= 500


def test_the_commits_of_a_killed_run_done_again_are_those_of_an_undisturbed_one(template: Path, tmp_path: Path) -> None:
    calm, killed = copied(template, tmp_path / "calm"), copied(template, tmp_path / "killed")
    committed(calm)
    at = events(template, tmp_path / "tree", committed) * 2 // 3
    run_with_fault(lambda: committed(killed), killed, Fault.KILLED, at)
    recover(killed)
    committed(killed)
    assert git(killed, "log", "--format=%s %T") == git(calm, "log", "--format=%s %T")


def test_an_edit_between_check_and_exchange_survives(
    template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An editor saves by renaming, after the file was compared and before it is replaced."""
    root = copied(template, tmp_path / "tree")

    def editor_first(place: Path, temporary: Path) -> None:
        if place.name == "setup.py":
            saved = place.with_name("setup.py.swp")
            saved.write_text("mine = 1\n")
            saved.rename(place)
        replace_file(place, temporary)

    monkeypatch.setattr("torch_stabilize.writer.transaction.replace_file", editor_first)
    with pytest.raises(Refusal, match=r"setup\.py was saved while the migration was written"):
        written(root)
    assert tree(root) == {**BEFORE, "setup.py": b"mine = 1\n"}


def test_a_file_that_appears_before_it_is_created_survives(
    template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = copied(template, tmp_path / "tree")

    def somebody_first(temporary: Path, place: Path) -> None:
        if place.name == "ops.h" and not place.exists():
            place.write_text("mine\n")
        place_file(temporary, place)

    monkeypatch.setattr("torch_stabilize.writer.transaction.place_file", somebody_first)
    with pytest.raises(Refusal, match=r"csrc/stable/ops\.h appeared"):
        written(root)
    assert tree(root) == {**BEFORE, "csrc/stable/ops.h": b"mine\n"}


def test_a_file_edited_after_a_kill_is_left_alone(template: Path, tmp_path: Path) -> None:
    """What was put in place by the killed run and edited since is nobody's to take back."""
    root = copied(template, tmp_path / "tree")
    end = events(template, tmp_path / "other", written)
    for at in range(1, end):
        run_with_fault(lambda: written(root), root, Fault.KILLED, at)
        if (root / "csrc/ops.h").read_bytes() == b"":
            break
        recover(root)
    (root / "csrc/ops.h").write_text("void mine();\n")
    assert "csrc/ops.h was changed since and is left as it is" in recover(root)
    assert tree(root) | {"csrc/ops.h.torch-stabilize-new": b""} == {
        **BEFORE,
        "csrc/ops.h": b"void mine();\n",
        "csrc/ops.h.torch-stabilize-new": b"",
    }


def test_what_was_not_committed_never_lies_in_a_hidden_file_alone(template: Path, tmp_path: Path) -> None:
    """A dirty file that the user allowed: at every event its bytes, or what they became, have a visible name."""
    for at in range(1, events(template, tmp_path / "tree", written) + 1, 3):
        root = copied(template, tmp_path / "tree")
        run_with_fault(lambda root=root: written(root), root, Fault.KILLED, at)  # type: ignore[misc]
        shown = {path.rpartition("/")[2] for path in tree(root)}
        assert not [name for name in shown if name.startswith(".")]
        kept = set(tree(root).values())
        assert all(data in kept or AFTER.get("csrc/ops.h") in kept for data in BEFORE.values())


def test_two_runs_at_once(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch_stabilize.writer.journal._PATIENCE", 0.1)
    root = copied(template, tmp_path / "tree")
    with locked(root), pytest.raises(Refusal, match="another run of torch-stabilize is writing"):
        written(root)
    first, second = threading.Barrier(2), list[str]()

    def at_once() -> None:
        first.wait()
        try:
            written(root)
        except Refusal as refusal:
            second.append(str(refusal))

    threads = [threading.Thread(target=at_once) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(second) == 1
    assert tree(root) == AFTER


def test_the_portable_exchange(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system cannot exchange two names, three renames do, and every one of them can be the last."""
    monkeypatch.setattr("torch_stabilize.writer.files._exchange", lambda: None)
    for fault in (Fault.KILLED, Fault.UNREADABLE_TWICE):
        assert drive(template, tmp_path / "tree", written, fault, max(1, EVERY // 3)) == []


def test_a_damaged_journal_is_named(template: Path, tmp_path: Path) -> None:
    root = copied(template, tmp_path / "tree")
    own = questions.folder_of(root) / questions.OWN_FOLDER
    own.mkdir()
    (own / "journal.json").write_text("{")
    with pytest.raises(Refusal, match=r"journal\.json is damaged"):
        recover(root)
