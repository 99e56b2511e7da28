"""On a GPU machine: build the sample extension before and after its migration, and compare the two, group by group.

    python3 tests/gpu/run.py --out FOLDER [GROUP...]

`tests/gpu/prepare.sh` made build/gpu beforehand, on a machine with a network; here only python3 with torch, ninja and
nvcc are needed. Written to FOLDER: results.md and results.json, goldens.tgz with what the legacy library gave
(GROUP/cpu.safetensors, GROUP/cuda-smXX.safetensors, GROUP/cuda-smXX-x2.safetensors for two ranks with a GPU each), and
the logs of the builds. A group that fails or takes too long does not keep the others from being
compared. A release that `prepare_release.py` laid out in build/gpu/release is built and compared too, and where there
are two GPUs a rank is lost on purpose (lost_rank.py). Exit code 1 where anything differs or is missing.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "codemod")]

from tests.gpu.table import lost_findings, markdown  # noqa: E402  # the repository is not installed here

SIDES = ("legacy", "stable")
STEPS = ("compare", "overhead", "lost")
BUILD_SECONDS, GROUP_SECONDS, LOST_SECONDS, OVERHEAD_SECONDS = 330, 150, 100, 90
RELEASE = "tests/gpu/release"  # the cases of the release
AT_ONCE = max(2, (os.cpu_count() or 2) // 4)  # groups; each has a worker and a compiler
UNFIT = "cannot be recorded: "  # how golden record names a case
FACTS = """
import json, platform, torch
gpus = range(torch.cuda.device_count())
print(json.dumps({
    "python": platform.python_version(), "torch": torch.__version__, "cuda": torch.version.cuda,
    "gpus": [torch.cuda.get_device_name(index) for index in gpus],
    "capability": "{}.{}".format(*torch.cuda.get_device_capability()) if gpus else "",
}))
"""


@dataclass
class Machine:
    """Where everything is, and until when there is time."""

    folder: Path  # what prepare.sh made
    work: Path
    out: Path
    deadline: float
    libraries: dict[str, list[str]] = field(default_factory=dict)
    golden: str = "golden"  # the folder of the cases, below `work`
    only: tuple[str, ...] = ()  # options that choose cases
    patience: float = 1.0  # what the seconds of a step of a group are multiplied with

    def left(self, at_most: float) -> float:
        """Seconds for the next step."""
        return max(1.0, min(at_most * self.patience, self.deadline - time.monotonic()))

    @property
    def environment(self) -> dict[str, str]:
        """Python finds this repository and the packages that were brought along."""
        path = os.pathsep.join(
            [str(REPOSITORY / "codemod"), str(self.folder / "deps"), os.environ.get("PYTHONPATH", "")]
        )
        return {**os.environ, "PYTHONPATH": path}

    def tool(self, *arguments: str, seconds: float) -> subprocess.CompletedProcess[str]:
        """Run torch-stabilize; a run that took too long ends with 124."""
        command = [sys.executable, "-c", "from torch_stabilize.cli.main import main; main()", *arguments]
        environment = {**self.environment, "COLUMNS": "200"}
        try:
            return subprocess.run(
                command, env=environment, cwd=self.work, capture_output=True, text=True, timeout=self.left(seconds)
            )
        except subprocess.TimeoutExpired:
            return subprocess.CompletedProcess(command, 124, "", f"took more than {seconds:.0f} s")


@dataclass
class GroupResult:
    """What came of one group; `step` is the JSON of `golden check`, `other` that of the library of another torch."""

    group: str
    recorded: str = ""
    left_out: list[str] = field(default_factory=list)
    step: dict[str, Any] | None = None
    other: dict[str, Any] | None = None
    overhead: list[dict[str, Any]] = field(default_factory=list)
    untimed: str = ""  # why there is no overhead, or not of all calls
    failure: str = ""

    @property
    def passed(self) -> bool:
        """Whether everything was compared and nothing differs."""
        return not self.failure and not self.left_out and self.step is not None and self.step["status"] == "ok"


def main() -> int:
    """Build, compare, measure, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("groups", nargs="*", help="GROUP of the sample, release/GROUP of the release; all by default")
    parser.add_argument("--out", type=Path, required=True, help="where results go")
    parser.add_argument("--prepared", type=Path, default=REPOSITORY / "build/gpu", help="what prepare.sh made")
    parser.add_argument("--minutes", type=float, default=9.0, help="time for everything")
    parser.add_argument("--only", choices=STEPS, action="append", help="this step instead of all; can be repeated")
    parser.add_argument("--device", help='only cases of this device, as "cuda x2"')
    parser.add_argument(
        "--units-alone",
        action="store_true",
        help="build the sample as the release: from the units in libraries.json, which prepare.sh wrote",
    )
    parser.add_argument(
        "--patience", type=float, default=1.0, help="how many times the usual time a group has for each step"
    )
    chosen = parser.parse_args()
    begun = time.monotonic()
    work = Path(tempfile.mkdtemp(prefix="gpu-run-"))
    deadline = begun + chosen.minutes * 60
    machine = Machine(chosen.prepared.resolve(), work, chosen.out.resolve(), deadline, patience=chosen.patience)
    machine.out.mkdir(parents=True, exist_ok=True)
    copied = shutil.ignore_patterns("*.safetensors")  # nothing recorded elsewhere: the legacy library speaks first
    golden = Path(shutil.copytree(REPOSITORY / "golden", work / "golden", ignore=copied))
    groups = _chosen(chosen.groups, golden, "")

    shutil.copytree(REPOSITORY / RELEASE, work / RELEASE)
    release = replace(machine, folder=machine.folder / "release", libraries={}, golden=RELEASE)
    machine.only = release.only = ("--device", chosen.device) if chosen.device else ()

    facts = {**facts_of_machine(), "commit": _text(machine.folder / "commit").strip() or "unknown"}
    print(json.dumps(facts), flush=True)
    builds = _build(machine, facts["capability"], release, units_alone=chosen.units_alone)
    print(f"built: {builds} after {time.monotonic() - begun:.0f} s", flush=True)
    steps = tuple(chosen.only) if chosen.only else STEPS
    results = [GroupResult(group) for group in groups]
    of_release = [GroupResult(group) for group in _chosen(chosen.groups, work / RELEASE, "release/")]
    of_release = of_release if release.libraries else []
    lost: dict[str, Any] = {}

    def write() -> None:
        document = {"facts": facts, "builds": builds, "seconds": round(time.monotonic() - begun), "lost": lost}
        document["steps"] = steps
        document["groups"] = [asdict(result) | {"passed": result.passed} for result in results]
        document["release"] = [asdict(result) | {"passed": result.passed} for result in of_release]
        _write(machine.out, document, golden)

    if "compare" in steps:
        results = _compare_all(machine, groups)
        write()  # in case the GPUs hang, or the time is up before it should be
        of_release = _compare_all(release, [result.group for result in of_release])
        _explain_crash(machine, results)
        write()
    if "overhead" in steps:  # one after the other: times must not disturb each other
        for place, all_of_it in ((machine, results), (release, of_release)):
            for result in all_of_it:
                _overhead(place, result)
        write()
    if "lost" in steps and len(facts["gpus"]) > 1:  # last: a kernel that waits for a peer may hold its GPU
        for name, place in (("sample", machine), ("release", release)):
            lost |= {f"{name}, {side}": _lose_rank(place, side) for side in SIDES if place.libraries.get(side)}
    write()
    print((machine.out / "results.md").read_text())
    shutil.rmtree(work, ignore_errors=True)
    compared = "compare" not in steps or all(result.passed for result in (*results, *of_release))
    return 0 if compared and not lost_findings(lost) else 1


