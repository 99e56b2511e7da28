"""docs/extending.md: each diff applies, stays in the rooms that it names, and does what the page says."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "codemod/torch_stabilize"

DIFFS = dict(
    re.findall(
        r"^## (?P<title>[^\n]+)\n(?:(?!^## ).)*?^```diff\n(?P<diff>.*?)^```$",
        (ROOT / "docs/extending.md").read_text(encoding="utf-8"),
        re.DOTALL | re.MULTILINE,
    )
)

# What each touches, and code that says whether it works.
CHANGES = {
    "A rule": (
        ("rules", "surface"),
        """
from torch_stabilize.rules import RULES, rewrite_text
for example in RULES["TSA199"].examples:
    assert rewrite_text(example.before.encode()).decode() == example.after, rewrite_text(example.before.encode())
""",
    ),
    "A build system": (
        ("buildfiles",),
        """
from pathlib import Path
from torch_stabilize.config import Config
from torch_stabilize.layout.read import Program
from torch_stabilize.repository.snapshot import Snapshot
files = {
    "meson.build": b"py.extension_module('_C', 'csrc/ops.cpp', 'csrc/norm.cpp')",
    "csrc/ops.cpp": b"#include <torch/extension.h>", "csrc/norm.cpp": b"#include <torch/extension.h>",
}
program = Program(Snapshot(Path("."), tuple(sorted(files)), files), Config())
(library,) = program.libraries
assert library.name == "_C" and set(library.units) == {"csrc/ops.cpp", "csrc/norm.cpp"}, library
""",
    ),
    "A step of verify": (
        ("verify",),
        """
from pathlib import Path
from torch_stabilize.verify.group import SKIPPABLE
from torch_stabilize.verify.side import BuiltSide, Side
from torch_stabilize.verify.size import size_step
library = Path("library.so")
library.write_bytes(b"12345")
side = BuiltSide(Side("stable", Path("."), "_C", (), ()), (), library)
assert "size" in SKIPPABLE and size_step({"stable": side}).figures == {"legacy": 0, "stable": 5}
""",
    ),
    "A form of the report": (
        ("report",),
        """
import subprocess, sys
from torch_stabilize.report.forms import FORMS
assert ".csv" in FORMS
shown = subprocess.run([sys.executable, "-m", "torch_stabilize", "migrate", "--help"], capture_output=True, text=True)
assert ".csv" in shown.stdout, shown
""",
    ),
    "A version of torch": (
        ("surface",),
        """
from torch_stabilize.surface.table import load_surface
from torch_stabilize.surface.versions import known_versions
entry = load_surface().name("at::flip")
assert known_versions().newest_known == "2.16" and (entry.form, entry.headers) == ("rename", "2.16")
assert not load_surface().available(entry, "2.11", "2.15") and load_surface().available(entry, "2.11", "2.16")
""",
    ),
}


def test_the_page_has_one_diff_for_each_kind_of_change() -> None:
    assert list(DIFFS) == list(CHANGES)


@pytest.mark.parametrize("title", CHANGES)
def test_a_change_stays_in_its_room(title: str) -> None:
    touched = re.findall(r"^\+\+\+ b/(.*)$", DIFFS[title], re.MULTILINE)
    rooms, _ = CHANGES[title]
    assert touched
    assert {path.removeprefix(f"{PACKAGE}/").partition("/")[0] for path in touched} == set(rooms)


@pytest.mark.parametrize("title", CHANGES)
def test_a_change_works(title: str, tmp_path: Path) -> None:
    shutil.copytree(ROOT / PACKAGE, tmp_path / PACKAGE, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "templates", tmp_path / "templates")
    subprocess.run(
        ["git", "apply", "--unidiff-zero", "-"], cwd=tmp_path, input=DIFFS[title], text=True, check=True,
        env={**os.environ, "GIT_CEILING_DIRECTORIES": str(tmp_path.parent)},
    )  # fmt: skip
    _, code = CHANGES[title]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "codemod"), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
