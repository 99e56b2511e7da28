"""The package that an extension module is in: as setup.py builds it, whatever else names a folder like it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from torch_stabilize.bindings.reading.namespaces import package_of_module, python_namespace
from torch_stabilize.repository.snapshot import Snapshot

from tests.bindings.trees import LAYOUT

_SETUP = """\
from torch.utils.cpp_extension import CppExtension
NAME = "{name}"
setup(packages=[
    "pkg",
    # "pkg.pkg_ext",
], ext_modules=[CppExtension(NAME, ["csrc/torch_bindings.cpp"])])
"""


@pytest.mark.parametrize(("name", "package"), [("pkg_ext", ""), ("pkg.pkg_ext", "pkg"), ("pkg.gpu.pkg_ext", "pkg.gpu")])
def test_a_module_is_in_the_package_that_it_is_built_into(name: str, package: str) -> None:
    files = {
        "setup.py": _SETUP.format(name=name).encode(),
        "pkg/__init__.py": b"try:\n    import pkg_ext\nexcept ImportError:\n    pass\n",
        "csrc/torch_bindings.cpp": b"",
    }
    snapshot = Snapshot(Path(), tuple(sorted(files)), files)
    layout = replace(LAYOUT, setup_files=("setup.py",), python_roots=("pkg",), legacy_library="pkg_ext")
    assert package_of_module(snapshot, layout, "pkg_ext") == package
    assert python_namespace(snapshot, layout, "pkg_ext", ("f",), ()) == (package.replace(".", "_") or "pkg_ext")
