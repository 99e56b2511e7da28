"""`class F : public torch::autograd::Function<F>`: where such classes are, and what they do.

`Reason` says what a class does that no operator and no Python can stand for.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping

from torch_stabilize.bindings.autograd.backward import read_backward, tensors_kept
from torch_stabilize.bindings.autograd.body import NO_CHANGERS, Changers
from torch_stabilize.bindings.autograd.forward import read_forward
from torch_stabilize.bindings.autograd.members import members_of, qualified
from torch_stabilize.bindings.autograd.model import (
    AutogradClass,
    Reason,
    is_tensor,
    is_tensor_list,
    plain_type,
    plain_types,
)
from torch_stabilize.bindings.autograd.sites import differentiated_lists
from torch_stabilize.model import Span
from torch_stabilize.source.brackets import partners
from torch_stabilize.source.document import Document
from torch_stabilize.source.signatures import Function, read_signatures

_CLASS = re.compile(
    rb"\b(?:class|struct)\s+(?P<name>\w+)\s*(?:final\s*)?:\s*(?:public\s+)?(?:\w+\s*::\s*)*"
    rb"Function\s*<\s*(?P=name)\s*>\s*\{"
)
_ACCESS = re.compile(rb"\b(?:public|private|protected)\s*:")
_OWN_GRADIENTS = re.compile(rb"\bautograd\s*::\s*(?P<name>grad|backward)\s*\(|(?:->|\.)\s*(?P<own>backward)\s*\(")
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
    document: Document, name: str, span: Span, body: Span, converters: frozenset[str] = frozenset(),
    applied: Mapping[str, str] | None = None, left: Collection[str] = (), changers: Changers = NO_CHANGERS,
) -> AutogradClass:  # fmt: skip
    """The class at `span`. `converters` are functions that make a vector of a c10::List.

    `applied` are the functions that stand for `F::apply` of classes that are converted, `left` those that are not,
    `changers` are the parameters by which functions of the project give their argument another value.
    Raises Reason for what is not read.
    """
    text = _ACCESS.sub(lambda m: b" " * len(m.group()), document.code[body.start : body.end])
    inside = Document("class.cpp", text)
    found = [f for f in read_signatures(inside) if f.name not in ("forward", "backward") or f.is_definition]
    methods = {f.name: f for f in found}
    if missing := [one for one in ("forward", "backward") if one not in methods]:
        raise Reason(f"no definition of its {' and '.join(missing)} is read")
    if any(sum(f.name == one for f in found) > 1 for one in ("forward", "backward")):
        raise Reason("it has several of forward or backward")
    forward, backward = methods["forward"], methods["backward"]
    if not forward.parameters or "AutogradContext" not in forward.parameters[0].type_text:
        raise Reason("its forward has no context")
    if forward.template or backward.template:
        raise Reason("it is a template")
    if len(backward.parameters) != 2:
        raise Reason("its backward does not take a context and a list of gradients")
    parameters = tuple((plain_type(p.type_text), p.name) for p in forward.parameters[1:])
    if unread := [name for kind, name in parameters if _TENSOR_LIST.search(kind) and not is_tensor_list(kind)]:
        raise Reason(f"its forward takes {', '.join(unread)}, a list of tensors that is not read")
    returned = re.sub(r"\s+", " ", plain_type(forward.return_type)).strip()
    several = not is_tensor(returned)
    if several and not re.fullmatch(
        r"std::vector<at::Tensor>|(?:std::)?tuple ?<(?: ?(?:at::|torch::)?Tensor ?,?)+>", returned
    ):
        raise Reason(f"its forward gives {forward.return_type}")
    source = document.data[body.start : body.end]
    members = members_of(name, source, text, found)

    def free(method: Function) -> bytes:
        """The body of a method as that of a function."""
        made = qualified(_body(source, method), name, members, [p.name for p in method.parameters])
        if asked := _OWN_GRADIENTS.search(made):
            called = (asked["name"] or asked["own"]).decode()
            raise Reason(f"its {method.name} works out gradients itself, by {called}()")
        return plain_types(_applying(made, applied or {}, left))

    context = forward.parameters[0].name
    kept = tensors_kept(free(backward), backward.parameters[0].name)
    gives_list = several and is_tensor_list(returned)
    does = read_forward(free(forward), context, parameters, several, kept, gives_list=gives_list, changers=changers)
    context, gradients = (parameter.name for parameter in backward.parameters)
    lists = differentiated_lists(document, name, parameters)
    gives = read_backward(free(backward), context, gradients, parameters, does, converters, lists, changers)
    return AutogradClass(name, span, parameters, returned, does, gives, members.text, lists)


def _applying(body: bytes, applied: Mapping[str, str], left: Collection[str]) -> bytes:
    """A body with calls of the functions that stand for `F::apply`. Raises Reason where another class stays."""
    for name in left:
        if re.search(rb"\b" + re.escape(name.encode()) + rb"\s*::\s*apply\b", body):
            raise Reason(f"it applies {name}, which is not converted")
    for name, function in applied.items():
        body = re.sub(rb"\b" + re.escape(name.encode()) + rb"\s*::\s*apply\b", function.encode(), body)
    return body


def _body(source: bytes, function: Function) -> bytes:
    return source[function.body.start : function.body.end] if function.body is not None else b""
