"""What a package asks of torch once it has a stable library: the version that it was made for, or a later one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from torch_stabilize.buildfiles.codes import TORCH_PINNED, TORCH_REQUIRED
from torch_stabilize.model import Confidence, Diagnostic, Edit, FileEdit, Severity, Span
from torch_stabilize.repository.snapshot import Snapshot
from torch_stabilize.repository.stable_target import version_tuple

_REQUIREMENT = re.compile(
    r"(?P<name>torch)(?P<space>\s*)(?P<versions>(?:[<>=!~]=?[^;]*)?)(?P<rest>\s*(?:;.*)?)", re.DOTALL
)
_VERSION = re.compile(r"(?P<operator>~=|>=|==|>)\s*(?P<version>\d+(?:\.\d+)*)")
_PROJECT = re.compile(rb"^\[project\][ \t]*(?:#.*)?$(?s:.*?)(?=^\[|\Z)", re.MULTILINE)
_DEPENDENCIES = re.compile(rb"^dependencies[ \t]*=[ \t]*\[", re.MULTILINE)
_TOKEN = re.compile(rb"""#[^\n]*|(?P<quote>["'])(?P<text>(?:(?!(?P=quote))[^\n])*)(?P=quote)|\]""")


class Raised(NamedTuple):
    """What becomes of a requirement: `text`, None where it asks for one version that is too old."""

    text: str | None


def raised(requirement: str, target: str) -> Raised | None:
    """A requirement of torch that `target` satisfies and nothing older; None for one that needs no change."""
    found = _REQUIREMENT.fullmatch(requirement)
    if found is None:
        return None
    bounds = list(_VERSION.finditer(found["versions"]))
    if any(version_tuple(b["version"]) >= version_tuple(target) for b in bounds):
        return None
    if any(bound["operator"] == "==" for bound in bounds):
        return Raised(None)
    floor, versions = f">={target}", found["versions"]
    for bound in bounds:
        new = f"{'>=' if bound['operator'] == '>' else bound['operator']}{target}"
        versions, floor = versions.replace(bound[0], new), ""
    if floor:
        versions = f"{floor},{versions}" if versions.strip() else floor
    return Raised(found["name"] + found["space"] + versions + found["rest"])


def plan_requirements(snapshot: Snapshot, folder: str, target: str) -> tuple[list[FileEdit], list[Diagnostic]]:
    """The edits of `dependencies` in the pyproject.toml of `folder`, and what is to be said of them."""
    path = f"{folder}/pyproject.toml" if folder else "pyproject.toml"
    edits: list[FileEdit] = []
    told: list[Diagnostic] = []
    for span, text in _dependencies(snapshot.read(path)) if snapshot.exists(path) else ():
        change = raised(text, target)
        if change is not None and change.text is None:
            told.append(Diagnostic(
                TORCH_PINNED, Severity.ERROR, path, span,
                f"{text} is asked for, and the stable library needs torch {target}", f"Ask for torch>={target}.",
            ))  # fmt: skip
        elif change is not None and change.text is not None:
            edits.append(FileEdit(path, Edit(span, change.text.encode(), TORCH_REQUIRED, Confidence.REVIEW)))
            message = f"{text} becomes {change.text}: the stable library needs it"
            told.append(Diagnostic(TORCH_REQUIRED, Severity.NOTE, path, span, message))
    return edits, told


def _dependencies(data: bytes) -> Iterator[tuple[Span, str]]:
    """The requirements of the project, without their quotes."""
    section = _PROJECT.search(data)
    start = _DEPENDENCIES.search(data, section.start(), section.end()) if section else None
    for token in _TOKEN.finditer(data, start.end()) if start else ():
        if token[0] == b"]":
            return
        if token["text"] is not None:
            yield Span(*token.span("text")), token["text"].decode("utf-8", "replace")
