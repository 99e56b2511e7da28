"""Which files and folders are the extension's own."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

from torch_stabilize.config import Config
from torch_stabilize.repository.includes import IncludeGraph
from torch_stabilize.repository.layout import Layout
from torch_stabilize.repository.snapshot import Snapshot
from torch_stabilize.source.document import SOURCE_SUFFIXES

FOREIGN_FOLDERS = frozenset(
    {"third_party", "3rdparty", "thirdparty", "external", "extern", "vendor", "deps", "build", "dist"}
)
BESIDE_FOLDERS = frozenset(
    {"test", "tests", "testing", "benchmark", "benchmarks", "example", "examples", "docs", "golden"}
)


def source_files(snapshot: Snapshot, config: Config, suffixes: tuple[str, ...] = SOURCE_SUFFIXES) -> tuple[str, ...]:
    """The repository's own C++ and CUDA files: not those of vendored projects, build folders and excluded globs."""
    return tuple(
        path
        for path in snapshot.below("", suffixes)
        if not FOREIGN_FOLDERS.intersection(path.split("/")[:-1])
        and not any(matches(path, pattern) for pattern in config.exclude)
    )


def include_graph(snapshot: Snapshot, layout: Layout, config: Config) -> IncludeGraph:
    """The include graph of the extension `layout` describes, less the projects of their own below it."""

    def make() -> IncludeGraph:
        prefix = f"{layout.project_root}/" if layout.project_root else ""
        files = (path for path in source_files(snapshot, config) if path.startswith(prefix))
        own = tuple(path for path in files if project_of(snapshot, path) == layout.project_root)
        return IncludeGraph(snapshot, own, layout.include_roots)

    return snapshot.once((include_graph, layout.project_root, layout.include_roots, config.exclude), make)


def project_of(snapshot: Snapshot, path: str) -> str:
    """The nearest folder above `path` with a setup file, else the highest with a CMakeLists.txt, else the root."""
    folders = above(path)
    for folder in folders:
        if any(
            snapshot.exists(join(folder, name)) for name in ("setup.py", "pyproject.toml", "setup.cfg", "build.toml")
        ):
            return folder
    cmake = [folder for folder in folders if snapshot.exists(join(folder, "CMakeLists.txt"))]
    return cmake[-1] if cmake else ""


def matches(path: str, pattern: str) -> bool:
    """Whether `path` is `pattern`, lies below it, or matches it as a glob (`*` crosses folders)."""
    return path == pattern or path.startswith(pattern + "/") or fnmatchcase(path, pattern)


def join(folder: str, name: str) -> str:
    """`name` below `folder`, where "" is the root."""
    return f"{folder}/{name}" if folder else name


def above(path: str) -> list[str]:
    """The folders above `path`, nearest first, the root ("") last."""
    parts = path.split("/")[:-1]
    return ["/".join(parts[:count]) for count in range(len(parts), -1, -1)]


def common_folder(folders: Iterable[str]) -> str:
    """The deepest folder above all of `folders`."""
    common: list[str] = []
    for parts in zip(*(folder.split("/") if folder else [] for folder in folders), strict=False):
        if len(set(parts)) > 1:
            break
        common.append(parts[0])
    return "/".join(common)
