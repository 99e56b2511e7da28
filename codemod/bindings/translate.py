"""Declarations in stable types: the rules' own rewriting where it is installed."""

from __future__ import annotations

import re

from codemod.bindings.text import decode, encode

_TABLE = (
    (r"\b(?:torch|at)::Tensor\b", "torch::stable::Tensor"),
    (r"\b(?:c10|at|torch)::optional\b", "std::optional"),
    (r"\b(?:c10|at|torch)::nullopt\b", "std::nullopt"),
    (r"\b(?:torch|at|c10)::(?:ScalarType|Dtype)\b", "torch::headeronly::ScalarType"),
    (r"\b(?:c10)::string_view\b", "std::string_view"),
    (r"\b(?:torch|at|c10)::IntArrayRef\b", "torch::headeronly::IntHeaderOnlyArrayRef"),
    (r"\b(?:torch|at|c10)::ArrayRef\b", "torch::headeronly::HeaderOnlyArrayRef"),
    (r"\b(?:torch|at)::TensorList\b", "torch::headeronly::HeaderOnlyArrayRef<torch::stable::Tensor>"),
    (r"\b(?:torch|at|c10)::(?=(?:Device|Layout|MemoryFormat)\b)", "torch::headeronly::"),
    (r"\bc10::SymInt\b", "int64_t"),
)


def stable_declaration(text: str) -> str:
    """`text`, a declaration or a function's head in legacy types, in stable ones."""
    try:
        from codemod.rules import rewrite_declaration
    except ImportError:
        for pattern, replacement in _TABLE:
            text = re.sub(pattern, replacement, text)
        return text
    return decode(rewrite_declaration(encode(text)))
