"""The torch whose headers build the stable library: given, configured, pinned by the build, or installed."""

from __future__ import annotations

import re
from typing import NamedTuple

from torch_stabilize import toml
from torch_stabilize.config import Config
from torch_stabilize.model import Diagnostic, Refusal, Severity, Span
from torch_stabilize.repository.codes import NEWER_THAN_TABLES
from torch_stabilize.repository.snapshot import Snapshot
from torch_stabilize.surface.headers import (
    NEWEST_KNOWN,
    check_target,
    checked_target,
    find_torch_include,
    installed_version,
)
from torch_stabilize.surface.versions import parse_version, short_version

_PINNED = re.compile(r"torch\s*(?:==|~=)\s*(?P<version>\d+\.\d+[\w.+]*)")
_EXACTLY_TORCH = re.compile(r"torch(?![\w-])")


class BuildingTorch(NamedTuple):
    """A version of torch as "2.13", and how it is known: "given", a file, "installed", or "" where it is the target."""

    version: str
    origin: str = ""


def building_torch(
    snapshot: Snapshot, config: Config, project_root: str, target: str, given: str = ""
) -> BuildingTorch:
    """The torch whose headers build what is migrated for `target`.

    What is `given` wins, then the configured one, then the one that `pyproject.toml` pins for builds, then the one that
    is installed where this runs. A pin that is older than the target has to go anyway: then it is the target's own.
    Raises Refusal (exit 2) where a given, a configured or the installed one is older than the target.
    """
    checked_target(target)
    for version, origin in ((given, "given"), (config.headers or "", config.source)):
        if version:
            return BuildingTorch(_checked(version, target), origin)
    pinned, where = pinned_torch(snapshot, project_root)
    if pinned:
        newer = parse_version(pinned) > parse_version(target)
        return BuildingTorch(short_version(pinned), where) if newer else BuildingTorch(short_version(target))
    include = find_torch_include()
    if include is None:
        return BuildingTorch(short_version(target))
    installed = installed_version(include)
    check_target(target, installed)
    return BuildingTorch(short_version(installed), "installed")


def pinned_torch(snapshot: Snapshot, project_root: str) -> tuple[str, str]:
    """The version of torch that the build of a project requires exactly, and the file that says so; "" for none."""
    path = f"{project_root}/pyproject.toml".lstrip("/")
    if not snapshot.exists(path):
        return "", ""
    try:
        settings = toml.loads(snapshot.read(path).decode("utf-8", "replace"))
    except toml.TOMLDecodeError:
        return "", ""
    system = settings.get("build-system", {})
    required = system.get("requires", []) if isinstance(system, dict) else []
    for requirement in required if isinstance(required, list) else []:
        match = _PINNED.match(str(requirement).strip())
        if match is not None and _EXACTLY_TORCH.match(str(requirement).strip()):
            try:
                return short_version(match["version"]), path
            except ValueError:
                continue
    return "", ""


def version_notes(target: str, headers: BuildingTorch) -> tuple[Diagnostic, ...]:
    """A note where target or headers are newer than what the tables were checked against."""
    newest = max(target, headers.version or target, key=parse_version)
    if parse_version(newest) <= parse_version(NEWEST_KNOWN):
        return ()
    message = f"torch {newest} is newer than {NEWEST_KNOWN}, the newest that the tables know"
    return (Diagnostic(NEWER_THAN_TABLES, Severity.NOTE, "", Span(0, 0), message),)


def _checked(version: str, target: str) -> str:
    try:
        short = short_version(version)
    except ValueError as error:
        raise Refusal(f"{error}; headers look like 2.13", exit_code=2) from error
    if parse_version(short) < parse_version(target):
        raise Refusal(
            f"headers of torch {version} cannot build for target {target}: lower the target or take newer headers",
            exit_code=2,
        )
    return short
