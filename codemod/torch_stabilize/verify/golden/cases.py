"""Golden cases: cases.toml read and expanded, one frozen Case for each device, dtype and entry of a sweep."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from torch_stabilize import toml
from torch_stabilize.model import Refusal
from torch_stabilize.verify.golden.capture.calls import CAPTURED_FILE, Call, read_captured
from torch_stabilize.verify.golden.values import CaseError, Scope, Value, check_dtype, parse_value

CASES_FILE = "cases.toml"
FORMAT = 1  # part of every hash: raise it when inputs are made in another way
COMPARED = ("returns", "mutated")
DEVICES = ("cpu", "cuda")
MOST_RANKS = 8
MODES = ("eager", "compile", "stream", "graph", "device")
_OF_CUDA = ("stream", "graph", "device")  # modes without a meaning on the CPU
_NO_DTYPE = "float32"  # what "$dtype" represents where a case lists none

_NOT_OF_THE_OUTPUT = ("tolerance", "message", "group", "without", "captured")
_RANKED = ("script", "ranks", "dtype", "names")  # what only cases of several ranks have

_CASE_KEYS = {
    "op", "overload", "id", "devices", "dtypes", "args", "kwargs", "compare", "seed", "raises", "message", "tolerance",
    "sweep", "modes", "without",
}  # fmt: skip
_RANKED_KEYS = {"run", "ranks", "id", "devices", "dtypes", "sweep", "modes", "seed"}


def ranked_device(device: str, ranks: int) -> str:
    """The device of a case that `ranks` processes run, each on one of `device`."""
    return device if ranks == 1 else f"{device} x{ranks}"


ALL_DEVICES = tuple(ranked_device(device, ranks) for ranks in range(1, MOST_RANKS + 1) for device in DEVICES)


@dataclass(frozen=True)
class Tolerance:
    """How far a result may be off, and why bit equality is not to be had."""

    atol: float
    rtol: float
    reason: str


@dataclass(frozen=True)
class Case:
    """One call of one op on one device. `id` is unique within its group.

    A case `without` a device is for machines that lack it: what a build for the CPU says where a GPU is needed.
    A case of several `ranks` runs in as many processes, on a CPU or on a GPU for each, and its device is "cuda x2": the
    function `op` of the Python file `script`, next to cases.toml, says what they do together, with `dtype` and `names`.
    A `captured` case is a call that a program made: its arguments stand in it, and not in `args` and `kwargs`.
    """

    id: str
    group: str
    namespace: str
    op: str
    overload: str
    device: str
    args: tuple[Value, ...]
    kwargs: tuple[tuple[str, Value], ...] = ()
    compare: tuple[str, ...] = COMPARED
    seed: int = 0
    mode: str = "eager"
    raises: str | None = None
    message: str | None = None
    tolerance: Tolerance | None = None
    without: str = ""
    script: str = ""
    ranks: int = 1
    dtype: str = ""
    names: tuple[tuple[str, Any], ...] = ()
    captured: Call | None = None

    @property
    def operator(self) -> str:
        """The full name of what it calls: "ns::name" or "ns::name.overload"."""
        return f"{self.namespace}::{self.op}" + (f".{self.overload}" if self.overload != "default" else "")

    def runs_on(self, devices: Iterable[str]) -> bool:
        """Whether a machine with these devices is one that the case is for."""
        return self.device in devices and self.without not in devices

    @property
    def digest(self) -> str:
        """A hash of all that decides the recorded output; what judges it or says where it runs is left out."""
        if self.captured is not None:
            return self.captured.key
        left_out = _NOT_OF_THE_OUTPUT if self.ranks > 1 else (*_NOT_OF_THE_OUTPUT, *_RANKED)
        content = {key: value for key, value in asdict(self).items() if key not in left_out}
        text = json.dumps([FORMAT, content], sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class CaseFile:
    """A group's cases, in the order of the file. `timings` are calls that are timed and not compared."""

    path: Path
    group: str
    namespace: str
    cases: tuple[Case, ...] = field(repr=False)
    timings: tuple[Case, ...] = field(repr=False, default=())
    notes: tuple[str, ...] = ()  # what a capture says against its calls as a proof

    def on(self, device: str) -> tuple[Case, ...]:
        """The cases of one device."""
        return tuple(case for case in self.cases if case.device == device)

    def only(self, device: str | None) -> CaseFile:
        """The file with the cases of one device alone; as it is for None."""
        return self if device is None else replace(self, cases=self.on(device))

    @property
    def devices(self) -> tuple[str, ...]:
        """The devices that cases name, in a fixed order."""
        return tuple(sorted({case.device for case in self.cases}, key=ALL_DEVICES.index))


