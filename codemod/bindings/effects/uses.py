"""What is done with a tensor or a pointer at one place: the call it goes into, the local it is bound to, the store.

Works on the text of a function's body, with the bodies of the macros it calls behind it. Nothing here guesses: what is
neither surely a read nor surely a write is unknown.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from codemod.bindings.effects.program import MACROS, Access, Program, combined
from codemod.source.brackets import closing_bracket, split_spans
from codemod.source.patterns import word_start
from codemod.surface.schemas import cpp_arguments, overloads

_READING_LIST = (
    "size sizes sym_size sym_sizes stride strides dim ndimension ndim numel dtype scalar_type device is_cuda is_cpu "
    "is_meta defined has_value is_contiguous is_non_overlapping_and_dense element_size itemsize nbytes options "
    "get_device get_device_index const_data_ptr storage_offset layout type is_floating_point is_sparse is_same clone "
    "item suggest_memory_format unsafeGetTensorImpl is_privateuseone empty sizes_and_strides name toString "
    "requires_grad is_complex is_signed is_hip is_xpu is_mps is_quantized"
)
_READING = frozenset(_READING_LIST.split())
_WRITING = frozenset({"resize_", "set_", "set_data"})
_POINTER = frozenset({"data_ptr", "mutable_data_ptr", "data"})
_ACCESSOR = frozenset(
    {"accessor", "packed_accessor", "packed_accessor32", "packed_accessor64", "generic_packed_accessor"}
)
_SAME = frozenset({"value", "back", "front", "at", "get", "detach", "data", "flatten", "value_or"})
_BY_VALUE_LIST = (
    "if while switch return sizeof float double int int64_t int32_t uint32_t bool half max min fmaxf fminf abs fabsf "
    "exp expf log logf sqrt sqrtf rsqrtf floor ceil round pow powf isnan isinf tanh tanhf __float2half __half2float "
    "__float2bfloat16 __bfloat162float __ldg size_t long"
)
_BY_VALUE = frozenset(_BY_VALUE_LIST.split())
_MAYBE_A_COPY = frozenset({"contiguous", "to", "reshape", "flatten", "type", "cuda", "cpu", "ravel", "value_or"})
_GUARDS = re.compile(r"(?:\w*::)*(?:Optional)?(?:CUDA|HIP|Device)\w*Guard\w*|device_of|sizeof|ignore")
# What functions of C and CUDA do with their pointers: W writes, R reads.
_POINTER_FUNCTIONS = {
    "memcpy": "WR", "memmove": "WR", "memset": "W", "cudaMemcpyAsync": "WR", "cudaMemcpy": "WR", "cudaMemsetAsync": "W",
    "cudaMemset": "W", "fill": "W", "fill_n": "W", "iota": "W", "sort": "W", "copy": "RRW", "copy_n": "R?W",
    "accumulate": "RR", "max_element": "RR", "min_element": "RR", "printf": "?RRRRRR", "__ldg": "R", "ldg": "R",
    "static_pointer_cast": "?",
}  # fmt: skip
_CHECKS = ("TORCH_CHECK", "STD_TORCH_CHECK", "AT_ASSERT", "AT_ERROR", "TORCH_INTERNAL_ASSERT")
_WITH_OFFSET = re.compile(rb"\s*(?:[-+][^,;(){}]*(?:\([^(){};]*\)[^,;(){}]*)*)?\)")
_METHOD = re.compile(rb"\s*(?:\.|->)\s*(?:template\s+)?(?P<method>[A-Za-z_]\w*)\s*(?P<arguments><[^;{}()]*>)?\s*\(")
_MEMBER = re.compile(rb"\s*(?:\.|->)")
_SHAPE = re.compile(rb"\s*\.\s*(?:size|stride|sizes|strides)\s*\(")
_WORD = re.compile(rb"\w")
_STORE = re.compile(rb"\s*(?:=(?!=)|[-+*/%|&^]=|<<=|>>=|\+\+|--)")
_CAST = re.compile(
    rb"(?:(?:reinterpret|static|const)_cast\s*<(?P<type>[^;()]*)>\s*|\(\s*(?P<old>[\w:\s]+(?:<[^;()]*>)?\s*\*)\s*\)\s*)$"
)
_DECLARED = re.compile(
    rb"(?<![\w:])(?P<type>(?:const\s+)?(?:[\w:]+)(?:\s*<[^;{}()]*>)?(?:\s+const)?[\s*&]*(?:\b(?:const|__restrict__|__restrict|RESTRICT)\s+)*)"
    rb"(?<![\w.>])(?P<local>[A-Za-z_]\w*)\s*(?:=|\{|\()\s*$"
)
_REBOUND = re.compile(rb"(?:^|[;{}])\s*(?P<local>[A-Za-z_]\w*)\s*=\s*$")
_CALLED = re.compile(
    rb"(?<![A-Za-z_])(?P<name>(?:[A-Za-z_]\w*\s*::\s*)*[A-Za-z_]\w*)\s*(?:<(?:[^;<>]|<[^;<>]*>)*>\s*)?(?:<<<[^;]*?>>>\s*)?$"
)
_BRACKET_OR_END = re.compile(rb"[()\[\]{};]")
_CHUNK = 256  # bytes looked at in one go, from behind
_DEPTH = 4


def tensor_uses(text: bytes, name: bytes, program: Program, depth: int = 0) -> Iterator[Access]:
    """What `text` does with the tensor (or the list or optional of tensors) `name`, use by use."""
    for place in _places(text, name):
        if text[max(0, place - 20) : place].rstrip().endswith(b"#"):
            yield Access.READ  # its name alone, as the text that a macro prints
        elif text[place - 2 : place] != b"::":
            yield _tensor(text, place, place + len(name), program, depth)


def _tensor(text: bytes, start: int, end: int, program: Program, depth: int) -> Access:
    """A tensor expression that runs from `start` to `end`."""
    if depth > _DEPTH:
        return Access.UNKNOWN
    called = _METHOD.match(text, end)
    if called is not None:
        return _method(text, start, called, program, depth)
    subscript = re.compile(rb"\s*\[").match(text, end)
    if subscript is not None:
        return _tensor(text, start, _behind(text, subscript.end() - 1), program, depth)
    if text[start - 1 : start] == b"*":  # of an optional
        start -= 1
        if text[start - 1 : start] == b"(" and text[end : end + 1] == b")":
            return _tensor(text, start - 1, end + 1, program, depth)
    if _STORE.match(
        text, end
    ):  # a name that is assigned to is another tensor from now on, an element of one is written
        is_rebound = text[end:].lstrip()[:1] == b"=" and text[end - 1 : end] != b"]"
        return Access.READ if is_rebound else Access.WRITE
    before, after = _before(text, start), text[end : end + 40]
    if bound := _bound(before):
        return _through_local(text, end, bound[0], tensor_uses, program, depth, lives_on=bound[1])
    if re.search(rb"\breturn\s*(?:\(|\{[^{};]*)?$", before):
        return Access.READ
    if re.search(rb"\b(?:if|while)\s*\(\s*!?\s*$", before) and after.lstrip().startswith(b")"):
        return Access.READ  # a truth value of an optional
    if re.match(rb"\s*(?:\?(?!:)|&&|\|\||\)\s*(?:\{|return\b|\?|&&|\|\|))", after) and re.search(
        rb"(?:\(|!|&&|\|\||=)\s*$", before
    ):
        return Access.READ
    if re.search(rb":\s*$", before) and re.search(rb"\bfor\s*\(([^;()]*?)(\w+)\s*:\s*$", before):
        element = re.search(rb"(\w+)\s*:\s*$", before)
        assert element is not None
        return combined(tensor_uses(_in_scope(text, end), element.group(1), program, depth + 1)) or Access.READ
    place = argument_place(text, start)
    if place is None or not re.match(rb"\s*[,)}]", after):
        return Access.UNKNOWN
    return _tensor_argument(program, *place, depth)


def _method(text: bytes, start: int, called: re.Match[bytes], program: Program, depth: int) -> Access:
    method = called.group("method").decode()
    end = _behind(text, called.end() - 1)
    if method in _POINTER and (method != "data" or called.group("arguments")):
        return _pointer(text, start, end, called.group("arguments") or b"", program, depth)
    if method in _ACCESSOR:
        return _pointer(text, start, end, called.group("arguments") or b"", program, depth)
    if method in _READING:
        return Access.READ
    if method in _WRITING or (method.endswith("_") and not method.startswith("_")):
        return Access.WRITE
    done = torch_access(method, 0)
    if done == "view" or (done is None and method in _SAME):
        through = _tensor(text, start, end, program, depth + 1)
        return Access.UNKNOWN if through is Access.WRITE and method in _MAYBE_A_COPY else through
    return _answer(done)


def torch_access(name: str, index: int) -> str | None:
    """What torch's `name` does with its argument `index`: "read", "write", "view" or None where nobody knows."""
    found = set()
    for op in overloads(name):
        arguments = cpp_arguments(op)
        if index < len(arguments) and arguments[index].type.startswith("Tensor"):
            is_view = op.aliases and not arguments[index].is_written and index == 0
            found.add("write" if arguments[index].is_written else "view" if is_view else "read")
    if found == {"read", "view"}:
        return "view"
    return found.pop() if len(found) == 1 else None


