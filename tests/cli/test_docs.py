"""The pages name what there is: every setting, every verb, every file they point at."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from torch_stabilize import toml
from torch_stabilize.cli.main import VERBS
from torch_stabilize.config import KEYS

from tests.conftest import ROOT

PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])


def test_every_setting_has_its_row() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", (ROOT / "docs/configuration.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(rows) == sorted(KEYS)


def test_the_readme_names_every_verb() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for verb in VERBS:
        assert f"torch-stabilize {verb}" in text


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"(?ms)^```.*?^```$|`[^`\n]+`", "", page.read_text(encoding="utf-8"))  # code has no links
    for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", text):
        assert (page.parent / target).exists(), target


def test_the_first_release_has_its_version_in_one_place() -> None:
    settings = toml.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert "version" not in settings["project"]
    assert settings["tool"]["hatch"]["version"]["path"] == "codemod/torch_stabilize/__init__.py"
