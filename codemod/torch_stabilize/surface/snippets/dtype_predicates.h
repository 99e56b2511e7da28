#include <torch/headeronly/core/ScalarType.h>

// What kind of numbers a dtype holds.
inline bool is_float8_type(torch::headeronly::ScalarType dtype) {
  using torch::headeronly::ScalarType;
  return dtype == ScalarType::Float8_e5m2 ||
         dtype == ScalarType::Float8_e5m2fnuz ||
         dtype == ScalarType::Float8_e4m3fn ||
         dtype == ScalarType::Float8_e4m3fnuz ||
         dtype == ScalarType::Float8_e8m0fnu;
}

inline bool is_reduced_floating_type(torch::headeronly::ScalarType dtype) {
  using torch::headeronly::ScalarType;
  return dtype == ScalarType::Half || dtype == ScalarType::BFloat16 ||
         is_float8_type(dtype) || dtype == ScalarType::Float4_e2m1fn_x2;
}

inline bool is_floating_type(torch::headeronly::ScalarType dtype) {
  using torch::headeronly::ScalarType;
  return dtype == ScalarType::Double || dtype == ScalarType::Float ||
         is_reduced_floating_type(dtype);
}

inline bool is_complex_type(torch::headeronly::ScalarType dtype) {
  using torch::headeronly::ScalarType;
  return dtype == ScalarType::ComplexHalf ||
         dtype == ScalarType::ComplexFloat ||
         dtype == ScalarType::ComplexDouble;
}

inline bool is_integral_type(torch::headeronly::ScalarType dtype,
                             bool include_bool = false) {
  using torch::headeronly::ScalarType;
  switch (dtype) {
    case ScalarType::Byte:
    case ScalarType::Char:
    case ScalarType::Short:
    case ScalarType::Int:
    case ScalarType::Long:
    case ScalarType::UInt16:
    case ScalarType::UInt32:
    case ScalarType::UInt64:
      return true;
    default:
      return include_bool && dtype == ScalarType::Bool;
  }
}
