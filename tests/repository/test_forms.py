"""The forms of a migration: moved to the stable folder, whole in place, split in place."""

from __future__ import annotations

from typing import Any

import pytest
from torch_stabilize.config import load_config
from torch_stabilize.layout.detect import detect_layout
from torch_stabilize.migration.in_place import with_way_in_place
from torch_stabilize.migration.plan import Options, plan_migration
from torch_stabilize.model import Plan, Refusal, Severity
from torch_stabilize.program.groups import resolve_group, suggest_groups
from torch_stabilize.repository.snapshot import Snapshot

from tests.repository.conftest import MakeRepository

REGISTERS = """#include <torch/library.h>
#include "ops.h"

TORCH_LIBRARY(pkg, m) {
  m.def("twice(Tensor x) -> Tensor");
}

TORCH_LIBRARY_IMPL(pkg, CPU, m) {
  m.impl("twice", &twice);
}

PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {}
"""
TREE = {
    "csrc/register.cpp": "#include <torch/extension.h>\n" + REGISTERS,
    "csrc/ops.h": "#pragma once\n#include <torch/all.h>\n\nat::Tensor twice(const at::Tensor& x);\n",
    "csrc/twice.cpp": '#include "ops.h"\n#include "plain.h"\n\nat::Tensor twice(const at::Tensor& x) {\n'
    "  TORCH_CHECK(x.dim() == rank(), "
    '"twice: a vector");\n  return torch::empty_like(x);\n}\n',
    "csrc/plain.h": "#pragma once\nint rank();\n",
    "csrc/plain.cpp": '#include "plain.h"\n\nint rank() { return 1; }\n',
    "pkg/__init__.py": "from . import _C\n",
    "setup.py": "from setuptools import setup\nfrom torch.utils.cpp_extension import BuildExtension, CppExtension\n\n"
    'setup(\n    name="pkg",\n    packages=["pkg"],\n    ext_modules=[\n        CppExtension(\n'
    '            "pkg._C",\n            ["csrc/register.cpp", "csrc/twice.cpp", "csrc/plain.cpp"],\n        ),\n    ],\n'
    '    cmdclass={"build_ext": BuildExtension},\n)\n',
}
LATER = {
    **TREE,
    "csrc/thrice.cpp": '#include "ops.h"\n\nat::Tensor thrice(const at::Tensor& x) { return torch::empty_like(x); }\n',
    "setup.py": TREE["setup.py"].replace('"csrc/plain.cpp"', '"csrc/plain.cpp", "csrc/thrice.cpp"'),
}


def planned(snapshot: Snapshot, *names: str, **options: Any) -> Plan:
    config = load_config(snapshot)
    layout = detect_layout(snapshot, config)
    group = resolve_group(snapshot, layout, config, names)
    chosen = Options(**options)
    return with_way_in_place(
        plan_migration(snapshot, layout, group, chosen, config), snapshot, layout, group, chosen, config
    )


def texts(plan: Plan) -> dict[str, str]:
    return {file.new_path: file.after.decode() for file in plan.files if file.new_path and file.after is not None}


def codes(plan: Plan) -> set[str]:
    return {found.code for found in plan.diagnostics}


def errors(plan: Plan) -> list[str]:
    return [found.message for found in plan.diagnostics if found.severity is Severity.ERROR]


def test_an_extension_is_converted_where_it_is(make_repository: MakeRepository) -> None:
    plan = planned(make_repository(TREE), "csrc/twice.cpp", in_place=True)
    after = texts(plan)
    assert errors(plan) == []
    assert set(after) == {"csrc/register.cpp", "csrc/twice.cpp", "csrc/ops.h", "setup.py"}
    assert all(file.old_path == file.new_path for file in plan.files)
    assert "STABLE_TORCH_LIBRARY(pkg, m) {" in after["csrc/register.cpp"]
    assert 'm.impl("twice", TORCH_BOX(&twice));' in after["csrc/register.cpp"]
    assert "PyInit__C()" in after["csrc/register.cpp"]
    assert "pybind" not in after["csrc/register.cpp"].lower()
    assert "torch::stable::Tensor twice(const torch::stable::Tensor& x);" in after["csrc/ops.h"]
    assert '"pkg._C",' in after["setup.py"]
    assert '("TORCH_TARGET_VERSION", "0x020b000000000000ULL")' in after["setup.py"]
    assert "_stable_libtorch" not in "".join(after.values())


def test_a_second_run_finds_nothing_to_do(make_repository: MakeRepository) -> None:
    first = planned(make_repository(TREE), "csrc/twice.cpp", in_place=True)
    again = planned(make_repository({**TREE, **texts(first)}), "csrc/twice.cpp", in_place=True)
    assert again.files == ()
    assert errors(again) == []


