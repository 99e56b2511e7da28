"""What compilers print, as diagnostics at the place in the tree that is to blame."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from torch_stabilize.model import Severity, Span
from torch_stabilize.verify.result import Finding, finding

# g++ and clang++: "a.cpp:3:5: error: ..."; nvcc's front end: "a.cu(3): error: ..." or "a.cu(3): error #20-D: ...".
_GNU = re.compile(r"^(?P<path>[^\s:][^:]*):(?P<line>\d+):(?:\d+:)? (?P<kind>(?:fatal )?error): (?P<message>.*)$")
_EDG = re.compile(
    r"^(?P<path>[^\s(][^(]*)\((?P<line>\d+)\): (?P<kind>(?:catastrophic )?error)(?: #[\w-]+)?: (?P<message>.*)$"
)
_PTXAS = re.compile(r"^ptxas (?P<kind>fatal|error)\s*: (?P<message>.*)$")
# Lines that say where a place in a header was reached from.
_FROM = re.compile(r"(?:In file included from|^\s+from) (?P<path>[^:]+):(?P<line>\d+)")
_REQUIRED = re.compile(r"^(?P<path>[^\s:][^:]*):(?P<line>\d+):(?:\d+:)?\s+(?:required|recursively required) from")
_INSTANTIATED = re.compile(r"at line (?P<line>\d+) of (?P<path>\S+)")
_EXCERPT = re.compile(r"^\s+\d* *\|")
# g++ and clang++ on a header that is nowhere.
_NO_SUCH_HEADER = re.compile(r"^'?(?P<header>[^\s':]+)'?(?:: No such file or directory| file not found)")
MOST_PER_UNIT = 20


@dataclass(frozen=True)
class CompilerError:
    """One error, at the place in the tree that leads to it; `path` is relative to the tree, "" if none is in it."""

    path: str
    line: int
    message: str


def parse_errors(log: str, tree: Path) -> tuple[CompilerError, ...]:
    """The errors in a compiler's output, in order, each once.

    An error inside a header of torch or of the system is put where the tree includes or instantiates it.
    """
    lines = log.splitlines()
    found: dict[CompilerError, None] = {}
    for index, line in enumerate(lines):
        match = _GNU.match(line) or _EDG.match(line)
        if match is None:
            ptxas = _PTXAS.match(line)
            if ptxas is not None:
                found[CompilerError("", 0, f"ptxas: {ptxas['message']}")] = None
            continue
        path, number = _inside(match["path"], tree), int(match["line"])
        message = match["message"].strip()
        if path is None:
            message = f"{message} ({match['path']}:{number})"
            path, number = _led_here(lines, index, tree)
        found[CompilerError(path, number, message)] = None
    return tuple(found)


def missing_headers(log: str, tree: Path) -> tuple[str, ...]:
    """The headers that a compiler's output says are nowhere, as they are included."""
    matches = (_NO_SUCH_HEADER.match(error.message) for error in parse_errors(log, tree))
    return tuple(dict.fromkeys(match["header"] for match in matches if match is not None))


def error_diagnostics(
    code: str,
    unit: str,
    log: str,
    tree: Path,
    *,
    origin: Callable[[str, int], str] | None = None,
    help: str = "",
) -> tuple[Finding, ...]:
    """Diagnostics of one unit's failed compilation. `origin` tells where a line comes from, "" where that is unknown.

    There is always at least one; after MOST_PER_UNIT the rest is counted.
    """
    errors = parse_errors(log, tree)
    if not errors:
        tail = " | ".join(line for line in log.splitlines()[-3:] if line.strip()) or "the compiler said nothing"
        return (finding(code, f"does not compile: {tail}", path=unit, help=help),)
    made: list[Finding] = []
    for error in errors[:MOST_PER_UNIT]:
        path = error.path or unit
        known = origin(path, error.line) if origin is not None and error.line else ""
        message = f"{error.message} [{known}]" if known else error.message
        span = line_span(_data(tree / path), error.line) if error.line else None
        made.append(finding(code, message, path=path, span=span, line=error.line, help=help))
    if len(errors) > MOST_PER_UNIT:
        rest = len(errors) - MOST_PER_UNIT
        made.append(finding(code, f"{rest} more errors in this unit", severity=Severity.NOTE, path=unit))
    return tuple(made)


def line_span(data: bytes, line: int) -> Span:
    """The bytes of line `line` (from 1), its end left out; empty, behind all others, where there is no such line."""
    start = 0
    for _ in range(line - 1):
        end = data.find(b"\n", start)
        if end < 0:
            return Span(len(data), len(data))
        start = end + 1
    end = data.find(b"\n", start)
    return Span(start, len(data) if end < 0 else end)


def _data(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _inside(path: str, tree: Path) -> str | None:
    """`path` relative to `tree`, or None where it lies elsewhere."""
    place = Path(path)
    if not place.is_absolute():
        return path if (tree / path).exists() else None
    try:
        return place.relative_to(tree).as_posix()
    except ValueError:
        return None


def _led_here(lines: list[str], index: int, tree: Path) -> tuple[str, int]:
    """The nearest place of the tree that the compiler names around the error at `lines[index]`."""
    stack: list[tuple[str, int]] = []  # outermost first
    for line in reversed(lines[max(0, index - 60) : index]):  # g++ says it before the error
        if _GNU.match(line) or _EDG.match(line) or _EXCERPT.match(line):
            break
        match = _REQUIRED.match(line) or _FROM.search(line)
        path = _inside(match["path"], tree) if match else None
        if match and path is not None:
            stack.append((path, int(match["line"])))
    if stack:
        return stack[-1]
    for line in lines[index + 1 : index + 40]:  # nvcc and g++'s "required from" after it
        if _GNU.match(line) or _EDG.match(line):
            break
        match = _INSTANTIATED.search(line) or _REQUIRED.match(line)
        path = _inside(match["path"].strip('"'), tree) if match else None
        if match and path is not None:
            return path, int(match["line"])
    return "", 0
