"""A library that a migration leaves with nothing goes; one that something still speaks of stays and still builds."""

from __future__ import annotations

from textwrap import dedent

import pytest

from tests.repository.program.planning import Migrated, migrated, tree_of

_SETUP = """
    from setuptools import setup
    from torch.utils.cpp_extension import BuildExtension, CppExtension

    setup(
        name="tea",
        packages=["tea"],
        ext_modules=[
            CppExtension("tea._C", ["csrc/bind.cpp", "csrc/steep.cpp", "csrc/pour.cpp"]),
        ],
        cmdclass={"build_ext": BuildExtension},
    )
"""
_BIND = """
    #include <Python.h>
    #include <torch/library.h>
    #include "ops.h"

    TORCH_LIBRARY(tea, m) {
      m.def("steep(Tensor x) -> Tensor");
      m.impl("steep", torch::kCPU, &steep);
      m.def("pour(Tensor x) -> Tensor");
      m.impl("pour", torch::kCPU, &pour);
    }

    PyMODINIT_FUNC PyInit__C(void) {
      static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_C", nullptr, 0, nullptr};
      return PyModule_Create(&module);
    }
"""
_TREE = {
    "setup.py": _SETUP,
    "csrc/ops.h": """
        #pragma once
        #include <torch/all.h>
        at::Tensor steep(at::Tensor x);
        at::Tensor pour(at::Tensor x);
    """,
    "csrc/bind.cpp": _BIND,
    "csrc/steep.cpp": '#include "ops.h"\nat::Tensor steep(at::Tensor x) { return torch::empty_like(x); }\n',
    "csrc/pour.cpp": '#include "ops.h"\nat::Tensor pour(at::Tensor x) { return torch::empty_like(x); }\n',
    "tea/__init__.py": "from . import _C\n",
}
_CMAKE = """
    cmake_minimum_required(VERSION 3.26)
    project(tea LANGUAGES CXX)
    find_package(Torch REQUIRED)
    set(TEA_SRC "csrc/bind.cpp" "csrc/steep.cpp")
    list(APPEND TEA_SRC "csrc/pour.cpp")
    Python_add_library(_C MODULE USE_SABI 3 ${TEA_SRC})
    target_link_libraries(_C PRIVATE ${TORCH_LIBRARIES})
    install(TARGETS _C LIBRARY DESTINATION tea)
"""
_CMAKE_SETUP = """
    from setuptools import setup
    from build_helpers import CMakeExtension, cmake_build_ext

    ext_modules = []
    ext_modules.append(CMakeExtension(name="tea._C"))
    setup(name="tea", packages=["tea"], ext_modules=ext_modules, cmdclass={"build_ext": cmake_build_ext})
"""


def _codes(done: Migrated) -> set[str]:
    return {one.code for one in done.said}


def _one_by_one(files: dict[str, str]) -> Migrated:
    done = migrated(files)
    assert [plan.group for plan in done.plans] == ["pour", "steep"]
    return done


def test_it_goes_with_its_entry_its_import_and_its_bindings() -> None:
    done = _one_by_one(_TREE)
    assert done.by_hand == []
    assert not {"csrc/bind.cpp", "csrc/ops.h"} & set(done.snapshot.files)
    assert '"tea._C"' not in done.text("setup.py")
    assert '"tea._C_stable_libtorch"' in done.text("setup.py")
    assert 'options={"bdist_wheel": {"py_limited_api": "cp310"}}' in done.text("setup.py")
    assert done.text("tea/__init__.py") == "from . import _C_stable_libtorch  # noqa: F401\n"
    (told,) = [one for one in done.said if one.code == "TSA714"]
    assert told.message.startswith("nothing is left of tea._C: it is no longer built, tea._C_stable_libtorch is loaded")
    assert "csrc/bind.cpp is removed, csrc/ops.h is removed" in told.message
    tags = [one.message for one in done.plans[-1].diagnostics if one.code == "TSA623"]
    assert tags == ["the wheel is tagged for every Python from cp310 on"]


def test_in_one_request() -> None:
    done = migrated(_TREE, ["csrc/steep.cpp", "csrc/pour.cpp"])
    assert done.by_hand == []
    assert '"tea._C"' not in done.text("setup.py")
    assert "TSA621" not in _codes(done), "built beside nothing"


def test_nothing_goes_as_long_as_something_is_registered() -> None:
    done = migrated(_TREE, ["pour"])
    assert '"tea._C"' in done.text("setup.py")
    assert "TSA714" not in _codes(done)


