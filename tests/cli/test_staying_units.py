"""A Python module with a class: its unit stays in the legacy module, and the functions of the others move."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Run, commit_all, make_repository

FILES = {
    "setup.py": """\
from setuptools import setup
from torch.utils.cpp_extension import BuildExtension, CppExtension

setup(
    name="till",
    packages=["till"],
    ext_modules=[CppExtension("till._C", ["csrc/module.cpp", "csrc/sums.cpp"])],
    cmdclass={"build_ext": BuildExtension},
)
""",
    "csrc/sums.h": """\
#pragma once
#include <torch/extension.h>

at::Tensor sums(const at::Tensor& x, int64_t step);
""",
    "csrc/sums.cpp": """\
#include "sums.h"

at::Tensor sums(const at::Tensor& x, int64_t step) {
  auto out = at::zeros({x.size(0) / step}, x.options());
  const float* from = x.data_ptr<float>();
  float* to = out.data_ptr<float>();
  for (int64_t i = 0; i < out.size(0) * step; ++i) to[i / step] += from[i];
  return out;
}
""",
    "csrc/module.cpp": """\
#include "sums.h"

struct Drawer {
  void put(at::Tensor coin) { coins.push_back(coin); }
  std::vector<at::Tensor> coins;
};

PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
  m.attr("LIMIT") = 9;
  m.def("sums", &sums, py::arg("x"), py::arg("step") = 2);
  py::class_<Drawer>(m, "Drawer").def(py::init<>()).def("put", &Drawer::put);
}
""",
    "till/__init__.py": """\
import os

if os.environ.get("TILL_PLAIN"):
    from till import plain as backend
else:
    from till import _C as backend

LIMIT = backend.LIMIT


def sums(x):
    return backend.sums(x, step=3)
""",
    "till/plain.py": "LIMIT = 1\n\n\ndef sums(x, step=2):\n    return x.reshape(-1, step).sum(1)\n",
}


def test_the_class_stays_and_the_function_moves(tmp_path: Path, run_cli: Run) -> None:
    """Python finds both in one module, which takes the legacy one's place in its branch alone."""
    tree = make_repository(tmp_path / "till", FILES)

    ran = run_cli("migrate", "csrc", "--write", cwd=tree)

    assert ran.code == 1
    assert "TSA530 csrc/module.cpp stays in the legacy module _C: it binds a class" in ran.out
    module = (tree / "csrc/module.cpp").read_text()
    assert "py::class_<Drawer>" in module
    assert "&sums" not in module
    assert 'm.attr("LIMIT") = 9;' in module
    assert (
        'm.def("sums(Tensor x, int step=2) -> Tensor");'
        in (tree / "csrc/libtorch_stable/torch_bindings.cpp").read_text()
    )
    package = (tree / "till/__init__.py").read_text()
    assert package == FILES["till/__init__.py"].replace("import _C as backend", "import _C_ops as backend")
    side = (tree / "till/_C_ops.py").read_text()
    assert "sums = torch.ops.till.sums\n" in side
    assert side.endswith("    return getattr(_legacy, name)\n")
    setup = (tree / "setup.py").read_text()
    assert '"csrc/module.cpp"' in setup
    assert "till._C_stable_libtorch" in setup
    commit_all(tree, "migrated")
    again = run_cli("migrate", "csrc", cwd=tree)
    assert again.out == ""  # no diff: it stays


def test_a_unit_alone_is_told_to_be_split(tmp_path: Path, run_cli: Run) -> None:
    """Where nothing else would move, nothing is left out in silence."""
    one = FILES["csrc/sums.cpp"].replace('#include "sums.h"', "#include <torch/extension.h>")
    files = {
        **FILES,
        "csrc/module.cpp": one + FILES["csrc/module.cpp"].replace('#include "sums.h"\n', ""),
        "setup.py": FILES["setup.py"].replace(', "csrc/sums.cpp"', ""),
    }
    tree = make_repository(tmp_path / "till", {k: v for k, v in files.items() if not k.startswith("csrc/sums")})
    ran = run_cli("migrate", "csrc/module.cpp", cwd=tree)
    assert ran.code == 1
    assert "TSA515 a class has no stable form" in ran.out + ran.err


