"""What a variable holds where it is used: its last value, and whether what that was made from still says the same."""

from __future__ import annotations

import functools
import re
from bisect import bisect_left
from collections.abc import Iterator

from tree_sitter import Node, Tree

from torch_stabilize.rules.context import Context
from torch_stabilize.rules.effects import ASKING
from torch_stabilize.rules.jumps import end_of_turns, is_passed_over
from torch_stabilize.source.declarations import around, text_of
from torch_stabilize.source.document import Document, Fragment
from torch_stabilize.source.scopes import arguments_of, receiver_type_parts
from torch_stabilize.source.signatures import Function
from torch_stabilize.source.types import parse_type
from torch_stabilize.source.upwards import parent_of

_WORD = re.compile(rb"[A-Za-z_$\x80-\xff][\w$\x80-\xff]*")


def last_value(name: str, node: Node, fragment: Fragment, context: Context) -> Node | None:
    """What `name` holds at `node`: its initialiser, or the last assignment before, if that one is sure to have run."""
    declared = context.project.finder.declaration_of(name, node)
    if declared is None or declared.element or _captures_by_name(node, declared.start):
        return None
    if _is_captured(declared.start, fragment):
        return None  # `[o = x.options()]`: from where the lambda was made
    value = declared.value
    if value is not None and _is_kept(value):
        return None
    if value is not None and value.start_byte <= node.start_byte < value.end_byte:
        return None  # `auto x = x.y()`: another x
    for assignment in assignments(name, declared.start, _end_of_loops(node, declared.start, fragment.tree), fragment):
        if assignment.start_byte <= node.start_byte < assignment.end_byte:
            continue  # `options = options.dtype(x)`: the right side still has the old value
        right = assignment.child_by_field_name("right")
        if right is None or not _has_run_before(assignment, node, fragment.tree):
            return None
        value = right
    if value is not None and value.type == "argument_list":  # TensorOptions o(dtype)
        inner = [c for c in value.named_children if c.type != "comment"]
        return inner[0] if len(inner) == 1 else None
    return value


def _is_kept(value: Node) -> bool:
    """Whether the variable that is made from `value` keeps that from the first call on."""
    walk: Node | None = value
    while walk is not None and walk.type not in ("declaration", "compound_statement", "translation_unit"):
        walk = walk.parent
    words = [text_of(one) for one in walk.children if one.type == "storage_class_specifier"] if walk is not None else []
    return "static" in words or "thread_local" in words


def is_unchanged(value: Node, use: Node, fragment: Fragment, context: Context) -> bool:
    """Whether every variable in the expression `value` means the same at `use`, and was not given another value."""
    finder = context.project.finder
    end = _end_of_loops(use, value.start_byte, fragment.tree)
    for name, node in _variables_in(value):
        declared, meant = finder.declaration_of(name, node), finder.declaration_of(name, use)
        if (declared.start if declared is not None else -1) != (meant.start if meant is not None else -1):
            return False
        changes = [*uses_of(name, value.end_byte, end, fragment), *_in_earlier_lambdas(name, value, fragment)]
        if any(
            _changes(one, fragment, context) for one in changes if not use.start_byte <= one.start_byte < use.end_byte
        ):
            return False
        function = _function_around(value)
        is_local = declared is not None and (function is None or declared.start >= function.start_byte)
        if not is_local and function is not None and _is_changed_by_calls(name, value, function, end, context):
            return False
    return True


def is_handed_on(name: str, value: Node, use: Node, fragment: Fragment, context: Context) -> bool:
    """Whether what the variable `name` got with `value` may be another value at `use`: of a function that was given it."""
    return any(_changes(one, fragment, context) for one in uses_of(name, value.end_byte, use.start_byte, fragment))


def _variables_in(value: Node) -> Iterator[tuple[str, Node]]:
    """The names that an expression takes values from."""
    waiting = [value]
    while waiting:
        node = waiting.pop()
        if node.type == "identifier" and (node.parent is None or node.parent.type != "qualified_identifier"):
            yield text_of(node), node
        waiting += node.named_children


