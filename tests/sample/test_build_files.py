"""setup.py and CMakeLists.txt of the sample build the same units, and each unit once."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sample.building import SAMPLE, sample_files

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
def test_cmake_configures_the_cpu_units(tmp_path: Path) -> None:
    cmake = shutil.which("cmake", path=str(Path(sys.executable).parent)) or shutil.which("cmake")
    ninja = shutil.which("ninja", path=str(Path(sys.executable).parent)) or shutil.which("ninja")
    if cmake is None or ninja is None:
        pytest.skip("cmake and ninja are needed")
    command = [cmake, "-S", str(SAMPLE), "-B", str(tmp_path), "-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={ninja}"]
    command += [f"-DPython_EXECUTABLE={sys.executable}", "-DSAMPLEX_CUDA=OFF"]

    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    compiled = json.loads((tmp_path / "compile_commands.json").read_text())
    units = {Path(entry["file"]).relative_to(SAMPLE).as_posix() for entry in compiled}
    assert units == {unit for unit in UNITS if unit.endswith(".cpp")}
    assert all("-DTORCH_EXTENSION_NAME=" in entry["command"] for entry in compiled)
