"""The torch headers that are installed, and those of other releases where they are at hand.

TORCH_HEADER_TREES names a folder with an include tree per release, `2.11.0/torch/include/torch/...`: what needs nothing
but the stable headers is then compiled against each of them too.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from torch_stabilize.surface.headers import NEWEST_KNOWN, OLDEST_TARGET, find_torch_include, installed_version
from torch_stabilize.surface.versions import parse_version


@pytest.fixture(scope="session")
def torch_include() -> Path:
    include = find_torch_include()
    if include is None:
        pytest.skip("torch is not installed")
    return include


@pytest.fixture(scope="session")
def compiler() -> str:
    found = shutil.which("g++") or shutil.which("c++")
    if found is None:
        pytest.skip("no C++ compiler")
    return found


INSTALLED = "installed"
TREES = Path(os.environ.get("TORCH_HEADER_TREES", ""))
RELEASES = sorted(path.name for path in TREES.glob("*") if (path / "torch/include/torch").is_dir())


@pytest.fixture(scope="session", params=[INSTALLED, *(RELEASES if os.environ.get("TORCH_HEADER_TREES") else ())])
def stable_tree(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An include folder that reaches the stable headers of one release alone."""
    if request.param == INSTALLED:
        return Path(request.getfixturevalue("installed_tree"))
    return _stable_only(TREES / request.param / "torch/include", tmp_path_factory.mktemp("stable"))


KNOWN = range(parse_version(OLDEST_TARGET)[1], parse_version(NEWEST_KNOWN)[1] + 1)


@pytest.fixture(scope="session", params=[INSTALLED, *(f"2.{minor}" for minor in KNOWN)])
def release_tree(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stable headers of the installed torch, and of every release that the tables were checked against."""
    if request.param == INSTALLED:
        return Path(request.getfixturevalue("installed_tree"))
    found = [name for name in RELEASES if f"{name}.".startswith(f"{request.param}.")]
    if not found or not os.environ.get("TORCH_HEADER_TREES"):
        pytest.skip(f"no headers of {request.param} in TORCH_HEADER_TREES")
    return _stable_only(TREES / found[-1] / "torch/include", tmp_path_factory.mktemp("stable"))


@pytest.fixture(scope="session")
def installed_tree(torch_include: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An include folder that reaches the stable headers of the installed torch alone: for what is run, too."""
    return _stable_only(torch_include, tmp_path_factory.mktemp("stable"))


def _stable_only(include: Path, tree: Path) -> Path:
    for part in ("torch/csrc/stable", "torch/headeronly", "torch/csrc/inductor/aoti_torch"):
        (tree / part).parent.mkdir(parents=True, exist_ok=True)
        (tree / part).symlink_to(include.resolve() / part)
    return tree


@pytest.fixture(scope="session")
def target(stable_tree: Path) -> str:
    """The target these headers can build: 2.11, or their own version where that is older."""
    major, minor, _ = installed_version(stable_tree).split(".")
    return min("2.11", f"{major}.{minor}")