def test_lists_and_names_that_nothing_else_reads_go_too() -> None:
    setup = """
        from setuptools import setup
        from torch.utils.cpp_extension import BuildExtension, CppExtension

        flags = ["-O2"]
        sources = ["csrc/bind.cpp", "csrc/steep.cpp"]
        sources += ["csrc/pour.cpp"]
        ext = CppExtension("tea._C", sources, extra_compile_args=flags)
        ext_modules = [ext]
        setup(name="tea", packages=["tea"], ext_modules=ext_modules, cmdclass={"build_ext": BuildExtension})
    """
    done = migrated({**_TREE, "setup.py": setup}, ["csrc/steep.cpp", "csrc/pour.cpp"])
    assert done.by_hand == []
    text = done.text("setup.py")
    assert "csrc/bind.cpp" not in text
    assert "\nsources" not in text
    assert 'flags = ["-O2"]' in text
    assert '"tea._C"' not in text
    compile(text, "setup.py", "exec")


@pytest.mark.parametrize("tail", ["", "\n            flavour = 1"])
def test_an_extension_that_is_added_under_a_condition(tail: str) -> None:
    setup = f"""
        import os
        from setuptools import setup
        from torch.utils.cpp_extension import BuildExtension, CppExtension

        ext_modules = []
        if os.environ.get("TEA"):
            ext_modules.append(CppExtension("tea._C", ["csrc/bind.cpp", "csrc/steep.cpp", "csrc/pour.cpp"])){tail}
        setup(name="tea", packages=["tea"], ext_modules=ext_modules, cmdclass={{"build_ext": BuildExtension}})
    """
    done = migrated({**_TREE, "setup.py": setup}, ["csrc/steep.cpp", "csrc/pour.cpp"])
    assert done.by_hand == []
    compile(done.text("setup.py"), "setup.py", "exec")
    assert '"tea._C"' not in done.text("setup.py")
    assert '"tea._C_stable_libtorch"' in done.text("setup.py")


def test_a_target_of_cmake() -> None:
    done = _one_by_one({**_TREE, "setup.py": _CMAKE_SETUP, "CMakeLists.txt": _CMAKE})
    assert done.by_hand == []
    text = done.text("CMakeLists.txt")
    assert "Python_add_library(_C " not in text
    assert "(_C " not in text
    assert "TARGETS _C " not in text
    assert "{TEA_SRC}" not in text
    assert "set(TEA_SRC" not in text
    assert "install(TARGETS _C_stable_libtorch" in text
    assert '"tea._C"' not in done.text("setup.py")
    assert '"tea._C_stable_libtorch"' in done.text("setup.py")
    assert "csrc/bind.cpp" not in done.snapshot.files


def test_it_stays_where_another_target_needs_it() -> None:
    cmake = dedent(_CMAKE) + "add_custom_target(pack ALL DEPENDS _C)\n"
    done = _one_by_one({**_TREE, "setup.py": _CMAKE_SETUP, "CMakeLists.txt": cmake})
    assert done.by_hand == []
    (told,) = [one for one in done.said if one.code == "TSA715"]
    assert told.message == (
        "nothing is left of _C, which is built as before: CMakeLists.txt uses the target _C in add_custom_target()"
    )
    assert 'set(TEA_SRC "csrc/bind.cpp")' in done.text("CMakeLists.txt")
    assert "PyInit__C" in done.text("csrc/bind.cpp")


@pytest.mark.parametrize(
    ("python", "why"),
    [
        ("from . import _C\n\nwhere = _C.__file__\n", "tea/__init__.py uses _C"),
        ("import importlib.util\nfrom . import _C\n\nhas = importlib.util.find_spec('tea._C')\n", "looks for tea._C"),
    ],
)
def test_it_stays_where_python_speaks_of_it(python: str, why: str) -> None:
    done = _one_by_one({**_TREE, "tea/__init__.py": python})
    assert done.by_hand == []
    (told,) = [one for one in done.said if one.code == "TSA715"]
    assert why in told.message
    assert '"tea._C", ["csrc/bind.cpp"]' in done.text("setup.py")
    assert "PyInit__C" in done.text("csrc/bind.cpp")


@pytest.mark.parametrize(
    ("names", "left"),
    [
        ("_C, cups", "cups"),
        ("cups, _C", "cups"),
        ("cups, _C, pots", "cups, pots"),
        ("(\n    cups,\n    _C,\n)", "(\n    cups,\n)"),
    ],
)
def test_the_counterpart_is_imported_once(names: str, left: str) -> None:
    modules = {f"tea/{name}.py": "" for name in ("cups", "pots")}
    done = _one_by_one({**_TREE, **modules, "tea/__init__.py": f"from . import {names}\n"})
    assert done.text("tea/__init__.py") == f"from . import {left}\nfrom . import _C_stable_libtorch  # noqa: F401\n"


def test_a_try_around_the_import_goes_with_it() -> None:
    python = "try:\n    from . import _C\nexcept ImportError:\n    pass\n"
    done = _one_by_one({**_TREE, "tea/__init__.py": python})
    assert done.text("tea/__init__.py") == python.replace("_C", "_C_stable_libtorch")


def test_a_second_run_finds_nothing_to_do() -> None:
    done = _one_by_one(_TREE)
    again = migrated({path: done.text(path) for path in done.snapshot.files})
    assert again.plans == ()
    assert tree_of(_TREE).files != done.snapshot.files
