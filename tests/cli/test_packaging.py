"""The wheel: it has everything a run needs, templates, tables and schemas too, and starts outside of the checkout."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

from tests.conftest import ROOT

DATA = (".toml", ".json", ".j2", ".h", ".gz", ".txt", ".zst")


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout, built and unpacked."""
    folder = tmp_path_factory.mktemp("wheel")
    (wheel,) = WheelBuilder(str(ROOT)).build(directory=str(folder), versions=["standard"])
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_the_wheel_holds_every_template(unpacked: Path) -> None:
    wanted = {path.relative_to(ROOT / "templates") for path in (ROOT / "templates").rglob("*") if path.is_file()}
    shipped = unpacked / "torch_stabilize/templates"
    assert wanted
    assert {path.relative_to(shipped) for path in shipped.rglob("*") if path.is_file()} == wanted


def test_the_wheel_holds_the_data_of_every_room(unpacked: Path) -> None:
    wanted = {path.relative_to(ROOT / "codemod") for path in (ROOT / "codemod").rglob("*") if path.suffix in DATA}
    assert Path("torch_stabilize/report/report.schema.json") in wanted
    assert {path for path in wanted if not (unpacked / path).is_file()} == set()


def test_the_wheel_holds_nothing_but_the_package(unpacked: Path) -> None:
    assert {path.name for path in unpacked.iterdir() if not path.name.endswith(".dist-info")} == {"torch_stabilize"}


def test_the_unpacked_wheel_finds_its_templates(unpacked: Path, tmp_path: Path) -> None:
    code = (
        "from torch_stabilize import explain, templates; print(templates.template_root()); explain.pages_markdown([])"
    )
    environment = {"PYTHONPATH": str(unpacked), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == str(unpacked / "torch_stabilize/templates")
