"""Registrations and declarations before and after: what a maintainer would have written."""

from __future__ import annotations

from dataclasses import replace

import pytest
from torch_stabilize.model import Severity
from torch_stabilize.repository.layout import Library

from tests.bindings.trees import BINDINGS, LAYOUT, OPS, STABLE_BINDINGS, STABLE_OPS, Migrated, dedented, migrate

UNIT = "csrc/norm.cu"
REGISTRATION = """
    #pragma once
    #include <Python.h>
    #define REGISTER_EXTENSION(NAME) \\
      PyMODINIT_FUNC PyInit_##NAME() { return nullptr; }
"""
TREE = {
    UNIT: """
        #include "ops.h"
        void norm(torch::Tensor& out, const torch::Tensor& x, double eps) {}
        void norm_half(torch::Tensor& out, const torch::Tensor& x) {}
        int64_t block_size(int64_t kind) { return kind; }
    """,
    "csrc/rest.cu": "void rest(torch::Tensor& out) {}\n",
    OPS: """
        #pragma once
        #include <torch/all.h>

        // Normalises rows.
        void norm(torch::Tensor& out, const torch::Tensor& x, double eps = 1e-5);

        void rest(torch::Tensor& out);

        #ifndef USE_ROCM
        void norm_half(torch::Tensor& out, const torch::Tensor& x);
        #endif

        int64_t block_size(int64_t kind);
    """,
    "csrc/core/registration.h": REGISTRATION,
    BINDINGS: """
        #include "core/registration.h"
        #include "ops.h"

        TORCH_LIBRARY_EXPAND(TORCH_EXTENSION_NAME, ops) {
          // Normalises rows.
          ops.def(
              "norm(Tensor! out, Tensor x, "
              "float eps=1e-5) -> ()");
          ops.impl("norm", torch::kCUDA, &norm);

          // Everything else.
          ops.def("rest(Tensor! out) -> ()");
          ops.impl("rest", torch::kCUDA, &rest);

        #ifndef USE_ROCM
          ops.def("norm_half(Tensor! out, Tensor x) -> ()");
          ops.impl("norm_half", torch::kCUDA, &norm_half);
        #endif

          ops.def("block_size", &block_size);
        }

        REGISTER_EXTENSION(TORCH_EXTENSION_NAME)
    """,
}


def test_a_new_stable_file() -> None:
    made = migrate(TREE, [UNIT])
    assert made.text(STABLE_BINDINGS) == dedented(
        """
        #include "ops.h"
        #include "../core/registration.h"

        #include <torch/csrc/stable/library.h>

        STABLE_TORCH_LIBRARY_FRAGMENT(_C, ops) {
          // Normalises rows.
          ops.def(
              "norm(Tensor! out, Tensor x, "
              "float eps=1e-5) -> ()");

        #ifndef USE_ROCM
          ops.def("norm_half(Tensor! out, Tensor x) -> ()");
        #endif

          ops.def("block_size(int kind) -> int");
        }

        STABLE_TORCH_LIBRARY_IMPL(_C, CUDA, ops) {
          ops.impl("norm", TORCH_BOX(&norm));

        #ifndef USE_ROCM
          ops.impl("norm_half", TORCH_BOX(&norm_half));
        #endif
        }

        STABLE_TORCH_LIBRARY_IMPL(_C, CompositeExplicitAutograd, ops) {
          ops.impl("block_size", TORCH_BOX(&block_size));
        }

        REGISTER_EXTENSION(_C_stable_libtorch)
        """
    )
    assert made.lost == ()


def test_the_legacy_file_is_tidy() -> None:
    made = migrate(TREE, [UNIT])
    assert made.text(BINDINGS) == dedented(
        """
        #include "core/registration.h"
        #include "ops.h"

        TORCH_LIBRARY_EXPAND(TORCH_EXTENSION_NAME, ops) {
          // Everything else.
          ops.def("rest(Tensor! out) -> ()");
          ops.impl("rest", torch::kCUDA, &rest);
        }

        REGISTER_EXTENSION(TORCH_EXTENSION_NAME)
        """
    )


def test_declarations_move_with_their_comments_conditions_and_defaults() -> None:
    made = migrate(TREE, [UNIT])
    assert made.text(STABLE_OPS) == dedented(
        """
        #pragma once

        #include <torch/csrc/stable/library.h>
        #include <torch/csrc/stable/tensor.h>

        #include <cstdint>

        // Normalises rows.
        void norm(torch::stable::Tensor& out, const torch::stable::Tensor& x,
                  double eps = 1e-5);

        #ifndef USE_ROCM
        void norm_half(torch::stable::Tensor& out, const torch::stable::Tensor& x);
        #endif

        int64_t block_size(int64_t kind);
        """
    )
    assert made.text(OPS) == dedented(
        """
        #pragma once
        #include <torch/all.h>

        void rest(torch::Tensor& out);
        """
    )


def test_what_the_run_says() -> None:
    made = migrate(TREE, [UNIT])
    assert made.messages("TSA504") == ["inferred `block_size(int kind) -> int`"]
    assert made.codes == {"TSA503", "TSA504"}


