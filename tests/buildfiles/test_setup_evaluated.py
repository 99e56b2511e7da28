"""Migrated setup files are run: each source is built by one extension, the legacy one or the stable one."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from textwrap import dedent
from types import ModuleType

import pytest

from tests.buildfiles.trees import plan

HEAD = """\
import glob
import os
from os import path
from pathlib import Path
from torch.utils.cpp_extension import CppExtension, CUDAExtension
here = path.dirname(path.abspath(__file__))
root = Path(__file__).resolve().parent
cuda = True
modules = []
"""
FILES = ("csrc/bindings.cpp", "csrc/act.cpp", "csrc/deep/rope.cpp", "csrc/cuda/act.cu")
MOVING = ("csrc/norm.cpp", "csrc/deep/attention.cpp", "csrc/cuda/norm.cu")
NEW = "csrc/stable/bindings.cpp"
BODIES = [
    """\
    sources = glob.glob(os.path.join(here, "csrc", "*.cpp")) + glob.glob("csrc/deep/*.cpp")
    if cuda:
        sources += glob.glob("csrc/cuda/*.cu")
    modules.append(CUDAExtension("pkg._C", sources))
    """,
    """\
    sources = glob.glob(path.join(here, "csrc", "**", "*.cpp"), recursive=True)
    source_cuda = glob.glob(path.join(here, "csrc", "**", "*.cu"), recursive=True)
    sources += source_cuda
    sources = [path.join(here, source) for source in sources]
    modules = [CUDAExtension("pkg._C", sorted(sources))]
    """,
    """\
    def make():
        csrc = root / "csrc"
        kernels = [str(one) for one in csrc.glob("*/*.cu")]
        return [CUDAExtension("pkg._C", [*map(str, csrc.glob("*.cpp")), *map(str, csrc.glob("deep/*.cpp")), *kernels])]

    modules += make()
    """,
    """\
    names = ["bindings", "act", "norm", "deep/rope", "deep/attention"]
    sources = [f"{name}.cpp" for name in names]
    kernels = ["cuda/act.cu", "cuda/norm.cu"]
    if cuda:
        sources.extend(kernels)
    extension = CUDAExtension(name="pkg._C", sources=[os.path.join("csrc", name) for name in sources])
    modules.append(extension)
    """,
    """\
    def make(name, folder, sources):
        return CUDAExtension(name=f"pkg.{name}", sources=[os.path.join(folder, name) for name in sources])

    modules = [
        make("_C", "csrc", ["bindings.cpp", "act.cpp", "norm.cpp", "deep/rope.cpp", "deep/attention.cpp", "cuda/act.cu", "cuda/norm.cu"]),
    ]
    """,
    """\
    for name, sources in {
        "_C": ["csrc/bindings.cpp", "csrc/act.cpp", "csrc/norm.cpp", "csrc/deep/rope.cpp", "csrc/deep/attention.cpp",
               "csrc/cuda/act.cu", "csrc/cuda/norm.cu"],
    }.items():
        modules.append(CUDAExtension("pkg." + name, sources))
    """,
    """\
    if cuda:
        sources = ["csrc/cuda/act.cu", "csrc/cuda/norm.cu"]
    else:
        sources = []
    modules = [
        CUDAExtension(
            "pkg._C",
            sources + (glob.glob("csrc/*.cpp") if cuda else []) + ["csrc/deep/rope.cpp", "csrc/deep/attention.cpp"],
        ),
    ]
    """,
]


@pytest.mark.parametrize("body", BODIES)
def test_every_source_is_built_once(body: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    setup = HEAD + dedent(body)
    planned = plan({"setup.py": setup, **dict.fromkeys(FILES, "")}, MOVING, created=[NEW])
    for name, data in planned.files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    built = evaluated(tmp_path, monkeypatch)
    assert built == {
        "pkg._C": sorted(FILES),
        "pkg._C_stable": sorted([NEW, *(name.replace("csrc/", "csrc/stable/", 1) for name in MOVING)]),
    }


def evaluated(folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """The sources of every extension that the setup file in `folder` makes, relative to it."""
    extensions = ModuleType("cpp_extension")

    def make(name: str, sources: list[str], **_: object) -> tuple[str, list[str]]:
        return name, sources

    extensions.__dict__.update(CppExtension=make, CUDAExtension=make)
    monkeypatch.setitem(sys.modules, "torch", ModuleType("torch"))
    monkeypatch.setitem(sys.modules, "torch.utils", ModuleType("torch.utils"))
    monkeypatch.setitem(sys.modules, "torch.utils.cpp_extension", extensions)
    monkeypatch.chdir(folder)
    scope: dict[str, object] = {"__file__": str(folder / "setup.py")}
    exec(compile((folder / "setup.py").read_text(), "setup.py", "exec"), scope)
    modules = scope["modules"]
    assert isinstance(modules, list)
    return {name: sorted(os.path.relpath(source, folder) for source in found) for name, found in modules}
