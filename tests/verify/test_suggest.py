"""Drafts of cases: what schemas, checks and dispatch macros say is in them, and every draft can be read as a case file."""

from __future__ import annotations

from pathlib import Path

import pytest
from torch_stabilize import toml
from torch_stabilize.source.document import Document
from torch_stabilize.source.function_index import FunctionIndex
from torch_stabilize.source.signatures import read_signatures
from torch_stabilize.verify.golden.cases import CaseFile, parse_cases
from torch_stabilize.verify.golden.suggest import Subject, draft_cases
from torch_stabilize.verify.golden.values import ListValue, PlainValue, TensorValue

from tests.conftest import Run, make_repository


def draft(schema: str, code: str) -> CaseFile:
    """The cases that are drafted for the function `f` in `code`."""
    document = Document("a.cpp", code.encode())
    functions = tuple((document, one) for one in read_signatures(document) if one.name == "f")
    text = draft_cases("g", "ns", [Subject(schema, functions)], FunctionIndex([document]))
    return parse_cases(toml.loads(text), Path("g/cases.toml"))


def tensors(schema: str, code: str) -> list[TensorValue]:
    """The tensors of the first case."""
    return [value for value in draft(schema, code).cases[0].args if isinstance(value, TensorValue)]


# what the code says of x -> its rank and dtype
SAID = {
    "TORCH_CHECK(x.dim() == 3);": (3, "float32"),
    "TORCH_CHECK_EQ(x.dim(), 1);": (1, "float32"),
    "auto n = x.size(0) * x.size(2);": (3, "float32"),
    "auto a = x.accessor<int64_t, 4>();": (4, "int64"),
    "auto a = x.packed_accessor32<float, 1, at::RestrictPtrTraits>();": (1, "float32"),
    "const auto* p = x.data_ptr<int>();": (2, "int32"),
    "TORCH_CHECK(x.scalar_type() == at::ScalarType::Half);": (2, "float16"),
    "TORCH_CHECK(x.dtype() == torch::kFloat64);": (2, "float64"),
    "// x.dim() == 5": (2, "float32"),
    'const char* text = "x.dim() == 5";': (2, "float32"),
    "check(x);": (1, "uint8"),
}
INNER = "void check(const at::Tensor& t) { TORCH_CHECK(t.dim() == 1); auto p = t.data_ptr<uint8_t>(); }\n"


@pytest.mark.parametrize("code", SAID)
def test_what_the_code_says_of_a_tensor(code: str) -> None:
    found = tensors("ns::f(Tensor x) -> Tensor", f"{INNER}at::Tensor f(const at::Tensor& x) {{ {code} return x; }}")
    assert (len(found[0].shape), found[0].dtype) == SAID[code]


def test_dtypes_of_a_dispatch_macro_are_swept() -> None:
    code = 'at::Tensor f(at::Tensor x) { AT_DISPATCH_FLOATING_TYPES_AND_HALF(x.scalar_type(), "f", [&] {}); return x; }'
    cases = draft("ns::f(Tensor x) -> Tensor", code).cases
    assert {value.dtype for case in cases for value in case.args if isinstance(value, TensorValue)} == {
        "float32", "float64", "float16",
    }  # fmt: skip


def test_sizes_that_the_code_compares_agree_and_others_need_not() -> None:
    code = "at::Tensor f(at::Tensor a, at::Tensor b) { TORCH_CHECK(a.size(1) == b.size(0)); return a; }"
    a, b = tensors("ns::f(Tensor a, Tensor b) -> Tensor", code)
    assert a.shape[1] == b.shape[0]
    assert a.shape[0] != a.shape[1]


def test_a_tensor_of_the_sizes_of_another() -> None:
    code = "at::Tensor f(at::Tensor a, at::Tensor b) { auto n = a.size(2); TORCH_CHECK(a.sizes() == b.sizes()); return a; }"
    a, b = tensors("ns::f(Tensor a, Tensor b) -> Tensor", code)
    assert a.shape == b.shape
    assert len(a.shape) == 3


def test_every_type_of_a_schema_has_a_value() -> None:
    schema = (
        "ns::f(Tensor x, Tensor? y, Tensor[] z, int a, float b=0.5, bool c=False, str d, int[] e, float[] g,"
        " ScalarType h, int? i=None, *, Tensor(a!) out) -> ()"
    )
    file = draft(schema, "")
    names = {case.id.partition("[")[0] for case in file.cases}
    assert names == {"f", "f-without"}
    full, without = (next(case for case in file.cases if case.id.startswith(name)) for name in ("f[", "f-without["))
    assert isinstance(full.args[1], TensorValue)
    assert without.args[1] == PlainValue("none", None)
    assert isinstance(full.args[2], ListValue)
    assert full.args[4:6] == (PlainValue("float", 0.5), PlainValue("bool", False))
    assert [name for name, _ in full.kwargs] == ["out"]


def test_a_check_for_the_gpu_alone() -> None:
    code = "at::Tensor f(at::Tensor x) { TORCH_CHECK(x.is_cuda()); return x; }"
    assert draft("ns::f(Tensor x) -> Tensor", code).devices == ("cuda",)
    both = "at::Tensor f(at::Tensor x) { if (x.is_cuda()) { return g(x); } else { return h(x); } }"
    assert draft("ns::f(Tensor x) -> Tensor", both).devices == ("cpu",)


def test_the_command_drafts_and_writes_once(tmp_path: Path, run_cli: Run) -> None:
    unit = """\
#include <torch/extension.h>
torch::Tensor rows(torch::Tensor x, int64_t n) {
  TORCH_CHECK(x.dim() == 2);
  const float* p = x.data_ptr<float>();
  return torch::zeros({n + (p != nullptr)}, x.options());
}
PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) { m.def("rows", &rows); }
"""
    setup = (
        "from setuptools import setup\nfrom torch.utils.cpp_extension import BuildExtension, CppExtension\n"
        'setup(name="p", packages=["p"], ext_modules=[CppExtension("p._C", ["csrc/rows.cpp"])])\n'
    )
    make_repository(tmp_path, {"csrc/rows.cpp": unit, "setup.py": setup, "p/__init__.py": "from p._C import rows\n"})
    shown = run_cli("golden", "suggest", "csrc/rows.cpp", cwd=tmp_path)
    assert shown.code == 0, shown.err
    file = parse_cases(toml.loads(shown.out), Path("rows/cases.toml"))
    assert [(case.op, len(case.args)) for case in file.cases[:1]] == [("rows", 2)]
    assert not (tmp_path / "golden").exists()
    assert run_cli("golden", "suggest", "csrc/rows.cpp", "--write", cwd=tmp_path).code == 0
    assert (tmp_path / "golden/rows/cases.toml").read_text() == shown.out
    again = run_cli("golden", "suggest", "csrc/rows.cpp", "--write", cwd=tmp_path)
    assert (again.code, "is not overwritten" in again.err) == (2, True)
