"""Libraries that are built already: handed over as files or wheels, or made by the project's own build."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from torch_stabilize.model import Refusal
from torch_stabilize.verify.golden.modules import module_name
from torch_stabilize.verify.own_build import build_by_project, unpacked
from torch_stabilize.verify.progress import Reporter
from torch_stabilize.verify.setup import Setup
from torch_stabilize.verify.side import LEGACY, REMAINDER, STABLE, BuiltSide, Side


@dataclass(frozen=True)
class OwnLibraries:
    """What a user gives instead of a build by `verify`: finished libraries or wheels, or the command that builds."""

    legacy: tuple[Path, ...] = ()
    stable: tuple[Path, ...] = ()
    command: str = ""


@dataclass(frozen=True)
class Finished:
    """The libraries of both sides; `origin` says in words where they come from, `faults` why there are not all."""

    legacy: tuple[Path, ...]
    stable: tuple[Path, ...]
    origin: str
    faults: tuple[str, ...] = ()


def finished_sides(setup: Setup, own: OwnLibraries, reporter: Reporter) -> tuple[Finished | None, Setup]:
    """The finished libraries, if there are any, and `setup` with what is known of their build.

    Raises Refusal (exit 2) where only one side is given, and for files that are no libraries.
    """
    before, after = setup.library_names
    folder = setup.folder / "own"
    if own.command:
        reporter.line(f"building both sides with `{own.command}`")
        start = setup.work.layout.project_root
        old = build_by_project(own.command, setup.legacy.snapshot, start, before, folder / "legacy")
        new = build_by_project(own.command, setup.work.snapshot, start, after, folder / "stable")
        faults = tuple(f"{side}: {made.fault}" for side, made in (("before", old), ("after", new)) if made.fault)
        recorded = {**old.flags, **new.flags}
        reporter.line(f"{len(old.flags)} and {len(new.flags)} units were compiled")
        origin = f"libraries built by `{own.command}`, which compiled {len(old.flags)} and {len(new.flags)} units"
        found = Finished(old.libraries, new.libraries, origin, faults)
        return found, replace(setup, is_finished=True, recorded=recorded)
    if not own.legacy and not own.stable:
        return None, setup
    if not own.legacy or not own.stable:
        raise Refusal("finished libraries are given for both sides or for none", exit_code=2)
    given = (
        given_libraries(own.legacy, before, folder / "legacy"),
        given_libraries(own.stable, after, folder / "stable"),
    )
    return Finished(*given, "libraries that were built elsewhere"), replace(setup, is_finished=True)


def given_libraries(files: Iterable[Path], names: Collection[str], folder: Path) -> tuple[Path, ...]:
    """The libraries in `files`, of wheels those called as one of `names`, unpacked in `folder`.

    Raises Refusal (exit 2) for a file that is none, and for a wheel without such a library.
    """
    found: list[Path] = []
    for path in files:
        if path.suffix != ".whl":
            found.append(path.resolve())
            continue
        inside = unpacked(path, names, folder / path.stem)
        if not inside:
            raise Refusal(f"{path} has no library called {' or '.join(sorted(names))}", exit_code=2)
        found += inside
    return tuple(found)


def with_libraries(built: Mapping[str, BuiltSide], finished: Finished, stable: str) -> dict[str, BuiltSide]:
    """The sides of `built`, whose units alone were compiled, with the finished libraries to load.

    `stable` is the name of the stable library. Raises Refusal (exit 2) where it is not among them, though nothing went
    wrong.
    """
    names = [module_name(path) for path in finished.stable]
    if stable not in names and not finished.faults:
        raise Refusal(f"the stable library is called {stable}; given are {', '.join(names) or 'none'}", exit_code=2)
    found = {name: replace(side, library=None, audited=None, link_log="") for name, side in built.items()}
    if finished.faults:  # nothing is loaded: what is missing has no library
        why = "; ".join(finished.faults)
        return {
            name: replace(side, side=replace(side.side, is_loaded=True), link_log=why) for name, side in found.items()
        }
    roles = [(LEGACY, path) for path in finished.legacy]
    roles += [(STABLE if module_name(path) == stable else REMAINDER, path) for path in finished.stable]
    for number, (role, path) in enumerate(roles):
        side = Side(f"{role}-given{number}", path.parent, module_name(path), (), ())
        found[side.name] = BuiltSide(side, (), path, audited=path)
    return found
