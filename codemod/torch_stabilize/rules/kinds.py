"""The kinds of arguments, as the schemas of the ops name them."""

from __future__ import annotations

from tree_sitter import Node

from torch_stabilize.source.types import CppType
from torch_stabilize.surface.schemas import schema_kind


def kind_in_schemas(node: Node, kind: CppType) -> str:
    """The type of an expression in the words of the schemas."""
    if node.type in ("true", "false"):
        return "bool"
    if (node.text or b"").rpartition(b"::")[2] == b"nullopt":
        return "nullopt"
    return "list" if node.type == "initializer_list" else schema_kind(kind)
