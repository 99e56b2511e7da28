"""`class F : public torch::autograd::Function<F>`: where such classes are, and what they do.

`Reason` says what a class does that no operator and no Python can stand for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from torch_stabilize.bindings.autograd.backward import read_backward
from torch_stabilize.bindings.autograd.forward import read_forward
from torch_stabilize.bindings.autograd.model import AutogradClass, Reason, is_tensor, plain_type, plain_types
from torch_stabilize.model import Span
from torch_stabilize.source.brackets import partners
from torch_stabilize.source.document import Document
from torch_stabilize.source.signatures import Function, read_signatures

_CLASS = re.compile(
    rb"\b(?:class|struct)\s+(?P<name>\w+)\s*(?:final\s*)?:\s*(?:public\s+)?(?:\w+\s*::\s*)*"
    rb"Function\s*<\s*(?P=name)\s*>\s*\{"
)
_ACCESS = re.compile(rb"\b(?:public|private|protected)\s*:")
_TENSOR_LIST = re.compile(
    r"\b(?:vector|ArrayRef|List)\s*<\s*(?:at::|torch::)?(?:Tensor|Variable)\s*>|\b(?:variable_list|tensor_list|TensorList)\b"
)


def autograd_classes(document: Document) -> Iterator[tuple[str, Span, Span]]:
    """Name, span and body of every autograd function that `document` defines."""
    for match in _CLASS.finditer(document.code):
        end = partners(document).get(match.end() - 1)
        if end is not None:
            semicolon = re.compile(rb"\s*;").match(document.code, end + 1)
            span = Span(match.start(), semicolon.end() if semicolon else end + 1)
            yield match["name"].decode(), span, Span(match.end(), end)


def read_class(
    document: Document, name: str, span: Span, body: Span, converters: frozenset[str] = frozenset()
) -> AutogradClass:
    """The class at `span`. `converters` are functions that make a vector of a c10::List.

    Raises Reason for what is not read.
    """
    text = _ACCESS.sub(lambda m: b" " * len(m.group()), document.code[body.start : body.end])
    inside = Document("class.cpp", text)
    methods = {f.name: f for f in read_signatures(inside) if f.is_definition}
    if set(methods) != {"forward", "backward"}:
        held = ", ".join(sorted(methods)) or "nothing that can be read"
        raise Reason(f"it has {held} and not forward and backward alone")
    forward, backward = methods["forward"], methods["backward"]
    if not forward.parameters or "AutogradContext" not in forward.parameters[0].type_text:
        raise Reason("its forward has no context")
    if forward.template or backward.template:
        raise Reason("it is a template")
    if len(backward.parameters) != 2:
        raise Reason("its backward does not take a context and a list of gradients")
    parameters = tuple((plain_type(p.type_text), p.name) for p in forward.parameters[1:])
    if lists := [name for kind, name in parameters if _TENSOR_LIST.search(kind)]:
        raise Reason(f"its forward takes {', '.join(lists)}, a list of tensors")
    returned = re.sub(r"\s+", " ", plain_type(forward.return_type)).strip()
    several = not is_tensor(returned)
    if several and not re.fullmatch(
        r"std::vector<at::Tensor>|(?:std::)?tuple ?<(?: ?(?:at::|torch::)?Tensor ?,?)+>", returned
    ):
        raise Reason(f"its forward gives {forward.return_type}")
    source = document.data[body.start : body.end]
    context = forward.parameters[0].name
    does = read_forward(plain_types(_body(source, forward)), context, parameters, several)
    context, gradients = (parameter.name for parameter in backward.parameters)
    gives = read_backward(plain_types(_body(source, backward)), context, gradients, parameters, does, converters)
    return AutogradClass(name, span, parameters, returned, does, gives)


def _body(source: bytes, function: Function) -> bytes:
    return source[function.body.start : function.body.end] if function.body is not None else b""
