#include <ATen/cuda/CUDAContext.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <torch/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cache.h"
#include "cache_checks.h"
#include "cache_rows.cuh"
#include "device_utils.cuh"

void swap_blocks(torch::Tensor& src, torch::Tensor& dst,
                 int64_t block_size_in_bytes,
                 const torch::Tensor& block_mapping) {
  samplex::check_swap_blocks(src, dst, block_mapping);
  TORCH_CHECK(src.is_cuda() || dst.is_cuda(), "src or dst must be on the GPU");
  if (src.is_cuda() && dst.is_cuda()) {
    TORCH_CHECK(src.get_device() == dst.get_device(),
                "src and dst must be on the same GPU");
  }
  const cudaMemcpyKind kind = !src.is_cuda()   ? cudaMemcpyHostToDevice
                              : !dst.is_cuda() ? cudaMemcpyDeviceToHost
                                               : cudaMemcpyDeviceToDevice;
  const at::cuda::OptionalCUDAGuard device_guard(src.is_cuda() ? src.device()
                                                               : dst.device());
  const cudaStream_t stream = at::cuda::getCurrentCUDAStream();
  const auto* from = static_cast<const char*>(src.data_ptr());
  auto* to = static_cast<char*>(dst.data_ptr());
  const int64_t* mapping = block_mapping.data_ptr<int64_t>();
  for (int64_t i = 0; i < block_mapping.size(0); ++i) {
    C10_CUDA_CHECK(
        cudaMemcpyAsync(to + mapping[2 * i + 1] * block_size_in_bytes,
                        from + mapping[2 * i] * block_size_in_bytes,
                        block_size_in_bytes, kind, stream));
  }
}

void swap_blocks_batch(const torch::Tensor& src_ptrs,
                       const torch::Tensor& dst_ptrs,
                       const torch::Tensor& sizes,
                       bool is_src_access_order_any) {
  samplex::check_swap_blocks_batch(src_ptrs, dst_ptrs, sizes);
  const int64_t count = sizes.numel();
  if (count == 0) return;
  const cudaStream_t stream = at::cuda::getCurrentCUDAStream();
  const int64_t* from = src_ptrs.data_ptr<int64_t>();
  const int64_t* to = dst_ptrs.data_ptr<int64_t>();
  const int64_t* bytes = sizes.data_ptr<int64_t>();
#if !defined(USE_ROCM) && CUDART_VERSION >= 13000
  // One call for all of them; capturing it into a graph is not possible.
  cudaStreamCaptureStatus capture = cudaStreamCaptureStatusNone;
  C10_CUDA_CHECK(cudaStreamIsCapturing(stream, &capture));
  if (capture == cudaStreamCaptureStatusNone && stream != nullptr) {
    std::vector<const void*> sources(count);
    std::vector<void*> targets(count);
    std::vector<size_t> lengths(count);
    for (int64_t i = 0; i < count; ++i) {
      sources[i] = reinterpret_cast<const void*>(from[i]);
      targets[i] = reinterpret_cast<void*>(to[i]);
      lengths[i] = static_cast<size_t>(bytes[i]);
    }
    cudaMemcpyAttributes attributes = {};
    attributes.srcAccessOrder = is_src_access_order_any
                                    ? cudaMemcpySrcAccessOrderAny
                                    : cudaMemcpySrcAccessOrderStream;
    size_t first = 0;
    C10_CUDA_CHECK(cudaMemcpyBatchAsync(targets.data(), sources.data(),
                                        lengths.data(), lengths.size(),
                                        &attributes, &first, 1, stream));
    return;
  }
#endif
  for (int64_t i = 0; i < count; ++i) {
    C10_CUDA_CHECK(cudaMemcpyAsync(reinterpret_cast<void*>(to[i]),
                                   reinterpret_cast<const void*>(from[i]),
                                   bytes[i], cudaMemcpyDefault, stream));
  }
}

