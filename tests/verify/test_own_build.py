"""The project's own build runs in a copy, its compiler calls are recorded; finished libraries and wheels are taken."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import pytest
from torch_stabilize.model import Refusal
from torch_stabilize.repository.snapshot import Snapshot
from torch_stabilize.verify.announced import Announced
from torch_stabilize.verify.finished import Finished, given_libraries, with_libraries
from torch_stabilize.verify.loaded import loaded_steps
from torch_stabilize.verify.own_build import build_by_project
from torch_stabilize.verify.side import LEGACY, REMAINDER, STABLE, BuiltSide, Side, sides_of

MAKE = """\
mkdir -p gen/include && echo '#define MADE 1' > gen/include/made.h
c++ -DLOUD -D HEIGHT=3 -I. -Igen/include -shared -fPIC csrc/amp.cpp -o amp.so
"""


def tree(root: Path, **files: str) -> Snapshot:
    texts = {"make.sh": MAKE, "csrc/amp.cpp": '#include "made.h"\nint amp() { return MADE + HEIGHT; }\n', **files}
    for name, text in texts.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return Snapshot(root, tuple(sorted(texts)))


@pytest.mark.skipif(shutil.which("c++") is None, reason="no C++ compiler")
def test_the_calls_of_the_compiler_and_the_libraries_are_found(tmp_path: Path) -> None:
    snapshot = tree(tmp_path / "project")
    made = build_by_project("sh make.sh", snapshot, "", {"amp"}, tmp_path / "own")
    assert made.fault == ""
    assert [path.name for path in made.libraries] == ["amp.so"]
    folder = tmp_path / "own/tree"
    assert made.flags == {"csrc/amp.cpp": ("-DLOUD", "-DHEIGHT=3", "-isystem", str(folder / "gen/include"))}
    assert not (tmp_path / "project/amp.so").exists()  # the project itself is left alone


def test_a_second_build_copies_what_changed_alone(tmp_path: Path) -> None:
    snapshot = tree(tmp_path / "project", old="1")
    build_by_project("true", snapshot, "", (), tmp_path / "own")
    copied = tmp_path / "own/tree/csrc/amp.cpp"
    before = copied.stat().st_mtime_ns
    (tmp_path / "own/tree/made.o").touch()
    build_by_project("true", Snapshot(snapshot.root, ("csrc/amp.cpp", "make.sh")), "", (), tmp_path / "own")
    assert copied.stat().st_mtime_ns == before
    assert not (tmp_path / "own/tree/old").exists()
    assert (tmp_path / "own/tree/made.o").exists()


@pytest.mark.parametrize(
    ("command", "fault"),
    [("echo no such thing >&2; exit 3", "ends with 3: no such thing"), ("true", "`true` builds no amp")],
)
def test_a_build_that_fails_says_why(command: str, fault: str, tmp_path: Path) -> None:
    made = build_by_project(command, tree(tmp_path / "project"), "", {"amp"}, tmp_path / "own")
    assert fault in made.fault


def wheel(path: Path, *names: str) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, name)
    return path


def test_libraries_are_taken_out_of_wheels(tmp_path: Path) -> None:
    path = wheel(tmp_path / "pkg-1.whl", "pkg/_C.abi3.so", "pkg/_other.so", "pkg/__init__.py")
    (found,) = given_libraries([path], {"_C"}, tmp_path / "out")
    assert found.read_text() == "pkg/_C.abi3.so"
    with pytest.raises(Refusal, match="has no library called _D"):
        given_libraries([path], {"_D"}, tmp_path / "out")
    (tmp_path / "no.whl").write_text("no")
    with pytest.raises(Refusal, match="cannot read"):
        given_libraries([tmp_path / "no.whl"], {"_C"}, tmp_path / "out")


def test_finished_libraries_take_the_place_of_those_built(tmp_path: Path) -> None:
    built = {name: BuiltSide(Side(name, tmp_path, "_C", (), ()), (), None, "log") for name in (LEGACY, STABLE)}
    given = Finished((Path("/a/_C.so"),), (Path("/b/_C.so"), Path("/b/_C_stable.abi3.so")), "given")
    found = with_libraries(built, given, "_C_stable")
    libraries = {role: [s.library for s in sides_of(found.values(), role)] for role in (LEGACY, REMAINDER, STABLE)}
    assert libraries == {
        LEGACY: [None, Path("/a/_C.so")],
        REMAINDER: [Path("/b/_C.so")],
        STABLE: [None, Path("/b/_C_stable.abi3.so")],
    }
    with pytest.raises(Refusal, match="the stable library is called _D; given are _C, _C_stable"):
        with_libraries(built, given, "_D")


def test_a_build_that_makes_no_library_is_what_leaves_the_group_unproven(tmp_path: Path) -> None:
    built = {name: BuiltSide(Side(name, tmp_path, "_C", (), ()), (), None) for name in (LEGACY, STABLE)}
    found = with_libraries(built, Finished((), (), "built by `true`", ("before: `true` builds no _C",)), "_C_stable")
    steps = list(loaded_steps(found, (), Announced(("ext::f",))))
    assert [step.undone for step in steps] == [("_C could not be built",)] * 2
