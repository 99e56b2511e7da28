"""What the plan's own check costs: a part of the migration, measured within one process."""

from __future__ import annotations

import time
from pathlib import Path
from statistics import median

import pytest
from torch_stabilize.config import load_config
from torch_stabilize.layout.detect import detect_layout
from torch_stabilize.migration import plan as migration
from torch_stabilize.migration.plan import Options, plan_migration
from torch_stabilize.model import Diagnostic
from torch_stabilize.program.check import check_plan
from torch_stabilize.program.groups import resolve_group, suggest_groups
from torch_stabilize.program.planned import Planned

from tests.conftest import SAMPLE
from tests.repository.program.compare import change_between, findings, read_folder

_MOST = 0.25


def _share(monkeypatch: pytest.MonkeyPatch) -> float:
    """The CPU time of the check by that of the rest, for the first group of the sample."""
    spent = 0.0

    def timed(planned: Planned) -> tuple[Diagnostic, ...]:
        nonlocal spent
        start = time.process_time()
        found = check_plan(planned)
        spent += time.process_time() - start
        return found

    monkeypatch.setattr(migration, "check_plan", timed)
    start = time.process_time()
    snapshot = read_folder(SAMPLE)
    config = load_config(snapshot)
    layout = detect_layout(snapshot, config)
    name = suggest_groups(snapshot, layout, config)[0].name
    plan_migration(snapshot, layout, resolve_group(snapshot, layout, config, (name,)), Options(format=False), config)
    return spent / (time.process_time() - start - spent)


def test_the_check_takes_at_most_a_quarter_of_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    _share(monkeypatch)  # what is made once a process is made
    assert median(_share(monkeypatch) for _ in range(3)) < _MOST


def test_a_change_by_hand_is_checked_like_a_plan(tmp_path: Path) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    for folder, sources in ((before, '"a.cpp", "b.cpp"'), (after, '"a.cpp"')):
        folder.mkdir()
        (folder / "setup.py").write_text(
            "from setuptools import setup\nfrom torch.utils.cpp_extension import CppExtension\n"
            f'setup(ext_modules=[CppExtension("ext", [{sources}])])\n'
        )
        (folder / "a.cpp").write_text("#include <torch/extension.h>\nPYBIND11_MODULE(ext, m) {}\n")
        (folder / "b.cpp").write_text("int b() { return 1; }\n")
    first = read_folder(before)
    (found,) = findings(first, change_between(first, read_folder(after), {}))
    assert (found.code, found.path) == ("TSA703", "setup.py")