def test_a_second_run_does_nothing() -> None:
    made = migrate(TREE, [UNIT])
    unit = made.after.read(UNIT).replace(b"torch::Tensor", b"torch::stable::Tensor")
    landed = made.after.with_overlay({"csrc/libtorch_stable/norm.cu": unit, UNIT: b""})
    again = migrate(landed, ["csrc/libtorch_stable/norm.cu"])
    assert again.change.edits == ()
    assert again.change.created == ()


EXISTING = {
    **TREE,
    STABLE_BINDINGS: """
        #include "ops.h"

        #include <torch/csrc/stable/library.h>

        // What has moved so far.
        STABLE_TORCH_LIBRARY_FRAGMENT(_C, m) {
        #ifndef USE_ROCM
          m.def("first() -> int");
        #endif

          m.def("second() -> int");
        }

        STABLE_TORCH_LIBRARY_IMPL(_C, CompositeExplicitAutograd, m) {
        #ifndef USE_ROCM
          m.impl("first", TORCH_BOX(&first));
        #endif
          m.impl("second", TORCH_BOX(&second));
        }

        REGISTER_EXTENSION(_C_stable_libtorch)
    """,
    STABLE_OPS: """
        #ifndef STABLE_OPS_H
        #define STABLE_OPS_H
        #include <torch/csrc/stable/tensor.h>

        #ifndef USE_ROCM
        int64_t first();
        #endif
        int64_t second();

        #endif  // STABLE_OPS_H
    """,
}


def test_an_existing_file_keeps_its_layout() -> None:
    made = migrate(EXISTING, [UNIT])
    assert made.text(STABLE_BINDINGS) == dedented(
        """
        #include "ops.h"

        #include <torch/csrc/stable/library.h>

        // What has moved so far.
        STABLE_TORCH_LIBRARY_FRAGMENT(_C, m) {
        #ifndef USE_ROCM
          m.def("first() -> int");

          m.def("norm_half(Tensor! out, Tensor x) -> ()");
        #endif

          m.def("second() -> int");

          // Normalises rows.
          m.def(
              "norm(Tensor! out, Tensor x, "
              "float eps=1e-5) -> ()");

          m.def("block_size(int kind) -> int");
        }

        STABLE_TORCH_LIBRARY_IMPL(_C, CUDA, ops) {
          ops.impl("norm", TORCH_BOX(&norm));

        #ifndef USE_ROCM
          ops.impl("norm_half", TORCH_BOX(&norm_half));
        #endif
        }

        STABLE_TORCH_LIBRARY_IMPL(_C, CompositeExplicitAutograd, m) {
        #ifndef USE_ROCM
          m.impl("first", TORCH_BOX(&first));
        #endif
          m.impl("second", TORCH_BOX(&second));

          m.impl("block_size", TORCH_BOX(&block_size));
        }

        REGISTER_EXTENSION(_C_stable_libtorch)
        """
    )
    assert made.text(STABLE_OPS) == dedented(
        """
        #ifndef STABLE_OPS_H
        #define STABLE_OPS_H
        #include <torch/csrc/stable/tensor.h>

        #ifndef USE_ROCM
        int64_t first();

        void norm_half(torch::stable::Tensor& out, const torch::stable::Tensor& x);
        #endif
        int64_t second();

        // Normalises rows.
        void norm(torch::stable::Tensor& out, const torch::stable::Tensor& x,
                  double eps = 1e-5);

        int64_t block_size(int64_t kind);

        #endif  // STABLE_OPS_H
        """
    )


def test_line_ends_stay() -> None:
    data = {path: dedented(text).replace("\n", "\r\n") for path, text in EXISTING.items()}
    made = migrate(data, [UNIT])
    for path in (BINDINGS, STABLE_BINDINGS, OPS, STABLE_OPS):
        text = made.after.read(path)
        assert text.count(b"\n") == text.count(b"\r\n"), path


def test_what_a_function_was_handed_to_gives_way_to_an_adapter() -> None:
    files = {
        "csrc/soft.cu": """
            at::Tensor soft(at::Tensor& x, std::optional<const at::Tensor>& bias, float rate, int n) { return x; }
        """,
        OPS: "#pragma once\nat::Tensor soft(at::Tensor& x, std::optional<const at::Tensor>& bias, float rate, int n);\n",
        BINDINGS: """
            TORCH_LIBRARY_EXPAND(TORCH_EXTENSION_NAME, m) {
              m.def("soft(Tensor x, Tensor? bias, float rate, int n) -> Tensor");
              m.impl("soft", torch::kCUDA, with_wide_types(&soft));
            }
        """,
    }
    made = migrate(files, ["csrc/soft.cu"])
    bindings = made.text(STABLE_BINDINGS)
    assert 'm.impl("soft", TORCH_BOX(&soft_boxed));' in bindings
    assert "double rate, int64_t n" in bindings
    assert any("without with_wide_types" in found.message for found in made.change.diagnostics)
    assert "with_wide_types" not in made.text(BINDINGS)


