"""Generated bindings compile with nothing but the stable headers, load, and are called through torch.ops."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import textwrap
from pathlib import Path

import pytest

from tests.bindings.trees import BINDINGS, STABLE_BINDINGS, STABLE_OPS, Migrated, migrate

pytestmark = [pytest.mark.compile, pytest.mark.torch]

LEGACY_UNIT = """
    #include "ops.h"
    void scale(torch::Tensor& out, const torch::Tensor& x, double by) {}
    int count(int n, float weight, const char* name) { return 0; }
    int64_t area(std::optional<std::tuple<int64_t, int64_t>> shape) { return 0; }
    std::vector<int64_t> widths(std::array<bool, 2> flags) { return {}; }
    std::pair<at::Tensor, int> both(at::Tensor x) { return {x, 1}; }
    at::Tensor& same(at::Tensor& x) { return x; }
    int64_t pick(int64_t n) { return n; }
    int64_t pick(int64_t n, int64_t m) { return n * m; }
"""
LEGACY_BINDINGS = """
    #include "ops.h"
    TORCH_LIBRARY(bindings_test, m) {
      // Writes x * by.
      m.def("scale(Tensor! out, Tensor x, float by=2.0) -> ()");
      m.impl("scale", torch::kCPU, &scale);

      m.def("count(int n, float weight, *, str name=\\"abc\\") -> int", &count);
      m.def("area((int, int)? shape=None) -> int", &area);
      m.def("widths(bool[2] flags) -> int[]", &widths);
      m.def("both(Tensor x) -> (Tensor, int)", &both);
      m.def("same(Tensor(a!) x) -> Tensor(a!)", &same);
      m.def("pick(int n) -> int", static_cast<int64_t (*)(int64_t)>(&pick));
      m.def("pick.two(int n, int m) -> int", static_cast<int64_t (*)(int64_t, int64_t)>(&pick));
      m.def("half(int n) -> int", [](int64_t n) -> int64_t { return pick(n) / 2; });
      m.def("inferred", &pick_one);
    }
"""
# What the rules make of the unit; here it is written down, since the bindings alone are tested.
STABLE_UNIT = """
    #include "ops.h"

    #include <cstring>
    #include <torch/csrc/stable/accelerator.h>

    void scale(torch::stable::Tensor& out, const torch::stable::Tensor& x, double by) {
      const float* from = x.const_data_ptr<float>();
      float* to = out.mutable_data_ptr<float>();
      for (int64_t i = 0; i < x.numel(); ++i) to[i] = from[i] * static_cast<float>(by);
    }
    int count(int n, float weight, const char* name) {
      return n + static_cast<int>(weight) + static_cast<int>(std::strlen(name));
    }
    int64_t area(std::optional<std::tuple<int64_t, int64_t>> shape) {
      return shape ? std::get<0>(*shape) * std::get<1>(*shape) : -1;
    }
    std::vector<int64_t> widths(std::array<bool, 2> flags) { return {flags[0], flags[1]}; }
    std::pair<torch::stable::Tensor, int> both(torch::stable::Tensor x) { return {x, 7}; }
    torch::stable::Tensor& same(torch::stable::Tensor& x) { return x; }
    int64_t pick(int64_t n) { return n; }
    int64_t pick(int64_t n, int64_t m) { return n * m; }
    int64_t pick_one(int64_t number) { return number; }
"""
CALLS = """
    import sys
    import importlib.util
    import torch

    name = "_C_stable_libtorch"
    spec = importlib.util.spec_from_file_location(name, sys.argv[1])
    importlib.util.module_from_spec(spec)
    ops = torch.ops.bindings_test

    x, out = torch.arange(4.0), torch.empty(4)
    ops.scale(out, x)
    assert out.tolist() == [0, 2, 4, 6]
    ops.scale(out, x=x, by=0.5)
    assert out.tolist() == [0, 0.5, 1, 1.5]
    assert ops.count(1, 2.5) == 6
    assert ops.count(1, 2.5, name="ab") == 5
    assert ops.area() == -1
    assert ops.area((3, 5)) == 15
    assert ops.area(shape=[3, 5]) == 15
    try:
        ops.area((1, 2, 3))
    except RuntimeError as error:
        assert "shape takes 2 values" in str(error)
    else:
        raise AssertionError("three values for a pair")
    assert ops.widths([True, False]) == [1, 0]
    tensor, number = ops.both(x)
    assert tensor.data_ptr() == x.data_ptr() and number == 7
    assert ops.same(x).data_ptr() == x.data_ptr()
    assert (ops.pick(3), ops.pick(3, 4), ops.half(9)) == (3, 12, 4)
    assert ops.inferred(number=3) == 3
    schema = ops.scale.default._schema
    assert str(schema) == "bindings_test::scale(Tensor($0! -> ) out, Tensor x, float by=2.) -> ()", schema
    keys = torch._C._dispatch_dump("bindings_test::count")
    assert "CompositeExplicitAutograd" in keys
    try:
        ops.count("one", 2.5)
    except (TypeError, RuntimeError):
        pass
    else:
        raise AssertionError("a string for an int")
