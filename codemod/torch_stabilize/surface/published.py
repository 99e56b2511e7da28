"""What torch's own headers offer to stable code, read from their text, and what of it no table has a row for.

torch publishes a header-only name by keeping its old spelling as an alias, `using torch::headeronly::X;` in namespace
c10. Functions of tensors are those of `torch/csrc/stable/ops.h`. Names that need no row are in `unlisted.toml`.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from torch_stabilize import toml
from torch_stabilize.surface.headers import installed_version
from torch_stabilize.surface.table import Surface, load_surface
from torch_stabilize.surface.versions import short_version

_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_OPENS = re.compile(r"\bnamespace\s+(?P<name>[\w:]+)\s*\{|(?P<brace>[{}])")
_ALIAS = re.compile(r"\busing\s+torch::headeronly::(?P<stable>[\w:]+)\s*;")
_FUNCTION = re.compile(r"^inline\s[^;{=()]*?\b(?P<name>\w+)\(", re.MULTILINE)
_LEGACY_SPACES = ("c10", "at", "torch")


class Published(NamedTuple):
    """A name that stable code may use: how legacy code spells it, and the header that has it."""

    legacy: str  # "c10::irange"; "permute" for a function of a tensor
    stable: str
    header: str


def published(include_dir: Path) -> tuple[Published, ...]:
    """The header-only aliases and the functions of tensors that the headers in `include_dir` have, sorted."""
    found: set[Published] = set()
    for path in sorted((include_dir / "torch/headeronly").rglob("*.h")):
        header = path.relative_to(include_dir).as_posix()
        for spaces, stable in _aliases(_COMMENT.sub("", path.read_text(encoding="utf-8"))):
            if spaces.partition("::")[0] in _LEGACY_SPACES:
                name = stable.rpartition("::")[2]
                found.add(Published(f"{spaces}::{name}", f"torch::headeronly::{stable}", header))
    ops = include_dir / "torch/csrc/stable/ops.h"
    for match in _FUNCTION.finditer(_COMMENT.sub("", ops.read_text(encoding="utf-8"))):
        found.add(Published(match["name"], f"torch::stable::{match['name']}", "torch/csrc/stable/ops.h"))
    return tuple(sorted(found))


def unlisted(include_dir: Path) -> tuple[Published, ...]:
    """What of `published` no row leads to, and `unlisted.toml` does not name."""
    version = short_version(installed_version(include_dir))
    surface = load_surface().at(version, version)
    return tuple(one for one in published(include_dir) if one.legacy not in needless() and not _has_row(surface, one))


@functools.cache
def needless() -> Mapping[str, str]:
    """The published names that need no row, each with the reason."""
    table = toml.loads(Path(__file__).with_name("unlisted.toml").read_text(encoding="utf-8"))
    return {name: reason for reason, names in table["names"].items() for name in names}


def _has_row(surface: Surface, one: Published) -> bool:
    if "::" in one.legacy:
        entry = surface.name(one.legacy)
        return entry is not None and "*" not in "".join(entry.legacy)
    rows = (surface.name(f"at::{one.legacy}"), surface.method(one.legacy))
    return any(entry is not None and entry.stable.startswith("torch::stable::") for entry in rows)


def _aliases(text: str) -> Iterator[tuple[str, str]]:
    """The aliases of header-only names in `text`: the namespace that each is in, and the name."""
    uses = [(match.start(), match["stable"]) for match in _ALIAS.finditer(text)]
    open_spaces: list[str] = []
    for match in (*_OPENS.finditer(text), None):
        place = match.start() if match is not None else len(text)
        while uses and uses[0][0] < place:
            yield "::".join(filter(None, open_spaces)), uses.pop(0)[1]
        if match is None:
            return
        if match["brace"] == "}":
            open_spaces = open_spaces[:-1]
        else:
            open_spaces.append(match["name"] or "")