void reshape_and_cache(torch::Tensor& key, torch::Tensor& value,
                       torch::Tensor& key_cache, torch::Tensor& value_cache,
                       torch::Tensor& slot_mapping,
                       const std::string& kv_cache_dtype,
                       torch::Tensor& k_scale, torch::Tensor& v_scale) {
  samplex::check_key_value(key, value, key_cache, value_cache, slot_mapping,
                           kv_cache_dtype, k_scale, v_scale);
  samplex::check_paged_cache(key, key_cache, value_cache);
  const at::cuda::OptionalCUDAGuard device_guard(device_of(key));
  const cudaStream_t stream = at::cuda::getCurrentCUDAStream();
  SAMPLEX_DISPATCH_KV_CACHE(
      key.scalar_type(), kv_cache_dtype, "reshape_and_cache", [&] {
        samplex::launch_rows(
            samplex::store_key_value<scalar_t, cache_t>(
                key, value, key_cache, samplex::paged_key_layout(key_cache),
                value_cache, samplex::paged_value_layout(value_cache),
                slot_mapping, k_scale, v_scale),
            slot_mapping.numel(), stream);
      });
}

void reshape_and_cache_flash(torch::Tensor& key, torch::Tensor& value,
                             torch::Tensor& key_cache,
                             torch::Tensor& value_cache,
                             torch::Tensor& slot_mapping,
                             const std::string& kv_cache_dtype,
                             torch::Tensor& k_scale, torch::Tensor& v_scale) {
  samplex::check_key_value(key, value, key_cache, value_cache, slot_mapping,
                           kv_cache_dtype, k_scale, v_scale);
  samplex::check_flash_cache(key, key_cache, value_cache);
  const at::cuda::OptionalCUDAGuard device_guard(device_of(key));
  const cudaStream_t stream = at::cuda::getCurrentCUDAStream();
  SAMPLEX_DISPATCH_KV_CACHE(
      key.scalar_type(), kv_cache_dtype, "reshape_and_cache_flash", [&] {
        samplex::launch_rows(
            samplex::store_key_value<scalar_t, cache_t>(
                key, value, key_cache, samplex::flash_layout(key_cache),
                value_cache, samplex::flash_layout(value_cache), slot_mapping,
                k_scale, v_scale),
            slot_mapping.numel(), stream);
      });
}

void concat_and_cache_mla(torch::Tensor& kv_c, torch::Tensor& k_pe,
                          torch::Tensor& kv_cache, torch::Tensor& slot_mapping,
                          const std::string& kv_cache_dtype,
                          torch::Tensor& scale) {
  samplex::check_latent(kv_c, k_pe, kv_cache, slot_mapping, kv_cache_dtype,
                        scale);
  const at::cuda::OptionalCUDAGuard device_guard(device_of(kv_c));
  const cudaStream_t stream = at::cuda::getCurrentCUDAStream();
  SAMPLEX_DISPATCH_KV_CACHE(
      kv_c.scalar_type(), kv_cache_dtype, "concat_and_cache_mla", [&] {
        samplex::launch_rows(samplex::store_latent<scalar_t, cache_t>(
                                 kv_c, k_pe, kv_cache, slot_mapping, scale),
                             slot_mapping.numel(), stream);
      });
}

void convert_fp8(torch::Tensor& dst_cache, torch::Tensor& src_cache,
                 const double scale, const std::string& kv_cache_dtype) {
  const bool to_fp8 =
      samplex::check_convert_fp8(dst_cache, src_cache, kv_cache_dtype);
  const auto type = (to_fp8 ? src_cache : dst_cache).scalar_type();
  const at::cuda::OptionalCUDAGuard device_guard(device_of(src_cache));
  const cudaStream_t stream = at::cuda::getCurrentCUDAStream();
  SAMPLEX_DISPATCH_FLOATING_TYPES(type, "convert_fp8", [&] {
    using fp8_t = at::Float8_e4m3fn;
    if (to_fp8) {
      samplex::launch_rows(
          samplex::convert_cache<scalar_t, fp8_t>(dst_cache, src_cache, scale),
          src_cache.size(0), stream);
    } else {
      samplex::launch_rows(
          samplex::convert_cache<fp8_t, scalar_t>(dst_cache, src_cache, scale),
          src_cache.size(0), stream);
    }
  });
}

