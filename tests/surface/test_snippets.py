"""The C++ helpers: each compiles alone, and does what the legacy call did."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from torch_stabilize.surface.entry import TableError
from torch_stabilize.surface.headers import target_macro
from torch_stabilize.surface.snippet import SNIPPETS, Snippet, all_snippets, snippet

from .library import NAMESPACE, Function, build

CUDA = tuple(name for name, helper in all_snippets().items() if helper.needs_cuda)
HOST = tuple(name for name in all_snippets() if name not in CUDA)
OLDEST = "2.10"


def test_a_snippet_tells_its_includes_from_its_code() -> None:
    stream = snippet("get_current_cuda_stream")
    assert stream.includes[0] == "torch/csrc/inductor/aoti_torch/c/shim.h"
    assert "#include" not in stream.code
    assert stream.code.startswith("// The current stream of a device")
    assert stream.needs_cuda


def test_an_unknown_snippet_is_refused() -> None:
    with pytest.raises(TableError, match="no C\\+\\+ helper 'get_flux'"):
        snippet("get_flux")


@pytest.mark.parametrize("name", [*HOST, *CUDA])
def test_no_snippet_includes_a_legacy_header(name: str) -> None:
    text = (SNIPPETS / f"{name}.h").read_text(encoding="utf-8")
    for header in re.findall(r'#include [<"]([^>"]+)', text):
        assert not header.startswith(("ATen/", "c10/", "torch/all", "torch/torch", "torch/extension"))


def in_hiding(one: Snippet) -> str:
    """The helper as it is generated: in a namespace whose symbols stay within their library."""
    head = "".join(f"#include <{name}>\n" for name in (*one.includes, "torch/headeronly/macros/Macros.h"))
    return head + (
        one.code if one.is_outside else f"HIDDEN_NAMESPACE_BEGIN(own)\n{one.code}HIDDEN_NAMESPACE_END(own)\n"
    )


@pytest.mark.compile
@pytest.mark.parametrize("name", HOST)
def test_a_snippet_compiles_alone(name: str, stable_tree: Path, compiler: str, tmp_path: Path) -> None:
    flags = ["-std=c++17", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-Wno-pragma-once-outside-header"]
    defined = [f"-DTORCH_TARGET_VERSION={target_macro(OLDEST)}", f"-isystem{stable_tree}"]
    unit = tmp_path / f"{name}.h"
    unit.write_text(in_hiding(snippet(name)))
    command = [compiler, *flags, *defined, "-x", "c++", str(unit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


CUDA_UNIT = """
__global__ void add_one(float* x, int n) {
  CUDA_KERNEL_LOOP(i, n) { x[i] += 1; }
}
template <typename T>
__global__ void atomics(T* x, T value) {
  gpuAtomicAdd(x, value);
  gpuAtomicAddNoReturn(x + 1, value);
  if (WARP_SHFL_XOR(1, 1) + WARP_SHFL(1, 0) + WARP_SHFL_UP(1, 1) + WARP_SHFL_DOWN(1, 1) == 0) return;
  gpuAtomicMax(x, gpuAtomicMin(x, gpuAtomicMul(x, value)));
  fastAtomicAdd(x, 3, 8, value, true);
  atomicAdd(x, value);
  if (WARP_BALLOT(threadIdx.x == 0)) WARP_SYNC();
}
template __global__ void atomics(float*, float);
template __global__ void atomics(int64_t*, int64_t);
template __global__ void atomics(int16_t*, int16_t);
template __global__ void atomics(torch::headeronly::Half*, torch::headeronly::Half);
template __global__ void atomics(torch::headeronly::BFloat16*, torch::headeronly::BFloat16);
void use() {
  add_one<<<1, get_device_prop()->warpSize, 0, get_current_cuda_stream()>>>(nullptr, 4);
  CudaStreamGuard guard(get_cuda_stream_from_pool(true, 0), 0);
  cuda_raw_delete(cuda_raw_alloc(16));
  (void)get_current_cuda_blas_handle();
  (void)cuda_device_count();
}
"""
CUBLAS = "#pragma once\ntypedef struct cublasContext* cublasHandle_t;\n"


@pytest.mark.cuda
def test_cuda_snippets_compile(stable_tree: Path, tmp_path: Path) -> None:
    nvcc = shutil.which("nvcc")
    if nvcc is None:
        pytest.skip("nvcc is not installed")
    (tmp_path / "cublas_v2.h").write_text(CUBLAS)  # toolkits leave cuBLAS out at times
    unit = tmp_path / "use.cu"
    unit.write_text("".join(f'#include "{SNIPPETS / name}.h"\n' for name in CUDA) + CUDA_UNIT)
    defined = ["-DUSE_CUDA", f"-DTORCH_TARGET_VERSION={target_macro(OLDEST)}"]
    command = [
        nvcc,
        "-std=c++17",
        *defined,
        f"-I{stable_tree}",
        f"-I{tmp_path}",
        "-c",
        str(unit),
        "-o",
        str(tmp_path / "use.o"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


PROPERTIES = """
#include <cuda_runtime.h>
#include <atomic>
#include <thread>
#include <vector>
std::atomic<int> asked{0};
extern "C" cudaError_t cudaGetDeviceCount(int* n) { *n = 2; return cudaSuccess; }
extern "C" cudaError_t cudaGetDevice(int* d) { *d = 1; return cudaSuccess; }
extern "C" cudaError_t cudaGetDeviceProperties(cudaDeviceProp* p, int d) {
  ++asked; *p = cudaDeviceProp{}; p->warpSize = 32 + d; return cudaSuccess;
}
extern "C" int torch_c10_cuda_check_msg(int32_t, const char*, const char*, uint32_t, bool, char**) { return 0; }
extern "C" void torch_c10_cuda_free_error_msg(char*) {}
int main() {
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int i = 0; i < 32; ++i) threads.emplace_back([&wrong, i] {
    for (int j = 0; j < 200; ++j) wrong += get_device_prop(i % 2)->warpSize != 32 + i % 2;
  });
  for (auto& thread : threads) thread.join();
  if (get_device_prop() != get_device_prop(1)) return 2;
  return wrong == 0 && asked == 2 ? 0 : 1;
}
"""
RUNTIME = """
#pragma once
#include <cstdint>
typedef int cudaError_t;
enum { cudaSuccess = 0 };
struct cudaDeviceProp { int warpSize; char rest[1000]; };
extern "C" cudaError_t cudaGetDeviceCount(int*);
extern "C" cudaError_t cudaGetDevice(int*);
extern "C" cudaError_t cudaGetDeviceProperties(cudaDeviceProp*, int);
"""


@pytest.mark.compile
def test_device_properties_are_asked_for_once_under_threads(stable_tree: Path, compiler: str, tmp_path: Path) -> None:
    """32 threads, two devices, a driver that counts: built against a stand-in of the CUDA runtime."""
    (tmp_path / "cuda_runtime.h").write_text(RUNTIME)
    unit = tmp_path / "threads.cpp"
    unit.write_text(f'#include <cstdint>\n#include "{SNIPPETS / "get_device_prop.h"}"\n{PROPERTIES}')
    program = tmp_path / "threads"
    flags = ["-std=c++17", "-O1", "-pthread", "-DUSE_CUDA", f"-DTORCH_TARGET_VERSION={target_macro(OLDEST)}"]
    includes = [f"-I{tmp_path}", f"-I{stable_tree}"]
    subprocess.run([compiler, *flags, *includes, str(unit), "-o", str(program)], check=True)
    assert subprocess.run([str(program)], check=False).returncode == 0


TYPES = """
namespace h = torch::headeronly;
template <typename A, typename B> constexpr bool same = std::is_same_v<A, B>;
static_assert(same<opmath_type<h::Half>, float> && same<opmath_type<h::Float8_e8m0fnu>, float>);
static_assert(same<opmath_type<double>, double> && same<opmath_type<int>, int>);
static_assert(same<opmath_type<h::complex<h::Half>>, h::complex<float>>);
static_assert(same<acc_type<h::BFloat16, false>, float> && same<acc_type<h::Float8_e5m2, true>, float>);
static_assert(same<acc_type<float, false>, double> && same<acc_type<float, true>, float>);
static_assert(same<acc_type<double, true>, double> && same<acc_type<bool, true>, bool>);
static_assert(same<acc_type<int, true>, int64_t> && same<acc_type<h::complex<float>, false>, h::complex<double>>);
"""


@pytest.mark.compile
def test_types_to_compute_in_are_those_of_torch(stable_tree: Path, compiler: str, tmp_path: Path) -> None:
    unit = tmp_path / "types.cpp"
    unit.write_text(f'#include "{SNIPPETS / "opmath_type.h"}"\n#include "{SNIPPETS / "acc_type.h"}"\n{TYPES}')
    subprocess.run([compiler, "-std=c++17", "-fsyntax-only", f"-I{stable_tree}", str(unit)], check=True)


FUNCTIONS = (
    Function(
        "list_of(Tensor x, int n) -> Tensor",
        "return tensor_of<int64_t>({n, 1, -1}, x.scalar_type(), std::nullopt, x.device());",
    ),
    Function("list_of_floats(Tensor x) -> Tensor", "return tensor_of<float>({0.5, -2.0, x.dim() * 1.0f});"),
    Function(
        "made_like(Tensor x, bool other) -> Tensor",
        "auto o = options_of(x); if (other) { o = o.dtype(torch::headeronly::ScalarType::Int); } "
        "return torch::stable::full({2}, 1, o.dtype(), o.layout(), o.device(), o.pinned_memory());",
    ),
    Function("item_double(Tensor x) -> float", "return item<double>(x);"),
    Function("item_float(Tensor x) -> float", "return item<float>(x);"),
    Function("item_half(Tensor x) -> float", "return static_cast<float>(item<c10::Half>(x));"),
    Function("item_int(Tensor x) -> int", "return item<int>(x);"),
    Function("item_long(Tensor x) -> int", "return item<int64_t>(x);"),
    Function("item_long_long(Tensor x) -> int", "return item<long long>(x);"),
    Function("item_bool(Tensor x) -> bool", "return item<bool>(x);"),
    Function("element_size_of(Tensor x) -> int", "return element_size(x.scalar_type());"),
    Function("storage_size(Tensor x) -> int", "return storage_nbytes(x);"),
    Function(
        "storage_offset_bytes(Tensor x) -> int",
        "return static_cast<char*>(x.data_ptr()) - static_cast<char*>(storage_data_ptr(x));",
    ),
    Function("sizes(Tensor x) -> str", "return sizes_to_string(x.sizes());"),
    Function("device(Tensor x) -> str", "return device_to_string(x.device());"),
    Function(
        "device_names(Tensor x) -> str",
        'auto kind = x.device().type(); return device_type_name(kind) + " " + device_type_name(kind, true);',
    ),
    Function("layout(Tensor x) -> str", "(void)x; return layout_to_string(torch::headeronly::Layout::Strided);"),
    Function("is_floating(Tensor x) -> bool", "return is_floating_type(x.scalar_type());"),
    Function("is_complex(Tensor x) -> bool", "return is_complex_type(x.scalar_type());"),
    Function("is_integral(Tensor x, bool b) -> bool", "return is_integral_type(x.scalar_type(), b);"),
    Function("is_dense(Tensor x) -> bool", "return is_non_overlapping_and_dense(x);"),
    Function("is_last(Tensor x) -> bool", "return is_channels_last(x, 4);"),
    Function(
        "counts(int from, int to) -> int", "int64_t sum = 0; for (auto i : irange(from, to)) { sum += i; } return sum;"
    ),
    Function("counts_up(int to) -> int", "int64_t sum = 0; for (const auto& i : irange(to)) { sum += i; } return sum;"),
    Function(
        "warns(Tensor x) -> bool", 'for (int i = 0; i < 2; ++i) { STD_TORCH_WARN_ONCE("dim ", x.dim()); } return true;'
    ),
    Function("grad_mode(Tensor x) -> bool", "NoGradGuard guard; return aoti_torch_grad_mode_is_enabled();"),
)


@pytest.fixture(scope="module")
def ops(installed_tree: Path, torch_include: Path, compiler: str, tmp_path_factory: pytest.TempPathFactory) -> Any:
    import torch

    headers = [SNIPPETS / f"{name}.h" for name in HOST]
    folder = tmp_path_factory.mktemp("snippets")
    name = f"{NAMESPACE}_snippets"
    torch.ops.load_library(build(FUNCTIONS, headers, installed_tree, torch_include.parent / "lib", folder, name))
    return getattr(torch.ops, name)


@pytest.mark.compile
@pytest.mark.torch
@pytest.mark.xdist_group("surface_snippets")
class TestAgainstTorch:
    """Run on the CPU, against what the legacy calls answer."""

    @pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16", "int64", "int32", "uint8", "bool"])
    def test_item_converts_as_torch_does(self, ops: Any, dtype: str) -> None:
        import torch

        for value in (0, 1, 7):
            x = torch.tensor([value]).to(getattr(torch, dtype))
            assert ops.item_double(x) == ops.item_float(x) == ops.item_half(x) == float(x)
            assert ops.item_int(x) == ops.item_long(x) == ops.item_long_long(x) == int(x)
            assert ops.item_bool(x) == bool(x)

    def test_item_of_many_values_is_an_error(self, ops: Any) -> None:
        import torch

        with pytest.raises(RuntimeError):
            ops.item_float(torch.zeros(2))

    @pytest.mark.parametrize(
        "dtype", ["uint8", "bool", "float8_e4m3fn", "bfloat16", "int32", "float64", "complex64", "complex128"]
    )
    def test_dtypes(self, ops: Any, dtype: str) -> None:
        import torch

        x = torch.zeros(1, dtype=getattr(torch, dtype))
        assert ops.element_size_of(x) == x.element_size()
        assert ops.is_floating(x) == x.is_floating_point()
        assert ops.is_complex(x) == x.is_complex()
        assert ops.is_integral(x, True) == (not x.is_floating_point() and not x.is_complex())
        assert ops.is_integral(x, False) == (ops.is_integral(x, True) and dtype != "bool")

    def test_storage(self, ops: Any) -> None:
        import torch

        x = torch.zeros(4, 6)[1:, 2:]
        assert ops.storage_size(x) == x.untyped_storage().nbytes() == 96
        assert ops.storage_offset_bytes(x) == 8 * 4

    def test_lists_become_tensors(self, ops: Any) -> None:
        import torch

        x = torch.zeros(3, 2, dtype=torch.int16)
        assert torch.equal(ops.list_of(x, 7), torch.tensor([7, 1, -1], dtype=torch.int16))
        assert ops.list_of(x, 7).dtype == torch.int16
        assert torch.equal(ops.list_of_floats(x), torch.tensor([0.5, -2.0, 2.0]))

    def test_options_are_kept_in_an_object(self, ops: Any) -> None:
        import torch

        x = torch.zeros(1, dtype=torch.float64)
        assert ops.made_like(x, False).dtype == torch.float64
        assert ops.made_like(x, True).dtype == torch.int32

    def test_ranges(self, ops: Any) -> None:
        assert [ops.counts(a, b) for a, b in ((2, 5), (-2, 1), (3, 3), (5, 2))] == [9, -3, 0, 0]
        assert [ops.counts_up(n) for n in (5, 0, -3)] == [10, 0, 0]

    def test_texts_for_messages(self, ops: Any) -> None:
        import torch

        assert ops.sizes(torch.zeros(2, 0, 3)) == "[2, 0, 3]"
        assert ops.sizes(torch.tensor(1.0)) == "[]"
        assert ops.device(torch.zeros(1)) == "cpu"
        assert ops.device_names(torch.zeros(1)) == "CPU cpu"
        assert ops.layout(torch.zeros(1)) == "Strided"

    def test_strides(self, ops: Any) -> None:
        import torch

        last = torch.channels_last
        tensors = [torch.zeros(2, 3, 4, 5), torch.zeros(2, 3, 4, 5).to(memory_format=last), torch.zeros(2, 1, 4, 5)]
        tensors += [t.transpose(0, 1) for t in tensors] + [torch.zeros(2, 3, 1, 1).to(memory_format=last)]
        tensors += [torch.zeros(4, 6)[:, ::2], torch.zeros(3).expand(2, 3), torch.zeros(0, 3), torch.zeros(())]
        for x in tensors:
            assert ops.is_dense(x) == torch.ops.aten.is_non_overlapping_and_dense(x), x.stride()
            assert ops.is_last(x) == (x.dim() == 4 and x.is_contiguous(memory_format=last)), x.stride()

    def test_a_warning_is_put_together_and_given_once(self, ops: Any, capfd: pytest.CaptureFixture[str]) -> None:
        import warnings

        import torch

        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            assert ops.warns(torch.zeros(2, 3))
        shown = capfd.readouterr().err + "".join(str(warning.message) for warning in caught)
        assert shown.count("dim 2") == 1

    def test_gradient_mode_is_off_while_the_guard_lives(self, ops: Any) -> None:
        import torch

        assert torch.is_grad_enabled()
        assert ops.grad_mode(torch.zeros(1)) is False
        assert torch.is_grad_enabled()