def load_cases(path: Path) -> CaseFile:
    """The cases of `path`, a cases.toml, and the captured ones next to it; one of the two files may be missing.

    Raises Refusal (exit 2) with the place of what is wrong.
    """
    captured = path.with_name(CAPTURED_FILE)
    if not captured.is_file():
        return _load_written(path)
    return _with_captured(_load_written(path) if path.exists() else None, path)


def _with_captured(written: CaseFile | None, path: Path) -> CaseFile:
    found = read_captured(path.with_name(CAPTURED_FILE))
    cases = tuple(captured_case(call, found.group) for call in found.calls)
    if written is not None:
        return replace(written, cases=(*written.cases, *cases), notes=found.notes)
    return CaseFile(path, found.group, cases[0].namespace if cases else "", cases, notes=found.notes)


def captured_case(call: Call, group: str) -> Case:
    """The case of a captured call. Its operator is what the function is, or becomes with the migration."""
    operator = next((name for name in call.targets if "::" in name), "")
    namespace, _, rest = operator.partition("::")
    op, _, overload = rest.partition(".")
    return Case(
        id=call.id,
        group=group,
        namespace=namespace,
        op=op or call.targets[0],
        overload=overload or "default",
        device=call.device,
        args=(),
        captured=call,
    )


def _load_written(path: Path) -> CaseFile:
    try:
        raw = toml.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise Refusal(f"cannot read {path}: {error.strerror}", exit_code=2) from error
    except (toml.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Refusal(f"{path} is not TOML: {error}", exit_code=2) from error
    try:
        file = parse_cases(raw, path)
    except CaseError as error:
        raise Refusal(f"{path}: {error}", exit_code=2) from error
    for script in dict.fromkeys(case.script for case in (*file.cases, *file.timings) if case.script):
        if not (path.parent / script).is_file():
            raise Refusal(f"{path}: there is no {script} next to it", exit_code=2)
    return file


def load_group(folder: Path, group: str) -> CaseFile:
    """The cases of one group. Raises Refusal (exit 2) where there are none, with the groups that have some."""
    path = folder / group / CASES_FILE
    if not has_cases(path):
        known = ", ".join(found.parent.name for found in find_case_files(folder)) or "none"
        raise Refusal(f"no golden cases for {group}: {path} does not exist (groups with cases: {known})", exit_code=2)
    return load_cases(path)


def find_case_files(folder: Path) -> tuple[Path, ...]:
    """Every `<group>/cases.toml` in `folder`, sorted; where only captured calls are, where it would be."""
    found = {path.with_name(CASES_FILE) for name in (CASES_FILE, CAPTURED_FILE) for path in folder.glob(f"*/{name}")}
    return tuple(sorted(found))


def has_cases(path: Path) -> bool:
    """Whether there is a cases.toml at `path`, or captured calls next to it."""
    return path.is_file() or path.with_name(CAPTURED_FILE).is_file()


def parse_cases(raw: Mapping[str, Any], path: Path) -> CaseFile:
    """Expand a parsed cases.toml. Raises CaseError."""
    unknown = sorted(set(raw) - {"group", "library", "case", "timing"})
    if unknown:
        raise CaseError(
            f"unknown key {', '.join(unknown)}; the file has group, library, [[case]] and [[timing]] tables"
        )
    group, namespace = str(raw.get("group", path.parent.name)), raw.get("library")
    if not isinstance(namespace, str) or not namespace:
        raise CaseError('library = "..." is missing: the namespace under torch.ops')
    cases = _expand_all(raw.get("case", []), group, namespace, "case")
    timings = _expand_all(raw.get("timing", []), group, namespace, "timing")
    seen: set[str] = set()
    for case in (*cases, *timings):
        if case.id in seen:
            raise CaseError(f"two cases are called {case.id}; give one of them another id")
        seen.add(case.id)
    return CaseFile(path, group, namespace, cases, timings)


def _expand_all(tables: Iterable[Mapping[str, Any]], group: str, namespace: str, kind: str) -> tuple[Case, ...]:
    cases: list[Case] = []
    for index, table in enumerate(tables):
        where = f"{kind} {table.get('id') or table.get('op') or table.get('run') or index + 1}"
        cases += (
            _expand_ranked(table, group, namespace, where)
            if "run" in table
            else _expand(table, group, namespace, where)
        )
    return tuple(cases)


def _expand_ranked(table: Mapping[str, Any], group: str, namespace: str, where: str) -> Iterator[Case]:
    """What several ranks do together: `run` names the function, as in "ranks.py:all_reduce"."""
    unknown = sorted(set(table) - _RANKED_KEYS)
    if unknown:
        raise CaseError(f"{where}: unknown key {', '.join(unknown)} in a case that several ranks run")
    script, _, function = str(table["run"]).rpartition(":")
    if not script or not function.isidentifier():
        raise CaseError(f'{where}: run is "FILE:FUNCTION", not {table["run"]!r}')
    ranks = table.get("ranks", 2)
    if not isinstance(ranks, int) or not 2 <= ranks <= MOST_RANKS:
        raise CaseError(f"{where}: there are 2 to {MOST_RANKS} ranks, not {ranks!r}")
    plain = {key: value for key, value in table.items() if key not in ("run", "ranks")}
    for case in _expand({**plain, "op": function}, group, namespace, where, ranked=True):
        yield replace(case, device=ranked_device(case.device, ranks), script=script, ranks=ranks)


def _expand(
    table: Mapping[str, Any], group: str, namespace: str, where: str, *, ranked: bool = False
) -> Iterator[Case]:
    unknown = sorted(set(table) - _CASE_KEYS)
    if unknown:
        raise CaseError(f"{where}: unknown key {', '.join(unknown)}")
    if not isinstance(table.get("op"), str):
        raise CaseError(f"{where}: op is missing")
    dtypes = [check_dtype(name, where) for name in table.get("dtypes", [])]
    for device in _each(table.get("devices", ["cpu"]), DEVICES, f"{where}: devices"):
        for dtype in dtypes or [""]:
            for names in table.get("sweep", [{}]):
                for mode in _each(table.get("modes", ["eager"]), MODES, f"{where}: modes"):
                    if mode in _OF_CUDA and device != "cuda":
                        continue
                    scope = Scope(dtype or _NO_DTYPE, device, names)
                    parts = [device, *([dtype] if dtype else []), *(f"{k}={v}" for k, v in names.items())]
                    parts += [mode] if mode != "eager" else []
                    case = _case(table, group, namespace, scope, mode, "-".join(parts), where)
                    yield replace(case, dtype=dtype, names=tuple(names.items())) if ranked else case


def _case(
    table: Mapping[str, Any], group: str, namespace: str, scope: Scope, mode: str, label: str, where: str
) -> Case:
    message = table.get("message")
    if message is not None:
        try:
            re.compile(message)
        except re.error as error:
            raise CaseError(f"{where}: message is not a regular expression: {error}") from error
    args = tuple(parse_value(raw, scope, f"{where}: args[{i}]") for i, raw in enumerate(table.get("args", [])))
    kwargs = {name: parse_value(raw, scope, f"{where}: {name}") for name, raw in table.get("kwargs", {}).items()}
    if not table.get("compare", COMPARED):
        raise CaseError(f"{where}: compare is empty, and the case would compare nothing")
    without = table.get("without", "")
    if without not in ("", *DEVICES[1:]):
        raise CaseError(f"{where}: without is one of {', '.join(DEVICES[1:])}, not {without!r}")
    return Case(
        id=f"{table.get('id', table['op'])}[{label}]",
        group=group,
        namespace=namespace,
        op=table["op"],
        overload=str(table.get("overload", "default")),
        device=scope.device,
        args=args,
        kwargs=tuple(sorted(kwargs.items())),
        compare=tuple(_each(table.get("compare", list(COMPARED)), COMPARED, f"{where}: compare")),
        seed=int(table.get("seed", 0)),
        mode=mode,
        raises=table.get("raises"),
        message=message,
        tolerance=_tolerance(table.get("tolerance"), where),
        without=without,
    )


def _tolerance(raw: Mapping[str, Any] | None, where: str) -> Tolerance | None:
    if raw is None:
        return None
    reason = str(raw.get("reason", "")).strip()
    if not reason:
        raise CaseError(f"{where}: a tolerance needs a reason")
    unknown = sorted(set(raw) - {"atol", "rtol", "reason"})
    if unknown:
        raise CaseError(f"{where}: unknown {', '.join(unknown)} in the tolerance")
    return Tolerance(float(raw.get("atol", 0.0)), float(raw.get("rtol", 0.0)), reason)


def _each(names: Iterable[Any], allowed: tuple[str, ...], where: str) -> Iterator[str]:
    for name in names:
        if name not in allowed:
            raise CaseError(f"{where} are of {', '.join(allowed)}, not {name!r}")
        yield str(name)