def test_no_legacy_block_is_left_for_the_name_of_a_python_module() -> None:
    files = {
        "csrc/soft.cpp": """
            at::Tensor soft(at::Tensor x) { return x; }
            TORCH_LIBRARY_FRAGMENT(_C, m) {
              m.set_python_module("pkg._fakes");
              m.def("soft(Tensor x) -> Tensor", &soft);
            }
        """,
        BINDINGS: 'TORCH_LIBRARY(_C, m) {\n  m.def("other(Tensor x) -> Tensor");\n}\n',
    }
    made = migrate(files, ["csrc/soft.cpp"])
    assert "set_python_module" not in made.text("csrc/soft.cpp")
    assert any("pkg._fakes" in found.message for found in made.change.diagnostics)


def test_what_is_no_function_is_not_boxed_unseen() -> None:
    files = {
        "csrc/soft.cu": """
            at::Tensor soft(at::Tensor x) { return x; }
            TORCH_LIBRARY_IMPL(_C, CUDA, m) {
              m.impl("soft", torch::CppFunction::makeFallthrough());
            }
        """,
        BINDINGS: 'TORCH_LIBRARY(_C, m) {\n  m.def("soft(Tensor x) -> Tensor");\n}\n',
    }
    made = migrate(files, ["csrc/soft.cu"])
    assert [found.severity for found in made.change.diagnostics if "makeFallthrough" in found.message] == [
        Severity.ERROR
    ]


def test_units_that_register_themselves_are_edited_in_place() -> None:
    files = {
        "csrc/gemm.cu": """
            #include "core/registration.h"
            void gemm(torch::Tensor& out) {}
            int64_t workspace() { return 0; }

            TORCH_LIBRARY_IMPL_EXPAND(TORCH_EXTENSION_NAME, CUDA, m) {
              // Needs SM90.
              m.impl("gemm", &gemm);
            }

            TORCH_LIBRARY_IMPL_EXPAND(TORCH_EXTENSION_NAME, CatchAll, m) {
              m.impl(TORCH_SELECTIVE_NAME("workspace"), TORCH_FN(workspace));
            }
        """,
        OPS: "#pragma once\nvoid gemm(torch::Tensor& out);\n",
        BINDINGS: """
            TORCH_LIBRARY_EXPAND(TORCH_EXTENSION_NAME, m) {
              m.def("gemm(Tensor! out) -> ()");
              // conditionally compiled: its implementation is in its source file

              m.def("workspace() -> int");
            }
        """,
    }
    made = migrate(files, ["csrc/gemm.cu"])
    assert dedented(
        """
        STABLE_TORCH_LIBRARY_IMPL(_C, CUDA, m) {
          // Needs SM90.
          m.impl("gemm", TORCH_BOX(&gemm));
        }

        STABLE_TORCH_LIBRARY_IMPL(_C, CompositeExplicitAutograd, m) {
          m.impl("workspace", TORCH_BOX(&workspace));
        }
        """
    ) in made.text("csrc/gemm.cu")
    assert dedented(
        """
        STABLE_TORCH_LIBRARY_FRAGMENT(_C, m) {
          m.def("gemm(Tensor! out) -> ()");
          // conditionally compiled: its implementation is in its source file

          m.def("workspace() -> int");
        }
        """
    ) in made.text(STABLE_BINDINGS)
    assert "TORCH_LIBRARY" not in made.text(BINDINGS)
    assert not made.after.exists(STABLE_OPS)  # nobody needs a declaration
    assert "gemm" not in made.text(OPS)
    assert made.lost == ()


def test_namespaces_of_their_own_are_kept() -> None:
    files = {
        UNIT: "namespace cache { void copy(torch::Tensor& out) {} }\n",
        OPS: "#pragma once\nnamespace cache {\nvoid copy(torch::Tensor& out);\n}\n",
        BINDINGS: """
            TORCH_LIBRARY_EXPAND(CONCAT(TORCH_EXTENSION_NAME, _cache), cache_ops) {
              // Cache operators

              // Copies.
              cache_ops.def("copy(Tensor! out) -> ()");
              cache_ops.impl("copy", torch::kCPU, &cache::copy);
            }
        """,
    }
    made = migrate(files, [UNIT])
    assert dedented(
        """
        STABLE_TORCH_LIBRARY_FRAGMENT(_C_cache, cache_ops) {
          // Cache operators

          // Copies.
          cache_ops.def("copy(Tensor! out) -> ()");
        }

        STABLE_TORCH_LIBRARY_IMPL(_C_cache, CPU, cache_ops) {
          cache_ops.impl("copy", TORCH_BOX(&cache::copy));
        }
        """
    ) in made.text(STABLE_BINDINGS)
    assert "namespace cache {" in made.text(STABLE_OPS)
    assert made.text(BINDINGS).strip() == ""


def test_a_name_inside_a_namespace_is_written_out() -> None:
    files = {
        UNIT: "namespace inner { void f(torch::Tensor& out) {} }\n",
        BINDINGS: """
            namespace inner {
            TORCH_LIBRARY(my, m) {
              m.def("f(Tensor! out) -> ()");
              m.impl("f", torch::kCPU, &f);
            }
            }
        """,
    }
    assert "TORCH_BOX(&inner::f)" in migrate(files, [UNIT]).text(STABLE_BINDINGS)


