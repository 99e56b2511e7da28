"""setup.py with lists that functions, loops, filters and classes compute: it is run after a migration."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from tests.repository.program.planning import migrated
from tests.repository.program.test_setup_forms import _CALL, _HEAD, _TREE, _built

_EXT = "ext = CUDAExtension if torch.cuda.is_available() else CppExtension\n"
_LAST = _EXT + _CALL.format('[ext("tea._C", sources)]')
_MORE = {
    "csrc/draft.cpp": "int draft() { return 1; }\n",
    "csrc/other.cpp": "int other() { return 1; }\n",
    "csrc/cuda/brew.cu": "int brew() { return 1; }\n",
}
FORMS = {
    "a function": f"""\
def get_sources():
    sources = ["csrc/bind.cpp", "csrc/steep.cpp", "csrc/pour.cpp"]
    if torch.cuda.is_available():
        sources.append("csrc/cuda/brew.cu")
        sources.append("csrc/cuda/chill.cu")
    return sources

{_EXT}{_CALL.format('[ext("tea._C", get_sources())]')}""",
    "a function that is told": f"""\
def get_sources(with_cuda):
    sources = ["csrc/bind.cpp", "csrc/steep.cpp", "csrc/pour.cpp"]
    if with_cuda:
        sources.extend(["csrc/cuda/brew.cu", "csrc/cuda/chill.cu"])
    return sources

sources = get_sources(torch.cuda.is_available())
{_LAST}""",
    "a loop": f"""\
sources = []
for name in ["bind", "steep", "pour"]:
    sources.append(os.path.join("csrc", name + ".cpp"))
if torch.cuda.is_available():
    for name in ("brew", "chill"):
        sources.append(f"csrc/cuda/{{name}}.cu")
{_LAST}""",
    "globs filtered by name": f"""\
sources = [f for f in glob.glob("csrc/*.cpp") if "draft" not in f and not f.endswith("other.cpp")]
if torch.cuda.is_available():
    sources += [f for f in glob.glob("csrc/cuda/*.cu") if not f.endswith("_hip.cu")]
{_LAST}""",
    "paths below a folder": f"""\
import re
import sys
from pathlib import Path

here = os.path.dirname(os.path.abspath(__file__))
sources = [str(p.relative_to(here)) for p in sorted(Path(here, "csrc").rglob("*.cpp")) if p.stem not in ("draft", "other")]
if torch.cuda.is_available():
    sources += [str(p.relative_to(here)) for p in sorted(Path(here, "csrc").rglob("*.cu"))]
{_LAST}""",
    "a folder that is walked": f"""\
def find(folder, suffix, exclude=()):
    found = []
    for root, _, names in os.walk(folder):
        for name in sorted(names):
            if name.endswith(suffix) and name not in exclude:
                found.append(os.path.join(root, name))
    return found

sources = find("csrc", ".cpp", exclude=("draft.cpp", "other.cpp"))
if torch.cuda.is_available():
    sources += find("csrc", ".cu")
{_LAST}""",
    "lists of platforms": f"""\
import re
import sys

common = ["bind.cpp", "steep.cpp"]
by_platform = {{"linux": ["pour.cpp"], "win32": ["pour.cpp"], "darwin": []}}
sources = [os.path.join("csrc", name) for name in common + by_platform.get(sys.platform, [])]
if torch.cuda.is_available():
    sources += ["csrc/cuda/brew.cu", "csrc/cuda/chill.cu"]
{_LAST}""",
    "a dictionary in a loop": f"""\
EXTENSIONS = {{
    "_C": {{"cpp": ["csrc/bind.cpp", "csrc/steep.cpp", "csrc/pour.cpp"], "cuda": ["brew", "chill"]}},
    "_other": {{"cpp": ["csrc/other.cpp"], "cuda": []}},
}}
{_EXT}ext_modules = []
for name, spec in EXTENSIONS.items():
    sources = list(spec["cpp"])
    if torch.cuda.is_available():
        sources += [f"csrc/cuda/{{kernel}}.cu" for kernel in spec["cuda"]]
    ext_modules.append(ext(f"tea.{{name}}", sources, extra_compile_args=["-O2"]))
{_CALL.format("ext_modules")}""",
    "a dictionary in a comprehension": f"""\
EXTENSIONS = {{"_C": ["bind.cpp", "steep.cpp", "pour.cpp"], "_other": ["other.cpp"]}}
CUDA = {{"_C": ["csrc/cuda/brew.cu", "csrc/cuda/chill.cu"]}}
{_EXT}ext_modules = [
    ext(
        "tea." + name,
        [os.path.join("csrc", source) for source in sources]
        + (CUDA.get(name, []) if torch.cuda.is_available() else []),
    )
    for name, sources in EXTENSIONS.items()
]
{_CALL.format("ext_modules")}""",
    "a class": f"""\
