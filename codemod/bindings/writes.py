"""Which of its tensors a function writes to, as far as its text and that of the kernels it calls tell.

Nothing here guesses: an access that is neither surely a read nor surely a write is unknown.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property

from codemod.source.brackets import split_spans
from codemod.source.document import Document
from codemod.source.signatures import Function, read_signatures
from codemod.source.types import parse_type

_READING_LIST = (
    "size sizes sym_size sym_sizes stride strides dim ndimension numel dtype scalar_type device is_cuda is_cpu is_meta "
    "defined has_value is_contiguous is_non_overlapping_and_dense element_size itemsize nbytes options get_device "
    "get_device_index const_data_ptr storage_offset layout type is_floating_point is_sparse is_same clone item "
    "suggest_memory_format numpy_T unsafeGetTensorImpl is_privateuseone"
)
_READING = frozenset(_READING_LIST.split())
_WRITING = frozenset({"resize_", "set_", "set_data"})
_POINTER = frozenset({"data_ptr", "mutable_data_ptr", "data"})
_ACCESS = re.compile(
    rb"(?P<deref>\*\s*)?(?<![\w.>])(?P<name>[A-Za-z_]\w*)(?P<value>\s*\.\s*value\s*\(\s*\))?"
    rb"(?:\s*(?:\.|->)\s*(?:template\s+)?(?P<method>[A-Za-z_]\w*)\s*(?P<arguments><[^;{}()]*>)?\s*\(|(?P<subscript>\s*\[))?"
)
_CAST_TO_CONST = re.compile(
    rb"(?:reinterpret_cast|static_cast)\s*<\s*(?:const\b|[\w:<>, ]+\bconst\b)[^()]*>\s*\(\s*(?:\(\s*\w+\s*\*\s*\)\s*)?$"
)
_ASSIGNED_TO_CONST = re.compile(rb"\bconst\b[\w:<>, \t]*\*[\w \t]*=\s*(?:[\w:]+\s*<[^;()]*>\s*\(\s*)*$")
_DEPTH = 3


class Access(Enum):
    """What a function does with a parameter."""

    READ = "read"
    WRITE = "write"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Program:
    """The documents a function and what it calls are looked up in."""

    documents: Sequence[Document]

    @cached_property
    def functions(self) -> dict[str, list[tuple[Document, Function]]]:
        """Every function by its bare name."""
        found: dict[str, list[tuple[Document, Function]]] = {}
        for document in self.documents:
            for function in read_signatures(document):
                found.setdefault(function.name, []).append((document, function))
        return found

    @cached_property
    def macros(self) -> dict[str, bytes]:
        """The bodies of function-like macros by name, continuations joined."""
        found: dict[str, bytes] = {}
        for document in self.documents:
            for macro in document.macros:
                body = document.code[macro.body.start : macro.body.end]
                found.setdefault(macro.name, re.sub(rb"\\\r?\n", b" ", body))
        return found


def accesses(document: Document, function: Function, program: Program) -> dict[str, Access]:
    """What `function`, defined in `document`, does with each of its parameters that is a tensor or holds one."""
    tensors = [p.name for p in function.parameters if re.search(r"\bTensor\b|\bTensorList\b", p.type_text) and p.name]
    if function.body is None:
        return dict.fromkeys(tensors, Access.UNKNOWN)
    text = _with_macros(document.code[function.body.start : function.body.end], program)
    return {name: _access(text, name, program) for name in tensors}


def _with_macros(text: bytes, program: Program) -> bytes:
    """A body with the bodies of the macros that it calls behind it."""
    parts, seen, waiting = [text], set[str](), [text]
    while waiting:
        for match in re.finditer(rb"\b[A-Z][A-Z0-9_]{2,}\b", waiting.pop()):
            name = match.group().decode()
            if name in program.macros and name not in seen:
                seen.add(name)
                parts.append(program.macros[name])
                waiting.append(program.macros[name])
    return b"\n;\n".join(parts)


def _access(text: bytes, name: str, program: Program) -> Access:
    found = set(_uses(text, name.encode(), program, 0))
    if Access.WRITE in found:
        return Access.WRITE
    return Access.UNKNOWN if Access.UNKNOWN in found or not found else Access.READ


def _uses(text: bytes, name: bytes, program: Program, depth: int) -> Iterator[Access]:
    for match in _ACCESS.finditer(text):
        if match.group("name") == name:
            yield _use(text, match, program, depth)


def _use(text: bytes, match: re.Match[bytes], program: Program, depth: int) -> Access:
    method = (match.group("method") or b"").decode()
    if method == "value":  # optional: x.value().method(...)
        inner = re.compile(rb"\s*\)\s*\.\s*(?:template\s+)?(?P<method>\w+)\s*(?P<arguments><[^;{}()]*>)?\s*\(").match(
            text, match.end()
        )
        method = inner.group("method").decode() if inner else ""
    if method in _READING:
        return Access.READ
    if method in _WRITING or (method.endswith("_") and not method.startswith("_")):
        return Access.WRITE
    if method in _POINTER:
        return _pointer(text, match, program, depth)
    if method or match.group("subscript"):
        return Access.UNKNOWN
    before, after = text[max(0, match.start() - 60) : match.start()], text[match.end() : match.end() + 40]
    if re.match(rb"\s*(?:\)|,)", after) and re.search(
        rb"\b(?:OptionalCUDAGuard|CUDAGuard|device_of|DeviceGuard)\b[\w\s]*\(\s*(?:\w+\()?\s*$", before
    ):
        return Access.READ
    if re.match(rb"\s*(?:\?(?!:)|&&|\|\||\)\s*(?:\{|return\b|\?|&&|\|\|))", after) and re.search(
        rb"(?:\(|!|&&|\|\||=)\s*$", before
    ):
        return Access.READ  # a truth value of an optional
    return Access.UNKNOWN


def _pointer(text: bytes, match: re.Match[bytes], program: Program, depth: int) -> Access:
    """`x.data_ptr<T>()`: a read where it becomes a pointer to const, a write where the callee writes through it."""
    arguments = match.group("arguments") or b""
    if re.search(rb"\bconst\b", arguments):
        return Access.READ
    before = text[max(0, match.start() - 160) : match.start()]
    if _CAST_TO_CONST.search(before) or _ASSIGNED_TO_CONST.search(before):
        return Access.READ
    place = _argument_place(text, match.start())
    if place is None or depth >= _DEPTH:
        return Access.UNKNOWN
    callee, index = place
    return _callee_access(program, callee, index, depth)


def _callee_access(program: Program, callee: str, index: int, depth: int) -> Access:
    found: set[Access] = set()
    for document, function in program.functions.get(callee, ()):
        if index >= len(function.parameters):
            continue
        parameter = function.parameters[index]
        if "*" not in parameter.type_text:
            continue
        if re.search(r"\bconst\b[^*]*\*|\bconst\s*\*", parameter.type_text):
            found.add(Access.READ)
        elif function.body is not None:
            body = _with_macros(document.code[function.body.start : function.body.end], program)
            found.add(_through_pointer(body, parameter.name.encode(), program, depth))
    return found.pop() if len(found) == 1 else Access.WRITE if Access.WRITE in found else Access.UNKNOWN


def _through_pointer(body: bytes, name: bytes, program: Program, depth: int) -> Access:
    """Whether a body writes through the pointer `name`."""
    quoted = re.escape(name)
    stored = rb"(?:=(?!=)|[-+*/|&^]=|\+\+|--)"
    if re.search(rb"(?<![\w.])" + quoted + rb"\s*\[(?:[^\[\];]|\[[^\[\]]*\])*\]\s*" + stored, body):
        return Access.WRITE
    if re.search(rb"(?:^|[;{}(])\s*\*\s*" + quoted + rb"\s*" + stored, body):
        return Access.WRITE
    if re.search(rb"\batomic\w+\s*\(\s*&?\s*" + quoted + rb"\b", body):
        return Access.WRITE
    for match in re.finditer(rb"(?<![\w.])" + quoted + rb"\b", body):
        place = _argument_place(body, match.start())
        passed = place is not None and re.match(rb"\s*(?:\+[^,;()]*)?[,)]", body[match.end() :])
        if passed and place and depth + 1 < _DEPTH and _callee_access(program, *place, depth + 1) is Access.WRITE:
            return Access.WRITE
    return Access.UNKNOWN


def _argument_place(text: bytes, offset: int) -> tuple[str, int] | None:
    """The function in whose argument list `offset` stands, and the argument's index; casts are looked through."""
    depth, index = 0, offset - 1
    while index >= 0:
        character = text[index : index + 1]
        if character in b")]}":
            depth += 1
        elif character in b"([{":
            if depth == 0:
                break
            depth -= 1
        elif character == b";" and depth == 0:
            return None
        index -= 1
    if index < 0 or text[index : index + 1] != b"(":
        return None
    head = text[max(0, index - 400) : index]
    if re.search(rb"(?:reinterpret_cast|static_cast|const_cast)\s*<[^;()]*>\s*$", head):
        cast = re.search(rb"(?:reinterpret_cast|static_cast|const_cast)\s*<[^;()]*>\s*$", head)
        assert cast is not None
        return _argument_place(text, index - (len(head) - cast.start()))
    called = re.search(rb"(?P<name>[A-Za-z_]\w*)\s*(?:<(?:[^;<>]|<[^;<>]*>)*>)?\s*(?:<<<[^;]*?>>>)?\s*$", head)
    if called is None:
        return None
    parts = split_spans(text, index + 1, offset)
    return called.group("name").decode(), max(0, len(parts) - 1) if parts and text[index + 1 : offset].strip() else 0