def test_finished_units_are_not_suggested(make_repository: MakeRepository) -> None:
    first = planned(make_repository(TREE), "csrc/twice.cpp", in_place=True)
    thrice = {path: text for path, text in LATER.items() if path not in ("csrc/ops.h",)}
    snapshot = make_repository({**thrice, **{p: t for p, t in texts(first).items() if p != "setup.py"}})
    layout = detect_layout(snapshot, load_config(snapshot))
    assert [group.units for group in suggest_groups(snapshot, layout, load_config(snapshot))] == [("csrc/thrice.cpp",)]
    found = planned(snapshot, "csrc", in_place=True)  # a folder means what is not finished
    assert "csrc/thrice.cpp" in texts(found)
    assert "csrc/twice.cpp" not in texts(found)


def test_what_stays_makes_it_a_split_with_the_reason(make_repository: MakeRepository) -> None:
    plan = planned(make_repository(LATER), "csrc/twice.cpp", in_place=True)
    found = [d for d in plan.diagnostics if d.code == "TSA720"]
    assert [d.message for d in found] == [
        "pkg._C is not converted as a whole: csrc/thrice.cpp, which is built into it, uses torch and was not asked for; "
        "_C_stable_libtorch is built next to it"
    ]
    after = texts(plan)
    assert '"pkg._C_stable_libtorch"' in after["setup.py"]
    assert "csrc/twice.cpp" in after


def test_a_move_says_what_it_would_be_in_place(make_repository: MakeRepository) -> None:
    plan = planned(make_repository(TREE), "csrc/twice.cpp")
    assert "csrc/libtorch_stable/twice.cpp" in texts(plan)
    assert "csrc/libtorch_stable/register.cpp" not in texts(plan)
    (note,) = [d for d in plan.diagnostics if d.code == "TSA721"]
    assert note.message.startswith("pkg._C could be converted where it is: ")
    assert "TSA721" not in codes(planned(make_repository(LATER), "csrc/twice.cpp"))


@pytest.mark.parametrize("value", ["true", "false"])
def test_the_configuration_chooses(make_repository: MakeRepository, value: str) -> None:
    plan = planned(make_repository({**TREE, "torch-stabilize.toml": f"in_place = {value}\n"}), "csrc/twice.cpp")
    assert ("csrc/twice.cpp" in texts(plan)) is (value == "true")


def test_stable_units_in_place_choose_too(make_repository: MakeRepository) -> None:
    done = "#include <torch/csrc/stable/tensor.h>\ntorch::stable::Tensor same(torch::stable::Tensor x) { return x; }\n"
    setup = TREE["setup.py"].replace(
        "    ext_modules=[\n",
        '    ext_modules=[\n        CppExtension(\n            "pkg._D",\n            ["csrc/same.cpp"],\n'
        '            define_macros=[("TORCH_TARGET_VERSION", "0x020a000000000000ULL")],\n        ),\n',
    )
    plan = planned(make_repository({**TREE, "csrc/same.cpp": done, "setup.py": setup}), "csrc/twice.cpp")
    assert "csrc/twice.cpp" in texts(plan)


def test_an_include_of_another_folder_was_not_found_before_either(make_repository: MakeRepository) -> None:
    twice = TREE["csrc/twice.cpp"].replace('#include "plain.h"', '#include "vendor/plain.h"\n#include "plain.h"')
    plan = planned(make_repository({**TREE, "csrc/twice.cpp": twice}), "csrc/twice.cpp", in_place=True)
    assert errors(plan) == []


def test_headers_that_the_build_alone_knows_how_to_find_are_converted_too(make_repository: MakeRepository) -> None:
    setup = (
        TREE["setup.py"]
        .replace("],\n        ),", "],\n            include_dirs=[here / name],\n        ),")
        .replace(
            "setup(\n", 'import pathlib\n\nhere = pathlib.Path(__file__).parent / "csrc"\nname = "deep"\n\nsetup(\n', 1
        )
    )
    twice = (
        TREE["csrc/twice.cpp"].replace("TORCH_CHECK(", "MUST(").replace('"plain.h"', '"plain.h"\n#include <own/must.h>')
    )
    must = "#pragma once\n#define MUST(condition, text) TORCH_CHECK(condition, text)\n"
    tree = {**TREE, "setup.py": setup, "csrc/twice.cpp": twice, "csrc/deep/own/must.h": must}
    plan = planned(make_repository(tree), "csrc/twice.cpp", in_place=True)
    assert errors(plan) == []
    assert "STD_TORCH_CHECK(condition, text)" in texts(plan)["csrc/deep/own/must.h"]


