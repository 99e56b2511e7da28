// aten::fill_.Scalar. A double holds every number but wide integers, which are
// an error for dtypes with a smaller range and stored as they are in others;
// negative integers are stored modulo the range of an unsigned dtype.
inline torch::stable::Tensor fill_(const torch::stable::Tensor& self,
                                   Scalar value) {
  using torch::headeronly::ScalarType;
  const ScalarType dtype = self.scalar_type();
  const bool wide = dtype == ScalarType::Long || dtype == ScalarType::UInt64 ||
                    (!Scalar::is_integral(dtype) && dtype != ScalarType::Half);
  const int64_t largest = dtype == ScalarType::Byte     ? 0xff
                          : dtype == ScalarType::UInt16 ? 0xffff
                          : dtype == ScalarType::UInt32 ? 0xffffffff
                          : dtype == ScalarType::UInt64 ? INT64_MAX
                                                        : 0;
  if ((wide && value.is_wide()) || value.is_negative(largest)) {
    return stable_aten::fill_(self, value.to_tensor(self));
  }
  return torch::stable::fill_(self, value.to_double());
}
