"""`verify`: what it refuses, in one line and without a trace, before anything is built."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from torch_stabilize.cli import main

from tests.cli.tree_state import tree_state
from tests.conftest import RELATIVE, SAMPLE, Run, commit_all

pytestmark = [pytest.mark.torch, pytest.mark.xdist_group("cli-verify")]


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample with `layernorm` migrated and committed; no test changes it."""
    folder = tmp_path_factory.mktemp("migrated") / "sample"
    shutil.copytree(
        SAMPLE, folder, ignore=shutil.ignore_patterns("build", "__pycache__", "*.so", "*.egg-info", RELATIVE)
    )
    commit_all(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main.run(["migrate", "layernorm", "--write"]) in (0, 1)
    commit_all(folder, "Migrate layernorm")
    return folder


def refused(run_cli: Run, folder: Path, *arguments: str, code: int) -> str:
    before = tree_state(folder)
    ran = run_cli("verify", *arguments, cwd=folder)
    assert (ran.code, ran.out) == (code, "")
    assert ran.err.startswith("torch-stabilize: ")
    assert ran.err.count("\n") == 1
    assert tree_state(folder) == before
    assert not (folder / "build").exists()
    return ran.err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["layernorms"], 2, "no group, file or folder `layernorms`"),
        (["activation"], 2, "activation is not migrated"),
        (["layernorm", "--target", "2.1"], 2, "target 2.1 is too old"),
        (["layernorm", "--target", "2.15"], 2, "target 2.15 is newer than the headers of torch 2"),
        (["layernorm", "--legacy", "v0"], 2, "neither a folder nor a revision: v0"),
        (["layernorm", "--legacy", "HEAD"], 2, "layernorm is stable already"),
        (["layernorm", "--golden", "nowhere"], 2, "no golden cases for layernorm"),
        (["layernorm", "--torch-headers", "csrc"], 3, "no torch headers in csrc"),
        (["layernorm", "--report", "nowhere/report.md"], 2, "there is no folder nowhere"),
    ],
)
def test_wrong_requests(arguments: list[str], code: int, words: str, run_cli: Run, migrated: Path) -> None:
    assert words in refused(run_cli, migrated, *arguments, code=code)


def test_a_missing_compiler(run_cli: Run, migrated: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert "no-such-compiler" in refused(run_cli, migrated, "layernorm", code=2)


def test_outside_of_a_repository(run_cli: Run, tmp_path: Path) -> None:
    ran = run_cli("verify", "layernorm", cwd=tmp_path)
    assert ran.code == 2
    assert "not a git repository" in ran.err
    assert list(tmp_path.iterdir()) == []
