"""Setup files built like those of well-known projects: the libraries that they make, as text."""

from __future__ import annotations

from textwrap import dedent

import pytest
from torch_stabilize.config import Config
from torch_stabilize.layout.read import Program

from tests.repository.program.planning import tree_of

_IMPORTS = """\
import glob
import os
import os.path as osp
import sys
from itertools import product

import torch
from setuptools import find_packages, setup
from torch.utils.cpp_extension import CUDA_HOME, BuildExtension, CppExtension, CUDAExtension

"""
_END = 'setup(name="mill", ext_modules=EXT, cmdclass={"build_ext": BuildExtension})\n'

# name: the project that has such a file, its body, the files of the tree, the libraries
SHAPES: dict[str, tuple[str, str, str]] = {
    "sets of globs (xformers)": (
        """
here = os.path.dirname(os.path.abspath(__file__))
root = os.path.join(here, "mill", "csrc")
found = glob.glob(os.path.join(root, "**", "*.cpp"), recursive=True)
kernels = glob.glob(os.path.join(root, "**", "*.cu"), recursive=True)
other = glob.glob(os.path.join(root, "amd", "**", "*.cpp"), recursive=True)
found = list(set(found) - set(other))
maker = CppExtension
if torch.cuda.is_available() and CUDA_HOME is not None:
    maker = CUDAExtension
    found += kernels
EXT = [maker("mill._C", sorted(found))]
""",
        "mill/csrc/grind.cpp mill/csrc/part/sieve.cpp mill/csrc/part/sieve.cu mill/csrc/amd/sieve_amd.cpp",
        """
        mill._C: mill/csrc/grind.cpp
        mill._C: mill/csrc/part/sieve.cpp
        mill._C: mill/csrc/part/sieve.cu if torch.cuda.is_available() and CUDA_HOME is not None
        """,
    ),
    "functions that make extensions (torchvision)": (
        """
ROOT = osp.dirname(osp.abspath(__file__))
CSRC = os.path.join("mill", "csrc")
WITH_CUDA = os.getenv("FORCE_CUDA", "0") == "1"

def flags():
    macros = []
    if WITH_CUDA:
        macros += [("WITH_CUDA", None)]
    return macros, {"cxx": []}

def make_main():
    sources = list(glob.glob(os.path.join(CSRC, "*.cpp"))) + list(glob.glob(os.path.join(CSRC, "ops", "*.cpp")))
    if WITH_CUDA:
        Extension = CUDAExtension
        sources += glob.glob(os.path.join(CSRC, "ops", "cuda", "*.cu"))
    else:
        Extension = CppExtension
    macros, args = flags()
    return Extension(name="mill._C", sources=sorted(str(s) for s in sources), define_macros=macros)

def make_image():
    macros, args = flags()
    return CppExtension(name="mill.image", sources=glob.glob(os.path.join(CSRC, "image", "*.cpp")))

EXT = [make_main(), make_image()]
""",
        "mill/csrc/main.cpp mill/csrc/ops/nms.cpp mill/csrc/ops/cuda/nms.cu mill/csrc/image/png.cpp",
        """
        mill._C: mill/csrc/main.cpp
        mill._C: mill/csrc/ops/cuda/nms.cu if WITH_CUDA
        mill._C: mill/csrc/ops/nms.cpp
        mill.image: mill/csrc/image/png.cpp
        """,
    ),
    "lists taken out of lists (torchao)": (
        """
use_cuda = torch.cuda.is_available()
root = "mill/csrc"
sources = glob.glob(os.path.join(root, "**/*.cpp"), recursive=True)
new_ones = [os.path.join(root, "new", "fast.cu"), os.path.join(root, "new", "faster.cu")]
gpu = glob.glob(os.path.join(root, "**/*.cu"), recursive=True)
gpu = [one for one in gpu if one not in new_ones]
if use_cuda:
    sources += gpu
EXT = []
if len(sources) > 0:
    EXT.append(CUDAExtension("mill._C", sources))
if use_cuda and len(new_ones) > 0:
    EXT.append(
        CUDAExtension("mill._C_new", new_ones, define_macros=[("TORCH_TARGET_VERSION", "0x020b000000000000")])
    )
""",
        "mill/csrc/a.cpp mill/csrc/old/b.cu mill/csrc/new/fast.cu mill/csrc/new/faster.cu",
        """
        mill._C: mill/csrc/a.cpp
        mill._C: mill/csrc/old/b.cu if use_cuda
        mill._C_new (stable): mill/csrc/new/fast.cu if use_cuda
        mill._C_new (stable): mill/csrc/new/faster.cu if use_cuda
        """,
    ),
    "an extension for each switch (apex)": (
        """
def wants(flag, variable):
    if flag in sys.argv:
        sys.argv.remove(flag)
        return True
    return os.environ.get(variable, "0") == "1"

EXT = []
if wants("--norm", "MILL_NORM"):
    EXT.append(CUDAExtension(name="norm_cuda", sources=["csrc/norm.cpp", "csrc/norm_kernel.cu"]))
if wants("--join", "MILL_JOIN"):
    EXT.append(
        CUDAExtension(name="join_cuda", sources=["csrc/join.cpp", "csrc/norm_kernel.cu"], extra_compile_args=["-O3"])
    )
""",
        "csrc/norm.cpp csrc/norm_kernel.cu csrc/join.cpp",
        """
        join_cuda: csrc/join.cpp if wants("--join", "MILL_JOIN")
        join_cuda: csrc/norm_kernel.cu if wants("--join", "MILL_JOIN")
        norm_cuda: csrc/norm.cpp if wants("--norm", "MILL_NORM")
        norm_cuda: csrc/norm_kernel.cu if wants("--norm", "MILL_NORM")
        """,
    ),
    "an extension for each file and device (torch-cluster)": (
        """
suffixes = ["cpu", "cuda"]

def get_extensions():
    extensions = []
    folder = osp.join("csrc")
    mains = glob.glob(osp.join(folder, "*.cpp"))
    for main, suffix in product(mains, suffixes):
        name = main.split(os.sep)[-1][:-4]
        sources = [main]
        path = osp.join(folder, "cpu", f"{name}_cpu.cpp")
        if osp.exists(path):
            sources += [path]
        path = osp.join(folder, "cuda", f"{name}_cuda.cu")
        if suffix == "cuda" and osp.exists(path):
            sources += [path]
        Extension = CppExtension if suffix == "cpu" else CUDAExtension
        extensions.append(Extension(f"mill._{name}_{suffix}", sources))
    return extensions

EXT = get_extensions()
""",
        "csrc/knn.cpp csrc/cpu/knn_cpu.cpp csrc/cuda/knn_cuda.cu csrc/version.cpp",
        """
        mill._knn_cpu: csrc/cpu/knn_cpu.cpp
        mill._knn_cpu: csrc/knn.cpp
        mill._knn_cuda: csrc/cpu/knn_cpu.cpp
        mill._knn_cuda: csrc/cuda/knn_cuda.cu
        mill._knn_cuda: csrc/knn.cpp
        mill._version_cpu: csrc/version.cpp
        mill._version_cuda: csrc/version.cpp
        """,
    ),
    "an extension for each architecture (SageAttention)": (
        """
SKIP = os.getenv("SKIP_BUILD", "FALSE") == "TRUE"
EXT = []
HAS_80 = HAS_90 = False
if not SKIP:
    found = set()
    listed = os.getenv("TORCH_CUDA_ARCH_LIST", "")
    if listed:
        for item in listed.replace(",", ";").split(";"):
            item = item.strip()
            if not item:
                continue
            found.add(item)
    if not found:
        for place in range(torch.cuda.device_count()):
            major, minor = torch.cuda.get_device_capability(place)
            found.add(f"{major}.{minor}")
    for one in sorted(found):
        if one.startswith("8.0"):
            HAS_80 = True
        elif one.startswith("9.0"):
            HAS_90 = True
    if HAS_80 or HAS_90:
        EXT.append(CUDAExtension(name="mill._attn_80", sources=["csrc/bind_80.cpp", "csrc/attn_80.cu"]))
    if HAS_90:
        EXT.append(CUDAExtension(name="mill._attn_90", sources=["csrc/bind_90.cpp", "csrc/attn_90.cu"]))
    EXT.append(CUDAExtension(name="mill._fused", sources=["csrc/fused.cu"]))
""",
        "csrc/bind_80.cpp csrc/attn_80.cu csrc/bind_90.cpp csrc/attn_90.cu csrc/fused.cu",
        """
        mill._attn_80: csrc/attn_80.cu if not (SKIP) and HAS_80 or HAS_90
        mill._attn_80: csrc/bind_80.cpp if not (SKIP) and HAS_80 or HAS_90
        mill._attn_90: csrc/attn_90.cu if not (SKIP) and HAS_90
        mill._attn_90: csrc/bind_90.cpp if not (SKIP) and HAS_90
        mill._fused: csrc/fused.cu if not (SKIP)
        """,
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_its_libraries(shape: str) -> None:
    body, sources, expected = SHAPES[shape]
    files = dict.fromkeys(sources.split(), "int one() { return 1; }\n")
    program = Program(tree_of({**files, "setup.py": _IMPORTS + body + _END}), Config())
    lines = {
        f"{library.module}{' (stable)' if library.abi.value == 'stable' else ''}: {path}"
        + (f" if {' and '.join(when)}" if when else "")
        for library in program.libraries
        for path, when in library.members
    }
    assert sorted(lines) == sorted(dedent(expected).split("\n")[1:-1])
    assert not program.gaps
    assert not any(program.has_gap(library) for library in program.libraries)