def test_an_implementation_in_another_unit_stays() -> None:
    files = {
        "csrc/gpu.cu": "void f_gpu(torch::Tensor& out) {}\n",
        "csrc/cpu.cpp": "void f_cpu(torch::Tensor& out) {}\n",
        OPS: "#pragma once\nvoid f_gpu(torch::Tensor& out);\nvoid f_cpu(torch::Tensor& out);\n",
        BINDINGS: """
            TORCH_LIBRARY(my, m) {
              m.def("f(Tensor! out) -> ()");
              m.impl("f", torch::kCUDA, &f_gpu);
              m.impl("f", torch::kCPU, &f_cpu);
            }
        """,
    }
    made = migrate(files, ["csrc/gpu.cu"])
    assert made.text(BINDINGS) == dedented(
        """
        TORCH_LIBRARY(my, m) {
          m.impl("f", torch::kCPU, &f_cpu);
        }
        """
    )
    assert made.text(OPS) == "#pragma once\nvoid f_cpu(torch::Tensor& out);\n"
    assert made.codes == {"TSA502"}
    assert made.lost == ()
    rest = migrate(made.after, ["csrc/cpu.cpp"])
    assert 'm.impl("f", TORCH_BOX(&f_cpu));' in rest.text(STABLE_BINDINGS)
    assert "TORCH_LIBRARY" not in rest.text(BINDINGS)
    assert rest.lost == ()


def test_an_alternative_build_keeps_its_bindings_and_declarations() -> None:
    layout = replace(LAYOUT, other_builds=("csrc/cpu/torch_bindings.cpp",))
    files = {
        UNIT: "void f(torch::Tensor& out) {}\nvoid g(torch::Tensor& out) {}\n",
        "csrc/cpu/f.cpp": "void f(torch::Tensor& out) {}\n",
        "csrc/cpu/torch_bindings.cpp": """
            #include "ops.h"
            TORCH_LIBRARY(_C, m) {
              m.def("f(Tensor! out) -> ()");
              m.impl("f", torch::kCPU, &f);
            }
        """,
        OPS: "#pragma once\nvoid f(torch::Tensor& out);\nvoid g(torch::Tensor& out);\n",
        BINDINGS: """
            #include "ops.h"
            TORCH_LIBRARY(_C, m) {
              m.def("f(Tensor! out) -> ()");
              m.impl("f", torch::kCUDA, &f);
              m.def("g(Tensor! out) -> ()");
              m.impl("g", torch::kCUDA, &g);
            }
        """,
    }
    made = migrate(files, [UNIT], layout)
    assert made.text(OPS) == "#pragma once\nvoid f(torch::Tensor& out);\n"
    assert made.text("csrc/cpu/torch_bindings.cpp") == dedented(files["csrc/cpu/torch_bindings.cpp"])
    assert made.text(BINDINGS) == '#include "ops.h"\n'
    assert made.codes == set()
    assert made.lost == ()


def test_every_library_has_its_namespace() -> None:
    layout = replace(
        LAYOUT,
        legacy_bindings=(BINDINGS, "csrc/moe/torch_bindings.cpp"),
        libraries=(Library("_C", (BINDINGS,)), Library("_moe_C", ("csrc/moe/torch_bindings.cpp",))),
    )
    files = {
        "csrc/moe/topk.cu": "void topk(torch::Tensor& out) {}\n",
        BINDINGS: 'TORCH_LIBRARY_EXPAND(TORCH_EXTENSION_NAME, m) {\n  m.def("f() -> ()");\n}\n',
        "csrc/moe/torch_bindings.cpp": """
            TORCH_LIBRARY_EXPAND(TORCH_EXTENSION_NAME, m) {
              m.def("topk(Tensor! out) -> ()");
              m.impl("topk", torch::kCUDA, &topk);
            }
        """,
    }
    made = migrate(files, ["csrc/moe/topk.cu"], layout)
    assert "STABLE_TORCH_LIBRARY_FRAGMENT(_moe_C, m)" in made.text(STABLE_BINDINGS)
    assert made.lost == ()


def test_a_function_that_legacy_code_still_calls_is_reported() -> None:
    files = {**TREE, "csrc/rest.cu": '#include "ops.h"\nvoid rest(torch::Tensor& out) { norm(out, out, 1); }\n'}
    made = migrate(files, [UNIT])
    said = "norm moves and is called here: the legacy library calls the operator _C::norm"
    assert made.messages("TSA732") == [said]
    assert "void norm(torch::Tensor& out" in made.text(OPS)
    assert 'findSchemaOrThrow("_C::norm", "")' in made.text("csrc/rest.cu")
    header = (
        "#pragma once\nvoid norm(torch::Tensor& out, int64_t n);\ninline void rest(torch::Tensor& x) { norm(x, 1); }\n"
    )
    made = migrate({**files, "csrc/rest.cu": '#include "rest.h"\n', "csrc/rest.h": header}, [UNIT])
    assert "TSA732" not in {one.code for one in made.change.diagnostics}


def _still_called(signature: str, call: str) -> Migrated:
    """A function that moves, and that a legacy unit calls."""
    files = {
        "csrc/f.cu": f'#include "ops.h"\n{signature} {{ return g(x); }}\n',
        OPS: f"#pragma once\n#include <torch/all.h>\n{signature};\n",
        "csrc/rest.cu": f'#include "ops.h"\nvoid rest(at::Tensor x) {{ {call}; }}\n',
        BINDINGS: '#include "ops.h"\n#include <torch/library.h>\nTORCH_LIBRARY(my, m) {\n  m.def("f", &f);\n}\n',
    }
    return migrate(files, ["csrc/f.cu"])


