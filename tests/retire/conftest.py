"""The compiler and the stable headers, as the surface's tests have them."""

from tests.surface.conftest import compiler, installed_tree, stable_tree, target, torch_include

__all__ = ["compiler", "installed_tree", "stable_tree", "target", "torch_include"]