def _in_earlier_lambdas(name: str, value: Node, fragment: Fragment) -> Iterator[Node]:
    """Uses of a variable in the lambdas of the function before `value`, which may be called behind it."""
    function = _function_around(value)
    if function is None or not _has_lambdas(fragment.tree, function.start_byte, value.start_byte):
        return
    for use in uses_of(name, function.start_byte, value.start_byte, fragment):
        around = use.parent
        while around is not None and around.type not in ("lambda_expression", "function_definition"):
            around = around.parent
        if around is not None and around.type == "lambda_expression" and around.end_byte <= value.start_byte:
            yield use


def _has_lambdas(tree: Tree, start: int, end: int) -> bool:
    """Whether a lambda begins between two offsets."""
    places = _lambdas(tree)
    first = bisect_left(places, start)
    return first < len(places) and places[first] < end


@functools.lru_cache(maxsize=256)
def _lambdas(tree: Tree) -> tuple[int, ...]:
    """Where lambdas begin."""
    root, found, place = tree.root_node, list[int](), 0
    text = root.text or b""
    while (place := text.find(b"[", place)) >= 0:
        node = root.descendant_for_byte_range(root.start_byte + place, root.start_byte + place + 1)
        if node is not None and node.parent is not None and node.parent.type == "lambda_capture_specifier":
            found.append(root.start_byte + place)
        place += 1
    return tuple(found)


def _function_around(node: Node) -> Node | None:
    walk: Node | None = node
    while walk is not None and walk.type != "function_definition":
        walk = walk.parent
    return walk


# Methods that give what they are called on, or an element of it, to be changed.
_GIVE_ELEMENTS = frozenset({"front", "back", "at", "begin", "end", "data", "value", "get", "first", "second"})
_KEEP_ELEMENTS = frozenset({"push_back", "emplace_back", "reserve"})
_TAKES_OVER = frozenset({"move", "swap", "exchange", "tie"})


def _changes(node: Node, fragment: Fragment, context: Context) -> bool:
    """Whether a use of a variable may give it another value, or another tensor: what is written into one does not."""
    while (parent := node.parent) is not None:
        if parent.type == "field_expression" and (call := _called(parent)) is not None:
            method = receiver_type_parts(parent)[1]
            kind = context.type_of(node, fragment)
            if kind.is_tensor or not kind.is_known or method in ("reset", "swap"):
                return method in ("reset", "swap")
            if method not in _GIVE_ELEMENTS:
                return method not in ASKING and method not in _KEEP_ELEMENTS and kind.name in _HOLDERS
            node = call
        elif parent.type in ("parenthesized_expression", "field_expression"):
            node = parent
        elif parent.type == "subscript_expression" and parent.child_by_field_name("argument") == node:
            if context.type_of(node, fragment).is_tensor:
                return False  # elements of its memory
            node = parent
        else:
            return _changes_by(parent, node, fragment, context)
    return False


_HOLDERS = frozenset({"vector", "optional", "map", "unordered_map", "list", "deque", "tuple", "array"})


def _called(callee: Node) -> Node | None:
    """The call of the method that `callee` names."""
    call = callee.parent
    is_call = call is not None and call.type == "call_expression" and call.child_by_field_name("function") == callee
    return call if is_call else None


def _changes_by(parent: Node, node: Node, fragment: Fragment, context: Context) -> bool:
    if parent.type == "assignment_expression":
        sign = text_of(parent.child_by_field_name("operator") or parent)
        is_left = parent.child_by_field_name("left") == node
        return is_left and (sign == "=" or not context.type_of(node, fragment).is_tensor)
    if parent.type == "update_expression":
        return True
    if parent.type == "pointer_expression":
        return text_of(parent).startswith("&")
    if parent.type in ("init_declarator", "for_range_loop"):
        return _is_bound(parent, node)
    call = parent.parent if parent.type == "argument_list" else None
    callee = call.child_by_field_name("function") if call is not None and call.type == "call_expression" else None
    if call is None or callee is None or node not in arguments_of(call):
        return False
    name = text_of(callee).partition("<")[0]
    if name.removeprefix("std::") in _TAKES_OVER:
        return True
    place = arguments_of(call).index(node)
    found = context.project.functions.named(name.rpartition("::")[2])
    if found and not any(function.is_definition for _, function in found):
        return any(_may_assign(function, place) for _, function in found)
    return any(_assigns(document, function, place) for document, function in found)


