"""Build several sides at once through one ninja file: the legacy library before and after, and the stable one.

Units for the host compiler are linked into the side's library. CUDA units are compiled to objects, and their PTX and
ptxas' figures are kept; they are linked too where torch has CUDA. Every edge leaves its output in a log next to its
object, and nothing that is up to date is built again.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from torch_stabilize.model import Refusal
from torch_stabilize.verify.architectures import DEFAULT_ARCH
from torch_stabilize.verify.headers import write_if_changed
from torch_stabilize.verify.toolchain import Toolchain

CUDA_SUFFIX = ".cu"
LEGACY, REMAINDER, STABLE = "legacy", "remainder", "stable"  # the roles of sides
_PROGRESS = re.compile(r"^\[(\d+)/(\d+)\]")
_FAILED = re.compile(r"^FAILED: (?:\[code=-?\d+\] )?(\S.*)")


@dataclass(frozen=True)
class Side:
    """One library to build: which units of which tree, and with which flags besides those of every side."""

    name: str  # its role, or that and the library's name where several have it: a folder of the build directory
    tree: Path
    library: str  # module name, "_C"
    units: tuple[str, ...]
    flags: tuple[str, ...]  # includes and definitions for the host compiler
    cuda_flags: tuple[str, ...] = ()  # those for nvcc
    link_flags: tuple[str, ...] = ()
    gpu: frozenset[str] = frozenset()  # host units of GPU builds: compiled, not linked
    gpu_flags: tuple[str, ...] = ()  # those for them
    reused: dict[str, Path] = field(default_factory=dict)  # units whose object another side has already
    host_only: frozenset[str] = frozenset()  # units that are compiled for their errors alone, where nothing links them
    device_only: frozenset[str] = frozenset()  # CUDA units for their device code alone, where nothing links them
    prefix: str = ""  # a header that the host units in `prefixed` include, compiled once for all of them
    prefixed: frozenset[str] = frozenset()
    archs: dict[str, str] = field(default_factory=dict)  # the chips of CUDA units that are not for the usual one
    own_flags: dict[str, tuple[str, ...]] = field(default_factory=dict)  # of single units, beyond the others
    is_loaded: bool = True  # False: only some units of a library, for their errors and their device code
    is_look_back: bool = False  # only to know whether units that stayed legacy compiled before the migration

    @property
    def role(self) -> str:
        """Which of LEGACY, REMAINDER and STABLE it is."""
        return self.name.partition("-")[0]


@dataclass(frozen=True)
class BuiltUnit:
    """One unit after the build. `log` is what the compiler said; `ptx` exists for CUDA units that compiled."""

    path: str
    object: Path
    compiled: bool
    log: str
    ptx: Path | None = None
    arch: str = ""  # the chip that a CUDA unit was compiled for


@dataclass(frozen=True)
class BuiltSide:
    """One side after the build; `library` is None where it did not link, with the linker's words in `link_log`."""

    side: Side
    units: tuple[BuiltUnit, ...]
    library: Path | None
    link_log: str = ""
    audited: Path | None = None  # the library to look at symbols in: with the CUDA objects too, linked or not

    @property
    def failed(self) -> tuple[BuiltUnit, ...]:
        """The units that did not compile."""
        return tuple(unit for unit in self.units if not unit.compiled)

    def unit(self, path: str) -> BuiltUnit | None:
        """The unit of that path, if this side has it."""
        return next((unit for unit in self.units if unit.path == path), None)


def sides_of(built: Iterable[BuiltSide], role: str) -> tuple[BuiltSide, ...]:
    """The sides of one role."""
    return tuple(side for side in built if side.side.role == role)


def unit_of(built: Iterable[BuiltSide], role: str, path: str) -> BuiltUnit | None:
    """The unit of that path on a side of that role."""
    return next((unit for side in sides_of(built, role) if (unit := side.unit(path)) is not None), None)


@dataclass(frozen=True)
class BuildOptions:
    """How to build: parallel jobs, language standard, the GPU architecture all CUDA units are compiled for."""

    jobs: int = 0  # 0: one per processor
    standard: str = "c++20"
    cuda_arch: str = ""  # 90a, or what a unit asks for
    optimise: str = "-O2"


_WITHOUT_OBJECT = frozenset(("host_front", "cuda_front", "cuda_device"))
# CPU units are compiled without the macros of a GPU build, and may define what GPU units define then.
_AUDIT_FLAGS = ("-Wl,--allow-multiple-definition",)


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
            _precompiled(folder, side).unlink(missing_ok=True)
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