"""


OWN_UNIT = """
    #include <torch/library.h>
    #include <cstdint>
    #include <vector>

    template <typename T>
    int64_t width_of(int64_t count) { return count * sizeof(T); }
    static int64_t whole(float x) { return static_cast<int64_t>(x); }
    static int64_t raised(int n, float by) { int from = n; return from + whole(by); }
    static std::vector<bool> bits(int64_t n) { return {(n & 1) != 0, (n & 2) != 0}; }
    namespace oldest {
    static int64_t twice(int64_t n) { return 2 * n; }
    static double half(double x, bool up) { return x / 2 + up; }
    }

    // The oldest form.
    static auto registry = torch::RegisterOperators()
        .op("own_unit::twice(int n) -> int", &oldest::twice)
        .op("own_unit::half(float x, bool up=False) -> float", &oldest::half);

    TORCH_LIBRARY_FRAGMENT(own_unit, m) {
      m.def("width(int count) -> int", &width_of<float>);
      m.def("width.half(int count) -> int", &width_of<uint16_t>);
      m.def("bits(int n) -> bool[]", &bits);
      m.def("raised(int n, float by) -> int", &raised);
    }
"""
OWN_CALLS = """
    import sys
    import torch

    torch.ops.load_library(sys.argv[1])
    ops = torch.ops.own_unit
    assert (ops.twice(4), ops.half(3.0), ops.half(x=3.0, up=True)) == (8, 1.5, 2.5)
    assert (ops.width(3), ops.width.half(3)) == (12, 6)
    assert ops.bits(2) == [False, True]
    assert ops.raised(2, 1.5) == 3
"""


@pytest.fixture(scope="module")
def migrated() -> Migrated:
    unit = LEGACY_UNIT + "    int64_t pick_one(int64_t number) { return number; }\n"
    return migrate({"csrc/unit.cpp": unit, BINDINGS: LEGACY_BINDINGS}, ["csrc/unit.cpp"])


def test_the_legacy_file_is_empty(migrated: Migrated) -> None:
    assert migrated.text(BINDINGS).strip() == '#include "ops.h"'
    assert migrated.lost == ()


def test_compile_load_and_call(migrated: Migrated, tmp_path: Path) -> None:
    for path in (STABLE_BINDINGS, STABLE_OPS):
        (tmp_path / Path(path).name).write_text(migrated.text(path))
    (tmp_path / "unit.cpp").write_text(textwrap.dedent(STABLE_UNIT))
    library = built(tmp_path, "torch_bindings.cpp", "unit.cpp")
    run(CALLS, library)


def built(folder: Path, *sources: str) -> Path:
    """The library made of `sources` with nothing but the stable headers."""
    torch = pytest.importorskip("torch")
    include, libraries = Path(torch.__file__).parent / "include", Path(torch.__file__).parent / "lib"
    only_stable = folder / "only_stable"
    for part in ("torch/csrc/stable", "torch/headeronly", "torch/csrc/inductor/aoti_torch"):
        (only_stable / part).parent.mkdir(parents=True, exist_ok=True)
        (only_stable / part).symlink_to(include / part)
    library = folder / "_C_stable_libtorch.so"
    command = [
        "g++", "-std=c++17", "-O0", "-shared", "-fPIC", "-Wall", "-Werror=return-type", *sources,
        "-o", str(library), f"-I{only_stable}", f"-I{sysconfig.get_paths()['include']}",
        "-DTORCH_TARGET_VERSION=0x020b000000000000ULL", f"-L{libraries}", "-ltorch_cpu", f"-Wl,-rpath,{libraries}",
    ]  # fmt: skip
    compiled = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert compiled.returncode == 0, compiled.stderr
    return library


def run(calls: str, library: Path) -> None:
    """Run a script that loads `library`."""
    script = library.with_name("calls.py")
    script.write_text(textwrap.dedent(calls))
    called = subprocess.run([sys.executable, str(script), str(library)], capture_output=True, text=True, check=False)
    assert called.returncode == 0, called.stderr


def test_a_unit_that_registers_itself_compiles_and_loads(tmp_path: Path) -> None:
    """RegisterOperators, function templates with overloads, a list of bools."""
    made = migrate({"csrc/own.cpp": OWN_UNIT}, ["csrc/own.cpp"])
    assert made.lost == ()
    assert "raised(int64_t n, double by) {" in made.text("csrc/own.cpp")
    text = made.text("csrc/own.cpp").replace("<torch/library.h>", "<torch/csrc/stable/library.h>")
    (tmp_path / "own.cpp").write_text(text)
    run(OWN_CALLS, built(tmp_path, "own.cpp"))
