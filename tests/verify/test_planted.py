"""Every kind of planted defect is caught by the step that is for it, by name; without defects nothing is said."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import pytest
from torch_stabilize.model import Severity
from torch_stabilize.repository.snapshot import open_snapshot
from torch_stabilize.source.document import Document
from torch_stabilize.verify import codes
from torch_stabilize.verify.golden.inventory import Operator
from torch_stabilize.verify.group import Request, verify_group
from torch_stabilize.verify.host_code import launches_step
from torch_stabilize.verify.operators import operators_step
from torch_stabilize.verify.result import Verification

from tests.conftest import commit_all

from .planted.device import DEVICE, LEGACY, POOL, STABLE, STREAMS
from .planted.host import HOST, cases_text, legacy_text, name_of, stable_text

HAS_NVCC = shutil.which("nvcc") is not None
HAS_AUDIT = importlib.util.find_spec("torch_abi_audit") is not None  # not for Python 3.10
COMPILED = {codes.DEVICE_CODE_DIFFERS, codes.KERNEL_LOST}  # seen in the PTX; the others in the source
# Which step is for which finding.
STEPS = {
    codes.SCHEMA_DIFFERS: "operators",
    codes.KEYS_DIFFER: "operators",
    codes.OPERATOR_LOST: "operators",
    codes.CALLS_DIFFER: "operators",
    codes.LEAKS: "operators",
    codes.SLOWER: "operators",
    codes.UNSTABLE_SYMBOL: "symbols",
    codes.DEVICE_CODE_DIFFERS: "device code",
    codes.KERNEL_LOST: "device code",
}
CMAKE = """\
cmake_minimum_required(VERSION 3.26)
project(planted LANGUAGES CXX CUDA)
find_package(Torch REQUIRED)
Python_add_library({name} MODULE USE_SABI 3.10 WITH_SOABI {folder}host.cpp {folder}host_kernels.cu)
target_link_libraries({name} PRIVATE ${{TORCH_LIBRARIES}})
"""
TARGET = "target_compile_definitions(_C_stable_libtorch PRIVATE TORCH_TARGET_VERSION=0x020b000000000000ULL USE_CUDA)\n"


@pytest.fixture(scope="session")
def verify_with(tmp_path_factory: pytest.TempPathFactory) -> Callable[[bool], Verification]:
    """The extension verified, without a defect or with all of them: none may hide another."""
    root = tmp_path_factory.mktemp("planted")

    def write(files: dict[str, str]) -> None:
        for name, text in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)

    write(
        {
            "CMakeLists.txt": CMAKE.format(name="_C", folder="csrc/"),
            "csrc/host.cpp": legacy_text(),
            "csrc/host_kernels.cu": LEGACY,
            "golden/host/cases.toml": cases_text(),
        }
    )
    commit_all(root, "legacy")
    for path in ("csrc/host.cpp", "csrc/host_kernels.cu"):
        (root / path).unlink()
    folder = "csrc/libtorch_stable/"
    write({"CMakeLists.txt": CMAKE.format(name="_C_stable_libtorch", folder=folder) + TARGET})

    @cache
    def verify(with_defects: bool) -> Verification:
        kernels = STABLE
        for old, new, code, _ in DEVICE.values():
            if with_defects and code in COMPILED:
                kernels = kernels.replace(old, new)
        chosen = frozenset(HOST) if with_defects else frozenset()
        write({f"{folder}host.cpp": stable_text(chosen), f"{folder}host_kernels.cu": kernels})
        request = Request(("host",), "2.11", golden=root / "golden")
        return verify_group(open_snapshot(root), request)

    return verify


@pytest.mark.compile
@pytest.mark.torch
@pytest.mark.xdist_group("verify-planted")
def test_without_a_defect_nothing_is_said(verify_with: Callable[[bool], Verification]) -> None:
    found = verify_with(False)
    assert [(one.code, one.message) for one in found.diagnostics if one.severity is not Severity.NOTE] == []
    assert found.passed, found.verdict.text


@pytest.mark.compile
@pytest.mark.torch
@pytest.mark.xdist_group("verify-planted")
@pytest.mark.parametrize("defect", HOST)
def test_a_defect_of_the_host_code_is_caught(verify_with: Callable[[bool], Verification], defect: str) -> None:
    code, words = HOST[defect].caught
    words = words.replace("{op}", name_of(list(HOST).index(defect)))
    if code == codes.UNSTABLE_SYMBOL and not HAS_AUDIT:
        pytest.skip("torch-abi-audit is not installed")
    step = next(one for one in verify_with(True).steps if one.name == STEPS.get(code, "golden outputs"))
    caught = [one.message for one in step.diagnostics if one.code == code]
    assert any(message.startswith(words) for message in caught), caught


@pytest.mark.compile
@pytest.mark.torch
@pytest.mark.xdist_group("verify-planted")
@pytest.mark.skipif(not HAS_NVCC, reason="nvcc is not installed")
@pytest.mark.parametrize("defect", [name for name, row in DEVICE.items() if row[2] in COMPILED])
def test_a_defect_of_a_kernel_is_caught(verify_with: Callable[[bool], Verification], defect: str) -> None:
    _, _, code, words = DEVICE[defect]
    step = next(one for one in verify_with(True).steps if one.name == STEPS[code])
    caught = [one.message for one in step.diagnostics if one.code == code and one.severity is Severity.ERROR]
    assert any(words in message for message in caught), caught


@pytest.mark.parametrize("defect", [name for name, row in DEVICE.items() if row[2] not in COMPILED])
def test_a_defect_of_a_launch_is_caught(defect: str) -> None:
    old, new, code, words = DEVICE[defect]
    assert STABLE.count(old) == 1
    step = launches_step([(Document("a.cu", LEGACY.encode()), Document("b.cu", STABLE.replace(old, new).encode()))])
    caught = [one.message for one in step.diagnostics if one.code == code and one.severity is Severity.ERROR]
    assert any(message.startswith(words) for message in caught), caught


@pytest.mark.parametrize("defect", STREAMS)
def test_a_defect_of_a_stream_is_caught(defect: str) -> None:
    old, new, code, words = STREAMS[defect]
    before, after = POOL
    assert after.count(old) == 1
    step = launches_step([(Document("a.cu", before.encode()), Document("b.cu", after.replace(old, new).encode()))])
    caught = [one.message for one in step.diagnostics if one.code == code and one.severity is Severity.ERROR]
    assert any(message.startswith(words) for message in caught), step.diagnostics


@pytest.mark.parametrize(("before", "after"), [(LEGACY, STABLE), POOL])
def test_without_a_defect_nothing_is_said_of_launches(before: str, after: str) -> None:
    step = launches_step([(Document("a.cu", before.encode()), Document("b.cu", after.encode()))])
    assert step.diagnostics == ()


OPERATOR = Operator("ns::f", "ns::f(Tensor x) -> Tensor", ("CPU",), ("needs_fixed_stride_order",), "pkg.fakes")


@pytest.mark.parametrize(
    ("after", "code", "words"),
    [
        (replace(OPERATOR, tags=()), codes.TAGS_DIFFER, "ns::f has the tags none, and had needs_fixed_stride_order"),
        (
            replace(OPERATOR, module=""),
            codes.MODULE_DIFFERS,
            "ns::f has its fakes in no Python module, and had them in",
        ),
    ],
)
def test_what_a_definition_promises_is_caught(after: Operator, code: str, words: str) -> None:
    assert operators_step([OPERATOR], [OPERATOR]).diagnostics == ()
    (found,) = operators_step([OPERATOR], [after]).diagnostics
    assert (found.code, found.severity) == (code, Severity.ERROR)
    assert found.message.startswith(words)


def test_at_least_forty_kinds() -> None:
    assert len(HOST) + len(DEVICE) + len(STREAMS) >= 55
