"""Moves compiled PyTorch extensions to the libtorch stable ABI, one kernel group at a time."""

__version__ = "0.1.0"
