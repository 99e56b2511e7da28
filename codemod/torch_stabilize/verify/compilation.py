"""The `compile` step: what did not compile or link, at the place and with the rule to blame."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from torch_stabilize.model import Severity
from torch_stabilize.verify import codes
from torch_stabilize.verify.errors import error_diagnostics, missing_headers, parse_errors
from torch_stabilize.verify.headers import comes_with_cuda
from torch_stabilize.verify.ninja_file import device_code_alone
from torch_stabilize.verify.result import Finding, Step, counted, finding
from torch_stabilize.verify.side import CUDA_SUFFIX, LEGACY, REMAINDER, STABLE, BuiltSide, sides_of, unit_of
from torch_stabilize.verify.toolchain import Toolchain

_CODES = {
    LEGACY: codes.LEGACY_DOES_NOT_COMPILE,
    REMAINDER: codes.REMAINDER_DOES_NOT_COMPILE,
    STABLE: codes.STABLE_DOES_NOT_COMPILE,
}
_AS_BEFORE = "the unit failed with this message before the migration too: see --define, --include and --build"
_HELP = {
    LEGACY: "the tree before the migration does not build here",
    REMAINDER: "this unit stayed legacy and compiled before the migration",
    STABLE: "only torch's stable headers are reachable",
}


def compile_step(
    built: Mapping[str, BuiltSide],
    notes: tuple[Finding, ...],
    tools: Toolchain,
    units: Sequence[tuple[str, str]],
    origin: Callable[[str, int], str] | None = None,
    same_text: int = 0,
) -> Step:
    """Every failed unit and library of the sides, and units that were left out; `units` are the group's.

    `origin` tells where a line of the migrated tree comes from; `same_text` counts the legacy units that see a changed
    header and need no compiler, for they read the same.
    """
    as_before = _fail_as_before(built, units)
    takes_toolkit = _takes_toolkit(built, tools)
    found: list[Finding] = [_no_toolkit(takes_toolkit)] if takes_toolkit else []
    never_compiled = {unit.path for side in sides_of(built.values(), LEGACY) for unit in side.failed}
    looked_back = [side for side in built.values() if side.side.is_look_back]
    neither = {unit.path: side for side in looked_back for unit in side.failed if unit.path not in takes_toolkit}
    found += (_on_neither_side(path, side) for path, side in neither.items())
    built = {name: side for name, side in built.items() if not side.side.is_look_back}
    for name, side in built.items():
        role = side.side.role
        for unit in side.failed:
            if unit.path in takes_toolkit or (role == REMAINDER and unit.path in never_compiled):
                continue
            made = error_diagnostics(
                _CODES[role],
                unit.path,
                unit.log,
                side.side.tree,
                origin=origin if role != LEGACY else None,
                help=_HELP[role],
            )
            if unit.path in as_before:
                made = tuple(replace(one, severity=Severity.WARNING, help=_AS_BEFORE) for one in made)
            found += made
        if side.link_log and side.library is None and side.side.is_loaded:
            code = codes.LEGACY_DOES_NOT_LINK if role == LEGACY else codes.DOES_NOT_LINK
            found.append(finding(code, f"{side.side.library} ({name}): {_last_lines(side.link_log)}"))
    left_out = tuple(_left_out(built, tools, units))
    found += left_out
    compiled = {name: sum(unit.compiled for unit in side.units) for name, side in built.items()}
    counts = ", ".join(
        f"{compiled[name]} of {len(side.units)} {name}{_for_device_code(side, tools)}" for name, side in built.items()
    )
    figures = {
        name: {"units": len(side.units), "compiled": compiled[name], "linked": side.library is not None}
        for name, side in built.items()
    }
    launcher = "" if tools.launcher is None else f", through {tools.launcher.rpartition('/')[2]}"
    read = f"; {same_text} that share a changed header read as before" if same_text else ""
    step = Step.judged(
        "compile", f"units compiled: {counts}{launcher}{read}", tuple(dict.fromkeys((*found, *notes))), figures
    )
    not_run = (*_without_nvcc(built, units, tools), *_unseen(neither))
    undone = (f"{', '.join(as_before)} compiled on neither side, for the same reason",) if as_before else ()
    return replace(step, undone=(*_undone(left_out), *undone), not_run=not_run)


def _fail_as_before(built: Mapping[str, BuiltSide], units: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """The stable units that fail with no other message than their legacy ones: flags or headers that are not here."""
    found = []
    for old, new in units:
        texts = []
        for role, path in ((LEGACY, old), (STABLE, new)):
            logs = [(unit.log, side.side.tree) for side in sides_of(built.values(), role) for unit in side.failed
                    if unit.path == path]  # fmt: skip
            texts.append({error.message for log, tree in logs for error in parse_errors(log, tree)})
        if texts[1] and texts[1] <= texts[0]:
            found.append(new)
    return tuple(found)


def _on_neither_side(path: str, side: BuiltSide) -> Finding:
    """A unit that stayed legacy and compiles neither before nor after: what it lacks, once."""
    unit = side.unit(path)
    first = next(iter(parse_errors(unit.log, side.side.tree)), None) if unit is not None else None
    why = f": {first.message}" if first is not None else ""
    text = f"stayed legacy, sees a changed header and compiles here neither before nor after the migration{why}"
    help = "what the project's own build makes is there with --build"
    return finding(codes.LEGACY_DOES_NOT_COMPILE, text, severity=Severity.WARNING, path=path, help=help)


def _unseen(neither: Iterable[str]) -> tuple[str, ...]:
    paths = ", ".join(neither)
    return (f"{paths} (legacy, compiled on neither side here)",) if paths else ()


def _for_device_code(built: BuiltSide, tools: Toolchain) -> str:
    """A remark on the units whose host code was not compiled."""
    count = sum(device_code_alone(unit.path, built.side, tools) for unit in built.units)
    if not count:
        return ""
    return f" ({'' if count == len(built.units) else f'{count} of them '}for device code alone)"


def _takes_toolkit(built: Mapping[str, BuiltSide], tools: Toolchain) -> dict[str, str]:
    """The failed units that include a header of CUDA where there is no CUDA toolkit, and that header."""
    if tools.nvcc is not None:
        return {}
    failed = [(unit, side.side.tree) for side in built.values() for unit in side.failed]
    found = {unit.path: [h for h in missing_headers(unit.log, tree) if comes_with_cuda(h)] for unit, tree in failed}
    return {path: headers[0] for path, headers in found.items() if headers}


def _no_toolkit(units: Mapping[str, str]) -> Finding:
    """One finding for all of them."""
    (path, header), *more = units.items()
    others = f", and so do {len(more)} other sources" if more else ""
    text = f"takes {header}, which comes with CUDA and is not installed here{others}"
    help = "run verify where nvcc is, or name a folder that has the headers with --include"
    return finding(codes.NO_CUDA_TOOLKIT, text, path=path, help=help)


def _left_out(built: Mapping[str, BuiltSide], tools: Toolchain, units: Iterable[tuple[str, str]]) -> Iterable[Finding]:
    for old, new in units:
        for path, role in ((old, LEGACY), (new, STABLE)):
            sides = sides_of(built.values(), role)
            if unit_of(sides, role, path) is not None:
                continue
            side = next((side for side in sides if path in side.side.units), sides[0])
            if path.endswith(CUDA_SUFFIX) and tools.nvcc is None:
                text, severity = "not compiled: nvcc is not installed here", Severity.NOTE
            elif path in side.side.units:
                text, severity = "not compiled", Severity.WARNING
            else:
                text, severity = (
                    f"not compiled: not a source of {side.side.library} in a build possible here",
                    Severity.WARNING,
                )
            yield finding(codes.NOT_COMPILED, text, severity=severity, path=path)


def _undone(left_out: Iterable[Finding]) -> tuple[str, ...]:
    """The units that were left out on a side and for which no tool is missing."""
    paths = dict.fromkeys(item.path for item in left_out if item.severity is not Severity.NOTE)
    return (f"{', '.join(paths)} not compiled",) if paths else ()


def _without_nvcc(
    built: Mapping[str, BuiltSide], units: Iterable[tuple[str, str]], tools: Toolchain
) -> tuple[str, ...]:
    """How many of the group's CUDA units no side compiled for want of nvcc."""
    cuda = [new for _, new in units if new.endswith(CUDA_SUFFIX) and unit_of(built.values(), STABLE, new) is None]
    return (f"{counted(len(cuda), 'CUDA unit')} (no nvcc)",) if cuda and tools.nvcc is None else ()


def _last_lines(log: str) -> str:
    return " | ".join(line for line in log.splitlines() if line.strip())[-1000:]