class Extensions:
    def __init__(self, name):
        self.name = name
        self.sources = ["csrc/bind.cpp", "csrc/steep.cpp", "csrc/pour.cpp"]
        if torch.cuda.is_available():
            self.sources += ["csrc/cuda/brew.cu", "csrc/cuda/chill.cu"]

    def build(self):
        {_EXT}        return [ext(self.name, self.sources)]

{_CALL.format('Extensions("tea._C").build()')}""",
    "a class without instances": f"""\
class Build:
    SOURCES = ["csrc/bind.cpp", "csrc/steep.cpp", "csrc/pour.cpp"]

    @classmethod
    def modules(cls):
        sources = list(cls.SOURCES)
        if torch.cuda.is_available():
            return [CUDAExtension("tea._C", sources + ["csrc/cuda/brew.cu", "csrc/cuda/chill.cu"])]
        return [CppExtension("tea._C", sources)]

{_CALL.format("Build.modules()")}""",
    "settings": f"""\
common = dict(sources=["csrc/" + name for name in ("bind.cpp", "steep.cpp", "pour.cpp")], define_macros=[("A", "1")])
if torch.cuda.is_available():
    common["sources"] += ["csrc/cuda/brew.cu", "csrc/cuda/chill.cu"]
{_EXT}{_CALL.format('[ext("tea._C", **common)]')}""",
    "a function that makes one": f"""\
def make(name, sources):
    kernels = glob.glob("csrc/cuda/*.cu") if name == "_C" and torch.cuda.is_available() else []
    {_EXT}    return ext("tea." + name, sources + kernels)

names = ["bind", "steep", "pour"]
{_CALL.format('[make("_C", [f"csrc/{name}.cpp" for name in names]), make("_other", ["csrc/other.cpp"])]')}""",
    "sets": f"""\
sources = sorted({{"csrc/bind.cpp", "csrc/steep.cpp", "csrc/pour.cpp", "csrc/draft.cpp"}} - {{"csrc/draft.cpp"}})
if torch.cuda.is_available():
    sources += ["csrc/cuda/brew.cu", "csrc/cuda/chill.cu"]
{_LAST}""",
    "chained": f"""\
import itertools

core = ["bind", "steep", "pour"]
cuda = ["csrc/cuda/brew.cu", "csrc/cuda/chill.cu"] if torch.cuda.is_available() else []
sources = list(itertools.chain((f"csrc/{{name}}.cpp" for name in core), cuda))
{_LAST}""",
}  # fmt: skip


def _other(form: str) -> dict[str, list[str]]:
    return {"tea._other": ["csrc/other.cpp"]} if "_other" in FORMS[form] else {}


@pytest.mark.parametrize("has_cuda", [True, False], ids=["cuda", "cpu"])
@pytest.mark.parametrize("form", FORMS)
def test_one_source_moves_then_another(
    form: str, has_cuda: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = migrated({**_TREE, **_MORE, "setup.py": _HEAD + FORMS[form]}, ["pour"], ["csrc/cuda/chill.cu"])
    assert done.by_hand == []
    cuda = ["csrc/cuda/brew.cu"] if has_cuda else []
    moved = ["csrc/libtorch_stable/cuda/chill.cu"] if has_cuda else []
    assert _built(done, tmp_path, has_cuda=has_cuda, monkeypatch=monkeypatch) == {
        "tea._C": sorted(["csrc/bind.cpp", "csrc/steep.cpp", *cuda]),
        "tea._C_stable_libtorch": sorted(
            ["csrc/libtorch_stable/pour.cpp", "csrc/libtorch_stable/torch_bindings.cpp", *moved]
        ),
        **_other(form),
    }


@pytest.mark.parametrize("has_cuda", [True, False], ids=["cuda", "cpu"])
@pytest.mark.parametrize("form", FORMS)
def test_some_sources_move_at_once(form: str, has_cuda: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = migrated({**_TREE, **_MORE, "setup.py": _HEAD + FORMS[form]}, ["csrc/pour.cpp", "csrc/cuda/chill.cu"])
    assert done.by_hand == []
    cuda = ["csrc/cuda/brew.cu"] if has_cuda else []
    moved = ["csrc/libtorch_stable/cuda/chill.cu"] if has_cuda else []
    assert _built(done, tmp_path, has_cuda=has_cuda, monkeypatch=monkeypatch) == {
        "tea._C": sorted(["csrc/bind.cpp", "csrc/steep.cpp", *cuda]),
        "tea._C_stable_libtorch": sorted(
            ["csrc/libtorch_stable/pour.cpp", "csrc/libtorch_stable/torch_bindings.cpp", *moved]
        ),
        **_other(form),
    }


_HELPER = """\
import glob
import os

