"""Migrated setup files are run: each source is built by one extension, the legacy one or the stable one."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from textwrap import dedent
from types import ModuleType

import pytest
from torch_stabilize.model import Diagnostic, Severity

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


COMMON = '["csrc/bindings.cpp", "csrc/act.cpp", "csrc/norm.cpp", "csrc/deep/rope.cpp", "csrc/deep/attention.cpp"]'
KERNELS = '["csrc/cuda/act.cu", "csrc/cuda/norm.cu"]'
BRANCHES = [
    f"""\
    sources = {COMMON}
    if cuda:
        sources += {KERNELS}
        ext = CUDAExtension(name="pkg._C", sources=sources)
    else:
        ext = CppExtension(name="pkg._C", sources=sources)
    modules.append(ext)
    """,
    f"""\
    modules = [CppExtension("pkg._C", {COMMON})]
    if cuda:
        modules = [
            CUDAExtension("pkg._C", {COMMON} + {KERNELS}),
        ]
    """,
    f"""\
    if cuda:
        Kind, files = CUDAExtension, {COMMON} + {KERNELS}
    else:
        Kind, files = CppExtension, {COMMON}
    modules = [Kind("pkg._C", files)]
    """,
    f"""\
    common, kernels = {COMMON}, {KERNELS}
    modules = [CUDAExtension("pkg._C", common + kernels) if cuda else CppExtension("pkg._C", common)]
    """,
    f"""\
    def make():
        Kind, files = CppExtension, {COMMON}
        if cuda:
            Kind = CUDAExtension
            files.extend({KERNELS})
        return [Kind("pkg._C", files)]

    modules += make()
    """,
    f"""\
    common = {COMMON}
    if cuda:
        modules.append(CUDAExtension("pkg._C", common + {KERNELS}))
    else:
        modules.append(CppExtension("pkg._C", common))
    """,
    f"""\
    files = {COMMON}
    ext = CppExtension("pkg._C", files)
    if cuda:
        files = {COMMON} + {KERNELS}
        ext = CUDAExtension("pkg._C", files)
    modules = [ext]
    """,
]


@pytest.mark.parametrize("cuda", [True, False])
@pytest.mark.parametrize("body", BRANCHES)
def test_every_source_is_built_once_whatever_the_branch(
    body: str, cuda: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A module that is made of another class in each branch, moved in two runs."""
    files = {"setup.py": HEAD.replace("cuda = True", f"cuda = {cuda}") + dedent(body), **dict.fromkeys(FILES, "")}
    first = plan({**files, **dict.fromkeys(MOVING[1:], "")}, MOVING[:1], created=[NEW])
    second = plan(first.files, MOVING[1:])
    assert not [found for found in (*first.change.diagnostics, *second.change.diagnostics) if is_error(found)]
    for name, data in second.files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    moved = [name.replace("csrc/", "csrc/stable/", 1) for name in MOVING if cuda or name.endswith(".cpp")]
    assert evaluated(tmp_path, monkeypatch) == {
        "pkg._C": sorted(name for name in FILES if cuda or name.endswith(".cpp")),
        "pkg._C_stable": sorted([NEW, *moved]),
    }


@pytest.mark.parametrize("cuda", [True, False])
@pytest.mark.parametrize("body", BRANCHES)
def test_an_extension_of_which_all_branches_move_is_converted_in_each(
    body: str, cuda: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {"setup.py": HEAD.replace("cuda = True", f"cuda = {cuda}") + dedent(body)}
    planned = plan(files, (*FILES, *MOVING), created=["csrc/stable/new.cpp"])
    assert not [found for found in planned.change.diagnostics if is_error(found)]
    for name, data in planned.files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    names = [name for name in (*FILES, *MOVING, "csrc/new.cpp") if cuda or name.endswith(".cpp")]
    moved = [name.replace("csrc/", "csrc/stable/", 1) for name in names]
    assert evaluated(tmp_path, monkeypatch) == {"pkg._C_stable": sorted(moved)}


def is_error(found: Diagnostic) -> bool:
    return found.severity is Severity.ERROR


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


@pytest.mark.parametrize(
    "body",
    [
        'files = glob.glob("csrc/**/*.c*", recursive=True)\nif not fast:\n    del files[-2:]\n',
        'files = glob.glob("csrc/**/*.c*", recursive=True)\nif not fast:\n    files[0] = first\n',
    ],
)
def test_what_would_not_be_built_as_it_was_is_told(body: str) -> None:
    """The list is read right, and no edit follows what is taken out of it again."""
    files = {
        "setup.py": HEAD.replace("cuda = True\n", "") + body + 'setup(ext_modules=[CUDAExtension("pkg._C", files)])'
    }
    planned = plan({**files, **dict.fromkeys(FILES, "")}, MOVING, created=[NEW])
    errors = [found for found in planned.change.diagnostics if is_error(found)]
    assert errors
    assert all(found.path == "setup.py" for found in errors)


def test_a_source_that_several_branches_take_out_again_stays_counted() -> None:
    body = f"files = {COMMON}\nif fast:\n    files += {KERNELS}\nsetup(ext_modules=[CUDAExtension('pkg._C', files)])\n"
    files = {"setup.py": HEAD.replace("cuda = True\n", "") + body, **dict.fromkeys(FILES, "")}
    planned = plan(files, MOVING, created=[NEW])
    assert not [found for found in planned.change.diagnostics if is_error(found)]


def test_extensions_of_two_libraries_have_stable_ones_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = """\
        modules = [
            CppExtension("pkg._C", ["csrc/bindings.cpp", "csrc/norm.cpp"]),
            CppExtension("pkg._D", ["csrc/d.cpp", "csrc/rope.cpp", "csrc/attention.cpp"]),
        ]
        """
    files = {"setup.py": HEAD + dedent(body), "csrc/bindings.cpp": "", "csrc/d.cpp": "", "csrc/attention.cpp": ""}
    first = plan(files, ["csrc/norm.cpp", "csrc/rope.cpp"], created=[NEW])
    second = plan(first.files, ["csrc/attention.cpp"])
    for name, data in second.files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    assert evaluated(tmp_path, monkeypatch) == {
        "pkg._C": ["csrc/bindings.cpp"],
        "pkg._C_stable": [NEW, "csrc/stable/norm.cpp"],
        "pkg._D": ["csrc/d.cpp"],
        "pkg._D_stable_libtorch": ["csrc/stable/attention.cpp", "csrc/stable/rope.cpp"],
    }
