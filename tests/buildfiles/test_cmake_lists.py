"""Sources leave the legacy list and enter the stable one, wherever they stand, under the condition they had."""

from __future__ import annotations

from textwrap import dedent

import pytest
from torch_stabilize.model import Severity

from tests.buildfiles.trees import plan

# A project that has a stable target already. %s stands between the lists and the targets.
HEAD = """\
cmake_minimum_required(VERSION 3.26)
project(ext LANGUAGES CXX)
find_package(Torch REQUIRED)
"""
TARGETS = """\

ext_module(_C SOURCES ${EXT_SRC})

set(STABLE_EXT_SRC
  "csrc/stable/bindings.cpp")

ext_module(_C_stable SOURCES ${STABLE_EXT_SRC})
target_compile_definitions(_C_stable PRIVATE TORCH_TARGET_VERSION=0x020b000000000000ULL USE_CUDA)
"""
MACRO = """\
function(ext_module NAME)
  cmake_parse_arguments(PARSE_ARGV 1 ARG "" "" "SOURCES")
  add_library(${NAME} MODULE ${ARG_SOURCES})
endfunction()
"""


def moved(lists: str, *units: str, targets: str = TARGETS) -> str:
    """The part of CMakeLists.txt behind HEAD once `units` have migrated."""
    planned = plan({"CMakeLists.txt": HEAD + lists + targets, "macros.cmake": MACRO}, units)
    text = planned.text("CMakeLists.txt")
    assert text.startswith(HEAD)
    return text[len(HEAD) :]


def test_a_source_on_a_line_of_its_own() -> None:
    before = """
set(EXT_SRC
  "csrc/bindings.cpp"
  "csrc/norm.cu"
  "csrc/act.cu")
"""
    after = moved(before, "csrc/norm.cu")
    assert (
        after
        == """
set(EXT_SRC
  "csrc/bindings.cpp"
  "csrc/act.cu")
"""
        + TARGETS.replace('"csrc/stable/bindings.cpp")', '"csrc/stable/bindings.cpp"\n  "csrc/stable/norm.cu")')
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param('set(EXT_SRC\n  "csrc/b.cpp"\n  "csrc/x.cu")', 'set(EXT_SRC\n  "csrc/b.cpp")', id="the last one"),
        pytest.param("set(EXT_SRC csrc/b.cpp csrc/x.cu)", "set(EXT_SRC csrc/b.cpp)", id="one line, unquoted"),
        pytest.param("set(EXT_SRC csrc/x.cu csrc/b.cpp)", "set(EXT_SRC csrc/b.cpp)", id="the first of one line"),
        pytest.param('set(EXT_SRC "csrc/b.cpp;csrc/x.cu")', 'set(EXT_SRC "csrc/b.cpp")', id="a semicolon list"),
        pytest.param(
            "set(EXT_SRC\n  csrc/b.cpp  # bindings\n  csrc/x.cu\n)",
            "set(EXT_SRC\n  csrc/b.cpp  # bindings\n)",
            id="a comment behind the neighbour stays",
        ),
        pytest.param(
            "set(EXT_SRC\n  csrc/b.cpp\n  csrc/x.cu  # slow to compile\n  csrc/y.cu)",
            "set(EXT_SRC\n  csrc/b.cpp\n  csrc/y.cu)",
            id="its own comment goes along",
        ),
        pytest.param(
            "set(EXT_SRC\n  csrc/b.cpp # bindings\n  csrc/x.cu)",
            "set(EXT_SRC\n  csrc/b.cpp # bindings\n  )",
            id="the parenthesis never ends up in a comment",
        ),
        pytest.param(
            "set(EXT_SRC csrc/b.cpp ${CMAKE_CURRENT_SOURCE_DIR}/csrc/x.cu)", "set(EXT_SRC csrc/b.cpp)", id="absolute"
        ),
        pytest.param(
            "set(EXT_SRC csrc/b.cpp)\nlist(APPEND EXT_SRC csrc/x.cu)\nmessage(STATUS x)",
            "set(EXT_SRC csrc/b.cpp)\nmessage(STATUS x)",
            id="a list(APPEND) of its own goes",
        ),
    ],
)
def test_forms_of_lists(before: str, after: str) -> None:
    text = moved(before + "\n", "csrc/x.cu")
    assert text.startswith(after + "\n")
    assert "csrc/stable/x.cu" in text


