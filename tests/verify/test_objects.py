"""Objects of earlier verifications: found again for the same text and flags, and for nothing else. Nothing is compiled."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from torch_stabilize.repository.includes import IncludeGraph
from torch_stabilize.repository.snapshot import Snapshot
from torch_stabilize.verify.objects import ObjectStore
from torch_stabilize.verify.side import BuildOptions, BuiltSide, BuiltUnit, Side
from torch_stabilize.verify.toolchain import Toolchain, TorchInstall

FILES = {"a.cpp": '#include "a.h"\n', "a.h": "int f();\n", "b.cpp": "int g();\n"}
NAMES = tuple(sorted(FILES))


class Workshop:
    """A tree with an object of a.cpp that a build made."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.header = root / "torch/all.h"
        for path, text in ((self.header, "//\n"), (root / "c++", "#!/bin/sh\n")):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        torch = TorchInstall("2.13.0", root / "torch", root / "lib")
        self.tools = Toolchain(str(root / "c++"), "ninja", torch, root / "python")
        self.side = self.lay_out("first")

    def lay_out(self, name: str, **changed: str) -> Side:
        """A tree of its own with FILES, some of them changed, as the legacy side."""
        tree = self.root / name
        tree.mkdir()
        for path, text in {**FILES, **{f"{stem}.h": text for stem, text in changed.items()}}.items():
            (tree / path).write_text(text)
        return Side("legacy", tree, "_C", ("a.cpp", "b.cpp"), (f"-I{tree}", "-DX"))

    def store(self, side: Side) -> ObjectStore:
        graph = IncludeGraph(Snapshot(side.tree, NAMES), NAMES, ("",))
        return ObjectStore(self.root / "objects", {"legacy": graph}, self.tools, BuildOptions())

    def build_and_keep(self) -> None:
        built = self.root / "a.cpp.o"
        built.write_text("object")
        Path(f"{built}.log").write_text("said")
        Path(f"{built}.d").write_text(f"a.cpp.o: {self.side.tree}/a.cpp \\\n {self.side.tree}/a.h {self.header}\n")
        unit = BuiltUnit("a.cpp", built, True, "said")
        other = BuiltUnit("b.cpp", self.root / "b.cpp.o", False, "error")
        self.store(self.side).keep([BuiltSide(self.side, (unit, other), None)])

    def reused(self, side: Side) -> dict[str, str]:
        """What the side need not build, as the content of the objects."""
        (found,) = self.store(side).reuse([side], self.root / "build")
        return {unit: path.read_text() for unit, path in found.reused.items()}


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    made = Workshop(tmp_path)
    made.build_and_keep()
    return made


def test_the_same_text_in_another_tree_is_not_built_again(workshop: Workshop) -> None:
    assert workshop.reused(workshop.side) == {"a.cpp": "object"}
    assert workshop.reused(workshop.lay_out("second")) == {"a.cpp": "object"}


def test_the_log_of_the_compiler_stays_beside_the_object(workshop: Workshop) -> None:
    (found,) = workshop.store(workshop.side).reuse([workshop.side], workshop.root / "build")
    assert Path(f"{found.reused['a.cpp']}.log").read_text() == "said"


def test_another_header_of_the_project_is_another_object(workshop: Workshop) -> None:
    assert workshop.reused(workshop.lay_out("second", a="int f(int);\n")) == {}


def test_other_flags_make_another_object(workshop: Workshop) -> None:
    assert workshop.reused(replace(workshop.side, flags=("-DY",))) == {}


def test_a_header_from_elsewhere_that_changed_makes_another_object(workshop: Workshop) -> None:
    workshop.header.write_text("// another torch\n")
    assert workshop.reused(workshop.side) == {}
    workshop.header.unlink()
    assert workshop.reused(workshop.side) == {}


def test_another_compiler_makes_another_object(workshop: Workshop) -> None:
    compiler = workshop.root / "c++"
    compiler.unlink()
    compiler.write_text("#!/bin/sh\n# newer\n")
    os.utime(compiler, (1, 1))
    assert workshop.reused(workshop.side) == {}


def test_units_for_a_compiler_that_is_missing_are_not_asked_for(workshop: Workshop) -> None:
    side = replace(workshop.side, units=("a.cpp", "b.cu"))
    assert workshop.tools.nvcc is None
    assert workshop.reused(side) == {"a.cpp": "object"}
