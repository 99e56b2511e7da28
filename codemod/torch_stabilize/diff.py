"""A plan as a diff that git can apply."""

from __future__ import annotations

import functools
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher

from torch_stabilize.model import FileChange, Plan

CONTEXT = 3
_RUN = 3  # lines that are the same again end a change
Opcode = tuple[str, int, int, int, int]  # as difflib has it: tag, first and last line before, first and last after


def render_diff(plan: Plan) -> str:
    """`plan` as a git diff with rename headers, files sorted by their new path.

    Bytes that are not UTF-8 are surrogate escapes in the text: write it with `errors="surrogateescape"` and
    `newline=""`, and `git apply` gives the plan's bytes back.
    """
    ordered = sorted(plan.files, key=lambda file: (file.new_path or file.old_path or "", file.old_path or ""))
    return b"".join(part for file in ordered for part in _file_diff(file)).decode("utf-8", "surrogateescape")


@functools.lru_cache(maxsize=1024)
def changed_ranges(before: bytes, after: bytes) -> tuple[Opcode, ...]:
    """Opcodes as difflib has them that turn the lines of `before` into those of `after`.

    Most lines stay, so the two are walked side by side, and difflib compares only what lies between two common runs.
    Formatting, the diff and the report all ask for the same ranges.
    """
    old, new = split_lines(before), split_lines(after)
    if before == after:  # a file that only moves
        return (("equal", 0, len(old), 0, len(new)),) if old else ()
    places: dict[bytes, list[int]] = {}
    for place, line in enumerate(new):
        places.setdefault(line, []).append(place)
    opcodes: list[Opcode] = []
    row = column = 0
    while row < len(old) or column < len(new):
        common = _common(old, new, row, column)
        if common:
            opcodes.append(("equal", row, row + common, column, column + common))
        row, column = row + common, column + common
        next_row, next_column = _next_common(old, new, places, row, column)
        between = SequenceMatcher(None, old[row:next_row], new[column:next_column], autojunk=False)
        for tag, i1, i2, j1, j2 in between.get_opcodes():
            opcodes.append((tag, i1 + row, i2 + row, j1 + column, j2 + column))
        row, column = next_row, next_column
    return tuple(opcodes)


def _common(old: Sequence[bytes], new: Sequence[bytes], row: int, column: int) -> int:
    """How many lines are the same from `row` and `column` on."""
    count, most = 0, min(len(old) - row, len(new) - column)
    while count < most and old[row + count] == new[column + count]:
        count += 1
    return count


def _next_common(
    old: Sequence[bytes], new: Sequence[bytes], places: Mapping[bytes, Sequence[int]], row: int, column: int
) -> tuple[int, int]:
    """Where the nearest run of common lines starts behind `row` and `column`; both ends where there is none."""
    best, distance = (len(old), len(new)), len(old) - row + len(new) - column
    for at in range(row, len(old)):
        if at - row >= distance:
            break
        found = places.get(old[at], ())
        for place in found[bisect_left(found, column) :]:
            if at - row + place - column >= distance:
                break
            if old[at : at + _RUN] == new[place : place + _RUN]:
                best, distance = (at, place), at - row + place - column
                break
    return best


def split_lines(data: bytes) -> list[bytes]:
    """The lines of `data` with their line ends: those git sees, where only a line feed ends a line."""
    lines = data.split(b"\n")
    last = lines.pop()
    return [line + b"\n" for line in lines] + ([last] if last else [])


def _file_diff(file: FileChange) -> Iterator[bytes]:
    before, after = split_lines(file.before or b""), split_lines(file.after or b"")
    opcodes = changed_ranges(file.before or b"", file.after or b"")
    old, new = file.old_path or file.new_path or "", file.new_path or file.old_path or ""
    if file.old_path == file.new_path and before == after:
        return
    yield f"diff --git {_quoted('a/' + old)} {_quoted('b/' + new)}\n".encode("utf-8", "surrogateescape")
    if file.old_path is None:
        yield b"new file mode 100644\n"
    elif file.new_path is None:
        yield b"deleted file mode 100644\n"
    elif file.old_path != file.new_path:
        yield f"similarity index {_similarity(opcodes, before, after)}%\n".encode()
        yield f"rename from {_quoted(old)}\nrename to {_quoted(new)}\n".encode("utf-8", "surrogateescape")
    if before == after:
        return
    yield _name_line(b"--- ", "a/", file.old_path)
    yield _name_line(b"+++ ", "b/", file.new_path)
    for hunk in _hunks(opcodes):
        yield from _render_hunk(hunk, before, after)


def _name_line(mark: bytes, prefix: str, path: str | None) -> bytes:
    if path is None:
        return mark + b"/dev/null\n"
    # Behind a name with a space, git puts a tab, so that patch does not take the rest for a date.
    tab = b"\t" if " " in path else b""
    return mark + _quoted(prefix + path).encode("utf-8", "surrogateescape") + tab + b"\n"


def _quoted(path: str) -> str:
    """`path` as git writes it: in C quotes where it holds a quote, a backslash or a control character."""
    data = path.encode("utf-8", "surrogateescape")
    if not any(byte < 32 or byte in b'"\\\x7f' for byte in data):
        return path
    escapes = {ord("\n"): "\\n", ord("\t"): "\\t", ord('"'): '\\"', ord("\\"): "\\\\"}
    return '"' + "".join(escapes.get(b, chr(b) if 32 <= b < 127 else f"\\{b:03o}") for b in data) + '"'


def _similarity(opcodes: Sequence[Opcode], before: list[bytes], after: list[bytes]) -> int:
    """Percent of the larger file that the two have in common, as git counts it."""
    kept = sum(len(line) for tag, i1, i2, _, _ in opcodes if tag == "equal" for line in before[i1:i2])
    size = max(sum(map(len, before)), sum(map(len, after)))
    return 100 * kept // size if size else 100


def _hunks(opcodes: Sequence[Opcode]) -> Iterator[Sequence[Opcode]]:
    """Changes that are close together, with the lines around them."""
    matcher = SequenceMatcher()
    matcher.opcodes = list(opcodes)  # type: ignore[attr-defined]  # which typeshed does not list
    return iter(matcher.get_grouped_opcodes(CONTEXT))


def _render_hunk(hunk: Sequence[Opcode], before: list[bytes], after: list[bytes]) -> Iterator[bytes]:
    (_, i1, _, j1, _), (_, _, i2, _, j2) = hunk[0], hunk[-1]
    yield f"@@ -{_range(i1, i2)} +{_range(j1, j2)} @@\n".encode()
    for tag, a1, a2, b1, b2 in hunk:
        if tag == "equal":
            yield from (_line(b" ", line) for line in before[a1:a2])
            continue
        yield from (_line(b"-", line) for line in before[a1:a2])
        yield from (_line(b"+", line) for line in after[b1:b2])


def _range(start: int, end: int) -> str:
    count = end - start
    return f"{start + 1 if count else start},{count}" if count != 1 else f"{start + 1}"


def _line(mark: bytes, line: bytes) -> bytes:
    return mark + line if line.endswith(b"\n") else mark + line + b"\n\\ No newline at end of file\n"
