"""Builds samplex._C with setuptools; CMakeLists.txt builds the same library without it."""

import os
from importlib.util import find_spec

import torch
from setuptools import find_packages, setup
from torch.utils.cpp_extension import CUDA_HOME, ROCM_HOME, BuildExtension, CppExtension, CUDAExtension, include_paths


def has_cuda():
    """Whether there is what GPU kernels need: a CUDA build of torch, nvcc, and all headers that torch's own include."""
    if torch.version.cuda is None or CUDA_HOME is None:
        return False
    return any(os.path.exists(f"{folder}/cublas_v2.h") for folder in [*include_paths("cuda"), "/usr/include"])


# SAMPLEX_CUDA=1 or SAMPLEX_CUDA=0 decides instead.
WITH_CUDA = os.environ.get("SAMPLEX_CUDA", "1" if has_cuda() else "0") == "1"
WITH_ROCM = torch.version.hip is not None and ROCM_HOME is not None

# The lowest CPython that the library can be imported by (abi3).
PY_LIMITED_API_TAG = "cp310"


def cutlass_include():
    """The headers of CUTLASS, which is nothing but headers; they come with the wheel nvidia-cutlass."""
    spec = find_spec("cutlass_library")
    if spec is None:
        raise SystemExit("the headers of CUTLASS are missing: pip install --no-deps nvidia-cutlass")
    return f"{spec.submodule_search_locations[0]}/source/include"


sources = [
    "csrc/torch_bindings.cpp",
    "csrc/cpu/activation.cpp",
    "csrc/cpu/allspark.cpp",
    "csrc/cpu/attention.cpp",
    "csrc/cpu/awq.cpp",
    "csrc/cpu/cache.cpp",
    "csrc/cpu/cuda_utils.cpp",
    "csrc/cpu/custom_all_reduce.cpp",
    "csrc/cpu/deepseek_v4.cpp",
    "csrc/cpu/dsv3_fused_a_gemm.cpp",
    "csrc/cpu/gguf.cpp",
    "csrc/cpu/gptq.cpp",
    "csrc/cpu/hadamard.cpp",
    "csrc/cpu/layernorm.cpp",
    "csrc/cpu/mamba.cpp",
    "csrc/cpu/merge_attn_states.cpp",
    "csrc/cpu/minimax.cpp",
    "csrc/cpu/mla.cpp",
    "csrc/cpu/mxfp8_moe.cpp",
    "csrc/cpu/nvfp4_cache.cpp",
    "csrc/cpu/sampler.cpp",
    "csrc/cpu/w8a8.cpp",
]

cuda_sources = [
    "csrc/activation_kernels.cu",
    "csrc/attention/merge_attn_states_kernels.cu",
    "csrc/attention/mla/mla_kernels.cu",
    "csrc/attention_kernels.cu",
    "csrc/cache_kernels.cu",
    "csrc/cache_kernels_fused.cu",
    "csrc/cuda_utils_kernels.cu",
    "csrc/custom_all_reduce_kernels.cu",
    "csrc/deepseek_v4_kernels.cu",
    "csrc/dsv3_fused_a_gemm_kernels.cu",
    "csrc/layernorm_kernels.cu",
    "csrc/mamba/selective_scan_fwd.cu",
    "csrc/minimax_kernels.cu",
    "csrc/moe/mxfp8_moe/cutlass_mxfp8_grouped_mm_kernels.cu",
    "csrc/moe/mxfp8_moe/mxfp8_experts_quant_kernels.cu",
    "csrc/nvfp4_cache_kernels.cu",
    "csrc/quantization/allspark/allspark_kernels.cu",
    "csrc/quantization/awq/awq_kernels.cu",
    "csrc/quantization/gguf/gguf_kernels.cu",
    "csrc/quantization/gptq/gptq_kernels.cu",
    "csrc/quantization/hadamard/hadamard_kernels.cu",
    "csrc/quantization/w8a8/w8a8_fp8_kernels.cu",
    "csrc/quantization/w8a8/w8a8_int8_kernels.cu",
    "csrc/sampler_kernels.cu",
    "csrc/topk_kernels.cu",
]

# What is for AMD GPUs alone; torch makes HIP of it.
rocm_sources = ["csrc/custom_quickreduce_kernels.cu"]

include_dirs = []
extra_compile_args = {"cxx": ["-O3", "-std=c++20"], "nvcc": ["-O3", "-std=c++20"]}

if WITH_CUDA:
    sources += cuda_sources
    include_dirs.append(cutlass_include())
    extra_compile_args["cxx"].append("-DSAMPLEX_WITH_CUDA")
    extra_compile_args["nvcc"].append("-DSAMPLEX_WITH_CUDA")
    extension_class = CUDAExtension
elif WITH_ROCM:
    sources += rocm_sources
    extension_class = CUDAExtension
else:
    extension_class = CppExtension

ext_modules = [
    extension_class(
        name="samplex._C",
        sources=sources,
        include_dirs=include_dirs,
        extra_compile_args=extra_compile_args,
        py_limited_api=True,
    )
]

setup(
    packages=find_packages(include=["samplex"]),
    ext_modules=ext_modules,
    cmdclass={"build_ext": BuildExtension},
    options={"bdist_wheel": {"py_limited_api": PY_LIMITED_API_TAG}},
)