MIXED = {
    **FILES,
    "setup.py": FILES["setup.py"].replace('"csrc/sums.cpp"', '"csrc/sums.cpp", "csrc/table.cpp"'),
    "csrc/sums.h": FILES["csrc/sums.h"]
    + "at::Tensor pick(const at::Tensor& x, std::optional<at::Generator> source);\n"
    + "int64_t price(const std::map<std::string, int64_t>& list, const at::Tensor& x);\n",
    "csrc/table.cpp": """\
#include "sums.h"

at::Tensor pick(const at::Tensor& x, std::optional<at::Generator> source) {
  return x.index_select(0, at::randperm(x.size(0), source, at::kLong));
}

int64_t price(const std::map<std::string, int64_t>& list, const at::Tensor& x) {
  return list.at("coin") * sums(x, 1).size(0);
}
""",
    "csrc/module.cpp": """\
#include "sums.h"

static at::Tensor pairs(const at::Tensor& x) { return sums(x, 2); }

TORCH_LIBRARY(till, m) {
  m.def("sums(Tensor x, int step) -> Tensor");
  m.def("pick(Tensor x, Generator? source) -> Tensor");
}

TORCH_LIBRARY_IMPL(till, CPU, m) {
  m.impl("sums", &sums);
  m.impl("pick", &pick);
}

PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
  m.def("pairs", &pairs);
  m.def("price", &price);
  m.def("count", [](py::dict found) { return found.size(); });
}
""",
    "till/__init__.py": "from till import _C\n\n\ndef pairs(x):\n    return _C.pairs(x), _C.price({'coin': 1}, x)\n",
}


@pytest.mark.parametrize("form", [(), ("--in-place",)])
def test_what_cannot_cross_stays_and_the_rest_moves(tmp_path: Path, run_cli: Run, form: tuple[str, ...]) -> None:
    tree = make_repository(tmp_path / "till", MIXED)

    ran = run_cli("migrate", "csrc", "csrc/module.cpp", *form, "--write", cwd=tree)

    assert ran.code == 1
    assert "csrc/table.cpp stays in the legacy library _C: pick: parameter `source`" in ran.out
    assert "csrc/module.cpp stays in the legacy" in ran.out
    assert (tree / "csrc/table.cpp").read_text() == MIXED["csrc/table.cpp"]
    module = (tree / "csrc/module.cpp").read_text()
    assert 'm.impl("pick", &pick);' in module
    assert '"sums' not in module.partition("TORCH_LIBRARY_IMPL")[2].partition("findSchemaOrThrow")[0]
    for kept in ("pairs", "price", "count"):
        assert f'm.def("{kept}"' in module
    stable = (tree / "csrc/libtorch_stable/torch_bindings.cpp").read_text()
    assert 'm.impl("sums", TORCH_BOX(&sums));' in stable
    assert "pick" not in stable
    assert "csrc/table.cpp" in (tree / "setup.py").read_text()


def test_what_stays_calls_the_operator_of_a_function_that_moves(tmp_path: Path, run_cli: Run) -> None:
    tree = make_repository(tmp_path / "till", MIXED)

    ran = run_cli("migrate", "csrc", "csrc/module.cpp", "--write", cwd=tree)

    assert "sums moves and is called here: the legacy library calls the operator till::sums" in ran.out
    files = [(tree / f"csrc/{name}").read_text() for name in ("module.cpp", "table.cpp")]
    assert sum("at::Tensor sums(const at::Tensor& x, int64_t step) {" in text for text in files) == 1
    assert '.findSchemaOrThrow("till::sums", "")' in "".join(files)
    assert ".typed<at::Tensor(const at::Tensor&, int64_t)>();" in "".join(files)
    assert "at::Tensor sums(" in (tree / "csrc/sums.h").read_text()


