"""Compare the tables with real torch headers, both ways.

    python -m torch_stabilize.surface.probe [INCLUDE_DIR...] [--target 2.11]

Is every stable name there from the version on that the table says? One translation unit asks for every name; the
compiler's errors say which are missing. And has every name that the headers publish a row (`published.py`)?
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from torch_stabilize.model import Refusal
from torch_stabilize.surface.entry import Entry
from torch_stabilize.surface.headers import find_torch_include, installed_version, target_macro
from torch_stabilize.surface.published import unlisted
from torch_stabilize.surface.snippet import all_snippets
from torch_stabilize.surface.table import load_surface
from torch_stabilize.surface.versions import parse_version, short_version

_NAME = re.compile(r"(?:[A-Za-z_]\w*::)*[A-Za-z_]\w*")
_ERROR = re.compile(r"^([^\s:]+):\d+(?::\d+)?: (?:fatal )?error:", re.MULTILINE)
_BUILT_IN = frozenset({"bool", "double", "float", "int", "int64_t"})
_TENSOR = "std::declval<const torch::stable::Tensor&>()"
_NUMBER = "std::declval<int64_t>()"
_FROM_TORCH = "torch/"
_HEADERS = ("torch/csrc/stable/tensor.h", "cstdint", "string", "type_traits", "utility", "variant", "vector")


def missing(include_dir: Path, target: str, entries: Sequence[Entry], compiler: str = "g++") -> frozenset[str]:
    """The ids of those `entries` whose stable form does not compile with these headers at this target.

    Raises Refusal where the headers do not compile at all.
    """
    with tempfile.TemporaryDirectory() as folder:
        unit = Path(folder, "probe.cpp")
        unit.write_text(_unit(entries), encoding="utf-8")
        only_stable = _stable_tree(include_dir, Path(folder))
        defined = ["-DUSE_CUDA", f"-DTORCH_TARGET_VERSION={target_macro(target)}", f"-I{only_stable}"]
        command = [compiler, "-std=c++17", "-fsyntax-only", "-fmax-errors=0", *defined, str(unit)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    ids = {entry.id.replace("::", ".."): entry.id for entry in entries}
    places = set(_ERROR.findall(done.stderr))
    if strangers := places - ids.keys():
        raise Refusal(f"the headers in {include_dir} do not compile: error in {min(strangers)}")
    return frozenset(ids[place] for place in places)


def probed(entries: Sequence[Entry]) -> tuple[Entry, ...]:
    """Those rows whose stable form is something the stable headers define."""
    return tuple(entry for entry in entries if any(_lines(entry)))


def all_rows() -> tuple[Entry, ...]:
    """Every row of the tables, each followed by the one that replaces it where the headers are newer."""
    rows = ((entry, entry.native) for entry in load_surface().table)
    return tuple(one for pair in rows for one in pair if one is not None)


def disagreements(include_dir: Path, target: str, headers: str = "") -> tuple[str, ...]:
    """One line for every row that the headers do not bear out: promised and missing, or there before its time."""
    version = parse_version(headers or installed_version(include_dir))
    entries = probed(all_rows())
    absent = missing(include_dir, target, entries)
    lines = []
    for entry in entries:
        due = parse_version(entry.headers) <= version and parse_version(entry.target) <= parse_version(target)
        if due and entry.id in absent:
            lines.append(f"{entry.id}: {entry.stable or entry.include} is missing, promised since {entry.headers}")
        elif not due and entry.id not in absent and not _floor_of_runtime(entry, version):
            since = f"headers {entry.headers}, target {entry.target}"
            lines.append(f"{entry.id}: {entry.stable} is there, promised for {since}")
    return tuple(lines)


def _floor_of_runtime(entry: Entry, version: tuple[int, int]) -> bool:
    """An enumeration is in the headers before the runtime of a target knows what it represents."""
    return entry.kind in ("constant", "type") and parse_version(entry.headers) <= version


def _stable_tree(include_dir: Path, folder: Path) -> Path:
    """An include folder that reaches the stable headers alone."""
    tree = folder / "include"
    for part in ("torch/csrc/stable", "torch/headeronly", "torch/csrc/inductor/aoti_torch"):
        link = tree / part
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to((include_dir / part).resolve())
    return tree


def _unit(entries: Sequence[Entry]) -> str:
    wanted = dict.fromkeys(header for entry in entries if not entry.device_only for header in _headers(entry))
    includes = [f"#if __has_include(<{header}>)\n#include <{header}>\n#endif" for header in (*_HEADERS, *wanted)]
    probes = []
    for number, entry in enumerate(entries):
        place = entry.id.replace("::", "..")
        probes += [f'#line 1 "{place}"\n{line}' for line in _lines(entry, number)]
    return "\n".join([*includes, *probes, ""])


def _headers(entry: Entry) -> tuple[str, ...]:
    named = entry.stable if entry.form == "replace" else entry.include
    return tuple(header for part in named.split(",") if (header := part.strip()))


def _lines(entry: Entry, number: int = 0) -> Iterator[str]:
    """The code that fails to compile where the stable form is missing."""
    for header in _headers(entry):
        if header.startswith(_FROM_TORCH):
            yield f"#if !__has_include(<{header}>)\n#error no such header\n#endif"
    if not entry.stable or entry.device_only or entry.form in ("replace", "drop", "dispatcher", "none"):
        return
    if entry.stable in all_snippets() or (entry.helper and entry.form != "same"):
        return
    if entry.kind in ("macro", "dispatch"):
        for name in entry.legacy if entry.form == "same" else [entry.stable]:
            if entry.include and _NAME.fullmatch(name):
                yield f"#ifndef {name}\n#error no such macro\n#endif"
    elif entry.kind == "method" and entry.form != "free":
        yield from _method(entry, number)
    elif entry.include.startswith(_FROM_TORCH) or "::" in entry.stable:
        yield from _declared(entry, number)


def _method(entry: Entry, number: int) -> Iterator[str]:
    if entry.stable in ("false", "true") or entry.of:
        return
    if "{self}" in entry.stable:
        is_tensor = "{self}." in entry.stable or entry.form == "template"
        asked = entry.stable.replace("{self}", _TENSOR if is_tensor else _NUMBER)  # what was a SymInt
        yield f"using probe_{number} = decltype({asked.replace('{0}', _TENSOR)});"
    elif entry.stable.startswith("torch::"):
        yield from _declared(entry, number)
    else:
        for name in entry.legacy if entry.form == "same" else [entry.stable]:
            arguments = ", ".join(["0"] * (entry.arity[0] if entry.arity else 0))
            yield f"using probe_{number}_{name} = decltype({_TENSOR}.{name}({arguments}));"


def _declared(entry: Entry, number: int) -> Iterator[str]:
    for name in entry.legacy if entry.form == "same" else [entry.stable]:
        if entry.kind == "constant":
            yield f"static const auto probe_{number} = {name};"
        elif ("<" in name and "<T" not in name) or name in _BUILT_IN:
            yield f"using probe_{number} = {name};"
        elif _NAME.fullmatch(name):
            yield f"namespace probe_{number} {{ using {name if '::' in name else '::' + name}; }}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what the headers and the tables disagree on; 1 if anything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("include_dirs", type=Path, nargs="*", help="the installed torch's where none is given")
    parser.add_argument("--target", help="TORCH_TARGET_VERSION; the headers' own version where it is left out")
    options = parser.parse_args(arguments)
    folders = options.include_dirs or [folder for folder in [find_torch_include()] if folder is not None]
    if not folders:
        parser.error("no torch is installed: name include folders")
    return max(_probe(folder, options.target) for folder in folders)


def _probe(include_dir: Path, target: str | None) -> int:
    headers = installed_version(include_dir)
    target = target or short_version(headers)
    lines = list(disagreements(include_dir, target, headers))
    lines += [f"{one.legacy}: {one.stable} of {one.header} has no row" for one in unlisted(include_dir)]
    print("".join(f"{line}\n" for line in lines), end="")
    print(f"headers {headers}, target {target}: {len(probed(all_rows()))} rows, {len(lines)} disagreements")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