def _chosen(named: list[str], folder: Path, prefix: str) -> list[str]:
    """The groups with cases in `folder` that are `named`, which say where they are by `prefix`; all where none is."""
    found = sorted(path.parent.name for path in folder.glob("*/cases.toml"))
    return [group for group in found if not named or prefix + group in named]


def _compare_all(machine: Machine, groups: list[str]) -> list[GroupResult]:
    """Groups whose ranks take all GPUs one after another: kernels that wait take time from others. The rest at once."""
    alone = {group for group in groups if "ranks = " in _text(machine.work / machine.golden / group / "cases.toml")}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        at_once = {group: pool.submit(_compare, machine, group) for group in groups if group not in alone}
        found = {group: waiting.result() for group, waiting in at_once.items()}
    found |= {group: _compare(machine, group) for group in groups if group in alone}
    return [found[group] for group in groups]


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def _write(out: Path, document: dict[str, Any], golden: Path) -> None:
    (out / "results.json").write_text(json.dumps(document, indent=1, sort_keys=True) + "\n")
    (out / "results.md").write_text(markdown(document))
    with tarfile.open(out / "goldens.tgz", "w:gz") as archive:
        for path in sorted(golden.glob("*/*.safetensors")):
            archive.add(path, path.relative_to(golden))


def facts_of_machine() -> dict[str, Any]:
    said = subprocess.run([sys.executable, "-c", FACTS], capture_output=True, text=True, check=True)
    facts: dict[str, Any] = json.loads(said.stdout)
    asked = {
        "nvcc": "nvcc --version | grep -o 'release [0-9.]*'",
        "driver": "nvidia-smi --query-gpu=driver_version --format=csv,noheader | head -1",
    }
    for name, command in asked.items():
        facts[name] = subprocess.run(["bash", "-c", command], capture_output=True, text=True).stdout.strip()
    return facts