def test_the_stable_side_writes_paths_like_the_legacy_side() -> None:
    text = moved("set(EXT_SRC csrc/b.cpp ${PROJECT_SOURCE_DIR}/csrc/x.cu)\n", "csrc/x.cu")
    assert '"${PROJECT_SOURCE_DIR}/csrc/stable/x.cu"' in text


def test_a_variable_in_the_path_is_kept() -> None:
    text = moved("set(SRC_DIR csrc)\nset(EXT_SRC csrc/b.cpp ${SRC_DIR}/sub/x.cu)\n", "csrc/sub/x.cu")
    assert '"${SRC_DIR}/stable/sub/x.cu"' in text


def test_a_condition_is_kept_in_a_new_block_of_the_stable_side() -> None:
    before = """
set(EXT_SRC
  "csrc/bindings.cpp")
if(WITH_CUDA)
  list(APPEND EXT_SRC
    "csrc/act.cu"
    "csrc/norm.cu")
endif()
"""
    text = moved(before, "csrc/norm.cu")
    assert text.endswith(
        dedent("""\
        set(STABLE_EXT_SRC
          "csrc/stable/bindings.cpp")

        if(WITH_CUDA)
          list(APPEND STABLE_EXT_SRC
            "csrc/stable/norm.cu")
        endif()

        ext_module(_C_stable SOURCES ${STABLE_EXT_SRC})
        target_compile_definitions(_C_stable PRIVATE TORCH_TARGET_VERSION=0x020b000000000000ULL USE_CUDA)
        """)
    )


def test_a_condition_joins_an_equal_block_of_the_stable_side() -> None:
    """`STREQUAL` spelled with a variable reference is the same comparison."""
    before = """
set(EXT_SRC csrc/bindings.cpp)
if(LANG STREQUAL "CUDA")
  list(APPEND EXT_SRC csrc/norm.cu csrc/act.cu)
endif()
"""
    targets = """
ext_module(_C SOURCES ${EXT_SRC})
set(STABLE_EXT_SRC csrc/stable/bindings.cpp)
if(${LANG} STREQUAL "CUDA")
  list(APPEND STABLE_EXT_SRC csrc/stable/topk.cu)
endif()
ext_module(_C_stable SOURCES ${STABLE_EXT_SRC})
target_compile_definitions(_C_stable PRIVATE TORCH_TARGET_VERSION=0x020b000000000000ULL USE_CUDA)
"""
    text = moved(before, "csrc/norm.cu", targets=targets)
    assert "  list(APPEND EXT_SRC csrc/act.cu)" in text
    assert "  list(APPEND STABLE_EXT_SRC csrc/stable/topk.cu csrc/stable/norm.cu)" in text


def test_the_else_arm_of_a_condition() -> None:
    before = """
set(EXT_SRC csrc/bindings.cpp)
if(HAS_AVX)
  list(APPEND EXT_SRC csrc/avx.cpp)
else()
  list(APPEND EXT_SRC csrc/plain.cpp csrc/other.cpp)
endif()
"""
    text = moved(before, "csrc/plain.cpp")
    assert 'if(NOT (HAS_AVX))\n  list(APPEND STABLE_EXT_SRC\n    "csrc/stable/plain.cpp")\nendif()' in text


def test_an_empty_block_is_removed_with_its_comment() -> None:
    before = """
set(EXT_SRC csrc/bindings.cpp)

# Needs CUDA
if(WITH_CUDA)
  list(APPEND EXT_SRC csrc/norm.cu)
endif()

message(STATUS "lists done")
"""
    text = moved(before, "csrc/norm.cu")
    assert text.startswith('\nset(EXT_SRC csrc/bindings.cpp)\n\nmessage(STATUS "lists done")\n')


