"""Other places that name a moved file: package data, CODEOWNERS, hooks, CI filters, docs.

A plain path is edited. A path in a regular expression, and a pattern that caught the old place and does not catch the
new one, are listed: what they should say is a decision.
"""

from __future__ import annotations

import fnmatch
import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import PurePosixPath

from torch_stabilize.buildfiles.codes import PATH_NAMED, PATTERN_NAMED
from torch_stabilize.buildfiles.text_edits import TextEdits
from torch_stabilize.model import Diagnostic, FileEdit, Severity, Span
from torch_stabilize.repository.layout import Layout
from torch_stabilize.repository.snapshot import Snapshot
from torch_stabilize.source.document import SOURCE_SUFFIXES
from torch_stabilize.source.spans import line_start

_TEXT_SUFFIXES = (
    ".txt", ".md", ".rst", ".toml", ".cfg", ".ini", ".yaml", ".yml", ".json", ".in", ".py", ".sh", ".mk", ".j2",
    ".jinja", ".bzl", ".bazel",
)  # fmt: skip
_TEXT_NAMES = ("CODEOWNERS", "MANIFEST.in", "Makefile", "Dockerfile", ".clang-format-ignore", ".gitattributes", "BUILD")
_LARGEST = 1_000_000
_INCLUDED_FOLDER = re.compile(
    r"^[ \t]*(?:graft|recursive-include)[ \t]+(?P<folder>\S+)(?P<patterns>[^\n]*)", re.MULTILINE
)
_WILDCARD = re.compile(r"[*?]")
_PATTERN = re.compile(r"[\w./*?\[\]{}-]*[*?][\w./*?\[\]{}-]*")


def plan_mentions(
    snapshot: Snapshot, layout: Layout, renames: Mapping[str, str]
) -> tuple[tuple[FileEdit, ...], tuple[Diagnostic, ...]]:
    """Edits and diagnostics for every text file that names a moved file or a pattern that caught it."""
    moved = {old: new for old, new in renames.items() if old != new}
    edits: list[FileEdit] = []
    diagnostics: list[Diagnostic] = []
    if not moved:
        return (), ()
    handled = {*layout.cmake_files, *layout.setup_files}
    names_one = names_one_of({PurePosixPath(old).name for old in moved})
    folders = sorted({f"{PurePosixPath(old).parent}/".encode() for old in moved})
    for path in snapshot.files:
        if path in handled or path in moved or not _is_text(path):
            continue
        data = snapshot.read(path)
        if len(data) > _LARGEST or b"\0" in data[:1024]:
            continue
        if names_one(data):
            found = TextEdits(path, data)
            diagnostics.extend(_plain(found, layout, moved))
            edits.extend(found.edits())
        if _has_patterns(path) and any(folder.split(b"/")[0] in data for folder in folders):
            diagnostics.extend(_patterns(path, data, moved))
    scripts = {old: new for old, new in moved.items() if not old.endswith(SOURCE_SUFFIXES)}
    for path in layout.setup_files if scripts else ():
        found = TextEdits(path, snapshot.read(path))
        diagnostics.extend(_run_by_setup(found, layout, scripts))
        edits.extend(found.edits())
    diagnostics.extend(_in_sources(snapshot, layout, moved))
    return tuple(edits), tuple(diagnostics)


def _run_by_setup(found: TextEdits, layout: Layout, scripts: Mapping[str, str]) -> Iterator[Diagnostic]:
    """Scripts that a setup file runs, by paths in one string or in the parts of a join."""
    yield from _plain(found, layout, scripts)
    for old, new in scripts.items():
        for written, wanted in _spellings(found.path, layout, old, new):
            parts = [re.escape(part.encode()) for part in written.split("/")]
            first, rest = rb"(?P<q>[\"'])" + parts[0], rb"(?P=q)(?P=gap)(?P=q)".join(parts[1:])
            joined = re.compile(first + rb"(?P=q)(?P<gap>\s*[,/]\s*)(?P=q)" + rest + rb"(?P=q)")
            for match in joined.finditer(found.data) if len(parts) > 1 else ():
                quote, gap = match["q"].decode(), match["gap"].decode()
                text = f"{quote}{gap}{quote}".join(wanted.split("/"))
                found.replace(Span(*match.span()), f"{quote}{text}{quote}", PATH_NAMED)
        name = PurePosixPath(old).name.encode()
        if found.is_empty and name in found.data:
            at = found.data.index(name)
            yield Diagnostic(
                PATTERN_NAMED, Severity.ERROR, found.path, Span(at, at + len(name)),
                f"this may name {old}, which is {new} now", "Write the new path.",
            )  # fmt: skip


