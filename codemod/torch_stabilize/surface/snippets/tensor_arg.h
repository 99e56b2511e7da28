#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/core/DeviceType.h>
#include <torch/headeronly/core/ScalarType.h>
#include <torch/headeronly/util/Exception.h>
#include <torch/headeronly/util/HeaderOnlyArrayRef.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

// A tensor that a check can name: argument number `pos`, called `name`.
struct TensorArg {
  TensorArg(const torch::stable::Tensor& tensor, const char* name, int pos)
      : tensor(tensor), name(name), pos(pos) {}
  const torch::stable::Tensor* operator->() const { return &tensor; }
  const torch::stable::Tensor& operator*() const { return tensor; }

  const torch::stable::Tensor& tensor;
  const char* name;
  int pos;
};

using CheckedFrom = const char*;

// What messages call an argument, and how they end.
inline std::string number_and_name(const TensorArg& arg) {
  return "#" + std::to_string(arg.pos) + " '" + arg.name + "'";
}
inline std::string while_checking(CheckedFrom caller) {
  return std::string(" (while checking arguments for ") + caller + ")";
}

// Applies a check of two tensors to the first and each of the others.
template <typename Check>
void check_all(CheckedFrom caller, const std::vector<TensorArg>& args,
               Check check) {
  const TensorArg* first = nullptr;
  for (const TensorArg& arg : args) {
    if (!arg->defined()) {
      continue;
    }
    if (first != nullptr) {
      check(caller, *first, arg);
    } else {
      first = &arg;
    }
  }
}

inline void check_defined(CheckedFrom caller, const TensorArg& arg) {
  STD_TORCH_CHECK(arg->defined(), "Expected argument ", number_and_name(arg),
                  " to be defined", while_checking(caller));
}
inline void check_all_defined(CheckedFrom caller,
                              const std::vector<TensorArg>& args) {
  for (const TensorArg& arg : args) {
    check_defined(caller, arg);
  }
}

inline void check_dim(CheckedFrom caller, const TensorArg& arg, int64_t dim) {
  STD_TORCH_CHECK(arg->dim() == dim, "Expected ", dim, "-dimensional tensor, ",
                  "but got ", arg->dim(), "-dimensional tensor for argument ",
                  number_and_name(arg), while_checking(caller));
}
inline void check_dim_range(CheckedFrom caller, const TensorArg& arg,
                            int64_t start, int64_t end) {
  STD_TORCH_CHECK(arg->dim() >= start && arg->dim() < end, "Expected ", start,
                  " to ", end - 1, " dimensions, but got ", arg->dim(),
                  "-dimensional tensor for argument ", number_and_name(arg),
                  while_checking(caller));
}
inline void check_size(CheckedFrom caller, const TensorArg& arg, int64_t dim,
                       int64_t size) {
  STD_TORCH_CHECK(arg->size(dim) == size, "Expected tensor to have size ", size,
                  " at dimension ", dim, ", but got size ", arg->size(dim),
                  " for argument ", number_and_name(arg),
                  while_checking(caller));
}
inline void check_size(CheckedFrom caller, const TensorArg& arg,
                       torch::headeronly::IntHeaderOnlyArrayRef sizes) {
  check_dim(caller, arg, static_cast<int64_t>(sizes.size()));
  for (size_t i = 0; i < sizes.size(); ++i) {
    check_size(caller, arg, static_cast<int64_t>(i), sizes[i]);
  }
}
inline void check_numel(CheckedFrom caller, const TensorArg& arg,
                        int64_t numel) {
  STD_TORCH_CHECK(arg->numel() == numel, "Expected tensor for argument ",
                  number_and_name(arg), " to have ", numel,
                  " elements; but it has ", arg->numel(), " elements",
                  while_checking(caller));
}
inline void check_contiguous(CheckedFrom caller, const TensorArg& arg) {
  STD_TORCH_CHECK(arg->is_contiguous(),
                  "Expected contiguous tensor, but got non-contiguous tensor ",
                  "for argument ", number_and_name(arg),
                  while_checking(caller));
}
inline void check_all_contiguous(CheckedFrom caller,
                                 const std::vector<TensorArg>& args) {
  for (const TensorArg& arg : args) {
    if (arg->defined()) {
      check_contiguous(caller, arg);
    }
  }
}

