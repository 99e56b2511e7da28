"""The file of the stable bindings: what an existing one gets, where, and how a new one becomes importable."""

from __future__ import annotations

import pytest
from torch_stabilize.bindings.reading.registry import Registry
from torch_stabilize.bindings.writing.dropped_includes import dropped_includes
from torch_stabilize.repository.layout import Group

from tests.bindings.trees import BINDINGS, LAYOUT, OPS, STABLE_BINDINGS, dedented, migrate, tree

UNIT = "csrc/crop.cu"
FILES = {
    UNIT: """
        #include "ops.h"
        void crop(at::Tensor& out, std::array<int, 2> size) {}
    """,
    OPS: """
        #pragma once
        #include <torch/all.h>
        void crop(at::Tensor& out, std::array<int, 2> size);
    """,
    BINDINGS: """
        #include "ops.h"
        #include <torch/library.h>

        TORCH_LIBRARY(_C, m) {
          m.def("crop(Tensor! out, int[2] size) -> ()");
          m.impl("crop", torch::kCUDA, &crop);
        }
    """,
}
THERE = """
    #include <torch/csrc/stable/library.h>

    // What has moved so far.
    STABLE_TORCH_LIBRARY_FRAGMENT(_C, m) {
      m.def("first() -> int");
    }
"""
ADAPTER = """
    // TORCH_BOX cannot pass std::array<int, 2> size.
    static void crop_boxed(torch::stable::Tensor& out,
                           const std::vector<int64_t>& size) {
      STD_TORCH_CHECK(size.size() == 2, "size takes 2 values");
      std::array<int, 2> size_values;
      std::copy(size.begin(), size.end(), size_values.begin());
      crop(out, size_values);
    }
"""


def stable(there: str) -> str:
    """The stable bindings when `crop` has moved to a repository where they were `there`."""
    return migrate({**FILES, STABLE_BINDINGS: there}, [UNIT]).text(STABLE_BINDINGS)


def test_an_adapter_is_above_the_first_block_and_its_comment() -> None:
    """Headers that it needs are included behind the last include, and those of the repository behind them."""
    head = '#include <torch/csrc/stable/library.h>\n#include <algorithm>\n#include <array>\n#include "ops.h"\n\n'
    block = '// What has moved so far.\nSTABLE_TORCH_LIBRARY_FRAGMENT(_C, m) {\n  m.def("first() -> int");\n\n'
    assert stable(THERE).startswith(f"{head}{dedented(ADAPTER)}\n{block}")


def test_what_is_included_already_is_not_included_again() -> None:
    text = stable(
        '#include "ops.h"\n#include <array>\n\n' + dedented(THERE).replace("\n\n", "\n#include <algorithm>\n\n")
    )
    for name in ('"ops.h"', "<array>", "<algorithm>"):
        assert text.count(f"#include {name}\n") == 1


def test_includes_come_first_in_a_file_without_any() -> None:
    """All three have the beginning of the file for their place."""
    assert stable("// Nothing has moved yet.\n").startswith(
        f'#include <algorithm>\n#include <array>\n#include "ops.h"\n{dedented(ADAPTER)}\n// Nothing has moved yet.\n'
    )


def test_an_adapter_has_the_line_ends_of_the_file() -> None:
    text = stable(dedented(THERE).replace("\n", "\r\n"))
    assert "#include <array>\r\n" in text
    assert text.count("\n") == text.count("\r\n")


MACRO = """
    #pragma once
    #include <Python.h>
    #define REGISTER_MODULE(NAME)              \\
      PyMODINIT_FUNC PyInit_##NAME() {         \\
        static struct PyModuleDef module = {}; \\
        return PyModule_Create(&module);       \\
      }
"""


def test_the_macro_of_the_repository_makes_a_new_library_importable() -> None:
    text = migrate({**FILES, "csrc/core/module.h": MACRO}, [UNIT]).text(STABLE_BINDINGS)
    assert '#include "../core/module.h"\n' in text
    assert text.endswith("\nREGISTER_MODULE(_C_stable_libtorch)\n")
    assert "PyMODINIT_FUNC" not in text


