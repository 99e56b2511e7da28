"""Sources that a script writes when the build is configured: they are in no tree, but what they include is known.

A plan is made with files that stand in for them. Such a file is where a pattern of the build files would find it, and
has the include lines that the strings of the script have.
"""

from __future__ import annotations

import ast
import posixpath
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from torch_stabilize.buildfiles.cmake.flow import CMakeProject, read_project
from torch_stabilize.buildfiles.cmake.globs import glob_matches
from torch_stabilize.buildfiles.cmake.syntax import Command
from torch_stabilize.model import Refusal
from torch_stabilize.repository.layout import Layout
from torch_stabilize.repository.python_tree import python_tree
from torch_stabilize.repository.snapshot import Snapshot
from torch_stabilize.repository.written_headers import INCLUDE_LINE, INCLUDES, ends_of_words, header_names, texts_of
from torch_stabilize.source.document import UNIT_SUFFIXES

_OWN_FOLDER = re.compile(rb"\b__file__\b")
_UPWARDS = re.compile(
    rb"\.parents\b|\.parent\s*\.\s*parent\b|[\"']\.\.(?:/|[\"'])|\bpardir\b|dirname\s*\(\s*(?:\w+\.)*dirname\b"
)
_WILDCARDS = re.compile(r"\*\*/?|[*?]|\[[^\]]*\]")
_TEMPLATES = (".jinja", ".j2", ".tmpl", ".in", ".mako")


class Script(NamedTuple):
    """A script that writes sources. `includes` are the lines that its strings have, as they are written in C++."""

    path: str
    includes: tuple[str, ...]
    headers: tuple[str, ...]  # names of headers that it writes
    templates: tuple[str, ...]  # template files next to it
    modules: tuple[str, ...]  # files of the tree that it imports
    writes_next_to_itself: bool  # where it is is where its files are


class Written(NamedTuple):
    """What `script` writes for one pattern of a build file, with `source` in the place of all of it."""

    script: Script
    source: str
    pattern: str
    is_here: bool  # somebody wrote it, and it is kept in the tree


def find_written(snapshot: Snapshot, layout: Layout) -> tuple[Written, ...]:
    """The sources that scripts write, by the patterns of the build files that find them. Read once for a tree."""
    key = (find_written, layout.cmake_files, layout.setup_files, layout.project_root)
    return snapshot.once(key, lambda: tuple(_find(snapshot, layout)))


def _find(snapshot: Snapshot, layout: Layout) -> Iterator[Written]:
    scripts = _scripts(snapshot, layout)
    if not scripts:
        return
    made: dict[str, Written] = {}
    for pattern, recursive in dict.fromkeys(_patterns(snapshot, layout)):
        script = _writer(scripts, pattern)
        if script is None:
            continue
        folder = _WILDCARDS.split(pattern, maxsplit=1)[0].rpartition("/")[0]
        below = snapshot.below("" if recursive else folder)
        found = [path for path in below if glob_matches(pattern, path, recursive=recursive)]
        kept = [path for path in found if set(script.includes) <= set(_lines(_text(snapshot, path)))]
        if kept:
            made.update({path: Written(script, path, pattern, True) for path in kept})
            continue
        source = stand_in(pattern)
        if source not in found and not any(glob_matches(pattern, other, recursive=recursive) for other in made):
            made[source] = Written(script, source, pattern, False)
    yield from made.values()


def stand_in(pattern: str) -> str:
    """A path that `pattern` finds."""
    known = {"**": "", "**/": "", "?": "x"}
    return _WILDCARDS.sub(lambda match: known.get(match[0], "generated"), pattern)


def _scripts(snapshot: Snapshot, layout: Layout) -> tuple[Script, ...]:
    """The scripts that a build file names and that have include lines in their strings."""
    named = ends_of_words([snapshot.read(path) for path in (*layout.cmake_files, *layout.setup_files)], b".py")
    found = []
    for path in snapshot.below(layout.project_root, (".py",)):
        if posixpath.basename(path).encode("utf-8", "surrogateescape") not in named or path in layout.setup_files:
            continue
        data = snapshot.read(path)
        folder = posixpath.dirname(path)
        templates = tuple(one for one in snapshot.below(folder, _TEMPLATES) if posixpath.dirname(one) == folder)
        if INCLUDES.search(data) or (templates and b"open" in data):
            found.append(_script(snapshot, path, data, templates))
    return tuple(one for one in found if one.includes)


