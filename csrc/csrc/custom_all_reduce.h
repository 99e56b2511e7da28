// All-reduce through buffers that the ranks of one host read from each other:
// what CPU and CUDA have in common.
#pragma once

#include <torch/types.h>

#include <tuple>
#include <vector>

#include "check_utils.h"
#include "rank_checks.h"
#include "rank_signals.h"

namespace samplex {

// One buffer of every rank; all ranks reduce the same number of elements.
struct RankBuffers {
  const void* of[kMaxRanks];
};

// One rank's view of the group. Callers hold it as an integer and dispose of
// it.
class AllReduce {
 public:
  explicit AllReduce(const Peers& peers) : peers_(peers) {}
  virtual ~AllReduce() = default;

  // Makes the buffers at these addresses, one for each rank, known as one.
  virtual void register_buffer(const std::vector<int64_t>& addresses) = 0;

  // The handles, byte by byte, and the offsets of the buffers that were met
  // during graph capture and that the peers do not know yet.
  virtual std::tuple<std::vector<int64_t>, std::vector<int64_t>>
  get_graph_buffer_ipc_meta() const = 0;

  // The same of all ranks, in the order of the ranks.
  virtual void register_graph_buffers(
      const std::vector<std::vector<int64_t>>& handles,
      const std::vector<std::vector<int64_t>>& offsets) = 0;

 protected:
  // The buffers as their addresses say.
  RankBuffers rank_buffers(const std::vector<int64_t>& addresses) const {
    TORCH_CHECK(static_cast<int64_t>(addresses.size()) == peers_.count,
                "expected ", peers_.count, " buffers, one for each rank, got ",
                addresses.size());
    RankBuffers buffers{};
    for (size_t i = 0; i < addresses.size(); ++i) {
      buffers.of[i] = reinterpret_cast<const void*>(addresses[i]);
    }
    return buffers;
  }

  Peers peers_;
};

// The flags of all ranks stand at these addresses.
inline Peers make_peers(const std::vector<int64_t>& addresses, int64_t rank) {
  const int64_t count = addresses.size();
  check_rank(rank, count);
  Peers peers{{}, static_cast<int>(rank), static_cast<int>(count)};
  for (int64_t i = 0; i < count; ++i) {
    peers.of[i] = reinterpret_cast<Signals*>(addresses[i]);
  }
  return peers;
}

// More than two ranks need direct links between all of them.
inline Peers check_ranks(const std::vector<int64_t>& ipc_tensors, int64_t rank,
                         bool fully_connected) {
  const Peers peers = make_peers(ipc_tensors, rank);
  TORCH_CHECK(fully_connected || peers.count <= 2,
              "custom all-reduce needs links between all of the ", peers.count,
              " ranks");
  return peers;
}

template <typename Derived>
Derived& all_reduce_of(int64_t fa) {
  auto* found = dynamic_cast<Derived*>(reinterpret_cast<AllReduce*>(fa));
  TORCH_CHECK(found != nullptr, "this is no all-reduce of this device");
  return *found;
}

// Whether the elements fill their storage from the first of them to the end, in
// whatever order: they can be reduced as if they were in a row.
inline bool is_weak_contiguous(const torch::Tensor& t) {
  return t.is_contiguous() || (static_cast<int64_t>(t.storage().nbytes()) -
                                   t.storage_offset() * t.element_size() ==
                               t.numel() * t.element_size());
}

inline void check_all_reduce(const torch::Tensor& inp, const torch::Tensor& out,
                             int64_t reg_buffer, int64_t reg_buffer_sz_bytes) {
  TORCH_CHECK_EQ(inp.scalar_type(), out.scalar_type());
  TORCH_CHECK_EQ(inp.numel(), out.numel());
  TORCH_CHECK(is_weak_contiguous(inp), "inp must fill its storage");
  TORCH_CHECK(is_weak_contiguous(out), "out must fill its storage");
  const auto size = static_cast<int64_t>(inp.numel() * inp.element_size());
  TORCH_CHECK(reg_buffer == 0 || size <= reg_buffer_sz_bytes, "an input of ",
              size, " bytes does not fit into a buffer of ",
              reg_buffer_sz_bytes);
}

}  // namespace samplex