def _tensor_argument(program: Program, callee: str, index: int, depth: int) -> Access:
    """A tensor handed to `callee` as its argument `index`."""
    bare = callee.rpartition("::")[2]
    if callee.startswith("."):
        return _answer(torch_access(callee[1:], index + 1))
    if _GUARDS.fullmatch(bare):
        return Access.READ
    found: set[Access] = set()
    if bare in program.macro_table and bare.isupper():
        parameters, body = program.macro_table[bare]
        if parameters and index < len(parameters) and not parameters[index].startswith("..."):
            found.add(combined(tensor_uses(body, parameters[index].encode(), program, depth + 1)) or Access.READ)
    for document, function in program.functions.named(bare) if not found else ():
        if index < len(function.parameters) and function.body is not None:
            name = function.parameters[index].name.encode()
            body = program.body(document, function)
            found.add((combined(tensor_uses(body, name, program, depth + 1)) if name else None) or Access.READ)
    if found:
        return combined(found) or Access.UNKNOWN
    if bare.startswith(_CHECKS):
        return Access.READ
    return _answer(torch_access(bare, index) if callee.startswith(("at::", "torch::")) else None)


def _answer(done: str | None) -> Access:
    return {"read": Access.READ, "write": Access.WRITE}.get(done or "", Access.UNKNOWN)


