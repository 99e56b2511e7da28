"""Which registrations a group takes along, and what cannot be taken along at all."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from torch_stabilize.model import Refusal

from tests.bindings.trees import BINDINGS, OPS, STABLE_BINDINGS, migrate
from tests.conftest import Run, make_repository


def test_a_registration_means_the_function_of_its_own_file() -> None:
    """Not the one of the same name in a unit that moves."""
    files = {
        "csrc/a.cpp": "inline at::Tensor mm(const at::Tensor& x) { return x; }\nint64_t a(int64_t n) { return n; }\n",
        "csrc/b.cu": """
            at::Tensor mm(const at::Tensor& x) { return x; }
            TORCH_LIBRARY_IMPL(my, CUDA, m) { m.impl("b_mm", &mm); }
        """,
        BINDINGS: 'TORCH_LIBRARY(my, m) {\n  m.def("a(int n) -> int", &a);\n  m.def("b_mm(Tensor x) -> Tensor");\n}\n',
    }
    made = migrate(files, ["csrc/a.cpp"])
    assert "b_mm" not in made.text(STABLE_BINDINGS)
    assert 'm.def("b_mm(Tensor x) -> Tensor");' in made.text(BINDINGS)
    assert made.lost == ()


def test_a_registration_means_what_its_file_declares() -> None:
    """Not a function of a namespace under the same name, in a unit that moves."""
    files = {
        "csrc/a.cpp": "namespace inner {\ntemplate <typename T>\nvoid pad(T* out, int64_t n) { out[0] = n; }\n}\n"
        "int64_t a(int64_t n) { float x; inner::pad(&x, n); return n; }\n",
        "csrc/b.cpp": '#include "ops.h"\nint64_t pad(int64_t n) { return n; }\n',
        OPS: "#pragma once\nint64_t a(int64_t n);\nint64_t pad(int64_t n);\n",
        BINDINGS: '#include "ops.h"\n'
        'TORCH_LIBRARY(my, m) {\n  m.def("a(int n) -> int", &a);\n  m.def("pad(int n) -> int", &pad);\n}\n',
    }
    made = migrate(files, ["csrc/a.cpp"])
    assert "pad" not in made.text(STABLE_BINDINGS)
    assert 'm.def("pad(int n) -> int", &pad);' in made.text(BINDINGS)
    assert not [one for one in made.diagnostics if one.severity.name == "ERROR"]


def test_a_type_alias_of_a_namespace() -> None:
    files = {
        "csrc/a.cpp": "namespace ring {\nusing handle_t = int64_t;\n}\nring::handle_t open(int64_t n) { return n; }\n",
        BINDINGS: 'TORCH_LIBRARY(my, m) {\n  m.def("open", &open);\n}\n',
    }
    assert 'm.def("open(int n) -> int");' in migrate(files, ["csrc/a.cpp"]).text(STABLE_BINDINGS)


def test_what_is_not_known_to_be_written_is_named() -> None:
    unit = "struct P { void* x; };\nvoid f(const at::Tensor& x, const at::Tensor& y) { P p; p.x = x.data_ptr(); run(p); y.dim(); }\n"
    made = migrate({"csrc/a.cpp": unit, BINDINGS: 'TORCH_LIBRARY(my, m) { m.def("f", &f); }\n'}, ["csrc/a.cpp"])
    (found,) = [d for d in made.diagnostics if d.code == "TSA504"]
    assert found.help.endswith("whether it writes to `x` is not known")


def test_units_of_several_python_modules_are_refused() -> None:
    unit = 'int64_t {0}(int64_t n) {{ return n; }}\nPYBIND11_MODULE({0}_ext, m) {{ m.def("{0}", &{0}); }}\n'
    with pytest.raises(Refusal, match=r"the units of 2 Python modules, a_ext \(csrc/a.cpp\), b_ext \(csrc/b.cpp\)"):
        migrate({f"csrc/{name}.cpp": unit.format(name) for name in "ab"}, ["csrc/a.cpp", "csrc/b.cpp"])


LOSING = {
    "setup.py": 'setup(ext_modules=[CppExtension("pkg._C", ["csrc/ops.cpp", "csrc/rest.cpp", "csrc/keep.cpp"])])\n',
    "pkg/__init__.py": "from . import _C\n",
    "csrc/rest.cpp": "#include <torch/all.h>\nint64_t late(at::Tensor x) { return x.dim(); }\n",
    "csrc/keep.cpp": "#include <torch/all.h>\nint64_t late(at::Tensor x);\nint64_t later(at::Tensor x) { return late(x); }\n",
}
HEAD = "#include <torch/all.h>\n"


@pytest.mark.parametrize(
    ("unit", "said"),
    [
        (
            'struct State {};\nState* make(at::Tensor x) { return nullptr; }\nTORCH_LIBRARY(my, m) { m.def("make", &make); }\n',
            "my::make would be defined without a schema (make: the return type `State*` has no schema type:",
        ),
        (
            "int64_t late(at::Tensor x);\nat::Tensor f(at::Tensor x) { return x; }\n"
            'TORCH_LIBRARY(my, m) { m.def("f", &f); m.def("late", &late); }\n',
            "the function it registers is defined in csrc/rest.cpp, which is not migrated: name that file too",
        ),
    ],
)
def test_an_operator_that_would_be_lost_is_something_to_do_by_hand(
    unit: str, said: str, tmp_path: Path, run_cli: Run
) -> None:
    folder = make_repository(tmp_path / "repository", LOSING | {"csrc/ops.cpp": HEAD + unit})
    ran = run_cli("migrate", "csrc/ops.cpp", "--json", cwd=folder)
    assert ran.code == 1, ran
    manual = [finding for finding in json.loads(ran.out)["findings"] if finding["concern"] == "manual"]
    assert any(said in f"{finding['message']} ({finding['help']}" for finding in manual), manual