def ninja_file(sides: Iterable[Side], toolchain: Toolchain, folder: Path, options: BuildOptions) -> str:
    """The text of build.ninja: the stable side first, for that is where an error of the migration shows.

    Of each kind CUDA units come first: they take longest, and nothing should wait for one at the end.
    """
    cuda: list[str] = []
    host: list[str] = []
    for side in sorted(sides, key=lambda side: side.role != STABLE):
        linked: list[str] = []
        objects: list[str] = []
        for unit in wanted_units(side, toolchain):
            place = side.reused.get(unit, object_path(folder, side, unit))
            objects.append(str(place))
            if _is_linked(unit, side, toolchain):
                linked.append(str(place))
            if unit not in side.reused:
                (cuda if unit.endswith(CUDA_SUFFIX) else host).extend(
                    _edge(unit, side, toolchain, place, folder, options)
                )
        if side.prefix:
            cuda.extend(_prefix_edge(side, folder))
        whole = objects if all(_has_object(u, side, toolchain) for u in wanted_units(side, toolchain)) else []
        for library, parts, flags in _libraries(folder, side, linked, whole) if side.is_loaded else ():
            host.append(f"build {_escape(library)}: link {' '.join(map(_escape, parts))}")
            host.append(f"  flags = {_shell(flags)}")
    return "\n".join([*_rules(toolchain, options), "", *cuda, *host, ""])


def _edge(
    unit: str, side: Side, toolchain: Toolchain, target: Path, folder: Path, options: BuildOptions
) -> Iterator[str]:
    prefixed = unit in side.prefixed
    rule = "host_prefixed" if prefixed else _rule(unit, side, toolchain)
    after = f" || {_escape(_precompiled(folder, side))}" if prefixed else ""
    yield f"build {_escape(target)}: {rule} {_escape(side.tree / unit)}{after}"
    yield f"  flags = {_shell(_flags(unit, side, toolchain))}"
    yield f"  prefix = {_prefix_map(side)}"
    if prefixed:
        yield f"  header = {_shell(_included(folder, side))}"
    if unit.endswith(CUDA_SUFFIX):
        yield f"  arch = {_arch(unit, side, options)}"


def _prefix_edge(side: Side, folder: Path) -> tuple[str, ...]:
    return (
        f"build {_escape(_precompiled(folder, side))}: precompiled {_escape(prefix_path(folder, side))}",
        f"  flags = {_shell(side.flags)}",
        f"  prefix = {_prefix_map(side)}",
    )


def _prefix_map(side: Side) -> str:
    return _shell([f"-fmacro-prefix-map={side.tree}/="])


def _included(folder: Path, side: Side) -> tuple[str, ...]:
    """The prefix from a system folder: no depfile names it, for it is removed after the build."""
    header = prefix_path(folder, side)
    return "-isystem", str(header.parent), "-include", header.name


def command_of(unit: str, side: Side, toolchain: Toolchain, options: BuildOptions) -> tuple[str, ...]:
    """All of the command that compiles `unit` but the names of files: what it is made with, for who keeps objects."""
    rule = _rule(unit, side, toolchain)
    rules = _rules(toolchain, options)
    made_with = (rules[rules.index(f"rule {rule}") + 1], _arch(unit, side, options), toolchain.torch.version)
    return (*made_with, *_flags(unit, side, toolchain))


def wanted_units(side: Side, toolchain: Toolchain) -> tuple[str, ...]:
    """The units of `side` that can be compiled here: without nvcc, those for the CPU."""
    if toolchain.nvcc is not None:
        return side.units
    return tuple(unit for unit in side.units if not unit.endswith(CUDA_SUFFIX) and unit not in side.gpu)


def object_path(folder: Path, side: Side, unit: str) -> Path:
    """The path of the object of `unit`."""
    return folder / side.name / f"{unit}.o"


def library_path(folder: Path, side: Side) -> Path:
    """The path of the library of `side`; the suffix says that it imports into any CPython."""
    return folder / side.name / f"{side.library}.abi3.so"


def audit_path(folder: Path, side: Side) -> Path:
    """A library of all objects, CUDA too: it cannot be loaded without CUDA, but its symbols can be looked at."""
    return folder / side.name / "audit" / f"{side.library}.abi3.so"


