"""How a value is used: whether the memory that a pointer, tensor, accessor or reference leads to is read or written.

`Uses` follows a value on the tree through variables, members, lambdas, macros and the functions it is handed to, and
answers "unknown" for what it cannot follow. `typed` asks whether a pointer to const would do, all types as they are.
"""

from torch_stabilize.source.uses.calls import Uses
from torch_stabilize.source.uses.held import TENSOR, Access, Effects, Held
from torch_stabilize.source.uses.walk import At

__all__ = ["TENSOR", "Access", "At", "Effects", "Held", "Uses"]
