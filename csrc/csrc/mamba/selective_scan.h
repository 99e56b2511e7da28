// The selective scan of Mamba over one channel, for CPU and CUDA alike. Each of
// up to 256 states decays and takes in the input at its own rate:
//
//   state[n] = state[n] * exp(dt * A[n]) + dt * B[n, t] * u[t]
//   y[t]     = sum over n of state[n] * C[n, t] + D * u[t]
#pragma once

#include <cmath>
#include <cstdint>

#include "../activation_math.h"
#include "../cuda_compat.h"

namespace samplex {

constexpr int kMaxStates = 256;

// Rows of steps: one for each sequence and channel.
template <typename T>
struct StepRows {
  T* data;  // null if not given
  int64_t sequence_stride;
  int64_t row_stride;

  HOST_DEVICE_INLINE T* row(int64_t sequence, int64_t row) const {
    return data + sequence * sequence_stride + row * row_stride;
  }
};

// The same with a row for each state of a group.
template <typename T>
struct StateRows {
  T* data;
  int64_t sequence_stride;
  int64_t group_stride;
  int64_t state_stride;

  HOST_DEVICE_INLINE T at(int64_t sequence, int64_t group, int64_t state,
                          int64_t step) const {
    return data[sequence * sequence_stride + group * group_stride +
                state * state_stride + step];
  }
};

// Where states are kept between calls. Each sequence has one slot; with prefix
// caching it has several, and the state after every block of tokens stays.
struct StateSlots {
  const int32_t* indices;  // [sequences] or [sequences, blocks]; may be null
  int64_t stride;
  int64_t none;  // the index that stands for no slot
  int64_t block_size;
  // With prefix caching, for each sequence: the blocks to write first and last,
  // and the block that holds the state to start from.
  const int32_t* first_block;
  const int32_t* last_block;
  const int32_t* initial_block;
  // Where blocks end if not at multiples of block_size: the cumulated lengths
  // of all, and which of them is the last of each sequence.
  const int32_t* chunk_ends;
  const int32_t* last_chunk;

  HOST_DEVICE_INLINE bool by_block() const { return first_block != nullptr; }

  HOST_DEVICE_INLINE int64_t slot(int64_t sequence, int64_t block) const {
    if (indices == nullptr) return sequence;
    return indices[sequence * stride + block];
  }

  HOST_DEVICE_INLINE int64_t initial(int64_t sequence) const {
    return slot(sequence, by_block() ? initial_block[sequence] : 0);
  }

  HOST_DEVICE_INLINE int64_t final(int64_t sequence) const {
    return slot(sequence, by_block() ? last_block[sequence] : 0);
  }

  HOST_DEVICE_INLINE bool is_none(int64_t slot) const {
    return indices != nullptr && slot == none;
  }

  // After how many of its tokens the sequence, which starts at `start` and has
  // `length`, has filled `block` of those it writes.
  HOST_DEVICE_INLINE int64_t block_end(int64_t sequence, int64_t block,
                                       int64_t start, int64_t length) const {
    if (!by_block()) return length;
    if (chunk_ends == nullptr) return (block + 1) * block_size;
    const int64_t first = sequence == 0 ? 0 : last_chunk[sequence - 1] + 1;
    return chunk_ends[first + block + 1] - start;
  }
};

template <typename scalar_t, typename state_t>
struct SelectiveScan {
  StepRows<const scalar_t> u;
  StepRows<scalar_t> delta;  // holds the result afterwards, unless there is a z
  StepRows<scalar_t> z;      // gates the result, and holds it afterwards
  StateRows<const scalar_t> B;
  StateRows<const scalar_t> C;
  const float* A;  // [channels, states]
  int64_t A_channel_stride;
  int64_t A_state_stride;
  const float* D;  // may be null, like what follows
  const float* delta_bias;
  const int32_t* query_start_loc;  // null if all sequences have num_steps
  const bool* has_initial_state;
  state_t* states;
  int64_t states_slot_stride;
  int64_t states_channel_stride;
  int64_t states_state_stride;
  StateSlots slots;
  bool delta_softplus;
  int64_t num_sequences;
  int64_t num_channels;
  int64_t num_steps;
  int64_t num_states;
  int64_t channels_per_group;