def _is_bound(declaration: Node, value: Node) -> bool:
    """Whether a reference that can be assigned to is made of `value`, or of its elements."""
    is_loop = declaration.type == "for_range_loop"
    if declaration.child_by_field_name("right" if is_loop else "value") != value:
        return False
    declarator = declaration.child_by_field_name("declarator")
    holder = declaration if is_loop else declaration.parent
    words = (
        [text_of(child) for child in holder.children if child.type == "type_qualifier"] if holder is not None else []
    )
    return declarator is not None and declarator.type == "reference_declarator" and "const" not in words


def _is_changed_by_calls(name: str, value: Node, around: Node, end: int, context: Context) -> bool:
    """Whether a function that is called behind `value` gives the member or global `name` another value."""
    finder = context.project.finder
    is_member = bool(finder.class_at(value)) and not finder.globals_have(name, context.document)
    waiting = [around]
    while waiting:
        node = waiting.pop()
        if node.start_byte >= end or node.end_byte <= value.end_byte:
            continue
        waiting += node.named_children
        callee = node.child_by_field_name("function") if node.type == "call_expression" else None
        if callee is None or callee.type != "identifier" or node.start_byte < value.end_byte:
            continue
        methods = finder.written.classes.with_method(text_of(callee)) if is_member else ()
        if any(one.definition is not None and _writes(name, text_of(one.definition).encode()) for one in methods):
            return True
        called = context.project.functions.named(text_of(callee)) if methods or not is_member else ()
        if any(function.body is None or _is_assigned(name, document, function) for document, function in called):
            return True
    return False


def _assigns(document: Document, function: Function, place: int) -> bool:
    """Whether a function of the project gives the variable it is handed as its argument `place` another value."""
    if not _may_assign(function, place) or not function.parameters[place].name:
        return False
    return function.body is not None and _is_assigned(function.parameters[place].name, document, function)


def _may_assign(function: Function, place: int) -> bool:
    """Whether a function is handed a reference that it could give another value."""
    if not 0 <= place < len(function.parameters):
        return False
    kind = parse_type(function.parameters[place].type_text)
    return kind.reference and not kind.const


def _is_assigned(name: str, document: Document, function: Function) -> bool:
    if function.body is None:
        return False
    return _writes(name, document.code[function.body.start : function.body.end])


def _writes(name: str, body: bytes) -> bool:
    word = re.escape(name.encode())
    return re.search(rb"(?<![\w.>])" + word + rb"\s*=(?!=)|\b(?:move|swap)\s*\(\s*" + word + rb"\b", body) is not None


_CAPTURES_ALL = re.compile(r"\[\s*(?:=|&\s*[,\]])")
# What code may be left out within, or run more than once.
_LOOPS = frozenset({"for_statement", "for_range_loop", "while_statement", "do_statement"})
_STEPS = 32
_REPEATED = _LOOPS | {"lambda_expression"}
_CHOICES = _LOOPS | {
    "if_statement", "else_clause", "switch_statement", "case_statement", "conditional_expression", "binary_expression",
    "lambda_expression", "try_statement", "catch_clause", "preproc_if", "preproc_ifdef", "preproc_else", "preproc_elif",
    "preproc_elifdef",
}  # fmt: skip


def _around(node: Node, declared: int) -> Iterator[Node]:
    """The loops and lambdas around `node` and behind the declaration of a variable, the innermost first."""
    walk = _loop_or_lambda(node)
    while walk is not None and walk.start_byte > declared:
        yield walk
        walk = _loop_or_lambda(walk)


