// What is done to caches of keys and values, element by element, for CPU and
// CUDA alike. Each struct below is one operation: called with a row, mostly a
// token, and one of the `width` items of the row. Items do not depend on each
// other.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#include "cuda_compat.h"
#include "kv_cache_math.h"

namespace samplex {

// Where a cache in blocks holds an element. Heads may lie in vectors that are
// apart, each of `vector` elements.
struct CacheLayout {
  int64_t block_size;
  int64_t block_stride;
  int64_t token_stride;
  int64_t head_stride;
  int64_t vector;
  int64_t vector_stride;

  HOST_DEVICE_INLINE int64_t index(int64_t slot, int64_t head,
                                   int64_t i) const {
    return slot / block_size * block_stride + slot % block_size * token_stride +
           head * head_stride + i / vector * vector_stride + i % vector;
  }
};

// Keys and values of all heads of a token into its slot; tokens with a negative
// slot are left out, here and below.
template <typename scalar_t, typename cache_t>
struct StoreKeyValue {
  const scalar_t* key;  // [tokens, heads, head_size]
  const scalar_t* value;
  cache_t* key_cache;
  cache_t* value_cache;
  const int64_t* slots;
  const float* k_scale;
  const float* v_scale;
  int64_t key_stride;
  int64_t value_stride;
  CacheLayout key_layout;
  CacheLayout value_layout;
  int64_t head_size;
  int64_t width;

  HOST_DEVICE_INLINE void operator()(int64_t token, int64_t i) const {
    const int64_t slot = slots[token];
    if (slot < 0) return;
    const int64_t head = i / head_size;
    const int64_t element = i % head_size;
    key_cache[key_layout.index(slot, head, element)] = to_cache<cache_t>(
        static_cast<float>(key[token * key_stride + i]), *k_scale);
    value_cache[value_layout.index(slot, head, element)] = to_cache<cache_t>(
        static_cast<float>(value[token * value_stride + i]), *v_scale);
  }
};

// The latent of MLA and, behind it, the part of the key that is rotated.
template <typename scalar_t, typename cache_t>
struct StoreLatent {
  const scalar_t* latent;  // [tokens, rank]
  const scalar_t* rotated;
  cache_t* cache;  // [blocks, block_size, rank + rotary]
  const int64_t* slots;
  const float* scale;
  int64_t latent_stride;
  int64_t rotated_stride;
  CacheLayout layout;
  int64_t rank;
  int64_t width;

  HOST_DEVICE_INLINE void store(int64_t token, int64_t i, float x) const {
    const int64_t slot = slots[token];
    if (slot < 0) return;
    cache[layout.index(slot, 0, i)] = to_cache<cache_t>(x, *scale);
  }

  HOST_DEVICE_INLINE void operator()(int64_t token, int64_t i) const {
    const scalar_t x = i < rank ? latent[token * latent_stride + i]
                                : rotated[token * rotated_stride + i - rank];
    store(token, i, static_cast<float>(x));
  }
};

// The same where the rotary embedding is still to be applied, in place, to the
// key and to the heads of the query. An item is a pair of elements of the
// query, a pair of the key, or an element of the latent.
template <typename scalar_t, typename cache_t>
struct RotateAndStoreLatent {
  StoreLatent<scalar_t, cache_t> latent;
  scalar_t* query;          // [tokens, heads, rotary]
  scalar_t* key;            // [tokens, rotary]
  const scalar_t* cos_sin;  // [positions, rotary]: cosines, then sines
  const int64_t* positions;
  int64_t query_token_stride;
  int64_t query_head_stride;
  int64_t num_heads;
  int64_t half;  // of rotary: the pairs of a head
  bool is_neox;  // the elements of a pair are half a head apart, not neighbours
  int64_t width;

  HOST_DEVICE_INLINE int64_t first(int64_t pair) const {
    return is_neox ? pair : 2 * pair;
  }

  HOST_DEVICE_INLINE int64_t second(int64_t pair) const {
    return is_neox ? pair + half : 2 * pair + 1;
  }