  HOST_DEVICE_INLINE state_t& state(int64_t slot, int64_t channel,
                                    int64_t n) const {
    return states[slot * states_slot_stride + channel * states_channel_stride +
                  n * states_state_stride];
  }

  // dt of a step.
  HOST_DEVICE_INLINE float time_step(float delta, float bias) const {
    const float x = delta + bias;
    // Far out, softplus is the identity, and expf would overflow.
    return delta_softplus && x <= 20.0f ? log1pf(expf(x)) : x;
  }

  // Scans one channel of one sequence. The states are shared out over WIDTH
  // lanes, LANE_STATES each; `sum` adds up over the lanes.
  template <int LANE_STATES, int WIDTH, typename Sum>
  DEVICE_INLINE void run(int64_t sequence, int64_t channel, int lane,
                         Sum sum) const {
    const int64_t last_slot = slots.final(sequence);
    if (slots.is_none(last_slot)) return;
    const bool varlen = query_start_loc != nullptr;
    const int64_t start = varlen ? query_start_loc[sequence] : 0;
    const int64_t length =
        varlen ? query_start_loc[sequence + 1] - start : num_steps;
    // Sequences of different lengths lie one after another.
    const int64_t at = varlen ? 0 : sequence;
    const int64_t group = channel / channels_per_group;
    const float bias = delta_bias == nullptr ? 0.0f : delta_bias[channel];
    const float skip = D == nullptr ? 0.0f : D[channel];

    float values[LANE_STATES];
    float rates[LANE_STATES];
    const bool resume =
        has_initial_state != nullptr && has_initial_state[sequence];
    const int64_t initial_slot = slots.initial(sequence);
    for (int i = 0; i < LANE_STATES; ++i) {
      const int64_t n = lane + i * WIDTH;
      if (n >= num_states) break;
      rates[i] = A[channel * A_channel_stride + n * A_state_stride];
      values[i] =
          resume ? static_cast<float>(state(initial_slot, channel, n)) : 0.0f;
    }

    int64_t block = 0;
    for (int64_t t = start; t < start + length; ++t) {
      const float dt =
          time_step(static_cast<float>(delta.row(at, channel)[t]), bias);
      const float x = static_cast<float>(u.row(at, channel)[t]);
      float y = 0.0f;
      for (int i = 0; i < LANE_STATES; ++i) {
        const int64_t n = lane + i * WIDTH;
        if (n >= num_states) break;
        values[i] = values[i] * expf(dt * rates[i]) +
                    dt * static_cast<float>(B.at(at, group, n, t)) * x;
        y += values[i] * static_cast<float>(C.at(at, group, n, t));
      }
      y = sum(y) + skip * x;
      if (lane == 0) {
        if (z.data == nullptr) {
          delta.row(at, channel)[t] = static_cast<scalar_t>(y);
        } else {
          scalar_t& gate = z.row(at, channel)[t];
          gate = static_cast<scalar_t>(y * silu(static_cast<float>(gate)));
        }
      }

      const int64_t done = t + 1 - start;
      const bool is_last = done == length;
      if (!is_last && done != slots.block_end(sequence, block, start, length)) {
        continue;
      }
      const int64_t slot =
          is_last ? last_slot
                  : slots.slot(sequence, slots.first_block[sequence] + block);
      ++block;
      if (slots.is_none(slot)) continue;
      for (int i = 0; i < LANE_STATES; ++i) {
        const int64_t n = lane + i * WIDTH;
        if (n >= num_states) break;
        state(slot, channel, n) = static_cast<state_t>(values[i]);
      }
    }
  }
};

}  // namespace samplex
