"""Libraries and lists that CMake loops and functions make under composed names."""

from __future__ import annotations

import pytest
from torch_stabilize.buildfiles.cmake.entries import read_cmake_entries
from torch_stabilize.buildfiles.model import EntryKind, GapKind, Origin
from torch_stabilize.config import Config
from torch_stabilize.layout.read import Program
from torch_stabilize.repository.snapshot import Snapshot

from tests.repository.program import trees
from tests.repository.program.planning import migrated, tree_of

_HEAD = "cmake_minimum_required(VERSION 3.26)\nproject(img LANGUAGES CXX)\nfind_package(Torch REQUIRED)\n"
_OTHERS = "csrc/bindings.cpp csrc/sharpen.cpp csrc/rows.cpp csrc/shared.cpp"
_IMPORTS = "from . import {}  # noqa: F401\n"
_UNITS = frozenset(("csrc/blur.cpp", *_OTHERS.split()))

# name: the text, the libraries that it makes
LOOPS = {
    "names": (
        f"""
foreach(ISA IN ITEMS base wide)
  Python_add_library(_C_${{ISA}} MODULE USE_SABI 3 csrc/blur.cpp {_OTHERS})
  target_compile_definitions(_C_${{ISA}} PRIVATE IMG_${{ISA}})
endforeach()
""",
        ("_C_base", "_C_wide"),
    ),
    "a list of names": (
        f"""
set(KERNELS csrc/blur.cpp {_OTHERS})
set(VARIANTS _C _C_wide)
foreach(LIB ${{VARIANTS}})
  Python_add_library(${{LIB}} MODULE USE_SABI 3 ${{KERNELS}})
endforeach()
""",
        ("_C", "_C_wide"),
    ),
    "numbers": (
        f"""
foreach(I RANGE 1 2)
  Python_add_library(_C${{I}} MODULE csrc/blur.cpp {_OTHERS})
endforeach()
""",
        ("_C1", "_C2"),
    ),
    "names and lists in variables": (
        f"""
foreach(ISA base wide)
  set(LIB _C_${{ISA}})
  set(SRC_${{ISA}} csrc/blur.cpp)
  list(APPEND SRC_${{ISA}} {_OTHERS})
  Python_add_library(${{LIB}} MODULE ${{SRC_${{ISA}}}})
endforeach()
""",
        ("_C_base", "_C_wide"),
    ),
    "a loop in a loop": (
        """
set(COMMON csrc/bindings.cpp csrc/rows.cpp csrc/shared.cpp)
foreach(ISA base wide)
  foreach(KERNEL blur sharpen)
    list(APPEND SRC_${ISA} csrc/${KERNEL}.cpp)
  endforeach()
  Python_add_library(_C_${ISA} MODULE ${COMMON} ${SRC_${ISA}})
endforeach()
""",
        ("_C_base", "_C_wide"),
    ),
    "a macro": (
        f"""
macro(add_isa ISA)
  Python_add_library(_C_${{ISA}} MODULE csrc/blur.cpp ${{ARGN}})
endmacro()
add_isa(base {_OTHERS})
add_isa(wide {_OTHERS})
""",
        ("_C_base", "_C_wide"),
    ),
    "sources": (
        """
foreach(KERNEL blur sharpen)
  list(APPEND SRC csrc/${KERNEL}.cpp)
endforeach()
Python_add_library(_C MODULE USE_SABI 3 ${SRC} csrc/bindings.cpp csrc/rows.cpp csrc/shared.cpp)
""",
        ("_C",),
    ),
    "target_sources": (
        """
add_library(_C MODULE)
foreach(KERNEL blur sharpen bindings rows shared)
  target_sources(_C PRIVATE csrc/${KERNEL}.cpp)
endforeach()
""",
        ("_C",),
    ),
}


def _files(text: str, imports: tuple[str, ...] = ("_C",)) -> dict[str, str]:
    python = "".join(map(_IMPORTS.format, imports))
    return {**trees._SOURCES, "img/__init__.py": python, "CMakeLists.txt": _HEAD + text}


def _libraries(snapshot: Snapshot) -> dict[str, frozenset[str]]:
    return {library.name: library.units for library in Program(snapshot, Config()).libraries}


@pytest.mark.parametrize("form", LOOPS)
def test_what_they_make_is_read(form: str) -> None:
    text, names = LOOPS[form]
    tree = tree_of(_files(text))
    assert _libraries(tree) == dict.fromkeys(names, _UNITS)
    for entry in read_cmake_entries(tree, ["CMakeLists.txt"])[0]:
        data = tree.read("CMakeLists.txt")
        assert data[entry.span.start : entry.span.end].strip(), "a place of the file as it is"
        assert any(source.origin is Origin.LOOP for source in entry.sources) is (form != "a list of names")


