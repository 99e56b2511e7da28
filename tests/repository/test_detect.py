"""Layouts of repositories nobody configured. Each test is one kind of project."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from torch_stabilize.buildfiles.modules import setup_modules
from torch_stabilize.config import load_config
from torch_stabilize.layout.detect import detect_layout
from torch_stabilize.model import Refusal
from torch_stabilize.repository.layout import Layout, Library
from torch_stabilize.repository.snapshot import Snapshot, open_snapshot
from torch_stabilize.repository.sources import include_graph

MakeRepository = Callable[..., Snapshot]
Files = dict[str, "str | bytes"]


def layout_of(snapshot: Snapshot) -> Layout:
    return detect_layout(snapshot, load_config(snapshot))


def test_an_extension_with_csrc(extension: Snapshot) -> None:
    assert layout_of(extension) == Layout(
        source_root="csrc",
        stable_root="csrc/libtorch_stable",
        legacy_library="_C",
        stable_library="_C_stable_libtorch",
        legacy_bindings=("csrc/bindings.cpp",),
        stable_bindings="csrc/libtorch_stable/torch_bindings.cpp",
        legacy_declarations=("csrc/ops.h",),
        stable_declarations="csrc/libtorch_stable/ops.h",
        stable_helpers="csrc/libtorch_stable/torch_utils.h",
        stable_dispatch="csrc/libtorch_stable/dispatch_utils.h",
        cmake_files=(),
        setup_files=("setup.py",),
        python_roots=("pkg",),
        project_root="",
        include_roots=("csrc", "csrc/libtorch_stable", ""),
        libraries=(
            Library(
                "_C",
                ("csrc/bindings.cpp",),
                stable_name="_C_stable_libtorch",
                stable_bindings="csrc/libtorch_stable/torch_bindings.cpp",
                stable_declarations="csrc/libtorch_stable/ops.h",
            ),
        ),
    )


def test_folders_that_a_build_file_searches_are_include_roots(
    make_repository: MakeRepository, extension_files: Files
) -> None:
    before = extension_files["setup.py"]
    assert isinstance(before, str)
    setup = before.replace("sources=", "include_dirs=[os.path.abspath('./csrc/common/device')], sources=")
    assert setup != before
    files = {**extension_files, "setup.py": setup, "csrc/common/device/loop.h": "", "csrc/other/loop.h": ""}
    assert layout_of(make_repository(files)).include_roots == ("csrc", "csrc/libtorch_stable", "", "csrc/common/device")


def test_landing_keeps_the_folders_below_the_source_root(extension: Snapshot) -> None:
    layout = layout_of(extension)
    assert layout.landing("csrc/quant/a.cu") == "csrc/libtorch_stable/quant/a.cu"
    assert layout.landing("csrc/libtorch_stable/a.cu") == "csrc/libtorch_stable/a.cu"
    assert layout.is_stable("csrc/libtorch_stable/a.cu")
    assert not layout.is_stable("csrc/a.cu")


PYBIND = """\
#include <torch/extension.h>
torch::Tensor relu_cuda(torch::Tensor x);
torch::Tensor relu(torch::Tensor x) { return relu_cuda(x); }
PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) { m.def("relu", &relu, "relu"); }
"""


def test_a_plain_extension_at_the_root(make_repository: MakeRepository) -> None:
    layout = layout_of(
        make_repository(
            {
                "setup.py": "setup(ext_modules=[CUDAExtension('fast_relu', ['relu.cpp', 'relu_kernel.cu'])])\n",
                "relu.cpp": PYBIND,
                "relu_kernel.cu": "torch::Tensor relu_cuda(torch::Tensor x) { return x; }\n",
                "use.py": "import fast_relu\n",
            }
        )
    )
    assert (layout.source_root, layout.stable_root) == ("", "libtorch_stable")
    assert (layout.legacy_library, layout.stable_library) == ("fast_relu", "fast_relu_stable_libtorch")
    assert layout.legacy_bindings == ("relu.cpp",)
    assert layout.landing("relu_kernel.cu") == "libtorch_stable/relu_kernel.cu"
    assert layout.python_roots == ("",)


def test_sources_inside_a_python_package(make_repository: MakeRepository) -> None:
    layout = layout_of(
        make_repository(
            {
                "setup.py": "ext = CppExtension('vision._C', sources=glob('vision/csrc/**/*.cpp'))\n",
                "vision/__init__.py": "from . import _C\n",
                "vision/csrc/ops/bind/all.cpp": PYBIND,
            }
        )
    )
    assert layout.source_root == "vision/csrc"
    assert layout.python_roots == ("vision",)


def test_modules_next_to_their_sources_in_subpackages(make_repository: MakeRepository) -> None:
    """The package is the folder of all sources, and no subpackage is one of its own."""
    layout = layout_of(
        make_repository(
            {
                "setup.py": "a = CppExtension('nets.sums.sum_cpu', ['nets/sums/sum_cpu.cpp'])\n"
                "b = CppExtension('nets.hashes.hash_cpu', ['nets/hashes/hash_cpu.cpp'])\n",
                "nets/__init__.py": "",
                "nets/sums/__init__.py": "from .sum_cpu import sum\n",
                "nets/sums/sum_cpu.cpp": PYBIND,
                "nets/hashes/__init__.py": "from .hash_cpu import hash\n",
                "nets/hashes/hash_cpu.cpp": PYBIND,
            }
        )
    )
    assert layout.source_root == "nets"
    assert layout.python_roots == ("nets",)


@pytest.mark.parametrize("maker", ["CppExtension", "extension"])
def test_a_module_is_not_called_as_the_package_it_is_built_into(make_repository: MakeRepository, maker: str) -> None:
    layout = layout_of(
        make_repository(
            {
                "setup.py": "extension = CppExtension\n"
                f"ext = {maker}('vision.csrc', sources=sources_of('vision/csrc'))\n",
                "vision/__init__.py": "from . import csrc\n",
                "vision/csrc/ext.cpp": 'TORCH_LIBRARY(vision, m) { m.def("f() -> int", &f); }\n',
            }
        )
    )
    assert (layout.legacy_library, layout.stable_library) == ("csrc", "csrc_stable_libtorch")


MODULES_IN_CMAKE = """\
set(SRCS "csrc/ops/a.cu")   # csrc/moe/bindings.cpp is not part of it
list(APPEND SRCS
  "csrc/bindings.cpp")
