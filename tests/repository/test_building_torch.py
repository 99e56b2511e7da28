"""Which torch's headers build a migrated library."""

from __future__ import annotations

from pathlib import Path

import pytest
from torch_stabilize.config import load_config
from torch_stabilize.model import Refusal
from torch_stabilize.repository.building_torch import BuildingTorch, building_torch, version_notes
from torch_stabilize.repository.snapshot import Snapshot, open_snapshot


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Headers of torch 2.12 are installed."""
    version = tmp_path / "torch/include/torch/headeronly/version.h"
    version.parent.mkdir(parents=True)
    numbers = ("MAJOR 2", "MINOR 12", "PATCH 0")
    version.write_text("".join(f"#define TORCH_VERSION_{number}\n" for number in numbers))
    monkeypatch.setattr(
        "torch_stabilize.repository.building_torch.find_torch_include", lambda: tmp_path / "torch/include"
    )


def tree(tmp_path: Path, **files: str) -> Snapshot:
    root = tmp_path / "tree"
    for name, text in {"a.cpp": "", **files}.items():
        path = root / name.replace("_toml", ".toml")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return open_snapshot(root, without_git=True)


def chosen(snapshot: Snapshot, target: str = "2.11", given: str = "") -> BuildingTorch:
    return building_torch(snapshot, load_config(snapshot), "", target, given)


REQUIRES = '[build-system]\nrequires = ["setuptools", "torch {}"]\n'
CONFIGURED = '\n[tool.torch-stabilize]\nheaders = "2.14"\n'


def test_without_a_word_it_is_the_installed_one(tmp_path: Path) -> None:
    assert chosen(tree(tmp_path)) == ("2.12", "installed")


def test_what_is_given_wins_over_what_is_configured_over_what_is_pinned(tmp_path: Path) -> None:
    snapshot = tree(tmp_path, pyproject_toml=REQUIRES.format("== 2.13.0") + CONFIGURED)
    assert chosen(snapshot, given="2.15") == ("2.15", "given")
    assert chosen(snapshot) == ("2.14", "pyproject.toml")


@pytest.mark.parametrize(("pin", "version"), [("== 2.13.0", "2.13"), ("~=2.13.1", "2.13"), ("==2.13.0+cu130", "2.13")])
def test_what_the_build_pins_wins_over_what_is_installed(tmp_path: Path, pin: str, version: str) -> None:
    assert chosen(tree(tmp_path, pyproject_toml=REQUIRES.format(pin))) == (version, "pyproject.toml")


@pytest.mark.parametrize("requirement", [">=2.13", "", "vision == 2.13", "-scatter==2.13"])
def test_other_requirements_pin_nothing(tmp_path: Path, requirement: str) -> None:
    text = REQUIRES.replace("torch {}", f"torch{requirement}")
    assert chosen(tree(tmp_path, pyproject_toml=text)).origin == "installed"


def test_a_pin_that_is_older_than_the_target_has_to_go(tmp_path: Path) -> None:
    assert chosen(tree(tmp_path, pyproject_toml=REQUIRES.format("== 2.9.1"))) == ("2.11", "")


def test_headers_that_are_older_than_the_target_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match=r"headers of torch 2\.10 cannot build for target 2\.11") as caught:
        chosen(tree(tmp_path), given="2.10")
    assert caught.value.exit_code == 2
    with pytest.raises(Refusal, match=r"newer than the headers of torch 2\.12"):
        chosen(tree(tmp_path), target="2.13")
    with pytest.raises(Refusal, match=r"headers look like 2\.13"):
        chosen(tree(tmp_path), given="newest")


def test_a_torch_newer_than_the_tables_works_with_a_note() -> None:
    assert version_notes("2.11", BuildingTorch("2.15")) == ()
    (note,) = version_notes("2.11", BuildingTorch("2.97"))
    assert note.code == "TSA930"
    assert "torch 2.97 is newer" in note.message
