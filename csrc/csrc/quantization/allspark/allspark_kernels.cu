#include <ATen/cuda/CUDAContext.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <cublas_v2.h>
#include <torch/library.h>
#include <torch/types.h>

#include "../../core/registration.h"
#include "../../dispatch_utils.h"
#include "../../launch_utils.h"
#include "allspark_checks.h"
#include "allspark_format.h"

namespace samplex {
namespace {

// Columns from `columns` to `padded_columns` are filled up with the middle.
__global__ void reorder_weight_kernel(uint8_t* __restrict__ out,
                                      const uint8_t* __restrict__ weight,
                                      const int64_t rows, const int64_t columns,
                                      const int64_t padded_columns) {
  const int64_t step = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
       i < rows * padded_columns; i += step) {
    const int64_t k = i / padded_columns;
    const int64_t n = i % padded_columns;
    out[allspark_index(k, n, rows)] =
        n < columns ? weight[k * columns + n]
                    : static_cast<uint8_t>(kAllsparkMiddle);
  }
}

template <typename scalar_t>
__global__ void pad_columns_kernel(scalar_t* __restrict__ out,
                                   const scalar_t* __restrict__ values,
                                   const int64_t columns,
                                   const int64_t padded_columns) {
  const int64_t n = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (n >= padded_columns) return;
  out[n] = n < columns ? values[n] : static_cast<scalar_t>(0.0f);
}

// For few tokens: one thread per element of the output.
template <typename scalar_t>
__global__ void w8a16_gemm_kernel(scalar_t* __restrict__ out,
                                  const scalar_t* __restrict__ a,
                                  const uint8_t* __restrict__ weight,
                                  const AllsparkColumns<scalar_t> columns,
                                  const int64_t n, const int64_t k) {
  const int64_t column =
      static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  const int64_t token = blockIdx.y;
  if (column >= n) return;
  float sum = 0.0f;
  for (int64_t i = 0; i < k; ++i) {
    sum += static_cast<float>(a[token * k + i]) *
           allspark_weight(weight[allspark_index(i, column, k)],
                           columns.scale(column), columns.zero(column));
  }
  out[token * n + column] = static_cast<scalar_t>(sum);
}

// For many tokens: the weight by columns, for cuBLAS to multiply with.
template <typename scalar_t>
__global__ void dequantize_kernel(scalar_t* __restrict__ out,
                                  const uint8_t* __restrict__ weight,
                                  const AllsparkColumns<scalar_t> columns,
                                  const int64_t n, const int64_t k) {
  const int64_t step = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
       i < n * k; i += step) {
    const int64_t column = i / k;
    out[i] = static_cast<scalar_t>(
        allspark_weight(weight[allspark_index(i % k, column, k)],
                        columns.scale(column), columns.zero(column)));
  }
}

// out [m, n] = a [m, k] * weight^T, where weight is [n, k]; all row by row.
void cublas_gemm(const torch::Tensor& out, const torch::Tensor& a,
                 const torch::Tensor& weight, cudaStream_t stream) {
  cublasHandle_t handle = at::cuda::getCurrentCUDABlasHandle();
  const cudaDataType_t type =
      a.scalar_type() == at::ScalarType::Half ? CUDA_R_16F : CUDA_R_16BF;
  const int m = static_cast<int>(out.size(0));
  const int n = static_cast<int>(out.size(1));
  const int k = static_cast<int>(a.size(1));
  const float alpha = 1.0f;
  const float beta = 0.0f;
  cublasSetStream(handle, stream);
  // cuBLAS counts by columns: it sees the transposes of all three.
  const cublasStatus_t status = cublasGemmEx(
      handle, CUBLAS_OP_T, CUBLAS_OP_N, n, m, k, &alpha, weight.data_ptr(),
      type, k, a.data_ptr(), type, k, &beta, out.data_ptr(), type, n,
      CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT);
  TORCH_CHECK(status == CUBLAS_STATUS_SUCCESS,
              "cublasGemmEx failed with status ", static_cast<int>(status));
}

}  // namespace
}  // namespace samplex

#define LAUNCH_PAD_COLUMNS(OUT, VALUES)                                       \
  SAMPLEX_DISPATCH_HALF_TYPES(                                                \
      (VALUES).scalar_type(), "rearrange_kn_weight_as_n32k16_order", [&] {    \
        samplex::pad_columns_kernel<scalar_t>                                 \
            <<<(N_32align + 255) / 256, 256, 0, stream>>>(                    \
                (OUT).data_ptr<scalar_t>(), (VALUES).data_ptr<scalar_t>(), N, \
                N_32align);                                                   \
        C10_CUDA_KERNEL_LAUNCH_CHECK();                                       \
      })