def test_an_empty_last_arm_is_removed() -> None:
    before = """
set(EXT_SRC csrc/bindings.cpp)
if(GPU STREQUAL "CUDA")
  list(APPEND EXT_SRC csrc/act.cu)
elseif(GPU STREQUAL "HIP")
  list(APPEND EXT_SRC csrc/norm.cu)
  list(APPEND EXT_SRC
    csrc/norm_hip.cu)
endif()
"""
    text = moved(before, "csrc/norm.cu", "csrc/norm_hip.cu")
    assert 'if(GPU STREQUAL "CUDA")\n  list(APPEND EXT_SRC csrc/act.cu)\nendif()\n' in text
    assert 'if(GPU STREQUAL "HIP")\n  list(APPEND STABLE_EXT_SRC' in text  # what an elseif excludes follows from it


ARCHES = """
set(EXT_SRC
  "csrc/bindings.cpp")

# Kernels for Hopper
intersect(HOPPER_ARCHS "9.0a" "${CUDA_ARCHS}")
if(CUDA_VERSION VERSION_GREATER_EQUAL 12.0 AND HOPPER_ARCHS)
  set(SRCS
    "csrc/hopper.cu")
  set_flags(SRCS "${SRCS}" CUDA_ARCHS "${HOPPER_ARCHS}")
  set_source_files_properties(${SRCS} PROPERTIES INCLUDE_DIRECTORIES "${CUTLASS}/include")
  list(APPEND EXT_SRC "${SRCS}")
  message(STATUS "Building for ${HOPPER_ARCHS}")
else()
  message(STATUS "Not building for Hopper")
endif()
"""


def test_a_block_that_serves_one_source_moves_whole() -> None:
    """With the comment above, the architectures it computes, per-file properties and both messages."""
    text = moved(ARCHES, "csrc/hopper.cu")
    moved_block = (
        ARCHES[ARCHES.index("# Kernels") :]
        .replace("csrc/hopper.cu", "csrc/stable/hopper.cu")
        .replace("APPEND EXT_SRC", "APPEND STABLE_EXT_SRC")
    )
    assert moved_block in text
    assert text.index(moved_block) > text.index("set(STABLE_EXT_SRC")
    assert text.index(moved_block) < text.index("ext_module(_C_stable")
    assert text.count("HOPPER_ARCHS") == ARCHES.count("HOPPER_ARCHS")


def test_a_block_shared_with_other_sources_is_split() -> None:
    before = ARCHES.replace('    "csrc/hopper.cu")', '    "csrc/hopper.cu"\n    "csrc/both.cu")')
    text = moved(before, "csrc/hopper.cu")
    legacy, stable = text[: text.index("set(STABLE_EXT_SRC")], text[text.index("set(STABLE_EXT_SRC") :]
    assert "csrc/both.cu" in legacy
    assert "hopper.cu" not in legacy
    assert stable.index("if(CUDA_VERSION VERSION_GREATER_EQUAL 12.0 AND HOPPER_ARCHS)") > 0
    assert '  set(STABLE_SRCS\n    "csrc/stable/hopper.cu")' in stable
    assert 'set_flags(SRCS "${STABLE_SRCS}" CUDA_ARCHS "${HOPPER_ARCHS}")' in stable
    assert "set_source_files_properties(${STABLE_SRCS} PROPERTIES" in stable
    assert 'list(APPEND STABLE_EXT_SRC "${STABLE_SRCS}")' in stable


def test_a_block_that_already_stands_on_the_stable_side_joins_the_other_list() -> None:
    targets = """
ext_module(_C SOURCES ${EXT_SRC})
set(STABLE_EXT_SRC csrc/stable/bindings.cpp)
if(ARCHS)
  set(KV_SRC "csrc/kv.cu")
  set_flags(SRCS "${KV_SRC}" CUDA_ARCHS "${ARCHS}")
  target_sources(_C PRIVATE ${KV_SRC})
endif()
ext_module(_C_stable SOURCES ${STABLE_EXT_SRC})
target_compile_definitions(_C_stable PRIVATE TORCH_TARGET_VERSION=0x020b000000000000ULL USE_CUDA)
"""
    text = moved("set(EXT_SRC csrc/bindings.cpp)\n", "csrc/kv.cu", targets=targets)
    assert text == "set(EXT_SRC csrc/bindings.cpp)\n" + targets.replace("csrc/kv.cu", "csrc/stable/kv.cu").replace(
        "target_sources(_C PRIVATE ${KV_SRC})", "list(APPEND STABLE_EXT_SRC ${KV_SRC})"
    )


