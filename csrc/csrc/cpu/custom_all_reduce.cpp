#include "../custom_all_reduce.h"

#include <torch/types.h>

#include <cstring>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "../dispatch_utils.h"
#include "../ops.h"
#include "rank_barrier.h"

namespace samplex {
namespace {

// The ranks are threads, or processes that map the same memory.
class HostAllReduce final : public AllReduce {
 public:
  using AllReduce::AllReduce;

  void register_buffer(const std::vector<int64_t>& addresses) override {
    const RankBuffers buffers = rank_buffers(addresses);
    buffers_[buffers.of[peers_.rank]] = buffers;
  }

  // There are no graphs on the CPU, and so no buffers of theirs.
  std::tuple<std::vector<int64_t>, std::vector<int64_t>>
  get_graph_buffer_ipc_meta() const override {
    return {};
  }

  void register_graph_buffers(
      const std::vector<std::vector<int64_t>>& handles,
      const std::vector<std::vector<int64_t>>& offsets) override {}

  // Every rank adds in the order of the ranks, so that all get the same bits.
  template <typename scalar_t>
  void reduce(const void* input, scalar_t* out, int64_t count) const {
    const auto found = buffers_.find(input);
    TORCH_CHECK(found != buffers_.end(), "the input is not registered");
    rank_barrier(peers_);
    for (int64_t i = 0; i < count; ++i) {
      float sum = 0.0f;
      for (int rank = 0; rank < peers_.count; ++rank) {
        sum += static_cast<float>(
            static_cast<const scalar_t*>(found->second.of[rank])[i]);
      }
      out[i] = static_cast<scalar_t>(sum);
    }
    rank_barrier(peers_);  // nobody overwrites what a peer still reads
  }

 private:
  std::unordered_map<const void*, RankBuffers> buffers_;
};

}  // namespace
}  // namespace samplex

fptr_t init_custom_ar_cpu(const std::vector<fptr_t>& ipc_tensors,
                          torch::Tensor& rank_data, int64_t rank,
                          bool fully_connected) {
  samplex::AllReduce* made = new samplex::HostAllReduce(
      samplex::check_ranks(ipc_tensors, rank, fully_connected));
  return reinterpret_cast<fptr_t>(made);
}

void all_reduce_cpu(fptr_t fa, torch::Tensor& inp, torch::Tensor& out,
                    fptr_t reg_buffer, int64_t reg_buffer_sz_bytes) {
  const auto& all_reduce = samplex::all_reduce_of<samplex::HostAllReduce>(fa);
  samplex::check_all_reduce(inp, out, reg_buffer, reg_buffer_sz_bytes);
  if (inp.numel() == 0) return;
  void* input = inp.data_ptr();
  if (reg_buffer != 0) {
    input = reinterpret_cast<void*>(reg_buffer);
    std::memcpy(input, inp.data_ptr(), inp.numel() * inp.element_size());
  }
  SAMPLEX_DISPATCH_FLOATING_TYPES(out.scalar_type(), "all_reduce", [&] {
    all_reduce.reduce(input, out.data_ptr<scalar_t>(), out.numel());
  });
}

// The rest does not depend on where the tensors are.
void dispose(fptr_t fa) { delete reinterpret_cast<samplex::AllReduce*>(fa); }

int64_t meta_size() { return sizeof(samplex::Signals); }

void register_buffer(fptr_t fa, const std::vector<fptr_t>& ipc_tensors) {
  samplex::all_reduce_of<samplex::AllReduce>(fa).register_buffer(ipc_tensors);
}

std::tuple<std::vector<int64_t>, std::vector<int64_t>>
get_graph_buffer_ipc_meta(fptr_t fa) {
  return samplex::all_reduce_of<samplex::AllReduce>(fa)
      .get_graph_buffer_ipc_meta();
}

void register_graph_buffers(fptr_t fa,
                            const std::vector<std::vector<int64_t>>& handles,
                            const std::vector<std::vector<int64_t>>& offsets) {
  samplex::all_reduce_of<samplex::AllReduce>(fa).register_graph_buffers(
      handles, offsets);
}
