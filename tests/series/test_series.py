"""A series takes every group that leaves nothing to do by hand, and says what stays and why."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from torch_stabilize.cli.workspace import open_workspace
from torch_stabilize.migration.plan import Options
from torch_stabilize.series.plan import BINDINGS, NOT_TRIED, Series

from tests.conftest import Run, commit_all, git, make_repository, tree


def unit(name: str, body: str = "return at::empty_like(x);") -> str:
    return f"#include <torch/all.h>\n\nat::Tensor {name}(const at::Tensor& x) {{\n  {body}\n}}\n"


NAMES = ("bend", "fold", "knot", "twist")
SETUP = """\
from setuptools import setup
from torch.utils.cpp_extension import BuildExtension, CppExtension

setup(
    name="ropes",
    packages=["ropes"],
    ext_modules=[
        CppExtension(
            "ropes._C",
            [
                "csrc/bindings.cpp",
{sources}
            ],
        )
    ],
    cmdclass={{"build_ext": BuildExtension}},
)
"""


def files(**bodies: str) -> dict[str, str]:
    """An extension of a unit for each of NAMES."""
    declared = "".join(f"at::Tensor {name}(const at::Tensor& x);\n" for name in NAMES)
    defined = "".join(f'  m.def("{name}(Tensor x) -> Tensor");\n' for name in NAMES)
    implemented = "".join(f'  m.impl("{name}", torch::kCPU, &{name});\n' for name in NAMES)
    return {
        "csrc/bindings.cpp": "#include <torch/all.h>\n#include <torch/library.h>\n\n"
        f"{declared}\nTORCH_LIBRARY(ropes, m) {{\n{defined}{implemented}}}\n",
        **{f"csrc/{name}.cpp": unit(name, bodies.get(name, "return at::empty_like(x);")) for name in NAMES},
        "setup.py": SETUP.format(sources="\n".join(f'                "csrc/{name}.cpp",' for name in NAMES)),
        "ropes/__init__.py": "from . import _C\n",
    }


def series(root: Path, *, by_hand: bool = False) -> Series:
    work = open_workspace(root)
    return Series(work.snapshot, work.config, Options(target="2.11", format=False), by_hand)


@pytest.fixture
def ropes(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "ropes", files(knot="return at::_foreach_none(x);"))


def test_every_group_that_can_migrates_and_the_rest_stays_with_its_reason(ropes: Path) -> None:
    made = series(ropes)
    steps = list(made.steps())
    assert [step.group.name for step in steps] == ["bend", "fold", "twist"]
    sites = [made.start.sites, *(step.left.sites for step in steps)]
    assert sites == sorted(set(sites), reverse=True)
    assert [step.left.stable_operators for step in steps] == [1, 2, 3]
    staying = made.staying()
    (knot,) = [one for one in staying if one.name == "knot"]
    assert knot.files == ("csrc/knot.cpp",)
    assert knot.code.startswith("TSA")
    assert "_foreach_none" in knot.reason
    assert [one.files for one in staying if one.reason == BINDINGS] == [("csrc/bindings.cpp",)]
    assert sum(one.sites for one in staying) == steps[-1].left.sites


def test_groups_with_lines_by_hand_come_last_where_they_are_asked_for(ropes: Path) -> None:
    made = series(ropes, by_hand=True)
    *clean, last = made.steps()
    assert [step.group.name for step in clean] == ["bend", "fold", "twist"]
    assert not any(step.by_hand for step in clean)
    assert last.group.name == "knot"
    assert [one.path for one in last.by_hand] == ["csrc/knot.cpp"]
    assert last.left.stable_operators == 4


def test_what_is_left_by_hand_is_named_once_for_each_way_out(tmp_path: Path, run_cli: Run) -> None:
    body = "at::vec::Vectorized<float> a(1.f), b(2.f); at::vec::maximum(a, b); return at::empty_like(x);"
    repository = make_repository(tmp_path / "ropes", files(knot=body, twist=body))
    ran = run_cli("series", "--by-hand", cwd=repository)
    assert ran.code == 1
    lines = ran.out.splitlines()
    (heading,) = [
        number for number, line in enumerate(lines) if line.startswith("by hand, in 2 of the steps: 4 places")
    ]
    (row,) = lines[heading + 1 :]
    assert row.split()[:3] == ["4", "at::vec::Vectorized,", "at::vec::maximum"]
    assert "TSA190 in 2 files: The CPU vector classes are closed to stable code" in row
    committed = run_cli("series", "--by-hand", "--commit", cwd=repository)
    assert committed.code == 1
    message = git(repository, "log", "-1", "--format=%B")
    assert "Left to do by hand; the stable library builds once it is done:" in message
    assert "at::vec::maximum has no stable form" in message


def test_all_of_a_library(tmp_path: Path) -> None:
    made = series(make_repository(tmp_path / "ropes", files()))
    assert len(list(made.steps())) == len(NAMES)
    assert made.staying() == ()


def test_one_unit_does_not_keep_the_others_of_its_group(tmp_path: Path) -> None:
    grouped = {
        **files(knot="return at::_foreach_none(x);"),
        "torch-stabilize.toml": '[groups]\nall = ["csrc/*.cpp"]\n',
    }
    made = series(make_repository(tmp_path / "ropes", grouped))
    (step,) = made.steps()
    assert step.left_out == ("csrc/knot.cpp",)
    assert set(step.group.units) == {"csrc/bend.cpp", "csrc/fold.cpp", "csrc/twist.cpp"}


def test_nothing_is_written_without_a_word(ropes: Path, run_cli: Run) -> None:
    before = tree(ropes)
    ran = run_cli("series", cwd=ropes)
    assert ran.code == 1
    assert "| twist |" in ran.out
    assert "3 steps, 3 units" in ran.out
    assert "csrc/knot.cpp" in ran.out
    assert tree(ropes) == before


def test_a_commit_a_group_with_the_text_of_its_request(ropes: Path, tmp_path: Path, run_cli: Run) -> None:
    ran = run_cli("series", "--commit", "--texts", str(tmp_path / "texts"), cwd=ropes)
    assert ran.code == 1
    subjects = git(ropes, "log", "--reverse", "--format=%s").splitlines()
    assert subjects[1:] == [f"Migrate {name} to the libtorch stable ABI" for name in ("bend", "fold", "twist")]
    body = git(ropes, "log", "-1", "--format=%b")
    assert "Operators on the stable ABI: 2 -> 3." in body
    assert sorted(path.name for path in (tmp_path / "texts").iterdir()) == ["01-bend.md", "02-fold.md", "03-twist.md"]
    assert git(ropes, "status", "--porcelain") == ""
    again = run_cli("series", "--commit", cwd=ropes)
    assert "0 steps" in again.out
    assert len(git(ropes, "log", "--format=%s").splitlines()) == 4


def test_it_goes_on_where_it_was_after_the_tree_moved_on(ropes: Path, run_cli: Run) -> None:
    first = run_cli("series", "--commit", "--steps", "1", cwd=ropes)
    assert NOT_TRIED in first.out
    (ropes / "csrc/knot.cpp").write_text(unit("knot", "return x.contiguous();"))
    (ropes / "csrc/fold.cpp").write_text(unit("fold", "return at::zeros_like(x);"))
    commit_all(ropes, "Meanwhile")
    assert run_cli("series", "--commit", cwd=ropes).code == 0
    subjects = git(ropes, "log", "--reverse", "--format=%s").splitlines()[3:]
    assert subjects == [f"Migrate {name} to the libtorch stable ABI" for name in ("fold", "knot", "twist")]
    assert "fill_(torch::stable::empty_like(x), 0)" in (ropes / "csrc/libtorch_stable/fold.cpp").read_text()


def test_a_branch_a_group_each_on_the_one_before(ropes: Path, run_cli: Run) -> None:
    run_cli("series", "--commit", "--branches", "stable", cwd=ropes)
    names = git(ropes, "branch", "--format=%(refname:short)").split()
    assert [name for name in names if name.startswith("stable/")] == [
        "stable/01-bend",
        "stable/02-fold",
        "stable/03-twist",
    ]
    assert git(ropes, "rev-parse", "stable/02-fold~1") == git(ropes, "rev-parse", "stable/01-bend")
    assert git(ropes, "log", "-1", "--format=%s", "main") == "Start\n"


def test_json(ropes: Path, run_cli: Run) -> None:
    ran = run_cli("series", "--json", cwd=ropes)
    document = json.loads(ran.out)
    assert document["format"] == "torch-stabilize-series/1"
    assert [step["group"] for step in document["steps"]] == ["bend", "fold", "twist"]
    assert document["start"]["operators"] == 4
    assert {one["name"] for one in document["staying"]} == {"knot", ""}


def test_what_is_refused(ropes: Path, run_cli: Run) -> None:
    assert "--branches needs --commit" in run_cli("series", "--branches", "x", cwd=ropes).err
    (ropes / "csrc/bend.cpp").write_text(unit("bend", "return x;"))
    ran = run_cli("series", "--commit", cwd=ropes)
    assert (ran.code, "uncommitted changes" in ran.err) == (2, True)