CMAKE = """cmake_minimum_required(VERSION 3.26)
project(pkg LANGUAGES CXX)
find_package(Torch REQUIRED)
set(SOURCES csrc/register.cpp csrc/twice.cpp csrc/plain.cpp)
Python_add_library(_C MODULE ${SOURCES})
target_link_libraries(_C PRIVATE ${TORCH_LIBRARIES})
install(TARGETS _C DESTINATION pkg)
"""


def test_a_cmake_target_is_converted_where_it_is(make_repository: MakeRepository) -> None:
    tree = {path: text for path, text in TREE.items() if path != "setup.py"}
    plan = planned(make_repository({**tree, "CMakeLists.txt": CMAKE}), "csrc/twice.cpp", in_place=True)
    assert errors(plan) == []
    after = texts(plan)["CMakeLists.txt"]
    assert "target_compile_definitions(_C PRIVATE TORCH_TARGET_VERSION=0x020b000000000000ULL)" in after
    assert after.replace("\n", "").count("_C") == CMAKE.count("_C") + 1


ROUNDS = """import os
from setuptools import setup
from torch.utils.cpp_extension import BuildExtension, CppExtension, CUDAExtension


def extensions():
    found = []
    for name in ["twice", "thrice"]:
        for device in ["cpu", "cuda"]:
            sources = [f"csrc/{name}.cpp"] + ([f"csrc/{name}_gpu.cu"] if device == "cuda" else [])
            kind = CppExtension if device == "cpu" else CUDAExtension
            found.append(kind(f"pkg._{name}_{device}", sources))
    return found


setup(name="pkg", packages=["pkg"], ext_modules=extensions(), cmdclass={"build_ext": BuildExtension})
"""


def _unit(name: str) -> str:
    return (
        "#include <torch/library.h>\n#include <torch/all.h>\n\n"
        f"at::Tensor {name}(const at::Tensor& x) {{ return torch::empty_like(x); }}\n\n"
        f'TORCH_LIBRARY_FRAGMENT(pkg, m) {{\n  m.def("{name}(Tensor x) -> Tensor", &{name});\n}}\n'
    )


SHARING = {
    "csrc/twice.cpp": _unit("twice"),
    "csrc/twice_gpu.cu": "#include <torch/all.h>\n\nat::Tensor twice_gpu(at::Tensor x) { return x; }\n",
    "csrc/thrice.cpp": _unit("thrice"),
    "csrc/thrice_gpu.cu": "#include <torch/all.h>\n\nat::Tensor thrice_gpu(at::Tensor x) { return x; }\n",
    "pkg/__init__.py": "import glob\nimport torch\n\nfor one in glob.glob('*.so'):\n    torch.ops.load_library(one)\n",
    "setup.py": ROUNDS,
}


def test_libraries_that_share_units_are_converted_together(make_repository: MakeRepository) -> None:
    plan = planned(make_repository(SHARING), "csrc", in_place=True)
    after = texts(plan)
    assert errors(plan) == []
    assert "TSA720" not in codes(plan)
    assert after["setup.py"].count("TORCH_TARGET_VERSION") == 1
    assert "_stable_libtorch" not in "".join(after.values())
    for name in ("twice", "thrice"):
        assert f'm.impl("{name}", TORCH_BOX(&{name}));' in after[f"csrc/{name}.cpp"]
        assert "torch::stable::Tensor" in after[f"csrc/{name}_gpu.cu"]
    again = planned(make_repository({**SHARING, **after}), "csrc", in_place=True)
    assert [file.new_path for file in again.files] == []


def test_a_call_that_makes_others_too_is_left_to_a_person(make_repository: MakeRepository) -> None:
    plan = planned(make_repository(SHARING), "csrc/twice.cpp", "csrc/twice_gpu.cu", in_place=True)
    after = texts(plan)
    assert "TORCH_TARGET_VERSION" not in after.get("setup.py", "")
    assert "STABLE_TORCH_LIBRARY" in after["csrc/twice.cpp"]
    assert any("this call makes _twice_" in message and "other extensions" in message for message in errors(plan))


def test_a_unit_of_another_library_that_keeps_torch_makes_it_a_split(make_repository: MakeRepository) -> None:
    plan = planned(make_repository(SHARING), "csrc/twice.cpp", in_place=True)
    (found, *_) = [d.message for d in plan.diagnostics if d.code == "TSA720"]
    assert "csrc/twice_gpu.cu, which is built into it, uses torch and was not asked for" in found


