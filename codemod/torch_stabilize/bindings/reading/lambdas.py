"""Lambdas as implementations: their parts, and the type that one returns without saying so."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from tree_sitter import Node

from torch_stabilize.bindings.effects.program import Program
from torch_stabilize.bindings.effects.writes import accesses
from torch_stabilize.bindings.select import Located
from torch_stabilize.model import Diagnostic
from torch_stabilize.rules.snippets import known_returns
from torch_stabilize.source.brackets import closing_angle
from torch_stabilize.source.document import Document
from torch_stabilize.source.scopes import TypeFinder
from torch_stabilize.source.signatures import Function, read_signatures
from torch_stabilize.source.types import CppType
from torch_stabilize.source.uses import Access

_LAMBDA = re.compile(r"\[(?P<captures>[^\]]*)\]\s*(?P<rest>.*)$", re.DOTALL)
_SPELLED = {"Tensor": "at::Tensor", "string": "std::string", "ScalarType": "at::ScalarType"}
_PLAIN = frozenset({"int64_t", "double", "bool", "float", "int", "size_t"})


class Lambda(NamedTuple):
    """`[captures](parameters) -> returns body`; `returns` is "" where it is not written."""

    captures: str
    parameters: str
    returns: str
    body: str


class StableLambda(NamedTuple):
    """A lambda as the rules rewrite it. One from outside of the group brings along what its new place needs.

    `system` are headers of torch and of the standard library, `own` those of the repository.
    """

    text: str
    system: frozenset[str] = frozenset()
    own: frozenset[str] = frozenset()
    diagnostics: tuple[Diagnostic, ...] = ()


def read_lambda(text: str) -> Lambda | None:
    """The parts of a lambda expression, None for what is none."""
    match = _LAMBDA.match(text)
    return Lambda(match["captures"].strip(), *_parts(match["rest"])) if match else None


def lambda_signature(text: str, callees: Sequence[Located], documents: Sequence[Document] = ()) -> Function | None:
    """A lambda's parameters and return type as those of a function; its return type may be that of what it calls.

    `documents` are where the functions it calls are declared.
    """
    found = read_lambda(text)
    if found is None:
        return None
    returns = found.returns
    if not returns:
        called = re.fullmatch(r"\{\s*return\s+([\w:]+)\s*\(.*\)\s*;\s*\}", found.body, re.DOTALL)
        known = [f.function.return_type for f in callees if called and f.function.answers_to(called[1])]
        if known:
            returns = known[0]
        elif re.search(r"\breturn\b\s*[^;\s]", found.body):
            returns = deduced_return(found, documents)
        else:
            returns = "void"
    return next(iter(read_signatures(Document("lambda.h", f"{returns} f({found.parameters});".encode()))), None)


def deduced_return(found: Lambda, documents: Sequence[Document]) -> str:
    """The type of what a lambda returns, as code; "auto" where it is not clear."""
    document = _document(found)
    finder = TypeFinder((document, *documents), known_returns())
    fragment = document.whole
    kinds = {finder.type_of(value, fragment, document) for value in _returned(fragment.tree.root_node)}
    texts = {_spelled(kind) for kind in kinds}
    return texts.pop() if len(texts) == 1 else "auto"


def lambda_accesses(text: str, program: Program) -> dict[str, Access]:
    """What a lambda does with its tensors."""
    found = read_lambda(text)
    functions = read_signatures(_document(found)) if found is not None else ()
    return accesses(_document(found), functions[0], program) if found is not None and functions else {}


@functools.cache  # results are keyed by nodes of the tree, which have to stay alive
def _document(found: Lambda) -> Document:
    return Document("lambda.cpp", f"auto f({found.parameters}) {found.body}".encode())


def _returned(node: Node) -> Iterator[Node]:
    for child in node.named_children:
        if child.type == "return_statement":
            yield from child.named_children[:1]
        elif child.type != "lambda_expression":
            yield from _returned(child)


def _spelled(kind: CppType) -> str:
    if kind.pointers:
        return "auto"
    if kind.name in ("vector", "optional", "tuple") and kind.arguments:
        inner = [_spelled(argument) for argument in kind.arguments]
        return "auto" if "auto" in inner else f"std::{kind.name}<{', '.join(inner)}>"
    return kind.name if kind.name in _PLAIN else _SPELLED.get(kind.name, "auto")


def _parts(text: str) -> tuple[str, str, str]:
    """Parameters, return type and body of what follows a lambda's captures."""
    if text.startswith("<"):
        text = text[closing_angle(text.encode(), 0) + 1 :].lstrip()
    parameters = ""
    if text.startswith("("):
        depth = 0
        for index, character in enumerate(text):
            depth += {"(": 1, ")": -1}.get(character, 0)
            if depth == 0:
                parameters, text = text[1:index], text[index + 1 :].strip()
                break
    head, brace, rest = text.partition("{")
    returns = re.sub(r"\b(?:mutable|noexcept|constexpr)\b", "", head).strip().removeprefix("->").strip()
    return parameters, returns, brace + rest
