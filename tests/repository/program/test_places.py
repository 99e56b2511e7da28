"""Where things are after a migration: includes that only the old place reached, and edits that meet."""

from __future__ import annotations

from textwrap import dedent

from tests.repository.program.planning import migrated

_PYTHON = {"oven/__init__.py": "from . import _C\n"}
_BIND = """
    #include <torch/library.h>
    #include <torch/all.h>
    void toast(at::Tensor& x);
    TORCH_LIBRARY(oven, m) {
      m.def("toast(Tensor(a!) x) -> ()");
      m.impl("toast", torch::kCPU, &toast);
    }
"""
_TOAST = """
    #include <torch/all.h>
    #include "slots/wide/slot.h"
    void toast(at::Tensor& x) { TORCH_CHECK(x.dim() == slots()); x.zero_(); }
"""
_CMAKE = """
    cmake_minimum_required(VERSION 3.26)
    project(oven LANGUAGES CXX)
    Python_add_library(_C MODULE "csrc/bind.cpp" "csrc/slots/wide/toast.cpp")
    target_include_directories(_C PRIVATE csrc)
"""


def test_an_include_that_no_folder_of_the_build_reaches_afterwards() -> None:
    done = migrated({
        **_PYTHON,
        "CMakeLists.txt": _CMAKE,
        "csrc/bind.cpp": _BIND,
        "csrc/slots/wide/toast.cpp": _TOAST,
        "csrc/slots/wide/slot.h": "#pragma once\ninline int slots() { return 2; }\n",
    })  # fmt: skip
    assert done.by_hand == []
    assert '#include "slot.h"\n' in done.text("csrc/libtorch_stable/slots/wide/toast.cpp")


def test_an_include_that_a_folder_of_the_build_reaches_still() -> None:
    done = migrated({
        **_PYTHON,
        "CMakeLists.txt": _CMAKE.replace('"csrc/slots', '"csrc/plug.cpp" "csrc/slots'),
        "csrc/bind.cpp": _BIND,
        "csrc/plug.cpp": '#include "slots/wide/slot.h"\nint plug() { return slots(); }\n',
        "csrc/slots/wide/toast.cpp": _TOAST,
        "csrc/slots/wide/slot.h": "#pragma once\ninline int slots() { return 2; }\n",
    })  # fmt: skip
    assert done.by_hand == []
    assert '#include "slots/wide/slot.h"\n' in done.text("csrc/libtorch_stable/slots/wide/toast.cpp")


def test_a_declaration_and_the_block_below_it_go_together() -> None:
    files = {
        **_PYTHON,
        "CMakeLists.txt": _CMAKE.replace('"csrc/slots', '"csrc/plug.cpp" "csrc/slots'),
        "csrc/bind.cpp": """
            #include <torch/library.h>
            #include <torch/all.h>
            void plug(at::Tensor& x);

            void toast(at::Tensor& x);

            TORCH_LIBRARY_IMPL(oven, CPU, m) {
              m.impl("toast", &toast);
            }

            TORCH_LIBRARY(oven, m) {
              m.def("toast(Tensor(a!) x) -> ()");
              m.def("plug(Tensor(a!) x) -> ()", &plug);
            }
        """,
        "csrc/plug.cpp": "#include <torch/all.h>\nvoid plug(at::Tensor& x) { x.zero_(); }\n",
        "csrc/slots/wide/toast.cpp": _TOAST.replace('    #include "slots/wide/slot.h"\n', "").replace("slots()", "2"),
    }
    done = migrated(files, ["csrc/slots/wide/toast.cpp"])
    assert done.by_hand == []
    assert done.text("csrc/bind.cpp").partition("all.h>\n")[2] == dedent("""\
        void plug(at::Tensor& x);

        TORCH_LIBRARY(oven, m) {
          m.def("plug(Tensor(a!) x) -> ()", &plug);
        }
    """)
