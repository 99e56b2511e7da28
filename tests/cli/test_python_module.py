"""The Python module beside a stable library: what is in it after one run and after the next, and who imports it."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from tests.conftest import Run, commit_all, make_repository

SETUP = """\
from setuptools import setup
from torch.utils.cpp_extension import BuildExtension, CppExtension

setup(
    name="tide",
    packages=["tide"],
    ext_modules=[CppExtension("tide._C", [SOURCES])],
    cmdclass={"build_ext": BuildExtension},
)
"""
SNAP = """\
#include <torch/library.h>
#include <torch/torch.h>

using namespace torch::autograd;

// Rounds, and lets gradients through as if it did not.
struct Snap : public Function<Snap> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x) { return at::round(x); }
  static variable_list backward(AutogradContext* ctx, variable_list grads) { return {grads[0]}; }
};

at::Tensor snap(const at::Tensor& x) { return Snap::apply(x); }

TORCH_LIBRARY(tide, m) {
  m.def("snap(Tensor x) -> Tensor", &snap);
}
"""
KERNEL = """\
#include <torch/types.h>

at::Tensor NAME(const at::Tensor& x) {
  auto y = at::empty_like(x);
  for (int64_t i = 0; i < x.numel(); ++i) y.data_ptr<float>()[i] = BY * x.data_ptr<float>()[i];
  return y;
}
"""
BOUND = """\
#include <torch/extension.h>

at::Tensor ebb(const at::Tensor& x);
at::Tensor flow(const at::Tensor& x);

PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
  m.def("ebb", &ebb, "Less of it: \\"half\\".");
  m.def("flow", &flow);
}
"""


def package(folder: Path, sources: dict[str, str], init: str) -> Path:
    """A package `tide` with an extension of these sources."""
    named = ", ".join(f'"{name}"' for name in sources)
    files = {"setup.py": SETUP.replace("SOURCES", named), "tide/__init__.py": init}
    return make_repository(folder, files | sources)


def test_a_derivative_of_its_own_is_not_that_of_the_body(tmp_path: Path, run_cli: Run) -> None:
    """Under CompositeImplicitAutograd the dispatcher would differentiate round(), whose gradient is 0."""
    tree = package(tmp_path, {"csrc/snap.cpp": SNAP + "PYBIND11_MODULE(_C, m) {}\n"}, "from . import _C\n")
    ran = run_cli("migrate", "csrc/snap.cpp", "--write", cwd=tree)
    assert ran.code == 0, ran.out
    text = (tree / "csrc/libtorch_stable/snap.cpp").read_text()
    explicit = text[text.index("STABLE_TORCH_LIBRARY_IMPL(tide, CompositeExplicitAutograd, m)") :]
    assert 'm.impl("snap", TORCH_BOX(&snap));' in explicit[: explicit.index("}\n")]
    assert "torch::autograd" not in text
    module = (tree / "tide/_C_ops.py").read_text()
    assert 'torch.library.register_autograd("tide::snap"' in module
    assert "register_fake" not in module  # its body runs on tensors without memory


def test_an_empty_python_module_stays_importable(tmp_path: Path, run_cli: Run) -> None:
    """PYBIND11_MODULE with nothing in it is there so that an import loads the library."""
    tree = package(tmp_path, {"csrc/snap.cpp": SNAP + "PYBIND11_MODULE(_C, m) {}\n"}, "from . import _C\n")
    run_cli("migrate", "csrc/snap.cpp", "--write", cwd=tree)
    text = (tree / "csrc/libtorch_stable/snap.cpp").read_text()
    assert "PYBIND11_MODULE" not in text
    assert text.count("PyInit__C_stable_libtorch") == 1


def test_a_second_run_adds_to_the_module_and_leaves_its_imports(tmp_path: Path, run_cli: Run) -> None:
    """The module asks the legacy one for what has not moved, and nobody turns that into an import of itself."""
    sources = {"csrc/bind.cpp": BOUND}
    sources |= {
        f"csrc/{name}.cpp": KERNEL.replace("NAME", name).replace("BY", by)
        for name, by in (("ebb", "0.5f"), ("flow", "2"))
    }
    tree = package(tmp_path, sources, "from . import _C\n\ndef both(x):\n    return _C.flow(_C.ebb(x))\n")
    assert run_cli("migrate", "csrc/ebb.cpp", "--write", cwd=tree).code == 0
    first = (tree / "tide/_C_ops.py").read_text()
    assert "from tide import _C as _legacy\n" in first
    assert 'ebb.__doc__ = "Less of it: \\"half\\"."\n' in first
    assert "return getattr(_legacy, name)" in first
    commit_all(tree, "ebb")

    assert run_cli("migrate", "csrc/flow.cpp", "--write", cwd=tree).code == 0
    second = (tree / "tide/_C_ops.py").read_text()
    assert "_legacy" not in second
    assert "ebb = torch.ops.tide.ebb\n" in second
    assert "flow = torch.ops.tide.flow\n" in second


def test_what_a_module_has_once_it_has_once_after_any_number_of_runs(tmp_path: Path, run_cli: Run) -> None:
    """A library of torch.library takes its registrations back once nothing refers to it: it is made once."""
    names = ("ebb", "flow", "slack", "surge")
    bound = "".join(f'  m.def("{name}", &{name});\n' for name in names)
    declared = "".join(f"torch::Tensor {name}(torch::Tensor x);\n" for name in names)
    sources = {"csrc/bind.cpp": f"#include <torch/extension.h>\n{declared}PYBIND11_MODULE(_C, m) {{\n{bound}}}\n"}
    sources |= {f"csrc/{name}.cpp": KERNEL.replace("NAME", name).replace("BY", "2") for name in names}
    tree = package(tmp_path, sources, "from . import _C\n\ndef both(x):\n    return _C.flow(_C.surge(x))\n")
    for name in names:
        assert run_cli("migrate", f"csrc/{name}.cpp", "--write", cwd=tree).code == 0
        commit_all(tree, name)
        module = (tree / "tide/_C_ops.py").read_text()
        compile(module, "_C_ops.py", "exec")
        stays = name != names[-1]
        assert module.count("as _legacy\n") == module.count("def __getattr__") == stays
        assert module.count("torch.library.Library(") == 1
        assert module.index("torch.library.Library(") < module.index(".impl(")
    assert module.count("_tide.impl(") == len(names)


def test_a_library_that_is_loaded_by_its_file_brings_its_module_along(tmp_path: Path, run_cli: Run) -> None:
    """It has no init function: the module loads the file too, and is imported behind the place that did."""
    init = (
        "import glob\nimport os\n\nimport torch\n\n"
        'torch.ops.load_library(glob.glob(os.path.dirname(__file__) + "/_C*.so")[0])\n'
    )
    tree = package(tmp_path, {"csrc/snap.cpp": SNAP}, init)
    ran = run_cli("migrate", "csrc/snap.cpp", "--write", cwd=tree)
    assert ran.code == 0, ran.out
    assert (tree / "tide/__init__.py").read_text().endswith("[0])\nimport tide._C_ops  # noqa: E402, F401\n")
    module = (tree / "tide/_C_ops.py").read_text()
    assert 'find_spec("_C_stable_libtorch", [os.path.dirname(__file__)])' in module
    assert "from tide import" not in module


MASKED = """\
#include <torch/library.h>
#include <torch/torch.h>

using namespace torch::autograd;

at::Tensor picked(const at::Tensor& x, bool* kept) {
  std::vector<int64_t> found;
  for (int64_t i = 0; i < x.numel(); ++i) {
    if ((kept[i] = x.data_ptr<float>()[i] > 0)) found.push_back(i);
  }
  return x.index_select(0, at::tensor(found));
}

struct Picked : public Function<Picked> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x) {
    auto kept = at::empty(x.sizes(), x.options().dtype(at::kBool));
    auto y = picked(x, kept.data_ptr<bool>());
    ctx->save_for_backward({kept});
    return y;
  }
  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    auto kept = ctx->get_saved_variables()[0];
    return {at::zeros_like(kept).to(grads[0].scalar_type()).masked_scatter(kept, grads[0])};
  }
};

at::Tensor pick(const at::Tensor& x) { return Picked::apply(x.contiguous()); }

