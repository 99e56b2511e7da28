"""Whether a parameter of a function may become wider without anything else changing: by how its body uses it.

A wider parameter must not reach what picks a type by it (a template's argument, `auto`, an overload, a braced list of
another type), nor arithmetic whose result would differ.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from tree_sitter import Node

from codemod.bindings.effects.program import MACROS, Program
from codemod.source.declarations import text_of
from codemod.source.document import Document
from codemod.source.scopes import arguments_of
from codemod.source.signatures import Function

INTEGERS = frozenset({"int", "int32_t"})
_ARITHMETIC = frozenset({"int", "int32_t", "int64_t", "long", "long long", "size_t", "uint32_t", "unsigned", "bool",
                         "unsigned int", "uint64_t", "float", "double"})  # fmt: skip
_COMPARED = frozenset({"==", "!=", "<", ">", "<=", ">="})
_COMPUTED = frozenset({"+", "-", "*", "/", "%"})
_SIZES = frozenset({"size", "dim", "numel", "stride"})
_SHAPED = frozenset({"view", "reshape", "expand", "new_empty", "new_zeros", "new_ones", "new_full", "repeat"})
_CHECK = re.compile(r"(?:STD_|AT_|C10_)?(?:TORCH_)?(?:CHECK|ASSERT)\w*")
_LITERAL = re.compile(rb"\d+|0[xX][0-9a-fA-F]+")
_CAST = re.compile(r"static_cast\s*<\s*(?P<type>[\w\s]+?)\s*>")


def type_word(text: str) -> str:
    """A parameter's type without `const`, "" for a reference, a pointer or a template."""
    return "" if re.search(r"[&*<]", text) else " ".join(word for word in text.split() if word != "const")


class Uses(NamedTuple):
    """The uses of a function's parameters; `program` has the functions that its body calls."""

    document: Document
    function: Function
    program: Program

    def may_widen(self, name: str, old: str) -> bool:
        """Whether every use of the parameter `name` means the same once it is wider than `old`."""
        body = self.function.body
        if body is None:
            return False
        used = re.compile(rb"(?<![\w.])(?<!->)(?<!::)" + re.escape(name.encode()) + rb"\b")
        _, *macros = self.program.body(self.document, self.function).split(MACROS)
        if any(used.search(macro) for macro in macros):
            return False
        for match in used.finditer(self.document.code[body.start : body.end]):
            root = self.document.whole.tree.root_node
            start, end = body.start + match.start(), body.start + match.end()
            node = root.descendant_for_byte_range(start, end)
            if node is None or node.type != "identifier" or not self._keeps(node, old):
                return False
        return True

    def _keeps(self, node: Node, old: str) -> bool:
        """Whether what is around an expression takes it as it takes one of the type `old`."""
        parent = node.parent
        if parent is None or parent.has_error:
            return False
        if parent.type == "parenthesized_expression":
            return self._keeps(parent, old)
        if parent.type == "argument_list":
            return self._as_argument(node, parent, old)
        if parent.type == "init_declarator":
            declared = parent.parent.child_by_field_name("type") if parent.parent is not None else None
            return _is_plain(parent) and declared is not None and _takes(text_of(declared), old)
        if parent.type == "cast_expression":
            kind = parent.child_by_field_name("type")
            return kind is not None and _takes(text_of(kind), old)
        if parent.type == "lambda_capture_specifier":
            return True
        return old in INTEGERS and self._of_integer(node, parent, old)

    def _of_integer(self, node: Node, parent: Node, old: str) -> bool:
        if parent.type in ("condition_clause", "kernel_call_syntax"):
            return True
        if parent.type == "unary_expression":
            return text_of(parent).startswith("!")
        if parent.type == "initializer_list":
            return _is_shape(parent)
        if parent.type != "binary_expression":
            return False
        operator = parent.child_by_field_name("operator")
        sides = [side for side in parent.named_children if side != node and side.type != "comment"]
        if operator is None or len(sides) != 1:
            return False
        is_literal = sides[0].type == "number_literal" and _LITERAL.fullmatch(sides[0].text or b"") is not None
        if text_of(operator) in _COMPARED:
            return is_literal or _is_size(sides[0]) or self._is_counter(sides[0])
        return text_of(operator) in _COMPUTED and is_literal and self._keeps(parent, old)

    def _is_counter(self, node: Node) -> bool:
        """Whether an expression is a local that is declared as a signed integer and as nothing else: `int i = 0`."""
        body = self.function.body
        if body is None or node.type != "identifier":
            return False
        name = re.escape(node.text or b"")
        declared = re.findall(
            rb"\b([A-Za-z_]\w*)\s*[&*]?\s+" + name + rb"\s*[=;,{(:)]", self.document.code[body.start : body.end]
        )
        return bool(declared) and set(declared) <= {b"int", b"int32_t", b"int64_t"}

    def _as_argument(self, node: Node, arguments: Node, old: str) -> bool:
        call = arguments.parent
        if call is None:
            return False
        if call.type == "init_declarator":  # dim3 grid(n)
            declared = call.parent.child_by_field_name("type") if call.parent is not None else None
            kind = text_of(declared) if declared is not None else ""
            return (kind == "dim3" and old in INTEGERS) or _takes(kind, old)
        callee = call.child_by_field_name("function")
        if call.type != "call_expression" or callee is None:
            return False
        text, index = text_of(callee), arguments_of(call).index(node)
        if callee.type == "primitive_type" or _CAST.fullmatch(text):
            match = _CAST.fullmatch(text)
            return _takes(match["type"] if match else text, old)
        if callee.type == "field_expression":
            return False
        bare = re.sub(r"<.*", "", text, flags=re.DOTALL).strip().rpartition("::")[2]
        if _CHECK.fullmatch(bare) and index > 0:
            return old in INTEGERS  # a part of the message
        if bare == "dim3":
            return old in INTEGERS
        known = [function for _, function in self.program.functions.named(bare)]
        taken = [function.parameters[index].type_text for function in known if index < len(function.parameters)]
        is_one = len(taken) == len(known) and len({type_word(kind) for kind in taken}) == 1
        return is_one and _takes(taken[0], old)


def _takes(kind: str, old: str) -> bool:
    """Whether a value of the wider type becomes in `kind` what one of the type `old` became."""
    word = type_word(kind)
    return word in _ARITHMETIC if old in INTEGERS else word == old


def _is_plain(declarator: Node) -> bool:
    """`int m = n`: no reference, no pointer, no braces."""
    name = declarator.child_by_field_name("declarator")
    value = declarator.child_by_field_name("value")
    return name is not None and name.type == "identifier" and value is not None and value.type != "initializer_list"


def _is_size(node: Node) -> bool:
    callee = node.child_by_field_name("function") if node.type == "call_expression" else None
    field = callee.child_by_field_name("field") if callee is not None else None
    return field is not None and text_of(field) in _SIZES


def _is_shape(braces: Node) -> bool:
    """Whether a braced list is a shape: what torch's factories and `view` are given."""
    arguments = braces.parent
    call = arguments.parent if arguments is not None and arguments.type == "argument_list" else None
    callee = call.child_by_field_name("function") if call is not None else None
    if callee is None:
        return False
    field = callee.child_by_field_name("field")
    return (field is not None and text_of(field) in _SHAPED) or text_of(callee).startswith(("at::", "torch::"))
