"""Builds segments._C: for the CPU, and for NVIDIA GPUs where torch has CUDA and there is a toolkit."""

import os

import torch
from setuptools import setup
from torch.utils.cpp_extension import CUDA_HOME, BuildExtension, CppExtension, CUDAExtension

sources = ["csrc/bindings.cpp", "csrc/segments.cpp", "csrc/threshold.cpp"]

# SEGMENTS_CUDA=1 or SEGMENTS_CUDA=0 decides instead.
with_cuda = os.environ.get("SEGMENTS_CUDA", "1" if torch.version.cuda and CUDA_HOME else "0") == "1"

if with_cuda:
    ext_modules = [
        CUDAExtension(
            "segments._C",
            [*sources, "csrc/segments_kernels.cu"],
            define_macros=[("WITH_CUDA", None)],
        )
    ]
else:
    ext_modules = [CppExtension("segments._C", sources)]

setup(packages=["segments"], ext_modules=ext_modules, cmdclass={"build_ext": BuildExtension})
