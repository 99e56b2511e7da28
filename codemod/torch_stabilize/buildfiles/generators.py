"""Scripts that write kernels: their templates are code too.

A plain string that holds C++ is migrated by the rules that migrate files. Text that is put together from pieces, or
that no rule can read on its own, is listed.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from torch_stabilize.buildfiles.codes import GENERATOR_LISTED, GENERATOR_MIGRATED
from torch_stabilize.buildfiles.text_edits import TextEdits
from torch_stabilize.buildfiles.written import find_written
from torch_stabilize.model import Confidence, Diagnostic, FileEdit, Refusal, Severity, Span
from torch_stabilize.repository.layout import Layout
from torch_stabilize.repository.snapshot import Snapshot

if TYPE_CHECKING:
    import libcst as cst

    from torch_stabilize.buildfiles.python.syntax import PythonFile

_UNSTABLE = re.compile(
    rb"\b(?:torch::Tensor\b|at::|c10::|TORCH_CHECK\w*|TORCH_LIBRARY\w*|AT_DISPATCH\w+|getCurrentCUDAStream\b)"
    rb"|#\s*include\s*[<\"](?:torch/(?!csrc/stable|headeronly)|ATen/|c10/)"
)
_TEMPLATES = (".jinja", ".j2", ".tmpl", ".in", ".mako")


def plan_generators(
    snapshot: Snapshot,
    layout: Layout,
    paths: Iterable[str],
    target: str,
    scripts: Mapping[str, Mapping[str, str]],
) -> tuple[tuple[FileEdit, ...], tuple[Diagnostic, ...]]:
    """Look at `scripts`, which write units that migrate, and at those in the folders of `paths` that no build runs.

    Plain templates are edited (confidence review: the generated files are what has to be compiled), the rest is listed.
    The values of `scripts` are include lines that become others.
    """
    folders = {path.rpartition("/")[0] for path in paths}
    others = {path for one in find_written(snapshot, layout) for path in (one.script.path, *one.script.templates)}
    edits: list[FileEdit] = []
    diagnostics: list[Diagnostic] = []
    for path in snapshot.below("" if scripts else layout.source_root, (".py", *_TEMPLATES)):
        is_ours = path in scripts or (path.rpartition("/")[0] in folders and path not in others)
        data = snapshot.read(path) if is_ours else b""
        respelled = scripts.get(path, {})
        if not is_ours or not (_UNSTABLE.search(data) or respelled):
            continue
        found = TextEdits(path, data)
        if path.endswith(_TEMPLATES):
            diagnostics.extend(_template_file(found, target, respelled))
        else:
            diagnostics.extend(_script(found, target, respelled))
        edits.extend(found.edits())
    return tuple(edits), tuple(diagnostics)


def generators(snapshot: Snapshot, layout: Layout) -> tuple[str, ...]:
    """Every script and template below the sources that writes unstable names."""
    return tuple(
        path
        for path in snapshot.below(layout.source_root, (".py", *_TEMPLATES))
        if _UNSTABLE.search(snapshot.read(path))
    )


def _first(data: bytes, start: int, end: int) -> Span:
    match = _UNSTABLE.search(data, start, end)
    return Span(*match.span()) if match else Span(start, end)


def _listed(path: str, span: Span, what: str) -> Diagnostic:
    return Diagnostic(
        GENERATOR_LISTED, Severity.ERROR, path, span, f"{what} writes code with unstable names",
        "Migrate the text by hand, generate the files, and run the migration on what is left in them.",
    )  # fmt: skip


def _template_file(found: TextEdits, target: str, respelled: Mapping[str, str]) -> list[Diagnostic]:
    """A file that is a template as a whole."""
    raw = found.data.decode("utf-8", "surrogateescape")
    migrated = _migrate(raw, found.path, target) if _reads_as_code(raw) else None
    if migrated is None or _UNSTABLE.search(migrated.encode("utf-8", "surrogateescape")):
        return [_listed(found.path, _first(found.data, 0, len(found.data)), "a template file")]
    migrated = _with_includes(migrated, respelled)
    if migrated != raw:
        found.replace(Span(0, len(found.data)), migrated, GENERATOR_MIGRATED, Confidence.REVIEW)
    return []


def _with_includes(text: str, respelled: Mapping[str, str]) -> str:
    """`text` with those of its include lines that become others, as they are written in it or with escaped quotes."""
    for old, new in respelled.items():
        for quote in ('"', '\\"'):
            written, wanted = old.replace('"', quote), new.replace('"', quote)
            text = re.sub(rf"(#[ \t]*include[ \t]*){re.escape(written)}", partial(_behind, wanted), text)
    return text


def _behind(wanted: str, match: re.Match[str]) -> str:
    return f"{match[1]}{wanted}"


def _script(found: TextEdits, target: str, respelled: Mapping[str, str]) -> list[Diagnostic]:
    """One Python script: its plain strings, then everything else that mentions an unstable name."""
    import libcst as cst

    from torch_stabilize.buildfiles.python.syntax import read_python

    try:
        file = read_python(found.path, found.data)
    except Refusal:
        return [_listed(found.path, _first(found.data, 0, len(found.data)), "this script, which cannot be parsed,")]
    diagnostics = []
    for node in file.find(cst.SimpleString):
        span = file.span(node)
        if _is_docstring(file, node):
            continue
        if _UNSTABLE.search(found.data, span.start, span.end):
            diagnostics.extend(_template(found, file, node, target, respelled))
        elif respelled:
            found.replace(span, _with_includes(file.slice(span), respelled), GENERATOR_MIGRATED, Confidence.REVIEW)
    for formatted in file.find(cst.FormattedString):
        span = file.span(formatted)
        if _UNSTABLE.search(found.data, span.start, span.end):
            diagnostics.append(_listed(found.path, _first(found.data, span.start, span.end), "an f-string"))
        elif respelled:
            found.replace(span, _with_includes(file.slice(span), respelled), GENERATOR_MIGRATED, Confidence.REVIEW)
    return diagnostics


def _is_docstring(file: PythonFile, node: cst.SimpleString) -> bool:
    import libcst as cst

    return isinstance(file.parent(node), cst.Expr)


def _template(
    found: TextEdits, file: PythonFile, node: cst.SimpleString, target: str, respelled: Mapping[str, str]
) -> list[Diagnostic]:
    span = file.span(node)
    text = file.text(node)
    body = Span(span.start + len(node.prefix) + len(node.quote), span.end - len(node.quote))
    raw = file.slice(body)
    if re.search(r"\{[%#{]|%\(\w+\)s|\$\{?\w", raw) and not _reads_as_code(raw):
        return [_listed(found.path, _first(found.data, span.start, span.end), "a template with placeholders")]
    migrated = _migrate(raw, found.path, target)
    if migrated is None or _UNSTABLE.search(migrated.encode()):
        return [_listed(found.path, _first(found.data, span.start, span.end), "a template string")]
    assert text.endswith(node.quote)
    if "\\" in raw and not _means_the_same(node, raw, migrated, found.path, target):
        return [_listed(found.path, _first(found.data, span.start, span.end), "a string with escapes")]
    migrated = _with_includes(migrated, respelled)
    if migrated != raw:
        found.replace(body, migrated, GENERATOR_MIGRATED, Confidence.REVIEW)
    return []


def _means_the_same(node: cst.SimpleString, raw: str, migrated: str, path: str, target: str) -> bool:
    """Whether the string, migrated as it is written, has the value that its own value is migrated to."""
    values = [ast.literal_eval(f"{node.prefix}{node.quote}{text}{node.quote}") for text in (raw, migrated)]
    return isinstance(values[0], str) and _migrate(values[0], path, target) == values[1]


def _reads_as_code(text: str) -> bool:
    """Whether the text has the braces and parentheses of code in balance once placeholders are gone."""
    plain = re.sub(r"\{[{%#].*?[}%#]\}|%\(\w+\)s|\$\{?\w+\}?", "x", text)
    return all(plain.count(a) == plain.count(b) for a, b in ("()", "{}", "[]"))


def _migrate(text: str, path: str, target: str) -> str | None:
    """The text by the rules for files; None where they cannot be asked or fail on it."""
    try:
        from torch_stabilize.rules.snippets import rewrite_text
    except ImportError:
        return None
    try:
        return rewrite_text(text.encode(), path=f"{path}.cu", target=target).decode()
    except (Refusal, ValueError, UnicodeDecodeError):
        return None
