"""csrc/segments, the sample extension on pybind11 and autograd: its own tests before and after, opcheck, two in a process."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from tests.conftest import RELATIVE, SAMPLE, Run, commit_all

pytestmark = [pytest.mark.compile, pytest.mark.torch, pytest.mark.xdist_group("segments")]

OPCHECK = """
    import torch
    from torch.library import opcheck

    import segments  # noqa: F401

    x = torch.randn(8, 3, dtype=torch.float64, requires_grad=True)
    offsets, ops = torch.tensor([0, 2, 2, 7, 8]), torch.ops.segments
    length, kept = torch.ones(4, dtype=torch.float64), torch.ones(8, 3, dtype=torch.bool)
    columns = torch.zeros(8, dtype=torch.int64)
    opcheck(ops.segment_mean_forward.default, (x.detach(), offsets))
    opcheck(ops.segment_mean_backward.default, (x[:4].detach(), offsets, length, 8))
    opcheck(ops.scale_rows_.default, (torch.ones(3, 2), torch.arange(3.0)))
    opcheck(ops.weighted_sum.default, ([x, x.detach() * 2],), {"weights": torch.ones(2, dtype=torch.float64)})
    opcheck(ops.soft_threshold.default, (x,), {"by": 0.1})
    opcheck(ops.soft_threshold_forward.default, (x, 0.1))
    opcheck(ops.soft_threshold_backward.default, (x, kept))
    opcheck(ops.row_max.default, (x, torch.ones(3, dtype=torch.float64, requires_grad=True)))
    opcheck(ops.row_max_forward.default, (x, None))
    opcheck(ops.row_max_backward.default, (x[:, 0], columns, 3, True))
"""
TWO = """
    import torch

    import segments
    import other_segments

    x = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    for module in (segments, other_segments):
        (grad,) = torch.autograd.grad(module.SoftThreshold(0.25)(x).sum(), x)
        assert torch.equal(grad, (x.abs() > 0.25).double())
        assert torch.equal(module.row_max(x)[0], x.max(1).values)
"""


def python(folder: Path, *arguments: str) -> str:
    """What Python prints in `folder`, whose package it sees. Raises AssertionError where it fails."""
    environment = {
        **os.environ, "PYTHONPATH": os.pathsep.join([str(folder), str(folder.parent / "other")]),
        "SEGMENTS_CUDA": "0", "CFLAGS": "-O0 -g0", "CXXFLAGS": "-O0 -g0",
        "TORCHINDUCTOR_CACHE_DIR": str(folder / "build" / "inductor"),
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout


def copy(folder: Path) -> Path:
    """The legacy package as a repository of its own."""
    shutil.copytree(SAMPLE / RELATIVE, folder, ignore=shutil.ignore_patterns("build", "__pycache__", "*.so"))
    commit_all(folder)
    return folder


def migrate(tree: Path, run_cli: Run) -> None:
    """Migrate every group that scan suggests, one after another."""
    for _ in range(4):
        groups = [group["name"] for group in json.loads(run_cli("scan", "--json", cwd=tree).out)["groups"]]
        if not groups:
            return
        ran = run_cli("migrate", groups[0], "--write", cwd=tree)
        assert ran.code == 0, ran.out + ran.err
        commit_all(tree, groups[0])
    raise AssertionError("groups are left")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where both sides are built."""
    folder = tmp_path_factory.mktemp("segments")
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def stable_side(folder: Path, run_cli: Run) -> Path:
    """The migrated package, built by the first test that asks for it, whichever that is."""
    tree = folder / "stable"
    if not list(tree.glob("segments/_C_stable_libtorch*.so")):
        shutil.rmtree(tree, ignore_errors=True)
        migrate(copy(tree), run_cli)
        python(tree, "setup.py", "-q", "build_ext", "--inplace")
    return tree


def test_its_own_tests_pass_on_the_legacy_side(folder: Path) -> None:
    """What is compared with."""
    tree = copy(folder / "legacy")
    python(tree, "setup.py", "-q", "build_ext", "--inplace")
    assert " passed" in python(tree, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests")


def test_its_own_tests_pass_once_it_is_migrated(folder: Path, run_cli: Run) -> None:
    """Values, gradients, messages, and torch.compile with eager, aot_eager and inductor."""
    tree = stable_side(folder, run_cli)
    assert list(tree.glob("segments/_C_stable_libtorch*.so"))
    assert " passed" in python(tree, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests")


def test_every_operator_is_one_that_torch_accepts(folder: Path, run_cli: Run) -> None:
    """Schemas, autograd, fake kernels and what AOTAutograd makes of them."""
    python(stable_side(folder, run_cli), "-c", dedent(OPCHECK))


def test_two_migrated_packages_load_together(folder: Path, run_cli: Run) -> None:
    """Their operators are in namespaces of their own, and their libraries keep their helpers to themselves."""
    tree = copy(folder / "other")
    (tree / "segments").rename(tree / "other_segments")
    for path in [*tree.glob("*.py"), *tree.glob("other_segments/*.py"), tree / "pyproject.toml"]:
        path.write_text(path.read_text().replace("segments._C", "other_segments._C").replace(
            "from segments", "from other_segments").replace('"segments"', '"other_segments"').replace(
            "import segments", "import other_segments"))  # fmt: skip
    commit_all(tree, "Another name")
    migrate(tree, run_cli)
    python(tree, "setup.py", "-q", "build_ext", "--inplace")
    python(stable_side(folder, run_cli), "-c", dedent(TWO))