@pytest.mark.parametrize(
    ("signature", "typed", "called"),
    [
        ("std::vector<at::Tensor> f(const at::Tensor& x, int n, float by, std::optional<at::Tensor> y)",
         "std::vector<at::Tensor>(const at::Tensor&, int64_t, double, std::optional<at::Tensor>)",
         "op.call(x, static_cast<int64_t>(n), static_cast<double>(by), y)"),
        ("int f(at::Tensor x)", "int64_t(at::Tensor)", "static_cast<int>(op.call(x))"),
        ("std::tuple<at::Tensor, int64_t> f(at::Tensor x)", "std::tuple<at::Tensor, int64_t>(at::Tensor)", "op.call(x)"),
    ],
)  # fmt: skip
def test_legacy_code_calls_the_operator_with_the_types_of_its_schema(signature: str, typed: str, called: str) -> None:
    """They are wider than those of the function, whose callers stay as they are."""
    text = _still_called(signature, "f(x, 1, 2, x)").text("csrc/rest.cu")
    assert f"\n{signature} {{\n" in text
    assert f".typed<{typed}>();\n  return {called};\n}}" in text


@pytest.mark.parametrize(
    "signature",
    [
        "std::string f(at::Tensor x)",
        "at::Tensor f(at::Tensor x, std::string how)",
        "at::Tensor& f(at::Tensor& x)",
        "at::Tensor f(at::Tensor&& x)",
    ],
)
def test_what_cannot_be_called_through_the_dispatcher_is_left_to_do(signature: str) -> None:
    """Nothing is written into the unit that calls it."""
    made = _still_called(signature, "f(x)")
    assert "f is used here, and its definition moves to the stable library" in made.messages("TSA518")
    assert "Dispatcher" not in made.text("csrc/rest.cu")


def test_type_aliases_come_along() -> None:
    files = {
        UNIT: "ptr_t make(int64_t n) { return n; }\nvoid drop(ptr_t p) {}\n",
        OPS: "#include <torch/all.h>\nusing ptr_t = int64_t;\nptr_t make(int64_t n);\nvoid drop(ptr_t p);\n",
        BINDINGS: 'TORCH_LIBRARY(my, m) {\n  m.def("make", &make);\n  m.def("drop", &drop);\n}\n',
    }
    made = migrate(files, [UNIT])
    assert "using ptr_t = int64_t;\nptr_t make(int64_t n);\nvoid drop(ptr_t p);\n" in made.text(STABLE_OPS)
    assert 'm.def("make(int n) -> int");' in made.text(STABLE_BINDINGS)
    assert 'm.def("drop(int p) -> ()");' in made.text(STABLE_BINDINGS)


def test_statements_that_share_a_line() -> None:
    """Neighbours stay, and so do the braces of a Python module."""
    line = 'TORCH_LIBRARY(my, m) { m.def("rest(Tensor! x) -> ()"); m.def("norm(Tensor! x) -> ()"); }\n'
    impl = 'TORCH_LIBRARY_IMPL(my, CUDA, m) { m.impl("rest", &rest); m.impl("norm", &norm); }\n'
    files = {
        UNIT: "void norm(torch::Tensor& x) {}\n",
        BINDINGS: line + impl + 'PYBIND11_MODULE(TORCH_EXTENSION_NAME, p) { p.def("norm_", &norm); }\n',
    }
    assert migrate(files, [UNIT]).text(BINDINGS) == (
        'TORCH_LIBRARY(my, m) { m.def("rest(Tensor! x) -> ()"); }\n'
        'TORCH_LIBRARY_IMPL(my, CUDA, m) { m.impl("rest", &rest); }\n'
        "PYBIND11_MODULE(TORCH_EXTENSION_NAME, p) { }\n"
    )


def test_a_function_that_is_called_before_its_definition_keeps_a_declaration() -> None:
    files = {
        UNIT: """
            #include "ops.h"
            void norm(torch::Tensor& out) { slow_norm(out); }
            void slow_norm(torch::Tensor& out) { last(out); }
            static void last(torch::Tensor& out) {}
        """,
        OPS: """
            #pragma once
            void norm(torch::Tensor& out);
            void slow_norm(torch::Tensor& out);
            void other(torch::Tensor& out);
        """,
        BINDINGS: """
            TORCH_LIBRARY(my, m) {
              m.def("norm(Tensor! out) -> ()");
              m.impl("norm", torch::kCUDA, &norm);
            }
        """,
    }
    made = migrate(files, [UNIT])
    declared = "void norm(torch::stable::Tensor& out);\nvoid slow_norm(torch::stable::Tensor& out);\n"
    assert declared in made.text(STABLE_OPS)
    assert made.text(OPS) == "#pragma once\nvoid other(torch::Tensor& out);\n"


