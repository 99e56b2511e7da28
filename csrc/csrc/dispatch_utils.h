// Dispatch over the element types that the kernels are written for. Inside the
// body, scalar_t names the type; fp8_t does where two dispatches nest.
#pragma once

#include <ATen/Dispatch.h>

#define SAMPLEX_DISPATCH_CASE_HALF_TYPES(...)         \
  AT_DISPATCH_CASE(at::ScalarType::Half, __VA_ARGS__) \
  AT_DISPATCH_CASE(at::ScalarType::BFloat16, __VA_ARGS__)

#define SAMPLEX_DISPATCH_CASE_FLOATING_TYPES(...)      \
  AT_DISPATCH_CASE(at::ScalarType::Float, __VA_ARGS__) \
  SAMPLEX_DISPATCH_CASE_HALF_TYPES(__VA_ARGS__)

// 16-bit types alone: for kernels that move fixed counts of bytes.
#define SAMPLEX_DISPATCH_HALF_TYPES(TYPE, NAME, ...) \
  AT_DISPATCH_SWITCH(TYPE, NAME, SAMPLEX_DISPATCH_CASE_HALF_TYPES(__VA_ARGS__))

#define SAMPLEX_DISPATCH_FLOATING_TYPES(TYPE, NAME, ...) \
  AT_DISPATCH_SWITCH(TYPE, NAME,                         \
                     SAMPLEX_DISPATCH_CASE_FLOATING_TYPES(__VA_ARGS__))

#define SAMPLEX_DISPATCH_FP8_CASE(enum_type, ...) \
  AT_PRIVATE_CASE_TYPE_USING_HINT(enum_type, fp8_t, __VA_ARGS__)

// AMD chips have a format without negative zero beside the usual one.
#ifdef USE_ROCM
  #define SAMPLEX_DISPATCH_CASE_FP8_TYPES(...)                            \
    SAMPLEX_DISPATCH_FP8_CASE(at::ScalarType::Float8_e4m3fn, __VA_ARGS__) \
    SAMPLEX_DISPATCH_FP8_CASE(at::ScalarType::Float8_e4m3fnuz, __VA_ARGS__)
#else
  #define SAMPLEX_DISPATCH_CASE_FP8_TYPES(...) \
    SAMPLEX_DISPATCH_FP8_CASE(at::ScalarType::Float8_e4m3fn, __VA_ARGS__)
#endif

#define SAMPLEX_DISPATCH_FP8_TYPES(TYPE, NAME, ...) \
  AT_DISPATCH_SWITCH(TYPE, NAME, SAMPLEX_DISPATCH_CASE_FP8_TYPES(__VA_ARGS__))