def returned_parameters(document: Document, function: Function) -> tuple[str, ...]:
    """The tensor parameters that `function` may return: `return x;`, also through a local or as a view of it."""
    if function.body is None:
        return ()
    text = document.code[function.body.start : function.body.end]
    return tuple(
        parameter.name
        for parameter in function.parameters
        if parameter.name
        and parse_type(parameter.type_text).is_tensor
        and _is_returned(text, parameter.name.encode(), 0)
    )


def _is_returned(text: bytes, name: bytes, depth: int) -> bool:
    quoted = re.escape(name)
    view = rb"(?:\s*\.\s*(?:view|reshape|view_as|flatten|squeeze|unsqueeze|transpose|t)\s*\([^;]*\))?"
    if re.search(rb"\breturn\s+(?:std::move\(\s*)?" + quoted + view + rb"\s*\)?\s*;", text):
        return True
    local = rb"\b(?P<local>[A-Za-z_]\w*)\s*=\s*(?:[^;?]*\?\s*(?:[^;:]*:\s*)?)?" + quoted + view + rb"\s*(?::[^;]*)?;"
    return depth < 2 and any(
        match.group("local") != name and _is_returned(text, match.group("local"), depth + 1)
        for match in re.finditer(local, text)
    )


def written(found: Iterable[tuple[str, Access]], function: Function) -> frozenset[str]:
    """The parameters to mark as written: those that surely are, and non-const references of which nothing is known."""
    types = {parameter.name: parameter.type_text for parameter in function.parameters}
    return frozenset(
        name
        for name, access in found
        if access is Access.WRITE
        or (access is Access.UNKNOWN and types[name].rstrip().endswith("&") and "const" not in types[name])
    )
