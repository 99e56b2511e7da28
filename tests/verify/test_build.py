"""The generated ninja file, without building anything."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

from torch_stabilize.verify.ninja_file import ninja_file
from torch_stabilize.verify.side import BuildOptions, Side
from torch_stabilize.verify.sides import HeaderOptions, Library, legacy_side
from torch_stabilize.verify.toolchain import Toolchain, TorchInstall

FOLDER = Path("/build dir")
TOOLS = Toolchain(
    "/bin/c++", "/bin/ninja", TorchInstall("2.13.0", Path("/t/include"), Path("/t/lib")), Path("/py"), "/bin/nvcc"
)
SIDE = Side("legacy", Path("/tree"), "_C", ("csrc/a.cpp", "csrc/b.cu"), ("-DX=1 2",), ("-DUSE_CUDA",), ("-ltorch",))


def text_of(side: Side, tools: Toolchain = TOOLS) -> str:
    return ninja_file([side], tools, FOLDER, BuildOptions())


def test_host_units_are_linked_and_cuda_units_are_for_the_audit() -> None:
    text = text_of(SIDE)
    assert "build /build$ dir/legacy/csrc/a.cpp.o: host /tree/csrc/a.cpp\n  flags = '-DX=1 2'\n" in text
    assert "build /build$ dir/legacy/csrc/b.cu.o: cuda_ptx /tree/csrc/b.cu\n  flags = -DUSE_CUDA\n" in text
    assert "build /build$ dir/legacy/_C.abi3.so: link /build$ dir/legacy/csrc/a.cpp.o\n" in text
    both = "/build$ dir/legacy/csrc/a.cpp.o /build$ dir/legacy/csrc/b.cu.o"
    assert f"build /build$ dir/legacy/audit/_C.abi3.so: link {both}\n" in text


def test_without_nvcc_cuda_units_are_left_out() -> None:
    text = text_of(SIDE, replace(TOOLS, nvcc=None))
    assert "b.cu" not in text
    assert "rule cuda" not in text


def test_a_cuda_build_of_torch_without_nvcc_builds_for_the_cpu() -> None:
    torch = Mock(spec=TorchInstall, has_cuda=True, libraries=Path("/t/lib"), include=Path("/t/include"))
    tools = replace(TOOLS, torch=torch, nvcc=None)
    library = Library("_C", ("a.cpp", "b.cu", "gpu.cpp"), gpu=frozenset({"gpu.cpp"}))
    side, notes = legacy_side("legacy", Path("/tree"), library, tools, FOLDER, HeaderOptions())
    text = text_of(side, tools)
    assert notes == ()
    assert "link /build$ dir/legacy/a.cpp.o\n" in text
    assert not [word for word in ("b.cu", "gpu.cpp", "USE_CUDA", "torch_cuda", "nvcc") if word in text]
    with_nvcc = replace(tools, nvcc="/bin/nvcc")
    side, _ = legacy_side("legacy", Path("/tree"), library, with_nvcc, FOLDER, HeaderOptions())
    assert [word for word in ("b.cu", "gpu.cpp", "USE_CUDA", "torch_cuda") if word in text_of(side, with_nvcc)]


def test_a_launcher_stands_before_the_compiler() -> None:
    assert "command = /bin/ccache /bin/c++ " in text_of(SIDE, replace(TOOLS, launcher="/bin/ccache"))


def test_an_object_of_another_side_is_linked_and_not_built() -> None:
    text = text_of(replace(SIDE, reused={"csrc/a.cpp": Path("/other/a.o")}))
    assert "build /build$ dir/legacy/_C.abi3.so: link /other/a.o\n" in text
    assert "host /tree/csrc/a.cpp" not in text


def test_units_nobody_compares_go_through_the_front_ends_alone() -> None:
    text = text_of(replace(SIDE, host_only=frozenset({"csrc/b.cu"})))
    assert "legacy/csrc/b.cu.o: cuda_front " in text
    assert "audit" not in text, "there is no object to look at symbols in"
    host = replace(SIDE, host_only=frozenset({"csrc/a.cpp"}))
    assert "legacy/csrc/a.cpp.o: host " in text_of(host), "it is linked"
    assert "legacy/csrc/a.cpp.o: host_front " in text_of(replace(host, is_loaded=False))


def test_host_code_that_nothing_links_is_left_out_where_device_code_is_compared() -> None:
    side = replace(SIDE, device_only=frozenset({"csrc/b.cu"}))
    assert "legacy/csrc/b.cu.o: cuda_device " in text_of(side)
    assert "audit" not in text_of(side)
    torch = Mock(spec=TorchInstall, has_cuda=True, version="2.11")
    assert "legacy/csrc/b.cu.o: cuda " in text_of(side, replace(TOOLS, torch=torch)), "it is linked"


def test_ptxas_is_not_run_for_what_nothing_loads() -> None:
    text = text_of(SIDE)
    assert "legacy/csrc/b.cu.o: cuda_ptx " in text
    rule = text[text.index("rule cuda_ptx\n") :].partition("\nrule ")[0]
    assert "code=compute_$arch" in rule
    assert "ptxas" not in rule


def test_a_shared_header_is_compiled_first_and_once() -> None:
    text = text_of(replace(SIDE, units=("a.cpp", "b.cpp"), prefix="torch/types.h", prefixed=frozenset({"a.cpp"})))
    header = "/build$ dir/legacy/prefix/torch_stabilize_prefix.h"
    assert f"build {header}.gch: precompiled {header}\n" in text
    assert f"build /build$ dir/legacy/a.cpp.o: host_prefixed /tree/a.cpp || {header}.gch\n" in text
    assert "  header = -isystem '/build dir/legacy/prefix' -include torch_stabilize_prefix.h\n" in text
    assert "build /build$ dir/legacy/b.cpp.o: host /tree/b.cpp\n" in text


def test_the_same_sides_give_the_same_file() -> None:
    assert text_of(SIDE) == text_of(SIDE)


def test_a_cuda_unit_is_compiled_for_its_chip_unless_one_is_named_for_all() -> None:
    newer = replace(SIDE, archs={"csrc/b.cu": "100a"})
    assert "\n  arch = 90a\n" in text_of(SIDE)
    assert "\n  arch = 100a\n" in text_of(newer)
    assert "\n  arch = 120a\n" in ninja_file([newer], TOOLS, FOLDER, BuildOptions(cuda_arch="120a"))
