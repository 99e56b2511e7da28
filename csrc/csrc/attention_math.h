// Attention of one token per sequence over a cache in pages, for CPU and CUDA
// alike.
#pragma once

#include <cmath>
#include <cstdint>

#include "cuda_compat.h"
#include "kv_cache_math.h"

namespace samplex {

// paged_attention_v2 splits sequences into parts of this many tokens.
constexpr int kPartitionSize = 512;

// The widest load that keys are laid out for.
constexpr int kKeyVectorBytes = 16;

// Which tokens a head sees: those in the last `local_blocks` blocks, and those
// in every `vert_stride`th block before them, at an offset of the head's own.
// Everything is seen where vert_stride is not above 1.
struct BlockSparse {
  int64_t tp_rank;  // which part of all heads this device has
  int64_t local_blocks;
  int64_t vert_stride;
  int64_t block_size;
  int64_t head_sliding_step;  // negative: one offset for each kv head

  HOST_DEVICE_INLINE bool sees(int64_t head, int64_t num_heads, int64_t kv_head,
                               int64_t num_kv_heads, int64_t token,
                               int64_t seq_len) const {
    if (vert_stride <= 1) return true;
    const int64_t block = token / block_size;
    if (block > (seq_len - 1) / block_size - local_blocks) return true;
    const int64_t offset =
        head_sliding_step >= 0
            ? (tp_rank * num_heads + head) * head_sliding_step + 1
            : (tp_rank * num_kv_heads + kv_head) * -head_sliding_step + 1;
    return (block + offset) % vert_stride == 0;
  }
};

template <typename scalar_t, typename cache_t>
struct PagedAttention {
  static constexpr int kKeyVector = kKeyVectorBytes / sizeof(cache_t);

  scalar_t* out;  // [sequences, heads, head_size]
  const scalar_t* query;
  int64_t query_stride;
  const cache_t* keys;    // [blocks, kv heads, head_size / x, block_size, x]
  const cache_t* values;  // [blocks, kv heads, head_size, block_size]
  int64_t key_block_stride;
  int64_t key_head_stride;
  int64_t value_block_stride;
  int64_t value_head_stride;
  const int32_t* block_tables;  // which block holds which part of a sequence
  int64_t block_table_stride;
  const int32_t* seq_lens;
  const float* alibi_slopes;  // for each head; may be null
  const float* k_scale;
  const float* v_scale;
  float scale;
  int64_t block_size;
  int64_t num_sequences;
  int64_t num_heads;
  int64_t num_kv_heads;
  int64_t head_size;
  BlockSparse sparse;

  HOST_DEVICE_INLINE int64_t kv_head(int64_t head) const {
    return head / (num_heads / num_kv_heads);
  }

  HOST_DEVICE_INLINE int64_t block(int64_t sequence, int64_t token) const {
    return block_tables[sequence * block_table_stride + token / block_size];
  }

  // Element i of the key of a token is i * kKeyVector apart from that of i - 1,
  // except within a vector.
  HOST_DEVICE_INLINE const cache_t* key(int64_t sequence, int64_t kv_head,
                                        int64_t token) const {
    return keys + block(sequence, token) * key_block_stride +
           kv_head * key_head_stride + token % block_size * kKeyVector;
  }

  HOST_DEVICE_INLINE float key_element(const cache_t* key, int64_t i) const {
    return from_cache(
        key[i / kKeyVector * block_size * kKeyVector + i % kKeyVector],
        *k_scale);
  }

  HOST_DEVICE_INLINE float value(int64_t sequence, int64_t kv_head,
                                 int64_t token, int64_t i) const {
    return from_cache(values[block(sequence, token) * value_block_stride +
                             kv_head * value_head_stride + i * block_size +
                             token % block_size],
                      *v_scale);
  }

  HOST_DEVICE_INLINE bool sees(int64_t sequence, int64_t head,
                               int64_t token) const {
    return sparse.sees(head, num_heads, kv_head(head), num_kv_heads, token,
                       seq_lens[sequence]);
  }

  // The logit of a token whose key has the product `dot` with the query.
  HOST_DEVICE_INLINE float logit(float dot, int64_t sequence, int64_t head,
                                 int64_t token) const {
    const float bias =
        alibi_slopes == nullptr
            ? 0.0f
            : alibi_slopes[head] *
                  static_cast<float>(token - seq_lens[sequence] + 1);
    return dot * scale + bias;
  }
};

// The weight of a logit among those with the maximum `largest`, which is -inf
// where nothing is seen.
HOST_DEVICE_INLINE float attention_weight(float logit, float largest) {
  return largest == -INFINITY ? 0.0f : expf(logit - largest);
}

HOST_DEVICE_INLINE float inverse_or_zero(float sum) {
  return sum == 0.0f ? 0.0f : 1.0f / sum;
}

// What paged_attention_v2 keeps of the parts of sequences: for each sequence,
// head and part.
struct AttentionParts {
  float* sums;    // of the weights
  float* maxima;  // of the logits
  int64_t count;

  HOST_DEVICE_INLINE int64_t used(int64_t seq_len) const {
    return (seq_len + kPartitionSize - 1) / kPartitionSize;
  }

  // What the `used` parts from `first` on count for together; `largest` is the
  // maximum of them all.
  HOST_DEVICE_INLINE float largest(int64_t first, int64_t used) const {
    float result = -INFINITY;
    for (int64_t i = 0; i < used; ++i) {
      result = fmaxf(result, maxima[first + i]);
    }
    return result;
  }

  HOST_DEVICE_INLINE float weight(int64_t part, float largest) const {
    return sums[part] * attention_weight(maxima[part], largest);
  }

  // Element i of the result, merged from those of the parts.
  template <typename scalar_t>
  HOST_DEVICE_INLINE float merge(const scalar_t* parts, int64_t first,
                                 int64_t used, int64_t i,
                                 int64_t head_size) const {
    const float maximum = largest(first, used);
    float sum = 0.0f;
    float result = 0.0f;
    for (int64_t part = first; part < first + used; ++part) {
      const float w = weight(part, maximum);
      sum += w;
      result += w * static_cast<float>(parts[part * head_size + i]);
    }
    return result * inverse_or_zero(sum);
  }
};

}  // namespace samplex
