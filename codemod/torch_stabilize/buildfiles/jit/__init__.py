"""Libraries that Python compiles when it needs them: `torch.utils.cpp_extension.load`."""
