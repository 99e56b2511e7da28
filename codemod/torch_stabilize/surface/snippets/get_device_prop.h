#include <torch/csrc/stable/macros.h>
#include <torch/headeronly/util/Exception.h>

#include <cuda_runtime.h>

#include <memory>
#include <mutex>

// The properties of a device; -1 is the current device. Queried once per
// device; thread-safe.
inline cudaDeviceProp* get_device_prop(int device_index = -1) {
  struct Slot {
    std::once_flag asked;
    cudaDeviceProp properties;
  };
  struct Cache {
    int count = 0;
    std::unique_ptr<Slot[]> slots;
    Cache() {
      STD_CUDA_CHECK(cudaGetDeviceCount(&count));
      slots.reset(new Slot[count]);
    }
  };
  static Cache cache;

  if (device_index < 0) {
    STD_CUDA_CHECK(cudaGetDevice(&device_index));
  }
  STD_TORCH_CHECK(device_index < cache.count, "no CUDA device ", device_index,
                  ", there are ", cache.count);
  Slot& slot = cache.slots[device_index];
  std::call_once(slot.asked, [&slot, device_index] {
    STD_CUDA_CHECK(cudaGetDeviceProperties(&slot.properties, device_index));
  });
  return &slot.properties;
}
