"""The compiler and the stable headers, as the surface's tests have them."""

from tests.surface.conftest import compiler, stable_tree, torch_include

__all__ = ["compiler", "stable_tree", "torch_include"]