@pytest.mark.parametrize("header", ["torch/library.h", "ATen/ATen.h", "c10/util/Exception.h"])
def test_a_macro_whose_header_is_not_stable_is_not_used(header: str) -> None:
    macro = f"#include <{header}>\n{dedented(MACRO)}"
    text = migrate({**FILES, "csrc/core/module.h": macro}, [UNIT]).text(STABLE_BINDINGS)
    assert "module.h" not in text
    assert 'extern "C" PyMODINIT_FUNC PyInit__C_stable_libtorch()' in text


LIBRARY = 'TORCH_LIBRARY(shop, m) { m.def("f() -> ()"); }\n'
MODULE = 'PYBIND11_MODULE(_C, m) { m.def("f", &f); }\n'


@pytest.mark.parametrize(
    ("registers", "headers", "left"),
    [
        # what registers is brought by a header that stays, or included itself
        (LIBRARY, {"crop": "<torch/all.h>", "<torch/library.h>": ""}, ["<torch/library.h>"]),
        (MODULE, {"crop": '"base.h"', "base": "<torch/extension.h>"}, ['"base.h"']),
        # it came with the header that moves: that include becomes one of torch's header
        (LIBRARY, {"crop": "<torch/all.h>"}, ["<torch/all.h>"]),
        (MODULE, {"crop": "<torch/extension.h>"}, ["<torch/extension.h>"]),
        (LIBRARY + MODULE, {"crop": "<torch/extension.h>"}, ["<torch/extension.h>"]),
        (MODULE, {"crop": "<pybind11/pybind11.h>", "<torch/all.h>": ""}, ["<pybind11/pybind11.h>", "<torch/all.h>"]),
        (LIBRARY + MODULE, {"crop": "<torch/library.h>", "tile": "<torch/python.h>"}, ["<torch/python.h>"]),
        (LIBRARY + MODULE, {"crop": "<torch/library.h>", "tile": "<pybind11/pybind11.h>"},
         ["<torch/library.h>", "<pybind11/pybind11.h>"]),
        (LIBRARY + MODULE, {"crop": "<torch/library.h>\n#include <pybind11/pybind11.h>"},
         ["<pybind11/pybind11.h>", "<torch/library.h>"]),
        # nothing registers with what it brought
        (LIBRARY, {"crop": "<cmath>", "<torch/library.h>": ""}, ["<torch/library.h>"]),
    ],
)  # fmt: skip
def test_includes_of_headers_that_move(registers: str, headers: dict[str, str], left: list[str]) -> None:
    """`headers` are included in their order; `crop` and `tile` move. What is left still finds its macros."""
    lines = [f"#include {name}\n" if name.startswith("<") else f'#include "{name}.h"\n' for name in headers]
    files = {f"csrc/{name}.h": f"#include {inner}\n" for name, inner in headers.items() if inner}
    registry = Registry(tree({BINDINGS: "".join(lines) + registers, **files}), LAYOUT)
    document = registry.document(BINDINGS)
    moving = tuple(path for path in ("csrc/crop.h", "csrc/tile.h") if path in files)
    dropped, edits = dropped_includes(registry, Group("group", (UNIT,), moving_headers=moving), document)
    cuts = sorted([(span, b"") for span in dropped] + [(edit.span, edit.replacement) for edit in edits], reverse=True)
    text = document.data
    for span, replacement in cuts:
        text = text[: span.start] + replacement + text[span.end :]
    assert text.decode() == "".join(f"#include {name}\n" for name in left) + registers


def test_without_headers_that_move_includes_stay() -> None:
    registry = Registry(tree({BINDINGS: f'#include "crop.h"\n{LIBRARY}', "csrc/crop.h": ""}), LAYOUT)
    assert dropped_includes(registry, Group("group", (UNIT,)), registry.document(BINDINGS)) == ([], [])
