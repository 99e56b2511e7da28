"""Build the two sides of a set of functions: the legacy one, and what the migration makes of it."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch_stabilize.cli.workspace import open_workspace
from torch_stabilize.explain import all_codes
from torch_stabilize.migration.plan import Options, plan_migration
from torch_stabilize.model import Refusal
from torch_stabilize.program.groups import resolve_group
from torch_stabilize.report.view import Stage, build_report

from tests.twins.account import Account, account_of
from tests.twins.program import Function

UNIT = "csrc/tw.cpp"
TARGET = "-DTORCH_TARGET_VERSION=0x020b000000000000ULL"
_REGISTERED = re.compile(r'\s*m\.(?:def|impl)\("(\w+)[("]')
_MARK = re.compile(r"// >>> (\w+)$")
_SCHEMAS = {
    "at::Tensor": "Tensor", "int64_t": "int", "double": "float", "bool": "bool", "std::string": "str",
    "std::tuple<at::Tensor, at::Tensor>": "(Tensor, Tensor)",
}  # fmt: skip
_INCLUDES = (
    "ATen/ATen.h", "ATen/Dispatch.h", "ATen/Parallel.h", "c10/core/DeviceGuard.h", "c10/util/irange.h", "torch/library.h",
    "torch/types.h", "torch/csrc/autograd/variable.h", "algorithm", "array", "cstring", "functional", "map", "memory", "numeric",
    "optional", "sstream", "stdexcept", "string", "tuple", "unordered_map", "utility", "variant", "vector",
)  # fmt: skip
HEAD = "".join(f"#include <{name}>\n" for name in _INCLUDES) + '#include "ops.h"\n'
_QUIET = """\
#include <c10/util/Logging.h>
static const bool kDone = (c10::SetStackTraceFetcher([]() -> std::string { return ""; }), true);
"""


@dataclass
class Pair:
    """Both sides of the functions that are valid legacy code."""

    functions: Sequence[Function]
    legacy: Path
    stable: Path | None
    invalid: Mapping[str, str]
    broken: Mapping[str, str]  # those whose migration does not compile, with the compiler's words
    account: Account


def tree_of(functions: Sequence[Function], folder: Path) -> None:
    """Write a small repository with `functions`, their declarations and registrations."""
    unit = HEAD + "".join(f"\n// >>> {f.name}\n{f.written()}" for f in functions)
    signature = "(at::Tensor x, at::Tensor y, int64_t n, double a);\n"
    schemas = [
        f'  m.def("{f.name}(Tensor(a!) x, Tensor(b!) y, int n, float a) -> {_SCHEMAS[f.returns]}");\n'
        for f in functions
    ]
    impls = [f'  m.impl("{f.name}", &{f.name});\n' for f in functions]
    files = {
        UNIT: unit,
        "csrc/ops.h": "#pragma once\n#include <ATen/ATen.h>\n#include <string>\n#include <tuple>\n"
        + "".join(f"{f.returns} {f.name}{signature}" for f in functions),
        "csrc/bindings.cpp": '#include <torch/library.h>\n#include "ops.h"\n\nTORCH_LIBRARY(twins, m) {\n'
        + "".join(schemas)
        + "}\n\nTORCH_LIBRARY_IMPL(twins, CPU, m) {\n"
        + "".join(impls)
        + "}\n",
        "setup.py": "from setuptools import setup\nfrom torch.utils.cpp_extension import BuildExtension, CppExtension\n\n"
        "setup(\n    name='twins',\n    ext_modules=[CppExtension('twins._C', ['csrc/tw.cpp', 'csrc/bindings.cpp'])],\n"
        "    cmdclass={'build_ext': BuildExtension},\n)\n",
        "twins/__init__.py": "from . import _C\n",
    }  # fmt: skip
    shutil.rmtree(folder, ignore_errors=True)
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    identity = ("-c", "user.name=twins", "-c", "user.email=twins@localhost", "-c", "commit.gpgsign=false")
    for command in (("init", "-q"), ("add", "-A"), (*identity, "commit", "-qm", "Legacy")):
        subprocess.run(["git", *command], cwd=folder, check=True, capture_output=True)


def migrated(folder: Path, into: Path) -> Account:
    """Write the migrated tree of `folder` into another; what announces differences."""
    workspace = open_workspace(folder, names=(UNIT,))
    group = resolve_group(workspace.snapshot, workspace.layout, workspace.config, (UNIT,))
    try:
        plan = plan_migration(workspace.snapshot, workspace.layout, group, Options(format=False), workspace.config)
    except Refusal as refusal:
        raise Failed("does not migrate", str(refusal), is_announced=True) from refusal
    except Exception as error:
        raise Failed("does not migrate", repr(error)) from error
    shutil.rmtree(into, ignore_errors=True)
    shutil.copytree(folder, into, ignore=shutil.ignore_patterns(".git"))
    for change in plan.files:
        if change.old_path is not None and change.new_path != change.old_path:
            (into / change.old_path).unlink()
        if change.new_path is not None and change.after is not None:
            (into / change.new_path).parent.mkdir(parents=True, exist_ok=True)
            (into / change.new_path).write_bytes(change.after)
    report = build_report(plan, workspace.snapshot.read, all_codes(), stage=Stage.WRITTEN, request="twins")
    return account_of(report.findings, UNIT, _owners((folder / UNIT).read_text()))


def _owners(text: str) -> dict[int, str]:
    """The function that each line belongs to."""
    owner, found = "", {}
    for number, line in enumerate(text.split("\n"), 1):
        if mark := _MARK.match(line):
            owner = mark[1]
        if owner:
            found[number] = owner
    return found


class Compiler:
    """g++ for both sides. The legacy headers are compiled once, into the folder `precompiled`.

    `quiet` is a library that is loaded before the others: it leaves stack traces out of errors, which take milliseconds.
    """

    def __init__(self, precompiled: Path) -> None:
        import torch

        root = Path(torch.__file__).parent
        self.include, self.library = root / "include", root / "lib"
        self.base = [
            *shlex.split(os.environ.get("CXX", "g++")),
            "-std=c++20",
            "-O0",
            "-DNDEBUG",
            "-w",
            "-fPIC",
            "-fmax-errors=0",
            f"-I{sysconfig.get_paths()['include']}",
        ]
        self.legacy = [f"-I{self.include}", f"-I{self.include}/torch/csrc/api/include"]
        header, self.quiet = precompiled / "legacy.h", precompiled / "quiet.so"
        if not self.quiet.exists():
            precompiled.mkdir(parents=True, exist_ok=True)
            header.write_text("".join(line + "\n" for line in HEAD.splitlines() if "<" in line))
            subprocess.run([*self.base, *self.legacy, "-x", "c++-header", str(header)], check=True)
            source = self.quiet.with_suffix(".cpp")
            source.write_text(_QUIET)
            link = [f"-L{self.library}", "-lc10", f"-Wl,-rpath,{self.library}"]
            subprocess.run([*self.base, *self.legacy, "-shared", str(source), "-o", str(self.quiet), *link], check=True)
        self.legacy += ["-include", str(header)]
        self.stable = [TARGET, f"-I{self.include}"]

    def build(self, folder: Path, sources: Sequence[Path], flags: Sequence[str], out: Path) -> dict[str, str]:
        """Compile `sources` into one library; where that fails, the functions that are to blame with the error."""
        everything = folder / "all.cpp"
        everything.write_text("".join(f'#include "{source.relative_to(folder)}"\n' for source in sources))
        link = [
            f"-L{self.library}",
            "-Wl,--no-as-needed",
            "-ltorch",
            "-ltorch_cpu",
            "-lc10",
            f"-Wl,-rpath,{self.library}",
        ]
        done = subprocess.run(
            [*self.base, *flags, "-shared", str(everything), "-o", str(out), *link],
            cwd=folder, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode == 0:
            return {}
        unit = next(source for source in sources if source.name == Path(UNIT).name)
        owners = _owners(unit.read_text())
        blamed: dict[str, str] = {}
        asked: list[str] = []
        for line in done.stderr.splitlines():
            place = re.match(rf"\S*{unit.name}:(\d+):\d+:\s+(.*)", line)
            if place and (name := owners.get(int(place[1]))):
                if place[2].startswith("error"):
                    blamed.setdefault(name, place[2])
                elif "required from" in place[2]:
                    asked.append(name)
            elif ": error:" in line and asked:
                blamed.setdefault(asked[-1], line.partition(": error:")[2])
        if not blamed:
            first = next((line for line in done.stderr.splitlines() if "error" in line), done.stderr[:500])
            raise Failed("does not compile", first)
        return blamed


class Failed(Exception):
    """Functions do not migrate or build, and none of them is to blame by its place."""

    def __init__(self, what: str, text: str, *, is_announced: bool = False) -> None:
        super().__init__(text)
        self.what, self.is_announced = what, is_announced


def build_pair(functions: Sequence[Function], folder: Path, compiler: Compiler) -> Pair:
    """Both libraries. Functions that are no valid legacy code are left out, and those whose migration does not compile.

    What is left to be done by hand is not built.
    """
    left, invalid, broken = list(functions), dict[str, str](), dict[str, str]()
    old, new = folder / "old", folder / "new"
    legacy, stable = folder / "old.so", folder / "new.so"
    while left:
        tree_of(left, old)
        bad = compiler.build(old, [old / UNIT, old / "csrc/bindings.cpp"], compiler.legacy, legacy)
        if not bad:
            break
        invalid |= bad
        left = [f for f in left if f.name not in bad]
    if not left:
        return Pair(left, legacy, None, invalid, broken, Account())
    tree_of(left, old)
    account = migrated(old, new)
    built = [f for f in left if f.name not in account.manual]
    _leave_out(new, account.manual)
    while built and (bad := compiler.build(new, _stable_sources(new), compiler.stable, stable)):
        _leave_out(new, bad)
        broken |= bad
        built = [f for f in built if f.name not in bad]
    return Pair(left, legacy, stable if built else None, invalid, broken, account)


def _leave_out(tree: Path, names: Collection[str]) -> None:
    """Take the functions `names` and their registrations out of a migrated tree. Its includes and helpers stay."""
    for source in _stable_sources(tree):
        lines = source.read_text().split("\n")
        owners = _owners(source.read_text())
        kept = [
            line
            for number, line in enumerate(lines, 1)
            if owners.get(number) not in names
            and not ((place := _REGISTERED.match(line)) and place[1] in names)
        ]  # fmt: skip
        source.write_text("\n".join(kept))


def _stable_sources(tree: Path) -> list[Path]:
    """The units of a migrated tree that are compiled with the stable headers, that with the functions first."""
    words = ("torch::stable", "STABLE_TORCH")
    sources = [p for p in tree.rglob("*.cpp") if p.name != "all.cpp" and any(word in p.read_text() for word in words)]
    return sorted(sources, key=lambda path: path.name != Path(UNIT).name)


def outcomes(libraries: Sequence[Path], names: Sequence[str], quiet: Path) -> list[dict[tuple[str, int], str]]:
    """What each call gave in each library: by function and number of the input, as text; "crash" where the process ended."""
    found: list[dict[tuple[str, int], str]] = [{} for _ in libraries]
    script = Path(__file__).with_name("calls.py")
    ran = subprocess.run(
        [sys.executable, str(script), json.dumps(list(names)), str(quiet), *map(str, libraries)],
        capture_output=True, text=True, errors="replace", check=False, timeout=1800,
    )  # fmt: skip
    for line in ran.stdout.splitlines():
        if line.startswith("@ "):
            _, side, name, given, *outcome = line.split(" ", 4)
            found[int(side)][name, int(given)] = outcome[0] if outcome and outcome[0] else "crash"
    if ran.returncode != 0:
        raise RuntimeError(ran.stderr[-1500:])
    return found
