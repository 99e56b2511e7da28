# What all legacy units include, compiled once: GCC reads it many times faster than torch's headers.
cmake_language(DEFER CALL target_precompile_headers _C PRIVATE <torch/types.h> <torch/library.h>)
