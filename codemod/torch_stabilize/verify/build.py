"""Build several sides at once through one ninja file: the legacy library before and after, and the stable one.

Units for the host compiler are linked into the side's library. CUDA units are compiled to objects, and their PTX and
ptxas' figures are kept; they are linked too where torch has CUDA. Every edge leaves its output in a log next to its
object, and nothing that is up to date is built again.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from torch_stabilize.model import Refusal
from torch_stabilize.verify.headers import write_if_changed
from torch_stabilize.verify.held_signals import held_signals
from torch_stabilize.verify.ninja_file import (
    arch_of,
    audit_path,
    has_object,
    is_linked,
    library_path,
    ninja_file,
    object_path,
    precompiled_path,
    prefix_path,
    wanted_units,
)
from torch_stabilize.verify.side import BuildOptions, BuiltSide, BuiltUnit, Side
from torch_stabilize.verify.toolchain import Toolchain

_PROGRESS = re.compile(r"^\[(\d+)/(\d+)\]")
_FAILED = re.compile(r"^FAILED: (?:\[code=-?\d+\] )?(\S.*)")


def build(
    sides: Iterable[Side],
    toolchain: Toolchain,
    folder: Path,
    options: BuildOptions,
    *,
    progress: Callable[[int, int], None] | None = None,
    failed: Callable[[Side, str, str], None] | None = None,
) -> tuple[BuiltSide, ...]:
    """Build `sides` in `folder`; `progress` is told how many edges of how many are done.

    `failed` is told of each unit that does not compile, at once: its side, its path and what the compiler said.

    CUDA units are left out where there is no nvcc. A unit that does not compile does not stop the others. Raises
    Refusal where ninja cannot run or the folder cannot be written.
    """
    sides = tuple(sides)
    write_if_changed(folder / "build.ninja", ninja_file(sides, toolchain, folder, options))
    for side in sides:
        if side.prefix:
            write_if_changed(prefix_path(folder, side), f"#include <{side.prefix}>\n")
    try:
        _run_ninja(toolchain.ninja, folder, options.jobs or os.cpu_count() or 1, progress, _told(sides, folder, failed))
    finally:
        for side in sides:
            precompiled_path(folder, side).unlink(missing_ok=True)
    return tuple(_collect(side, toolchain, folder, options) for side in sides)


def _told(
    sides: Iterable[Side], folder: Path, failed: Callable[[Side, str, str], None] | None
) -> Callable[[str], None] | None:
    """A function for the names of outputs that could not be made."""
    if failed is None:
        return None
    units = {str(object_path(folder, side, unit)): (side, unit) for side in sides for unit in side.units}

    def tell(output: str) -> None:
        if output in units:
            failed(*units[output], _text(Path(f"{output}.log")))

    return tell


def _run_ninja(
    ninja: str,
    folder: Path,
    jobs: int,
    progress: Callable[[int, int], None] | None,
    failed: Callable[[str], None] | None,
) -> None:
    command = [ninja, "-C", str(folder), "-f", "build.ninja", "-k", "0", "-j", str(jobs)]
    said: list[str] = []
    process = None
    try:
        with held_signals():
            process = _started(command)
        assert process.stdout is not None
        for line in process.stdout:
            said.append(line.rstrip())
            match = _PROGRESS.match(line)
            if match and progress is not None:
                progress(int(match[1]), int(match[2]))
            elif failed is not None and (lost := _FAILED.match(line)):
                failed(lost[1].strip())
    except BaseException:
        if process is not None:
            process.terminate()  # ninja stops its compilers
        raise
    finally:
        if process is not None:
            process.communicate()
    # ninja fails where a unit does; what it says of itself starts with its name.
    complaint = next((line for line in said if line.startswith("ninja: error:")), None)
    if complaint is not None:
        raise Refusal(f"the build cannot start: {complaint.removeprefix('ninja: error:').strip()}")


def _started(command: Sequence[str]) -> subprocess.Popen[str]:
    try:
        return subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, "LC_ALL": "C"}
        )
    except OSError as error:
        raise Refusal(f"cannot run {command[0]}: {error.strerror}") from error


def _collect(side: Side, toolchain: Toolchain, folder: Path, options: BuildOptions) -> BuiltSide:
    units: list[BuiltUnit] = []
    for unit in wanted_units(side, toolchain):
        target = side.reused.get(unit, object_path(folder, side, unit))
        ptx = Path(f"{target}.ptx")
        log, arch = _text(Path(f"{target}.log")), arch_of(unit, side, options)
        units.append(BuiltUnit(unit, target, target.exists(), log, ptx if ptx.exists() else None, arch))
    library, audit = library_path(folder, side), audit_path(folder, side)
    linkable = [unit for unit in units if is_linked(unit.path, side, toolchain)]
    complete = bool(linkable) and all(unit.compiled for unit in linkable)
    linked = complete and library.exists()
    whole = all(unit.compiled for unit in units)
    if len(linkable) == len(units) or not all(has_object(unit.path, side, toolchain) for unit in units):
        audit = library
    return BuiltSide(
        side,
        tuple(units),
        library if linked else None,
        _text(Path(f"{library}.log")) if complete else "",
        audit if whole and audit.exists() else None,
    )


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