def build_environment(machine: Machine, capability: str) -> dict[str, str]:
    """The environment in which both sides are built at once, for the GPU of this machine."""
    jobs = max(1, (os.cpu_count() or 2) // len(SIDES))
    arch = f"{capability}a" if capability == "9.0" else capability
    environment = {**machine.environment, "MAX_JOBS": str(jobs), "TORCH_CUDA_ARCH_LIST": arch, "SAMPLEX_CUDA": "1"}
    environment["LDFLAGS"] = f"{os.environ.get('LDFLAGS', '')} {_standard_library(machine)}".strip()
    return environment


def _build(machine: Machine, capability: str, release: Machine, *, units_alone: bool) -> dict[str, str]:
    """Build both sides at once with their own setup.py, as their users do; and the release, where it is laid out."""
    environment = build_environment(machine, capability)

    def build(side: str) -> str:
        tree = Path(shutil.copytree(machine.folder / side, machine.work / side))
        with (machine.out / f"build-{side}.log").open("w") as log:
            command = [sys.executable, "setup.py", "build_ext", "--inplace"]
            try:
                ran = subprocess.run(
                    command,
                    cwd=tree,
                    env=environment,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    timeout=machine.left(BUILD_SECONDS),
                )
                outcome = "ok" if ran.returncode == 0 else f"failed with {ran.returncode}"
            except subprocess.TimeoutExpired:
                outcome = f"took more than {BUILD_SECONDS} s"
        machine.libraries[side] = [str(path) for path in sorted(tree.glob("*/*.so"))]
        return outcome if machine.libraries[side] else f"{outcome}; no library"

    with ThreadPoolExecutor(len(SIDES) + 1) as pool:
        other = pool.submit(build_release, release, environment) if release.folder.exists() else None
        if units_alone:
            alone = build_release(machine, environment)
            return {"units alone": alone} | ({"release": other.result()} if other else {})
        outcomes = dict(zip(SIDES, pool.map(build, SIDES), strict=True))
        return outcomes | ({"release": other.result()} if other else {})


def build_release(release: Machine, environment: dict[str, str]) -> str:
    """How building the release went. Its libraries are in `release` then."""
    script = [
        sys.executable,
        str(REPOSITORY / "tests/gpu/build_release.py"),
        str(release.folder),
        str(release.work / "built" / release.folder.name),
    ]
    command = [*script, *environment["LDFLAGS"].split()]
    try:
        ran = subprocess.run(
            command,
            env={"CXX": "g++", **environment},
            capture_output=True,
            text=True,
            timeout=release.left(BUILD_SECONDS),
        )
    except subprocess.TimeoutExpired:
        return f"took more than {BUILD_SECONDS} s"
    (release.out / f"build-{release.folder.name}.log").write_text(ran.stdout + ran.stderr)
    found = _json(ran.stdout)
    if found is None or found["failures"]:
        return "; ".join(found["failures"] if found else ran.stderr.strip().splitlines()[-1:])
    release.libraries.update({side: found[side] for side in SIDES})
    traps = ", ".join(f"{library}: {count}" for library, count in found["traps"].items())
    return f"{found['release']}, ok; functions that trap: {traps}"


def _standard_library(machine: Machine) -> str:
    """What makes extensions use the C++ standard library that torch uses, where the compiler links one of its own.

    Two in one process crash at the first number that is formatted, which is in the text of an error.
    """
    probe = machine.work / "probe.so"
    source = "#include <sstream>\nint f() { std::ostringstream s; s << 1; return s.str().size(); }\n"
    compiler = os.environ.get("CXX", "g++")
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-x", "c++", "-", "-o", str(probe)], input=source, text=True, check=True
    )
    needed = subprocess.run(["readelf", "-d", str(probe)], capture_output=True, text=True, check=True).stdout
    shared = "libstdc++.so" in needed
    print(f"{shutil.which(compiler)} links libstdc++ {'shared' if shared else 'into libraries'}", flush=True)
    return "" if shared else "-Wl,--no-as-needed -l:libstdc++.so.6"