void rearrange_kn_weight_as_n32k16_order(
    const torch::Tensor& b_qweight, const torch::Tensor& b_scales,
    const std::optional<torch::Tensor>& b_zeros, bool has_zp,
    torch::Tensor& b_qweight_reorder, torch::Tensor& b_scales_reorder,
    const std::optional<torch::Tensor>& b_zeros_reorder, int64_t K, int64_t N,
    int64_t N_32align) {
  samplex::check_allspark_reorder(b_qweight, b_qweight_reorder, K, N,
                                  N_32align);
  samplex::check_allspark_columns(b_scales, b_zeros, has_zp, N);
  samplex::check_allspark_columns(b_scales_reorder, b_zeros_reorder, has_zp,
                                  N_32align);
  if (b_qweight.numel() == 0) return;
  const at::cuda::OptionalCUDAGuard device_guard(device_of(b_qweight));
  const cudaStream_t stream = at::cuda::getCurrentCUDAStream();

  constexpr int kThreads = 256;
  const dim3 grid(samplex::grid_size_for(K * N_32align, kThreads));
  samplex::reorder_weight_kernel<<<grid, kThreads, 0, stream>>>(
      b_qweight_reorder.data_ptr<uint8_t>(), b_qweight.data_ptr<uint8_t>(), K,
      N, N_32align);
  C10_CUDA_KERNEL_LAUNCH_CHECK();
  LAUNCH_PAD_COLUMNS(b_scales_reorder, b_scales);
  if (has_zp) LAUNCH_PAD_COLUMNS(b_zeros_reorder.value(), b_zeros.value());
}

torch::Tensor allspark_w8a16_gemm(
    const torch::Tensor& a, const torch::Tensor& b_qweight,
    const torch::Tensor& b_scales, const std::optional<torch::Tensor>& b_qzeros,
    int64_t n, int64_t group_size, int64_t /*sm_count*/, int64_t sm_version,
    int64_t CUBLAS_M_THRESHOLD, bool has_zp, bool n32k16_reorder) {
  samplex::check_allspark_gemm(a, b_qweight, b_scales, b_qzeros, n, group_size,
                               has_zp, n32k16_reorder);
  TORCH_CHECK(sm_version >= 80,
              "allspark_w8a16_gemm needs compute capability 8.0, got ",
              sm_version);
  const at::cuda::OptionalCUDAGuard device_guard(device_of(a));
  const cudaStream_t stream = at::cuda::getCurrentCUDAStream();

  const int64_t m = a.size(0);
  const int64_t k = a.size(1);
  const auto input = a.contiguous();
  auto options = torch::TensorOptions().dtype(a.dtype()).device(a.device());
  torch::Tensor out = torch::empty({m, n}, options);
  if (out.numel() == 0) return out;
  constexpr int kThreads = 128;

  SAMPLEX_DISPATCH_HALF_TYPES(a.scalar_type(), "allspark_w8a16_gemm", [&] {
    const samplex::AllsparkColumns<scalar_t> columns{
        b_scales.data_ptr<scalar_t>(),
        has_zp ? b_qzeros->data_ptr<scalar_t>() : nullptr};
    if (m <= CUBLAS_M_THRESHOLD) {
      const dim3 grid((n + kThreads - 1) / kThreads, m);
      samplex::w8a16_gemm_kernel<scalar_t><<<grid, kThreads, 0, stream>>>(
          out.data_ptr<scalar_t>(), input.data_ptr<scalar_t>(),
          b_qweight.data_ptr<uint8_t>(), columns, n, k);
      C10_CUDA_KERNEL_LAUNCH_CHECK();
    } else {
      torch::Tensor weight = torch::empty({n, k}, options);
      const dim3 grid(samplex::grid_size_for(n * k, kThreads));
      samplex::dequantize_kernel<scalar_t><<<grid, kThreads, 0, stream>>>(
          weight.data_ptr<scalar_t>(), b_qweight.data_ptr<uint8_t>(), columns,
          n, k);
      C10_CUDA_KERNEL_LAUNCH_CHECK();
      samplex::cublas_gemm(out, input, weight, stream);
    }
  });
  return out;
}

TORCH_LIBRARY_IMPL_EXPAND(TORCH_EXTENSION_NAME, CUDA, m) {
  m.impl("rearrange_kn_weight_as_n32k16_order",
         &rearrange_kn_weight_as_n32k16_order);
  m.impl("allspark_w8a16_gemm", &allspark_w8a16_gemm);
}
