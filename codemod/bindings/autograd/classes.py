"""`class F : public torch::autograd::Function<F>`: what its forward saves, and what its backward gives.

Read are classes that save arguments of `forward` and nothing else, and whose `backward` has one `return` of one value
for each argument. `Reason` says what else a class does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from codemod.model import Span
from codemod.source.brackets import closing_bracket, partners, split_spans
from codemod.source.document import Document
from codemod.source.signatures import Function, read_signatures

_CLASS = re.compile(
    rb"\b(?:class|struct)\s+(?P<name>\w+)\s*(?:final\s*)?:\s*(?:public\s+)?(?:\w+\s*::\s*)*"
    rb"Function\s*<\s*(?P=name)\s*>\s*\{"
)
_ACCESS = re.compile(rb"\b(?:public|private|protected)\s*:")
_GUARD = re.compile(rb"[ \t]*(?:at\s*::\s*)?AutoDispatchBelow(?:ADInplaceOrView|Autograd)\s+\w+\s*;[ \t]*\n?")
_UNDEFINED = re.compile(
    rb"(?:(?:torch|at)\s*::\s*)?(?:autograd\s*::\s*)?(?:Tensor|Variable|undefined_variable)\s*(?:\(\s*\)|\{\s*\})"
)
_TO = {b"toDouble": "double", b"toInt": "int64_t", b"toBool": "bool"}
_END = rb"\s*;[ \t]*\n?"
_LOCAL = rb"[ \t]*(?:const\s+)?[\w:]+\s*&?\s*\b(?P<name>\w+)\s*=\s*"
_SAVED_TENSORS = rb"[ \t]*\b%s\s*->\s*save_for_backward\s*\(\s*\{(?P<names>[\w\s,]*)\}\s*\)" + _END
_SAVED_VALUE = rb"[ \t]*\b%s\s*->\s*saved_data\s*\[\s*\"(?P<key>\w+)\"\s*\]\s*=\s*(?P<value>\w+)" + _END
_READ_VALUE = _LOCAL + rb"%s\s*->\s*saved_data\s*\[\s*\"(?P<key>\w+)\"\s*\]\s*\.\s*(?P<to>\w+)\(\)" + _END
_LIST = re.compile(r"\b(?:vector|variable_list|tensor_list|TensorList|ArrayRef|optional)\b")


class Reason(Exception):
    """Why a class is not converted."""


class AutogradClass(NamedTuple):
    """One class, as what stands for it.

    `forward` is the body without what it saves; `backward` that of the new operator, whose parameters are `gradient`,
    the saved tensors and the saved values with their types. `gives` has for each argument the place of its gradient
    among the results of `backward`, None for no gradient.
    """

    name: str
    span: Span
    parameters: tuple[tuple[str, str], ...]  # type and name of each argument of forward
    forward: bytes
    backward: bytes
    gradient: str
    tensors: tuple[str, ...]  # saved arguments of forward
    values: tuple[tuple[str, str, str], ...]  # type, name in backward, argument of forward
    names: tuple[str, ...]  # what the saved tensors are called in backward
    gives: tuple[int | None, ...]


def autograd_classes(document: Document) -> Iterator[tuple[str, Span, Span]]:
    """Name, span and body of every autograd function that `document` defines."""
    for match in _CLASS.finditer(document.code):
        end = partners(document).get(match.end() - 1)
        if end is not None:
            semicolon = re.compile(rb"\s*;").match(document.code, end + 1)
            span = Span(match.start(), semicolon.end() if semicolon else end + 1)
            yield match["name"].decode(), span, Span(match.end(), end)


def read_class(document: Document, name: str, span: Span, body: Span) -> AutogradClass:
    """The class at `span`. Raises Reason for what is not read."""
    text = _ACCESS.sub(lambda m: b" " * len(m.group()), document.code[body.start : body.end])
    inside = Document("class.cpp", text)
    methods = {f.name: f for f in read_signatures(inside) if f.is_definition}
    if set(methods) != {"forward", "backward"}:
        held = ", ".join(sorted(methods)) or "nothing that can be read"
        raise Reason(f"it has {held} and not forward and backward alone")
    forward, backward = methods["forward"], methods["backward"]
    if not forward.parameters or "AutogradContext" not in forward.parameters[0].type_text:
        raise Reason("its forward has no context")
    if re.sub(r"\s|at::|torch::", "", forward.return_type) not in ("Tensor", "Variable"):
        raise Reason(f"its forward gives {forward.return_type}, and one tensor is what can be converted")
    parameters = tuple((p.type_text, p.name) for p in forward.parameters[1:])
    known = [name for _, name in parameters]
    if lists := [name for kind, name in parameters if _LIST.search(kind)]:
        raise Reason(f"its forward takes {', '.join(lists)}, which is a list or may be missing")
    source = document.data[body.start : body.end]
    made, tensors, saved = _forward(source, forward, known)
    whole = AutogradClass(name, span, parameters, made, b"", "grad_output", tensors, (), (), ())
    return _backward(source, backward, saved, whole)


def _forward(
    source: bytes, function: Function, known: Sequence[str]
) -> tuple[bytes, tuple[str, ...], Mapping[str, str]]:
    """The body without what it saves, the tensors that it saves, and the values by their keys."""
    body, context = _body(source, function), re.escape(function.parameters[0].name.encode())
    tensors: list[str] = []
    saved: dict[str, str] = {}
    for match in re.finditer(_SAVED_TENSORS % context, body):
        tensors += [part.strip().decode() for part in match["names"].split(b",")]
    for match in re.finditer(_SAVED_VALUE % context, body):
        saved[match["key"].decode()] = match["value"].decode()
    for pattern in (_SAVED_TENSORS % context, _SAVED_VALUE % context):
        body = re.sub(pattern, b"", body)
    body = _GUARD.sub(b"", body)
    if re.search(rb"\b" + context + rb"\b", body):
        raise Reason("its forward does more with its context than to save arguments")
    if strange := [name for name in (*tensors, *saved.values()) if name not in known]:
        raise Reason(f"it saves {', '.join(strange)}, which is no argument of its forward")
    for name in (*tensors, *saved.values()):
        if re.search(rb"(?<![\w.>])" + name.encode() + rb"\s*=(?!=)", body):
            raise Reason(f"its forward gives {name} another value")
    return body, tuple(tensors), saved


def _body(source: bytes, function: Function) -> bytes:
    return source[function.body.start : function.body.end] if function.body is not None else b""


def _backward(source: bytes, function: Function, saved: Mapping[str, str], made: AutogradClass) -> AutogradClass:
    """`made` with the body of its backward, in which what was saved has names."""
    if len(function.parameters) != 2:
        raise Reason("its backward does not take a context and a list of gradients")
    body = _body(source, function)
    context, grads = (re.escape(parameter.name.encode()) for parameter in function.parameters)
    body, names = _with_tensors(body, context, made.tensors)
    values: list[tuple[str, str, str]] = []
    for match in re.finditer(_READ_VALUE % context, body):
        key, kind = match["key"].decode(), _TO.get(match["to"])
        if key not in saved or kind is None:
            raise Reason(f"its backward reads {key} in a way that is not known")
        values.append((kind, match["name"].decode(), saved[key]))
    body = re.sub(_READ_VALUE % context, b"", body)
    body = re.sub(rb"\b" + grads + rb"\s*\[\s*0\s*\]", made.gradient.encode(), body)
    if re.search(rb"\b(?:" + grads + rb"|" + context + rb")\b", body):
        raise Reason("its backward does more with its context or its gradients than to read what was saved")
    body, gives = _returned(body, len(made.parameters))
    return made._replace(backward=body, names=names, values=tuple(values), gives=gives)


def _with_tensors(body: bytes, context: bytes, tensors: Sequence[str]) -> tuple[bytes, tuple[str, ...]]:
    """The body with saved tensors by name, and what they are called."""
    names = [f"saved_{name}" for name in tensors]
    everything = rb"\b" + context + rb"\s*->\s*get_saved_variables\(\)"
    listed = re.search(_LOCAL + everything + _END, body)
    if listed:
        body = body[: listed.start()] + body[listed.end() :]
        everything = rb"(?:" + everything + rb"|\b" + listed["name"] + rb")"
    element = everything + rb"\s*\[\s*(?P<index>\d+)\s*\]"

    def index_of(match: re.Match[bytes]) -> int:
        index = int(match["index"])
        if index >= len(names):
            raise Reason("its backward asks for a tensor that was not saved")
        return index

    for match in re.finditer(_LOCAL + element + _END, body):
        names[index_of(match)] = match["name"].decode()
    body = re.sub(_LOCAL + element + _END, b"", body)
    return re.sub(element, lambda match: names[index_of(match)].encode(), body), tuple(names)


def _returned(body: bytes, count: int) -> tuple[bytes, tuple[int | None, ...]]:
    """The body with its one `return` giving the gradients that there are, and their places."""
    returns = list(re.finditer(rb"\breturn\s*(?=\{)", body))
    if len(returns) != 1 or len(re.findall(rb"\breturn\b", body)) != 1:
        raise Reason("its backward has not one `return` of a list")
    opening = returns[0].end()
    closing = closing_bracket(body, opening)
    parts = [body[slice(*part)].strip() for part in split_spans(body, opening + 1, closing)]
    if len(parts) != count:
        raise Reason(f"its backward gives {len(parts)} gradients for {count} arguments")
    kept = [part for part in parts if not _UNDEFINED.fullmatch(part)]
    if not kept:
        raise Reason("its backward gives no gradient")
    text = kept[0] if len(kept) == 1 else b"std::make_tuple(" + b", ".join(kept) + b")"
    places = iter(range(len(kept)))
    gives = tuple(None if _UNDEFINED.fullmatch(part) else next(places) for part in parts)
    return body[:opening] + text + body[closing + 1 :], gives