inline void check_scalar_type(CheckedFrom caller, const TensorArg& arg,
                              torch::headeronly::ScalarType dtype) {
  STD_TORCH_CHECK(arg->scalar_type() == dtype, "Expected tensor for argument ",
                  number_and_name(arg), " to have scalar type ",
                  torch::headeronly::toString(dtype), "; but got ",
                  torch::headeronly::toString(arg->scalar_type()), " instead",
                  while_checking(caller));
}
inline void check_scalar_types(
    CheckedFrom caller, const TensorArg& arg,
    const std::vector<torch::headeronly::ScalarType>& dtypes) {
  STD_TORCH_CHECK(std::find(dtypes.begin(), dtypes.end(), arg->scalar_type()) !=
                      dtypes.end(),
                  "Unexpected scalar type ",
                  torch::headeronly::toString(arg->scalar_type()),
                  " of argument ", number_and_name(arg),
                  while_checking(caller));
}

inline const char* name_of_device_type(torch::headeronly::DeviceType kind) {
  using torch::headeronly::DeviceType;
  return kind == DeviceType::CPU    ? "CPU"
         : kind == DeviceType::CUDA ? "CUDA"
                                    : "another";
}
inline void check_device_type(CheckedFrom caller,
                              const torch::stable::Tensor& tensor,
                              torch::headeronly::DeviceType kind) {
  STD_TORCH_CHECK(!tensor.defined() || tensor.device().type() == kind,
                  "Expected tensor to have ", name_of_device_type(kind),
                  " DeviceType, but got tensor with ",
                  name_of_device_type(tensor.device().type()), " DeviceType",
                  while_checking(caller));
}
inline void check_device_type(CheckedFrom caller,
                              const std::vector<torch::stable::Tensor>& tensors,
                              torch::headeronly::DeviceType kind) {
  for (const torch::stable::Tensor& tensor : tensors) {
    check_device_type(caller, tensor, kind);
  }
}

inline void check_same_type(CheckedFrom caller, const TensorArg& first,
                            const TensorArg& second) {
  STD_TORCH_CHECK(first->scalar_type() == second->scalar_type(),
                  "Expected tensors for arguments ", number_and_name(first),
                  " and ", number_and_name(second), " to have the same type",
                  while_checking(caller));
}
inline void check_all_same_type(CheckedFrom caller,
                                const std::vector<TensorArg>& args) {
  check_all(caller, args, check_same_type);
}

inline void check_same_gpu(CheckedFrom caller, const TensorArg& first,
                           const TensorArg& second) {
  STD_TORCH_CHECK(first->is_cuda() && second->is_cuda() &&
                      first->get_device_index() == second->get_device_index(),
                  "Expected tensors for arguments ", number_and_name(first),
                  " and ", number_and_name(second), " to be on the same GPU",
                  while_checking(caller));
}
inline void check_all_same_gpu(CheckedFrom caller,
                               const std::vector<TensorArg>& args) {
  check_all(caller, args, check_same_gpu);
}

inline void check_same_dim(CheckedFrom caller, const TensorArg& first,
                           const TensorArg& second) {
  check_dim(caller, second, first->dim());
}
inline void check_same_numel(CheckedFrom caller, const TensorArg& first,
                             const TensorArg& second) {
  check_numel(caller, second, first->numel());
}
inline void check_all_same_numel(CheckedFrom caller,
                                 const std::vector<TensorArg>& args) {
  check_all(caller, args, check_same_numel);
}
inline void check_same_size(CheckedFrom caller, const TensorArg& first,
                            const TensorArg& second) {
  check_size(caller, second, first->sizes());
}
inline void check_all_same_size(CheckedFrom caller,
                                const std::vector<TensorArg>& args) {
  check_all(caller, args, check_same_size);
}