def test_sources_that_the_flags_of_the_whole_list_reach_stay_in_reach() -> None:
    """What was in the list before the call that treats it is so again; a block from behind the call stays behind."""
    before = """
set(EXT_SRC
  "csrc/bindings.cpp"
  "csrc/norm.cu")
set_flags(SRCS "${EXT_SRC}" CUDA_ARCHS "${ARCHS}")
list(APPEND EXT_SRC "csrc/late.cu")
"""
    targets = TARGETS.replace(
        "\next_module(_C_stable", '\nset_flags(SRCS "${STABLE_EXT_SRC}" CUDA_ARCHS "${ARCHS}")\n\next_module(_C_stable'
    )
    text = moved(before, "csrc/norm.cu", targets=targets)
    assert '  "csrc/stable/bindings.cpp"\n  "csrc/stable/norm.cu")\n\nset_flags' in text


def test_properties_of_a_file_by_its_path_follow_it() -> None:
    before = """
set(EXT_SRC csrc/bindings.cpp csrc/norm.cu)
set_source_files_properties("csrc/norm.cu" PROPERTIES COMPILE_FLAGS "-O1")
"""
    text = moved(before, "csrc/norm.cu")
    assert 'set_source_files_properties("csrc/stable/norm.cu" PROPERTIES COMPILE_FLAGS "-O1")' in text


def test_a_definition_of_the_legacy_target_follows_a_source_that_tests_it() -> None:
    files = {
        "CMakeLists.txt": HEAD
        + "set(EXT_SRC csrc/bindings.cpp csrc/norm.cu)\n"
        + TARGETS.replace(
            "\nset(STABLE",
            "target_compile_definitions(_C PRIVATE WITH_FAST=1 UNUSED)\n\nset(STABLE",
        ),
        "macros.cmake": MACRO,
        "csrc/norm.cu": "#if WITH_FAST\n#endif\n",
    }
    text = plan(files, ["csrc/norm.cu"]).text("CMakeLists.txt")
    assert "target_compile_definitions(_C_stable PRIVATE WITH_FAST=1)" in text
    assert text.count("UNUSED") == 1


def test_an_older_stable_target_is_raised_with_its_comment() -> None:
    targets = TARGETS.replace(
        "target_compile_definitions(_C_stable PRIVATE TORCH_TARGET_VERSION=0x020b000000000000ULL USE_CUDA)",
        "# Runs on torch 2.10 and newer.\n"
        "target_compile_definitions(_C_stable PRIVATE TORCH_TARGET_VERSION=0x020A000000000000ULL USE_CUDA)",
    )
    planned = plan(
        {"CMakeLists.txt": HEAD + "set(EXT_SRC csrc/b.cpp csrc/x.cu)\n" + targets, "macros.cmake": MACRO}, ["csrc/x.cu"]
    )
    text = planned.text("CMakeLists.txt")
    assert "# Runs on torch 2.11 and newer." in text
    assert "TORCH_TARGET_VERSION=0x020B000000000000ULL" in text
    assert planned.diagnostics("TSA609")


def test_a_newer_stable_target_stays() -> None:
    planned = plan(
        {"CMakeLists.txt": HEAD + "set(EXT_SRC csrc/b.cpp csrc/x.cu)\n" + TARGETS, "macros.cmake": MACRO},
        ["csrc/x.cu"],
        target="2.10",
    )
    assert "0x020b000000000000ULL" in planned.text("CMakeLists.txt")
    assert not planned.diagnostics("TSA609")