  HOST_DEVICE_INLINE void rotate(scalar_t* head, int64_t token,
                                 int64_t pair) const {
    const scalar_t* angles = cos_sin + positions[token] * 2 * half;
    const float cosine = static_cast<float>(angles[pair]);
    const float sine = static_cast<float>(angles[pair + half]);
    const float x = static_cast<float>(head[first(pair)]);
    const float y = static_cast<float>(head[second(pair)]);
    head[first(pair)] = static_cast<scalar_t>(x * cosine - y * sine);
    head[second(pair)] = static_cast<scalar_t>(y * cosine + x * sine);
  }

  HOST_DEVICE_INLINE void operator()(int64_t token, int64_t i) const {
    if (i < num_heads * half) {
      rotate(query + token * query_token_stride + i / half * query_head_stride,
             token, i % half);
      return;
    }
    i -= num_heads * half;
    if (i < half) {
      scalar_t* head = key + token * latent.rotated_stride;
      rotate(head, token, i);
      for (const int64_t element : {first(i), second(i)}) {
        latent.store(token, latent.rank + element,
                     static_cast<float>(head[element]));
      }
      return;
    }
    latent(token, i - half);
  }
};

// From one type of cache to another; one of the two is fp8.
template <typename from_t, typename to_t>
struct ConvertCache {
  to_t* out;
  const from_t* input;
  float scale;
  int64_t width;

  HOST_DEVICE_INLINE void operator()(int64_t row, int64_t i) const {
    const int64_t at = row * width + i;
    out[at] = to_cache<to_t>(from_cache(input[at], scale), scale);
  }
};

// Where the entries of sequences lie in a cache.
struct SequenceBlocks {
  const int32_t* block_table;  // [sequences, blocks]
  int64_t table_stride;
  int64_t block_size;
  int64_t block_stride;
  int64_t token_stride;

  HOST_DEVICE_INLINE int64_t entry(int64_t sequence, int64_t position) const {
    const int64_t block =
        block_table[sequence * table_stride + position / block_size];
    return block * block_stride + position % block_size * token_stride;
  }
};

// Entries of sequences one after another, as floats of some type.
template <typename scalar_t, typename cache_t>
struct GatherEntries {
  scalar_t* out;  // [tokens, width]
  const cache_t* cache;
  SequenceBlocks blocks;
  const int32_t* cu_seq_lens;
  const int32_t* token_to_seq;
  const int32_t* seq_starts;  // positions to start from; null: 0
  const float* scale;
  int64_t out_stride;
  int64_t width;

  HOST_DEVICE_INLINE void operator()(int64_t token, int64_t i) const {
    const int64_t sequence = token_to_seq[token];
    const int64_t start = seq_starts == nullptr ? 0 : seq_starts[sequence];
    const int64_t position = token - cu_seq_lens[sequence] + start;
    out[token * out_stride + i] = static_cast<scalar_t>(
        from_cache(cache[blocks.entry(sequence, position) + i], *scale));
  }
};

// The same without a conversion; which sequence a token belongs to is looked
// for. Tokens behind the last sequence are left alone.
template <typename bits_t>
struct CopyEntries {
  bits_t* out;
  const bits_t* cache;
  SequenceBlocks blocks;
  const int32_t* cu_seq_lens;
  const int32_t* seq_starts;
  int64_t num_sequences;
  int64_t out_stride;
  int64_t width;

  HOST_DEVICE_INLINE void operator()(int64_t token, int64_t i) const {
    int64_t sequence = 0;
    while (sequence < num_sequences && token >= cu_seq_lens[sequence + 1]) {
      ++sequence;
    }
    if (sequence == num_sequences || token < cu_seq_lens[sequence]) return;
    const int64_t start = seq_starts == nullptr ? 0 : seq_starts[sequence];
    const int64_t position = token - cu_seq_lens[sequence] + start;
    out[token * out_stride + i] = cache[blocks.entry(sequence, position) + i];
  }
};

// A number of a type that the bytes may not be aligned for.
template <typename T>
HOST_DEVICE_INLINE T load_bytes(const uint8_t* bytes) {
  T value;
  memcpy(&value, bytes, sizeof(T));
  return value;
}

template <typename T>
HOST_DEVICE_INLINE void store_bytes(uint8_t* bytes, T value) {
  memcpy(bytes, &value, sizeof(T));
}

// An entry of the sparse MLA cache: 512 numbers in fp8, a scale for each 128 of
// them, and 64 numbers in bfloat16.
template <typename fp8_t, typename bfloat16_t>
struct UpconvertEntries {
  static constexpr int64_t kScaled = 512;
  static constexpr int64_t kPerScale = 128;
  static constexpr int64_t kUnscaled = 64;
  static constexpr int64_t kScalesAt = kScaled;
  static constexpr int64_t kUnscaledAt =
      kScalesAt + kScaled / kPerScale * static_cast<int64_t>(sizeof(float));
  static constexpr int64_t kEntryBytes =
      kUnscaledAt + kUnscaled * static_cast<int64_t>(sizeof(bfloat16_t));
  static constexpr int64_t kWidth = kScaled + kUnscaled;

