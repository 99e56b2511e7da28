"""Operator schemas without torch: parsed, inferred from C++ types, checked against them."""
