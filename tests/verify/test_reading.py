"""Legacy units that share a header which a migration edits: which of them read the same, and which do not."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from torch_stabilize.repository.includes import IncludeGraph
from torch_stabilize.repository.snapshot import Snapshot
from torch_stabilize.verify.reading import Reader, Readings

COMPILER = shutil.which("c++") or shutil.which("g++") or ""

pytestmark = pytest.mark.skipif(not COMPILER, reason="no C++ compiler")

UNIT = '#include <torch/all.h>\n#include "check.h"\nvoid f(int a) { CHECK_POSITIVE(a); }\n'
HEADER = """#pragma once
#include <c10/util/Exception.h>
#define CHECK_POSITIVE(x) TORCH_CHECK((x) > 0, #x " must be positive")
"""
TORCH = {"torch/all.h": "#include <c10/util/Exception.h>\n", "c10/util/Exception.h": ""}


def same(tmp_path: Path, header: str, unit: str = UNIT, *, before: str = HEADER, **more: str) -> bool:
    """Whether the unit reads the same with `header` instead of `before` and further headers."""
    for name, text in TORCH.items():
        place = tmp_path / "torch_include" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    readers = []
    for side, files in (
        ("before", {"a.cpp": unit if before != HEADER else UNIT, "check.h": before}),
        ("after", {"a.cpp": unit, "check.h": header, **{f"{name}.h": text for name, text in more.items()}}),
    ):
        root = tmp_path / side
        root.mkdir()
        for name, text in files.items():
            (root / name).write_text(text)
        names = tuple(sorted(files))
        graph = IncludeGraph(Snapshot(root, names), names, ("",))
        readers.append(Reader(graph, COMPILER, tmp_path / "copies" / side, (), ()))
    return Readings(readers[0], readers[1], (tmp_path / "torch_include",)).same("a.cpp")


def test_another_layout_reads_the_same(tmp_path: Path) -> None:
    reflowed = HEADER.replace("TORCH_CHECK((x) > 0, ", "\\\n  TORCH_CHECK((x) > 0,   ").replace(
        "#define", "// why\n#define"
    )
    assert same(tmp_path, reflowed)


def test_the_branch_of_the_stable_build_is_not_read(tmp_path: Path) -> None:
    header = HEADER.replace(
        "#include <c10/util/Exception.h>",
        "#ifdef TORCH_TARGET_VERSION\n#include <torch/headeronly/util/Exception.h>\n#else\n#include <c10/util/Exception.h>\n#endif",
    )
    assert same(tmp_path, header)


def test_a_macro_that_stands_for_the_old_one_reads_the_same(tmp_path: Path) -> None:
    header = HEADER.replace("TORCH_CHECK", "OUR_CHECK").replace("<c10/util/Exception.h>", '"ours.h"')
    assert same(tmp_path, header, ours="#pragma once\n#include <torch/all.h>\n#define OUR_CHECK TORCH_CHECK\n")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("(x) > 0", "(x) >= 0"),
        ("must be positive", "must be  positive"),
        ("TORCH_CHECK", "STD_TORCH_CHECK"),
    ],
)
def test_another_check_does_not(tmp_path: Path, old: str, new: str) -> None:
    assert not same(tmp_path, HEADER.replace(old, new))


def test_a_lost_include_does_not(tmp_path: Path) -> None:
    assert not same(tmp_path, HEADER, UNIT.replace("#include <torch/all.h>\n", ""))


def test_an_include_that_another_one_brings_may_go(tmp_path: Path) -> None:
    assert same(tmp_path, HEADER.replace("#include <c10/util/Exception.h>\n", ""))


DECLARED = """
namespace ops {
void scale(at::Tensor& out, const std::optional<at::Tensor>& bias, double factor = 1.0);
int64_t size();
}
"""


def test_a_declaration_that_nobody_uses_may_go(tmp_path: Path) -> None:
    assert same(tmp_path, HEADER + "namespace ops {\n}\n", before=HEADER + DECLARED)


@pytest.mark.parametrize(
    ("declared", "unit"),
    [
        (DECLARED, UNIT.replace("CHECK_POSITIVE(a)", "CHECK_POSITIVE(ops::size())")),  # it is used
        ("static Registrar registrar(factory);\n", UNIT),  # a variable, whose constructor runs
        ("template void scale(double factor);\n", UNIT),  # an instantiation, which is code
        ("void scale(double factor) { }\n", UNIT),  # a definition
        ("using scale_type = double(double factor);\n", UNIT),
    ],
)
def test_what_else_goes_counts(tmp_path: Path, declared: str, unit: str) -> None:
    assert not same(tmp_path, HEADER, unit, before=HEADER + declared)


def test_a_change_under_a_condition_of_the_build_is_seen(tmp_path: Path) -> None:
    under = "#if TORCH_VERSION_MINOR >= 20\nint fresh();\n#endif\n"
    assert not same(tmp_path, HEADER + under)


def test_what_the_preprocessor_cannot_read_is_not_the_same(tmp_path: Path) -> None:
    assert not same(tmp_path, HEADER + "#error no\n")
