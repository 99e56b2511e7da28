"""Objects kept from earlier verifications: the next group's legacy side is mostly the last one's.

An object is found again by all that made it: the text of its unit and of the project's headers, flags, compilers. Of
the headers from elsewhere, which the compiler listed, each must be as it was.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from torch_stabilize.repository.includes import IncludeGraph
from torch_stabilize.repository.snapshot import Snapshot
from torch_stabilize.verify.ninja_file import command_of, object_path, wanted_units
from torch_stabilize.verify.side import BuildOptions, BuiltSide, Side
from torch_stabilize.verify.toolchain import Toolchain

KEPT_DAYS = 30
_BESIDE = ("", ".log", ".ptx")  # what belongs to an object
_SEEN = ".seen"


@dataclass(frozen=True)
class ObjectStore:
    """The objects kept in `folder`. `graphs` has the include graph of each side's tree, by the side's role."""

    folder: Path
    graphs: Mapping[str, IncludeGraph]
    tools: Toolchain
    options: BuildOptions

    def reuse(self, sides: Iterable[Side], build_folder: Path) -> tuple[Side, ...]:
        """The sides with the units that need not be built again among their `reused`."""
        moved: dict[Path, Path] = {}
        found = []
        for side in sides:
            reused = {unit: moved.get(place, place) for unit, place in side.reused.items()}
            for unit in wanted_units(side, self.tools):
                place = None if unit in reused else self._find(side, unit)
                if place is not None:
                    reused[unit] = moved[object_path(build_folder, side, unit)] = place
            found.append(replace(side, reused=reused))
        return tuple(found)

    def keep(self, sides: Iterable[BuiltSide]) -> None:
        """Keep what was built; forget what nobody asked for in a month. A full disk only costs time."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for built in sides:
                for unit in built.units:
                    if unit.compiled and unit.path not in built.side.reused:
                        self._keep(built.side, unit.path, unit.object)
            self._forget()
        except OSError:
            return

    def _place(self, side: Side, unit: str) -> Path:
        graph = self.graphs[side.role]
        digest = hashlib.sha256()
        words = [unit, *command_of(unit, side, self.tools, self.options)]
        for word in words:
            digest.update(word.replace(str(side.tree), "TREE").encode("utf-8", "surrogateescape") + b"\0")
        for program in filter(None, (self.tools.cxx, self.tools.nvcc)):
            digest.update(f"{program}:{os.stat(program).st_mtime_ns}\0".encode())
        for path in graph.closure([unit]):
            digest.update(path.encode("utf-8", "surrogateescape") + b"\0" + _content(graph.snapshot, path))
        return self.folder / f"{digest.hexdigest()[:32]}.o"

    def _find(self, side: Side, unit: str) -> Path | None:
        place = self._place(side, unit)
        seen = Path(f"{place}{_SEEN}")
        try:
            if not place.exists() or any(_state(path) != state for path, state in json.loads(seen.read_text())):
                return None
            os.utime(seen)
        except (OSError, ValueError):
            return None
        return place

    def _keep(self, side: Side, unit: str, built: Path) -> None:
        place = self._place(side, unit)
        listed = Path(f"{built}.d").read_text(encoding="utf-8", errors="surrogateescape").replace("\\\n", " ")
        headers = sorted({os.path.normpath(name) for name in listed.partition(": ")[2].split()})
        elsewhere = [name for name in headers if not name.startswith(f"{side.tree}{os.sep}")]
        for suffix in _BESIDE:
            if Path(f"{built}{suffix}").exists():
                shutil.copyfile(f"{built}{suffix}", f"{place}{suffix}")
        Path(f"{place}{_SEEN}").write_text(json.dumps([[name, _state(name)] for name in elsewhere]))

    def _forget(self) -> None:
        old = time.time() - KEPT_DAYS * 86400
        for seen in self.folder.glob(f"*{_SEEN}"):
            if seen.stat().st_mtime < old:
                for path in self.folder.glob(f"{seen.name.removesuffix(_SEEN)}*"):
                    path.unlink(missing_ok=True)


def _content(snapshot: Snapshot, path: str) -> bytes:
    return hashlib.sha256(snapshot.read(path)).digest()


def _state(path: str) -> list[int]:
    """When a header was written and how long it is."""
    found = os.stat(path)
    return [found.st_mtime_ns, found.st_size]