def test_a_header_without_torch_is_a_header_of_both_libraries() -> None:
    """Its declarations stay: neither library has to have them for itself."""
    files = {
        UNIT: '#include "device.h"\nint64_t cores(int64_t device) { return 4; }\n',
        "csrc/device.h": "#pragma once\n#include <cstdint>\n\nint64_t cores(int64_t device);\n",
        OPS: "#pragma once\n#include <torch/all.h>\nvoid rest(torch::Tensor& out);\n",
        BINDINGS: 'TORCH_LIBRARY(my, m) {\n  m.def("cores(int device) -> int", &cores);\n}\n',
    }
    made = migrate(files, [UNIT], replace(LAYOUT, legacy_declarations=(OPS, "csrc/device.h")))
    assert {edit.path for edit in made.change.edits} == {BINDINGS}
    assert not made.after.exists(STABLE_OPS)
    assert '#include "../device.h"' in made.text(STABLE_BINDINGS).splitlines()


def test_a_missing_declaration_is_made_from_the_definition() -> None:
    files = {**TREE, OPS: "#pragma once\n#include <torch/all.h>\nvoid rest(torch::Tensor& out);\n"}
    made = migrate(files, [UNIT])
    assert "void norm(torch::stable::Tensor& out, const torch::stable::Tensor& x,\n          double eps);" in made.text(
        STABLE_OPS
    )


def test_argument_names_are_the_ones_the_project_uses() -> None:
    files = {
        UNIT: "void f(int64_t handle, const std::vector<int64_t>& raw) {}\nvoid g(int64_t buffer) {}\nvoid h(int64_t handle) {}\n",
        BINDINGS: """
            TORCH_LIBRARY(my, m) {
              m.def("h(int fa) -> ()", &h);
              m.def("f", &f);
              m.def("g", &g);
            }
        """,
        "python/ops.py": "import torch\ndef g(ptr):\n    return torch.ops.my.g(ptr)\n",
    }  # fmt: skip
    made = migrate(files, [UNIT])
    assert made.messages("TSA504") == ["inferred `f(int fa, int[] raw) -> ()`", "inferred `g(int ptr) -> ()`"]


def test_a_python_module() -> None:
    files = {
        "csrc/ext.cpp": """
            #include <torch/extension.h>
            at::Tensor twice(const at::Tensor& x) { return x; }

            PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
              m.doc() = "what it is";
              // Twice as much.
              m.def("twice", &twice, "Twice as much", py::arg("x"));
              py::class_<Foo>(m, "Foo");
            }
        """
    }
    layout = replace(LAYOUT, legacy_bindings=("csrc/ext.cpp",), libraries=(Library("_C", ("csrc/ext.cpp",)),))
    made = migrate(files, ["csrc/ext.cpp"], layout)
    text = made.text("csrc/ext.cpp")
    assert '  // Twice as much.\n  m.def("twice(Tensor x) -> Tensor");\n' in text
    assert "PyInit__C_stable_libtorch()" in text
    assert 'py::class_<Foo>(m, "Foo");' in text  # not understood, not lost
    assert made.codes == {"TSA503", "TSA504", "TSA515", "TSA521"}


def test_a_python_module_of_classes_alone_names_the_way_out() -> None:
    files = {
        "csrc/ext.cpp": """
            #include <torch/extension.h>
            struct Counter { int64_t n = 0; };

            PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
              py::class_<Counter>(m, "Counter").def(py::init<>());
            }
        """
    }
    layout = replace(LAYOUT, legacy_bindings=("csrc/ext.cpp",), libraries=(Library("_C", ("csrc/ext.cpp",)),))
    made = migrate(files, ["csrc/ext.cpp"], layout)
    [found] = made.diagnostics
    assert (found.code, found.message) == ("TSA515", "a class has no stable form")
    assert found.help.startswith("keep it in a unit of its own that stays in the legacy library")


def test_a_python_module_named_like_the_namespace_of_its_operators() -> None:
    """`_C.twice` of the module would be the operator that is there already."""
    files = {
        "csrc/ext.cpp": """
            at::Tensor twice(const at::Tensor& x) { return x.clone(); }
            TORCH_LIBRARY(_C, m) {
              m.def("twice(Tensor x) -> Tensor");
              m.impl("twice", torch::kCPU, &twice);
            }
        """,
        "csrc/module.cpp": """
            at::Tensor twice(const at::Tensor& x);
            PYBIND11_MODULE(_C, m) {
              m.def("twice", &twice);
            }
        """,
    }
    paths = tuple(files)
    layout = replace(LAYOUT, legacy_bindings=paths, libraries=(Library("_C", paths),))
    made = migrate(files, paths, layout)
    assert "TSA510" not in made.codes
    assert made.change.python_functions == {"twice": "_C_C::twice"}
    assert "STABLE_TORCH_LIBRARY_FRAGMENT(_C, m)" in made.text("csrc/ext.cpp")
    assert "STABLE_TORCH_LIBRARY_FRAGMENT(_C_C, m)" in made.text("csrc/module.cpp")


