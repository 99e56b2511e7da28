"""`verify` on a small pair of extensions, compiled: it passes, and every kind of planted defect is caught by name."""

from __future__ import annotations

import importlib.util
import json
import resource
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from torch_stabilize.model import Refusal, Severity
from torch_stabilize.report.markup import markdown_cell
from torch_stabilize.verify import codes
from torch_stabilize.verify.result import Status, Verification

from tests.conftest import Run

from .conftest import PAIR, PairRepository, step

HOST = "csrc/libtorch_stable/scale.cpp"
CUDA = "csrc/libtorch_stable/scale_kernels.cu"
HAS_NVCC = shutil.which("nvcc") is not None
HAS_AUDIT = importlib.util.find_spec("torch_abi_audit") is not None  # not for Python 3.10

pytestmark = [pytest.mark.compile, pytest.mark.torch, pytest.mark.xdist_group("verify-pair")]
needs_nvcc = pytest.mark.skipif(not HAS_NVCC, reason="nvcc is not installed")

# defect -> file, what stands there, what is planted, the code that catches it, words of the message
DEFECTS = {
    "a dispatch widened to another dtype": (
        HOST,
        "      }));",
        "      })\n      THO_DISPATCH_CASE(torch::headeronly::ScalarType::Double, [&] {}));",
        codes.ERROR_DIFFERS,
        "scale-other-dtype[cpu-float64]: the stable library raises nothing",
    ),
    "arguments of a schema swapped": (
        HOST,
        'm.def("join(Tensor a, Tensor b, int times=1)',
        'm.def("join(Tensor b, Tensor a, int times=1)',
        codes.SCHEMA_DIFFERS,
        "scaling::join(Tensor b, Tensor a, int times=1)",
    ),
    "an input written to, its const cast away": (
        HOST,
        "to[i] = from[i] * static_cast<float>(factor);",
        "to[i] = const_cast<float*>(from)[i] *= static_cast<float>(factor);",
        codes.UNDECLARED_WRITE,
        "scale[cpu-float32-m=7-d=33]: writes to argument 1",
    ),
    "a result off by a rounding": (
        HOST,
        "a.const_data_ptr<float>()[i] + b.const_data_ptr<float>()[i] * times;",
        "(a.const_data_ptr<float>()[i] + b.const_data_ptr<float>()[i] * times) * 1.0000001f;",
        codes.OUTPUT_DIFFERS,
        "join[cpu-float32]: return 0 differs in",
    ),
    "an unstable function, declared by hand": (
        HOST,
        "using torch::stable::Tensor;",
        "namespace at { int get_num_threads(); }\nextern const int threads;\nconst int threads = at::get_num_threads();\n"
        "using torch::stable::Tensor;",
        codes.UNSTABLE_SYMBOL,
        "_C_stable_libtorch needs at::get_num_threads()",
    ),
    "a constant of a kernel changed": (
        CUDA,
        "out[i] = 1.5f;",
        "out[i] = 1.25f;",
        codes.DEVICE_CODE_DIFFERS,
        "the device code of clear_kernel(float*, long) differs",
    ),
    "a stream dropped": (
        CUDA,
        "<<<1, 128, 0, stream>>>",
        "<<<1, 128>>>",
        codes.STREAM_DROPPED,
        "clear_kernel: runs on the default stream instead of the current stream",
    ),
}


def processor_seconds() -> float:
    """Of this process and those it waited for: other work on the machine does not count."""
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


@pytest.fixture(scope="session")
def defective(pair: PairRepository, verified: Verification) -> Iterator[Verification]:
    """The pair with all defects that compile planted at once: none may hide another."""
    for path, old, new, _, _ in DEFECTS.values():
        pair.plant(path, old, new)
    yield pair.verify()
    pair.restore()


def test_nothing_but_the_abi_changed(verified: Verification) -> None:
    assert [item for item in verified.diagnostics if item.severity is Severity.ERROR] == []
    assert verified.passed
    statuses = {found.name: found.status for found in verified.steps}
    expected = dict.fromkeys(["compile", "symbols", "launches", "operators", "golden outputs"], Status.OK)
    skipped = {name: Status.SKIPPED for name, here in (("device code", HAS_NVCC), ("symbols", HAS_AUDIT)) if not here}
    assert statuses == {**expected, "device code": Status.OK, **skipped}


@pytest.mark.skipif(not HAS_AUDIT, reason="torch-abi-audit is not installed")
def test_symbols_are_counted_before_and_after(verified: Verification) -> None:
    figures = step(verified, "symbols").figures
    assert figures["stable"]["verdict"] == "STABLE"
    assert figures["stable"]["unstable"] == 0
    assert figures["stable"]["minimum_torch"] == "2.11.0"
    assert figures["legacy"]["verdict"] == "UNSTABLE"
    assert figures["legacy"]["unstable"] > 10


def test_the_json_says_what_the_table_says(verified: Verification) -> None:
    document = json.loads(verified.to_json())
    assert document["passed"] is True
    assert document["group"] == "scale"
    assert [found["name"] for found in document["steps"]] == [found.name for found in verified.steps]
    assert document["steps"][-1]["figures"] == {"scale": {"cpu": {"cases": 10, "equal": 10}}}