def test_in_place_only_the_membership_changes() -> None:
    before = HEAD + "set(EXT_SRC csrc/b.cpp csrc/x.cu)\n" + TARGETS
    planned = plan({"CMakeLists.txt": before, "macros.cmake": MACRO}, ["csrc/x.cu"], in_place=True)
    assert "set(EXT_SRC csrc/b.cpp)" in planned.text("CMakeLists.txt")
    assert '"csrc/stable/bindings.cpp"\n  "csrc/x.cu")' in planned.text("CMakeLists.txt")


def test_line_ends_and_a_byte_order_mark_survive() -> None:
    before = (HEAD + "set(EXT_SRC\n  csrc/b.cpp  # größer\n  csrc/x.cu)\n" + TARGETS).replace("\n", "\r\n").encode()
    planned = plan({"CMakeLists.txt": before, "macros.cmake": MACRO}, ["csrc/x.cu"])
    after = planned.files["CMakeLists.txt"]
    assert after.count(b"\n") == after.count(b"\r\n")
    assert "größer".encode() in after


def test_a_list_in_an_included_file() -> None:
    files = {
        "CMakeLists.txt": HEAD + "include(sources.cmake)\n" + TARGETS,
        "sources.cmake": "set(EXT_SRC\n  csrc/b.cpp\n  csrc/x.cu)\n",
        "macros.cmake": MACRO,
    }
    planned = plan(files, ["csrc/x.cu"])
    assert planned.text("sources.cmake") == "set(EXT_SRC\n  csrc/b.cpp)\n"
    assert '"csrc/stable/x.cu"' in planned.text("CMakeLists.txt")


def test_a_recursive_glob_no_longer_finds_the_stable_folder() -> None:
    before = "file(GLOB_RECURSE EXT_SRC csrc/*.cu csrc/*.cpp)\n"
    planned = plan({"CMakeLists.txt": HEAD + before + TARGETS, "macros.cmake": MACRO, "csrc/y.cu": ""}, ["csrc/x.cu"])
    text = planned.text("CMakeLists.txt")
    assert before + 'list(FILTER EXT_SRC EXCLUDE REGEX "/stable/")\n' in text
    assert '"csrc/stable/x.cu"' in text


def test_a_glob_of_one_folder_needs_no_change() -> None:
    before = "file(GLOB EXT_SRC csrc/*.cu)\n"
    planned = plan({"CMakeLists.txt": HEAD + before + TARGETS, "macros.cmake": MACRO, "csrc/y.cu": ""}, ["csrc/x.cu"])
    assert before + "\n" in planned.text("CMakeLists.txt")
    assert '"csrc/stable/x.cu"' in planned.text("CMakeLists.txt")


JOINED = """\
file(GLOB MAIN csrc/b.cpp)
file(GLOB KERNELS csrc/*.cu)
file(GLOB WRITTEN_LATER csrc/made/*.cu)
file(GLOB EXT_SRC ${WRITTEN_LATER} ${KERNELS}
  ${MAIN})
"""


def test_a_glob_that_joins_lists_carries_their_sources() -> None:
    files = {"CMakeLists.txt": HEAD + JOINED + TARGETS, "macros.cmake": MACRO, "csrc/b.cpp": "", "csrc/y.cu": ""}
    planned = plan(files, ["csrc/x.cu"])
    text = planned.text("CMakeLists.txt")
    assert JOINED in text  # the pattern does not find the file at its new place
    assert '"csrc/stable/x.cu"' in text[text.index("set(STABLE_EXT_SRC") :]
    assert not planned.diagnostics("TSA607")


def test_a_glob_that_joins_lists_finds_a_file_that_stays_where_it_is_no_more() -> None:
    files = {"CMakeLists.txt": HEAD + JOINED + TARGETS, "macros.cmake": MACRO, "csrc/b.cpp": "", "csrc/y.cu": ""}
    text = plan(files, ["csrc/x.cu"], in_place=True).text("CMakeLists.txt")
    assert 'file(GLOB KERNELS csrc/*.cu)\nlist(FILTER KERNELS EXCLUDE REGEX "/csrc/x\\\\.cu$")\n' in text
    assert '"csrc/x.cu"' in text[text.index("set(STABLE_EXT_SRC") :]


