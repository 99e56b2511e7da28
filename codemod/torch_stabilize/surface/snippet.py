"""Small C++ helpers that generated code calls: a stream, device properties, one value of a tensor.

Each helper is a header of `snippets/`, complete in itself; `snippets/index.toml` says what it represents and what it
needs.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import NamedTuple

from torch_stabilize import toml
from torch_stabilize.surface.entry import TableError
from torch_stabilize.surface.versions import known_versions, parse_version

_CHECKED_SINCE = known_versions().headers["error_code_check"]
ERROR_CODES = f"""#ifndef STABLE_TORCH_ERROR_CODE_CHECK  // headers before torch {_CHECKED_SINCE}
#define STABLE_TORCH_ERROR_CODE_CHECK(call) TORCH_ERROR_CODE_CHECK(call)
#endif"""
SNIPPETS = Path(__file__).with_name("snippets")

_INCLUDE = re.compile(r'^#include [<"](.+)[>"]\n', re.MULTILINE)
_KEYS = {"legacy", "target", "needs_cuda", "outside"}


class Snippet(NamedTuple):
    """A helper: the headers it includes, and its definitions without them."""

    name: str
    includes: tuple[str, ...]
    code: str
    target: str  # oldest TORCH_TARGET_VERSION
    needs_cuda: bool  # needs the CUDA headers and USE_CUDA defined
    legacy: str = ""  # what it represents, in words
    is_outside: bool = False  # adds to a namespace that is there: it cannot stand in one of its own


def snippet(name: str) -> Snippet:
    """The helper called `name`. Raises TableError where there is none."""
    try:
        return all_snippets()[name]
    except KeyError:
        raise TableError(f"no C++ helper {name!r}") from None


APART = "apart:"  # before the name of a helper that a function of the project has the name of
APART_SPACE = "stable_helpers_apart"


def snippet_apart(name: str) -> Snippet:
    """The helper called `name` in a namespace that no using-directive opens."""
    one = snippet(name)
    space = f"HIDDEN_NAMESPACE_BEGIN({APART_SPACE})", f"HIDDEN_NAMESPACE_END({APART_SPACE})"
    return one._replace(code="\n\n".join([space[0], one.code.strip(), space[1]]) + "\n", is_outside=True)


@functools.cache
def all_snippets() -> dict[str, Snippet]:
    """Every helper by name. Raises TableError where the index and the headers do not agree."""
    index = toml.loads((SNIPPETS / "index.toml").read_text(encoding="utf-8"))
    headers = {path.stem: path for path in SNIPPETS.glob("*.h")}
    if odd := headers.keys() ^ index.keys():
        raise TableError(f"{min(odd)}: every C++ helper has one header and one row of index.toml")
    return {name: _read(name, headers[name], row) for name, row in index.items()}


def _read(name: str, path: Path, row: dict[str, object]) -> Snippet:
    if unknown := row.keys() - _KEYS:
        raise TableError(f"index.toml: unknown key {min(unknown)!r} of {name}")
    text = path.read_text(encoding="utf-8")
    target = str(row.get("target", "2.9"))
    parse_version(target)
    code = _INCLUDE.sub("", text).strip("\n") + "\n"
    includes = tuple(_INCLUDE.findall(text))
    return Snippet(
        name, includes, code, target, bool(row.get("needs_cuda", False)), str(row["legacy"]), bool(row.get("outside"))
    )
