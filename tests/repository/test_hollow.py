"""What is left of a bindings file once its registrations have moved holds nothing; anything else does."""

from __future__ import annotations

import pytest
from torch_stabilize.program.hollow import is_hollow
from torch_stabilize.source.document import Document

MODULE = 'static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_K", nullptr, 0, %s};\n'
ENTRY = "PyMODINIT_FUNC PyInit__K(void) { return PyModule_Create(&module); }\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("#include <torch/library.h>\n// nothing\n", True),
        ("#include <torch/extension.h>\nPYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {\n}\n", True),
        (MODULE % "nullptr" + ENTRY, True),
        ("REGISTER_EXTENSION(TORCH_EXTENSION_NAME)\n", True),
        ("#include <torch/library.h>\nint64_t rows(int64_t n);\n", True),
        ("int64_t rows(int64_t n);\n", False),
        ('PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) { m.attr("level") = 3; }\n', False),
        ("PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) { bind_more(m); }\n", False),
        ('PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {\n  m.doc() = "Rows {and} (columns); R"";\n}\n', True),
        ('PYBIND11_MODULE(k, m) { m.doc() = R"(of "rows")"; m.attr("level") = 3; }\n', False),
        ("PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) { m.doc() = described(); }\n", False),
        (MODULE % "methods" + ENTRY, False),
        (MODULE % "nullptr" + ENTRY.replace("return", "start_threads(); return"), False),
        ('TORCH_LIBRARY(k, m) { m.def("rows(Tensor x) -> int"); }\n', False),
        (
            "#include <torch/library.h>\ntemplate <typename T> void fill(T* p);\ntemplate void fill<int>(int* p);\n",
            False,
        ),
        ("#include <torch/library.h>\nstatic int seen = count();\n", False),
        ("#include <torch/library.h>\nstruct Later { int n; };\n", False),
    ],
)
def test_hollow(text: str, expected: bool) -> None:
    assert is_hollow(Document("csrc/bind.cpp", text.encode())) is expected