import torch
from torch.utils.cpp_extension import CppExtension, CUDAExtension

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def extensions():
    found = sorted(glob.glob(os.path.join(ROOT, "csrc", "*.cpp")))
    sources = [os.path.relpath(one, ROOT) for one in found if not one.endswith(("draft.cpp", "other.cpp"))]
    if torch.cuda.is_available():
        return [CUDAExtension("tea._C", sources + ["csrc/cuda/brew.cu", "csrc/cuda/chill.cu"])]
    return [CppExtension("tea._C", sources)]
"""


@pytest.mark.parametrize("has_cuda", [True, False], ids=["cuda", "cpu"])
def test_another_module_makes_the_extension(has_cuda: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    setup = "import torch\nfrom setuptools import setup\nfrom tea_tools.build import extensions\n\n"
    setup += 'setup(name="tea", install_requires=["torch>=2.4"], ext_modules=extensions())\n'
    files = {"tea_tools/__init__.py": "", "tea_tools/build.py": _HELPER, "setup.py": setup}
    done = migrated({**_TREE, **_MORE, **files}, ["pour"], ["csrc/cuda/chill.cu"])
    assert done.by_hand == []
    assert done.text("setup.py") == setup.replace("2.4", "2.11")
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("tea_tools", "tea_tools.build"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    built = _built(done, tmp_path, has_cuda=has_cuda, monkeypatch=monkeypatch)
    for name in ("tea_tools", "tea_tools.build"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    cuda = ["csrc/cuda/brew.cu"] if has_cuda else []
    moved = ["csrc/libtorch_stable/cuda/chill.cu"] if has_cuda else []
    assert built == {
        "tea._C": sorted(["csrc/bind.cpp", "csrc/steep.cpp", *cuda]),
        "tea._C_stable_libtorch": sorted(
            ["csrc/libtorch_stable/pour.cpp", "csrc/libtorch_stable/torch_bindings.cpp", *moved]
        ),
    }


_BELOW = """\
import os

from setuptools import setup
from torch.utils.cpp_extension import BuildExtension, CppExtension

root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")


def listed(*names):
    return [os.path.join(root, "csrc", name) for name in names]


setup(
    name="tea",
    ext_modules=[CppExtension("tea._C", listed("bind.cpp", "steep.cpp", "pour.cpp"))],
    cmdclass={"build_ext": BuildExtension},
)
"""


def test_a_setup_file_next_to_the_folder_of_its_sources() -> None:
    tree = {path.replace("tea/", "python/tea/"): text for path, text in _TREE.items() if not path.endswith(".cu")}
    tree["csrc/bind.cpp"] = tree["csrc/bind.cpp"].replace('m.def("chill(Tensor x) -> Tensor");', "")
    tree["csrc/bind.cpp"] = tree["csrc/bind.cpp"].replace('m.impl("chill", torch::kCUDA, &chill);', "")
    done = migrated({**tree, "python/setup.py": _BELOW}, ["pour"], ["steep"])
    assert done.by_hand == []
    assert done.text("python/tea/__init__.py").startswith("from . import _C_stable_libtorch")
    text = done.text("python/setup.py")
    named = [f'"../csrc/libtorch_stable/{name}.cpp"' for name in ("torch_bindings", "pour", "steep")]
    assert re.findall(r'"[.\w/]*\.cpp"', text) == named
    assert "tea._C_stable_libtorch" in text
    assert '"tea._C"' not in text


_LATER = """\
import os

from setuptools import setup
from torch.utils.cpp_extension import BuildExtension, CppExtension


def listed():
    return [f"csrc/{name}.cpp" for name in "bind steep pour".split()]


sources = listed()
extension = CppExtension("tea._C", sources)
#
setup(name="tea", ext_modules=[extension], cmdclass={"build_ext": BuildExtension})
"""


@pytest.mark.parametrize(
    ("line", "is_split"),
    [
        ("sources.append('csrc/other.cpp')", False),
        ("sources += ['csrc/other.cpp']", False),
        ("sources[0:0] = ['csrc/other.cpp']", False),
        ("print(len(sources))", True),
        ("others = [*sources, 'csrc/other.cpp']", True),
    ],
)
def test_a_list_that_changes_after_the_call_is_not_copied(line: str, is_split: bool) -> None:
    """The extension has the list itself: what is put into it later is built too, and a copy would lack it."""
    tree = {path: text for path, text in _TREE.items() if not path.endswith(".cu")}
    tree["csrc/bind.cpp"] = tree["csrc/bind.cpp"].replace('m.def("chill(Tensor x) -> Tensor");', "")
    tree["csrc/bind.cpp"] = tree["csrc/bind.cpp"].replace('m.impl("chill", torch::kCUDA, &chill);', "")
    tree["csrc/other.cpp"] = "int other() { return 1; }\n"
    done = migrated({**tree, "setup.py": _LATER.replace("#", line)}, ["pour"])
    assert ("source for source in sources" in done.text("setup.py")) == is_split
    assert (done.by_hand == []) == is_split
