"""A program's calls captured on the legacy build and made again on the migrated one; planted defects are caught."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from torch_stabilize.verify import codes
from torch_stabilize.verify.golden.capture.calls import read_captured

from .conftest import Tiny, compile_library

pytestmark = [pytest.mark.compile, pytest.mark.torch, pytest.mark.xdist_group("capture-tiny")]

Documents = dict[str, dict[str, Any]]

# defect -> unit, what stands there, what is planted, the code that catches it, words of the message
DEFECTS = {
    "a mask that is taken the other way round": (
        "blend",
        "chosen == nullptr || chosen[i]",
        "chosen == nullptr || !chosen[i]",
        codes.OUTPUT_DIFFERS,
        "captured/blend-",
    ),
    "a write beyond the view that was passed": (
        "blend",
        "  return count;",
        "  values[x.numel()] = 3;\n  return count;",
        codes.OUTPUT_DIFFERS,
        "storage of argument 0",
    ),
    "a count off by one": ("blend", "? 1 : 0", "? 2 : 0", codes.OUTPUT_DIFFERS, "return 0 is 16 instead of 8"),
    "a check that is gone": (
        "blend",
        'STD_TORCH_CHECK(a.sizes() == b.sizes(), "blend: the sizes differ");',
        "if (a.sizes() != b.sizes()) return torch::stable::empty_like(a);",
        codes.ERROR_DIFFERS,
        "the legacy library raises RuntimeError, the stable one nothing",
    ),
    "a schema that hides a write": (
        "blend",
        'm.def("raise_all(Tensor(a!) x, float by, int limit) -> int");',
        'm.def("raise_all(Tensor x, float by, int limit) -> int");',
        codes.UNDECLARED_WRITE,
        "writes to argument 0",
    ),
    "a result with the strides of its input": (
        "blend",
        "torch::stable::empty_like(x)",
        "torch::stable::empty_like(a)",
        codes.OUTPUT_DIFFERS,
        "has strides (1, 8) instead of",
    ),
    "a comparison without its equal": (
        "gate",
        "sum >= static_cast<float>(threshold)",
        "sum > static_cast<float>(threshold)",
        codes.OUTPUT_DIFFERS,
        "captured/gate_rows-",
    ),
    "an argument handed back as the result": (
        "gate",
        "  return out;\n}\n\n// Never",
        "  return x;\n}\n\n// Never",
        codes.OUTPUT_DIFFERS,
        "has alias 0 instead of None",
    ),
}


def test_calls_from_everywhere_are_seen(captured: Documents) -> None:
    """Python with and without keywords, an alias of the overload, TorchScript, another thread; and no other function."""
    found = captured["blend"]
    assert found["figures"]["seen_through"] == ["torch's RecordFunction"]
    assert found["figures"]["calls"] == 8
    assert (found["figures"]["called"], found["figures"]["functions"]) == (2, 2)
    assert found["code"] == 0, found["diagnostics"]
    assert [Path(path).name for path in found["written"]] == ["captured.safetensors", "cpu.safetensors"]


def test_functions_of_a_module_are_seen(captured: Documents) -> None:
    found = captured["gate"]
    assert found["figures"]["calls"] == 3
    assert [(d["code"], d["message"]) for d in found["diagnostics"] if d["severity"] == "error"] == [
        (codes.NEVER_CALLED, "no call of _gate:double_rows was seen")
    ]
    assert found["code"] == 1


def test_a_large_storage_is_kept_as_a_generator(tiny: Tiny, captured: Documents) -> None:
    calls = read_captured(tiny.legacy / "golden/blend/captured.safetensors").calls
    assert any("made" in storage for call in calls for storage in call.content["storages"])
    assert (tiny.legacy / "golden/blend/captured.safetensors").stat().st_size < 40_000
    shared = [call for call in calls if call.change is None and len(call.content["storages"]) == 1]
    assert shared, "one tensor passed twice lies in one storage"


def test_a_command_that_is_killed_keeps_its_count(tiny: Tiny, tmp_path: Path) -> None:
    """What it called is counted by what was kept; what it had not called yet leaves the group unproven."""
    script = (
        "import os, signal, torch, tiny\n"
        "for limit in range(1, 4):\n"
        "    torch.ops.tiny.raise_all(torch.arange(3.0), 1.0, limit)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    ran = tiny.run(
        *("golden", "capture", "csrc/blend.cpp", "--json", "--vary", "0", "--golden", str(tmp_path / "golden")),
        *("--build-dir", str(tmp_path / "build"), "--", sys.executable, "-c", script),
    )
    found = json.loads(ran.stdout)
    figures = found["figures"]
    assert found["exit_code"] == -9
    assert figures["calls"] == figures["seen"] >= 2
    assert figures["signatures"] >= 2
    texts = [one["message"] for one in found["diagnostics"]]
    assert "SIGKILL ended the command: calls that it had not made by then are missing" in texts
    assert "no call of tiny::raise_all was seen" not in texts
    assert ran.returncode == 1


@pytest.mark.parametrize("unit", ["blend", "gate"])
def test_the_migrated_build_does_the_same(tiny: Tiny, captured: Documents, unit: str) -> None:
    for library in (tiny.library(unit), tiny.migrated(unit)):
        found = tiny.check(unit, library)
        assert [d for d in found["diagnostics"] if d["severity"] == "error"] == [], library
        assert found["code"] == 0
        figures = found["figures"][unit]["cpu"]
        assert figures["cases"] == figures["equal"]
        assert figures["cases"] == captured[unit]["figures"]["kept"] + captured[unit]["figures"]["variations"] > 20


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_planted_defect_is_caught(tiny: Tiny, captured: Documents, tmp_path: Path, defect: str) -> None:
    unit, old, new, code, words = DEFECTS[defect]
    found = tiny.check(unit, tiny.build_planted(unit, tmp_path, old, new))
    assert found["code"] == 1
    assert [d["message"] for d in found["diagnostics"] if d["code"] == code and words in d["message"]], found


def test_a_comment_changes_nothing(tiny: Tiny, captured: Documents, tmp_path: Path) -> None:
    library = tiny.build_planted("gate", tmp_path, "float sum = 0;", "float sum = 0;  // of one row")
    assert tiny.check("gate", library)["code"] == 0


def test_without_a_compiler_python_calls_are_seen_and_it_is_said(tiny: Tiny, tmp_path: Path) -> None:
    ran = tiny.run(
        *("golden", "capture", "csrc/blend.cpp", "--json", "--vary", "0", "--golden", str(tmp_path / "golden")),
        *("--build-dir", str(tmp_path / "build"), "--", sys.executable, "exercise.py"),
        environment={"CXX": "false"},
    )
    assert '"patches of torch.ops, which miss calls from C++ and TorchScript' in ran.stdout
    assert '"calls": 7' in ran.stdout


def test_the_command_s_own_start_and_exit_code_stay(tiny: Tiny, tmp_path: Path) -> None:
    """A sitecustomize of the environment still runs, and a command that fails says so."""
    (tmp_path / "sitecustomize.py").write_text("print('started as ever')\n")
    script = "import torch, tiny; torch.ops.tiny.raise_all(torch.zeros(3), 1.0, 0); raise SystemExit(5)"
    ran = tiny.run(
        *("golden", "capture", "csrc/blend.cpp", "--vary", "0", "--golden", str(tmp_path / "golden")),
        *("--", sys.executable, "-c", script),
        environment={"PYTHONPATH": f"{tmp_path}:{Path(__file__).parents[3] / 'codemod'}:{tiny.legacy}"},
    )
    assert "started as ever" in ran.stdout
    assert "the command ended with 5" in ran.stderr
    assert "no call of tiny::blend was seen" in ran.stdout
    assert ran.returncode == 1


def test_lines_that_no_call_reaches_are_named(tiny: Tiny, captured: Documents, tmp_path: Path) -> None:
    """A build that counts its blocks is watched, the normal one is what outputs are recorded on."""
    counting = tmp_path / "tiny" / "_blend.so"
    source = tiny.legacy / "csrc/blend.cpp"
    compile_library(source, counting, "-fsanitize-coverage=trace-pc", "-g1", "-O1")
    script = (
        f"import torch; torch.ops.load_library({str(counting)!r}); x = torch.zeros(9)\n"
        "torch.ops.tiny.raise_all(x, 1.0, 0); torch.ops.tiny.raise_all(x[:4], 1.0, 9)"
    )
    options = ("--golden", str(tmp_path / "golden"), "--vary", "0")
    found = tiny.capture("blend", *options, "--legacy-library", str(tiny.library("blend")), program=("-c", script))
    figures = found["figures"]
    lines = source.read_text().splitlines()
    blend, below = (
        next(n for n, line in enumerate(lines, 1) if word in line) for word in ("at::Tensor blend", "// Adds")
    )
    assert 5 < figures["lines_reached"] < figures["lines"] < len(lines)
    missed = next(d for d in found["diagnostics"] if d["code"] == codes.NEVER_REACHED)
    first = missed["help"].splitlines()[0].partition(":")[2].partition("-")
    assert blend <= int(first[0]) <= int(first[2]) < below, missed
    assert found["code"] == 1
    refused = tiny.run(
        "golden",
        "capture",
        "csrc/blend.cpp",
        "--build-dir",
        str(tmp_path / "build"),
        "--",
        sys.executable,
        "-c",
        script,
    )
    assert refused.returncode == 2
    assert "name the normal one" in refused.stderr


def test_a_program_without_torch_is_refused(tiny: Tiny, tmp_path: Path) -> None:
    ran = tiny.run("golden", "capture", "csrc/blend.cpp", "--", sys.executable, "-c", "print('nothing')")
    assert ran.returncode == 3
    assert "the command imported no torch" in ran.stderr


def test_the_observer_leaves_torch_out_of_the_global_scope(tmp_path: Path) -> None:
    """What is there gives its symbols to every library that is loaded later."""
    program = f"""
import ctypes, sys, torch
from pathlib import Path
from torch_stabilize.templates import template_root
from torch_stabilize.verify.golden.capture.runtime.observer import build_observer
build_observer(torch, Path({str(tmp_path)!r}), template_root() / "capture/observer.cpp")
whole = ctypes.CDLL(None)
sys.exit(hasattr(whole, "aoti_torch_grad_mode_is_enabled") or not hasattr(whole, "__sanitizer_cov_trace_pc"))
"""
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
