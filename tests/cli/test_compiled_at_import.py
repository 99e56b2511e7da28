"""Libraries that Python compiles when it needs them: `torch.utils.cpp_extension.load` gets what the stable ABI needs."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.conftest import Run, make_repository

_SOURCES = {
    "brew/csrc/steep.cpp": '#include <torch/extension.h>\n#include "water.h"\n'
    "torch::Tensor steep(torch::Tensor leaf, double hours) {\n"
    "  check_wet(leaf);\n  auto cup = torch::empty_like(leaf);\n"
    "  cup.data_ptr<float>()[0] = leaf.data_ptr<float>()[0] * hours;\n  return cup;\n}\n"
    "PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {\n"
    '  m.def("steep", &steep, py::arg("leaf"), py::arg("hours") = 2.0);\n}\n',
    "brew/csrc/water.h": "#pragma once\n#include <torch/extension.h>\nvoid check_wet(const torch::Tensor& leaf);\n",
    "brew/csrc/water.cpp": '#include "water.h"\n'
    'void check_wet(const torch::Tensor& leaf) { TORCH_CHECK(leaf.dim() > 0, "dry"); }\n',
    "setup.py": 'from setuptools import setup\nsetup(name="brew", packages=["brew"])\n',
}
_UNITS = ("brew/csrc/steep.cpp", "brew/csrc/water.cpp")
_FLAG = '"-DTORCH_TARGET_VERSION=0x020b000000000000ULL"'
_AT_ONCE = """\
import os

from torch.utils.cpp_extension import load

here = os.path.dirname(os.path.abspath(__file__))
_kettle = load(
    name="kettle",
    sources=[os.path.join(here, "csrc/steep.cpp"), os.path.join(here, "csrc", "water.cpp")],
    extra_cflags=["-O3"],
)


def steep(leaf):
    return _kettle.steep(leaf)
"""
_WHEN_ASKED = """\
from pathlib import Path

from torch.utils import cpp_extension

CSRC = Path(__file__).resolve().parent / "csrc"
SOURCES = [str(CSRC / name) for name in ("steep.cpp", "water.cpp")]
FLAGS = ["-O2", "-std=c++14"]
_kettle = None


def _loaded():
    global _kettle
    if _kettle is None:
        _kettle = cpp_extension.load("kettle", SOURCES, FLAGS, verbose=True)
    return _kettle


def steep(leaf):
    return _loaded().steep(leaf)
"""
_RETURNED = """\
import functools
import os

from torch.utils.cpp_extension import load as compiled


@functools.lru_cache(None)
def kettle():
    here = os.path.dirname(__file__)
    return compiled(
        name="kettle",
        sources=[os.path.join(here, "csrc", "steep.cpp"), os.path.join(here, "csrc", "water.cpp")],
        is_python_module=True,
    )
"""


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (
            _AT_ONCE,
            [
                f'extra_cflags=["-O3", {_FLAG}],\n    is_python_module=False,\n)\nimport brew.kettle_ops',
                "return torch.ops.brew.steep(leaf)",
            ],
        ),
        (
            _WHEN_ASKED,
            [
                f'load("kettle", SOURCES, [*(FLAGS or ()), {_FLAG}], verbose=True, is_python_module=False)\n'
                "        from brew import kettle_ops as _kettle",
                'FLAGS = ["-O2", "-std=c++17"]',
                "return _loaded().steep(leaf)",
            ],
        ),
        (
            _RETURNED,
            [
                f"        is_python_module=False,\n        extra_cflags=[{_FLAG}],\n    )\n"
                "    from brew import kettle_ops\n\n    return kettle_ops",
                "    compiled(\n",
            ],
        ),
    ],
)
def test_the_call_is_converted_where_it_is(tmp_path: Path, run_cli: Run, text: str, wanted: list[str]) -> None:
    tree = make_repository(tmp_path / "brew", _SOURCES | {"brew/__init__.py": text})

    ran = run_cli("migrate", *_UNITS, "--write", cwd=tree)

    assert ran.code == 0, ran
    after = (tree / "brew/__init__.py").read_text()
    ast.parse(after)
    for part in wanted:
        assert part in after, after
    assert "STABLE_TORCH_LIBRARY" in (tree / "brew/csrc/steep.cpp").read_text()
    side = (tree / "brew/kettle_ops.py").read_text()
    assert "steep = torch.ops.brew.steep" in side
    assert "import kettle" not in side


def test_what_is_half_asked_for_has_its_line(tmp_path: Path, run_cli: Run) -> None:
    tree = make_repository(tmp_path / "brew", _SOURCES | {"brew/__init__.py": _AT_ONCE})

    ran = run_cli("migrate", "brew/csrc/water.cpp", cwd=tree)

    assert ran.code == 1, ran
    assert "TSA652" in ran.out + ran.err


def test_operators_of_a_script_without_a_package(tmp_path: Path, run_cli: Run) -> None:
    script = (
        "import torch\nfrom torch.utils.cpp_extension import load\n\n"
        'brewer = load(name="brewer", sources=["csrc/brew.cpp"], extra_cflags=None)\nprint(brewer.boil(torch.ones(2)))\n'
    )
    source = (
        "#include <torch/extension.h>\ntorch::Tensor boil(torch::Tensor water) { return water.clone(); }\n"
        'PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) { m.def("boil", &boil); }\n'
    )
    tree = make_repository(tmp_path / "brewer", {"run.py": script, "csrc/brew.cpp": source})

    ran = run_cli("migrate", "csrc/brew.cpp", "--write", cwd=tree)

    assert ran.code == 0, ran
    after = (tree / "run.py").read_text()
    assert f"extra_cflags=[{_FLAG}], is_python_module=False)" in after
    assert "print(torch.ops.brewer.boil(torch.ones(2)))" in after


_INLINE = """

_milk = load_inline("milk", cpp_sources=['#include "HEADER"\\n' "at::Tensor pour(at::Tensor x) { return x; }"])
"""


@pytest.mark.parametrize(
    ("header", "by_hand"), [("water.h", True), ("csrc/water.h", True), ("vector", False), ("hot_water.h", False)]
)
def test_code_in_strings_stays_next_to_what_migrates(
    tmp_path: Path, run_cli: Run, header: str, *, by_hand: bool
) -> None:
    text = _AT_ONCE.replace("import load", "import load, load_inline") + _INLINE.replace("HEADER", header)
    tree = make_repository(tmp_path / "brew", _SOURCES | {"brew/__init__.py": text})

    ran = run_cli("migrate", *_UNITS, "--diff", cwd=tree)

    assert ran.code == (1 if by_hand else 0), ran
    line = text[: text.index("load_inline(")].count("\n") + 1
    told = [one.strip() for one in (ran.out + ran.err).splitlines() if "TSA680" in one]
    assert len(told) == 1, ran
    assert told[0].startswith(f"brew/__init__.py:{line}:9 TSA680 milk is compiled from strings")
    assert "is_python_module=False" in ran.out
    assert "return torch.ops." in ran.out


def test_a_project_that_has_its_code_in_strings_is_told_where(tmp_path: Path, run_cli: Run) -> None:
    text = "import torch.utils.cpp_extension as ext\n\ncode = 'at::Tensor f(at::Tensor x) { return x; }'\n"
    call = "_f = ext.load_inline(name='f', cpp_sources=code)\n"
    tree = make_repository(tmp_path / "brew", {"brew/__init__.py": text + call})

    ran = run_cli("scan", cwd=tree)

    assert ran.code == 2
    assert "brew/__init__.py:4 compiles strings with load_inline" in ran.err