def test_functions_of_a_python_module_are_operators_of_its_package() -> None:
    """Every package has a `_C`: operators of that name would meet in one process."""
    text = """
        at::Tensor twice(const at::Tensor& x) { return x * 2; }
        PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
          m.def("twice", &twice);
        }
    """
    setup = """
        from setuptools import setup
        setup(name="soft-cap", ext_modules=[CppExtension("MODULE", ["csrc/ext.cpp"])])
    """
    layout = replace(
        LAYOUT, legacy_bindings=("csrc/ext.cpp",), libraries=(Library("_C", ("csrc/ext.cpp",)),),
        setup_files=("setup.py",),
    )  # fmt: skip

    def namespace(module: str, chosen: str = "") -> str:
        files = {"csrc/ext.cpp": text, "setup.py": setup.replace("MODULE", module)}
        made = migrate(files, ["csrc/ext.cpp"], replace(layout, op_namespace=chosen))
        return made.change.python_functions["twice"]

    assert namespace("softcap._C") == "softcap::twice"
    assert namespace("softcap.inner._C") == "softcap_inner::twice"
    assert namespace("_C") == "soft_cap::twice"
    assert namespace("softcap._C", "mine") == "mine::twice"


def test_attributes_and_submodules_of_a_python_module() -> None:
    """Neither has a stable form: the help has the lines that do the same."""
    files = {
        "csrc/ext.cpp": """
            at::Tensor twice(const at::Tensor& x) { return x; }
            int64_t count(const at::Tensor& x) { return x.numel(); }

            PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
              m.def("twice", &twice);
              m.attr("VERSION") = py::int_(3u);
              m.attr("HAS_FAST_PATH") = true;
              m.attr("LIMIT") = kLimit;
              auto counting = m.def_submodule("counting", "how many");
              counting.def("count", &count);
            }
        """
    }
    layout = replace(LAYOUT, legacy_bindings=("csrc/ext.cpp",), libraries=(Library("_C", ("csrc/ext.cpp",)),))
    made = migrate(files, ["csrc/ext.cpp"], layout)
    assert "TSA517" not in made.codes
    advice = [d.help.partition("\n")[2] for d in made.diagnostics if d.code == "TSA515"]
    assert advice == [
        "VERSION = 3",
        "HAS_FAST_PATH = True",
        "LIMIT = ...  # kLimit",
        'TORCH_LIBRARY(_C_counting, m) {\n  m.def("count", &count);\n}\n'
        "and write in Python, in the place of the submodule:\ncounting = torch.ops._C_counting",
    ]


def test_functions_that_a_macro_defines() -> None:
    files = {
        UNIT: "#define DEFINE(NAME, OP) void NAME(torch::Tensor& out) { run(out, OP{}); }\nDEFINE(relu, Relu)\n",
        OPS: "#pragma once\nvoid relu(torch::Tensor& out);\n",
        BINDINGS: """
            TORCH_LIBRARY(my, m) {
              m.def("relu(Tensor! out) -> ()");
              m.impl("relu", torch::kCUDA, &relu);
            }
        """,
    }
    made = migrate(files, [UNIT])
    assert 'm.impl("relu", TORCH_BOX(&relu));' in made.text(STABLE_BINDINGS)
    assert "void relu(torch::stable::Tensor& out);" in made.text(STABLE_OPS)
    assert made.lost == ()


def test_what_an_old_target_cannot_box() -> None:
    files = {
        UNIT: "void f(std::string name) {}\n",
        BINDINGS: 'TORCH_LIBRARY(my, m) {\n  m.def("f(str name) -> ()", &f);\n}\n',
    }
    assert migrate(files, [UNIT], target="2.9").messages("TSA512") == [
        "f: parameter `name`: `std::string` can be passed from torch 2.10 on"
    ]
    assert "TSA512" not in migrate(files, [UNIT], target="2.10").codes


def test_a_static_function_of_a_class_comes_with_the_header_of_the_class() -> None:
    tree = {
        "csrc/dice.h": "#pragma once\nnamespace my {\nclass Dice {\n public:\n  static void seed(int64_t n);\n};\n}\n",
        "csrc/dice.cpp": '#include "dice.h"\nnamespace my {\nvoid Dice::seed(int64_t n) {}\n}\n',
        BINDINGS: '#include "dice.h"\nTORCH_LIBRARY(my, m) {\n  m.def("seed(int n) -> ()", &my::Dice::seed);\n}\n',
    }
    made = migrate(tree, ["csrc/dice.cpp"])
    bindings = made.text(STABLE_BINDINGS)
    assert '#include "../dice.h"\n' in bindings
    assert "TORCH_BOX(&my::Dice::seed)" in bindings
    assert STABLE_OPS not in made.after.files


def test_a_file_with_two_modules_is_one_library() -> None:
    """The operators of a module may have a namespace of their own: the module is one all the same."""
    text = '{}PYBIND11_MODULE(my, m) {{\n  m.def("f", &f);\n  m.def("other::g", &g);\n}}\n'
    functions = "#include <torch/extension.h>\nat::Tensor f(at::Tensor x) { return x; }\nint64_t g() { return 1; }\n"
    made = migrate({"csrc/ext.cpp": text.format(functions)}, ["csrc/ext.cpp"])
    assert 'm.def("f(Tensor x) -> Tensor");' in made.text("csrc/ext.cpp")


TAGGED = {
    UNIT: """
        #include "ops.h"
        at::Tensor twice(const at::Tensor& x) { return x * 2; }
    """,
    OPS: "#pragma once\nat::Tensor twice(const at::Tensor& x);\n",
    BINDINGS: """
        #include "ops.h"
        static const std::vector<at::Tag> kStrides = {at::Tag::needs_fixed_stride_order};
        TORCH_LIBRARY(shop, m) {
          m.set_python_module("shop.fakes");
          m.def("twice(Tensor x) -> Tensor", kStrides);
          m.def("other() -> int");
        }
        TORCH_LIBRARY_IMPL(shop, CPU, m) {
          m.impl("twice", &twice);
        }
    """,
}