def _pointer(text: bytes, start: int, end: int, arguments: bytes, program: Program, depth: int) -> Access:
    """A pointer expression (or an accessor) from `start` to `end`, casts around it looked through."""
    if re.search(rb"\bconst\b", arguments) or depth > _DEPTH:
        return Access.READ if depth <= _DEPTH else Access.UNKNOWN
    while True:
        before = _before(text, start)
        is_alone = _WITH_OFFSET.match(text, end)
        cast = _cast(before.removesuffix(b"(") if is_alone else before)
        if cast is None or (cast.group("type") is not None) != (is_alone is not None and before.endswith(b"(")):
            break
        if cast.group("old") is not None and re.compile(rb"\s*\[").match(text, end):
            break  # a cast of the element
        if re.search(rb"\bconst\b", cast.group("type") or cast.group("old") or b""):
            return Access.READ
        if cast.group("type") is not None and is_alone is not None:
            end = is_alone.end()
        start -= len(before) - cast.start()
    return _pointed(text, start, end, program, depth)


def _pointed(text: bytes, start: int, end: int, program: Program, depth: int) -> Access:
    """What is done with the memory that the expression from `start` to `end` points to."""
    before, after = _before(text, start), text[end : end + 200]
    subscript = re.compile(rb"\s*\[").match(text, end)
    if subscript is not None:
        while subscript is not None:
            end = _behind(text, subscript.end() - 1)
            subscript = re.compile(rb"\s*\[").match(text, end)
        if member := re.compile(rb"\s*(?:\.|->)\s*\w+\s*(?!\()").match(text, end):
            end = member.end()
        if _STORE.match(text, end) or re.search(rb"(?:\+\+|--)\s*$", before):
            return Access.WRITE
        if not before.rstrip().endswith(b"&") or before.rstrip().endswith(b"&&"):
            return _value(text, start, end)
        # `&x[i]` is a pointer again
        return _pointer(text, len(text[:start].rstrip()) - 1, end, b"", program, depth + 1)
    if re.search(rb"(?:^|[^\w)\]\s])\s*\*\s*$", before):  # dereferenced
        return Access.WRITE if _STORE.match(text, end) else _value(text, start, end)
    if re.search(rb"\*\s*\(\s*$", before) and (summed := re.match(rb"\s*\+[^;(){}]*\)", after)):
        return Access.WRITE if _STORE.match(text, end + summed.end()) else _value(text, start, end + summed.end())
    if re.search(rb"\bconst\b[\w:<>, \t]*\*[\w \t]*(?:=|\{|\()\s*$", before):
        return Access.READ
    if (
        (declared := _ending(_DECLARED, before, (b"=", b"{", b"(")))
        and not _is_keyword(declared)
        and b"(" not in before[declared.end("local") :]
    ):
        return _through_local(text, end, declared.group("local"), pointer_uses, program, depth)
    if re.match(rb"\s*(?:==|!=|\?|&&|\|\||\)\s*\{)", after) or re.search(rb"(?:==|!=|!|&&|\|\|)\s*$", before):
        return Access.READ
    if re.match(rb"\s*(?:\+=|-=|\+\+|--)", after) or re.search(rb"(?:\+\+|--)\s*$", before):
        return Access.READ  # the pointer itself moves
    place = argument_place(text, start)
    if place is None or not re.match(rb"\s*(?:[-+][^,;()]*(?:\([^()]*\)[^,;()]*)*)?[,)}]", after):
        return Access.UNKNOWN
    return _pointer_argument(program, *place, depth)