def _script(snapshot: Snapshot, path: str, data: bytes, templates: tuple[str, ...]) -> Script:
    tree = python_tree(data)
    if tree is None:
        return Script(path, (), (), (), (), False)
    texts = texts_of(data)
    headers = header_names(texts)
    codes = [*texts, *(_text(snapshot, one) for one in templates)]
    includes = tuple(dict.fromkeys(line for code in codes for line in _lines(code)))
    code = re.sub(rb"#[ \t]*include[^\n]*", b"", data)
    moves = bool(_OWN_FOLDER.search(code)) and not _UPWARDS.search(code)
    return Script(path, includes, headers, templates, _imported(snapshot, path, tree), moves)


def _imported(snapshot: Snapshot, path: str, tree: ast.Module) -> tuple[str, ...]:
    """The files of the tree that a script imports by a name that only one file has."""
    names = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module]
    found = []
    for name in dict.fromkeys(names):
        ending = f"/{name.replace('.', '/')}.py"
        near = [one for one in snapshot.below("", (".py",)) if f"/{one}".endswith(ending) and one != path]
        if len(near) == 1:
            found.append(near[0])
    return tuple(found)


def _text(snapshot: Snapshot, path: str) -> str:
    return snapshot.read(path).decode("utf-8", "replace")


def _lines(text: str) -> list[str]:
    return INCLUDE_LINE.findall(text)


def _writer(scripts: Sequence[Script], pattern: str) -> Script | None:
    """The script nearest above what `pattern` finds."""
    folder = posixpath.dirname(_WILDCARDS.split(pattern, maxsplit=1)[0] + "x")
    homes = [(posixpath.dirname(one.path), one) for one in scripts]
    near = [(len(home), one) for home, one in homes if home and f"{folder}/".startswith(f"{home}/")]
    return max(near, key=lambda pair: pair[0])[1] if near else None


def _patterns(snapshot: Snapshot, layout: Layout) -> Iterator[tuple[str, bool]]:
    """The patterns and paths of sources in the build files; whether a pattern is looked for in folders below."""
    try:
        project = read_project(snapshot, layout.cmake_files)
    except Refusal:
        return
    for file in project.files.values():
        for command in file.commands:
            yield from _of_command(project, command)
    for path in layout.setup_files:
        yield from _of_setup(path, snapshot.read(path))


def _of_command(project: CMakeProject, command: Command) -> Iterator[tuple[str, bool]]:
    is_glob = command.name == "file" and command.first.upper().startswith("GLOB")
    if not is_glob and command.name not in ("set", "list", "target_sources") and command.name not in project.definers:
        return
    recursive = is_glob and command.first.upper() == "GLOB_RECURSE"
    for argument in command.arguments[1:]:
        for item in argument.items:
            if item.text.endswith(UNIT_SUFFIXES):
                path = project.resolve(item.text, command.path)
                if path is not None and (is_glob or not project.snapshot.exists(path)):
                    yield path, recursive


def _of_setup(path: str, data: bytes) -> Iterator[tuple[str, bool]]:
    tree = python_tree(data)
    if tree is None:
        return
    folder = posixpath.dirname(path)
    for node in ast.walk(tree):
        parts: Iterable[ast.expr] = ()
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "join":
            parts = node.args
        elif isinstance(node, ast.Call) and node.args:
            parts = node.args[:1]
        words = [part.value for part in parts if isinstance(part, ast.Constant) and isinstance(part.value, str)]
        if words and words[-1].endswith(UNIT_SUFFIXES) and "*" in words[-1]:
            yield posixpath.normpath(posixpath.join(folder, *words)), "**" in "/".join(words)
