"""The quick readings detection rests on: registrations, build files, unstable names."""

from __future__ import annotations

from pathlib import Path

import pytest
from torch_stabilize.buildfiles.modules import BuildFiles, cmake_modules, setup_modules
from torch_stabilize.repository.registrations import Registrations, read_registrations
from torch_stabilize.repository.snapshot import Snapshot
from torch_stabilize.repository.unstable import holds_unstable_names
from torch_stabilize.source.document import Document


def registrations(text: str) -> Registrations:
    found = read_registrations(Document("bind.cpp", text.encode()))
    assert found is not None
    return found


def test_a_library_with_schemas() -> None:
    found = registrations(
        """
        TORCH_LIBRARY_EXPAND(TORCH_EXTENSION_NAME, ops) {
          // ops.def("commented(Tensor x) -> ()");
          ops.def(
              "scale(Tensor! out, Tensor input,"
              "      str mode='a;b') -> ()");
          ops.impl("scale", torch::kCUDA, &kernels::scale);
          ops.def("plain", plain);
        }
        REGISTER_EXTENSION(_C)
        """
    )
    assert found.implements == (("scale", ""), ("scale", "scale"), ("plain", "plain"))
    assert found.defined == {"scale", "plain"}
    assert found.functions == {"scale", "plain"}
    assert found.keys == {"CUDA"}
    assert found.modules == ("_C",)
    assert (found.defines, found.exclusive, found.stable, found.is_cpu_only) == (True, True, False, False)


@pytest.mark.parametrize(
    ("text", "functions"),
    [
        ('PYBIND11_MODULE(m, m) { m.def("f", &impl_f, py::arg("x"), "does f"); }', {"impl_f"}),
        ('TORCH_LIBRARY_IMPL(_C, CPU, m) { m.impl("f", TORCH_FN(ns::impl_f)); }', {"impl_f"}),
        ('STABLE_TORCH_LIBRARY_IMPL(_C, CPU, m) { m.impl("f", TORCH_BOX(&impl_f)); }', {"impl_f"}),
        ('TORCH_LIBRARY_IMPL(_C, CPU, m) { m.impl(TORCH_SELECTIVE_NAME("_C::f"), impl_f); }', {"impl_f"}),
        ('TORCH_LIBRARY(_C, m) { m.def("f", [](at::Tensor x) { return x; }); }', set()),
        ('static auto r = torch::RegisterOperators().op("ns::f", &impl_f);', {"impl_f"}),
    ],
)
def test_the_ways_to_bind_a_function(text: str, functions: set[str]) -> None:
    found = registrations(text)
    assert found.ops == {"f"}
    assert found.functions == functions


@pytest.mark.parametrize(
    ("text", "defines_ops", "exclusive", "keys"),
    [
        ("TORCH_LIBRARY(_C, m) {}", True, True, set()),
        ("TORCH_LIBRARY_FRAGMENT(_C, m) {}", True, False, set()),
        ("TORCH_LIBRARY_IMPL(_C, CPU, m) {}", False, False, {"CPU"}),
        ("TORCH_LIBRARY_IMPL_EXPAND(CONCAT(_C, x), CUDA, m) {}", False, False, {"CUDA"}),
    ],
)
def test_kinds_of_blocks(text: str, defines_ops: bool, exclusive: bool, keys: set[str]) -> None:
    found = registrations(text)
    assert (found.defines, found.exclusive, set(found.keys)) == (defines_ops, exclusive, keys)


@pytest.mark.parametrize("text", ["int x;", "// TORCH_LIBRARY(_C, m) {}", "#define MY(N) TORCH_LIBRARY(N, m)\n"])
def test_files_that_bind_nothing(text: str) -> None:
    assert read_registrations(Document("a.cpp", text.encode())) is None


CMAKE = """
# define_extension_target(_old SOURCES x.cpp)
set(SRCS a.cu "sub/ops.cpp")
list(APPEND SRCS b.cu)
if(CUDA)
  define_extension_target(_C DESTINATION pkg SOURCES ${SRCS} $<$<CONFIG:x>:y.cpp>)
endif()
add_library(helper STATIC c.cpp)
add_library(loaded MODULE ops.cpp)
add_custom_target(${NAME} DEPENDS x)
"""


