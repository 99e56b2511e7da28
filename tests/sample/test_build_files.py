"""setup.py and CMakeLists.txt of the sample build the same units, and each unit once."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.sample.building import COMMANDS, SAMPLE, sample_files

UNITS = sorted(str(path) for path in sample_files() if path.suffix in (".cpp", ".cu"))
_UNIT_NAME = re.compile(r'"(csrc/[^"]+\.(?:cpp|cu))"')
# The lists of sources: units are also named where single ones get flags of their own.
_LISTS = {
    "setup.py": re.compile(r"^\w*sources = \[(.*?)\]", re.MULTILINE | re.DOTALL),
    "CMakeLists.txt": re.compile(r"(?:set\(|list\(APPEND )SAMPLEX_EXT_SRC(.*?)\)", re.DOTALL),
}


@pytest.mark.parametrize("build_file", sorted(_LISTS))
def test_every_unit_is_listed_once(build_file: str) -> None:
    lists = "".join(_LISTS[build_file].findall((SAMPLE / build_file).read_text()))
    assert sorted(_UNIT_NAME.findall(lists)) == UNITS


@pytest.mark.compile
@pytest.mark.torch
@pytest.mark.xdist_group("sample")
def test_cmake_compiles_the_cpu_units(sample_tree: Path) -> None:
    commands = json.loads(COMMANDS.read_text())
    compiled = {
        Path(entry["file"]): entry["command"] for entry in commands if sample_tree in Path(entry["file"]).parents
    }
    units = {path.relative_to(sample_tree).as_posix() for path in compiled}
    assert units == {unit for unit in UNITS if unit.endswith(".cpp")}
    assert all("-DTORCH_EXTENSION_NAME=" in command for command in compiled.values())
