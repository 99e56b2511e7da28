// What the CPU and the CUDA selective scan demand of their arguments.
#pragma once

#include <torch/types.h>

#include <optional>
#include <type_traits>

#include "../check_utils.h"
#include "selective_scan.h"

namespace samplex {

// The arguments of selective_scan_fwd that are tensors.
struct ScanTensors {
  const torch::Tensor& u;
  const torch::Tensor& delta;
  const torch::Tensor& A;
  const torch::Tensor& B;
  const torch::Tensor& C;
  const std::optional<torch::Tensor>& D;
  const std::optional<torch::Tensor>& z;
  const std::optional<torch::Tensor>& delta_bias;
  const std::optional<torch::Tensor>& query_start_loc;
  const std::optional<torch::Tensor>& cache_indices;
  const std::optional<torch::Tensor>& has_initial_state;
  const torch::Tensor& ssm_states;
  const std::optional<torch::Tensor>& first_block;
  const std::optional<torch::Tensor>& last_block;
  const std::optional<torch::Tensor>& initial_block;
  const std::optional<torch::Tensor>& cu_chunk_seqlen;
  const std::optional<torch::Tensor>& last_chunk_indices;

  bool is_varlen() const { return query_start_loc.has_value(); }

  int64_t num_sequences() const {
    return is_varlen() ? query_start_loc->size(0) - 1 : u.size(0);
  }
};

// An optional list with a number for each sequence.
inline void check_per_sequence(const std::optional<torch::Tensor>& numbers,
                               at::ScalarType dtype, int64_t count,
                               const char* name) {
  if (!numbers.has_value()) return;
  check_list(*numbers, dtype, name);
  TORCH_CHECK(numbers->dim() == 1 && numbers->size(0) == count, name,
              " must be a list of ", count);
}

inline void check_state_slots(const ScanTensors& tensors, int64_t block_size) {
  const int64_t count = tensors.num_sequences();
  const bool by_block = tensors.first_block.has_value();
  TORCH_CHECK(by_block == tensors.last_block.has_value() &&
                  by_block == tensors.initial_block.has_value(),
              "the first, the last and the initial block are given together or "
              "not at all");
  constexpr auto kInt = at::ScalarType::Int;
  check_per_sequence(tensors.first_block, kInt, count,
                     "block_idx_first_scheduled_token");
  check_per_sequence(tensors.last_block, kInt, count,
                     "block_idx_last_scheduled_token");
  check_per_sequence(tensors.initial_block, kInt, count, "initial_state_idx");
  check_per_sequence(tensors.last_chunk_indices, kInt, count,
                     "last_chunk_indices");
  TORCH_CHECK(tensors.cu_chunk_seqlen.has_value() ==
                  tensors.last_chunk_indices.has_value(),
              "cu_chunk_seqlen and last_chunk_indices are given together or "
              "not at all");
  if (!by_block) {
    check_per_sequence(tensors.cache_indices, kInt, count, "cache_indices");
    return;
  }
  TORCH_CHECK(block_size > 0, "block_size must be positive, got ", block_size);
  TORCH_CHECK(tensors.cache_indices.has_value(),
              "states by block need cache_indices");
  const torch::Tensor& indices = tensors.cache_indices.value();
  CHECK_DTYPE(indices, kInt);
  TORCH_CHECK(
      indices.dim() == 2 && indices.size(0) == count && indices.stride(1) == 1,
      "cache_indices must have a row for each of ", count, " sequences");
}

inline void check_selective_scan(const ScanTensors& tensors,
                                 int64_t block_size) {
  const auto& [u, delta, A, B, C, D, z, delta_bias, query_start_loc,
               cache_indices, has_initial_state, ssm_states, first_block,
               last_block, initial_block, cu_chunk_seqlen, last_chunk_indices] =
      tensors;
  CHECK_DIM(u, tensors.is_varlen() ? 2 : 3);
  CHECK_DIM(A, 2);
  CHECK_DIM(B, u.dim() + 1);
  const int64_t channels = u.size(-2);
  const int64_t steps = u.size(-1);
  const int64_t states = A.size(1);
  const int64_t groups = B.size(-3);
  TORCH_CHECK(states <= kMaxStates, "selective_scan_fwd takes up to ",
              kMaxStates, " states, got ", states);
  TORCH_CHECK(groups > 0 && channels % groups == 0, channels,
              " channels cannot be split into ", groups, " groups");
  CHECK_SAME_DTYPE(delta, u);
  CHECK_SAME_DTYPE(B, u);
  CHECK_SAME_DTYPE(C, u);
  CHECK_DTYPE(A, at::ScalarType::Float);
  CHECK_SHAPE(A, channels, states);
  TORCH_CHECK(delta.sizes() == u.sizes(), "delta must have the shape of u");
  TORCH_CHECK(C.sizes() == B.sizes(), "C must have the shape of B");
  if (tensors.is_varlen()) {
    CHECK_DTYPE(*query_start_loc, at::ScalarType::Int);
    CHECK_CONTIGUOUS(*query_start_loc);
    CHECK_SHAPE(B, groups, states, steps);
  } else {
    CHECK_SHAPE(B, u.size(0), groups, states, steps);
  }
  for (const torch::Tensor& rows : {u, delta, B, C, z.value_or(u)}) {
    TORCH_CHECK(rows.stride(-1) == 1 || rows.size(-1) <= 1,
                "the steps of u, delta, B, C and z must be contiguous");
  }
  if (z.has_value()) {
    CHECK_SAME_DTYPE(*z, u);
    TORCH_CHECK(z->sizes() == u.sizes(), "z must have the shape of u");
  }
  check_per_sequence(D, at::ScalarType::Float, channels, "D");
  check_per_sequence(delta_bias, at::ScalarType::Float, channels, "delta_bias");
  check_per_sequence(has_initial_state, at::ScalarType::Bool,
                     tensors.num_sequences(), "has_initial_state");
  TORCH_CHECK(ssm_states.device() == u.device(),
              "ssm_states must be on the device of u");
  TORCH_CHECK(ssm_states.scalar_type() == u.scalar_type() ||
                  ssm_states.scalar_type() == at::ScalarType::Float,
              "ssm_states must have the dtype of u or Float, got ",
              ssm_states.scalar_type());
  CHECK_SHAPE(ssm_states, ssm_states.size(0), channels, states);
  check_state_slots(tensors, block_size);
}

// Sequences of different lengths lie in one row: there is no stride between
// them.
template <typename T>
StepRows<T> step_rows(const torch::Tensor& rows) {
  return {rows.data_ptr<std::remove_const_t<T>>(),
          rows.dim() == 3 ? rows.stride(0) : 0, rows.stride(-2)};
}

template <typename T>
StateRows<const T> state_rows(const torch::Tensor& rows) {
  return {rows.data_ptr<T>(), rows.dim() == 4 ? rows.stride(0) : 0,
          rows.stride(-3), rows.stride(-2)};
}

template <typename scalar_t, typename state_t>
SelectiveScan<scalar_t, state_t> selective_scan(const ScanTensors& tensors,
                                                bool delta_softplus,
                                                int64_t null_block_id,
                                                int64_t block_size) {
  const torch::Tensor& u = tensors.u;
  const torch::Tensor& states = tensors.ssm_states;
  const auto& indices = tensors.cache_indices;
  SelectiveScan<scalar_t, state_t> scan{};
  scan.u = step_rows<const scalar_t>(u);
  scan.delta = step_rows<scalar_t>(tensors.delta);
  if (tensors.z.has_value()) scan.z = step_rows<scalar_t>(tensors.z.value());
  scan.B = state_rows<scalar_t>(tensors.B);
  scan.C = state_rows<scalar_t>(tensors.C);
  scan.A = tensors.A.data_ptr<float>();
  scan.A_channel_stride = tensors.A.stride(0);
  scan.A_state_stride = tensors.A.stride(1);
  scan.D = optional_data<float>(tensors.D);
  scan.delta_bias = optional_data<float>(tensors.delta_bias);
  scan.query_start_loc = optional_data<int32_t>(tensors.query_start_loc);
  scan.has_initial_state = optional_data<bool>(tensors.has_initial_state);
  scan.states = states.data_ptr<state_t>();
  scan.states_slot_stride = states.stride(0);
  scan.states_channel_stride = states.stride(1);
  scan.states_state_stride = states.stride(2);
  scan.slots = {optional_data<int32_t>(indices),
                indices.has_value() ? indices->stride(0) : 0,
                null_block_id,
                block_size,
                optional_data<int32_t>(tensors.first_block),
                optional_data<int32_t>(tensors.last_block),
                optional_data<int32_t>(tensors.initial_block),
                optional_data<int32_t>(tensors.cu_chunk_seqlen),
                optional_data<int32_t>(tensors.last_chunk_indices)};
  scan.delta_softplus = delta_softplus;
  scan.num_sequences = tensors.num_sequences();
  scan.num_channels = u.size(-2);
  scan.num_steps = u.size(-1);
  scan.num_states = tensors.A.size(1);
  scan.channels_per_group = u.size(-2) / tensors.B.size(-3);
  return scan;
}

}  // namespace samplex

// Runs `RUN(scan)` for the dtypes of the caller's tensors. States are kept in
// the dtype of the input, or in float.
#define DISPATCH_SELECTIVE_SCAN(RUN)                                           \
  SAMPLEX_DISPATCH_FLOATING_TYPES(u.scalar_type(), "selective_scan_fwd", [&] { \
    if (ssm_states.scalar_type() == at::ScalarType::Float) {                   \
      RUN((samplex::selective_scan<scalar_t, float>(                           \
          tensors, delta_softplus, null_block_id, block_size)));               \
    } else {                                                                   \
      RUN((samplex::selective_scan<scalar_t, scalar_t>(                        \
          tensors, delta_softplus, null_block_id, block_size)));               \
    }                                                                          \
  })