def names_one_of(names: Iterable[str]) -> Callable[[bytes], bool]:
    """Whether a text has one of the file names in it, as it is or with an escaped dot.

    Words with their suffixes are looked for, not every name in turn: there are many names, and many texts without one.
    """
    suffixes = "|".join(sorted({re.escape(PurePosixPath(name).suffix) for name in names}))
    suffix = re.compile(rf"(?:{suffixes})(?!\w)".encode())
    forms = tuple(form.encode() for name in names for form in (name, re.escape(name).replace(r"\-", "-")))
    return lambda data: any(data.endswith(forms, 0, match.end()) for match in suffix.finditer(data))


def _is_text(path: str) -> bool:
    name = posixpath.basename(path)
    if ".egg-info/" in path or name.endswith((".lock", "-lock.json")):  # written by tools
        return False
    return path.endswith(_TEXT_SUFFIXES) or name in _TEXT_NAMES or name.startswith(("Dockerfile", "requirements"))


def _plain(found: TextEdits, layout: Layout, moved: Mapping[str, str]) -> Iterator[Diagnostic]:
    """Replace whole paths; the same path with escaped dots, or as a part of a longer one, is listed."""
    for old, new in moved.items():
        _relative(found, old, new)
        for written, wanted in _spellings(found.path, layout, old, new):
            whole = re.compile(rb"(?<![\w./\\*-])((?:\./|/)?)" + re.escape(written.encode()) + rb"(?![\w/\\*-]|\.\w)")
            for match in whole.finditer(found.data):
                start = match.start() + len(match.group(1))
                found.replace(Span(start, match.end()), wanted, PATH_NAMED)
            escaped = _escaped(written).encode()
            if escaped == written.encode():
                continue
            for match in re.finditer(re.escape(escaped), found.data):
                yield Diagnostic(
                    PATTERN_NAMED, Severity.WARNING, found.path, Span(*match.span()),
                    f"a regular expression names {old}, which is {new} now", "Change the expression by hand.",
                )  # fmt: skip


def _relative(found: TextEdits, old: str, new: str) -> None:
    """Links of documents that start from their own folder: `../csrc/a.cu`."""
    folder = posixpath.dirname(found.path)
    written = posixpath.relpath(old, folder or ".")
    if not written.startswith("../"):
        return
    whole = re.compile(rb"(?<![\w./\\*-])" + re.escape(written.encode()) + rb"(?![\w/\\*-]|\.\w)")
    for match in whole.finditer(found.data):
        found.replace(Span(*match.span()), posixpath.relpath(new, folder), PATH_NAMED)


def _spellings(path: str, layout: Layout, old: str, new: str) -> list[tuple[str, str]]:
    """The path from the repository's root, and from the extension's folder for files within it."""
    pairs = [(old, new)]
    root = f"{layout.project_root}/" if layout.project_root else ""
    if root and path.startswith(root) and old.startswith(root) and new.startswith(root):
        pairs.append((old.removeprefix(root), new.removeprefix(root)))
    return pairs


def _has_patterns(path: str) -> bool:
    name = posixpath.basename(path)
    return name in _TEXT_NAMES or path.endswith((".yaml", ".yml", ".toml", ".cfg")) or name.startswith(".")


def _patterns(path: str, data: bytes, moved: Mapping[str, str]) -> Iterator[Diagnostic]:
    """Globs and folder patterns that caught the old place and miss the new one."""
    text = data.decode("utf-8", "replace")
    for match in _with_wildcards(text):
        pattern = match.group().lstrip("/")
        if "/" not in pattern:
            continue
        lost = [old for old, new in moved.items() if _glob(pattern, old) and not _glob(pattern, new)]
        if lost:
            start = len(text[: match.start()].encode())
            yield Diagnostic(
                PATTERN_NAMED, Severity.NOTE, path, Span(start, start + len(match.group().encode())),
                f'the pattern "{match.group()}" caught {", ".join(lost)} and does not catch its new place',
                "Add a pattern for the new folder if the rule is meant for these files.",
            )  # fmt: skip
    name = PurePosixPath(path).name
    if name == "CODEOWNERS":
        yield from _owners(path, text, moved)
    elif name == "MANIFEST.in":
        yield from _manifest(path, text, moved)
    elif name == ".pre-commit-config.yaml":
        yield from _hooks(path, text, moved)