def _value(text: bytes, start: int, end: int) -> Access:
    """An element that nothing is stored to here: read, unless a reference to it goes somewhere."""
    before = _before(text, start).rstrip(b" \t\n*(")
    if re.search(rb"\w\s*&\s*\w+\s*=$", before) and not re.search(rb"\bconst\b[^;{}=]*=$", before):
        return Access.UNKNOWN
    opened = _before(text, start).rstrip(b" \t\n*")
    if not opened.endswith((b"(", b",")) or not re.compile(rb"\s*[,)]").match(text, end):
        return Access.READ
    place = argument_place(text, start)
    if place is None or place[0] in _BY_VALUE or place[0].rpartition("::")[2] in _BY_VALUE:
        return Access.READ
    return Access.UNKNOWN


def pointer_uses(text: bytes, name: bytes, program: Program, depth: int = 0) -> Iterator[Access]:
    """What `text` does with what the pointer or accessor `name` points to, use by use."""
    for place in _places(text, name):
        end = place + len(name)
        if _SHAPE.match(text, end):
            yield Access.READ
        elif _MEMBER.match(text, end):
            yield Access.UNKNOWN
        else:
            yield _pointer(text, place, end, b"", program, depth)


def _pointer_argument(program: Program, callee: str, index: int, depth: int) -> Access:
    """A pointer handed to `callee` as its argument `index`."""
    bare = callee.rpartition("::")[2]
    if bare.startswith(("atomic", "gpuAtomic")):
        return Access.WRITE if index == 0 else Access.READ
    if bare in _POINTER_FUNCTIONS:
        kinds = _POINTER_FUNCTIONS[bare]
        return {"W": Access.WRITE, "R": Access.READ}.get(kinds[index] if index < len(kinds) else "?", Access.UNKNOWN)
    found: set[Access] = set()
    for document, function in program.functions.named(bare):
        if index >= len(function.parameters):
            continue
        parameter = function.parameters[index]
        if re.search(r"\bconst\b[^*]*\*|\bconst\s*\*|Accessor\w*\s*<\s*const\b", parameter.type_text):
            found.add(Access.READ)
        elif function.body is not None and parameter.name and re.search(r"\*|Accessor", parameter.type_text):
            body = program.body(document, function)
            found.add(combined(pointer_uses(body, parameter.name.encode(), program, depth + 1)) or Access.READ)
    return combined(found) or Access.UNKNOWN


def _bound(before: bytes) -> tuple[bytes, bool] | None:
    """The local that an expression behind `before` is bound to, and whether it was there before.

    It was not for `auto y = ` and `at::Tensor y = `, and it was for `y = `.
    """
    declared = _ending(_DECLARED, before, (b"=",))
    if declared is not None and not _is_keyword(declared):
        return declared.group("local"), False
    rebound = _ending(_REBOUND, before, (b"=",))
    return (rebound.group("local"), True) if rebound else None


def _ending(pattern: re.Pattern[bytes], before: bytes, ends: tuple[bytes, ...]) -> re.Match[bytes] | None:
    """Where `pattern`, which ends in one of `ends`, runs to the end of `before`; it is tried only where one stands."""
    return pattern.search(before) if before.rstrip().endswith(ends) else None


