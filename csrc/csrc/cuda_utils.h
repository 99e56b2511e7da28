#pragma once

#include <cstdint>

// What the CUDA runtime says of a device; device_id -1 is the current one. In a
// build without CUDA both raise an error.

// `attribute` is the number of a cudaDeviceAttr.
int64_t get_device_attribute(int64_t attribute, int64_t device_id);

// Shared memory in bytes that a block can opt in to.
int64_t get_max_shared_memory_per_block_device_attribute(int64_t device_id);