def prefix_path(folder: Path, side: Side) -> Path:
    """Where the header is that is compiled once."""
    return folder / side.name / "prefix" / "torch_stabilize_prefix.h"


def _precompiled(folder: Path, side: Side) -> Path:
    return Path(f"{prefix_path(folder, side)}.gch")


def _libraries(
    folder: Path, side: Side, linked: list[str], objects: list[str]
) -> Iterator[tuple[Path, list[str], tuple[str, ...]]]:
    """What is linked, from which objects and with which flags; `objects` is empty where a unit has none."""
    if linked:
        yield library_path(folder, side), linked, side.link_flags
    if objects and objects != linked:
        yield audit_path(folder, side), objects, (*side.link_flags, *_AUDIT_FLAGS)


def _rule(unit: str, side: Side, toolchain: Toolchain) -> str:
    """What is done with a unit. What nothing links needs no object, and no code for the chip where PTX is compared."""
    is_linked = side.is_loaded and _is_linked(unit, side, toolchain)
    if not unit.endswith(CUDA_SUFFIX):
        return "host_front" if unit in side.host_only and not is_linked else "host"
    if is_linked:
        return "cuda"
    if unit in side.device_only:
        return "cuda_device"
    return "cuda_front" if unit in side.host_only else "cuda_ptx"


def device_code_alone(unit: str, side: Side, toolchain: Toolchain) -> bool:
    """Whether the host code of `unit` is not compiled on `side`."""
    return _rule(unit, side, toolchain) == "cuda_device"


def _has_object(unit: str, side: Side, toolchain: Toolchain) -> bool:
    return _rule(unit, side, toolchain) not in _WITHOUT_OBJECT


def _arch(unit: str, side: Side, options: BuildOptions) -> str:
    if not unit.endswith(CUDA_SUFFIX):
        return ""
    return options.cuda_arch or side.archs.get(unit, DEFAULT_ARCH)


def _flags(unit: str, side: Side, toolchain: Toolchain) -> tuple[str, ...]:
    own = side.own_flags.get(unit, ())
    if unit in side.gpu:
        return (*side.gpu_flags, *own)
    return (*(side.cuda_flags if unit.endswith(CUDA_SUFFIX) else side.flags), *own)


def _is_linked(unit: str, side: Side, toolchain: Toolchain) -> bool:
    return toolchain.links_cuda or not (unit.endswith(CUDA_SUFFIX) or unit in side.gpu)


def _rules(toolchain: Toolchain, options: BuildOptions) -> list[str]:
    launcher = f"{shlex.quote(toolchain.launcher)} " if toolchain.launcher else ""
    common = f"-std={options.standard} {options.optimise} -DNDEBUG"
    # A failed compilation leaves no object, so that an old one is never taken for its result.
    gone = "rm -f $out; exit 1;"
    guard = f"> $out.log 2>&1 || {{ {gone} }}"
    host = f"{launcher}{shlex.quote(toolchain.cxx)} {common} -fPIC -w $prefix $flags"
    unit = "-MMD -MF $out.d -c $in -o $out"
    rules = [
        "ninja_required_version = 1.5",
        "rule host",
        f"  command = {host} {unit} {guard}",
        "  depfile = $out.d",
        # Where the precompiled header cannot be made or used, the unit is compiled without it.
        "rule host_prefixed",
        f"  command = {{ {host} $header {unit} || {host} {unit}; }} {guard}",
        "  depfile = $out.d",
        "rule precompiled",
        f"  command = {host} -x c++-header $in -o $out > $out.log 2>&1 || : > $out",
        "rule host_front",
        f"  command = {host} -MMD -MF $out.d -MT $out -fsyntax-only $in > $out.log 2>&1 && : > $out || {{ {gone} }}",
        "  depfile = $out.d",
        "rule link",
        f"  command = {_linker(toolchain)} -shared $in -o $out $flags {guard}",
    ]
    if toolchain.nvcc is not None:
        nvcc = (
            f"{shlex.quote(toolchain.nvcc)} {common} -w -ccbin {shlex.quote(toolchain.cxx)}"
            " --expt-relaxed-constexpr --expt-extended-lambda -Xcompiler -fPIC,-w,$prefix $flags -MMD -MF $out.d"
        )
        chip, virtual = ("-gencode arch=compute_$arch,code=" + code for code in ("sm_$arch", "compute_$arch"))
        # --keep leaves the PTX that went into the object; the other intermediates are large and go.
        kept = (
            "  command = rm -rf $out.keep && mkdir -p $out.keep &&"
            " {{ {call} -c $in -o $out --keep --keep-dir $out.keep && mv $out.keep/*.ptx $out.ptx; }}"
            " > $out.log 2>&1; status=$$?; rm -rf $out.keep; [ $$status = 0 ] || {{ rm -f $out; exit 1; }}"
        )
        # Host code through the host compiler's front end, device code through nvcc's: the same errors, sooner.
        front = f"{virtual} --fdevice-syntax-only -Xcompiler -fsyntax-only -c $in -o $out"
        rules += [
            "rule cuda",
            kept.format(call=f"{nvcc} {chip} -Xptxas -v"),
            "  depfile = $out.d",
            "rule cuda_ptx",
            kept.format(call=f"{nvcc} {virtual}"),
            "  depfile = $out.d",
            "rule cuda_device",
            f"  command = {nvcc} {virtual} -MT $out -ptx $in -o $out.ptx > $out.log 2>&1 && : > $out || {{ {gone} }}",
            "  depfile = $out.d",
            "rule cuda_front",
            f"  command = {nvcc} {front} > $out.log 2>&1 && : > $out || {{ {gone} }}",
            "  depfile = $out.d",
        ]
    return rules


