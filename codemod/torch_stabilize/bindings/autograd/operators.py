"""The C++ of an autograd function taken apart: functions that are operators, and what calls them.

All of it is legacy code, which the rest of a migration reads in place of the class.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch_stabilize.bindings.autograd.body import assignments, returns_of
from torch_stabilize.bindings.autograd.model import AutogradClass, Reason, is_tensor, is_tensor_list, plain_type
from torch_stabilize.bindings.autograd.text import found_in
from torch_stabilize.bindings.schemas.infer import read_type
from torch_stabilize.source.signatures import Function
from torch_stabilize.surface.schema import Type
from torch_stabilize.surface.snippet import ERROR_CODES

SHARING = """\
// Where the memory of a tensor begins.
static const void* {storage}(const at::Tensor& t) {{
  return static_cast<const char*>(t.data_ptr()) - t.storage_offset() * t.element_size();
}}

// What an operator gives back for its backward may not share the memory of an argument.
static at::Tensor {unshared}(const at::Tensor& kept, const std::vector<at::Tensor>& given) {{
  for (const at::Tensor& one : given) {{
    if (one.defined() && kept.defined() && {storage}(one) == {storage}(kept)) return kept.clone();
  }}
  return kept;
}}
"""
CHECKED = f"{ERROR_CODES}\n".encode()
_LIST = "std::vector<at::Tensor>"
_BOXED = {"int": "int64_t", "float": "double"}  # what the stack holds, by schema type


def forward_function(made: AutogradClass, name: str, unshared: str = "") -> bytes:
    """The operator of forward: its results, and behind them the tensors that are kept and nothing else has.

    `unshared` is the function that these go through where they may share memory with an argument, "" for none.
    """
    body = made.forward.body
    if unshared and made.forward.made:
        body = _with_unshared(made, body, unshared)
    count = len(made.forward.own) + len(made.forward.made)
    returned = _LIST if made.forward.gives_list else _returned(count)
    return f"{returned} {name}({_parameters(made)}) ".encode() + dedented(body)


def of_wrapper(made: AutogradClass, wrapper: Function) -> tuple[str, bytes]:
    """The parameters of forward with the types that the function around `apply` declares, and the body for them.

    Others call that function by its declaration. What forward takes as another type, and may change, is made of it.
    """
    taken, lines, body = [], [], made.forward.body
    for (kind, name), parameter in zip(made.parameters, wrapper.parameters, strict=True):
        declared = plain_type(parameter.type_text)
        if _same_type(kind, declared) or (_bare_type(kind) == _bare_type(declared) and _is_only_asked(body, name)):
            taken.append(f"{declared} {name}")
            continue
        given = parameter.name if parameter.name != name else f"given_{name}"
        taken.append(f"{declared} {given}")
        lines.append(f"{kind.removeprefix('const ').rstrip('& ')} {name} = {given};")
    opening = body.index(b"{") + 1
    indent = re.compile(rb"\s*?\n(?P<indent>[ \t]*)").match(body, opening)
    before = "".join(f"\n{(indent['indent'] if indent else b'  ').decode()}{line}" for line in lines)
    return ", ".join(taken), body[:opening] + before.encode() + body[opening:]


def _same_type(one: str, other: str) -> bool:
    return "".join(one.split()) == "".join(other.split())


def _bare_type(kind: str) -> str:
    """A type without what says how it is passed; at::, torch:: and c10:: spell the same types."""
    return re.sub(r"\bconst\b|&|\s|\b(?:at|torch|c10|std)::", "", kind)


def _is_only_asked(body: bytes, name: str) -> bool:
    """Whether a value is the same however it is passed: it gets no other, and no function that may give it one."""
    changes = rb"(?<![\w.>])(?:\w*(?:_out|_)\s*\(|std::(?:move|swap)\s*\()[^;]*\b" + name.encode() + rb"\b"
    return not assignments(body, name) and not found_in(changes, body)


def backward_function(made: AutogradClass, name: str) -> bytes:
    """The operator of backward."""
    parameters = ", ".join(f"{needed.cpp_type} {needed.name}" for needed in made.backward.parameters)
    returned = _LIST if made.backward.gives_list else _returned(made.backward.gradients_given)
    return f"{returned} {name}({parameters}) ".encode() + dedented(made.backward.body)


def apply_function(made: AutogradClass, name: str, operator: str) -> bytes:
    """What replaces `F::apply`: a call of `namespace::operator` through the dispatcher, autograd in Python."""
    own, back = made.forward.own, made.forward.given_back
    count = max(1, len(own) + len(made.forward.made)) if made.forward.gives_list else len(own) + len(made.forward.made)
    given = [_handed(kind, parameter) for kind, parameter in made.parameters]
    given += ["StableIValue{}"] * (count - len(given))
    results = [f"torch::stable::detail::to<at::Tensor>(ivalues[{i}])" for i in range(count)]
    taken = ", ".join(f"{'at::TensorList' if is_tensor_list(kind) else kind} {one}" for kind, one in made.parameters)
    lines = [f"static {made.returned} {name}({taken}) {{"]
    lines.append(f"  std::array<StableIValue, {len(given)}> ivalues{{")
    lines += [f"      {one}," for one in given[:-1]] + [f"      {given[-1]}}};"]
    lines.append("  STABLE_TORCH_ERROR_CODE_CHECK(torch_call_dispatcher(")
    lines.append(f'      "{operator}", "", ivalues.data(), TORCH_ABI_VERSION));')
    if made.forward.gives_list:
        return "\n".join([*lines, f"  return torch::stable::detail::to<{_LIST}>(ivalues[0]);", "}"]).encode()
    names = [back[i] or f"result_{i}" for i in range(made.forward.results)]
    lines += [f"  at::Tensor result_{i} = {text};" for i, text in zip(own, results, strict=False)]
    if made.forward.made:
        lines.append("  // backward has its own hold on these")
        lines += [f"  {text};" for text in results[len(own) :]]
    whole = names[0] if is_tensor(made.returned) else "{" + ", ".join(names) + "}"
    return "\n".join([*lines, f"  return {whole};", "}"]).encode()


def forward_schema(made: AutogradClass, name: str) -> str:
    """The schema of the operator of forward; raises Reason for a type that has none."""
    arguments = []
    labels = iter("abcdefgh")
    for kind, parameter in made.parameters:
        text = str(_schema_type(kind))
        if parameter in made.forward.dirty:
            text = text.replace("Tensor", f"Tensor({next(labels)}!)")
        arguments.append(f"{text} {parameter}")
    count = len(made.forward.own) + len(made.forward.made)
    given = "Tensor[]" if made.forward.gives_list else _schema_results(count)
    return f"{name}({', '.join(arguments)}) -> {given}"


def backward_schema(made: AutogradClass, name: str) -> str:
    """The schema of the operator of backward."""
    arguments = [f"{_schema_type(needed.cpp_type)} {needed.name}" for needed in made.backward.parameters]
    given = "Tensor[]" if made.backward.gives_list else _schema_results(made.backward.gradients_given)
    return f"{name}({', '.join(arguments)}) -> {given}"


def dedented(body: bytes) -> bytes:
    """A method's body as a function at file scope has it: one step to the left."""
    lines = body.strip().split(b"\n")
    closing = re.match(rb"[ \t]*", lines[-1])
    indent = closing.group() if closing and len(lines) > 1 else b""
    return b"\n".join(line.removeprefix(indent) for line in lines)


