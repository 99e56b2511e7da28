"""Include trees: the stable headers alone for the stable side, what CPU builds of torch lack for the legacy one."""

from __future__ import annotations

import importlib.util
import re
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from torch_stabilize.model import Refusal, Severity
from torch_stabilize.templates import template
from torch_stabilize.verify import codes
from torch_stabilize.verify.result import Finding, finding

STABLE_FOLDERS = ("torch/csrc/stable", "torch/headeronly", "torch/csrc/inductor/aoti_torch")

# Headers that torch's own CUDA headers include: which wheel has them. Each has a stand-in under templates/.
CUDA_LIBRARY_HEADERS = {
    "cublas_v2.h": "nvidia-cublas",
    "cublasLt.h": "nvidia-cublas",
    "cusparse.h": "nvidia-cusparse",
    "cusolverDn.h": "nvidia-cusolver",
    "cusolver_common.h": "nvidia-cusolver",
}
# Libraries of headers alone that kernels may include: the package of the wheel, and the folder in it.
HEADER_LIBRARIES = {
    "cutlass/cutlass.h": ("cutlass_library", "source/include"),
    "cutlass/util/packed_stride.hpp": ("cutlass_library", "source/tools/util/include"),
    # Attention kernels are made from the examples.
    "gather_tensor.hpp": ("cutlass_library", "source/examples/common"),
    "common/pow_2.hpp": ("cutlass_library", "source/examples/77_blackwell_fmha"),
}
# Headers of the CUDA toolkit that code for the host includes, and folders of such headers.
TOOLKIT_HEADERS = frozenset(
    (
        *CUDA_LIBRARY_HEADERS,
        *("cuda.h", "cuda_runtime.h", "cuda_runtime_api.h", "cuda_device_runtime_api.h", "driver_types.h"),
        *("driver_functions.h", "vector_types.h", "vector_functions.h", "library_types.h", "device_types.h"),
        *("surface_types.h", "texture_types.h", "channel_descriptor.h", "host_defines.h", "host_config.h"),
        *("builtin_types.h", "device_launch_parameters.h", "device_functions.h", "device_atomic_functions.h"),
        *("math_constants.h", "math_functions.h", "mma.h", "cooperative_groups.h", "cuComplex.h", "cudaTypedefs.h"),
        *("cuda_fp16.h", "cuda_bf16.h", "cuda_fp8.h", "cuda_fp6.h", "cuda_fp4.h", "cuda_pipeline.h"),
        *("cuda_awbarrier.h", "cuda_occupancy.h", "cuda_profiler_api.h", "cudaProfiler.h", "cuda_gl_interop.h"),
        *("cublas.h", "cublas_api.h", "cublasXt.h", "nvblas.h", "cusparse_v2.h", "cusolverSp.h", "cusolverRf.h"),
        *("cusolverMg.h", "cufft.h", "cufftXt.h", "cufftw.h", "cufile.h", "curand.h", "curand_kernel.h"),
        *("cupti.h", "nvrtc.h", "nvJitLink.h", "nvml.h", "nvToolsExt.h", "nvvm.h"),
    )
)
_TOOLKIT_FOLDERS = frozenset(("cooperative_groups", "crt", "cub", "cuda", "nv", "nvtx3", "thrust"))
_CUDA_MACROS = "c10/cuda/impl/cuda_cmake_macros.h"
_CUDA_MACROS_TEXT = "#pragma once\n#define C10_CUDA_BUILD_SHARED_LIBS\n"
_NVCC_FOLDER = re.compile(r'(?:-I|-isystem"? +"?)([^"\s]+)')


@dataclass(frozen=True)
class LegacyHeaders:
    """Include folders for legacy CUDA code, and what had to be said about them."""

    folders: tuple[Path, ...]
    diagnostics: tuple[Finding, ...]


def comes_with_cuda(header: str) -> bool:
    """Whether an include names a header of the CUDA toolkit, or the one that CUDA builds of torch alone have."""
    return header in TOOLKIT_HEADERS or header == _CUDA_MACROS or header.partition("/")[0] in _TOOLKIT_FOLDERS


def stable_tree(torch_include: Path, folder: Path) -> Path:
    """Make `folder` an include tree of links to the stable headers of `torch_include`, and nothing else; returns it.

    Raises Refusal where torch is too old to have stable headers, or the folder cannot be written.
    """
    for part in STABLE_FOLDERS:
        source, link = torch_include / part, folder / part
        if not source.is_dir():
            raise Refusal(f"this torch has no stable headers: {source} is missing")
        try:
            if link.is_symlink() and link.readlink() == source:
                continue
            link.parent.mkdir(parents=True, exist_ok=True)
            link.unlink(missing_ok=True)
            link.symlink_to(source)
        except OSError as error:
            raise Refusal(f"cannot write {link}: {error.strerror}") from error
    return folder


