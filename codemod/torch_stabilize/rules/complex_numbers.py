"""Functions of the standard library that c10 has for its complex numbers, and torch::headeronly does not."""

from __future__ import annotations

import re

from torch_stabilize.rules.context import Context

HELPER = "complex_functions"
_OF_COMPLEX = re.compile(
    rb"\bstd\s*::\s*(?:conj|real|imag|norm|abs|arg|exp|log|log10|sqrt|pow|a?sinh?|a?cosh?|a?tanh?)\b"
)


def uses_functions_of_complex(context: Context) -> bool:
    """Whether complex numbers may be handed to functions that c10 adds to namespace std."""
    return any(_OF_COMPLEX.search(document.code) for document in context.project.documents)
