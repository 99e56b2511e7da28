"""The quick looks at a setup.py say what the model says, or leave it to the model."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from torch_stabilize.buildfiles.modules import setup_modules
from torch_stabilize.buildfiles.python.syntax import read_python
from torch_stabilize.buildfiles.setup.model import SetupModel
from torch_stabilize.buildfiles.setup.names import sourceless_extensions, telling_statements
from torch_stabilize.buildfiles.setup.tree import SetupTree
from torch_stabilize.repository.snapshot import Snapshot

THROUGH_CMAKE = """\
class CMakeExtension(Extension):
    def __init__(self, name: str):
        super().__init__(name, sources=[])


def extra():
    return CMakeExtension("pkg._extra")


modules = [CMakeExtension(name="pkg._C"), CMakeExtension(**settings), extra()]
if cuda:
    modules.append(build.CMakeExtension(name="pkg._C" "_stable"))
setup(ext_modules=modules, cmdclass={"build_ext": BuildExtension.with_options(ninja=True)})
"""


def tree_of(text: str) -> Snapshot:
    return Snapshot(Path(), ("setup.py",), {"setup.py": text.encode()})


def names_in_model(text: str) -> list[str]:
    model = SetupModel(read_python("setup.py", text.encode()), "", Snapshot(Path(), ("setup.py",)), "setup.py")
    return [extension.name for extension in model.extensions()]


TABLE = '[("left", ["left.cpp"]), ("right", ["right.cpp"])]'


@pytest.mark.parametrize(
    "text",
    [
        f'for name, files in {TABLE}:\n    modules.append(CppExtension("pkg." + name, files))',
        f'TABLE = {TABLE}\nmodules = [CppExtension(f"pkg.{{name}}", files) for name, files in TABLE]',
        'for name, files in {"left": ["left.cpp"], "right": ["right.cpp"]}.items():\n    CppExtension(name, files)',
        'MODULES = {"left": ["left.cpp"], "right": ["right.cpp"]}\n[CppExtension(n, f) for n, f in MODULES.items()]',
        'def make(name, package="pkg", *, files=()):\n    return CUDAExtension(f"{package}.{name}", files)\n'
        'modules = [make("left"), make("right", package="other")]',
    ],
)
def test_detection_knows_the_modules_that_the_model_knows(text: str) -> None:
    detected = [
        module.name
        for module in setup_modules(Snapshot(Path(), ("setup.py",), {"setup.py": text.encode()}), "setup.py")
    ]
    assert detected == [name.rpartition(".")[2] for name in names_in_model(text) if name]
    assert detected == ["left", "right"]


@pytest.mark.parametrize(
    "loop",
    [
        'modules = [CppExtension(f"pkg.{name}", files) for name, files in TABLE]',
        'for name, files in TABLE:\n    CppExtension("pkg." + name, files)',
    ],
)
def test_detection_knows_the_rows_of_a_table_that_are_written(loop: str) -> None:
    snapshot = Snapshot(Path(), ("setup.py",), {"setup.py": f"TABLE = {TABLE}\nTABLE += more\n{loop}".encode()})
    assert [module.name for module in setup_modules(snapshot, "setup.py")] == ["left", "right"]


def test_extensions_without_sources_are_named() -> None:
    named = sourceless_extensions(tree_of(THROUGH_CMAKE), "setup.py")
    assert named == frozenset({"pkg._C", "pkg._C_stable", "pkg._extra"})
    assert named == frozenset(names_in_model(THROUGH_CMAKE))


@pytest.mark.parametrize(
    "text",
    [
        'CppExtension("pkg._C", ["a.cpp"])',
        'CppExtension(name="pkg._C", sources=files)',
        'CMakeExtension(name=f"{package}._C")',
        'kind = CUDAExtension if cuda else CppExtension\nkind("pkg._C", ["a.cpp"])',
        'kind, files = CUDAExtension, ["a.cpp"]\nkind("pkg._C", files)',
    ],
)
def test_what_takes_the_model_is_left_to_it(text: str) -> None:
    assert sourceless_extensions(tree_of(text), "setup.py") is None


def test_statements_that_make_modules_or_name_a_device_are_enough_to_read() -> None:
    text = b"""
def left_out(): return CUDA_HOME
def _is_hip(): return HIP
class A: pass
if cuda:
    modules.append(CMakeExtension(name="pkg._C"))
USE_HIP = 1
left_out_too = 2
"""
    only = telling_statements(SetupTree(ast.parse(text)), ["hip"])
    file = read_python("setup.py", text, only)
    assert [file.text(s).split("\n")[0] for s in file.module.body] == [
        "def _is_hip(): return HIP",
        "if cuda:",
        "USE_HIP = 1",
    ]


def test_a_module_that_a_function_makes_takes_the_whole_file() -> None:
    assert telling_statements(SetupTree(ast.parse(THROUGH_CMAKE.encode())), ["hip"]) is None