def test_what_stays_is_not_taken_for_what_is_left_to_do(tmp_path: Path, run_cli: Run) -> None:
    """The unit binds a function of its own that stays: the tree without the others is no request for it."""
    module = FILES["csrc/module.cpp"].replace(
        "PYBIND11_MODULE",
        'static std::map<std::string, at::Tensor> named(const at::Tensor& x) { return {{"x", x + x}}; }\n\nPYBIND11_MODULE',
    )
    module = module.replace("  py::class_", '  m.def("named", &named);\n  m.def("halves", &halves);\n  py::class_')
    halves = "std::array<at::Tensor, 2> halves(const at::Tensor& x)"
    files = {
        **FILES,
        "csrc/module.cpp": module,
        "csrc/sums.h": FILES["csrc/sums.h"] + f"{halves};\n",
        "csrc/sums.cpp": FILES["csrc/sums.cpp"] + f"\n{halves} {{ return {{x + x, x}}; }}\n",
    }
    tree = make_repository(tmp_path / "till", files)
    ran = run_cli("migrate", "csrc", "--write", cwd=tree)
    assert ran.code == 1
    assert "TSA530 csrc/module.cpp stays in the legacy module _C" in ran.out
    assert "TSA710" not in ran.out
    assert 'm.def("named", &named);' in (tree / "csrc/module.cpp").read_text()
    assert not (tree / "csrc/libtorch_stable/module.cpp").exists()
    bindings = (tree / "csrc/libtorch_stable/torch_bindings.cpp").read_text()
    assert "return std::vector(result.begin(), result.end());" in bindings


@pytest.mark.parametrize(
    "binding",
    [
        'py::class_<Drawer>(m, "Drawer").def(py::init<>()).def("put", &Drawer::put);',
        'py::class_<Drawer, std::shared_ptr<Drawer>> bound(m, "Drawer");\n  bound.def(py::init<>());',
    ],
)
def test_a_function_that_binds_a_class_for_another_file_stays_with_it(
    tmp_path: Path, run_cli: Run, binding: str
) -> None:
    drawer = (
        '#include "sums.h"\n\nnamespace py = pybind11;\n\n'
        "struct Drawer {\n  void put(at::Tensor coin) { coins.push_back(coin); }\n  std::vector<at::Tensor> coins;\n};\n\n"
        f"void bind_drawer(py::module& m) {{\n  {binding}\n}}\n"
    )
    module = (
        '#include "sums.h"\n\nvoid bind_drawer(pybind11::module& m);\n\n'
        "PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {\n"
        '  m.def("sums", &sums, py::arg("x"), py::arg("step") = 2);\n  bind_drawer(m);\n}\n'
    )
    setup = FILES["setup.py"].replace('"csrc/sums.cpp"', '"csrc/sums.cpp", "csrc/drawer.cpp"')
    files = {"csrc/drawer.cpp": drawer, "csrc/module.cpp": module, "setup.py": setup}
    tree = make_repository(tmp_path / "till", FILES | files)

    ran = run_cli("migrate", "csrc/module.cpp", "csrc/sums.cpp", "csrc/drawer.cpp", "--write", cwd=tree)

    assert ran.code == 1, ran
    assert "csrc/drawer.cpp stays in the legacy module _C: it binds a class" in ran.out + ran.err
    assert "TSA707" not in ran.out + ran.err
    assert (tree / "csrc/drawer.cpp").read_text() == drawer
    assert (tree / "csrc/libtorch_stable/sums.cpp").exists()


