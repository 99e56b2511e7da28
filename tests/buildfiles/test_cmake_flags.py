"""The flags of CMake targets, as CMake itself gives them: each project here is configured by CMake too and compared."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from textwrap import dedent

import pytest
from torch_stabilize.buildfiles.cmake.evaluate.flags import CUDA, CXX, Machine, TargetFlags, kept_flags, target_flags
from torch_stabilize.repository.snapshot import Snapshot
from torch_stabilize.verify.flags import flags_of_call

CMAKE = shutil.which("cmake")
HEAD = "cmake_minimum_required(VERSION 3.18)\nproject(amp LANGUAGES CXX)\n"
LIBRARY = "add_library(amp SHARED amp.cpp)\n"
GPU = Machine("2.13.0", "13.0", ("80", "90a", "100a"))

# What CMake makes of them: with the files, the macros and flags of `amp` are the same.
PROJECTS = {
    "plain definitions": {"CMakeLists.txt": LIBRARY + "target_compile_definitions(amp PRIVATE LOUD HEIGHT=3)\n"},
    "what a file of the project says": {
        "height.txt": "3",
        "version.h": "#pragma once\n#define AMP_MAJOR 2\n#define AMP_MINOR 7\n",
        "CMakeLists.txt": """
            file(READ height.txt HEIGHT)
            file(STRINGS ${CMAKE_CURRENT_SOURCE_DIR}/version.h LINES REGEX "^#define AMP_M")
            list(GET LINES 1 MINOR)
            string(REGEX REPLACE "[^0-9]" "" MINOR "${MINOR}")
            add_library(amp SHARED amp.cpp)
            target_compile_definitions(amp PRIVATE HEIGHT=${HEIGHT} MINOR=${MINOR})
        """,
    },
    "a list of a variable": {
        "CMakeLists.txt": 'set(FLAGS -DLOUD)\nlist(APPEND FLAGS "-DHEIGHT=3")\nlist(REMOVE_ITEM FLAGS "-DLOUD")\n'
        + LIBRARY
        + "target_compile_options(amp PRIVATE ${FLAGS})\n"
    },
    "a function of an included file that answers in its caller's variable": {
        "cmake/tools.cmake": """
            function(gather OUT LANG)
              if(${LANG} STREQUAL "CXX")
                list(APPEND WORDS "-DLOUD")
                if(HEIGHT VERSION_GREATER_EQUAL 2.10)
                  list(APPEND WORDS -DHIGH)
                endif()
              elseif(${LANG} STREQUAL "C")
                list(APPEND WORDS -DPLAIN)
              endif()
              set(${OUT} ${WORDS} PARENT_SCOPE)
            endfunction()
        """,
        "CMakeLists.txt": "include(${CMAKE_CURRENT_LIST_DIR}/cmake/tools.cmake)\nset(HEIGHT 2.11)\ngather(MINE CXX)\n"
        + LIBRARY
        + "target_compile_options(amp PRIVATE ${MINE})\n",
    },
    "a function that defines the target by keywords": {
        "CMakeLists.txt": """
            function(make_amp NAME)
              cmake_parse_arguments(PARSE_ARGV 1 ARG "SOFT;WITH_HUM" "KIND" "SOURCES;FLAGS")
              add_library(${NAME} ${ARG_KIND} ${ARG_SOURCES})
              target_compile_options(${NAME} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:${ARG_FLAGS}>)
              if(ARG_WITH_HUM)
                target_compile_definitions(${NAME} PRIVATE HUM)
              endif()
              if(ARG_SOFT)
                target_compile_definitions(${NAME} PRIVATE SOFT)
              endif()
            endfunction()
            make_amp(amp KIND SHARED SOURCES amp.cpp FLAGS -DLOUD -DHEIGHT=3 WITH_HUM)
        """
    },
    "a macro, whose arguments are texts": {
        "CMakeLists.txt": LIBRARY
        + """
            macro(tell)
              foreach(word IN ITEMS ${ARGN})
                list(APPEND TOLD "TOLD_${word}")
              endforeach()
            endmacro()
            tell(A B)
            target_compile_definitions(amp PRIVATE ${TOLD})
        """
    },
    "definitions of the folder, before and behind the target": {
        "CMakeLists.txt": "add_compile_definitions(EARLY)\n" + LIBRARY + "add_definitions(-DLATE)\n"
    },
    "a folder below": {
        "CMakeLists.txt": "add_compile_definitions(ABOVE)\nset(HEIGHT 4)\nadd_subdirectory(below)\n",
        "below/CMakeLists.txt": "add_library(amp SHARED ../amp.cpp)\n"
        "target_compile_definitions(amp PRIVATE HEIGHT=${HEIGHT})\n",
    },
    "an interface library": {
        "CMakeLists.txt": "add_library(base INTERFACE)\ntarget_compile_definitions(base INTERFACE BASE)\n"
        "add_library(mid INTERFACE)\ntarget_link_libraries(mid INTERFACE base)\n"
        "target_compile_options(mid INTERFACE -DMID)\n" + LIBRARY + "target_link_libraries(amp PRIVATE mid)\n"
    },
    "options, and settings of the cache": {
        "CMakeLists.txt": 'option(LOUD "louder" ON)\noption(SOFT "softer" OFF)\nset(HEIGHT "5" CACHE STRING "how high")\n'
        + LIBRARY
        + """
            if(LOUD AND NOT SOFT)
              target_compile_definitions(amp PRIVATE LOUD)
            endif()
            if(SOFT OR (HEIGHT GREATER 9 AND LOUD))
              target_compile_definitions(amp PRIVATE SOFT)
            endif()
            if(HEIGHT MATCHES "^[0-9]+$")
              target_compile_definitions(amp PRIVATE HEIGHT=${HEIGHT})
            endif()
        """
    },
    "properties of the target and of the source": {
        "CMakeLists.txt": LIBRARY + 'set_target_properties(amp PROPERTIES COMPILE_DEFINITIONS "A;B=2")\n'
        "set_property(TARGET amp APPEND PROPERTY COMPILE_OPTIONS -DC)\n"
        'set_source_files_properties(amp.cpp PROPERTIES COMPILE_FLAGS "-DD -DE=1")\n'
    },
    "the flags of all": {"CMakeLists.txt": 'set(CMAKE_CXX_FLAGS "${CMAKE_CXX_FLAGS} -DEVERY -mavx2")\n' + LIBRARY},
    "texts, lists and numbers": {
        "CMakeLists.txt": LIBRARY
        + """
            set(ARCHS "arch=80 arch=90a")
            string(REGEX MATCHALL "arch=[0-9]+a?" FOUND "${ARCHS}")
            foreach(one ${FOUND})
              string(REGEX REPLACE "arch=([0-9]+)([0-9]a?)" "\\\\1.\\\\2" dotted ${one})
              if(dotted VERSION_GREATER_EQUAL 9.0)
                string(REPLACE "." "_" name "${dotted}")
                string(TOUPPER "arch_${name}" name)
                target_compile_definitions(amp PRIVATE ${name})
              endif()
            endforeach()
            math(EXPR two "1 + 1")
            list(LENGTH FOUND many)
            if(many EQUAL ${two})
              target_compile_definitions(amp PRIVATE MANY=${many})
            endif()
        """
    },
    "what returns early": {
        "CMakeLists.txt": LIBRARY + "function(f)\n  return()\n  target_compile_definitions(amp PRIVATE NEVER)\n"
        "endfunction()\nf()\nif(NOT DEFINED NOWHERE)\n  target_compile_definitions(amp PRIVATE THERE)\nendif()\n"
        "return()\ntarget_compile_definitions(amp PRIVATE LATE)\n"
    },
}


def laid_out(root: Path, files: dict[str, str]) -> Snapshot:
    """The project, with the head of a CMakeLists.txt and a source."""
    for name, text in {"amp.cpp": "int amp() { return 1; }\n", **files}.items():
        place = root / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text((HEAD if name == "CMakeLists.txt" else "") + dedent(text))
    return Snapshot(root, tuple(sorted(p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file())))


def read(root: Path, files: dict[str, str], machine: Machine = GPU) -> TargetFlags:
    return target_flags(laid_out(root, files), "CMakeLists.txt", machine)["amp"]


@pytest.mark.skipif(CMAKE is None or shutil.which("ninja") is None, reason="cmake or ninja is not installed")
@pytest.mark.parametrize("project", PROJECTS)
def test_flags_are_those_that_cmake_gives(project: str, tmp_path: Path) -> None:
    root = tmp_path / "project"
    found = read(root, PROJECTS[project])
    command = [str(CMAKE), "-S", str(root), "-B", str(tmp_path / "build"), "-G", "Ninja"]
    done = subprocess.run([*command, "-DCMAKE_EXPORT_COMPILE_COMMANDS=ON"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (call,) = json.loads((tmp_path / "build/compile_commands.json").read_text())
    wanted = set(flags_of_call(call["command"].split(), tmp_path / "build", root)) - {"-Damp_EXPORTS"}
    assert set(found.of("amp.cpp", CXX)) == wanted
    assert wanted  # each project gives some


def test_a_build_for_cuda_and_one_for_the_cpu(tmp_path: Path) -> None:
    text = """
        find_package(Torch REQUIRED)
        option(USE_CUDA "for GPUs" OFF)
        set(HAS OFF)
        if(EXISTS "${TORCH_PREFIX}/../../lib/libtorch_cuda.so" AND TARGET CUDA::cublas)
          set(HAS ON)
        endif()
        option(AMP_CUDA "with kernels" ${HAS})
        option(AMP_DISABLE_CUDA "without kernels" OFF)
        add_library(amp SHARED amp.cpp amp.cu)
        if(CUDA_FOUND AND CUDA_VERSION VERSION_GREATER_EQUAL 11.8)
          list(APPEND GPU_FLAGS -DWITH_FP8)
        elseif(HIP_FOUND)
          list(APPEND GPU_FLAGS -DWITH_ROCM)
        endif()
        target_compile_options(amp PRIVATE $<$<COMPILE_LANGUAGE:CUDA>:${GPU_FLAGS} --expt-extended-lambda>)
        if(USE_CUDA AND HAS AND AMP_CUDA AND NOT AMP_DISABLE_CUDA)
          target_compile_definitions(amp PRIVATE WITH_CUDA)
        endif()
    """
    gpu = read(tmp_path, {"CMakeLists.txt": text})
    assert gpu.flags == {
        CXX: ("-DWITH_CUDA",),
        CUDA: ("-DWITH_FP8", "--expt-extended-lambda", "-DWITH_CUDA"),
    }
    cpu = read(tmp_path, {"CMakeLists.txt": text}, Machine("2.13.0"))
    assert cpu.flags == {CXX: (), CUDA: ("--expt-extended-lambda",)}


def test_a_file_that_never_ends_is_left(tmp_path: Path) -> None:
    text = "function(again)\n  again()\nendfunction()\nagain()\n" + LIBRARY
    assert read(tmp_path, {"CMakeLists.txt": text}).flags[CXX] == ()


def test_of_a_macro_the_last_definition_counts() -> None:
    assert kept_flags(["-O3", "-DA=1", "-D", "B", "-UA", "-I.", "-mavx2"]) == ("-DB", "-UA", "-mavx2")
