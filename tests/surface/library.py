"""One C++ library with everything the tests of this folder run: each case is an op of namespace `surface_tests`."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch_stabilize.surface.headers import target_macro

NAMESPACE = "surface_tests"
TARGET = "2.10"

_HEAD = """
#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>

using torch::stable::Tensor;
using Tensors = std::vector<Tensor>;

inline Tensors all(const Tensor& tensor) { return {tensor}; }
inline Tensors all(const Tensors& tensors) { return tensors; }
template <typename... T>
Tensors all(const std::tuple<T...>& tensors) {
  return std::apply([](const auto&... each) { return Tensors{each...}; }, tensors);
}
"""
_TYPES = {"Tensor": "Tensor", "int": "int64_t", "float": "double", "bool": "bool", "str": "std::string"}


@dataclass(frozen=True)
class Function:
    """A C++ function: `schema` is "name(Tensor x, int n) -> str", `body` its statements."""

    schema: str
    body: str

    @property
    def name(self) -> str:
        return self.schema.partition("(")[0]

    def definition(self) -> str:
        inside, _, result = self.schema.partition("(")[2].partition(") -> ")
        parameters = [f"{_TYPES[kind]} {name}" for kind, name in (part.split() for part in inside.split(", "))]
        returned = "Tensors" if result == "Tensor[]" else _TYPES[result]
        return f"{returned} {self.name}({', '.join(parameters)}) {{\n  {self.body}\n}}\n"


def build(
    functions: Sequence[Function],
    headers: Sequence[Path],
    tree: Path,
    torch_lib: Path,
    folder: Path,
    namespace: str = NAMESPACE,
) -> Path:
    """Compile `functions` against the stable headers in `tree` alone; the shared library they make."""
    lines = [_HEAD, *(f'#include "{header}"' for header in headers), "namespace {"]
    lines += [function.definition() for function in functions]
    lines += ["}", f"STABLE_TORCH_LIBRARY({namespace}, m) {{"]
    lines += [f'  m.def("{function.schema}");' for function in functions]
    lines += ["}", f"STABLE_TORCH_LIBRARY_IMPL({namespace}, CompositeExplicitAutograd, m) {{"]
    lines += [f'  m.impl("{function.name}", TORCH_BOX(&{function.name}));' for function in functions]
    lines += ["}", ""]
    unit, library = folder / "cases.cpp", folder / "libcases.so"
    unit.write_text("\n".join(lines), encoding="utf-8")
    flags = ["-std=c++17", "-shared", "-fPIC", "-O0", f"-DTORCH_TARGET_VERSION={target_macro(TARGET)}", f"-I{tree}"]
    linked = [f"-L{torch_lib}", "-ltorch_cpu", f"-Wl,-rpath,{torch_lib}"]
    done = subprocess.run(
        ["g++", *flags, str(unit), *linked, "-o", str(library)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return library
