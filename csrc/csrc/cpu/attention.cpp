#include <ATen/Parallel.h>
#include <torch/types.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "../attention_checks.h"
#include "../attention_math.h"

namespace samplex {
namespace {

// What attention to some tokens comes to.
struct PartSummary {
  float sum;      // of the weights
  float largest;  // of the logits
};

// Attends to the tokens in [begin, end) and writes one row of head_size.
template <typename scalar_t, typename cache_t>
PartSummary attend(scalar_t* out,
                   const PagedAttention<scalar_t, cache_t>& attention,
                   int64_t sequence, int64_t head, int64_t begin, int64_t end) {
  const int64_t head_size = attention.head_size;
  const int64_t kv_head = attention.kv_head(head);
  const scalar_t* query =
      attention.query + sequence * attention.query_stride + head * head_size;
  std::vector<float> logits(std::max<int64_t>(0, end - begin), -INFINITY);
  float largest = -INFINITY;
  for (int64_t token = begin; token < end; ++token) {
    if (!attention.sees(sequence, head, token)) continue;
    const cache_t* key = attention.key(sequence, kv_head, token);
    float dot = 0.0f;
    for (int64_t i = 0; i < head_size; ++i) {
      dot += static_cast<float>(query[i]) * attention.key_element(key, i);
    }
    float& logit = logits[token - begin];
    logit = attention.logit(dot, sequence, head, token);
    largest = std::max(largest, logit);
  }

  float sum = 0.0f;
  std::vector<float> result(head_size, 0.0f);
  for (int64_t token = begin; token < end; ++token) {
    const float weight = attention_weight(logits[token - begin], largest);
    if (weight == 0.0f) continue;
    sum += weight;
    for (int64_t i = 0; i < head_size; ++i) {
      result[i] += weight * attention.value(sequence, kv_head, token, i);
    }
  }
  for (int64_t i = 0; i < head_size; ++i) {
    out[i] = static_cast<scalar_t>(result[i] * inverse_or_zero(sum));
  }
  return {sum, largest};
}

// Calls `run(sequence, head, row)` for every row of the result.
template <typename Attention, typename Run>
void for_each_row(const Attention& attention, const Run& run) {
  at::parallel_for(0, attention.num_sequences * attention.num_heads, 1,
                   [&](int64_t begin, int64_t end) {
                     for (int64_t row = begin; row < end; ++row) {
                       run(row / attention.num_heads, row % attention.num_heads,
                           row);
                     }
                   });
}

template <typename scalar_t, typename cache_t>
void attend_whole(const PagedAttention<scalar_t, cache_t>& attention) {
  for_each_row(attention, [&](int64_t sequence, int64_t head, int64_t row) {
    attend(attention.out + row * attention.head_size, attention, sequence, head,
           0, attention.seq_lens[sequence]);
  });
}

template <typename scalar_t, typename cache_t>
void attend_in_parts(const PagedAttention<scalar_t, cache_t>& attention,
                     const AttentionParts& parts, scalar_t* part_out) {
  const int64_t head_size = attention.head_size;
  for_each_row(attention, [&](int64_t sequence, int64_t head, int64_t row) {
    const int64_t seq_len = attention.seq_lens[sequence];
    const int64_t used = parts.used(seq_len);
    const int64_t first = row * parts.count;
    for (int64_t part = 0; part < used; ++part) {
      const int64_t begin = part * kPartitionSize;
      const PartSummary summary = attend(
          part_out + (first + part) * head_size, attention, sequence, head,
          begin, std::min<int64_t>(begin + kPartitionSize, seq_len));
      parts.sums[first + part] = summary.sum;
      parts.maxima[first + part] = summary.largest;
    }
    for (int64_t i = 0; i < head_size; ++i) {
      attention.out[row * head_size + i] = static_cast<scalar_t>(
          parts.merge(part_out, first, used, i, head_size));
    }
  });
}

}  // namespace
}  // namespace samplex

void paged_attention_v1_cpu(
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
  DISPATCH_PAGED_ATTENTION(call, "paged_attention_v1", samplex::attend_whole);
}

#define RUN_V2(ATTENTION) \
  samplex::attend_in_parts(ATTENTION, parts, tmp_out.data_ptr<scalar_t>())

void paged_attention_v2_cpu(
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
  DISPATCH_PAGED_ATTENTION(call, "paged_attention_v2", RUN_V2);
}
