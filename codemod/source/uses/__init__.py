"""How a value is used: whether the memory that a pointer, tensor, accessor or reference leads to is read or written.

`Uses` answers on the tree, for an expression or for a parameter. It follows a value through variables, members,
lambdas, macros and the functions it is handed to, and answers "unknown" for what it cannot follow. With `typed` it
asks instead whether a pointer to const would do, without a change to any declared type.
"""

from codemod.source.uses.calls import Uses
from codemod.source.uses.held import TENSOR, Access, Effects, Held
from codemod.source.uses.walk import At

__all__ = ["TENSOR", "Access", "At", "Effects", "Held", "Uses"]
