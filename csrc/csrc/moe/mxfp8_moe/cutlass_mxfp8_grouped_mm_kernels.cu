#include <ATen/cuda/CUDAContext.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <cutlass/numeric_types.h>
#include <torch/library.h>
#include <torch/types.h>

#include <cute/tensor.hpp>

#include "../../core/registration.h"
#include "../../sm100.h"
#include "mxfp8_moe_checks.h"

namespace samplex {

constexpr int kTile = 16;  // rows and columns of a block's part of the output

// One thread for each element of the output: the products of a block of 32 are
// added up before both scales are applied.
template <typename out_t>
__global__ void mxfp8_grouped_mm_kernel(
    out_t* __restrict__ out, const cutlass::float_e4m3_t* __restrict__ a,
    const int64_t stride_a, const cutlass::float_e4m3_t* __restrict__ b,
    const int64_t stride_b, const int64_t stride_expert,
    const cutlass::float_ue8m0_t* __restrict__ sfa,
    const cutlass::float_ue8m0_t* __restrict__ sfb, const MxGroups groups,
    const int64_t n, const int64_t k) {
#if SAMPLEX_IS_SM100
  using namespace cute;
  const int64_t expert = blockIdx.z;
  const int64_t m = groups.rows(expert);
  const int64_t row = static_cast<int64_t>(blockIdx.y) * kTile + threadIdx.y;
  const int64_t column = static_cast<int64_t>(blockIdx.x) * kTile + threadIdx.x;
  if (row >= m || column >= n) return;

  const int64_t first_row = groups.expert_offsets[expert];
  const int64_t blocks = k / kMxBlock;
  // [m, k] and [n, k], in blocks of 32 along k.
  const auto k_shape = make_shape(Int<kMxBlock>{}, blocks);
  const auto k_stride = make_stride(Int<1>{}, Int<kMxBlock>{});
  const auto rows = make_tensor(
      make_gmem_ptr(a + first_row * stride_a),
      make_layout(make_shape(m, k_shape), make_stride(stride_a, k_stride)));
  const auto columns = make_tensor(
      make_gmem_ptr(b + expert * stride_expert),
      make_layout(make_shape(n, k_shape), make_stride(stride_b, k_stride)));
  const auto* row_scales = sfa + groups.blockscale_offsets[expert] * blocks;
  const auto* column_scales = sfb + expert * mx_padded_rows(n) * blocks;

  float sum = 0.0f;
  for (int64_t block = 0; block < blocks; ++block) {
    float part = 0.0f;
    CUTE_UNROLL
    for (int i = 0; i < kMxBlock; ++i) {
      part += static_cast<float>(rows(row, make_coord(i, block))) *
              static_cast<float>(columns(column, make_coord(i, block)));
    }
    const auto row_scale = row_scales[mx_scale_offset(row, block, blocks)];
    const auto column_scale =
        column_scales[mx_scale_offset(column, block, blocks)];
    sum +=
        part * static_cast<float>(row_scale) * static_cast<float>(column_scale);
  }
  out[(first_row + row) * n + column] = static_cast<out_t>(sum);
#endif
}

template <typename out_t>
void launch_mxfp8_grouped_mm(out_t* out, const torch::Tensor& a,
                             const torch::Tensor& b, const torch::Tensor& sfa,
                             const torch::Tensor& sfb, const MxGroups& groups,
                             cudaStream_t stream) {
  using fp8_t = cutlass::float_e4m3_t;
  using scale_t = cutlass::float_ue8m0_t;
  const int64_t n = b.size(2);
  const dim3 block(kTile, kTile);
  // How many rows an expert has is known to the device alone.
  const dim3 grid((n + kTile - 1) / kTile, (a.size(0) + kTile - 1) / kTile,
                  groups.count);
  mxfp8_grouped_mm_kernel<out_t><<<grid, block, 0, stream>>>(
      out, static_cast<const fp8_t*>(a.data_ptr()), a.stride(0),
      static_cast<const fp8_t*>(b.data_ptr()), b.stride(2), b.stride(0),
      static_cast<const scale_t*>(sfa.data_ptr()),
      static_cast<const scale_t*>(sfb.data_ptr()), groups, n, a.size(1));
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

}  // namespace samplex

void cutlass_mxfp8_grouped_mm(const torch::Tensor& a, const torch::Tensor& b,
                              const torch::Tensor& sfa,
                              const torch::Tensor& sfb, torch::Tensor& out,
                              const torch::Tensor& problem_sizes,
                              const torch::Tensor& expert_offsets,
                              const torch::Tensor& blockscale_offsets) {
  const auto groups = samplex::check_mx_groups(problem_sizes, expert_offsets,
                                               blockscale_offsets);
  samplex::check_mxfp8_grouped_mm(a, b, sfa, sfb, out, groups);
  const at::cuda::OptionalCUDAGuard device_guard(device_of(a));
  samplex::check_sm100("cutlass_mxfp8_grouped_mm");
  if (out.numel() == 0) return;

  auto stream = at::cuda::getCurrentCUDAStream();
  if (out.dtype() == torch::kBFloat16) {
    samplex::launch_mxfp8_grouped_mm(
        static_cast<cutlass::bfloat16_t*>(out.data_ptr()), a, b, sfa, sfb,
        groups, stream);
  } else if (out.dtype() == torch::kFloat16) {
    samplex::launch_mxfp8_grouped_mm(
        static_cast<cutlass::half_t*>(out.data_ptr()), a, b, sfa, sfb, groups,
        stream);
  } else {
    TORCH_CHECK(false, "out must be float16 or bfloat16, got ",
                out.scalar_type());
  }
}

TORCH_LIBRARY_IMPL_EXPAND(TORCH_EXTENSION_NAME, CUDA, m) {
  m.impl("cutlass_mxfp8_grouped_mm", &cutlass_mxfp8_grouped_mm);
}
