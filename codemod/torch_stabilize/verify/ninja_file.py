"""The text of build.ninja, and where what it makes is."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path

from torch_stabilize.model import Refusal
from torch_stabilize.verify.architectures import DEFAULT_ARCH
from torch_stabilize.verify.side import CUDA_SUFFIX, STABLE, BuildOptions, Side
from torch_stabilize.verify.toolchain import Toolchain

_WITHOUT_OBJECT = frozenset(("host_front", "cuda_front", "cuda_device"))


# CPU units are compiled without the macros of a GPU build, and may define what GPU units define then.
_AUDIT_FLAGS = ("-Wl,--allow-multiple-definition",)


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
            if is_linked(unit, side, toolchain):
                linked.append(str(place))
            if unit not in side.reused:
                (cuda if unit.endswith(CUDA_SUFFIX) else host).extend(
                    _edge(unit, side, toolchain, place, folder, options)
                )
        if side.prefix:
            cuda.extend(_prefix_edge(side, folder))
        whole = objects if all(has_object(u, side, toolchain) for u in wanted_units(side, toolchain)) else []
        for library, parts, flags in _libraries(folder, side, linked, whole) if side.is_loaded else ():
            host.append(f"build {_escape(library)}: link {' '.join(map(_escape, parts))}")
            host.append(f"  flags = {_shell(flags)}")
    return "\n".join([*_rules(toolchain, options), "", *cuda, *host, ""])


def _edge(
    unit: str, side: Side, toolchain: Toolchain, target: Path, folder: Path, options: BuildOptions
) -> Iterator[str]:
    prefixed = unit in side.prefixed
    rule = "host_prefixed" if prefixed else _rule(unit, side, toolchain)
    after = f" || {_escape(precompiled_path(folder, side))}" if prefixed else ""
    yield f"build {_escape(target)}: {rule} {_escape(side.tree / unit)}{after}"
    yield f"  flags = {_shell(_flags(unit, side, toolchain))}"
    yield f"  prefix = {_prefix_map(side)}"
    if prefixed:
        yield f"  header = {_shell(_included(folder, side))}"
    if unit.endswith(CUDA_SUFFIX):
        yield f"  arch = {arch_of(unit, side, options)}"


def _prefix_edge(side: Side, folder: Path) -> tuple[str, ...]:
    return (
        f"build {_escape(precompiled_path(folder, side))}: precompiled {_escape(prefix_path(folder, side))}",
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
    made_with = (rules[rules.index(f"rule {rule}") + 1], arch_of(unit, side, options), toolchain.torch.version)
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


def precompiled_path(folder: Path, side: Side) -> Path:
    """Where that header is once it is compiled."""
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
    is_in_library = side.is_loaded and is_linked(unit, side, toolchain)
    if not unit.endswith(CUDA_SUFFIX):
        return "host_front" if unit in side.host_only and not is_in_library else "host"
    if is_in_library:
        return "cuda"
    if unit in side.device_only:
        return "cuda_device"
    return "cuda_front" if unit in side.host_only else "cuda_ptx"


def device_code_alone(unit: str, side: Side, toolchain: Toolchain) -> bool:
    """Whether the host code of `unit` is not compiled on `side`."""
    return _rule(unit, side, toolchain) == "cuda_device"


def has_object(unit: str, side: Side, toolchain: Toolchain) -> bool:
    """Whether compiling `unit` leaves an object that can be linked."""
    return _rule(unit, side, toolchain) not in _WITHOUT_OBJECT


def arch_of(unit: str, side: Side, options: BuildOptions) -> str:
    """The chip that a CUDA unit is compiled for, "" for others."""
    if not unit.endswith(CUDA_SUFFIX):
        return ""
    return options.cuda_arch or side.archs.get(unit, DEFAULT_ARCH)


def _flags(unit: str, side: Side, toolchain: Toolchain) -> tuple[str, ...]:
    own = side.own_flags.get(unit, ())
    if unit in side.gpu:
        return (*side.gpu_flags, *own)
    return (*(side.cuda_flags if unit.endswith(CUDA_SUFFIX) else side.flags), *own)


def is_linked(unit: str, side: Side, toolchain: Toolchain) -> bool:
    """Whether `unit` becomes part of a library that can be loaded."""
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


_UNWRITABLE = re.compile(r"[\r\n|\0]")


def _escape(path: object) -> str:
    """`path` as ninja reads it. Raises Refusal for the few characters that ninja has no escape for."""
    if unwritable := _UNWRITABLE.search(str(path)):
        raise Refusal(f"{path}: ninja cannot build a file with {unwritable[0]!r} in its name")
    return str(path).replace("$", "$$").replace(":", "$:").replace(" ", "$ ")


def _shell(words: Iterable[str]) -> str:
    return " ".join(shlex.quote(word).replace("$", "$$") for word in words)