def test_what_is_filtered_out_of_joined_lists_is_in_no_target() -> None:
    lists = JOINED + 'list(FILTER EXT_SRC EXCLUDE REGEX "x[.]cu$")\n'
    files = {"CMakeLists.txt": HEAD + lists + TARGETS, "macros.cmake": MACRO, "csrc/b.cpp": "", "csrc/y.cu": ""}
    assert plan(files, ["csrc/x.cu"]).diagnostics("TSA607")


# What is found and not guessed (pitfall 23)


def test_a_source_in_two_targets_is_reported() -> None:
    lists = "set(EXT_SRC csrc/b.cpp csrc/x.cu)\next_module(_other SOURCES csrc/o.cpp csrc/x.cu)\n"
    planned = plan({"CMakeLists.txt": HEAD + lists + TARGETS, "macros.cmake": MACRO}, ["csrc/x.cu"])
    (found,) = planned.diagnostics("TSA604")
    assert "_other" in found.message
    assert found.severity is Severity.WARNING
    assert "ext_module(_other SOURCES csrc/o.cpp csrc/stable/x.cu)" in planned.text("CMakeLists.txt")


def test_a_header_in_a_list_is_reported_and_does_not_enter_the_stable_list() -> None:
    lists = "set(EXT_SRC csrc/b.cpp csrc/x.cu csrc/x.h)\n"
    planned = plan(
        {"CMakeLists.txt": HEAD + lists + TARGETS, "macros.cmake": MACRO}, ["csrc/x.cu"], headers=["csrc/x.h"]
    )
    assert [planned.place(d) for d in planned.diagnostics("TSA605")] == ["csrc/x.h"]
    assert '"csrc/stable/x.cu"' in planned.text("CMakeLists.txt")


def test_a_target_without_sources_is_reported() -> None:
    planned = plan(
        {"CMakeLists.txt": HEAD + "set(EXT_SRC csrc/x.cu)\n" + TARGETS, "macros.cmake": MACRO}, ["csrc/x.cu"]
    )
    (found,) = planned.diagnostics("TSA606")
    assert "_C has no source left" in found.message
    assert found.severity is Severity.ERROR


def test_a_target_of_several_calls_without_sources_is_reported_once() -> None:
    own = "  ext_module(_C SOURCES ${EXT_SRC})\n"
    text = "set(EXT_SRC csrc/x.cu)\nif(WIDE)\n" + own + "else()\n" + own + "endif()\n"
    planned = plan({"CMakeLists.txt": HEAD + text, "macros.cmake": MACRO}, ["csrc/x.cu"])
    (found,) = planned.diagnostics("TSA606")
    assert found.message == "_C has no source left"


def test_a_target_without_sources_under_one_condition_says_which() -> None:
    text = "if(WIDE)\n  ext_module(_C SOURCES csrc/x.cu)\nelse()\n  ext_module(_C SOURCES csrc/b.cpp)\nendif()\n"
    planned = plan({"CMakeLists.txt": HEAD + text, "macros.cmake": MACRO}, ["csrc/x.cu"])
    (found,) = planned.diagnostics("TSA606")
    assert found.message == "_C has no source left where `WIDE`"


def test_a_unit_that_nobody_names_is_reported_with_the_lines_to_add() -> None:
    planned = plan(
        {"CMakeLists.txt": HEAD + "set(EXT_SRC csrc/b.cpp)\n" + TARGETS, "macros.cmake": MACRO}, ["csrc/x.cu"]
    )
    (found,) = planned.diagnostics("TSA607")
    assert "csrc/x.cu" in found.message
    assert "csrc/stable/x.cu" in found.help
    assert not planned.change.edits


