"""Rewrite a piece of source that is not a file: a declaration, a template string of a code generator."""

from __future__ import annotations

from codemod.rules.context import Context, Project
from codemod.source.document import Document
from codemod.source.edits import apply
from codemod.source.scopes import KnownReturns, TypeFinder
from codemod.source.signatures import read_signatures
from codemod.surface.table import load_surface

DEFAULT_TARGET = "2.11"


def known_returns() -> KnownReturns:
    """Return types by the surface's tables."""
    surface = load_surface()

    def method(name: str) -> str:
        entry = surface.method(name)
        return entry.returns if entry is not None else ""

    def function(name: str) -> str:
        entry = surface.name(name) if "::" in name else None
        return entry.returns if entry is not None else ""

    return KnownReturns(method, function)


def rewrite_text(text: bytes, path: str = "text.cu", target: str = DEFAULT_TARGET) -> bytes:
    """`text` as stable code, by the rules that apply to it on its own; what has no rule stays."""
    from codemod.rules.engine import rewrite_document

    document = Document(path, text)
    functions: dict[str, tuple[object, ...]] = {}
    for function in read_signatures(document):
        functions[function.name] = (*functions.get(function.name, ()), function)
    finder = TypeFinder((document,), known_returns())
    project = Project(load_surface(), target, (document,), finder, functions, moving=frozenset((path,)))  # type: ignore[arg-type]
    return apply(text, rewrite_document(Context(project, document)).edits)


def rewrite_declaration(text: bytes) -> bytes:
    """A declaration in stable types: `void f(torch::Tensor& x);`."""
    return rewrite_text(text, "declaration.h")