def test_tags_in_a_variable_and_the_python_module_are_named() -> None:
    """What the stable API cannot say of an operator is listed with a way out."""
    made = migrate(TAGGED, [UNIT])
    assert made.messages("TSA514") == ["twice loses its tags kStrides"]
    assert made.messages("TSA528") == ["the operators of shop no longer name their Python module shop.fakes"]
    assert 'm.def("twice(Tensor x) -> Tensor");' in made.text(STABLE_BINDINGS)


KEYLESS = {
    "csrc/gate.cpp": """
        #include "ops.h"
        at::Tensor gate(const at::Tensor& x) { return at::sigmoid(x) * x; }
        void fill(at::Tensor x) { x.data_ptr<float>()[0] = 1; }
    """,
    OPS: "#pragma once\nat::Tensor gate(const at::Tensor& x);\nvoid fill(at::Tensor x);\n",
    BINDINGS: """
        #include "ops.h"
        TORCH_LIBRARY(shop, m) {
          m.def("gate(Tensor x) -> Tensor", &gate);
          m.def("fill(Tensor(a!) x) -> ()", &fill);
        }
    """,
}


def test_what_had_no_key_gets_one_by_its_body() -> None:
    """Ops of torch stay open to autograd; what touches memory runs for its device alone."""
    text = migrate(KEYLESS, ["csrc/gate.cpp"]).text(STABLE_BINDINGS)
    assert (
        dedented(
            """
        STABLE_TORCH_LIBRARY_IMPL(shop, CPU, m) {
          m.impl("fill", TORCH_BOX(&fill));
        }

        STABLE_TORCH_LIBRARY_IMPL(shop, CompositeImplicitAutograd, m) {
          m.impl("gate", TORCH_BOX(&gate));
        }
        """
        )
        in text
    )
    assert migrate(KEYLESS, ["csrc/gate.cpp"]).lost == ()


def test_literal_attributes_of_a_module_go_to_its_python_side() -> None:
    """Nothing is left of the legacy module, so its block is removed, and the alias of pybind11 too."""
    files = {
        "csrc/ext.cpp": """
            #include <torch/extension.h>
            namespace py = pybind11;
            at::Tensor twice(const at::Tensor& x) { return x; }

            PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
              m.def("twice", &twice);
              m.attr("WARP") = py::int_(32);
              m.attr("NAME") = "twin";
            }
        """,
        "setup.py": 'setup(ext_modules=[CppExtension("pkg._C", ["csrc/ext.cpp"])])\n',
        "pkg/__init__.py": "from pkg._C import WARP, twice\n",
    }
    layout = replace(
        LAYOUT, legacy_bindings=("csrc/ext.cpp",), libraries=(Library("_C", ("csrc/ext.cpp",)),),
        setup_files=("setup.py",), python_roots=("pkg",),
    )  # fmt: skip
    made = migrate(files, ["csrc/ext.cpp"], layout)
    assert "TSA515" not in made.codes
    assert "PYBIND11" not in made.text("csrc/ext.cpp")
    assert "pybind11" not in made.text("csrc/ext.cpp")
    side = made.text("pkg/_C_ops.py")
    assert 'twice = torch.ops.pkg.twice\nWARP = 32\nNAME = "twin"\n' in side
    assert "_legacy" not in side


@pytest.mark.parametrize(
    "python",
    [
        '@torch.library.custom_op("pkg::twice", mutates_args=())\ndef twice(x: Tensor) -> Tensor:\n    return _C.twice(x)\n',
        'SPACE = "pkg"\nlib = torch.library.Library(SPACE, "FRAGMENT")\nlib.define("twice(Tensor x) -> Tensor")\n',
        'torch.library.define(f"{SPACE}::twice", "(Tensor x) -> Tensor")\nSPACE = "pkg"\n',
    ],
)
def test_an_operator_that_python_defines_keeps_its_name(python: str) -> None:
    """Both would be registered under one name, and the package could not be imported any more."""
    files = {
        "csrc/ext.cpp": """
            at::Tensor twice(const at::Tensor& x) { return x * 2; }
            PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
              m.def("twice", &twice);
            }
        """,
        "setup.py": 'setup(ext_modules=[CppExtension("pkg._C", ["csrc/ext.cpp"])])\n',
        "pkg/__init__.py": f"import torch\nfrom pkg import _C\n\n{python}",
    }
    layout = replace(
        LAYOUT, legacy_bindings=("csrc/ext.cpp",), libraries=(Library("_C", ("csrc/ext.cpp",)),),
        setup_files=("setup.py",), python_roots=("pkg",),
    )  # fmt: skip
    assert migrate(files, ["csrc/ext.cpp"], layout).change.python_functions == {"twice": "pkg_C::twice"}
    files["pkg/__init__.py"] = python.replace("twice", "thrice")
    assert migrate(files, ["csrc/ext.cpp"], layout).change.python_functions == {"twice": "pkg::twice"}