def _compare(machine: Machine, group: str) -> GroupResult:
    """Record the legacy library, check the stable one, and the one that another torch built, on the CPU."""
    result = GroupResult(group)
    if not all(machine.libraries.get(side) for side in SIDES):
        result.failure = "not built"
        return result
    recorded = machine.tool(
        "golden",
        "record",
        group,
        "--partial",
        "--golden",
        machine.golden,
        *machine.only,
        *library_options(machine, "legacy"),
        seconds=GROUP_SECONDS,
    )
    result.recorded = recorded.stdout.strip()
    lines = recorded.stderr.strip().splitlines()
    result.left_out = [line.removeprefix(UNFIT) for line in lines if line.startswith(UNFIT)]
    if not result.recorded:
        result.failure = "; ".join(lines[-3:]) or "nothing recorded"
        return result
    check = ("golden", "check", group, "--json", "--golden", machine.golden)
    checked = machine.tool(*check, *machine.only, *library_options(machine, "stable"), seconds=GROUP_SECONDS)
    result.step = _json(checked.stdout)
    if result.step is None:
        result.failure = checked.stderr.strip() or "golden check said nothing"
    other = sorted((machine.folder / "other_torch").glob("*.so"))
    if other:
        given = [word for path in other for word in ("--library", str(path))]
        answer = machine.tool(*check, "--device", "cpu", *given, seconds=GROUP_SECONDS)
        result.other = _json(answer.stdout) or {"status": "failed", "summary": answer.stderr.strip()}
    return result


def _explain_crash(machine: Machine, results: list[GroupResult]) -> None:
    """Where the first case that killed its process did so, as a debugger says it, in crash.txt."""
    debugger = shutil.which("gdb") or shutil.which("cuda-gdb")
    crashed = ((r.group, text.partition(": ")[0]) for r in results for text in r.left_out if "died of" in text)
    group, case = next(crashed, ("", ""))
    if not case or debugger is None:
        return
    request = {"do": "case", "cases": str(machine.work / "golden" / group / "cases.toml"), "id": case}
    (machine.work / "request").write_text(json.dumps(request) + "\n")
    worker = [sys.executable, "-m", "torch_stabilize.verify.golden.worker", "1", *machine.libraries["legacy"]]
    asked = ["-ex", "run < request > answer", "-ex", "bt 40", "-ex", "info sharedlibrary"]
    asked = ["-ex", "set disable-randomization off", *asked]
    with (machine.out / "crash.txt").open("w") as out:
        out.write(f"{case}\n")
        for library in machine.libraries["legacy"]:
            out.write(subprocess.run(["readelf", "-d", library], capture_output=True, text=True, check=False).stdout)
        out.flush()
        subprocess.run(
            [debugger, "-batch", *asked, "--args", *worker],
            cwd=machine.work,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY / "codemod")},
            stdout=out,
            stderr=subprocess.STDOUT,
            timeout=machine.left(90),
            check=False,
        )


def _lose_rank(machine: Machine, side: str) -> dict[str, Any]:
    """What lost_rank.py prints for one side."""
    script = [sys.executable, str(REPOSITORY / "tests/gpu/lost_rank.py"), *library_options(machine, side)]
    try:
        seconds = machine.left(LOST_SECONDS)
        ran = subprocess.run(script, env=machine.environment, capture_output=True, text=True, timeout=seconds)
    except subprocess.TimeoutExpired:
        return {"any": {"seconds": round(seconds), "said": "nothing", "wrong": "the GPUs hang"}}
    said = ran.stderr.strip()[-300:] or "nothing printed"
    return _json(ran.stdout) or {"any": {"seconds": 0, "said": said, "wrong": "it could not be tried"}}


def _overhead(machine: Machine, result: GroupResult) -> None:
    if machine.deadline - time.monotonic() < 20:
        result.untimed = "the time of the run was up"
        return
    given = [word for path in machine.libraries["legacy"] for word in ("--legacy", path)]
    given += [word for path in machine.libraries["stable"] for word in ("--stable", path)]
    overhead = ("golden", "overhead", result.group, "--json", "--golden", machine.golden)
    answer = machine.tool(*overhead, *machine.only, *given, seconds=OVERHEAD_SECONDS)
    result.overhead = _json(answer.stdout) or []
    if answer.returncode != 0:
        result.untimed = (answer.stderr.strip() or "nothing printed").splitlines()[-1]


def library_options(machine: Machine, side: str) -> list[str]:
    return [word for path in machine.libraries[side] for word in ("--library", path)]


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


if __name__ == "__main__":
    sys.exit(main())
