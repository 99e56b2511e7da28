"""Which extension of a repository the files that a user names belong to: many have one in each of several folders."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from posixpath import basename, dirname, join, normpath

from torch_stabilize.config import Config
from torch_stabilize.layout.detect import detect_layout
from torch_stabilize.layout.extension import STABLE_FOLDER, build_folder
from torch_stabilize.repository.layout import Layout
from torch_stabilize.repository.registrations import registrations_of
from torch_stabilize.repository.snapshot import Snapshot
from torch_stabilize.repository.sources import BESIDE_FOLDERS, above, common_folder, project_of, source_files
from torch_stabilize.source.document import UNIT_SUFFIXES


def layout_for(snapshot: Snapshot, config: Config, names: Iterable[str]) -> Layout:
    """The layout of the extension that `names`, as a user typed them, belong to; names that are no paths say nothing.

    Files outside of the main extension belong to the nearest folder above them that registers something, those of an
    alternative build to that. Groups of both begin with the label of their layout. Raises Refusal as `detect_layout`
    does.
    """
    asked = tuple(names)
    layout = detect_layout(snapshot, config)
    for other in _others(snapshot, config, layout, asked):
        return other
    names = asked
    paths = [path for name in names if (path := _path_of(snapshot, name))]
    if config.source_root is not None or not paths or all(_is_below(path, layout) for path in paths):
        return layout
    for folder in above(join(common_folder(map(dirname, paths)), "x")):
        if not folder or _is_below(folder, layout):
            break
        if any(registrations_of(snapshot, unit) for unit in snapshot.below(folder, UNIT_SUFFIXES)):
            other = detect_layout(replace(snapshot, start=folder), config)
            return other if all(_is_below(path, other) for path in paths) else layout
    return layout


def every_layout(snapshot: Snapshot, config: Config) -> tuple[Layout, ...]:
    """The layouts of all extensions of a repository: the main one, its alternative builds, and other projects."""
    main = detect_layout(snapshot, config)
    return (main, *other_layouts(snapshot, config, main))


def other_layouts(snapshot: Snapshot, config: Config, main: Layout) -> tuple[Layout, ...]:
    """The layouts of all extensions but the `main` one."""
    if _is_configured(config):
        return ()
    builds = (_of_build(snapshot, config, path) for path in _alternatives(snapshot, main))
    return (*builds, *(_of_project(snapshot, config, folder) for folder in _other_projects(snapshot, main)))


def _is_configured(config: Config) -> bool:
    """Whether the settings say which extension is meant."""
    return config.source_root is not None or bool(config.legacy_bindings)


def _others(snapshot: Snapshot, config: Config, main: Layout, names: tuple[str, ...]) -> Iterator[Layout]:
    """The layout of an alternative build or another project that all of `names` are of, by path or by label."""
    if not names or _is_configured(config) or main.is_other_build:
        return
    paths = [path for name in names if (path := _path_of(snapshot, name))]
    for bindings in _alternatives(snapshot, main):
        folder = build_folder(bindings)
        inside = len(paths) == len(names) and all(path.startswith(f"{folder}/") for path in paths)
        if (inside and folder != main.source_root) or _all_labelled(names, paths, basename(folder)):
            yield _of_build(snapshot, config, bindings)
    for folder in () if paths else _other_projects(snapshot, main):
        if _all_labelled(names, paths, folder):
            yield _of_project(snapshot, config, folder)


def _all_labelled(names: tuple[str, ...], paths: list[str], label: str) -> bool:
    return not paths and all(name.startswith(f"{label}/") for name in names)


def _alternatives(snapshot: Snapshot, main: Layout) -> list[str]:
    """The bindings of alternative builds, one for each folder, stable ones where no legacy one is left."""
    found = {build_folder(path): path for path in reversed(main.other_builds)}
    for path in snapshot.below(main.source_root, UNIT_SUFFIXES):
        folder = dirname(path)
        if basename(folder) == STABLE_FOLDER and folder != main.stable_root and build_folder(path) not in found:
            registered = registrations_of(snapshot, path)
            if registered is not None and registered.stable and registered.is_cpu_only:
                found[build_folder(path)] = path
    return [found[folder] for folder in sorted(found)]


def _of_build(snapshot: Snapshot, config: Config, bindings: str) -> Layout:
    return replace(detect_layout(snapshot, config, bindings), label=basename(build_folder(bindings)))


def _other_projects(snapshot: Snapshot, main: Layout) -> list[str]:
    """The folders of other projects of the tree that register something."""
    found = set()
    for path in () if snapshot.start else source_files(snapshot, Config(), UNIT_SUFFIXES):
        project = project_of(snapshot, path)
        is_another = project and project != main.project_root and project not in found
        if not is_another or BESIDE_FOLDERS.intersection(path.split("/")[:-1]):
            continue
        if registrations_of(snapshot, path) is not None:
            found.add(project)
    return sorted(found)


def _of_project(snapshot: Snapshot, config: Config, folder: str) -> Layout:
    return replace(detect_layout(replace(snapshot, start=folder), config), label=folder)


def _path_of(snapshot: Snapshot, name: str) -> str:
    """The file of the tree that `name` means, or meant before it moved; "" for none."""
    places = (normpath(join(snapshot.start, name)), normpath(name))
    known = next((place for place in places if snapshot.exists(place)), "")
    moved = (p for p in places if p.endswith(UNIT_SUFFIXES) and dirname(p) and snapshot.below(dirname(p)))
    return known or next(moved, "")


def _is_below(path: str, layout: Layout) -> bool:
    roots = (layout.source_root, layout.stable_root)
    return any(not root or path == root or path.startswith(f"{root}/") for root in roots)
