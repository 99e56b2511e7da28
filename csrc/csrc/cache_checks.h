// What the operations on caches demand of their arguments, and the operations
// of cache_math.h made from them, for CPU and CUDA alike.
#pragma once

#include <torch/types.h>

#include <optional>
#include <string>

#include "cache_math.h"
#include "check_utils.h"
#include "kv_cache.h"

namespace samplex {

using Upconvert = UpconvertEntries<at::Float8_e4m3fn, at::BFloat16>;

inline void check_swap_blocks(const torch::Tensor& src,
                              const torch::Tensor& dst,
                              const torch::Tensor& block_mapping) {
  TORCH_CHECK(block_mapping.device().is_cpu(),
              "block_mapping must be on the CPU");
  CHECK_DTYPE(block_mapping, at::ScalarType::Long);
  CHECK_CONTIGUOUS(block_mapping);
  CHECK_SHAPE(block_mapping, block_mapping.size(0), 2);
  CHECK_SAME_DTYPE(dst, src);
}

inline void check_swap_blocks_batch(const torch::Tensor& src_ptrs,
                                    const torch::Tensor& dst_ptrs,
                                    const torch::Tensor& sizes) {
  for (const torch::Tensor& numbers : {src_ptrs, dst_ptrs, sizes}) {
    TORCH_CHECK(numbers.device().is_cpu(),
                "addresses and sizes must be on the "
                "CPU");
    CHECK_DTYPE(numbers, at::ScalarType::Long);
    CHECK_CONTIGUOUS(numbers);
    TORCH_CHECK(numbers.numel() == sizes.numel(), "expected ", sizes.numel(),
                " addresses, one for each size, got ", numbers.numel());
  }
}

inline void check_slots(const torch::Tensor& slot_mapping, int64_t num_tokens) {
  CHECK_DIM(slot_mapping, 1);
  CHECK_DTYPE(slot_mapping, at::ScalarType::Long);
  TORCH_CHECK(slot_mapping.numel() <= num_tokens, "there are ",
              slot_mapping.numel(), " slots for ", num_tokens, " tokens");
}

// Keys and values: [tokens, heads, head_size], heads contiguous.
inline void check_key_value(
    const torch::Tensor& key, const torch::Tensor& value,
    const torch::Tensor& key_cache, const torch::Tensor& value_cache,
    const torch::Tensor& slot_mapping, const std::string& kv_cache_dtype,
    const torch::Tensor& k_scale, const torch::Tensor& v_scale) {
  CHECK_DIM(key, 3);
  CHECK_SAME_DTYPE(value, key);
  TORCH_CHECK(value.sizes() == key.sizes(), "value must have the shape of key");
  TORCH_CHECK(key.stride(2) == 1 && value.stride(2) == 1 &&
                  key.stride(1) == key.size(2) &&
                  value.stride(1) == value.size(2),
              "the heads of key and value must be contiguous");
  check_slots(slot_mapping, key.size(0));
  check_kv_cache(key_cache, key.scalar_type(), kv_cache_dtype);
  check_kv_cache(value_cache, key.scalar_type(), kv_cache_dtype);
  check_kv_scale(k_scale);
  check_kv_scale(v_scale);
}

// key_cache: [blocks, heads, head_size / x, block_size, x];
// value_cache: [blocks, heads, head_size, block_size].
inline void check_paged_cache(const torch::Tensor& key,
                              const torch::Tensor& key_cache,
                              const torch::Tensor& value_cache) {
  CHECK_DIM(key_cache, 5);
  const int64_t block_size = key_cache.size(3);
  const int64_t vector = key_cache.size(4);
  CHECK_SHAPE(key_cache, key_cache.size(0), key.size(1), key.size(2) / vector,
              block_size, vector);
  CHECK_SHAPE(value_cache, key_cache.size(0), key.size(1), key.size(2),
              block_size);
}

// Both caches: [blocks, block_size, heads, head_size], in any order in memory.
inline void check_flash_cache(const torch::Tensor& key,
                              const torch::Tensor& key_cache,
                              const torch::Tensor& value_cache) {
  CHECK_DIM(key_cache, 4);
  CHECK_SHAPE(key_cache, key_cache.size(0), key_cache.size(1), key.size(1),
              key.size(2));
  TORCH_CHECK(value_cache.sizes() == key_cache.sizes(),
              "value_cache must have the shape of key_cache");
  TORCH_CHECK(key_cache.stride(3) == 1 && value_cache.stride(3) == 1,
              "the heads of the caches must be contiguous");
}

inline CacheLayout paged_key_layout(const torch::Tensor& cache) {
  return {cache.size(3),   cache.stride(0), cache.stride(3),
          cache.stride(1), cache.size(4),   cache.stride(2)};
}

inline CacheLayout paged_value_layout(const torch::Tensor& cache) {
  return {cache.size(3),   cache.stride(0), cache.stride(3),
          cache.stride(1), /*vector=*/1,    cache.stride(2)};
}

inline CacheLayout flash_layout(const torch::Tensor& cache) {
  return {cache.size(1),   cache.stride(0), cache.stride(1),
          cache.stride(2), cache.size(3),   /*vector_stride=*/0};
}

template <typename scalar_t, typename cache_t>
StoreKeyValue<scalar_t, cache_t> store_key_value(
    const torch::Tensor& key, const torch::Tensor& value,
    const torch::Tensor& key_cache, const CacheLayout& key_layout,
    const torch::Tensor& value_cache, const CacheLayout& value_layout,
    const torch::Tensor& slot_mapping, const torch::Tensor& k_scale,
    const torch::Tensor& v_scale) {
  return {key.data_ptr<scalar_t>(),
          value.data_ptr<scalar_t>(),
          cache_data<cache_t>(key_cache),
          cache_data<cache_t>(value_cache),
          slot_mapping.data_ptr<int64_t>(),
          k_scale.data_ptr<float>(),
          v_scale.data_ptr<float>(),
          key.stride(0),
          value.stride(0),
          key_layout,
          value_layout,
          key.size(2),
          key.size(1) * key.size(2)};
}

// kv_c: [tokens, rank], k_pe: [tokens, rotary]; kv_cache has rows of both.
inline void check_latent(const torch::Tensor& kv_c, const torch::Tensor& k_pe,
                         const torch::Tensor& kv_cache,
                         const torch::Tensor& slot_mapping,
                         const std::string& kv_cache_dtype,
                         const torch::Tensor& scale) {
  CHECK_DIM(kv_c, 2);
  CHECK_DIM(k_pe, 2);
  CHECK_DIM(kv_cache, 3);
  CHECK_SAME_DTYPE(k_pe, kv_c);
  TORCH_CHECK(
      kv_c.stride(1) == 1 && k_pe.stride(1) == 1 && kv_cache.stride(2) == 1,
      "the rows of kv_c, k_pe and kv_cache must be contiguous");
  const int64_t width = kv_c.size(1) + k_pe.size(1);
  TORCH_CHECK(kv_cache.size(2) == width, "entries of kv_cache must have ",
              width, " elements, got ", kv_cache.size(2));
  check_slots(slot_mapping, kv_c.size(0));
  check_kv_cache(kv_cache, kv_c.scalar_type(), kv_cache_dtype);
  check_kv_scale(scale);
}

template <typename scalar_t, typename cache_t>
StoreLatent<scalar_t, cache_t> store_latent(const torch::Tensor& kv_c,
                                            const torch::Tensor& k_pe,
                                            const torch::Tensor& kv_cache,
                                            const torch::Tensor& slot_mapping,
                                            const torch::Tensor& scale) {
  const CacheLayout layout{kv_cache.size(1),   kv_cache.stride(0),
                           kv_cache.stride(1), 0,
                           kv_cache.size(2),   0};
  return {kv_c.data_ptr<scalar_t>(),
          k_pe.data_ptr<scalar_t>(),
          cache_data<cache_t>(kv_cache),
          slot_mapping.data_ptr<int64_t>(),
          scale.data_ptr<float>(),
          kv_c.stride(0),
          k_pe.stride(0),
          layout,
          kv_c.size(1),
          kv_cache.size(2)};
}

inline void check_rope(const torch::Tensor& positions,
                       const torch::Tensor& q_pe, const torch::Tensor& k_pe,
                       const torch::Tensor& cos_sin_cache) {
  CHECK_DIM(q_pe, 3);
  CHECK_DIM(cos_sin_cache, 2);
  CHECK_SAME_DTYPE(q_pe, k_pe);
  CHECK_SAME_DTYPE(cos_sin_cache, k_pe);
  CHECK_DTYPE(positions, at::ScalarType::Long);
  CHECK_CONTIGUOUS(positions);
  CHECK_CONTIGUOUS(cos_sin_cache);
  const int64_t rotary = k_pe.size(1);
  TORCH_CHECK(rotary % 2 == 0, "rotary embeddings need pairs, got ", rotary,
              " elements");
  CHECK_SHAPE(q_pe, k_pe.size(0), q_pe.size(1), rotary);
  TORCH_CHECK(q_pe.stride(2) == 1, "the heads of q_pe must be contiguous");
  CHECK_SHAPE(cos_sin_cache, cos_sin_cache.size(0), rotary);
  CHECK_SHAPE(positions, k_pe.size(0));
}

template <typename scalar_t, typename cache_t>
RotateAndStoreLatent<scalar_t, cache_t> rotate_and_store_latent(
    const StoreLatent<scalar_t, cache_t>& latent,
    const torch::Tensor& positions, const torch::Tensor& q_pe,
    const torch::Tensor& k_pe, const torch::Tensor& cos_sin_cache,
    bool is_neox) {
  const int64_t half = k_pe.size(1) / 2;
  const int64_t num_heads = q_pe.size(1);
  return {latent,
          q_pe.data_ptr<scalar_t>(),
          k_pe.data_ptr<scalar_t>(),
          cos_sin_cache.data_ptr<scalar_t>(),
          positions.data_ptr<int64_t>(),
          q_pe.stride(0),
          q_pe.stride(1),
          num_heads,
          half,
          is_neox,
          (num_heads + 1) * half + latent.rank};
}

// Returns whether the conversion is to fp8, not from it.
inline bool check_convert_fp8(const torch::Tensor& dst_cache,
                              const torch::Tensor& src_cache,
                              const std::string& kv_cache_dtype) {
  is_fp8_cache(kv_cache_dtype);
  CHECK_CONTIGUOUS(dst_cache);
  CHECK_CONTIGUOUS(src_cache);
  TORCH_CHECK(dst_cache.sizes() == src_cache.sizes(),
              "dst_cache must have the shape of src_cache");
  const bool to_fp8 = dst_cache.scalar_type() == at::ScalarType::Byte;
  TORCH_CHECK(to_fp8 != (src_cache.scalar_type() == at::ScalarType::Byte),
              "one of dst_cache and src_cache must hold fp8, got ",
              dst_cache.scalar_type(), " and ", src_cache.scalar_type());
  return to_fp8;
}

template <typename from_t, typename to_t>
ConvertCache<from_t, to_t> convert_cache(const torch::Tensor& dst_cache,
                                         const torch::Tensor& src_cache,
                                         double scale) {
  return {cache_data<to_t>(dst_cache), cache_data<from_t>(src_cache),
          static_cast<float>(scale),
          row_count(src_cache.numel(), src_cache.size(0))};
}

inline void check_int32_list(const torch::Tensor& numbers, int64_t count,
                             const char* name) {
  check_list(numbers, at::ScalarType::Int, name);
  TORCH_CHECK(numbers.numel() >= count, name, " must be a list of at least ",
              count, ", got ", numbers.numel());
}

// The elements of an entry in a cache [blocks, block_size, entry...].
inline int64_t entry_width(const torch::Tensor& src_cache) {
  TORCH_CHECK(src_cache.dim() >= 3,
              "src_cache must have blocks of entries, got ", src_cache.dim(),
              " dimensions");
  int64_t width = 1;
  for (const int64_t size : src_cache.sizes().slice(2)) width *= size;
  return width;
}

inline SequenceBlocks check_gather(
    const torch::Tensor& src_cache, const torch::Tensor& dst,
    const torch::Tensor& block_table, int64_t width,
    const std::optional<torch::Tensor>& seq_starts) {
  CHECK_DIM(block_table, 2);
  CHECK_DTYPE(block_table, at::ScalarType::Int);
  TORCH_CHECK(block_table.stride(1) == 1,
              "the rows of block_table must be contiguous");
  TORCH_CHECK(src_cache.stride(-1) == 1 && src_cache.stride(1) >= width,
              "the entries of src_cache must be contiguous");
  CHECK_CONTIGUOUS(dst);
  if (seq_starts.has_value()) {
    check_int32_list(*seq_starts, block_table.size(0), "seq_starts");
  }
  return {block_table.data_ptr<int32_t>(), block_table.stride(0),
          src_cache.size(1), src_cache.stride(0), src_cache.stride(1)};
}

template <typename scalar_t, typename cache_t>
GatherEntries<scalar_t, cache_t> gather_entries(
    const torch::Tensor& src_cache, const torch::Tensor& dst,
    const SequenceBlocks& blocks, const torch::Tensor& cu_seq_lens,
    const torch::Tensor& token_to_seq, const torch::Tensor& scale,
    const std::optional<torch::Tensor>& seq_starts) {
  return {dst.data_ptr<scalar_t>(),
          cache_data<cache_t>(src_cache),
          blocks,
          cu_seq_lens.data_ptr<int32_t>(),
          token_to_seq.data_ptr<int32_t>(),
          optional_data<int32_t>(seq_starts),
          scale.data_ptr<float>(),
          dst.stride(0),
          entry_width(src_cache)};
}

template <typename bits_t>
CopyEntries<bits_t> copy_entries(
    const torch::Tensor& src_cache, const torch::Tensor& dst,
    const SequenceBlocks& blocks, const torch::Tensor& cu_seq_lens,
    int64_t batch_size, const std::optional<torch::Tensor>& seq_starts) {
  return {cache_data<bits_t>(dst),
          cache_data<bits_t>(src_cache),
          blocks,
          cu_seq_lens.data_ptr<int32_t>(),
          optional_data<int32_t>(seq_starts),
          batch_size,
          dst.stride(0),
          entry_width(src_cache)};
}

inline Upconvert check_upconvert(const torch::Tensor& src_cache,
                                 const torch::Tensor& dst,
                                 const torch::Tensor& block_table,
                                 const torch::Tensor& seq_lens,
                                 const torch::Tensor& workspace_starts,
                                 int64_t batch_size) {
  CHECK_DTYPE(src_cache, at::ScalarType::Byte);
  CHECK_DTYPE(dst, at::ScalarType::BFloat16);
  const int64_t width = entry_width(src_cache);
  TORCH_CHECK(width == Upconvert::kEntryBytes, "an entry must have ",
              Upconvert::kEntryBytes, " bytes, got ", width);
  CHECK_SHAPE(dst, dst.size(0), Upconvert::kWidth);
  const SequenceBlocks blocks =
      check_gather(src_cache, dst, block_table, width, std::nullopt);
  check_int32_list(seq_lens, batch_size, "seq_lens");
  check_int32_list(workspace_starts, batch_size, "workspace_starts");
  return {dst.data_ptr<at::BFloat16>(),
          src_cache.data_ptr<uint8_t>(),
          blocks,
          seq_lens.data_ptr<int32_t>(),
          workspace_starts.data_ptr<int32_t>(),
          batch_size,
          dst.stride(0),
          Upconvert::kWidth};
}

// kv_cache: [blocks, block_size, bytes of a key and its scales].
inline void check_indexer_key(const torch::Tensor& k,
                              const torch::Tensor& kv_cache,
                              const torch::Tensor& slot_mapping,
                              int64_t quant_block_size,
                              const std::string& scale_fmt) {
  CHECK_DIM(k, 2);
  CHECK_DIM(kv_cache, 3);
  CHECK_DTYPE(kv_cache, at::ScalarType::Byte);
  TORCH_CHECK(k.stride(1) == 1, "the rows of k must be contiguous");
  const int64_t head_size = k.size(1);
  TORCH_CHECK(quant_block_size > 0 && head_size % quant_block_size == 0,
              head_size, " elements cannot be split into blocks of ",
              quant_block_size);
  const int64_t needed = head_size + head_size / quant_block_size * 4;
  TORCH_CHECK(kv_cache.size(2) >= needed, "a key needs ", needed,
              " bytes in the cache, got ", kv_cache.size(2));
  TORCH_CHECK(kv_cache.stride(2) == 1 && kv_cache.stride(1) == kv_cache.size(2),
              "the blocks of kv_cache must be contiguous");
  TORCH_CHECK(scale_fmt == "auto" || scale_fmt == "ue8m0",
              "unsupported format of scales: ", scale_fmt);
  check_slots(slot_mapping, k.size(0));
}

template <typename scalar_t>
StoreIndexerKey<scalar_t, at::Float8_e4m3fn> store_indexer_key(
    const torch::Tensor& k, const torch::Tensor& kv_cache,
    const torch::Tensor& slot_mapping, int64_t quant_block_size,
    const std::string& scale_fmt) {
  return {k.data_ptr<scalar_t>(),
          kv_cache.data_ptr<uint8_t>(),
          slot_mapping.data_ptr<int64_t>(),
          k.stride(0),
          kv_cache.size(1),
          kv_cache.stride(0),
          k.size(1),
          quant_block_size,
          scale_fmt == "ue8m0",
          k.size(1) / quant_block_size};
}

// ql_nope: [tokens, heads, nope], q_pe: [tokens, heads, rope]; q_out has both.
// The GPU moves `vector` elements at a time.
inline void check_concat_mla_q(const torch::Tensor& ql_nope,
                               const torch::Tensor& q_pe,
                               const torch::Tensor& q_out, int64_t vector) {
  CHECK_DIM(ql_nope, 3);
  CHECK_DIM(q_pe, 3);
  CHECK_SAME_DTYPE(q_pe, ql_nope);
  CHECK_SAME_DTYPE(q_out, ql_nope);
  CHECK_CONTIGUOUS(q_out);
  CHECK_SHAPE(q_pe, ql_nope.size(0), ql_nope.size(1), q_pe.size(2));
  CHECK_SHAPE(q_out, ql_nope.size(0), ql_nope.size(1),
              ql_nope.size(2) + q_pe.size(2));
  for (const torch::Tensor& part : {ql_nope, q_pe}) {
    TORCH_CHECK(part.stride(2) == 1 || part.size(2) <= 1,
                "the heads of ql_nope and q_pe must be contiguous");
    TORCH_CHECK(part.size(2) % vector == 0 && part.stride(1) % vector == 0 &&
                    part.stride(0) % vector == 0,
                "ql_nope and q_pe must have rows of whole vectors of ", vector,
                " elements");
  }
}

template <typename T>
ConcatQuery<T> concat_query(const torch::Tensor& ql_nope,
                            const torch::Tensor& q_pe,
                            const torch::Tensor& q_out, int64_t vector) {
  return {cache_data<T>(q_out),       cache_data<T>(ql_nope),
          cache_data<T>(q_pe),        ql_nope.stride(0) / vector,
          ql_nope.stride(1) / vector, q_pe.stride(0) / vector,
          q_pe.stride(1) / vector,    ql_nope.size(1),
          ql_nope.size(2) / vector,   q_out.size(2) / vector};
}

}  // namespace samplex

// Runs the body with bits_t for an integer of the size of the elements.
#define DISPATCH_BY_ELEMENT_SIZE(SIZE, NAME, ...)                       \
  switch (SIZE) {                                                       \
    case 1: {                                                           \
      using bits_t = uint8_t;                                           \
      __VA_ARGS__();                                                    \
      break;                                                            \
    }                                                                   \
    case 2: {                                                           \
      using bits_t = uint16_t;                                          \
      __VA_ARGS__();                                                    \
      break;                                                            \
    }                                                                   \
    case 4: {                                                           \
      using bits_t = uint32_t;                                          \
      __VA_ARGS__();                                                    \
      break;                                                            \
    }                                                                   \
    default:                                                            \
      TORCH_CHECK(false, NAME, ": unsupported element size: ", (SIZE)); \
  }
