"""What the fuzzer starts from: small extensions in memory, taken from the rules' pages, the tests and the sample."""

from __future__ import annotations

import ast
import functools
import random
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from torch_stabilize.explain import all_codes
from torch_stabilize.source.document import SOURCE_SUFFIXES, UNIT_SUFFIXES

from tests.twins.grammar import random_functions

ROOT = Path(__file__).resolve().parents[2]
_BUILD = (".py", ".toml", ".cmake", "CMakeLists.txt")
_REGISTERS = (b"TORCH_LIBRARY", b"PYBIND11_MODULE", b"RegisterOperators")
_BINDINGS = """\
#include <torch/library.h>
#include "ops.h"
TORCH_LIBRARY(made, ops) {
  ops.def("f(Tensor x) -> Tensor");
  ops.impl("f", torch::kCPU, &f);
  ops.def("g(Tensor x, int n=1) -> Tensor");
  ops.impl("g", torch::kCPU, &g);
}
"""
_OPS = (
    "#pragma once\n#include <torch/all.h>\nat::Tensor f(const at::Tensor& x);\nat::Tensor g(at::Tensor x, int64_t n);\n"
)
_OTHER = '#include "ops.h"\nat::Tensor g(at::Tensor x, int64_t n) { return x.clone(); }\n'
_OWN = "at::Tensor f(const at::Tensor& x) {\n  TORCH_CHECK(x.is_contiguous());\n  return x;\n}\n"
_SETUP = """\
from setuptools import setup
from torch.utils.cpp_extension import CppExtension
setup(name="made", packages=["made"], ext_modules=[CppExtension("made._C", ["csrc/bindings.cpp", "UNIT", "csrc/other.cpp"])])
"""
_CMAKE = """\
cmake_minimum_required(VERSION 3.26)
project(made LANGUAGES CXX)
Python_add_library(_C MODULE "csrc/bindings.cpp" "UNIT" "csrc/other.cpp")
"""


class Tree(NamedTuple):
    """An extension: its files, and the units to migrate."""

    name: str
    files: Mapping[str, bytes]
    units: tuple[str, ...]


@functools.cache
def seeds() -> tuple[Tree, ...]:
    """Every tree to start from; small ones first, those of the sample last."""
    return (*_examples(), *_of_tests(), *_sample())


def random_tree(pick: random.Random) -> Tree:
    """A seed; one in ten is a unit of random functions, one in fifty comes from the sample."""
    kind = pick.random()
    if kind < 0.1:
        functions = random_functions("r", pick.randrange(1 << 30), 1 + pick.randrange(3))
        return _extension("twins", "".join(one.written() for one in functions), pick.random() < 0.5)
    if kind < 0.12:
        return pick.choice(_sample())
    if kind < 0.2:  # two pages in one file
        return _extension("two", "".join(pick.choice(_examples_text()) for _ in range(2)), pick.random() < 0.5)
    return pick.choice((*_examples(), *_of_tests()))


def _extension(name: str, code: str, cmake: bool = False) -> Tree:
    """`code` as the only unit of an extension, with what registers it."""
    unit = "csrc/kernel.cu"
    text = '#include "ops.h"\n' + code + ("" if " f(" in code else _OWN)
    build = ("CMakeLists.txt", _CMAKE) if cmake else ("setup.py", _SETUP)
    files = {
        unit: text,
        "csrc/bindings.cpp": _BINDINGS,
        "csrc/ops.h": _OPS,
        "csrc/other.cpp": _OTHER,
        "made/__init__.py": "import torch\nfrom made import _C\n\n\ndef f(x):\n    return torch.ops.made.f(x)\n",
        build[0]: build[1].replace("UNIT", unit),
    }
    return Tree(name, {path: text.encode() for path, text in files.items()}, (unit,))


@functools.cache
def _examples_text() -> tuple[str, ...]:
    return tuple(example.before for _, code in sorted(all_codes().items()) for example in code.examples)


@functools.cache
def _examples() -> tuple[Tree, ...]:
    return tuple(_extension(f"page{n}", text, n % 3 == 0) for n, text in enumerate(_examples_text()))


@functools.cache
def _of_tests() -> tuple[Tree, ...]:
    """The sources and the trees that stand in the tests as literals."""
    found: dict[str, Tree] = {}
    for path in sorted((ROOT / "tests").rglob("*.py")):
        for number, one in enumerate(_literals(path)):
            name = f"{path.stem}{number}"
            tree = _extension(name, one) if isinstance(one, str) else _tree(name, one)
            if tree is not None:
                found.setdefault(repr(sorted(tree.files.items())), tree)
    return tuple(found.values())


def _literals(path: Path) -> Iterator[str | dict[str, str]]:
    module = ast.parse(path.read_text())
    names: dict[str, str] = {}
    used: set[int] = set()
    for node in ast.walk(module):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            names |= {target.id: node.value.value for target in node.targets if isinstance(target, ast.Name)}
    for node in ast.walk(module):
        if isinstance(node, ast.Dict):
            files = {}
            for key, value in zip(node.keys, node.values, strict=True):
                text = names.get(value.id) if isinstance(value, ast.Name) else getattr(value, "value", None)
                if isinstance(key, ast.Constant) and isinstance(key.value, str) and isinstance(text, str):
                    files[key.value] = textwrap.dedent(text).lstrip("\n")
                    used.add(id(value))
            if any(name.endswith(SOURCE_SUFFIXES) for name in files):
                yield files
    for node in ast.walk(module):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in used:
            text = textwrap.dedent(node.value).lstrip("\n")
            if "Tensor" in text and "(" in text and (";" in text or "#define" in text) and len(text) < 6000:
                yield text


def _tree(name: str, files: Mapping[str, str]) -> Tree | None:
    data = {path: text.encode() for path, text in files.items() if not path.startswith(("/", ".."))}
    units = [
        path
        for path, text in data.items()
        if path.endswith(UNIT_SUFFIXES) and not any(word in text for word in _REGISTERS)
    ]
    return Tree(name, data, tuple(units)) if units else None


@functools.cache
def _sample() -> tuple[Tree, ...]:
    """Each unit of the sample in the whole of the sample."""
    folder = ROOT / "csrc"
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file() and "build" not in path.parts]
    wanted = [path for path in paths if path.name.endswith((*SOURCE_SUFFIXES, *_BUILD))]
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in wanted}
    units = [path for path in files if path.endswith(UNIT_SUFFIXES) and "bindings" not in path]
    return tuple(Tree(f"sample {unit}", files, (unit,)) for unit in units)
