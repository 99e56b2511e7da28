"""What the arguments of one `def` or `impl` say: name, schema, tags, key, function, py::arg."""

from __future__ import annotations

import re

from torch_stabilize.bindings.reading.functions import dispatch_key, read_function
from torch_stabilize.bindings.reading.model import NO_KEY, PythonArgument, Statement, StatementKind
from torch_stabilize.bindings.reading.text import string_value
from torch_stabilize.model import Span
from torch_stabilize.source.document import Document

_SCHEMA_WRAPPER = re.compile(r"^(?:torch::schema|TORCH_SELECTIVE_SCHEMA|TORCH_SELECTIVE_NAME)\s*\(", re.DOTALL)
_NAME = re.compile(r"\s*(?:(?P<namespace>\w+)::)?(?P<name>[\w\-]+)(?:\.(?P<overload>\w+))?\s*(?P<rest>.*)$", re.DOTALL)


def read_arguments(document: Document, common: Statement, method: str, arguments: list[Span]) -> Statement:
    """The statement that `method` with these argument spans is; `common` comes back where they cannot be read."""
    named = (
        _read_name(document.uncommented[arguments[0].start : arguments[0].end].decode("utf-8", "replace"))
        if arguments
        else None
    )
    if named is None:
        return common
    namespace, name, overload, schema = named
    block = common.block
    fields: dict[str, object] = {
        "kind": StatementKind(method), "namespace": namespace or block.namespace, "name": name, "overload": overload,
        "first": arguments[0], "key": block.key or NO_KEY,
    }  # fmt: skip
    if method == "def":
        fields["schema"] = schema or None
    python_arguments: list[PythonArgument] = []
    keyword_only = False
    for span in arguments[1:]:
        text = document.uncommented[span.start : span.end].decode("utf-8", "replace").strip()
        if text.startswith("{") or re.search(r"\bTag\b", text):
            fields["tags"] = text
        elif (key := dispatch_key(text)) is not None:
            fields["key"] = key
        elif argument := _python_argument(text):
            python_arguments.append(argument._replace(keyword_only=keyword_only))
        elif re.fullmatch(r"(?:py|pybind11)::kw_only\s*(?:\(\)|\{\})", text):
            keyword_only = True
        elif (literal := string_value(text)) is not None:
            fields["doc"] = literal
        elif "function" not in fields and not re.match(r"(?:py|pybind11)::", text.replace("py::overload_cast", "")):
            key, function = read_function(document, span)
            fields["function"] = function
            if key:
                fields["key"] = key
    fields["arguments"] = tuple(python_arguments)
    return common._replace(**fields)  # type: ignore[arg-type]


def unwrapped(text: str) -> str:
    """The literal that `text`, the first argument of a `def` or `impl`, wraps for selective builds; `text` if none."""
    match = _SCHEMA_WRAPPER.match(text.strip())
    return f'{text.strip()[match.end() :].rpartition(chr(34))[0].strip()}"' if match else text


def python_module(document: Document, statement: Statement) -> str:
    """What `m.set_python_module("...")` or `m.impl_abstract_pystub("...")` names, "" for other statements."""
    text = document.uncommented[statement.span.start : statement.span.end].decode("utf-8", "replace")
    match = re.match(r'\w+\s*\.\s*(?:set_python_module|impl_abstract_pystub)\s*\(\s*"(?P<module>[\w.]+)"', text)
    return match["module"] if match else ""


def _read_name(text: str) -> tuple[str, str, str, str] | None:
    """Namespace, name, overload and the rest of a schema or a name; None where the text is no literal."""
    text = text.strip()
    if match := _SCHEMA_WRAPPER.match(text):
        text = text[match.end() :].rpartition(")")[0]
        text = re.split(r",(?=[^\"]*$)", text)[0]
    value = string_value(text)
    match = _NAME.match(value) if value is not None else None
    return (match["namespace"] or "", match["name"], match["overload"] or "", match["rest"]) if match else None


def _python_argument(text: str) -> PythonArgument | None:
    match = re.match(
        r'(?:(?:py|pybind11|torch)::)?arg\(\s*(?:"(?P<name>\w+)")?\s*\)(?:\.\w+\(.*?\))?\s*(?:=\s*(?P<default>.+))?$',
        text,
        re.DOTALL,
    )
    if match is None:
        match = re.match(r'"(?P<name>\w+)"_a\s*(?:=\s*(?P<default>.+))?$', text, re.DOTALL)
    return PythonArgument(match["name"] or "", " ".join((match["default"] or "").split())) if match else None