define_extension_target(_core SOURCES ${SRCS} LANGUAGE CUDA)
set(MOE_SRCS ${CMAKE_CURRENT_SOURCE_DIR}/csrc/moe/bindings.cpp)
Python_add_library(_moe MODULE ${MOE_SRCS})
"""


def library(namespace: str, *ops: str, key: str = "CUDA") -> str:
    lines = [f'  m.def("{op}(Tensor x) -> Tensor");\n  m.impl("{op}", torch::k{key}, &{op});\n' for op in ops]
    return f"TORCH_LIBRARY_EXPAND({namespace}, m) {{\n{''.join(lines)}}}\n"


def test_several_libraries_are_named_by_their_targets(make_repository: MakeRepository) -> None:
    layout = layout_of(
        make_repository(
            {
                "CMakeLists.txt": MODULES_IN_CMAKE,
                "csrc/bindings.cpp": library("TORCH_EXTENSION_NAME", "scale"),
                "csrc/moe/bindings.cpp": library("TORCH_EXTENSION_NAME", "route"),
                "csrc/ops/a.cu": 'TORCH_LIBRARY_IMPL(TORCH_EXTENSION_NAME, CUDA, m) { m.impl("scale", &scale); }',
            }
        )
    )
    assert [(library.name, library.bindings) for library in layout.libraries] == [
        ("_core", ("csrc/bindings.cpp",)),
        ("_moe", ("csrc/moe/bindings.cpp",)),
    ]
    assert layout.legacy_bindings == ("csrc/bindings.cpp", "csrc/moe/bindings.cpp", "csrc/ops/a.cu")
    assert layout.cmake_files == ("CMakeLists.txt",)


TWO_LIBRARIES: Files = {
    "CMakeLists.txt": (
        'define_extension_target(_core SOURCES "csrc/bindings.cpp" "csrc/scale.cu" "csrc/moe/early.cu")\n'
        'define_extension_target(_moe SOURCES "csrc/moe/bindings.cpp" "csrc/moe/route.cu")\n'
    ),
    "csrc/bindings.cpp": library("TORCH_EXTENSION_NAME", "scale"),
    "csrc/scale.cu": "void scale(at::Tensor x) {}\n",
    "csrc/moe/bindings.cpp": '#include "moe_ops.h"\n' + library("TORCH_EXTENSION_NAME", "route"),
    "csrc/moe/moe_ops.h": "void route(at::Tensor x);\n",
    "csrc/moe/route.cu": "void route(at::Tensor x) {}\n",
    "csrc/moe/early.cu": "void early(at::Tensor x) {}\n",
    "csrc/moe/unlisted.cu": "void more(at::Tensor x) {}\n",
}


@pytest.mark.parametrize(
    ("units", "library"),
    [
        (["csrc/scale.cu"], "_core"),
        (["csrc/moe/route.cu"], "_moe"),
        (["csrc/libtorch_stable/moe/route.cu"], "_moe"),
        (["csrc/moe/early.cu"], "_core"),  # the build file knows better than the folder
        (["csrc/moe/unlisted.cu"], "_moe"),
        (["csrc/scale.cu", "csrc/moe/route.cu"], "_core"),  # of both: the main one
        ([], "_core"),
    ],
)
def test_a_group_migrates_the_library_its_units_belong_to(
    make_repository: MakeRepository, units: list[str], library: str
) -> None:
    layout = layout_of(make_repository(TWO_LIBRARIES)).for_units(units)
    assert layout.legacy_library == library
    assert layout.stable_library == f"{library}_stable_libtorch"
    assert (layout.stable_bindings, layout.stable_declarations) == {
        "_core": ("csrc/libtorch_stable/torch_bindings.cpp", "csrc/libtorch_stable/ops.h"),
        "_moe": ("csrc/libtorch_stable/moe/bindings.cpp", "csrc/libtorch_stable/moe/moe_ops.h"),
    }[library]


def test_modules_side_by_side_stay_apart(make_repository: MakeRepository) -> None:
    """Each with a file of its own: what migrates of one is neither imported nor registered by another."""
    files: Files = {
        "setup.py": "ext = [CppExtension('one', ['csrc/one.cpp']), CppExtension('two', ['csrc/two.cpp'])]\n",
        "csrc/one.cpp": PYBIND,
        "csrc/two.cpp": PYBIND.replace("relu", "gelu"),
    }
    layout = layout_of(make_repository(files))
    second = layout.for_units(["csrc/two.cpp"])
    assert (layout.legacy_library, second.legacy_library) == ("one", "two")
    assert (layout.stable_library, second.stable_library) == ("one_stable_libtorch", "two_stable_libtorch")
    assert second.stable_bindings == "csrc/libtorch_stable/two_bindings.cpp"
    moved = {
        "csrc/libtorch_stable/two_bindings.cpp": (
            "STABLE_TORCH_LIBRARY(two, m) {}\nPyMODINIT_FUNC PyInit_two_stable_libtorch();\n"
        )
    }
    later = layout_of(make_repository({**files, **moved}))
    assert later.stable_library == "one_stable_libtorch"
    assert later.stable_bindings == "csrc/libtorch_stable/torch_bindings.cpp"
    assert later.for_units(["csrc/two.cpp"]).stable_bindings == "csrc/libtorch_stable/two_bindings.cpp"


@pytest.mark.parametrize("op", ["scale", "only_on_cpu"])
def test_a_cpu_build_of_the_same_ops_is_another_build(make_repository: MakeRepository, op: str) -> None:
    layout = layout_of(
        make_repository(
            {
                "csrc/bindings.cpp": library("TORCH_EXTENSION_NAME", "scale"),
                "csrc/cpu/bindings.cpp": library("TORCH_EXTENSION_NAME", op, key="CPU"),
                "csrc/cpu/late.cpp": 'TORCH_LIBRARY_IMPL(_C, CPU, m) { m.impl("scale", &scale_cpu); }',
            }
        )
    )
    other = ("csrc/cpu/bindings.cpp",) if op == "scale" else ()
    assert layout.other_builds == other
    assert ("csrc/cpu/bindings.cpp" in layout.legacy_bindings) is not bool(other)
    assert "csrc/cpu/late.cpp" in layout.legacy_bindings, "an implementation of the main library's own ops"


HALF_WAY: Files = {
    "CMakeLists.txt": (
        'pybind11_add_module(_ext "src/bindings.cpp")\n'
        'pybind11_add_module(_ext_v2 "src/abi_stable/register.cpp")\n'
        "target_compile_definitions(_ext_v2 PRIVATE TORCH_TARGET_VERSION=0x020a000000000000ULL)\n"
    ),
    "src/bindings.cpp": library("_ext", "scale"),
    "src/abi_stable/register.cpp": (
        '#include "declared.h"\nSTABLE_TORCH_LIBRARY_FRAGMENT(_ext, m) { m.def("shift(Tensor x) -> Tensor"); }\n'
        'STABLE_TORCH_LIBRARY_IMPL(_ext, CUDA, m) { m.impl("shift", TORCH_BOX(&shift)); }\n'
    ),
    "src/abi_stable/declared.h": "torch::stable::Tensor shift(torch::stable::Tensor x);\n",
    "src/abi_stable/deep/stream.h": "inline void f() { aoti_torch_get_current_cuda_stream(0, nullptr); }\n",
    "src/abi_stable/types.h": "#define DISPATCH(T, N, ...) \\\n  THO_DISPATCH_SWITCH(T, N, __VA_ARGS__)\n",
}


def test_what_a_started_migration_has_is_used(make_repository: MakeRepository) -> None:
    layout = layout_of(make_repository(HALF_WAY))
    assert (layout.source_root, layout.stable_root) == ("src", "src/abi_stable")
    assert (layout.legacy_library, layout.stable_library) == ("_ext", "_ext_v2")
    assert layout.legacy_bindings == ("src/bindings.cpp",)
    assert layout.stable_bindings == "src/abi_stable/register.cpp"
    assert layout.stable_declarations == "src/abi_stable/declared.h"
    assert layout.stable_helpers == "src/abi_stable/deep/stream.h"
    assert layout.stable_dispatch == "src/abi_stable/types.h"


def test_a_finished_migration_has_a_layout_too(make_repository: MakeRepository) -> None:
    files = {path: text for path, text in HALF_WAY.items() if path != "src/bindings.cpp"}
    layout = layout_of(make_repository(files))
    assert layout.legacy_bindings == ()
    assert layout.stable_bindings == "src/abi_stable/register.cpp"


def test_a_project_that_migrates_in_place_keeps_its_folders(make_repository: MakeRepository) -> None:
    files = {
        "src/old.cpp": library("_ext", "scale"),
        "src/new.cpp": "STABLE_TORCH_LIBRARY_FRAGMENT(_ext, m) {}\n",
    }
    layout = layout_of(make_repository(files))
    assert layout.stable_root == "src/libtorch_stable"
    assert layout.stable_bindings == "src/new.cpp"


def test_tests_and_vendored_projects_are_not_the_extension(make_repository: MakeRepository) -> None:
    layout = layout_of(
        make_repository(
            {
                "tests/a.cpp": library("test_lib", "x", "y", "z"),
                "third_party/b.cpp": library("their_lib", "x", "y", "z"),
                "kernels/deep/c.cpp": library("my_lib", "scale"),
            }
        )
    )
    assert layout.legacy_bindings == ("kernels/deep/c.cpp",)
    assert layout.source_root == "kernels"
    assert layout.legacy_library == "my_lib"


def monorepo(files: Files) -> Files:
    inside = {f"libs/ext/{path}": text for path, text in files.items()}
    return {"README.md": "many things", "apps/web/setup.py": "setup()\n", **inside}


def test_an_extension_in_a_subfolder(make_repository: MakeRepository, extension_files: Files) -> None:
    layout = layout_of(make_repository(monorepo(extension_files)))
    assert layout.project_root == "libs/ext"
    assert layout.source_root == "libs/ext/csrc"
    assert layout.stable_root == "libs/ext/csrc/libtorch_stable"
    assert layout.setup_files == ("libs/ext/setup.py",)
    assert layout.python_roots == ("libs/ext/pkg",)
    assert layout.legacy_declarations == ("libs/ext/csrc/ops.h",)


def test_the_folder_a_run_starts_in_picks_the_extension(
    make_repository: MakeRepository, extension_files: Files
) -> None:
    root = make_repository(
        {**monorepo(extension_files), "libs/other/setup.py": "", "libs/other/src/b.cpp": library("other", "f")}
    ).root
    for start, source_root in [
        ("libs/other", "libs/other/src"),
        ("libs/ext", "libs/ext/csrc"),
        ("libs/ext/pkg", "libs/ext/csrc"),
    ]:
        assert layout_of(open_snapshot(root / start)).source_root == source_root


def test_configuration_wins(make_repository: MakeRepository, extension_files: Files) -> None:
    config = (
        'source_root = "csrc"\nstable_root = "stable"\nlegacy_library = "_A"\nstable_library = "_B"\n'
        'legacy_bindings = ["csrc/bindings.cpp"]\nstable_bindings = "stable/reg.cpp"\npython_roots = ["py"]\n'
    )
    layout = layout_of(make_repository({**extension_files, "torch-stabilize.toml": config}))
    assert (layout.stable_root, layout.legacy_library, layout.stable_library) == ("stable", "_A", "_B")
    assert layout.stable_bindings == "stable/reg.cpp"
    assert layout.stable_helpers == "stable/torch_utils.h"
    assert layout.python_roots == ("py",)


@pytest.mark.parametrize("key", ['source_root = "nowhere"', 'legacy_bindings = ["nowhere.cpp"]'])
def test_configured_places_must_exist(make_repository: MakeRepository, extension_files: Files, key: str) -> None:
    with pytest.raises(Refusal, match="nowhere") as caught:
        layout_of(make_repository({**extension_files, "torch-stabilize.toml": key}))
    assert caught.value.exit_code == 2


def test_no_source_at_all_is_refused(make_repository: MakeRepository) -> None:
    with pytest.raises(Refusal, match="no C\\+\\+ or CUDA source") as caught:
        layout_of(make_repository({"README.md": "nothing here"}))
    assert caught.value.exit_code == 2


def test_sources_without_registrations_still_have_a_layout(make_repository: MakeRepository) -> None:
    layout = layout_of(make_repository({"src/deep/a.cu": "at::Tensor f();", "src/deep/b.cu": "at::Tensor g();"}))
    assert layout.source_root == "src/deep"
    assert layout.legacy_bindings == ()


def test_a_migration_without_registrations_continues_where_it_began(make_repository: MakeRepository) -> None:
    """What is left is in a folder of its own: what moved before moves no further."""
    stable = "#include <torch/csrc/stable/tensor.h>\ntorch::stable::Tensor f();\n"
    layout = layout_of(make_repository({"src/libtorch_stable/a.cu": stable, "src/cpu/b.cpp": "at::Tensor g();"}))
    assert (layout.source_root, layout.stable_root) == ("src", "src/libtorch_stable")


def test_a_project_of_its_own_below_the_sources_is_left_out(make_repository: MakeRepository) -> None:
    """csrc/extra has a setup.py: it is built by itself, and no group of the outer project touches it."""
    files = {
        "setup.py": "CUDAExtension('outer', ['csrc/main/bind.cpp'])\n",
        "csrc/main/bind.cpp": library("outer", "scale"),
        "csrc/extra/setup.py": "CUDAExtension('inner', ['bind.cpp', 'norm.cu'])\n",
        "csrc/extra/bind.cpp": library("inner", "norm"),
        "csrc/extra/norm.cu": "void norm(at::Tensor x) {}\n",
    }
    snapshot = make_repository(files)
    layout = layout_of(snapshot)
    assert layout.legacy_bindings == ("csrc/main/bind.cpp",)
    assert "csrc/extra/norm.cu" not in include_graph(snapshot, layout, load_config(snapshot)).files
    inner = open_snapshot(snapshot.root / "csrc/extra")
    assert layout_of(inner).legacy_bindings == ("csrc/extra/bind.cpp",)


def test_the_main_library_is_the_one_for_the_accelerator(make_repository: MakeRepository) -> None:
    """Even where the CPU build's bindings stand first and higher up."""
    layout = layout_of(
        make_repository(
            {
                "csrc/a_cpu.cpp": library("TORCH_EXTENSION_NAME", "scale", "more", key="CPU"),
                "csrc/cuda/z.cpp": library("TORCH_EXTENSION_NAME", "scale"),
            }
        )
    )
    assert layout.legacy_bindings == ("csrc/cuda/z.cpp",)
    assert layout.other_builds == ("csrc/a_cpu.cpp",)


