"""The tags of an operator: what the stable `def` takes from target 2.12 on, and what Python sets before."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from torch_stabilize.bindings.reading.model import Statement
from torch_stabilize.bindings.reading.namespaces import package_folder, package_of_module
from torch_stabilize.bindings.reading.registry import Registry
from torch_stabilize.surface.versions import parse_version

_TAG = re.compile(r"\bTag\s*::\s*(?P<name>\w+)")
_SINCE = "2.12"


class StableTags(NamedTuple):
    """The last argument of the stable `def`, or lines of Python, or neither, and what is to be said."""

    native: str = ""
    python: str = ""
    message: str = ""
    advice: str = ""


def stable_tags(registry: Registry, statement: Statement, target: str) -> StableTags:
    """What becomes of the tags of a definition for torch `target` and newer."""
    found = _names(registry, statement)
    snapshot, layout = registry.snapshot, registry.layout
    if found and parse_version(target) >= parse_version(_SINCE):
        return StableTags("{" + ", ".join(f"torch::headeronly::Tag::{name}" for name in found) + "}")
    if found and package_folder(snapshot, layout, package_of_module(snapshot, layout, layout.legacy_library)):
        message = f"the tags of {statement.full_name} are set in Python: {', '.join(found)}"
        return StableTags(
            "", _python(statement, found), message, f"from target {_SINCE} on the stable m.def takes them"
        )
    message = f"{statement.full_name} loses its tags {statement.tags}"
    return StableTags("", "", message, "define them from Python with torch.library.Library.define(..., tags=...)")


def _names(registry: Registry, statement: Statement) -> tuple[str, ...]:
    """The names of the tags, in braces or in those of the variable that is named; () if that is not clear."""
    text = statement.tags
    if not _TAG.search(text):
        name = text.strip().strip("{}").strip()
        values = {value for path in registry.sources for value in _values(registry, path, name)}
        text = values.pop() if len(values) == 1 else ""
    return tuple(match["name"] for match in _TAG.finditer(text))


def _values(registry: Registry, path: str, name: str) -> list[str]:
    """What a variable of tags is made of in a file."""
    if not name.isidentifier() or name.encode() not in registry.snapshot.read(path):
        return []
    head = rb"\bTag\b[^;(){}=]*\b" + re.escape(name.encode()) + rb"\s*(?:\[\s*\]\s*)?"
    declared = re.compile(head + rb"(?:=\s*(?P<value>[^;]*)|(?P<braces>\{[^;]*)|(?P<call>\([^;]*));")
    code = registry.document(path).code
    found = ((match["value"] or match["braces"] or match["call"]) for match in declared.finditer(code))
    return [text.decode("utf-8", "replace") for text in found]


def _python(statement: Statement, tags: Sequence[str]) -> str:
    """Python that gives an operator its tags: compilers ask for them in Python."""
    names = ", ".join(f"torch.Tag.{tag}" for tag in tags)
    added = f"append({names})" if len(tags) == 1 else f"extend([{names}])"
    operators = f"torch.ops.{statement.namespace}"
    line = f"{operators}.{statement.name}.{statement.overload or 'default'}.tags.{added}"
    if not statement.conditions:
        return line
    return f'if hasattr({operators}, "{statement.name}"):\n    {line}'