SHARED_BLOCK = """
set(EXT_SRC
  "csrc/bindings.cpp")

if(HOPPER_ARCHS)
  file(GLOB GENERATED_SRCS "csrc/gen/kernel_*.cu")
  list(APPEND EXT_SRC ${GENERATED_SRCS})

  set(SRCS
    "csrc/gen/hopper.cu")
  set_flags(SRCS "${SRCS}" CUDA_ARCHS "${HOPPER_ARCHS}")
  if(CUDA_VERSION VERSION_GREATER_EQUAL 12.8)
    set_source_files_properties(${SRCS}
      PROPERTIES COMPILE_FLAGS "-O1")
  endif()
  list(APPEND EXT_SRC "${SRCS}")

  message(STATUS "Building for ${HOPPER_ARCHS}")
endif()
"""


def test_what_treats_a_list_leaves_with_it_also_out_of_a_block_of_its_own() -> None:
    text = moved(SHARED_BLOCK, "csrc/gen/hopper.cu")
    legacy, stable = text[: text.index("set(STABLE_EXT_SRC")], text[text.index("set(STABLE_EXT_SRC") :]
    assert legacy.startswith(
        SHARED_BLOCK[: SHARED_BLOCK.index("  set(SRCS")] + '  message(STATUS "Building for ${HOPPER_ARCHS}")\nendif()\n'
    )
    assert (
        """\
if(HOPPER_ARCHS)
  set(SRCS
    "csrc/stable/gen/hopper.cu")
  set_flags(SRCS "${SRCS}" CUDA_ARCHS "${HOPPER_ARCHS}")
  if(CUDA_VERSION VERSION_GREATER_EQUAL 12.8)
    set_source_files_properties(${SRCS}
      PROPERTIES COMPILE_FLAGS "-O1")
  endif()
  list(APPEND STABLE_EXT_SRC "${SRCS}")
endif()
"""
        in stable
    )


def test_sources_that_a_script_writes_beside_the_units_are_reported() -> None:
    files = {"CMakeLists.txt": HEAD + SHARED_BLOCK + TARGETS, "macros.cmake": MACRO}
    script = {"csrc/gen/generate.py": 'open("kernel_1.cu", "w")\n'}

    planned = plan(files | script, ["csrc/gen/hopper.cu"])
    (found,) = planned.diagnostics("TSA661")
    assert planned.place(found).strip('"') == "csrc/gen/kernel_*.cu"
    assert "give GENERATED_SRCS to _C_stable" in found.help

    assert not plan(files, ["csrc/gen/hopper.cu"]).diagnostics("TSA661")
    assert not plan(files | script | {"csrc/gen/kernel_1.cu": ""}, ["csrc/gen/hopper.cu"]).diagnostics("TSA661")


WRITTEN = """\
file(GLOB KERNELS csrc/*.cu csrc/*.hip)
file(GLOB INSTANCES csrc/made/src/*.cu)
set(EXT_SRC csrc/b.cpp ${KERNELS} ${INSTANCES})
"""


def test_a_unit_whose_header_a_script_writes_is_told_to_need_what_is_written_with_it() -> None:
    files = {"CMakeLists.txt": HEAD + WRITTEN + TARGETS, "macros.cmake": MACRO, "csrc/y.cu": ""}
    script = {"tools/make.py": 'folder = root + "/made/include/" + "made/tables"\nopen(folder + "/all.h", "w")\n'}
    unit = {"csrc/x.cu": "#include <c10/cuda/CUDAStream.h>\n#include <made/tables/all.h>\n"}

    (found,) = plan(files | script | unit, ["csrc/x.cu"]).diagnostics("TSA661")
    assert "made/tables/all.h is written by tools/make.py" in found.message
    assert "those of INSTANCES that" in found.help
    assert found.severity is Severity.ERROR

    # the folder is in the tree; no script writes it, though one includes it; everything it could be is in the tree
    kept = {"csrc/made/tables/all.h": ""}
    other = {"tools/make.py": 'code = "#include <made/tables/all.h>\\n#include <c10/cuda/CUDAStream.h>"\n'}
    assert not plan(files | script | unit | kept, ["csrc/x.cu"]).diagnostics("TSA661")
    assert not plan(files | other | unit, ["csrc/x.cu"]).diagnostics("TSA661")
    assert not plan(files | script | unit | {"csrc/made/src/z.cu": ""}, ["csrc/x.cu"]).diagnostics("TSA661")
