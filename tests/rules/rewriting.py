"""Rewrite a piece of source in a test, as `migrate` would rewrite a file that holds nothing else."""

from __future__ import annotations

from collections.abc import Sequence

from torch_stabilize.rules.context import Context, Project
from torch_stabilize.rules.engine import Rewritten, rewrite_document
from torch_stabilize.rules.snippets import known_returns
from torch_stabilize.source.document import Document
from torch_stabilize.source.edits import apply
from torch_stabilize.source.function_index import FunctionIndex
from torch_stabilize.source.scopes import TypeFinder
from torch_stabilize.surface.table import load_surface


def rewrite(
    text: str, path: str = "kernel.cu", target: str = "2.11", others: Sequence[str] = (), headers: str = ""
) -> tuple[str, Rewritten]:
    """The rewritten text, and what the rules said; `others` are headers that the text can see.

    It is built with headers of torch `headers`, the target's where it is empty.
    """
    context = context_of(text, path, target, others, headers)
    found = rewrite_document(context)
    return apply(context.document.data, found.edits).decode(), found


def context_of(
    text: str, path: str = "kernel.cu", target: str = "2.11", others: Sequence[str] = (), headers: str = ""
) -> Context:
    """What the rules know of the text."""
    built = headers or target
    document = Document(path, text.encode())
    documents = (document, *(Document(f"other{i}.h", other.encode()) for i, other in enumerate(others)))
    functions = FunctionIndex(documents)
    finder = TypeFinder(documents, known_returns())
    surface = load_surface().at(target, built)
    project = Project(surface, target, documents, finder, functions, moving=frozenset((path,)), headers=built)
    return Context(project, document)


def rewritten(text: str, **options: object) -> str:
    """The rewritten text alone."""
    return rewrite(text, **options)[0]  # type: ignore[arg-type]