def _schema_type(kind: str, aliases: Mapping[str, str] | None = None) -> Type:
    found = read_type(kind, aliases or {})
    if found is None:
        raise Reason(f"`{kind}` has no schema type")
    return found


def _schema_results(count: int) -> str:
    return "Tensor" if count == 1 else f"({', '.join(['Tensor'] * count)})"


def _returned(count: int) -> str:
    if not count:
        return "void"
    return "at::Tensor" if count == 1 else f"std::tuple<{', '.join(['at::Tensor'] * count)}>"


def _parameters(made: AutogradClass) -> str:
    return ", ".join(f"{kind} {name}" for kind, name in made.parameters)


def _handed(kind: str, name: str) -> str:
    """An argument as the stack holds it: integers and floats are wide there."""
    if is_tensor_list(kind):
        return f"torch::stable::detail::from({name}.vec())"
    base = str(_schema_type(kind))
    wide = _BOXED.get(base)
    bare = re.sub(r"\bconst\b|&|\s", "", kind)
    if wide and bare != wide:
        return f"torch::stable::detail::from(static_cast<{wide}>({name}))"
    return f"torch::stable::detail::from({name})"


def _with_unshared(made: AutogradClass, body: bytes, unshared: str) -> bytes:
    tensors = [name for kind, name in made.parameters if is_tensor(kind) and "optional" not in kind]
    optional = [name for kind, name in made.parameters if is_tensor(kind) and "optional" in kind]
    given = ", ".join([*tensors, *(f"{name}.value_or(at::Tensor())" for name in optional)])
    returned = returns_of(body)[-1].start
    head, tail = body[:returned], body[returned:]
    end = len(tail)
    for one in reversed(made.forward.made):  # they are the last results, in this order
        text = one.text.encode()
        whole = re.compile(rb"(?<![\w.])" + re.escape(text) + rb"(?!\w)")
        last = [match.start() for match in whole.finditer(tail, 0, end)][-1]
        tail, end = tail[:last] + unshared.encode() + b"(" + text + b", given)" + tail[last + len(text) :], last
    match = re.compile(rb"\{[ \t]*\n?(?P<indent>[ \t]*)").match(head)
    indent = match["indent"] if match else b"  "
    opening = head.index(b"{") + 1
    line = f"const std::vector<at::Tensor> given = {{{given}}};".encode()
    return head[:opening] + b"\n" + indent + line + head[opening:] + tail
