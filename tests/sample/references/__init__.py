"""One module for each group of the sample; `load_references` registers all of them."""

from __future__ import annotations

import importlib
import pkgutil


def load_references() -> None:
    """Import every module of this package."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