_LEAN_BIND = """\
at::Tensor ruled(const at::Tensor& x);
at::Tensor drawn(const at::Tensor& x, const std::map<std::string, int64_t>& pens);
at::Tensor halved(const at::Tensor& x);

PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
  m.def("drawn", &drawn);
  m.def("ruled", &ruled);
  m.def("halved", &halved);
}
"""
_LEAN = {
    "setup.py": """\
from setuptools import setup
from torch.utils.cpp_extension import BuildExtension, CppExtension

setup(
    name="desk",
    packages=["desk"],
    ext_modules=[CppExtension("desk._C", [{sources}])],
    cmdclass={{"build_ext": BuildExtension}},
)
""",
    "desk/__init__.py": "from desk import _C\n",
    "csrc/drawn.cpp": """\
#include <map>
#include <torch/extension.h>

at::Tensor drawn(const at::Tensor& x, const std::map<std::string, int64_t>& pens) {
  TORCH_CHECK(x.dim() > 0, "no scalar");
  return pens.empty() ? at::zeros_like(x) : at::empty_like(x);
}
""",
    "csrc/ruled.cpp": """\
#include <map>
#include <torch/extension.h>

at::Tensor drawn(const at::Tensor& x, const std::map<std::string, int64_t>& pens);
at::Tensor ruled(const at::Tensor& x) { return drawn(x, {}); }
""",
    "csrc/halved.cpp": "#include <torch/extension.h>\n\nat::Tensor halved(const at::Tensor& x) { return x / 2; }\n",
}


def _desk(tmp_path: Path, **more: str) -> Path:
    files = {**_LEAN, **{f"csrc/{name}.cpp": text for name, text in more.items()}}
    sources = ", ".join(f'"{path}"' for path in sorted(files) if path.startswith("csrc/"))
    return make_repository(tmp_path / "desk", {**files, "setup.py": _LEAN["setup.py"].format(sources=sources)})


@pytest.mark.parametrize("form", [(), ("--in-place",)])
def test_what_a_staying_unit_defines_is_compiled_by_both(tmp_path: Path, run_cli: Run, form: tuple[str, ...]) -> None:
    """A function of it has no operator, and one that moves calls it: the stable library would not load without it."""
    tree = _desk(tmp_path, bind=f"#include <map>\n#include <torch/extension.h>\n\n{_LEAN_BIND}")

    ran = run_cli("migrate", "csrc", *form, "--write", cwd=tree)

    assert ran.code == 1
    assert "csrc/drawn.cpp stays in the legacy module _C: drawn: " in ran.out
    assert "csrc/drawn.cpp is built into both libraries: csrc/ruled.cpp uses drawn, which it defines" in ran.out
    legacy, stable = (tree / "setup.py").read_text().split("_stable_libtorch")
    assert '"csrc/drawn.cpp"' in legacy
    assert '"csrc/drawn.cpp"' in stable
    text = (tree / "csrc/drawn.cpp").read_text()
    assert "torch::stable::Tensor drawn(" in text
    assert "\nat::Tensor drawn(" in text


def test_what_needs_a_unit_that_stays_with_its_module_stays_too(tmp_path: Path, run_cli: Run) -> None:
    """The function is defined next to the module's init, which only the legacy library can have."""
    tree = _desk(
        tmp_path, drawn=_LEAN["csrc/drawn.cpp"] + _LEAN_BIND.replace("at::Tensor drawn", "// at::Tensor drawn")
    )

    ran = run_cli("migrate", "csrc", "--write", cwd=tree)

    assert ran.code == 1
    assert "TSA550 csrc/ruled.cpp stays: it uses drawn, which csrc/drawn.cpp defines, and that stays" in ran.out
    assert (tree / "csrc/ruled.cpp").read_text() == _LEAN["csrc/ruled.cpp"]
    assert (tree / "csrc/libtorch_stable/halved.cpp").exists()
    stable = (tree / "csrc/libtorch_stable/torch_bindings.cpp").read_text()
    assert 'm.impl("halved"' in stable
    assert "ruled" not in stable