@pytest.mark.parametrize(
    ("setup", "modules"),
    [
        (
            'for name in ("left", "right"):\n    extensions.append(CppExtension(f"pkg._{name}", [f"csrc/{name}.cpp"]))\n',
            {"_left": "csrc/left.cpp", "_right": "csrc/right.cpp"},
        ),
        (
            'for name, files in [("_left", ["csrc/left.cpp"])]:\n    extensions.append(CppExtension("pkg." + name, files))\n',
            {"_left": "csrc/left.cpp"},
        ),
        (
            "def make(name, files):\n    kind = CUDAExtension if CUDA else CppExtension\n"
            '    return kind(name=f"pkg.{name}", sources=[os.path.join("csrc", f) for f in files])\n'
            'extensions = [make("_left", ["left.cpp"]), make(name="_right", files=["right.cpp"])]\n',
            {"_left": "left.cpp", "_right": "right.cpp"},
        ),
        ('for path in glob("*.cpp"):\n    extensions.append(CppExtension(f"pkg._{path}", [path]))\n', {}),
    ],
)
def test_modules_of_loops_and_functions(setup: str, modules: dict[str, str]) -> None:
    snapshot = Snapshot(Path(), ("setup.py",), {"setup.py": setup.encode()})
    found = {module.name: module.sources for module in setup_modules(snapshot, "setup.py")}
    assert found.keys() == modules.keys()
    assert all(source in found[name] for name, source in modules.items())


def test_declarations_behind_a_header_that_only_includes(make_repository: MakeRepository) -> None:
    library = 'TORCH_LIBRARY(_C, m) {\n  m.def("f(Tensor x) -> ()", &f);\n}\n'
    files = {
        "csrc/bindings.cpp": f'#include "all.h"\n{library}',
        "csrc/all.h": '#pragma once\n// All there is.\n#include "f.h"\n#include "types.h"\n',
        "csrc/f.h": "#pragma once\nC10_EXPORT void f(at::Tensor x);\n",
        "csrc/types.h": "#pragma once\nusing Mode = int64_t;\n",
        "csrc/f.cpp": '#include "f.h"\nvoid f(at::Tensor x) {}\n',
    }
    assert layout_of(make_repository(files)).legacy_declarations == ("csrc/f.h",)
