"""Which header is compiled once for the units of a library, and that the objects are the same with it."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from torch_stabilize.verify import prefix
from torch_stabilize.verify.build import build
from torch_stabilize.verify.ninja_file import object_path, prefix_path
from torch_stabilize.verify.prefix import HEAVY, WORTH_IT, is_gcc, with_prefix
from torch_stabilize.verify.side import BuildOptions, Side
from torch_stabilize.verify.toolchain import Toolchain, TorchInstall

UNITS = tuple(f"u{number}.cpp" for number in range(WORTH_IT + 1))
COMPILER, NINJA = shutil.which("g++") or "", shutil.which("ninja") or ""


def tools(cxx: str = COMPILER, ninja: str = NINJA) -> Toolchain:
    return Toolchain(cxx, ninja, TorchInstall("2.13.0", Path("/t/include"), Path("/t/lib")), Path("/py"))


def chosen(side: Side, toolchain: Toolchain) -> tuple[str, frozenset[str]]:
    """All units but the last include all of torch; all of them include something small."""
    weights = {"torch/all.h": HEAVY, "ATen/ATen.h": HEAVY - 1, "c10/small.h": 3}
    made = with_prefix(
        side,
        lambda unit: ["c10/small.h", *([] if unit == UNITS[-1] else ["torch/all.h"])],
        weights.__getitem__,
        toolchain,
    )
    return made.prefix, made.prefixed


def test_what_enough_units_include_is_compiled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prefix, "is_gcc", lambda compiler: compiler == "g++")
    side = Side("legacy", Path("/tree"), "_C", (*UNITS, "k.cu"), ())
    assert chosen(side, tools("g++")) == ("torch/all.h", frozenset(UNITS[:-1]))
    nothing = ("", frozenset[str]())
    assert chosen(replace(side, units=UNITS[1:]), tools("g++")) == nothing
    assert chosen(replace(side, reused={UNITS[0]: Path("u.o")}), tools("g++")) == nothing
    assert chosen(side, tools("clang++")) == nothing
    assert chosen(side, replace(tools("g++"), launcher="ccache")) == nothing


@pytest.mark.compile
@pytest.mark.skipif(not (COMPILER and NINJA and is_gcc(COMPILER)), reason="needs GCC and ninja")
@pytest.mark.parametrize("usable", [True, False])
def test_the_objects_are_the_same(usable: bool, tmp_path: Path) -> None:
    (tmp_path / "big.h").write_text("#pragma once\n#include <map>\n#include <string>\n")
    unit = '#include "own.h"\n#include <big.h>\nint count(const std::map<std::string, int>& m) { return m.size(); }\n'
    (tmp_path / "a.cpp").write_text(unit)
    (tmp_path / "own.h").write_text("#pragma once\n")
    plain = Side("plain", tmp_path, "_C", ("a.cpp",), ("-isystem", str(tmp_path)))
    with_it = replace(plain, name="with", prefix="big.h" if usable else "absent.h", prefixed=frozenset({"a.cpp"}))
    folder = tmp_path / "build"
    build([plain, with_it], tools(), folder, BuildOptions())
    one, other = (object_path(folder, side, "a.cpp") for side in (plain, with_it))
    assert one.read_bytes() == other.read_bytes()
    assert [path.name for path in prefix_path(folder, with_it).parent.glob("*.gch")] == []
    assert "own.h" in Path(f"{other}.d").read_text()
    assert "prefix" not in Path(f"{other}.d").read_text()