@pytest.mark.parametrize("form", LOOPS)
def test_one_source_moves_in_each_of_them_then_another(form: str) -> None:
    text, names = LOOPS[form]
    done = migrated(_files(text, names), ["csrc/blur.cpp"], ["csrc/sharpen.cpp"])
    assert not done.by_hand
    assert {one.path for one in done.said if one.code == "TSA612"} == {"CMakeLists.txt"}
    found = _libraries(done.snapshot)
    for name in names:
        moved = {f"csrc/libtorch_stable/{one}.cpp" for one in ("blur", "sharpen", "torch_bindings")}
        assert moved <= found[f"{name}_stable_libtorch"]
        assert not {"csrc/blur.cpp", "csrc/sharpen.cpp"} & found[name]
        assert {"csrc/bindings.cpp", "csrc/rows.cpp"} <= found[name]
    again = migrated({path: done.text(path) for path in done.snapshot.files}, ["csrc/libtorch_stable/blur.cpp"])
    assert all(plan.is_empty for plan in again.plans)


def test_conditions_of_names_and_those_that_a_name_decides() -> None:
    text = f"""
set(VARIANTS _C)
if(HAS_WIDE)
  list(APPEND VARIANTS _C_wide)
endif()
foreach(LIB IN LISTS VARIANTS)
  Python_add_library(${{LIB}} MODULE USE_SABI 3 csrc/blur.cpp {_OTHERS})
  if(LIB STREQUAL "_C_wide")
    target_compile_options(${{LIB}} PRIVATE -mwide)
  else()
    target_compile_options(${{LIB}} PRIVATE -O2)
  endif()
endforeach()
"""
    done = migrated(_files(text, ("_C", "_C_wide")), ["csrc/blur.cpp"])
    assert not done.by_hand
    entries = {one.name: one for one in read_cmake_entries(done.snapshot, ["CMakeLists.txt"])[0]}
    assert entries["_C"].when == entries["_C_stable_libtorch"].when == ()
    assert entries["_C_wide"].when == entries["_C_wide_stable_libtorch"].when == ("HAS_WIDE",)
    options = [line.strip() for line in done.text("CMakeLists.txt").splitlines() if "compile_options" in line]
    assert options == [
        "target_compile_options(_C PRIVATE -O2)",
        "target_compile_options(_C_stable_libtorch PRIVATE -O2)",
        "target_compile_options(_C_wide PRIVATE -mwide)",
        "target_compile_options(_C_wide_stable_libtorch PRIVATE -mwide)",
    ]


UNKNOWN = {
    "a list that nothing sets": f"foreach(I ${{ISAS}})\n  Python_add_library(_C_${{I}} MODULE csrc/blur.cpp {_OTHERS})\n"
    "endforeach()\n",
    "a loop that is left": f"foreach(I base wide)\n  Python_add_library(_C_${{I}} MODULE csrc/blur.cpp {_OTHERS})\n"
    "  if(ONE)\n    break()\n  endif()\nendforeach()\n",
    "a condition on the variable": f"foreach(I base wide)\n  if(DEFINED I)\n"
    f"    Python_add_library(_C_${{I}} MODULE csrc/blur.cpp {_OTHERS})\n  endif()\nendforeach()\n",
    "arguments by keyword": "function(isa NAME)\n  cmake_parse_arguments(A \"\" \"\" SRCS ${ARGN})\n"
    f"  Python_add_library(_C_${{NAME}} MODULE ${{A_SRCS}})\nendfunction()\nisa(base SRCS csrc/blur.cpp {_OTHERS})\n",
}  # fmt: skip


@pytest.mark.parametrize("form", UNKNOWN)
def test_what_cannot_be_told_is_a_gap_with_a_place(form: str) -> None:
    text = UNKNOWN[form]
    done = migrated(_files(text), ["csrc/blur.cpp"])
    entry = next(one for one in read_cmake_entries(tree_of(_files(text)), ["CMakeLists.txt"])[0] if not one.name)
    assert [gap.kind for gap in entry.gaps] == [GapKind.SOURCES]
    told = [one for one in done.said if one.code == "TSA607"]
    assert [one.span for one in told] == [entry.gaps[0].span]


def test_loops_that_no_library_changes_by_stay() -> None:
    text = f"""
set(KERNELS csrc/blur.cpp {_OTHERS})
foreach(FILE ${{KERNELS}})
  set_source_files_properties(${{FILE}} PROPERTIES COMPILE_OPTIONS -O3)
endforeach()
foreach(NAME one two)
  add_library(part_${{NAME}} STATIC parts/${{NAME}}.cpp)
endforeach()
Python_add_library(_C MODULE USE_SABI 3 ${{KERNELS}})
"""
    done = migrated(_files(text), ["csrc/blur.cpp"])
    assert not done.by_hand
    assert done.text("CMakeLists.txt").count("foreach(") == 4
    assert not [one for one in done.said if one.code == "TSA612"]