def _linker(toolchain: Toolchain) -> str:
    """nvcc where CUDA is linked: it knows where the runtime is, and torch has loaded the shared one."""
    if toolchain.links_cuda and toolchain.nvcc is not None:
        return f"{shlex.quote(toolchain.nvcc)} -cudart shared -ccbin {shlex.quote(toolchain.cxx)}"
    return shlex.quote(toolchain.cxx)


def _run_ninja(
    ninja: str,
    folder: Path,
    jobs: int,
    progress: Callable[[int, int], None] | None,
    failed: Callable[[str], None] | None,
) -> None:
    command = [ninja, "-C", str(folder), "-f", "build.ninja", "-k", "0", "-j", str(jobs)]
    try:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, "LC_ALL": "C"}
        )
    except OSError as error:
        raise Refusal(f"cannot run {ninja}: {error.strerror}") from error
    assert process.stdout is not None
    said: list[str] = []
    with process:
        try:
            for line in process.stdout:
                said.append(line.rstrip())
                match = _PROGRESS.match(line)
                if match and progress is not None:
                    progress(int(match[1]), int(match[2]))
                elif failed is not None and (lost := _FAILED.match(line)):
                    failed(lost[1].strip())
        except BaseException:
            process.terminate()  # ninja stops its compilers
            raise
    # ninja fails where a unit does; what it says of itself starts with its name.
    complaint = next((line for line in said if line.startswith("ninja: error:")), None)
    if complaint is not None:
        raise Refusal(f"the build cannot start: {complaint.removeprefix('ninja: error:').strip()}")


def _collect(side: Side, toolchain: Toolchain, folder: Path, options: BuildOptions) -> BuiltSide:
    units: list[BuiltUnit] = []
    for unit in wanted_units(side, toolchain):
        target = side.reused.get(unit, object_path(folder, side, unit))
        ptx = Path(f"{target}.ptx")
        log, arch = _text(Path(f"{target}.log")), _arch(unit, side, options)
        units.append(BuiltUnit(unit, target, target.exists(), log, ptx if ptx.exists() else None, arch))
    library, audit = library_path(folder, side), audit_path(folder, side)
    linkable = [unit for unit in units if _is_linked(unit.path, side, toolchain)]
    complete = bool(linkable) and all(unit.compiled for unit in linkable)
    linked = complete and library.exists()
    whole = all(unit.compiled for unit in units)
    if len(linkable) == len(units) or not all(_has_object(unit.path, side, toolchain) for unit in units):
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


_UNWRITABLE = re.compile(r"[\r\n|\0]")


def _escape(path: object) -> str:
    """`path` as ninja reads it. Raises Refusal for the few characters that ninja has no escape for."""
    if unwritable := _UNWRITABLE.search(str(path)):
        raise Refusal(f"{path}: ninja cannot build a file with {unwritable[0]!r} in its name")
    return str(path).replace("$", "$$").replace(":", "$:").replace(" ", "$ ")


def _shell(words: Iterable[str]) -> str:
    return " ".join(shlex.quote(word).replace("$", "$$") for word in words)