def legacy_cuda_headers(torch_include: Path, nvcc: str, folder: Path, extra: Iterable[Path] = ()) -> LegacyHeaders:
    """What legacy CUDA code needs in addition to torch's headers.

    Headers of the CUDA libraries are looked for in `extra`, in the toolkit of `nvcc` and in installed wheels. What is
    nowhere gets a stand-in in `folder`, and a note that names the wheel. A CPU build of torch also lacks the header
    that says how its CUDA libraries were built; it is generated.
    """
    generated = folder / "generated"
    if not (torch_include / _CUDA_MACROS).exists():
        write_if_changed(generated / _CUDA_MACROS, _CUDA_MACROS_TEXT)
    toolkit = nvcc_folders(nvcc)
    searched = [*extra, *toolkit, *wheel_folders()]
    found = dict.fromkeys(_homes((*CUDA_LIBRARY_HEADERS, *HEADER_LIBRARIES), searched, toolkit))
    absent = _stand_ins(searched, folder / "libraries")
    diagnostics = (_stand_in_note(absent),) if absent else ()
    made = [place for place in (folder / "libraries", generated) if place.is_dir()]
    return LegacyHeaders((*found, *made), diagnostics)


def stable_cuda_headers(nvcc: str, folder: Path, extra: Iterable[Path] = ()) -> tuple[Path, ...]:
    """Folders beyond the toolkit of `nvcc` that have headers of the CUDA libraries: for stable code that calls them.

    What is nowhere has a stand-in in `folder`, as for the legacy side; no header of torch is among them.
    """
    toolkit = nvcc_folders(nvcc)
    searched = [*extra, *toolkit, *wheel_folders()]
    found = dict.fromkeys(_homes((*CUDA_LIBRARY_HEADERS, *HEADER_LIBRARIES), searched, toolkit))
    return (*found, folder / "libraries") if _stand_ins(searched, folder / "libraries") else tuple(found)


def _stand_ins(searched: Iterable[Path], folder: Path) -> list[str]:
    """The headers of CUDA libraries that are nowhere; each gets a stand-in in `folder`."""
    searched = tuple(searched)
    absent = [name for name in CUDA_LIBRARY_HEADERS if not any((place / name).exists() for place in searched)]
    for name in CUDA_LIBRARY_HEADERS:
        if name in absent:
            write_if_changed(folder / name, template(f"verify/stand_ins/{name}"))
        else:  # of an earlier run
            (folder / name).unlink(missing_ok=True)
    return absent


def _homes(headers: Iterable[str], searched: Iterable[Path], known: Iterable[Path]) -> Iterator[Path]:
    """The folder of each header that is found, unless it is `known`."""
    searched, known = tuple(searched), set(known)
    for name in headers:
        home = next((place for place in searched if (place / name).exists()), None)
        if home is not None and home not in known:
            yield home


def nvcc_folders(nvcc: str) -> tuple[Path, ...]:
    """The include folders that `nvcc` searches by itself."""
    try:
        done = subprocess.run(
            [nvcc, "--dryrun", "-E", "-x", "cu", "/dev/null"], capture_output=True, text=True, check=False
        )
    except OSError:
        return ()
    lines = [line for line in done.stderr.splitlines() if "INCLUDES=" in line]
    return tuple(dict.fromkeys(Path(folder) for line in lines for folder in _NVCC_FOLDER.findall(line)))


def wheel_folders() -> tuple[Path, ...]:
    """The include folders of NVIDIA's wheels: `nvidia/cublas/include`, or `nvidia/cu13/include` for all of CUDA 13."""
    found = sorted(folder for root in _package("nvidia") for folder in root.glob("*/include"))
    found += [root / folder for package, folder in HEADER_LIBRARIES.values() for root in _package(package)]
    return tuple(folder for folder in found if folder.is_dir())


def _package(name: str) -> list[Path]:
    """The folders of an installed package, without importing it."""
    spec = importlib.util.find_spec(name)
    return [Path(place) for place in (spec.submodule_search_locations or ())] if spec is not None else []


def write_if_changed(path: Path, text: str) -> None:
    """Write `text` unless the file has it, so that what depends on the file is not built again. Raises Refusal."""
    try:
        if path.exists() and path.read_text(encoding="utf-8") == text:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise Refusal(f"cannot write {path}: {error.strerror}") from error


def _stand_in_note(absent: list[str]) -> Finding:
    wheels = sorted({CUDA_LIBRARY_HEADERS[name] for name in absent})
    return finding(
        codes.STAND_IN_HEADER,
        f"stand-ins took the place of {', '.join(absent)}, which are not installed here",
        severity=Severity.NOTE,
        help=f"pip install --no-deps {' '.join(wheels)}",
    )
