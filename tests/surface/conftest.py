"""The torch headers that are installed, and one C++ library that holds everything these tests run."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from codemod.surface.headers import find_torch_include


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


@pytest.fixture(scope="session")
def stable_tree(torch_include: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An include folder that reaches the stable headers alone."""
    tree = tmp_path_factory.mktemp("stable")
    for part in ("torch/csrc/stable", "torch/headeronly", "torch/csrc/inductor/aoti_torch"):
        (tree / part).parent.mkdir(parents=True, exist_ok=True)
        (tree / part).symlink_to(torch_include / part)
    return tree