TORCH_LIBRARY(tide, m) {
  m.def("pick(Tensor x) -> Tensor", &pick);
}
PYBIND11_MODULE(_C, m) {}
"""


def test_what_calls_an_operator_without_a_fake_kernel_breaks_the_graph(tmp_path: Path, run_cli: Run) -> None:
    """Traced through, the error of the operator that it calls would come as one that stops the compilation."""
    tree = package(tmp_path, {"csrc/pick.cpp": MASKED}, "from . import _C\n")
    run_cli("migrate", "csrc/pick.cpp", "--write", cwd=tree)
    text = (tree / "csrc/libtorch_stable/pick.cpp").read_text()
    explicit = text[text.index("STABLE_TORCH_LIBRARY_IMPL(tide, CompositeExplicitAutograd, m)") :]
    assert 'm.impl("pick", TORCH_BOX(&pick));' in explicit[: explicit.index("}\n")]
    module = (tree / "tide/_C_ops.py").read_text()
    assert 'raise NotImplementedError("tide::pick has no fake kernel")' in module
    assert 'raise NotImplementedError("tide::picked_forward has no fake kernel")' in module
    passed = module[: module.index("fallthrough_kernel")]
    assert '"pick",' in passed
    assert '"picked_forward",' not in passed


WRITES = """\
#include <torch/extension.h>

using namespace torch::autograd;

struct Grow : public Function<Grow> {
  static at::Tensor forward(AutogradContext* ctx, at::Tensor x, double by) {
    ctx->saved_data["by"] = by;
    x.mul_(by);
    ctx->mark_dirty({x});
    return x;
  }
  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    return {grads[0] * ctx->saved_data["by"].toDouble(), at::Tensor()};
  }
};

at::Tensor grow(at::Tensor x, double by) { return Grow::apply(x, by); }

PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
  m.attr("LEVELS") = 3;
  m.def("grow", &grow);
}
"""


def test_what_is_written_through_an_autograd_function_is_marked_and_given_back(tmp_path: Path, run_cli: Run) -> None:
    """What it calls through the dispatcher gives nothing back, so that torch.compile takes it."""
    tree = package(tmp_path, {"csrc/grow.cpp": WRITES}, "from tide._C import LEVELS, grow\n")
    ran = run_cli("migrate", "csrc/grow.cpp", "--write", cwd=tree)
    assert ran.code == 0, ran.out
    module = (tree / "tide/_C_ops.py").read_text()
    assert "NotImplementedError" not in module
    unit = (tree / "csrc/libtorch_stable/grow.cpp").read_text()
    assert '"grow(Tensor(a!) x, float by) -> Tensor(a!)"' in unit
    assert '"grow_forward(Tensor(a!) x, float by) -> ()"' in unit
    composite = unit[unit.index("STABLE_TORCH_LIBRARY_IMPL(tide, CompositeImplicitAutograd, m)") :]
    assert 'm.impl("grow", TORCH_BOX(&grow));' in composite
    assert "LEVELS = 3\n" in module
    assert (tree / "tide/__init__.py").read_text() == "from tide._C_ops import LEVELS, grow\n"


def test_an_imported_module_that_is_passed_on_is_the_python_side(tmp_path: Path, run_cli: Run) -> None:
    """Whoever gets it asks for functions, which the legacy module does not have any more."""
    sources = {"csrc/bind.cpp": BOUND}
    sources |= {f"csrc/{name}.cpp": KERNEL.replace("NAME", name).replace("BY", "2") for name in ("ebb", "flow")}
    tree = package(tmp_path, sources, "")
    (tree / "tide/lazy.py").write_text(
        'import importlib\n\n\ndef backend():\n    return importlib.import_module("tide._C")\n\n\n'
        'def ebb(x):\n    return importlib.import_module("tide._C").ebb(x)\n\n\n'
        'def loaded():\n    importlib.import_module("tide._C")\n'
    )
    (tree / "tide/names.py").write_text(
        "import torch\nfrom tide._C import LEVELS, ebb\n\n\ndef f(x):\n    return ebb(x)\n"
    )
    commit_all(tree, "lazy imports")
    ran = run_cli("migrate", "csrc/ebb.cpp", "csrc/flow.cpp", "--write", cwd=tree)
    assert ran.code == 0, ran.out
    text = (tree / "tide/lazy.py").read_text()
    assert 'def backend():\n    return importlib.import_module("tide._C_ops")\n' in text
    assert 'return importlib.import_module("tide._C_ops").ebb(x)\n' in text


def test_a_module_reached_through_its_package_is_found(tmp_path: Path, run_cli: Run) -> None:
    """A test imports the package and asks its module; nothing in the file imports the module itself."""
    sources = {"csrc/bind.cpp": BOUND.replace('m.def("flow"', 'm.attr("LEVEL") = 2;\n  m.def("flow"')}
    sources = {"csrc/bind.cpp": sources["csrc/bind.cpp"] + KERNEL.replace("NAME", "ebb").replace("BY", "2")}
    sources["csrc/bind.cpp"] += KERNEL.replace("NAME", "flow").replace("BY", "2").partition("\n")[2]
    tree = package(tmp_path, sources, "from tide import _C\n")
    before = (
        "import tide\nimport tide as t\n\n\ndef test_ebb(x, other):\n    assert tide._C.ebb(x) is not None\n"
        '    assert hasattr(tide._C, "flow")\n    assert t._C.LEVEL == 2\n    assert t._C.flow(x) is not None\n'
        "    assert other._C.flow(x) is None\n"
    )
    (tree / "test_tide.py").write_text(before)
    commit_all(tree, "a test")
    ran = run_cli("migrate", "csrc/bind.cpp", "--write", cwd=tree)
    assert ran.code == 0, ran.out
    assert (tree / "test_tide.py").read_text() == (
        "import torch\nimport tide\nimport tide as t\n\n\ndef test_ebb(x, other):\n"
        "    assert torch.ops.tide.ebb(x) is not None\n"
        '    assert hasattr(tide._C_ops, "flow")\n    assert t._C_ops.LEVEL == 2\n'
        "    assert torch.ops.tide.flow(x) is not None\n    assert other._C.flow(x) is None\n"
    )


def test_strings_that_ask_for_the_module_ask_for_what_is_there(tmp_path: Path, run_cli: Run) -> None:
    """Whether the library was built, and the module with the functions; the legacy module is found no more."""
    kernels = "".join(KERNEL.replace("NAME", name).replace("BY", "2").partition("\n")[2] for name in ("ebb", "flow"))
    tree = package(tmp_path, {"csrc/bind.cpp": BOUND + kernels}, "from tide import _C\n")
    before = (
        "import sys\nfrom importlib.util import find_spec\n\nfrom . import other\n\n"
        "HAS = find_spec(\"tide._C\") is not None\n\n\ndef module():\n    return sys.modules['tide._C']\n"
    )
    (tree / "tide/probe.py").write_text(before)
    (tree / "again.py").write_text("import torch\nfrom tide import probe as p\nimport tide\n\nprint(tide._C.ebb)\n")
    commit_all(tree, "probes")
    ran = run_cli("migrate", "csrc/bind.cpp", "--write", cwd=tree)
    assert ran.code == 0, ran.out
    after = before.replace('"tide._C"', '"tide._C_stable_libtorch"').replace("'tide._C'", "'tide._C_ops'")
    assert (tree / "tide/probe.py").read_text() == after
    assert (tree / "again.py").read_text().endswith("print(torch.ops.tide.ebb)\n")


COMPUTED = {
    "a loop over names": """
        for name in ("_C",):
            found = PathFinder().find_spec(name, [os.path.dirname(__file__)])
            if found is None:
                raise ImportError(name)
            torch.ops.load_library(found.origin)
    """,
    "every file": """
        for file in Path(__file__).parent.glob("*.so"):
            torch.ops.load_library(file)
    """,
    "a pattern in a variable": """
        files = list(Path(__file__).parent.glob("_C.*so"))
        torch.ops.load_library(files[0])
    """,
    "a name put together": """
        importlib.import_module(f"{__name__}._C")
    """,
    "a loop that forgives": """
        for file in Path(__file__).parent.glob("*.so"):
            try:
                torch.ops.load_library(file)
            except OSError:
                print("no", file)
    """,
}
_IMPORTS = "import importlib\nimport os\nfrom importlib.machinery import PathFinder\nfrom pathlib import Path\n\nimport torch\n"
_TIMES = """\
#include <torch/library.h>
#include <torch/torch.h>