@functools.lru_cache(maxsize=1 << 14)
def _loop_or_lambda(node: Node) -> Node | None:
    """The nearest loop or lambda around `node`; in deep code the answer of what is further out is kept."""
    walk, steps = parent_of(node), 0
    while walk is not None and walk.type not in _REPEATED:
        steps += walk.type == "compound_statement"
        if steps == _STEPS:
            return _loop_or_lambda(walk)
        walk = parent_of(walk)
    return walk


def _captures_by_name(node: Node, declared: int) -> bool:
    """Whether `node` sees the variable through a lambda that captures no others: `[&options](int n) { ... }`."""
    lambdas = (around for around in _around(node, declared) if around.type == "lambda_expression")
    captures = (around.child_by_field_name("captures") for around in lambdas)
    return any(one is None or not _CAPTURES_ALL.match(text_of(one)) for one in captures)


def _is_captured(start: int, fragment: Fragment) -> bool:
    """Whether a variable is declared in the captures of a lambda."""
    name = fragment.tree.root_node.descendant_for_byte_range(start, start + 1)
    within = around(name, ("lambda_capture_specifier", "compound_statement")) if name is not None else None
    return within is not None and within.type == "lambda_capture_specifier"


def _end_of_loops(node: Node, declared: int, tree: Tree) -> int:
    """Up to where an assignment may be what `node` sees: in a loop that the variable outlives also one behind it."""
    loops = [around.end_byte for around in _around(node, declared) if around.type in _LOOPS]
    return max(node.start_byte, end_of_turns(node.start_byte, declared, tree), *loops)


def _has_run_before(assignment: Node, node: Node, tree: Tree) -> bool:
    """Whether every way to `node` leads over `assignment`: nothing between it and what holds both is a choice."""
    if assignment.start_byte > node.start_byte or is_passed_over(assignment.start_byte, node.start_byte, tree):
        return False
    walk = assignment.parent
    while walk is not None and not walk.start_byte <= node.start_byte < walk.end_byte:
        if walk.type in _CHOICES:
            return False
        walk = walk.parent
    return walk is not None and (walk.type not in _CHOICES or walk.type == "case_statement")


def enclosing_block(node: Node) -> Node | None:
    """The statement block around `node`."""
    walk: Node | None = node.parent
    while walk is not None and walk.type not in ("compound_statement", "translation_unit"):
        walk = walk.parent
    return walk


def assignments(name: str, start: int, end: int, fragment: Fragment) -> Iterator[Node]:
    """The assignments to `name` between two offsets of the fragment, in order."""
    found = _assigned(fragment.tree, name)
    first = bisect_left(found, start, key=_start)
    return iter(found[first : bisect_left(found, end, first, key=_start)])


def uses_of(name: str, start: int, end: int, fragment: Fragment) -> Iterator[Node]:
    """The identifiers `name` between two offsets of the fragment, in order."""
    found = _used(fragment.tree, name)
    first = bisect_left(found, start, key=_start)
    return iter(found[first : bisect_left(found, end, first, key=_start)])


def _start(node: Node) -> int:
    return node.start_byte


# Every variable of a function is asked for again at every use of it: what a tree says of a name is found once.


@functools.lru_cache(maxsize=1 << 14)
def _assigned(tree: Tree, name: str) -> tuple[Node, ...]:
    parents = ((node, node.parent) for node in _used(tree, name))
    return tuple(
        parent
        for node, parent in parents
        if parent is not None and parent.type == "assignment_expression" and parent.child_by_field_name("left") == node
    )


@functools.lru_cache(maxsize=1 << 14)
def _used(tree: Tree, name: str) -> tuple[Node, ...]:
    wanted = name.encode()
    places = _words(tree).get(wanted, ())
    nodes = (tree.root_node.descendant_for_byte_range(place, place + len(wanted)) for place in places)
    return tuple(node for node in nodes if node is not None and node.type == "identifier" and text_of(node) == name)


@functools.lru_cache(maxsize=256)
def _words(tree: Tree) -> dict[bytes, list[int]]:
    """Where each word of the source begins."""
    found: dict[bytes, list[int]] = {}
    for match in _WORD.finditer(tree.root_node.text or b""):
        found.setdefault(match.group(), []).append(match.start())
    return found
