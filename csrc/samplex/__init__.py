"""Custom PyTorch operators; `samplex.ops` has one function for each."""

from samplex import ops

__all__ = ["ops"]
__version__ = "0.1.0"
