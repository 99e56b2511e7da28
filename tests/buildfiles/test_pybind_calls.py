"""Python calls of pybind functions become calls of operators, by whatever name the module is known."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import dedent

import pytest

from tests.buildfiles.trees import Planned, plan

SETUP = 'ext_modules = [CppExtension("pkg._C", ["csrc/bindings.cpp", "csrc/norm.cpp"])]\n'
FUNCTIONS = {"fwd": "pkg::fwd", "bwd": "pkg::bwd"}


def planned(files: Mapping[str, str]) -> Planned:
    texts = {path: dedent(text) for path, text in files.items()}
    return plan({"setup.py": SETUP, **texts}, ["csrc/norm.cpp"], pybind=FUNCTIONS)


def site(text: str, path: str = "pkg/ops.py") -> str:
    """What becomes of one file, the loads of the stable library left out."""
    after = planned({path: text}).text(path)
    compile(after, path, "exec")
    lines = after.splitlines(keepends=True)
    return "".join(line for line in lines if "_C_stable" not in line)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("ext.fwd(q, k, causal=True)", "torch.ops.pkg.fwd(q, k, causal=True)"),
        ("y = ext.fwd(\n        q,\n    )", "y = torch.ops.pkg.fwd(\n        q,\n    )"),
        ("return ext.bwd", "return torch.ops.pkg.bwd"),
        ("ext.other(q)", "ext.other(q)"),
        ("self.ext.fwd(q)", "self.ext.fwd(q)"),
        ("other.fwd(q)", "other.fwd(q)"),
    ],
)
def test_calls_through_the_module(before: str, after: str) -> None:
    text = f"import torch\nfrom pkg import _C as ext\n\ndef f(q):\n    {before}\n"
    assert site(text).endswith(f"def f(q):\n    {after}\n")


def test_calls_of_imported_functions() -> None:
    text = "import torch\nfrom pkg._C import fwd, keep\n\nfwd(1, b=2)\nkeep(1)\nx.fwd(1)\n"
    assert site(text) == ("import torch\nfrom pkg._C import keep\n\ntorch.ops.pkg.fwd(1, b=2)\nkeep(1)\nx.fwd(1)\n")


def test_torch_is_imported_where_it_was_not() -> None:
    text = '"""Doc."""\nfrom __future__ import annotations\nimport pkg._C\n\npkg._C.fwd(1)\n'
    after = site(text)
    assert "from __future__ import annotations\nimport torch\nimport pkg._C\n" in after
    assert "torch.ops.pkg.fwd(1)" in after


@pytest.mark.parametrize("body", ["def f(ext):\n    ext.fwd(1)\n", "def f():\n    ext = make()\n    ext.fwd(1)\n"])
def test_a_name_that_means_something_else_is_left_alone(body: str) -> None:
    text = f"import torch\nfrom pkg import _C as ext\n\n{body}"
    assert body in site(text)


@pytest.mark.parametrize("use", ['getattr(ext, "fwd")(1)', "run(ext)", "TABLE = {1: ext}"])
def test_a_module_that_is_passed_on_is_listed(use: str) -> None:
    done = planned({"pkg/ops.py": f"from pkg import _C as ext\n{use}\n"})
    (found,) = done.diagnostics("TSA641")
    assert done.place(found) == "ext"


@pytest.mark.parametrize(
    "bound",
    [
        'ext = importlib.import_module("pkg._C")\n',
        "try:\n    from pkg import _C as ext\nexcept ImportError:\n    ext = None\n",
        'def load():\n    global ext\n    ext = importlib.import_module("pkg._C")\n',
    ],
)
def test_names_that_are_bound_in_other_ways(bound: str) -> None:
    assert "torch.ops.pkg.fwd(q)" in site(f"import torch\n{bound}\ndef f(q):\n    return ext.fwd(q)\n")


def test_an_attribute_of_self() -> None:
    before = """\
        import importlib
        import torch

        class Norm:
            def __init__(self):
                self.ext = importlib.import_module("pkg._C")

            def run(self, q):
                return self.ext.fwd(q)

        class Other:
            def run(self, q):
                return self.ext.fwd(q)
        """
    first, second = site(before).split("class Other:")
    assert "return torch.ops.pkg.fwd(q)" in first
    assert "return self.ext.fwd(q)" in second


def test_an_import_in_a_function_counts_there_alone() -> None:
    after = site("import torch\n\ndef f(q):\n    from pkg import _C\n    _C.fwd(q)\n\ndef g(_C):\n    _C.fwd(1)\n")
    assert after.count("torch.ops.pkg.fwd") == 1
    assert "    _C.fwd(1)\n" in after


@pytest.mark.parametrize(
    ("importing", "call"),
    [
        ("from .backend import ext", "ext.fwd"),
        ("from pkg.backend import ext as kernels", "kernels.fwd"),
        ("from pkg import backend", "backend.ext.fwd"),
        ("import pkg.backend", "pkg.backend.ext.fwd"),
    ],
)
def test_a_module_that_another_file_hands_on(importing: str, call: str) -> None:
    done = planned({
        "pkg/backend.py": "import pkg._C as ext\n",
        "pkg/ops.py": f"import torch\n{importing}\n\ndef f(q):\n    return {call}(q)\n",
    })  # fmt: skip
    assert done.text("pkg/ops.py").endswith("    return torch.ops.pkg.fwd(q)\n")
    assert "import pkg._C_stable" in done.text("pkg/backend.py")


def test_a_function_that_others_import_from_here_stays_bound() -> None:
    done = planned({
        "pkg/ops.py": "import torch\nfrom pkg._C import bwd, fwd\n\nbwd(1)\nfwd(1)\n",
        "pkg/user.py": "from .ops import fwd as forward\n\nforward(1)\n",
    })  # fmt: skip
    assert done.text("pkg/ops.py") == (
        "import torch\nimport pkg._C  # noqa: F401\nfrom pkg import _C_stable  # noqa: F401\n\n"
        "fwd = torch.ops.pkg.fwd\n\ntorch.ops.pkg.bwd(1)\nfwd(1)\n"
    )
    assert done.text("pkg/user.py") == "from .ops import fwd as forward\n\nforward(1)\n"


def test_what_a_package_offers_stays_bound() -> None:
    after = site("from ._C import fwd\n", "pkg/__init__.py")
    assert after == "import torch\n\nimport pkg._C  # noqa: F401\n\nfwd = torch.ops.pkg.fwd\n"


def test_a_star_import_is_listed() -> None:
    (found,) = planned({"pkg/ops.py": "from pkg._C import *\n"}).diagnostics("TSA641")
    assert "everything is imported" in found.message


def test_what_is_no_operator_is_listed_where_the_module_goes() -> None:
    setup = 'ext_modules = [CppExtension("pkg._C", ["csrc/norm.cpp"])]\n'
    text = "import torch\nfrom pkg import _C\n\n_C.fwd(1)\n_C.Table()\n"
    done = plan({"setup.py": setup, "pkg/ops.py": text}, ["csrc/norm.cpp"], pybind=FUNCTIONS)
    (found,) = done.diagnostics("TSA641")
    assert done.place(found) == "_C.Table"
    assert "from pkg import _C_stable as _C\n" in done.text("pkg/ops.py")


@pytest.mark.parametrize("imported", ["fwd, bwd", "\\\n        fwd, bwd\n\n    # faster ones here"])
def test_functions_that_are_none_where_the_import_fails_stay_bound(imported: str) -> None:
    """Where the library is not there they have to be None: the name is bound within the `try`."""
    before = f"import torch\n\ntry:\n    from pkg._C import {imported}\nexcept ImportError:\n    fwd = bwd = None\n\n"
    text = before + 'KERNELS = {"forward": fwd, "backward": bwd}\n'
    after = site(text)
    inside, _, behind = after.partition("except ImportError:\n")
    assert "    fwd = torch.ops.pkg.fwd\n    bwd = torch.ops.pkg.bwd\n" in inside
    assert behind.startswith("    fwd = bwd = None\n")
    assert 'KERNELS = {"forward": fwd, "backward": bwd}' in behind
    assert len(planned({"pkg/ops.py": text}).diagnostics("TSA641")) == 2  # the library has to be loaded before
