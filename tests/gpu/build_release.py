"""Build the two sides of a release that prepare_release.py laid out, from the units of the group alone.

    python3 tests/gpu/build_release.py FOLDER BUILD

The bindings name every operator of the release; what the group does not define traps. Prints one JSON object: the
libraries of each side, how many functions trap, and what failed.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "codemod")]

from torch_stabilize.verify.build import build  # noqa: E402
from torch_stabilize.verify.headers import nvcc_folders  # noqa: E402
from torch_stabilize.verify.side import BuildOptions, BuiltSide, Side  # noqa: E402
from torch_stabilize.verify.sides import HeaderOptions, Library, legacy_side, stable_side  # noqa: E402
from torch_stabilize.verify.toolchain import Toolchain, find_toolchain  # noqa: E402

SOURCES, STABLE = "csrc", "csrc/libtorch_stable"
TARGET = "2.11"
_UNRESOLVED = re.compile(r"undefined reference to [`'‘]([^'’]+)['’]")
_PYTHON = re.compile(r"_?Py")  # the interpreter has it
_DRIVER = re.compile(r"cu[A-Z]")  # and the driver that
_OF_TORCH = re.compile(r"cu(?:blas|dnn|fft|rand|solver|sparse)")  # and torch has loaded these for everyone


def build_release(folder: Path, out: Path, flags: Sequence[str] = ()) -> dict[str, Any]:
    """{"legacy": [library...], "stable": [library...], "traps": {library: count}, "failures": [...]}.

    `flags` are for the linker.
    """
    toolchain = find_toolchain()
    described = json.loads((folder / "libraries.json").read_text())
    sides = {
        (side, name): _side(f"{side}-{name}", folder / side, _library(name, units, described), toolchain, out)
        for side in ("legacy", "stable")
        for name, units in described[side].items()
    }
    built = build(sides.values(), toolchain, out, BuildOptions())
    found: dict[str, Any] = {"release": described["release"], "legacy": [], "stable": [], "traps": {}, "failures": []}
    for (side, name), one in zip(sides, built, strict=True):
        if one.failed:
            found["failures"] += [f"{unit.path}: {_first_error(unit.log)}" for unit in one.failed]
            continue
        library = out / "linked" / side / f"{name}.abi3.so"
        library.parent.mkdir(parents=True, exist_ok=True)
        traps, complaint = link(one, library, toolchain, flags)
        found["traps"][f"{side} {name}"] = len(traps)
        if complaint:
            found["failures"].append(f"{library.name}: {complaint}")
        else:
            found[side].append(str(library))
    return found


def _library(name: str, units: Sequence[str], described: dict[str, Any]) -> Library:
    return Library(name, tuple(units), (SOURCES, STABLE), tuple(described["defines"]))


def _side(label: str, tree: Path, library: Library, toolchain: Toolchain, out: Path) -> Side:
    if any(unit.startswith(STABLE) for unit in library.units):
        side = stable_side(tree, library, toolchain, out, TARGET, HeaderOptions())
        return Side(**{**vars(side), "name": label})
    side, _ = legacy_side(label, tree, library, toolchain, out / label, HeaderOptions())
    return side


def link(side: BuiltSide, library: Path, toolchain: Toolchain, flags: Sequence[str]) -> tuple[list[str], str]:
    """Link with a trap for each function that nobody defines; the names of those, and the linker's complaint."""
    objects = [str(unit.object) for unit in side.units]
    ask = ["-Wl,-z,defs", "-Wl,--warn-unresolved-symbols", "-Wl,--no-demangle"]
    probe = _linked(side, [*objects, *ask], library, toolchain, flags)
    missing = unresolved(probe.stderr + probe.stdout)
    traps = [name for name in missing if not _DRIVER.match(name) and not _OF_TORCH.match(name)]
    driver = [name for name in missing if _DRIVER.match(name)]
    made = [_assembled(library.with_suffix(".traps.o"), traps, toolchain, ["-c"])]
    if driver:  # the driver is found by its name when the library is loaded
        stub = library.parent / "libcuda.so.1"
        made.append(_assembled(stub, driver, toolchain, ["-shared", "-Wl,-soname,libcuda.so.1"]))
    done = _linked(side, [*objects, *map(str, made)], library, toolchain, flags)
    if driver:
        made[-1].unlink()
    return traps, "" if done.returncode == 0 else _first_error(done.stderr + done.stdout)


def unresolved(said: str) -> list[str]:
    """The functions that a linker has not found, without those of the interpreter."""
    return sorted({name for name in _UNRESOLVED.findall(said) if not _PYTHON.match(name)})


def trap_source(names: Iterable[str]) -> str:
    """An assembler file that defines `names` as functions that end the process."""
    lines = [f'.globl "{name}"\n.type "{name}", @function\n"{name}":\n  ud2' for name in names]
    return "\n".join([".text", *lines, '.section .note.GNU-stack,"",@progbits', ""])


def _assembled(target: Path, names: list[str], toolchain: Toolchain, how: list[str]) -> Path:
    command = [toolchain.cxx, *how, "-x", "assembler", "-", "-o", str(target)]
    subprocess.run(command, input=trap_source(names), text=True, check=True, capture_output=True)
    return target


def _linked(
    side: BuiltSide, what: list[str], library: Path, toolchain: Toolchain, flags: Sequence[str]
) -> subprocess.CompletedProcess[str]:
    """With the shared runtime, which torch has loaded."""
    command = [toolchain.cxx, "-shared", *what, "-o", str(library), *side.side.link_flags]
    command += [*(f"-L{folder}" for folder in _runtime_folders(toolchain)), "-lcudart", *flags]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def _runtime_folders(toolchain: Toolchain) -> list[Path]:
    """Where CUDA's runtime may be: beside the headers that nvcc reads."""
    homes = [folder.parent for folder in nvcc_folders(toolchain.nvcc or "nvcc")] + [Path("/usr/local/cuda")]
    return [home / name for home in homes for name in ("lib64", "lib") if (home / name).is_dir()]


def _first_error(log: str) -> str:
    lines = [line for line in log.splitlines() if "error" in line] or log.splitlines()[-3:]
    return lines[0].strip() if lines else "no reason given"


def main(arguments: list[str]) -> int:
    """Build; the words behind the two folders go to the linker."""
    found = build_release(Path(arguments[0]).resolve(), Path(arguments[1]).resolve(), arguments[2:])
    print(json.dumps(found, indent=1))
    return 1 if found["failures"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