def test_what_stays_legacy_is_built_again(verified: Verification) -> None:
    assert step(verified, "compile").figures["remainder"] == {"units": 1, "compiled": 1, "linked": True}
    assert step(verified, "operators").figures == {"before": 3, "after": 3, "called": 2}
    figures = step(verified, "symbols").figures if HAS_AUDIT else {}
    assert not figures or figures["remainder"]["unstable"] < figures["legacy"]["unstable"]


@needs_nvcc
def test_every_kernel_is_compared(verified: Verification) -> None:
    figures = step(verified, "device code").figures
    assert figures == {CUDA: {"arch": "90a", "kernels": 2, "identical": 2, "differences": {}}}


def test_a_second_run_builds_nothing_and_says_the_same_in_every_form(
    pair: PairRepository, verified: Verification, run_cli: Run, tmp_path: Path
) -> None:
    objects = {path: path.stat().st_mtime_ns for path in pair.root.glob("build/**/*.o")}
    assert objects
    begun = processor_seconds()
    arguments = ["--target", "2.11", "--golden", str(PAIR / "golden"), "--report", str(tmp_path / "report.md")]
    ran = run_cli("verify", "scale", *arguments, cwd=pair.root)
    assert ran.code == 0
    told = [line.partition("] ")[2].partition(":")[0] for line in ran.err.splitlines() if line.startswith("[")]
    assert told == ["launches", "compile", "symbols", "device code", "operators", "golden outputs"]  # one line each
    assert processor_seconds() - begun < 40  # of which most goes into importing torch, twice
    assert {path: path.stat().st_mtime_ns for path in pair.root.glob("build/**/*.o")} == objects
    only_json = run_cli("verify", "scale", *arguments[:4], "--json", cwd=pair.root)
    document = json.loads(only_json.out)
    report = (tmp_path / "report.md").read_text()
    assert document["passed"]
    for found in document["steps"]:
        assert f"{found['name']:14}  {found['status']:7}  {found['summary']}\n" in ran.out
        assert f"| {found['name']} | {found['status']} | {markdown_cell(found['summary'])} |\n" in report
    verdict = document["verdict"]
    assert verdict["outcome"] == "proven"
    assert verdict["text"].startswith("proven on the CPU; not run: ")
    assert "CUDA code (no case for it)" in verdict["text"]
    assert ran.out.splitlines()[-1].startswith(f"{verdict['text']} (")
    assert f"Passed, {verdict['text']}, with torch " in report


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_planted_defect_is_caught_by_name(defective: Verification, defect: str) -> None:
    path, _, _, code, words = DEFECTS[defect]
    if path == CUDA and code != codes.STREAM_DROPPED and not HAS_NVCC:
        pytest.skip("nvcc is not installed")
    if code == codes.UNSTABLE_SYMBOL and not HAS_AUDIT:
        pytest.skip("torch-abi-audit is not installed")
    assert not defective.passed
    caught = [item.message for item in defective.diagnostics if item.code == code and item.severity is Severity.ERROR]
    assert any(words in message for message in caught), caught


def test_an_unstable_include_and_a_lost_helper_do_not_compile(
    pair: PairRepository, defective: Verification, run_cli: Run, tmp_path: Path
) -> None:
    pair.restore()
    pair.plant(HOST, "#include <tuple>", "#include <ATen/ATen.h>\n#include <tuple>")
    pair.plant("csrc/common.h", "#ifndef TORCH_TARGET_VERSION", "#ifdef TORCH_TARGET_VERSION")
    planted = (pair.root / HOST).read_text()
    arguments = ["--target", "2.11", "--golden", str(PAIR / "golden"), "--report", str(tmp_path / "report.json")]
    ran = run_cli("verify", "scale", *arguments, cwd=pair.root)
    pair.restore()
    assert ran.code == 1
    assert "\nsomething differs; not proven: " in ran.out
    steps = {
        found["name"]: found for found in json.loads((tmp_path / "report.json").read_text())["verification"]["steps"]
    }
    assert [steps[name]["status"] for name in ("compile", "golden outputs")] == ["failed", "skipped"]
    lost, error = (found for found in steps["compile"]["diagnostics"] if found["severity"] == "error")
    assert (lost["code"], lost["path"], lost["line"]) == (codes.REMAINDER_DOES_NOT_COMPILE, "csrc/shift.cpp", 6)
    assert "check_float" in lost["message"]
    line = next(n for n, text in enumerate(planted.splitlines(), 1) if "ATen/ATen.h" in text)
    assert (error["code"], error["path"], error["line"]) == (codes.STABLE_DOES_NOT_COMPILE, HOST, line)
    assert error["message"] == "ATen/ATen.h: No such file or directory [added since the migration]"
    assert f"  TSA801 error {HOST}:{line}: {error['message']}\n" in ran.out


def test_what_cannot_be_verified_is_refused(pair: PairRepository) -> None:
    with pytest.raises(Refusal, match="neither a folder nor a revision"):
        pair.verify(legacy="no-such-branch")