TWO_MODULES = {
    "src/libpkg/twice.cpp": _unit("twice"),
    "src/libpkg/info.cpp": '#include "info.h"\n\nbool has_device(const at::Tensor& x) { return x.is_cuda(); }\n',
    "src/libpkg/info.h": "#pragma once\n#include <torch/types.h>\n\nbool has_device(const at::Tensor& x);\n",
    "src/libpkg/python/bind.cpp": '#include <torch/extension.h>\n#include "../info.h"\n\n'
    'PYBIND11_MODULE(_pkg, m) {\n  m.def("has_device", &has_device);\n}\n',
    "src/pkg/__init__.py": "import torch\n",
    "src/pkg/extension.py": "import torch\nimport pkg.lib._pkg\n\n\ndef on_device(x):\n"
    "    return pkg.lib._pkg.has_device(x)\n",
    "tools/convert.py": "import pkg\n",
    "CMakeLists.txt": "cmake_minimum_required(VERSION 3.26)\nproject(pkg)\nadd_subdirectory(src/libpkg)\n",
    "src/libpkg/CMakeLists.txt": "made_elsewhere(libpkg twice.cpp info.cpp)\nmade_elsewhere(_pkg python/bind.cpp)\n",
}


def test_functions_of_another_module_than_the_library_are_called_as_operators(make_repository: MakeRepository) -> None:
    plan = planned(make_repository(TWO_MODULES), "src/libpkg/twice.cpp", "src/libpkg/info.cpp")
    after = texts(plan)
    assert "m.def(" not in after["src/libpkg/python/bind.cpp"]
    assert "return torch.ops.pkg_lib.has_device(x)" in after["src/pkg/extension.py"]
    assert "tools/convert.py" not in after  # the package itself is no extension module


LOADED = {
    "csrc/twice.cpp": "#include <torch/extension.h>\n\nat::Tensor twice(const at::Tensor& x) { return at::empty_like(x); }\n"
    '\nPYBIND11_MODULE(TORCH_EXTENSION_NAME, m) { m.def("twice", &twice); }\n',
    "fast/__init__.py": "import os\nfrom torch.utils.cpp_extension import load\n\nhere = os.path.dirname(__file__)\n"
    '_C = load(name="fast_C", sources=[os.path.join(here, "..", "csrc", "twice.cpp")])\n',
    "fast/words.py": 'NAMES = ["twice.cpp"]\n',
}


def test_what_is_compiled_when_it_is_imported(make_repository: MakeRepository) -> None:
    """Where the library moves all the same, the call has a line with its flags; another list of names has none."""
    plan = planned(make_repository(LOADED), "csrc/twice.cpp", in_place=False)
    (found,) = [one for one in plan.diagnostics if one.code == "TSA652"]
    assert found.path == "fast/__init__.py"
    assert found.message.startswith("this compiles twice.cpp")
    assert 'extra_cflags=["-DTORCH_TARGET_VERSION=0x020b000000000000ULL"], is_python_module=False' in found.help


@pytest.mark.parametrize("in_place", [True, None])
def test_what_python_compiles_is_converted_where_it_is(make_repository: MakeRepository, in_place: bool | None) -> None:
    plan = planned(make_repository(LOADED), "csrc/twice.cpp", in_place=in_place)
    assert not [one for one in plan.diagnostics if one.code == "TSA652"]
    (loading,) = [one for one in plan.files if one.old_path == "fast/__init__.py"]
    flags = b'extra_cflags=["-DTORCH_TARGET_VERSION=0x020b000000000000ULL"], is_python_module=False'
    assert flags in (loading.after or b"")


def test_helpers_in_the_stable_folder_do_not_make_the_next_group_move(make_repository: MakeRepository) -> None:
    """A first group in place leaves headers and bindings in that folder: what comes after stays where it is, too."""
    both = {**TREE, **LATER}
    first = planned(make_repository(both), "csrc/twice.cpp", in_place=True)
    tree = {path: text for path, text in both.items() if path not in {one.old_path for one in first.files}}
    helpers = {"csrc/libtorch_stable/torch_utils.h": "#pragma once\n"}
    second = planned(make_repository({**tree, **texts(first), **helpers}), "csrc/thrice.cpp")
    assert second.files
    assert all(file.old_path in (None, file.new_path) for file in second.files)


def test_a_file_does_not_move_onto_another(make_repository: MakeRepository) -> None:
    there = {"csrc/libtorch_stable/twice.cpp": "int other() { return 1; }\n"}
    with pytest.raises(Refusal, match=r"csrc/libtorch_stable/twice\.cpp is in the way: csrc/twice\.cpp would move"):
        planned(make_repository({**TREE, **there}), "csrc/twice.cpp", in_place=False)
