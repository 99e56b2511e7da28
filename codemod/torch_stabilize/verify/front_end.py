"""`migrate --compile`: the compiler's front end over what a migration would write, against stable headers alone."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from torch_stabilize.config import Config
from torch_stabilize.model import Diagnostic, Plan, Refusal, Severity, Span
from torch_stabilize.program.planned import planned_tree
from torch_stabilize.repository.layout import Group, Layout
from torch_stabilize.repository.snapshot import Snapshot
from torch_stabilize.repository.sources import include_graph
from torch_stabilize.verify import codes
from torch_stabilize.verify.architectures import asked_arch, known_archs
from torch_stabilize.verify.errors import MOST_PER_UNIT, line_span, parse_errors
from torch_stabilize.verify.flags import ProjectFlags
from torch_stabilize.verify.origins import Migration
from torch_stabilize.verify.project import include_folders, read_libraries
from torch_stabilize.verify.side import CUDA_SUFFIX, Side
from torch_stabilize.verify.sides import HeaderOptions, Library, stable_side
from torch_stabilize.verify.toolchain import Toolchain, find_toolchain
from torch_stabilize.verify.trees import Tree

SECONDS = 600  # for one unit


def with_compiled(
    plan: Plan, snapshot: Snapshot, layout: Layout, config: Config, group: Group, tools: Toolchain | None = None
) -> Plan:
    """`plan` with a diagnostic for each error of the compiler in its stable units, at the site before the migration.

    Nothing is written but a folder that is removed again. Raises Refusal where there is no compiler or no torch.
    """
    tools = tools or find_toolchain()
    after = planned_tree(snapshot, plan)
    units = tuple(unit for unit in _units(plan, group) if after.exists(unit))
    with tempfile.TemporaryDirectory(prefix="torch-stabilize-") as name:
        folder = Path(name)
        tree = Tree("the planned tree", after, config, layout)
        _write(after, tree, units, folder / "tree")
        side = _side(tree, units, folder, plan.target, tools)
        compilers = Compilers()
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool, compilers.stopped_early():
            logs = list(pool.map(lambda unit: _front_end(unit, side, tree, tools, compilers), units))
        migration = Migration(plan, snapshot.read)
        found: dict[Diagnostic, None] = {}
        for unit, log in zip(units, logs, strict=True):
            found |= dict.fromkeys(_diagnostics(unit, log, side.tree, after, migration))
    return replace(plan, diagnostics=(*plan.diagnostics, *found))


def _units(plan: Plan, group: Group) -> Iterator[str]:
    """The units of the group, where they are after the migration."""
    moved = {change.old_path: change.new_path for change in plan.files if change.new_path is not None}
    for unit in group.units:
        yield moved.get(unit) or unit


def _write(after: Snapshot, tree: Tree, units: Iterable[str], folder: Path) -> None:
    """What the units see, and no file more."""
    for path in dict.fromkeys((*units, *include_graph(after, tree.layout, tree.config).closure(units))):
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(after.read(path))


def _side(tree: Tree, units: tuple[str, ...], folder: Path, target: str, tools: Toolchain) -> Side:
    includes = include_folders(tree)
    known = read_libraries(tree, (), with_cuda=tools.links_cuda, includes=includes).stable
    library = Library(known.name if known is not None else tree.layout.stable_library, units, includes)
    library = replace(library, flags=ProjectFlags(tree, tools).of(library.name, units))
    return stable_side(folder / "tree", library, tools, folder, target, HeaderOptions())


@dataclass
class Compilers:
    """The compilers that run: whoever stops the run ends them, and none starts any more."""

    _running: set[subprocess.Popen[str]] = field(default_factory=set)
    _is_over: bool = False

    def run(self, command: Sequence[str], folder: Path, seconds: float = SECONDS) -> tuple[int, str]:
        """The exit code of `command` and what it says. Raises OSError, and TimeoutExpired after so many seconds."""
        if self._is_over:
            return 0, ""
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True,
            errors="replace", env={**os.environ, "LC_ALL": "C"}, cwd=folder, start_new_session=True,
        )  # fmt: skip
        self._running.add(process)
        if self._is_over:  # it was stopped while the process began
            _end(process)
        try:
            said, _ = process.communicate(timeout=seconds)
        finally:
            self._running.discard(process)
            _end(process)
        return process.returncode, said

    @contextmanager
    def stopped_early(self) -> Iterator[None]:
        """Where the block is left by an exception, all compilers are ended."""
        try:
            yield
        except BaseException:
            self._is_over = True
            for process in list(self._running):
                _end(process)
            raise


def _end(process: subprocess.Popen[str]) -> None:
    """End a process and those that it started, if they are not over."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)


def _front_end(unit: str, side: Side, tree: Tree, tools: Toolchain, compilers: Compilers) -> str:
    """What the compiler says of a unit; "" where it takes it, or where there is no compiler for it."""
    own = side.own_flags.get(unit, ())
    if unit.endswith(CUDA_SUFFIX):
        if tools.nvcc is None:
            return ""
        graph = include_graph(tree.snapshot, tree.layout, tree.config)
        arch = asked_arch(map(tree.snapshot.read, graph.closure([unit])), known_archs(tools.nvcc))
        command = [tools.nvcc, "-ccbin", tools.cxx, "--expt-relaxed-constexpr", "--expt-extended-lambda"]
        command += ["-gencode", f"arch=compute_{arch},code=sm_{arch}", "--fdevice-syntax-only"]
        command += ["-Xcompiler", "-fsyntax-only,-w", *side.cuda_flags]
    else:
        command = [tools.cxx, "-fsyntax-only", *(side.gpu_flags if unit in side.gpu else side.flags)]
    command += [*own, "-std=c++20", "-w", "-c", str(side.tree / unit), "-o", os.devnull]
    try:
        code, said = compilers.run(command, side.tree)
    except subprocess.TimeoutExpired:
        return ""
    except OSError as error:
        raise Refusal(f"cannot run {command[0]}: {error.strerror}") from error
    return said if code else ""


def _diagnostics(unit: str, log: str, tree: Path, after: Snapshot, migration: Migration) -> Iterator[Diagnostic]:
    if not log:
        return
    errors = [error for error in parse_errors(log, tree)[:MOST_PER_UNIT] if error.message != "ptxas"]
    if not errors:
        text = " | ".join(line for line in log.splitlines()[-2:] if line.strip())
        yield Diagnostic(codes.PLAN_DOES_NOT_COMPILE, Severity.ERROR, unit, Span(0, 0), f"does not compile: {text}")
    for error in errors:
        path = error.path or unit
        origin = migration.origin(path, error.line, after.read(path)) if error.line and after.exists(path) else None
        if origin is None or not origin.path or not origin.line:
            span = line_span(after.read(path), error.line) if error.line and after.exists(path) else Span(0, 0)
            yield Diagnostic(codes.PLAN_DOES_NOT_COMPILE, Severity.ERROR, path, span, error.message)
            continue
        rules = f" (edited by {', '.join(origin.rules)})" if origin.rules else ""
        span = line_span(migration.read(origin.path), origin.line)
        yield Diagnostic(
            codes.PLAN_DOES_NOT_COMPILE, Severity.ERROR, origin.path, span, f"{error.message}{rules}",
            "only torch's stable headers are reachable",
        )  # fmt: skip