def _cast(before: bytes) -> re.Match[bytes] | None:
    """The cast at the end of `before`; it is looked for only where a star or a word of C++ says that there is one."""
    written = before.rstrip()
    is_old = written.endswith(b")") and written[:-1].rstrip().endswith(b"*")
    return _CAST.search(before) if is_old or (written.endswith(b">") and b"_cast" in written) else None


def _is_keyword(declared: re.Match[bytes]) -> bool:
    kind = declared.group("type").strip()
    return kind in (b"", b"return", b"else", b"throw", b"new", b"delete", b"case", b"goto", b"co_return")


def _through_local(
    text: bytes,
    end: int,
    local: bytes,
    uses: Callable[[bytes, bytes, Program, int], Iterator[Access]],
    program: Program,
    depth: int,
    *,
    lives_on: bool = False,
) -> Access:
    """What is done through a local that is bound up to `end`; a write through one that is bound again is unknown.

    One that `lives_on` behind the block that `end` lies in may be used there too.
    """
    scope = text[end:] if lives_on else _in_scope(text, end)
    found = combined(uses(scope, local, program, depth + 1)) or Access.READ
    if found is not Access.WRITE:
        return found
    rebound = re.search(word_start(local, rb"\w.>*&") + rb"\s*=(?!=)", scope) is not None
    return Access.UNKNOWN if rebound else found


def _places(text: bytes, name: bytes) -> Iterator[int]:
    """Where `name` stands as a word of its own that is no member of something."""
    place = text.find(name)
    while place >= 0:
        before, behind = text[max(0, place - 2) : place], text[place + len(name) : place + len(name) + 1]
        is_whole = not (_WORD.match(before[-1:]) or _WORD.match(behind))
        if is_whole and before != b"->" and not before.endswith(b"."):
            yield place
        place = text.find(name, place + 1)


def _in_scope(text: bytes, start: int) -> bytes:
    """What follows `start` in its block, and the macro bodies behind the function: where a local is seen."""
    own = text.find(MACROS, start)
    end = own = len(text) if own < 0 else own
    depth = 0
    for brace in re.compile(rb"[{}]").finditer(text, start, own):
        depth += 1 if brace.group() == b"{" else -1
        if depth < 0:
            end = brace.start()
            break
    return text[start:end] + text[own:]


def _before(text: bytes, offset: int, most: int = 300) -> bytes:
    """The last bytes before `offset`, at `most` so many, of the statement it stands in."""
    return text[max(0, offset - most, text.rfind(b";", 0, offset) + 1) : offset]


def _behind(text: bytes, opening: int) -> int:
    """The offset behind the bracket that closes the one at `opening`; the end of the text where none does."""
    closing = closing_bracket(text, opening)
    return closing + 1 if closing >= 0 else len(text)


def _open_bracket(text: bytes, offset: int) -> int:
    """The offset of the innermost bracket that is open at `offset`, -1 where a statement begins behind it."""
    depth, end = 0, offset
    while end > 0:
        start = max(0, end - _CHUNK)
        for sign in reversed(list(_BRACKET_OR_END.finditer(text, start, end))):
            if sign.group() in b")]}":
                depth += 1
            elif depth == 0:
                return -1 if sign.group() == b";" else sign.start()
            elif sign.group() != b";":
                depth -= 1
        end = start
    return -1


def argument_place(text: bytes, offset: int) -> tuple[str, int] | None:
    """The function in whose argument list `offset` stands, and the argument's index; casts are looked through.

    A method has a dot in front of its name.
    """
    index = _open_bracket(text, offset)
    if index < 0 or text[index : index + 1] == b"[":
        return None
    head = _before(text, index, 400)
    if cast := re.search(rb"(?:reinterpret_cast|static_cast|const_cast)\s*<[^;()]*>\s*$", head):
        return argument_place(text, index - (len(head) - cast.start()))
    called = _CALLED.search(head)
    if called is None:
        return None
    parts = split_spans(text, index + 1, offset)
    name = "".join(called.group("name").decode().split())
    if re.search(rb"(?:\.|->)\s*(?:template\s+)?$", head[: called.start()]):
        name = f".{name}"
    return name, max(0, len(parts) - 1) if parts and text[index + 1 : offset].strip() else 0
