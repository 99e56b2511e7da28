"""The torch headers that are installed: where they are, which version they have, and whether a target fits them.

Nothing here imports torch: the version is read from `torch/headeronly/version.h` or from the package's metadata.
"""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

from torch_stabilize.model import Refusal
from torch_stabilize.surface.versions import known_versions, parse_version

OLDEST_TARGET = known_versions().oldest_target
NEWEST_KNOWN = known_versions().newest_known

_DEFINED = re.compile(r"^#define\s+TORCH_VERSION_(MAJOR|MINOR|PATCH)\s+(\d+)", re.MULTILINE)
_VERSION_HEADERS = ("torch/headeronly/version.h", "torch/csrc/api/include/torch/version.h")


def find_torch_include() -> Path | None:
    """The include folder of the torch that this interpreter would import, or None. Does not import it."""
    spec = find_spec("torch")
    for place in (spec.submodule_search_locations if spec else None) or ():
        include = Path(place, "include")
        if (include / "torch").is_dir():
            return include
    return None


def installed_version(include_dir: Path) -> str:
    """The version of the headers in `include_dir`, "2.13.0". Raises Refusal where there are no torch headers."""
    for header in _VERSION_HEADERS:
        path = include_dir / header
        if path.is_file():
            numbers = dict(_DEFINED.findall(path.read_text(encoding="utf-8")))
            if len(numbers) == 3:
                return ".".join(numbers[part] for part in ("MAJOR", "MINOR", "PATCH"))
    if include_dir.parent.name == "torch":
        from importlib.metadata import PackageNotFoundError, distribution

        try:
            return distribution("torch").version.partition("+")[0]
        except PackageNotFoundError:
            pass
    raise Refusal(f"no torch headers in {include_dir}; name the include folder of torch 2.10 or newer")


def target_macro(target: str) -> str:
    """The value of TORCH_TARGET_VERSION for a target: "2.11" gives "0x020b000000000000ULL".

    Raises Refusal (exit 2) for what is not a version or older than the stable ABI needs.
    """
    major, minor = checked_target(target)
    return f"0x{major:02x}{minor:02x}{0:012x}ULL"


def checked_target(target: str) -> tuple[int, int]:
    """Major and minor of a target. Raises Refusal (exit 2) for what is not a version, or too old.

    One newer than the tables is taken as it is: what they have is there in it too.
    """
    try:
        version = parse_version(target)
    except ValueError as error:
        raise Refusal(f"{error}; a target looks like 2.11", exit_code=2) from error
    if version < parse_version(OLDEST_TARGET):
        raise Refusal(f"target {target} is too old: the stable ABI needs {OLDEST_TARGET}", exit_code=2)
    return version


def check_target(target: str, headers: str) -> None:
    """Refuse a target newer than the headers that build it: those would take it silently for their own version."""
    if checked_target(target) > parse_version(headers):
        raise Refusal(
            f"target {target} is newer than the headers of torch {headers}: install torch {target} or lower the target",
            exit_code=2,
        )
