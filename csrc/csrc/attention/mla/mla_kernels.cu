#include <ATen/cuda/CUDAContext.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <cutlass/array.h>
#include <cutlass/numeric_conversion.h>
#include <cutlass/numeric_types.h>
#include <torch/library.h>
#include <torch/types.h>

#include <cute/tensor.hpp>

#include "../../core/registration.h"
#include "../../device_utils.cuh"
#include "../../sm100.h"
#include "../merge_attn_states_math.h"
#include "mla_checks.h"

namespace samplex {

constexpr int kMlaThreads = 128;
constexpr int kMlaPerThread = kMlaMaxLatent / kMlaThreads;

// The tensors of one call. Results of splits go to the workspace: outputs in
// float, [splits, batch, heads, latent], then log-sum-exps.
template <typename Element>
struct MlaArguments {
  Element* out;
  float* lse;
  const Element* q_nope;
  const Element* q_pe;
  const Element* cache;
  const int* seq_lens;
  const int* page_table;
  float* partial_out;
  float* partial_lse;
  int64_t stride_q_nope[2];  // of a token and a head
  int64_t stride_q_pe[2];
  int64_t batch;
  int64_t heads;
  int64_t latent;
  int64_t rope;
  int64_t pages;
  int64_t page_size;
  int64_t pages_per_sequence;
  int64_t splits;
  float scale;
};

// What a thread holds of the output: every kMlaThreads-th element.
using MlaFragment = cutlass::Array<float, kMlaPerThread>;

// A block for each token (x), head (y) and split of the keys (z). The sum over
// the keys is rescaled whenever a larger score comes up.
template <typename Element>
__global__ void mla_decode_kernel(const MlaArguments<Element> a) {
#if SAMPLEX_IS_SM100
  using namespace cute;
  const cutlass::NumericConverter<float, Element> to_float;
  const int64_t token = blockIdx.x;
  const int64_t head = blockIdx.y;
  const auto cache = make_tensor(
      make_gmem_ptr(a.cache),
      make_layout(make_shape(a.latent + a.rope, a.page_size, a.pages),
                  GenColMajor{}));
  const Element* q_nope =
      a.q_nope + token * a.stride_q_nope[0] + head * a.stride_q_nope[1];
  const Element* q_pe =
      a.q_pe + token * a.stride_q_pe[0] + head * a.stride_q_pe[1];
  const int* pages = a.page_table + token * a.pages_per_sequence;

  const int64_t length = a.seq_lens[token];
  const int64_t keys_per_split = (length + a.splits - 1) / a.splits;
  const int64_t first = blockIdx.z * keys_per_split;
  const int64_t last = cutlass::fast_min(first + keys_per_split, length);

  MlaFragment sum;
  sum.clear();
  float largest = -INFINITY;
  float weights = 0.0f;
  for (int64_t key = first; key < last; ++key) {
    const auto row = cache(_, key % a.page_size, pages[key / a.page_size]);
    float dot = 0.0f;
    for (int64_t i = threadIdx.x; i < a.latent + a.rope; i += blockDim.x) {
      const Element q = i < a.latent ? q_nope[i] : q_pe[i - a.latent];
      dot += to_float(q) * to_float(row(i));
    }
    const float score = block_reduce(dot, 0.0f, Sum{}) * a.scale;
    const float now = fmaxf(largest, score);
    const float old_factor = expf(largest - now);
    const float factor = expf(score - now);
    largest = now;
    weights = weights * old_factor + factor;
    CUTLASS_PRAGMA_UNROLL
    for (int j = 0; j < kMlaPerThread; ++j) {
      const int64_t i = threadIdx.x + j * kMlaThreads;
      if (i < a.latent) {
        sum[j] = sum[j] * old_factor + factor * to_float(row(i));
      }
    }
  }

  const bool has_keys = first < last;
  const float lse = has_keys ? largest + logf(weights) : -INFINITY;
  const float scale = has_keys ? 1.0f / weights : 0.0f;
  const int64_t out_row = token * a.heads + head;
  const int64_t split_row = blockIdx.z * a.batch * a.heads + out_row;
  const cutlass::NumericConverter<Element, float> to_element;
  CUTLASS_PRAGMA_UNROLL
  for (int j = 0; j < kMlaPerThread; ++j) {
    const int64_t i = threadIdx.x + j * kMlaThreads;
    if (i >= a.latent) break;
    if (a.splits == 1) {
      a.out[out_row * a.latent + i] = to_element(sum[j] * scale);
    } else {
      a.partial_out[split_row * a.latent + i] = sum[j] * scale;
    }
  }
  if (threadIdx.x == 0) {
    (a.splits == 1 ? a.lse[out_row] : a.partial_lse[split_row]) = lse;
  }
#endif
}

// Adds up the splits of a token and head, with the weights their log-sum-exps
// say.
template <typename Element>
__global__ void mla_reduction_kernel(const MlaArguments<Element> a) {
#if SAMPLEX_IS_SM100
  const int64_t row = blockIdx.x;
  const int64_t rows = a.batch * a.heads;
  float lse = -INFINITY;
  for (int64_t split = 0; split < a.splits; ++split) {
    lse = merge_weights(lse, a.partial_lse[split * rows + row]).lse;
  }
  const cutlass::NumericConverter<Element, float> to_element;
  for (int64_t i = threadIdx.x; i < a.latent; i += blockDim.x) {
    float sum = 0.0f;
    for (int64_t split = 0; split < a.splits; ++split) {
      const int64_t at = split * rows + row;
      if (is_infinite(a.partial_lse[at])) continue;
      sum += expf(a.partial_lse[at] - lse) * a.partial_out[at * a.latent + i];
    }
    a.out[row * a.latent + i] = to_element(sum);
  }
  if (threadIdx.x == 0) a.lse[row] = lse;
#endif
}

template <typename Element>
void run_mla_decode(torch::Tensor& out, torch::Tensor& lse,
                    torch::Tensor const& q_nope, torch::Tensor const& q_pe,
                    torch::Tensor const& cache, torch::Tensor const& seq_lens,
                    torch::Tensor const& page_table,
                    torch::Tensor const& workspace, double scale,
                    int64_t splits, cudaStream_t stream) {
  const int64_t batch = q_nope.size(0);
  const int64_t heads = q_nope.size(1);
  const int64_t latent = q_nope.size(2);
  auto* partial = static_cast<float*>(workspace.data_ptr());
  const MlaArguments<Element> arguments{
      static_cast<Element*>(out.data_ptr()),
      lse.data_ptr<float>(),
      static_cast<const Element*>(q_nope.data_ptr()),
      static_cast<const Element*>(q_pe.data_ptr()),
      static_cast<const Element*>(cache.data_ptr()),
      seq_lens.data_ptr<int>(),
      page_table.data_ptr<int>(),
      partial,
      partial + splits * batch * heads * latent,
      {q_nope.stride(0), q_nope.stride(1)},
      {q_pe.stride(0), q_pe.stride(1)},
      batch,
      heads,
      latent,
      q_pe.size(2),
      cache.size(0),
      cache.size(1),
      page_table.size(1),
      splits,
      static_cast<float>(scale)};
  const dim3 grid(batch, heads, splits);
  mla_decode_kernel<Element><<<grid, kMlaThreads, 0, stream>>>(arguments);
  C10_CUDA_KERNEL_LAUNCH_CHECK();
  if (splits == 1) return;
  mla_reduction_kernel<Element>
      <<<batch * heads, kMlaThreads, 0, stream>>>(arguments);
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

}  // namespace samplex

void sm100_cutlass_mla_decode(
    torch::Tensor& out, torch::Tensor& lse, torch::Tensor const& q_nope,
    torch::Tensor const& q_pe, torch::Tensor const& kv_c_and_k_pe_cache,
    torch::Tensor const& seq_lens, torch::Tensor const& page_table,
    torch::Tensor const& workspace, double sm_scale, int64_t num_kv_splits) {
  samplex::check_mla_decode(out, lse, q_nope, q_pe, kv_c_and_k_pe_cache,
                            seq_lens, page_table);
  const c10::cuda::CUDAGuard device_guard(q_nope.device());
  samplex::check_sm100("sm100_cutlass_mla_decode");
  if (out.numel() == 0) return;
  const int64_t splits = samplex::mla_splits(
      page_table.size(1) * kv_c_and_k_pe_cache.size(1), q_nope.size(0),
      at::cuda::getCurrentDeviceProperties()->multiProcessorCount,
      num_kv_splits);
  const int64_t needed = samplex::mla_workspace_size(splits, q_nope.size(0));
  TORCH_CHECK(static_cast<int64_t>(workspace.numel() *
                                   workspace.element_size()) >= needed,
              "the workspace must have ", needed, " bytes");

  const cudaStream_t stream =
      at::cuda::getCurrentCUDAStream(q_nope.get_device());
  const auto in_dtype = q_nope.dtype();
  if (in_dtype == at::ScalarType::Half) {
    samplex::run_mla_decode<cutlass::half_t>(
        out, lse, q_nope, q_pe, kv_c_and_k_pe_cache, seq_lens, page_table,
        workspace, sm_scale, splits, stream);
  } else if (in_dtype == at::ScalarType::BFloat16) {
    samplex::run_mla_decode<cutlass::bfloat16_t>(
        out, lse, q_nope, q_pe, kv_c_and_k_pe_cache, seq_lens, page_table,
        workspace, sm_scale, splits, stream);
  } else {
    TORCH_CHECK(false, "mla takes float16 and bfloat16, got ",
                q_nope.scalar_type());
  }
}

TORCH_LIBRARY_IMPL_EXPAND(TORCH_EXTENSION_NAME, CUDA, m) {
  m.impl("sm100_cutlass_mla_decode", &sm100_cutlass_mla_decode);
}
