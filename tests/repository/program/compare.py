"""What the plan's own check says of a change that a person made: two folders, compared as a plan for the first.

    python -m tests.repository.program.compare BEFORE AFTER [OLD=NEW ...]

`OLD=NEW` are files that moved. Prints a line for each finding; the exit status is 1 where there is one.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from torch_stabilize.config import load_config
from torch_stabilize.layout.detect import detect_layout
from torch_stabilize.layout.read import Program
from torch_stabilize.model import Diagnostic, FileChange, Plan
from torch_stabilize.program.check import check_plan
from torch_stabilize.program.planned import Planned
from torch_stabilize.repository.snapshot import Snapshot


def read_folder(root: Path) -> Snapshot:
    """All files of a folder but those of git."""
    paths = (path.relative_to(root) for path in sorted(root.rglob("*")) if path.is_file() and not path.is_symlink())
    names = [path.as_posix() for path in paths if ".git" not in path.parts]
    return Snapshot(root, tuple(sorted(names)))


def change_between(before: Snapshot, after: Snapshot, moved: Mapping[str, str]) -> Plan:
    """The plan that makes `after` of `before`."""
    files = [FileChange(old, new, before.read(old), after.read(new)) for old, new in moved.items()]
    done = {*moved, *moved.values()}
    for path in sorted({*before.files, *after.files} - done):
        old = before.read(path) if before.exists(path) else None
        new = after.read(path) if after.exists(path) else None
        if old != new:
            files.append(FileChange(path if old is not None else None, path if new is not None else None, old, new))
    return Plan("by hand", "2.11", tuple(files))


def findings(before: Snapshot, plan: Plan) -> tuple[Diagnostic, ...]:
    """What the check says of `plan`."""
    config = load_config(before)
    roots = detect_layout(before, config).include_roots
    return check_plan(Planned(Program(before, config, roots), plan))


def main(arguments: list[str]) -> int:
    """Print the findings."""
    before, after = (read_folder(Path(argument)) for argument in arguments[:2])
    moved = dict(argument.split("=", 1) for argument in arguments[2:])
    found = findings(before, change_between(before, after, moved))
    for one in found:
        print(f"{one.code} {one.path}: {one.message}")
    print(f"{len(found)} findings")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
