// What the CPU and the CUDA paged attention demand of their arguments.
#pragma once

#include <torch/types.h>

#include <optional>
#include <string>

#include "attention_math.h"
#include "check_utils.h"
#include "kv_cache.h"

// The sizes of heads that there are kernels for.
#define SAMPLEX_HEAD_SIZES(CASE) \
  CASE(32)                       \
  CASE(64) CASE(80) CASE(96) CASE(112) CASE(120) CASE(128) CASE(192) CASE(256)

namespace samplex {

// The arguments that both versions of paged_attention take.
struct PagedAttentionCall {
  const torch::Tensor& out;
  const torch::Tensor& query;
  const torch::Tensor& key_cache;
  const torch::Tensor& value_cache;
  int64_t num_kv_heads;
  double scale;
  const torch::Tensor& block_tables;
  const torch::Tensor& seq_lens;
  int64_t block_size;
  int64_t max_seq_len;
  const std::optional<torch::Tensor>& alibi_slopes;
  const std::string& kv_cache_dtype;
  const torch::Tensor& k_scale;
  const torch::Tensor& v_scale;
  BlockSparse sparse;
};

inline void check_head_size(int64_t head_size) {
#define SAMPLEX_IS_SIZE(SIZE) head_size == SIZE ||
  const bool known = SAMPLEX_HEAD_SIZES(SAMPLEX_IS_SIZE) false;
#undef SAMPLEX_IS_SIZE
  TORCH_CHECK(known, "unsupported head size: ", head_size);
}

inline void check_paged_attention(const PagedAttentionCall& call) {
  const torch::Tensor& query = call.query;
  const torch::Tensor& key_cache = call.key_cache;
  const torch::Tensor& value_cache = call.value_cache;
  const torch::Tensor& block_tables = call.block_tables;
  const torch::Tensor& seq_lens = call.seq_lens;
  CHECK_DIM(query, 3);
  CHECK_SAME_DTYPE(call.out, query);
  CHECK_CONTIGUOUS(call.out);
  TORCH_CHECK(call.out.sizes() == query.sizes(),
              "out must have the shape of query");
  const int64_t num_sequences = query.size(0);
  const int64_t num_heads = query.size(1);
  const int64_t head_size = query.size(2);
  check_head_size(head_size);
  TORCH_CHECK(query.stride(2) == 1 && query.stride(1) == head_size,
              "the heads of query must be contiguous");
  TORCH_CHECK(call.num_kv_heads > 0 && num_heads % call.num_kv_heads == 0,
              num_heads, " heads cannot share ", call.num_kv_heads,
              " kv heads");
  TORCH_CHECK(
      call.block_size == 8 || call.block_size == 16 || call.block_size == 32,
      "unsupported block size: ", call.block_size);

  check_kv_cache(key_cache, query.scalar_type(), call.kv_cache_dtype);
  check_kv_cache(value_cache, query.scalar_type(), call.kv_cache_dtype);
  check_kv_scale(call.k_scale);
  check_kv_scale(call.v_scale);
  const auto vector =
      kKeyVectorBytes / static_cast<int64_t>(key_cache.element_size());
  const int64_t num_blocks = key_cache.size(0);
  CHECK_SHAPE(key_cache, num_blocks, call.num_kv_heads, head_size / vector,
              call.block_size, vector);
  CHECK_SHAPE(value_cache, num_blocks, call.num_kv_heads, head_size,
              call.block_size);
  TORCH_CHECK(num_blocks == 0 || (key_cache[0].is_contiguous() &&
                                  value_cache[0].is_contiguous()),
              "the blocks of the caches must be contiguous");

  CHECK_DTYPE(block_tables, at::ScalarType::Int);
  CHECK_DTYPE(seq_lens, at::ScalarType::Int);
  CHECK_CONTIGUOUS(seq_lens);
  TORCH_CHECK_EQ(seq_lens.numel(), num_sequences);
  TORCH_CHECK(block_tables.dim() == 2 && block_tables.size(0) == num_sequences,
              "block_tables must have a row for each of ", num_sequences,
              " sequences");
  TORCH_CHECK(call.max_seq_len <= block_tables.size(1) * call.block_size,
              "max_seq_len is ", call.max_seq_len, ", block_tables have ",
              block_tables.size(1), " blocks of ", call.block_size);
  if (call.alibi_slopes.has_value()) {
    const torch::Tensor& alibi_slopes = call.alibi_slopes.value();
    CHECK_DTYPE(alibi_slopes, at::ScalarType::Float);
    CHECK_SHAPE(alibi_slopes, num_heads);
  }
}

// exp_sums and max_logits: [sequences, heads, parts]; tmp_out has a row of
// head_size more.
inline AttentionParts check_attention_parts(const torch::Tensor& exp_sums,
                                            const torch::Tensor& max_logits,
                                            const torch::Tensor& tmp_out,
                                            const torch::Tensor& query,
                                            int64_t max_seq_len) {
  CHECK_DIM(exp_sums, 3);
  CHECK_DTYPE(exp_sums, at::ScalarType::Float);
  CHECK_DTYPE(max_logits, at::ScalarType::Float);
  CHECK_SAME_DTYPE(tmp_out, query);
  CHECK_CONTIGUOUS(exp_sums);
  CHECK_CONTIGUOUS(max_logits);
  CHECK_CONTIGUOUS(tmp_out);
  const int64_t parts = exp_sums.size(2);
  TORCH_CHECK(max_seq_len <= parts * kPartitionSize, "max_seq_len is ",
              max_seq_len, ", there is room for ", parts, " parts of ",
              kPartitionSize);
  CHECK_SHAPE(exp_sums, query.size(0), query.size(1), parts);
  CHECK_SHAPE(max_logits, query.size(0), query.size(1), parts);
  CHECK_SHAPE(tmp_out, query.size(0), query.size(1), parts, query.size(2));
  return {exp_sums.data_ptr<float>(), max_logits.data_ptr<float>(), parts};
}

template <typename scalar_t, typename cache_t>
PagedAttention<scalar_t, cache_t> paged_attention(
    const PagedAttentionCall& call) {
  const torch::Tensor& query = call.query;
  return {call.out.data_ptr<scalar_t>(),
          query.data_ptr<scalar_t>(),
          query.stride(0),
          cache_data<cache_t>(call.key_cache),
          cache_data<cache_t>(call.value_cache),
          call.key_cache.stride(0),
          call.key_cache.stride(1),
          call.value_cache.stride(0),
          call.value_cache.stride(1),
          call.block_tables.data_ptr<int32_t>(),
          call.block_tables.stride(0),
          call.seq_lens.data_ptr<int32_t>(),
          optional_data<float>(call.alibi_slopes),
          call.k_scale.data_ptr<float>(),
          call.v_scale.data_ptr<float>(),
          static_cast<float>(call.scale),
          call.block_size,
          query.size(0),
          query.size(1),
          call.num_kv_heads,
          query.size(2),
          call.sparse};
}

}  // namespace samplex

// Runs `RUN(attention)` for the dtypes of the call.
#define DISPATCH_PAGED_ATTENTION(CALL, NAME, RUN)              \
  SAMPLEX_DISPATCH_KV_CACHE(                                   \
      (CALL).query.scalar_type(), (CALL).kv_cache_dtype, NAME, \
      [&] { RUN((samplex::paged_attention<scalar_t, cache_t>(CALL))); })