def _with_wildcards(text: str) -> Iterator[re.Match[str]]:
    """The words with a `*` or a `?`, looked for in the lines that have one."""
    place = 0
    while found := _WILDCARD.search(text, place):
        start, place = text.rfind("\n", 0, found.start()) + 1, text.find("\n", found.end())
        place = place if place >= 0 else len(text)
        yield from _PATTERN.finditer(text, start, place)


def _owners(path: str, text: str, moved: Mapping[str, str]) -> Iterator[Diagnostic]:
    """CODEOWNERS: a folder owns everything below it."""
    offset = 0
    for line in text.splitlines(keepends=True):
        words = line.split()
        folder = words[0].strip("/") if words and not words[0].startswith("#") else ""
        lost = [o for o, n in moved.items() if folder and "*" not in folder and o.startswith(f"{folder}/")
                and not n.startswith(f"{folder}/")]  # fmt: skip
        if lost:
            yield Diagnostic(
                PATTERN_NAMED, Severity.NOTE, path, Span(offset, offset + len(line.rstrip().encode())),
                f"{', '.join(lost)} had its owners from {words[0]}", "Name the owners of the new folder.",
            )  # fmt: skip
        offset += len(line.encode())


def _manifest(path: str, text: str, moved: Mapping[str, str]) -> Iterator[Diagnostic]:
    """MANIFEST.in: `graft FOLDER` and `recursive-include FOLDER PATTERN...` take what lies below a folder."""
    for match in _INCLUDED_FOLDER.finditer(text):
        folder, patterns = match["folder"].strip("/"), match["patterns"].split() or ["*"]

        def takes(file: str, folder: str = folder, patterns: Sequence[str] = patterns) -> bool:
            below = file.startswith(f"{folder}/")
            return below and any(fnmatch.fnmatchcase(PurePosixPath(file).name, pattern) for pattern in patterns)

        yield from _missed(path, text, match.start(), match.group().strip(), moved, takes)


def _escaped(path: str) -> str:
    """A path as a regular expression spells it."""
    return re.escape(path).replace(r"\-", "-")


def _hooks(path: str, text: str, moved: Mapping[str, str]) -> Iterator[Diagnostic]:
    """pre-commit: `files` and `exclude` are regular expressions, searched in the path."""
    for match in re.finditer(r"^[ \t-]*(?:files|exclude):[ \t]*(?P<pattern>[^\s#|>][^\n]*)", text, re.M):
        pattern = match["pattern"].strip().strip("'\"")
        if pattern in moved or any(_escaped(old) in pattern for old in moved):
            continue  # spelled out: edited, or listed as such
        try:
            expression = re.compile(pattern)
        except re.error:
            continue
        yield from _missed(
            path, text, match.start("pattern") + match["pattern"].index(pattern), pattern, moved, expression.search
        )


def _missed(
    path: str, text: str, start: int, pattern: str, moved: Mapping[str, str], takes: Callable[[str], object]
) -> Iterator[Diagnostic]:
    lost = [old for old, new in moved.items() if takes(old) and not takes(new)]
    if lost:
        offset = len(text[:start].encode())
        yield Diagnostic(
            PATTERN_NAMED, Severity.NOTE, path, Span(offset, offset + len(pattern.encode())),
            f'"{pattern}" caught {", ".join(lost)} and does not catch its new place',
            "Add the new place if the rule is meant for these files.",
        )  # fmt: skip


def _glob(pattern: str, path: str) -> bool:
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", pattern)
    known = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.fullmatch("".join(known.get(part, re.escape(part)) for part in parts), path) is not None


def _in_sources(snapshot: Snapshot, layout: Layout, moved: Mapping[str, str]) -> Iterator[Diagnostic]:
    """Comments in C++ and CUDA files that name a moved file by its path."""
    written_somehow = [written for old, new in moved.items() for written, _ in _spellings(old, layout, old, new)]
    beginning = posixpath.commonprefix(written_somehow).encode()
    for path in snapshot.below(layout.source_root, SOURCE_SUFFIXES):
        data = snapshot.read(path)
        if beginning not in data:
            continue
        for old, new in moved.items():
            for written, _ in _spellings(path, layout, old, new):
                if written.encode() not in data:
                    continue
                for match in re.finditer(rb"(?<![\w./])" + re.escape(written.encode()) + rb"(?![\w])", data):
                    line = data[line_start(data, match.start()) : match.start()]
                    if b"#include" not in line.replace(b" ", b""):
                        yield Diagnostic(
                            PATTERN_NAMED, Severity.NOTE, path, Span(*match.span()),
                            f"this names {old}, which is {new} now",
                        )  # fmt: skip