void gather_and_maybe_dequant_cache(
    const torch::Tensor& src_cache, const torch::Tensor& dst,
    const torch::Tensor& block_table, const torch::Tensor& cu_seq_lens,
    const torch::Tensor& token_to_seq, int64_t num_tokens,
    const std::string& kv_cache_dtype, const torch::Tensor& scale,
    std::optional<torch::Tensor> seq_starts) {
  const int64_t width = samplex::entry_width(src_cache);
  const auto blocks =
      samplex::check_gather(src_cache, dst, block_table, width, seq_starts);
  samplex::check_kv_cache(src_cache, dst.scalar_type(), kv_cache_dtype);
  samplex::check_kv_scale(scale);
  samplex::check_int32_list(cu_seq_lens, block_table.size(0) + 1,
                            "cu_seq_lens");
  samplex::check_int32_list(token_to_seq, num_tokens, "token_to_seq");
  const at::cuda::OptionalCUDAGuard device_guard(device_of(src_cache));
  const cudaStream_t stream = at::cuda::getCurrentCUDAStream();
  SAMPLEX_DISPATCH_KV_CACHE(
      dst.scalar_type(), kv_cache_dtype, "gather_and_maybe_dequant_cache", [&] {
        samplex::launch_rows(samplex::gather_entries<scalar_t, cache_t>(
                                 src_cache, dst, blocks, cu_seq_lens,
                                 token_to_seq, scale, seq_starts),
                             num_tokens, stream);
      });
}

void cp_gather_cache(const torch::Tensor& src_cache, const torch::Tensor& dst,
                     const torch::Tensor& block_table,
                     const torch::Tensor& cu_seq_lens, int64_t batch_size,
                     std::optional<torch::Tensor> seq_starts) {
  const int64_t width = samplex::entry_width(src_cache);
  const auto blocks =
      samplex::check_gather(src_cache, dst, block_table, width, seq_starts);
  CHECK_SAME_DTYPE(dst, src_cache);
  samplex::check_int32_list(cu_seq_lens, batch_size + 1, "cu_seq_lens");
  const at::cuda::OptionalCUDAGuard device_guard(device_of(src_cache));
  const cudaStream_t stream = at::cuda::getCurrentCUDAStream();
  DISPATCH_BY_ELEMENT_SIZE(src_cache.element_size(), "cp_gather_cache", [&] {
    samplex::launch_rows(
        samplex::copy_entries<bits_t>(src_cache, dst, blocks, cu_seq_lens,
                                      batch_size, seq_starts),
        dst.size(0), stream);
  });
}

void cp_gather_and_upconvert_fp8_kv_cache(const torch::Tensor& src_cache,
                                          const torch::Tensor& dst,
                                          const torch::Tensor& block_table,
                                          const torch::Tensor& seq_lens,
                                          const torch::Tensor& workspace_starts,
                                          int64_t batch_size) {
  const auto upconvert = samplex::check_upconvert(
      src_cache, dst, block_table, seq_lens, workspace_starts, batch_size);
  const at::cuda::OptionalCUDAGuard device_guard(device_of(src_cache));
  const cudaStream_t stream = at::cuda::getCurrentCUDAStream();
  samplex::launch_rows(upconvert, dst.size(0), stream);
}

void indexer_k_quant_and_cache(torch::Tensor& k, torch::Tensor& kv_cache,
                               torch::Tensor& slot_mapping,
                               int64_t quant_block_size,
                               const std::string& scale_fmt) {
  samplex::check_indexer_key(k, kv_cache, slot_mapping, quant_block_size,
                             scale_fmt);
  const at::cuda::OptionalCUDAGuard device_guard(device_of(k));
  const cudaStream_t stream = at::cuda::getCurrentCUDAStream();
  SAMPLEX_DISPATCH_FLOATING_TYPES(
      k.scalar_type(), "indexer_k_quant_and_cache", [&] {
        samplex::launch_rows(
            samplex::store_indexer_key<scalar_t>(k, kv_cache, slot_mapping,
                                                 quant_block_size, scale_fmt),
            slot_mapping.numel(), stream);
      });
}

void concat_mla_q(torch::Tensor& ql_nope, torch::Tensor& q_pe,
                  torch::Tensor& q_out) {
  constexpr int64_t kVector = samplex::kVectorSize<at::Half>;
  samplex::check_concat_mla_q(ql_nope, q_pe, q_out, kVector);
  const at::cuda::OptionalCUDAGuard device_guard(device_of(ql_nope));
  const cudaStream_t stream = at::cuda::getCurrentCUDAStream();
  // The types that are 16 bits wide alone: a vector has eight of them.
  SAMPLEX_DISPATCH_HALF_TYPES(ql_nope.scalar_type(), "concat_mla_q", [&] {
    using vec_t = samplex::Vec<scalar_t, kVector>;
    samplex::launch_rows(
        samplex::concat_query<vec_t>(ql_nope, q_pe, q_out, kVector),
        q_out.size(0) * q_out.size(1), stream);
  });
}
