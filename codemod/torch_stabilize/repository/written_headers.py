"""Headers that a script writes when the build is configured: they are in no tree, but what they include is known."""

from __future__ import annotations

import ast
import posixpath
import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from torch_stabilize.repository.python_tree import python_tree
from torch_stabilize.repository.snapshot import Snapshot
from torch_stabilize.source.document import HEADER_SUFFIXES

INCLUDE_LINE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*("[^"\n{}$%]+"|<[^>\n{}$%]+>)', re.MULTILINE)
INCLUDES = re.compile(rb"#[ \t]*include\b")
_LONGEST_NAME = 255  # bytes: what file systems allow
_BUILD_FILES = ("CMakeLists.txt", ".cmake", "setup.py")


class WrittenHeader(NamedTuple):
    """A header that the script at `script` writes; `includes` are the include lines that its strings have."""

    script: str
    includes: tuple[str, ...]


def written_headers(snapshot: Snapshot) -> Mapping[str, tuple[WrittenHeader, ...]]:
    """By their names, the headers that scripts write which a build file names. Read once for a tree."""
    return snapshot.once(written_headers, lambda: _find(snapshot))


def _find(snapshot: Snapshot) -> Mapping[str, tuple[WrittenHeader, ...]]:
    build_files = snapshot.below("", _BUILD_FILES)
    named = ends_of_words((snapshot.read(path) for path in build_files), b".py")
    found: dict[str, tuple[WrittenHeader, ...]] = {}
    for path in snapshot.below("", (".py",)) if named else ():
        if posixpath.basename(path).encode("utf-8", "surrogateescape") not in named or path in build_files:
            continue
        data = snapshot.read(path)
        texts = texts_of(data) if INCLUDES.search(data) else ()
        includes = tuple(dict.fromkeys(line for text in texts for line in INCLUDE_LINE.findall(text)))
        for name in header_names(texts) if includes else ():
            found[name] = (*found.get(name, ()), WrittenHeader(path, includes))
    return found


def texts_of(data: bytes) -> tuple[str, ...]:
    """The strings of a Python file, none where it cannot be read."""
    tree = python_tree(data)
    nodes = ast.walk(tree) if tree is not None else ()
    return tuple(node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str))


def header_names(texts: Iterable[str]) -> tuple[str, ...]:
    """The names of headers among strings, each once."""
    names = (posixpath.basename(one) for one in texts if one.endswith(HEADER_SUFFIXES) and "\n" not in one)
    return tuple(dict.fromkeys(names))


def ends_of_words(texts: Iterable[bytes], suffix: bytes) -> frozenset[bytes]:
    """Everything in `texts` that ends in `suffix` and could be the name of a file."""
    found: set[bytes] = set()
    for text in texts:
        for match in re.finditer(re.escape(suffix), text):
            word = text[max(0, match.end() - _LONGEST_NAME) : match.end()].rpartition(b"/")[2]
            found.update(word[start:] for start in range(len(word)))
    return frozenset(found)