at::Tensor times(const at::Tensor& x, double by) {
  auto y = at::empty_like(x);
  for (int64_t i = 0; i < x.numel(); ++i) y.data_ptr<float>()[i] = by * x.data_ptr<float>()[i];
  return y;
}

TORCH_LIBRARY_FRAGMENT(tide, m) {
  m.def("times(Tensor x, float by) -> Tensor", &times);
}
"""


@pytest.mark.parametrize("load", COMPUTED)
def test_a_package_that_computes_what_it_loads_imports_the_module_behind_that(
    tmp_path: Path, run_cli: Run, load: str
) -> None:
    code = dedent(COMPUTED[load])
    tree = package(tmp_path, {"csrc/times.cpp": _TIMES}, f"{_IMPORTS}{code}\nready = True\n")
    ran = run_cli("migrate", "csrc/times.cpp", "--in-place", "--write", cwd=tree)
    assert ran.code == 0, ran.out
    assert 'register_fake("tide::times")' in (tree / "tide/_C_ops.py").read_text()
    after = (tree / "tide/__init__.py").read_text()
    assert after == f"{_IMPORTS}{code}import tide._C_ops  # noqa: E402, F401\n\nready = True\n"
    commit_all(tree, "times")
    again = run_cli("migrate", "csrc/times.cpp", "--in-place", "--write", cwd=tree)
    assert (tree / "tide/__init__.py").read_text() == after, again.out


@pytest.mark.parametrize(
    "code", ['torch.ops.load_library(os.environ["TIDE_LIBRARY"])\n', "ready = True\n"], ids=["elsewhere", "nowhere"]
)
def test_a_module_that_nothing_is_seen_to_need_is_told(tmp_path: Path, run_cli: Run, code: str) -> None:
    """A library from another place may be another build: the module would load a second one."""
    tree = package(tmp_path, {"csrc/times.cpp": _TIMES}, _IMPORTS + code)
    ran = run_cli("migrate", "csrc/times.cpp", "--in-place", "--write", cwd=tree)
    assert ran.code == 1
    assert "nothing imports tide._C_ops" in ran.out
    assert (tree / "tide/__init__.py").read_text() == _IMPORTS + code


def test_a_module_that_finds_its_library_in_its_folder_loads_it(tmp_path: Path, run_cli: Run) -> None:
    """Half of the operators move to a library that has no entry point for Python: nothing is left to do by hand."""
    sources = {
        "csrc/times.cpp": _TIMES,
        "csrc/plus.cpp": _TIMES.replace("times", "plus") + "PYBIND11_MODULE(_C, m) {}\n",
    }
    tree = package(tmp_path, sources, "from . import _C\n")
    ran = run_cli("migrate", "csrc/times.cpp", "--in-place", "--write", cwd=tree)
    assert ran.code == 0, ran.out
    assert (tree / "tide/__init__.py").read_text() == "from . import _C\nfrom . import _C_ops  # noqa: F401\n"


def test_the_docstring_of_a_module_stays(tmp_path: Path, run_cli: Run) -> None:
    bound = (
        '\nPYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {\n  m.doc() = "High and " R"(low "water".)";\n'
        '  m.def("ebb", &ebb);\n}\n'
    )
    source = KERNEL.replace("NAME", "ebb").replace("BY", "2").replace("types.h", "extension.h") + bound
    tree = package(tmp_path, {"csrc/ebb.cpp": source}, "from . import _C\n\nprint(_C.__doc__, _C.ebb)\n")
    ran = run_cli("migrate", "csrc/ebb.cpp", "--in-place", "--write", cwd=tree)
    assert ran.code == 0, ran.out
    assert "m.doc()" not in (tree / "csrc/ebb.cpp").read_text()
    assert '\n__doc__ = "High and low \\"water\\"."\n' in (tree / "tide/_C_ops.py").read_text()
