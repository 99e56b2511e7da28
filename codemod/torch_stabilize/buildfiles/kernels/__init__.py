"""Kernels that kernel-builder builds: `build.toml`."""
