#include <ATen/cuda/CUDAContext.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <torch/types.h>

#include <optional>
#include <string>

#include "attention_checks.h"
#include "attention_math.h"
#include "device_utils.cuh"

namespace samplex {

constexpr int kAttentionThreads = 128;

// One block per head, sequence and part of a sequence. With parts.sums null
// there is one part, and the result is final; otherwise it goes to the parts'
// own rows. First each warp takes keys in turn and leaves their logits in
// shared memory; then each thread takes elements of the result in turn.
template <typename scalar_t, typename cache_t, int HEAD_SIZE>
__global__ void paged_attention_kernel(
    const PagedAttention<scalar_t, cache_t> attention,
    const AttentionParts parts, scalar_t* __restrict__ part_out,
    const int64_t part_size) {
  extern __shared__ float logits[];
  constexpr int kLaneElements =
      (HEAD_SIZE + SAMPLEX_WARP_SIZE - 1) / SAMPLEX_WARP_SIZE;
  const int64_t head = blockIdx.x;
  const int64_t sequence = blockIdx.y;
  const int64_t begin = blockIdx.z * part_size;
  const int64_t seq_len = attention.seq_lens[sequence];
  // A sequence without tokens has no parts; alone, its result is zero.
  if (begin >= seq_len && parts.sums != nullptr) return;
  const int64_t count = min(part_size, seq_len - begin);
  const int64_t kv_head = attention.kv_head(head);
  const int lane = threadIdx.x % SAMPLEX_WARP_SIZE;
  const int warp = threadIdx.x / SAMPLEX_WARP_SIZE;

  float query[kLaneElements];
  const scalar_t* query_row =
      attention.query + sequence * attention.query_stride + head * HEAD_SIZE;
#pragma unroll
  for (int j = 0; j < kLaneElements; ++j) {
    const int i = lane + j * SAMPLEX_WARP_SIZE;
    query[j] = i < HEAD_SIZE ? static_cast<float>(query_row[i]) : 0.0f;
  }

  float largest = -INFINITY;
  for (int64_t i = warp; i < count; i += blockDim.x / SAMPLEX_WARP_SIZE) {
    const int64_t token = begin + i;
    float logit = -INFINITY;
    if (attention.sees(sequence, head, token)) {
      const cache_t* key = attention.key(sequence, kv_head, token);
      float dot = 0.0f;
#pragma unroll
      for (int j = 0; j < kLaneElements; ++j) {
        const int element = lane + j * SAMPLEX_WARP_SIZE;
        if (element < HEAD_SIZE) {
          dot += query[j] * attention.key_element(key, element);
        }
      }
      logit = attention.logit(warp_reduce(dot, Sum{}), sequence, head, token);
    }
    if (lane == 0) logits[i] = logit;
    largest = fmaxf(largest, logit);
  }
  largest = block_reduce(largest, -INFINITY, Max{});

  float sum = 0.0f;
  for (int64_t i = threadIdx.x; i < count; i += blockDim.x) {
    logits[i] = attention_weight(logits[i], largest);
    sum += logits[i];
  }
  sum = block_reduce(sum, 0.0f, Sum{});  // and the weights are there for all

  const int64_t row = sequence * attention.num_heads + head;
  scalar_t* out = attention.out + row * HEAD_SIZE;
  if (parts.sums != nullptr) {
    const int64_t part = row * parts.count + blockIdx.z;
    if (threadIdx.x == 0) {
      parts.sums[part] = sum;
      parts.maxima[part] = largest;
    }
    out = part_out + part * HEAD_SIZE;
  }
  for (int i = threadIdx.x; i < HEAD_SIZE; i += blockDim.x) {
    float result = 0.0f;
    for (int64_t t = 0; t < count; ++t) {
      if (logits[t] > 0.0f) {
        result += logits[t] * attention.value(sequence, kv_head, begin + t, i);
      }
    }
    out[i] = static_cast<scalar_t>(result * inverse_or_zero(sum));
  }
}

// One block per head and sequence.
template <typename scalar_t>
__global__ void merge_parts_kernel(scalar_t* __restrict__ out,
                                   const scalar_t* __restrict__ part_out,
                                   const AttentionParts parts,
                                   const int32_t* __restrict__ seq_lens,
                                   const int64_t head_size) {
  const int64_t row = blockIdx.y * gridDim.x + blockIdx.x;
  const int64_t used = parts.used(seq_lens[blockIdx.y]);
  for (int64_t i = threadIdx.x; i < head_size; i += blockDim.x) {
    out[row * head_size + i] = static_cast<scalar_t>(
        parts.merge(part_out, row * parts.count, used, i, head_size));
  }
}

// With parts.sums null, sequences of up to max_seq_len tokens are one part.
template <typename scalar_t, typename cache_t>
void launch_paged_attention(const PagedAttention<scalar_t, cache_t>& attention,
                            const AttentionParts& parts, scalar_t* part_out,
                            int64_t max_seq_len, cudaStream_t stream) {
  const int64_t part_size =
      parts.sums == nullptr ? max_seq_len : kPartitionSize;
  const dim3 grid(attention.num_heads, attention.num_sequences, parts.count);
  const int shared_bytes =
      static_cast<int>(part_size) * static_cast<int>(sizeof(float));
  const auto* properties = at::cuda::getCurrentDeviceProperties();
  TORCH_CHECK(
      static_cast<size_t>(shared_bytes) <= properties->sharedMemPerBlockOptin,
      "paged_attention_v1: the logits of ", max_seq_len,
      " tokens do not fit into shared memory; use "
      "paged_attention_v2");

#define SAMPLEX_LAUNCH_HEAD_SIZE(SIZE)                                       \
  case SIZE: {                                                               \
    auto kernel = paged_attention_kernel<scalar_t, cache_t, SIZE>;           \
    C10_CUDA_CHECK(cudaFuncSetAttribute(                                     \
        kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, shared_bytes)); \
    kernel<<<grid, kAttentionThreads, shared_bytes, stream>>>(               \
        attention, parts, part_out, part_size);                              \
    break;                                                                   \
  }
  switch (attention.head_size) { SAMPLEX_HEAD_SIZES(SAMPLEX_LAUNCH_HEAD_SIZE) }
#undef SAMPLEX_LAUNCH_HEAD_SIZE
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

}  // namespace samplex

#define LAUNCH_V1(ATTENTION)                                   \
  samplex::launch_paged_attention(                             \
      ATTENTION, samplex::AttentionParts{nullptr, nullptr, 1}, \
      static_cast<scalar_t*>(nullptr), max_seq_len, stream)

void paged_attention_v1(
    torch::Tensor& out, torch::Tensor& query, torch::Tensor& key_cache,
    torch::Tensor& value_cache, int64_t num_kv_heads, double scale,
    torch::Tensor& block_tables, torch::Tensor& seq_lens, int64_t block_size,
    int64_t max_seq_len, const std::optional<torch::Tensor>& alibi_slopes,
    const std::string& kv_cache_dtype, torch::Tensor& k_scale,
    torch::Tensor& v_scale, const int64_t tp_rank,
    const int64_t blocksparse_local_blocks,
    const int64_t blocksparse_vert_stride, const int64_t blocksparse_block_size,
    const int64_t blocksparse_head_sliding_step) {
  const samplex::PagedAttentionCall call{
      out,
      query,
      key_cache,
      value_cache,
      num_kv_heads,
      scale,
      block_tables,
      seq_lens,
      block_size,
      max_seq_len,
      alibi_slopes,
      kv_cache_dtype,
      k_scale,
      v_scale,
      {tp_rank, blocksparse_local_blocks, blocksparse_vert_stride,
       blocksparse_block_size, blocksparse_head_sliding_step}};
  samplex::check_paged_attention(call);
  if (out.numel() == 0) return;
  const at::cuda::OptionalCUDAGuard device_guard(device_of(query));
  const cudaStream_t stream = at::cuda::getCurrentCUDAStream();
  DISPATCH_PAGED_ATTENTION(call, "paged_attention_v1", LAUNCH_V1);
}

#define LAUNCH_V2(ATTENTION)       \
  samplex::launch_paged_attention( \
      ATTENTION, parts, tmp_out.data_ptr<scalar_t>(), max_seq_len, stream)

void paged_attention_v2(
    torch::Tensor& out, torch::Tensor& exp_sums, torch::Tensor& max_logits,
    torch::Tensor& tmp_out, torch::Tensor& query, torch::Tensor& key_cache,
    torch::Tensor& value_cache, int64_t num_kv_heads, double scale,
    torch::Tensor& block_tables, torch::Tensor& seq_lens, int64_t block_size,
    int64_t max_seq_len, const std::optional<torch::Tensor>& alibi_slopes,
    const std::string& kv_cache_dtype, torch::Tensor& k_scale,
    torch::Tensor& v_scale, const int64_t tp_rank,
    const int64_t blocksparse_local_blocks,
    const int64_t blocksparse_vert_stride, const int64_t blocksparse_block_size,
    const int64_t blocksparse_head_sliding_step) {
  const samplex::PagedAttentionCall call{
      out,
      query,
      key_cache,
      value_cache,
      num_kv_heads,
      scale,
      block_tables,
      seq_lens,
      block_size,
      max_seq_len,
      alibi_slopes,
      kv_cache_dtype,
      k_scale,
      v_scale,
      {tp_rank, blocksparse_local_blocks, blocksparse_vert_stride,
       blocksparse_block_size, blocksparse_head_sliding_step}};
  samplex::check_paged_attention(call);
  const auto parts = samplex::check_attention_parts(
      exp_sums, max_logits, tmp_out, query, max_seq_len);
  if (out.numel() == 0) return;
  const at::cuda::OptionalCUDAGuard device_guard(device_of(query));
  const cudaStream_t stream = at::cuda::getCurrentCUDAStream();
  DISPATCH_PAGED_ATTENTION(call, "paged_attention_v2", LAUNCH_V2);

  const dim3 grid(query.size(1), query.size(0));
  SAMPLEX_DISPATCH_FLOATING_TYPES(
      query.scalar_type(), "paged_attention_v2", [&] {
        samplex::merge_parts_kernel<scalar_t>
            <<<grid, samplex::kAttentionThreads, 0, stream>>>(
                out.data_ptr<scalar_t>(), tmp_out.data_ptr<scalar_t>(), parts,
                seq_lens.data_ptr<int32_t>(), query.size(2));
        C10_CUDA_KERNEL_LAUNCH_CHECK();
      });
}