  bfloat16_t* out;  // [tokens, kWidth]
  const uint8_t* cache;
  SequenceBlocks blocks;
  const int32_t* seq_lens;
  const int32_t* starts;  // where the tokens of a sequence begin in `out`
  int64_t num_sequences;
  int64_t out_stride;
  int64_t width;

  HOST_DEVICE_INLINE void operator()(int64_t token, int64_t i) const {
    for (int64_t sequence = 0; sequence < num_sequences; ++sequence) {
      const int64_t position = token - starts[sequence];
      if (position < 0 || position >= seq_lens[sequence]) continue;
      const uint8_t* entry = cache + blocks.entry(sequence, position);
      bfloat16_t& result = out[token * out_stride + i];
      if (i >= kScaled) {
        result = load_bytes<bfloat16_t>(
            entry + kUnscaledAt +
            (i - kScaled) * static_cast<int64_t>(sizeof(bfloat16_t)));
      } else {
        const float scale = load_bytes<float>(
            entry + kScalesAt +
            i / kPerScale * static_cast<int64_t>(sizeof(float)));
        result = static_cast<bfloat16_t>(
            from_cache(load_bytes<fp8_t>(entry + i), scale));
      }
      return;
    }
  }
};

// Keys of the indexer in fp8. A block of the cache has the numbers of all its
// tokens first, and their scales behind them. An item is the numbers that share
// a scale.
template <typename scalar_t, typename fp8_t>
struct StoreIndexerKey {
  const scalar_t* key;  // [tokens, head_size]
  uint8_t* cache;
  const int64_t* slots;
  int64_t key_stride;
  int64_t block_size;
  int64_t block_stride;
  int64_t head_size;
  int64_t per_scale;
  bool power_of_two;  // scales have no mantissa
  int64_t width;

  HOST_DEVICE_INLINE float scale_for(float largest) const {
    constexpr float kSmallest = 1e-4f;
    const float scale = fmaxf(largest, kSmallest) / Fp8Limits<fp8_t>::max;
    return power_of_two ? exp2f(ceilf(log2f(scale))) : scale;
  }

  HOST_DEVICE_INLINE void operator()(int64_t token, int64_t group) const {
    const int64_t slot = slots[token];
    if (slot < 0) return;
    const scalar_t* numbers = key + token * key_stride + group * per_scale;
    float largest = 0.0f;
    for (int64_t i = 0; i < per_scale; ++i) {
      largest = fmaxf(largest, fabsf(static_cast<float>(numbers[i])));
    }
    const float scale = scale_for(largest);
    uint8_t* block = cache + slot / block_size * block_stride;
    const int64_t offset = slot % block_size;
    for (int64_t i = 0; i < per_scale; ++i) {
      store_bytes(block + offset * head_size + group * per_scale + i,
                  quantize_fp8<fp8_t>(static_cast<float>(numbers[i]), scale));
    }
    store_bytes(
        block + block_size * head_size +
            (offset * width + group) * static_cast<int64_t>(sizeof(float)),
        scale);
  }
};

// The parts of a query side by side. T is an element, or a vector of them; a
// row is a head of a token.
template <typename T>
struct ConcatQuery {
  T* out;
  const T* first;
  const T* second;
  int64_t first_token_stride;
  int64_t first_head_stride;
  int64_t second_token_stride;
  int64_t second_head_stride;
  int64_t num_heads;
  int64_t first_width;
  int64_t width;

  HOST_DEVICE_INLINE void operator()(int64_t row, int64_t i) const {
    const int64_t token = row / num_heads;
    const int64_t head = row % num_heads;
    out[row * width + i] =
        i < first_width
            ? first[token * first_token_stride + head * first_head_stride + i]
            : second[token * second_token_stride + head * second_head_stride +
                     i - first_width];
  }
};

}  // namespace samplex