def test_modules_of_cmake() -> None:
    modules = cmake_modules("CMakeLists.txt", CMAKE)
    assert [module.name for module in modules] == ["_C", "loaded"]
    files = BuildFiles(Snapshot(Path(), ("CMakeLists.txt",), {"CMakeLists.txt": CMAKE.encode()}), "")
    assert files.module_of("b.cu") == "_C"
    assert files.module_of("sub/ops.cpp") == "_C"
    assert files.module_of("ops.cpp") == "loaded"
    assert files.module_of("c.cpp") is None


def test_modules_of_setup() -> None:
    text = """
PACKAGE = "pkg"
NAME = f"{PACKAGE}." + "_fast"
class CMakeExtension(Extension):
    def __init__(self, name):
        super().__init__(name, sources=[])
def extensions():
    sources = ["b.cpp"]
    sources += ["late.cpp"]
    Chosen = CppExtension
    return [CUDAExtension(name="pkg.sub._C", sources=["a.cu"]), cpp.CppExtension(
        'other', sources), CMakeExtension(NAME), CMakeExtension(name=f"_{suffix}")]
"""
    snapshot = Snapshot(Path(), ("setup.py",), {"setup.py": text.encode()})
    assert [module.name for module in setup_modules(snapshot, "setup.py")] == ["_C", "other", "_fast"]
    assert BuildFiles(snapshot, "").module_of("csrc/b.cpp") == "other"
    assert BuildFiles(snapshot, "").module_of("csrc/late.cpp") == "other"
    broken = Snapshot(Path(), ("setup.py",), {"setup.py": b"print 'python 2'"})
    assert BuildFiles(broken, "").modules == ()


@pytest.mark.parametrize(
    ("text", "unstable"),
    [
        ("at::Tensor x;", True),
        ("torch::Tensor x;", True),
        ("::torch::empty({1});", True),
        ("c10::Half x;", True),
        ("TORCH_CHECK(a);", True),
        ("#include <ATen/ATen.h>\n", True),
        ("#include <torch/all.h>\n", True),
        ("#define CHECK(x) \\\n  TORCH_CHECK(x)\n", True),
        ("TORCH_LIBRARY_IMPL(_C, CUDA, m) {}", True),
        ("PYBIND11_MODULE(m, m) {}", True),
        ("#define MINE(N) \\\n  TORCH_LIBRARY(N, m)\n", False),
        ("torch::stable::Tensor x; torch::headeronly::ScalarType y;", False),
        ("#include <torch/csrc/stable/tensor.h>\n#include <torch/headeronly/util/Half.h>\n", False),
        (
            "STD_TORCH_CHECK(a); TORCH_ERROR_CODE_CHECK(b); TORCH_BOX(&f); STABLE_TORCH_LIBRARY_IMPL(_C, CPU, m) {}",
            False,
        ),
        ('// at::Tensor\nconst char* s = "at::Tensor";\n', False),
        ("float at(int i); x.at(1); my_at::y; cat::z;", False),
        ("#ifndef TORCH_TARGET_VERSION\nat::Tensor x;\n#else\nint x;\n#endif\n", False),
        ("#ifdef TORCH_TARGET_VERSION\nint x;\n#else\nat::Tensor x;\n#endif\n", False),
        ("#ifdef TORCH_TARGET_VERSION\nat::Tensor x;\n#endif\n", True),
        ("#if !defined(TORCH_TARGET_VERSION)\n#ifdef A\nat::Tensor x;\n#endif\n#endif\n", False),
        (
            "#ifdef A\nat::Tensor x;\n#else\nint x;\n#endif\n#ifdef TORCH_TARGET_VERSION\n#endif\n",
            True,
        ),
    ],
)
def test_unstable_names(text: str, unstable: bool) -> None:
    assert holds_unstable_names(Document("a.h", text.encode())) is unstable
