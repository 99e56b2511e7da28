"""Lines of an extension that counts its blocks: which of them a program reached, and which never.

Such a library is built with -fsanitize-coverage=trace-pc -g1: every block of it calls a function, and where these calls
stand, and the lines there, can be read from the file.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from torch_stabilize.model import Refusal

TRACE = b"__sanitizer_cov_trace_pc"
_INSTRUCTION = re.compile(r"^\s*([0-9a-f]+):\t(.*)$")
_AT_MOST = 40  # places that are named


class Lines(NamedTuple):
    """Lines of the project's own files that were reached, all that have code, and the ranges of the others."""

    reached: int = 0
    total: int = 0
    others: tuple[str, ...] = ()


def counts_blocks(library: Path) -> bool:
    """Whether a library was built to count its blocks."""
    return TRACE in library.read_bytes()


def reached_lines(libraries: Iterable[Path], blocks: Collection[str], root: Path) -> Lines:
    """The lines of files below `root` in `libraries`, and which of them `blocks` are on. Raises Refusal."""
    reached: set[tuple[str, int]] = set()
    found: set[tuple[str, int]] = set()
    known = {(Path(name).resolve(), address) for name, _, address in (block.rpartition("+") for block in blocks)}
    for library in libraries:
        if not counts_blocks(library):
            continue
        places = _places(library)
        for address, line in zip(places, _lines(library, places), strict=True):
            own = _own(line, root)
            if own is None:
                continue
            found.add(own)
            if (library.resolve(), f"0x{address:x}") in known:
                reached.add(own)
    return Lines(len(reached), len(found), _ranges(sorted(found - reached), found))


def _places(library: Path) -> list[int]:
    """The addresses behind the calls, as they are returned to."""
    shown = _run(["objdump", "-d", "--no-show-raw-insn", str(library)])
    places, behind = [], False
    for line in shown.splitlines():
        instruction = _INSTRUCTION.match(line)
        if instruction is None:
            continue
        if behind:
            places.append(int(instruction[1], 16))
        behind = TRACE.decode() in instruction[2]
    return places


def _lines(library: Path, places: Sequence[int]) -> list[str]:
    """The file and line of each address; the call itself is one byte before."""
    given = "\n".join(f"0x{place - 1:x}" for place in places)
    return _run(["addr2line", "-e", str(library)], given).splitlines() if places else []


def _own(line: str, root: Path) -> tuple[str, int] | None:
    name, _, number = line.partition(" ")[0].rpartition(":")
    if not number.isdigit() or number == "0":
        return None
    path = Path(name)
    full = (root / path if not path.is_absolute() else path).resolve()
    if not full.is_relative_to(root) or not full.is_file():
        return None
    return full.relative_to(root).as_posix(), int(number)


def _ranges(lines: Sequence[tuple[str, int]], known: Collection[tuple[str, int]]) -> tuple[str, ...]:
    """Lines as "file:first-last"; lines without code between two do not part them."""
    ranges: list[list[tuple[str, int]]] = []
    for place in lines:
        last = ranges[-1][-1] if ranges else None
        between = (
            last is not None
            and last[0] == place[0]
            and not any((last[0], number) in known for number in range(last[1] + 1, place[1]))
        )
        if between:
            ranges[-1].append(place)
        else:
            ranges.append([place])
    told = [f"{one[0][0]}:{one[0][1]}" + (f"-{one[-1][1]}" if len(one) > 1 else "") for one in ranges]
    more = [f"and {len(told) - _AT_MOST} more places"] if len(told) > _AT_MOST else []
    return (*told[:_AT_MOST], *more)


def _run(command: list[str], given: str = "") -> str:
    if shutil.which(command[0]) is None:
        raise Refusal(f"{command[0]} (binutils) is needed to read which lines were reached, and is not installed")
    ran = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise Refusal(f"{command[0]}: {ran.stderr.strip()}")
    return ran.stdout
