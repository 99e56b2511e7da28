"""What functions and classes give back that no file of the project declares: it may be a tensor of libtorch."""

from __future__ import annotations

import re

from tree_sitter import Node

from torch_stabilize.rules.context import Context
from torch_stabilize.source.aliases import read_aliases
from torch_stabilize.source.callees import generic_names
from torch_stabilize.source.declarations import text_of
from torch_stabilize.source.document import Document, Fragment, per_document
from torch_stabilize.source.library import CONTAINERS, POINTERS
from torch_stabilize.source.scopes import arguments_of, receiver_type_parts
from torch_stabilize.source.types import NUMBERS, parse_type

_STANDARD = ("std::", "::std::", "cute::", "cuda::", "torch::")
_KNOWN = CONTAINERS | POINTERS | {"string", "optional", "iterator", "auto"}
_DEPTH = 8
_DECLARED = re.compile(
    rb"\b(?:using|enum|class|struct|union|typename|concept|define)\s+(?:class\s+|struct\s+)?(\w+)|\}\s*(\w+)\s*;"
)


def is_foreign(node: Node, fragment: Fragment, document: Document, context: Context, depth: int = 0) -> bool:
    """Whether an expression of unknown type is what a function or a class from outside of the project gives back.

    A function that is handed a tensor counts as one that a macro of the project may make.
    """
    finder = context.project.finder
    if depth > _DEPTH or finder.type_of(node, fragment, document).is_known:
        return False
    if node.type == "parenthesized_expression" and node.named_child_count == 1:
        return is_foreign(node.named_children[0], fragment, document, context, depth + 1)
    if node.type == "identifier":
        declared = finder.declaration_of(text_of(node), node)
        value = declared.value if declared is not None and not declared.element and declared.index is None else None
        is_auto = declared is not None and parse_type(declared.type_text).name in ("auto", "")
        return is_auto and value is not None and is_foreign(value, fragment, document, context, depth + 1)
    callee = node.child_by_field_name("function") if node.type == "call_expression" else node
    if callee is None:
        return False
    if callee.type == "field_expression":
        return _is_of_foreign_class(callee, fragment, document, context, depth)
    if node.type != "call_expression" or not _is_foreign_function(callee, context):
        return False
    given = (finder.type_of(one, fragment, document) for one in arguments_of(node))
    return not any(kind.is_tensor for kind in given)


def _is_foreign_function(callee: Node, context: Context) -> bool:
    """Whether a function is called that is of no file of the project, nor of the standard library or torch."""
    if callee.type not in ("identifier", "qualified_identifier", "template_function"):
        return False
    name = text_of(callee).partition("<")[0].strip()
    last = name.rpartition("::")[2]
    finder, surface = context.project.finder, context.surface
    if name.startswith(_STANDARD) or surface.name(name.removeprefix("::")) is not None:
        return False
    owner = name.rpartition("::")[0].rpartition("::")[2]
    classes = finder.written.classes
    if callee.type == "identifier" and (
        last in classes.method_names or finder.declaration_of(last, callee) is not None
    ):
        return False
    if last in finder.macros.definitions:
        return False
    is_own = last in context.project.functions or classes.named(last) or classes.named(owner)
    return not is_own


def _is_of_foreign_class(callee: Node, fragment: Fragment, document: Document, context: Context, depth: int) -> bool:
    """Whether a member of a class is asked for that no file of the project has."""
    receiver, _ = receiver_type_parts(callee)
    if receiver is None:
        return False
    finder = context.project.finder
    owner = finder.type_of(receiver, fragment, document)
    if not owner.is_known:
        return is_foreign(receiver, fragment, document, context, depth + 1)
    if receiver.type != "identifier" or owner.arguments or owner.is_tensor or owner.name in _KNOWN:
        return False
    declared = finder.declaration_of(text_of(receiver), receiver)
    written = declared.type_text if declared is not None else ""
    name = written.replace("const", "").strip(" &*")
    known = context.surface.name(name) is not None or name.startswith(_STANDARD)
    is_type = not known and not finder.written.classes.named(owner.name)
    return is_type and ("::" in name or _is_class_from_outside(name, receiver, document, context))


def _is_class_from_outside(name: str, node: Node, document: Document, context: Context) -> bool:
    """Whether a bare name is a class that nothing declares: no number, template's parameter, alias or enumeration."""
    if not name.isidentifier() or name in generic_names(node) or name in NUMBERS:
        return False
    is_own = any(name in _declared(one) for one in context.project.finder.documents)
    return not is_own and context.surface.name(f"at::{name}") is None and context.surface.name(f"c10::{name}") is None


@per_document
def _declared(document: Document) -> frozenset[str]:
    """The names that a document declares as types or macros."""
    found = (match[match.lastindex or 0] for match in _DECLARED.finditer(document.code))
    words = {word.decode("utf-8", "replace") for word in found}
    return frozenset(words | {alias.name for alias in read_aliases(document)})
