"""Where an autograd function is applied, what registers the functions that do so, and what its lists go through."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from torch_stabilize.bindings.autograd.model import AutogradClass, Reason, is_tensor_list
from torch_stabilize.bindings.reading.model import Statement, StatementKind
from torch_stabilize.bindings.reading.registry import Registry
from torch_stabilize.model import Edit, Span
from torch_stabilize.source.brackets import closing_bracket, partners, split_spans
from torch_stabilize.source.document import Document
from torch_stabilize.source.signatures import Function, read_signatures

_BOUNDARY = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_LIST_PARAMETER = re.compile(r"(?:c10|at|torch)\s*::\s*List\s*<\s*(?P<of>int64_t|double)\s*>")
_NAMESPACE = re.compile(rb"\bnamespace\b\s*(?P<name>[A-Za-z_]\w*(?:\s*::\s*\w+)*)?\s*\{")
_CODE = "TSA531"


def snake(name: str) -> str:
    """`ScatterSumCSR` as `scatter_sum_csr`, `RoIAlignFunction` as `ro_i_align`: the word Function says nothing."""
    return _BOUNDARY.sub("_", name.strip("_").removesuffix("Function") or name).lower()


def wrapper_of(document: Document, made: AutogradClass) -> Function | None:
    """The one function that applies the class to its own parameters and does nothing else, None where there is none."""
    name = re.escape(made.name.encode())
    call = name + rb"\s*::\s*apply\s*\((?P<given>[\w\s,]*)\)"
    count = made.forward.results
    forms = [rb"\{\s*return\s+" + call + rb"\s*;\s*\}"]
    if made.returned.startswith("std::vector"):
        forms = [rb"\{\s*return\s+" + call + rb"\s*\[\s*0\s*\]\s*;\s*\}"] if count == 1 else []
        if count > 1:
            listed = rb"\s*,\s*".join(rb"(?P=local)\s*\[\s*%d\s*\]" % i for i in range(count))
            forms = [
                rb"\{\s*(?:const\s+)?auto\s*&?\s*(?P<local>\w+)\s*=\s*" + call + rb"\s*;\s*return\s+"
                rb"(?:(?:std\s*::\s*)?(?:make_tuple|tuple\s*<[^;]*>)\s*)?[({]\s*" + listed + rb"\s*[)}]\s*;\s*\}"
            ]  # fmt: skip
    found = []
    for function in read_signatures(document):
        body = document.code[function.body.start : function.body.end] if function.body else b""
        for form in forms:
            match = re.fullmatch(form, body)
            given = [part.strip().decode() for part in match["given"].split(b",")] if match else []
            if match and given == [p.name for p in function.parameters] and len(given) == len(made.parameters):
                found.append(function)
    uses = len(re.findall(rb"\b" + name + rb"\s*::\s*apply\b", document.code))
    return found[0] if len(found) == 1 and uses == 1 else None


_OF_TENSORS = r"<\s*(?:(?:at|torch)\s*::\s*)?(?:Tensor|Variable)\s*>"
_REFERENCE = re.compile(rf"(?:(?:at|c10|torch)\s*::\s*)?(?:TensorList\b|ArrayRef\s*{_OF_TENSORS})")
_VECTOR = re.compile(rf"\b(?:vector\s*{_OF_TENSORS}|variable_list\b|tensor_list\b)")


def differentiated_lists(document: Document, name: str, parameters: Sequence[tuple[str, str]]) -> frozenset[str]:
    """Those of the lists of tensors that `F::apply` takes whose tensors get gradients.

    Torch looks into an ArrayRef, and sees a std::vector as one argument without a gradient; what counts is the type of
    what is handed over. Raises Reason where that is not clear.
    """
    lists = [place for place, (kind, _) in enumerate(parameters) if is_tensor_list(kind)]
    found: dict[int, set[bool]] = {place: set() for place in lists}
    call = re.compile(rb"\b" + re.escape(name.encode()) + rb"\s*::\s*apply\s*(?=\()")
    for match in call.finditer(document.code) if lists else ():
        closing = closing_bracket(document.code, match.end())
        given = [document.code[slice(*part)].strip() for part in split_spans(document.code, match.end() + 1, closing)]
        for place in lists:
            text = given[place].decode("utf-8", "replace") if place < len(given) else ""
            found[place].add(_is_reference(document, match.start(), text))
    if unclear := [parameters[place][1] for place, kinds in found.items() if len(kinds) != 1]:
        raise Reason(f"it is applied with {unclear[0]} in several ways")
    return frozenset(parameters[place][1] for place, kinds in found.items() if kinds == {True})


def _is_reference(document: Document, place: int, text: str) -> bool:
    """Whether the list of tensors `text`, handed over at `place`, is an ArrayRef. Raises Reason."""
    kind = text
    if re.fullmatch(r"\w+", text):
        around = [f for f in read_signatures(document) if f.body and f.body.start <= place < f.body.end]
        kinds = [p.type_text for f in around for p in f.parameters if p.name == text]
        start = around[0].body.start if around and around[0].body else 0
        declared = re.compile(rb"(?P<kind>[\w:]+(?:\s*<[^;<>]*>)?)\s*&?\s+" + text.encode() + rb"\s*[=;({]")
        kinds += [match["kind"].decode() for match in declared.finditer(document.code, start, place)]
        kind = kinds[-1] if kinds else ""
    if _REFERENCE.search(kind):
        return True
    if not _VECTOR.search(kind):
        raise Reason(f"it is applied with `{text}`, and whether those tensors get gradients cannot be told")
    return False


def registering(registry: Registry, document: Document, name: str, classes: Mapping[Span, str]) -> Statement:
    """The statement that registers what applies the class `name`, or what applies it through another of `classes`.

    Raises Reason.
    """
    places = [m.start() for m in re.finditer(rb"\b" + re.escape(name.encode()) + rb"\s*::\s*apply\b", document.code)]
    inside = [other for span, other in classes.items() for place in places if span.start <= place < span.end]
    if name in inside:
        raise Reason("it applies itself")
    places = [place for place in places if not any(span.start <= place < span.end for span in classes)]
    if not places and inside:
        return registering(registry, document, inside[0], classes)
    if not places:
        raise Reason("nothing in its file applies it")
    if any(name.encode() in other.words for other in _others(registry, document)):
        raise Reason("other files name it")
    functions = read_signatures(document)
    around = [f for f in functions if f.body and any(f.body.start <= place < f.body.end for place in places)]
    for _ in range(4):
        for function in around:
            if (found := _statement_of(registry, function)) is not None:
                return found
        names = [re.compile(rb"(?<![\w.>])" + re.escape(f.name.encode()) + rb"\s*\(") for f in around]
        around = [
            f for f in functions
            if f.body and f not in around and any(n.search(document.code, f.body.start, f.body.end) for n in names)
        ]  # fmt: skip
    raise Reason("no function that applies it is registered by a `def` without a key, or for Autograd")


class Written(NamedTuple):
    """A function and those of its parameters that an autograd function writes to, and that it gives back."""

    function: Function
    names: frozenset[str]
    returned: tuple[str, ...] = ()


def written_by_caller(document: Document, made: AutogradClass, statement: Statement) -> Written | None:
    """The parameters of the function that `statement` registers which `F::apply` gets and writes to.

    None where the function does not call it itself, or passes on something else.
    """
    call = re.compile(rb"\b" + re.escape(made.name.encode()) + rb"\s*::\s*apply\s*(?=\()")
    for function in read_signatures(document):
        reference = statement.function
        if function.body is None or reference is None or not function.answers_to(reference.name):
            continue
        match = call.search(document.code, function.body.start, function.body.end)
        if match is None:
            continue
        closing = closing_bracket(document.code, match.end())
        given = [document.code[slice(*part)].strip() for part in split_spans(document.code, match.end() + 1, closing)]
        pairs = zip((name for _, name in made.parameters), given, strict=False)
        texts = {name: text.decode("utf-8", "replace") for name, text in pairs}
        names = {texts[name] for name in made.forward.dirty if name in texts}
        if names <= {parameter.name for parameter in function.parameters}:
            is_result = made.forward.results == 1 and document.code[: match.start()].rstrip().endswith(b"return")
            back = made.forward.given_back if is_result else ()
            return Written(function, frozenset(names), tuple(texts.get(name, "") for name in back))
    return None


def _others(registry: Registry, document: Document) -> list[Document]:
    return [registry.document(path) for path in registry.sources if path != document.path]


def _statement_of(registry: Registry, function: Function) -> Statement | None:
    found = [
        s for s in registry.statements
        if s.function is not None and s.function.is_plain and function.answers_to(s.function.name)
    ]  # fmt: skip
    if not found:  # a lambda that calls it
        found = [
            s for s in registry.statements
            if s.function is not None and s.function.is_lambda and any(map(function.answers_to, s.function.calls))
        ][:1]  # fmt: skip
    if len(found) != 1:
        return None
    is_keyless = found[0].kind is StatementKind.DEF and not found[0].key
    return found[0] if is_keyless or is_autograd_kernel(found[0]) else None


def qualifier(document: Document, place: int) -> str:
    """The namespaces around `place`, as what is outside of them spells a name of there: "" or "a::b::"."""
    found = []
    for match in _NAMESPACE.finditer(document.code, 0, place):
        end = partners(document).get(match.end() - 1)
        if match["name"] and end is not None and match.end() <= place < end:
            found.append(re.sub(rb"\s", b"", match["name"]).decode())
    return "".join(f"{name}::" for name in found)


def is_autograd_kernel(statement: Statement) -> bool:
    """Whether a statement registers what autograd calls first: `m.impl("f", f)` for Autograd or AutogradCUDA."""
    return statement.kind is StatementKind.IMPL and statement.key.startswith("Autograd")


def list_converters(registry: Registry, document: Document) -> dict[str, tuple[str, Edit]]:
    """The functions that make a vector of a c10::List, and the edit that makes each take the vector itself.

    `std::vector<int64_t> list2vec(c10::List<int64_t> list)`: what saved_data gives for such a list is a vector in an
    operator. Only those count that nothing calls with another list.
    """
    found: dict[str, tuple[str, Edit]] = {}
    for path in registry.sources:
        other = registry.document(path)
        if b"List" not in other.words:
            continue
        for function in read_signatures(other):
            match = _LIST_PARAMETER.search(function.parameters[0].type_text) if len(function.parameters) == 1 else None
            returned = re.sub(r"\s", "", function.return_type)
            if (
                match is None
                or returned != f"std::vector<{match['of']}>"
                or not _only_of_saved(registry, function.name)
            ):
                continue
            span = function.parameters[0].span
            place = other.data.index(match.group().encode(), span.start, span.end)
            edit = Edit(Span(place, place + len(match.group())), f"std::vector<{match['of']}>".encode(), _CODE)
            found[function.name] = (path, edit)
    return found


def _only_of_saved(registry: Registry, name: str) -> bool:
    """Whether every call of a function is one of a list out of saved_data."""
    call = re.compile(rb"(?<![\w.>])" + re.escape(name.encode()) + rb"\s*\((?P<given>[^;{]*)")
    for path in registry.sources:
        document = registry.document(path)
        heads = [f.head for f in read_signatures(document) if f.name == name]
        for match in call.finditer(document.code):
            if any(head.start <= match.start() < head.end for head in heads):
                continue
            if b"saved_data" not in match["given"]:
                return False
    return True