_LISTS = {
    "an item": (
        "file(GLOB SRC csrc/*.cpp)\nlist(REMOVE_ITEM SRC ${CMAKE_CURRENT_SOURCE_DIR}/csrc/blur.cpp)\n"
        "if(WITH_BLUR)\n  list(APPEND SRC csrc/blur.cpp)\nendif()\n",
        [("WITH_BLUR",)],
    ),
    "an item under a condition": (
        f"set(SRC csrc/blur.cpp {_OTHERS})\nif(NO_BLUR)\n  list(REMOVE_ITEM SRC csrc/blur.cpp)\nendif()\n",
        [("NOT ( NO_BLUR )",)],
    ),
    "a pattern under a condition": (
        'file(GLOB SRC csrc/*.cpp)\nif(NOT WITH_BLUR)\n  list(FILTER SRC EXCLUDE REGEX "/blur\\\\.cpp$")\nendif()\n',
        [("WITH_BLUR",)],
    ),
    "all but a pattern": (
        'file(GLOB ALL csrc/*)\nset(SRC ${ALL})\nlist(FILTER SRC INCLUDE REGEX "\\\\.cpp$")\n',
        [()],
    ),
    "a relative name, which a pattern does not find": (
        "file(GLOB SRC csrc/*.cpp)\nlist(REMOVE_ITEM SRC csrc/blur.cpp)\n",
        [()],
    ),
}  # fmt: skip


@pytest.mark.parametrize("form", _LISTS)
def test_what_is_taken_out_of_a_list(form: str) -> None:
    text, expected = _LISTS[form]
    tree = tree_of(_files(text + "Python_add_library(_C MODULE ${SRC})\n"))
    (library,) = Program(tree, Config()).libraries
    assert [when for path, when in library.members if path == "csrc/blur.cpp"] == expected
    assert library.units == _UNITS
    done = migrated(_files(text + "Python_add_library(_C MODULE ${SRC})\n"), ["csrc/blur.cpp", "csrc/shared.cpp"])
    assert not done.by_hand
    made = next(one for one in Program(done.snapshot, Config()).libraries if one.name == "_C_stable_libtorch")
    assert [when for path, when in made.members if path.endswith("blur.cpp")] == expected


def test_sources_of_another_folder_are_written_from_the_folder_of_the_new_target() -> None:
    files = _files("Python_add_library(_C MODULE csrc/bindings.cpp csrc/rows.cpp)\nadd_subdirectory(csrc)\n")
    files["csrc/CMakeLists.txt"] = (
        "target_sources(_C PRIVATE ${CMAKE_CURRENT_SOURCE_DIR}/blur.cpp ${CMAKE_CURRENT_SOURCE_DIR}/sharpen.cpp shared.cpp)\n"
    )
    done = migrated(files, ["csrc/blur.cpp", "csrc/shared.cpp"])
    assert not done.by_hand
    assert {f"csrc/libtorch_stable/{name}.cpp" for name in ("blur", "shared", "torch_bindings")} == _libraries(
        done.snapshot
    )["_C_stable_libtorch"]


@pytest.mark.parametrize("kind", ["OBJECT", "STATIC"])
@pytest.mark.parametrize(
    "units", [["csrc/blur.cpp", "csrc/shared.cpp"], ["csrc/blur.cpp", "csrc/shared.cpp", "csrc/sharpen.cpp"]]
)
def test_sources_of_a_library_that_a_module_links_move_to_the_modules_counterpart(kind: str, units: list[str]) -> None:
    objects = "$<TARGET_OBJECTS:core>" if kind == "OBJECT" else ""
    text = f"""
add_library(core {kind} csrc/blur.cpp csrc/shared.cpp csrc/plain.cpp)
target_include_directories(core PRIVATE csrc/extra)
target_compile_definitions(core PRIVATE FAST_BLUR)
Python_add_library(_C MODULE csrc/bindings.cpp csrc/sharpen.cpp csrc/rows.cpp {objects})
{"" if objects else "target_link_libraries(_C PRIVATE core)"}
"""
    files = {**_files(text), "csrc/plain.cpp": "int plain() { return 1; }\n", "csrc/extra/extra.h": "#pragma once\n"}
    files["csrc/blur.cpp"] = '#include "extra.h"\n' + files["csrc/blur.cpp"]
    done = migrated(files, units)
    assert not done.by_hand
    entries = {one.name: one for one in read_cmake_entries(done.snapshot, ["CMakeLists.txt"])[0]}
    made = entries["_C_stable_libtorch"]
    assert made.kind is EntryKind.MODULE
    assert "target_include_directories(_C_stable_libtorch PRIVATE csrc/extra)" in done.text("CMakeLists.txt")
    assert made.defines("FAST_BLUR")
    moved = {unit.replace("csrc/", "csrc/libtorch_stable/") for unit in units}
    assert {source.path for source in made.sources} == {*moved, "csrc/libtorch_stable/torch_bindings.cpp"}
    assert [source.path for source in entries["core"].sources] == ["csrc/plain.cpp"]
