"""The rules: what becomes of each unstable name, one module per family.

Importing this package imports all of its modules, each of which declares its rules: `RULES` is complete then.
"""

import pkgutil
from importlib import import_module

for _module in pkgutil.iter_modules(__path__, f"{__name__}."):
    import_module(_module.name)

from torch_stabilize.rules.registry import RULES  # noqa: E402  # complete by now
from torch_stabilize.rules.snippets import rewrite_declaration, rewrite_text  # noqa: E402

__all__ = ["RULES", "rewrite_declaration", "rewrite_text"]
