"""The `compile` step: what failed, each at its place, and what a machine lacks in one line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from torch_stabilize.verify import codes
from torch_stabilize.verify.compilation import compile_step
from torch_stabilize.verify.headers import comes_with_cuda
from torch_stabilize.verify.result import Status
from torch_stabilize.verify.side import LEGACY, BuiltSide, BuiltUnit, Side
from torch_stabilize.verify.toolchain import Toolchain, TorchInstall
from torch_stabilize.verify.verdict import Verdict, judge_steps

TOOLS = Toolchain("/bin/c++", "/bin/ninja", TorchInstall("2.13.0", Path("/t/include"), Path("/t/lib")), Path("/py"))
MISSING = """\
In file included from /t/include/c10/cuda/CUDAStream.h:3,
                 from {unit}:4:
/t/include/c10/cuda/CUDAFunctions.h:12:10: fatal error: {header}: No such file or directory
   12 | #include <{header}>
compilation terminated.
"""


def built(name: str, tree: Path, units: dict[str, str]) -> BuiltSide:
    """A side of whose units each failed with its log; none where the log is empty."""
    side = Side(name, tree, "_C", tuple(units), ())
    return BuiltSide(side, tuple(BuiltUnit(path, tree / "o", not log, log) for path, log in units.items()), None)


def sides(tree: Path, header: str) -> dict[str, BuiltSide]:
    units = {name: MISSING.format(unit=tree / name, header=header) for name in ("a.cpp", "b.cpp", "c.cpp")}
    return {name: built(name, tree, units) for name in ("legacy", "remainder")} | {"stable": built("stable", tree, {})}


def test_a_missing_toolkit_is_told_once(tmp_path: Path) -> None:
    step = compile_step(sides(tmp_path, "cuda_runtime_api.h"), (), TOOLS, ())
    assert step.status is Status.FAILED
    (found,) = step.diagnostics
    assert (found.code, found.path) == (codes.NO_CUDA_TOOLKIT, "a.cpp")
    assert found.message == (
        "takes cuda_runtime_api.h, which comes with CUDA and is not installed here, and so do 2 other sources"
    )


def test_another_missing_header_is_told_at_every_place(tmp_path: Path) -> None:
    step = compile_step(sides(tmp_path, "vendor/cuda.h"), (), TOOLS, ())
    assert [found.code for found in step.diagnostics] == [codes.LEGACY_DOES_NOT_COMPILE] * 3


def test_what_compiled_before_and_does_not_now_is_told(tmp_path: Path) -> None:
    broken = sides(tmp_path, "vendor/cuda.h")
    legacy = broken[LEGACY]
    fine = replace(legacy, units=tuple(replace(unit, compiled=True) for unit in legacy.units))
    step = compile_step({**broken, LEGACY: fine}, (), TOOLS, ())
    assert [found.code for found in step.diagnostics] == [codes.REMAINDER_DOES_NOT_COMPILE] * 3


def test_with_nvcc_a_header_of_the_toolkit_is_told_at_every_place(tmp_path: Path) -> None:
    tools = Toolchain(TOOLS.cxx, TOOLS.ninja, TOOLS.torch, TOOLS.python_include, nvcc="/bin/nvcc")
    step = compile_step(sides(tmp_path, "cublas_v2.h"), (), tools, ())
    assert codes.NO_CUDA_TOOLKIT not in {found.code for found in step.diagnostics}
    assert len(step.diagnostics) == 3  # once: what never compiled is not told again of the side after


@pytest.mark.parametrize(
    "header", ["cuda.h", "cublas_v2.h", "thrust/sort.h", "cuda/std/tuple", "c10/cuda/impl/cuda_cmake_macros.h"]
)
def test_headers_of_the_toolkit(header: str) -> None:
    assert comes_with_cuda(header)


@pytest.mark.parametrize("header", ["my/cuda.h", "cuda_utils.h", "cubs/a.h", "c10/cuda/CUDAStream.h"])
def test_headers_of_others(header: str) -> None:
    assert not comes_with_cuda(header)


def pairs(tree: Path, legacy: tuple[str, ...], stable: tuple[str, ...]) -> dict[str, BuiltSide]:
    """Two sides whose units all compiled."""
    found = {}
    for name, units in (("legacy", legacy), ("stable", stable)):
        side = Side(name, tree, f"_C_{name}", units, ())
        found[name] = BuiltSide(side, tuple(BuiltUnit(unit, tree / "o", True, "") for unit in units), None)
    return found


def test_a_moved_unit_that_a_side_does_not_build_leaves_the_group_unproven(tmp_path: Path) -> None:
    sides = pairs(tmp_path, ("a.cpp",), ("stable/a.cpp",))
    units = (("a.cpp", "stable/a.cpp"), ("b.cpp", "stable/b.cpp"))
    step = compile_step(sides, (), TOOLS, units)
    assert (step.status, step.undone) == (Status.OK, ("b.cpp, stable/b.cpp not compiled",))
    assert compile_step(sides, (), TOOLS, units[:1]).undone == ()


def test_a_cuda_unit_without_nvcc_is_named(tmp_path: Path) -> None:
    step = compile_step(pairs(tmp_path, (), ()), (), TOOLS, (("a.cu", "stable/a.cu"),))
    assert (step.undone, step.not_run) == ((), ("1 CUDA unit (no nvcc)",))
    with_nvcc = Toolchain(TOOLS.cxx, TOOLS.ninja, TOOLS.torch, TOOLS.python_include, nvcc="/bin/nvcc")
    step = compile_step(pairs(tmp_path, (), ()), (), with_nvcc, (("a.cu", "stable/a.cu"),))
    assert (step.undone, step.not_run) == (("a.cu, stable/a.cu not compiled",), ())


def test_a_legacy_library_that_does_not_link_is_told_apart(tmp_path: Path) -> None:
    sides = pairs(tmp_path, ("a.cpp",), ("a.cpp",))
    sides = {name: replace(side, link_log="ld: cannot find -lvendor") for name, side in sides.items()}
    step = compile_step(sides, (), TOOLS, ())
    assert [found.code for found in step.diagnostics] == [codes.LEGACY_DOES_NOT_LINK, codes.DOES_NOT_LINK]


def test_a_unit_that_stayed_and_compiles_on_neither_side_is_named_and_no_fault(tmp_path: Path) -> None:
    log = MISSING.format(unit=tmp_path / "left.cpp", header="made_by_the_build.h")
    after = built("remainder", tmp_path, {"left.cpp": log})
    earlier = built("legacy-before-_C", tmp_path, {"left.cpp": log})
    earlier = replace(earlier, side=replace(earlier.side, is_look_back=True))
    whole = pairs(tmp_path, ("a.cpp",), ("stable/a.cpp",))
    step = compile_step(
        {**whole, "remainder": after, "legacy-before-_C": earlier}, (), TOOLS, [("a.cpp", "stable/a.cpp")]
    )
    assert step.status is Status.OK
    assert step.not_run == ("left.cpp (legacy, compiled on neither side here)",)
    assert ["made_by_the_build.h" in found.message for found in step.diagnostics] == [True]
    step = compile_step({**whole, "remainder": after}, (), TOOLS, [("a.cpp", "stable/a.cpp")])
    assert step.status is Status.FAILED, "it compiled before"


def test_a_unit_that_fails_as_it_did_before_is_no_difference(tmp_path: Path) -> None:
    log = "{unit}:3:1: error: 'OFFSET' was not declared in this scope\n"
    more = "{unit}:4:1: error: 'at' has not been declared\n"

    def verdict(stable: str) -> Verdict:
        before = built("legacy", tmp_path, {"a.cpp": log.format(unit=tmp_path / "a.cpp")})
        after = built("stable", tmp_path, {"s/a.cpp": stable.format(unit=tmp_path / "s/a.cpp")})
        units = (("a.cpp", "s/a.cpp"),)
        return judge_steps([compile_step({"legacy": before, "stable": after}, (), TOOLS, units)])

    assert verdict(log).text == "not proven: s/a.cpp compiled on neither side, for the same reason"
    assert verdict(log + more).text.startswith("something differs")
