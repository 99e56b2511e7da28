"""CMake itself says which sources each target gets: lists of before and after are compared for every condition."""

from __future__ import annotations

import itertools
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from tests.sample.building import find_program

# Stands in for what builds: each target's sources and what is done to single sources are written down.
RECORDER = """
function(ext_module NAME)
  cmake_parse_arguments(ARG "" "" "SOURCES" ${ARGN})
  foreach(SOURCE IN LISTS ARG_SOURCES)
    message(STATUS "record:${CASE}:${NAME}:${SOURCE}")
  endforeach()
endfunction()
function(target_compile_definitions)
endfunction()
function(set_flags)
  cmake_parse_arguments(ARG "" "" "SRCS;ARCHS" ${ARGN})
  foreach(SOURCE IN LISTS ARG_SRCS)
    message(STATUS "record:${CASE}:flags ${ARG_ARCHS}:${SOURCE}")
  endforeach()
endfunction()
"""
# What a reader of the files needs to know about `ext_module`.
DEFINER = """
function(ext_module NAME)
  cmake_parse_arguments(PARSE_ARGV 1 ARG "" "" "SOURCES")
  add_library(${NAME} MODULE ${ARG_SOURCES})
endfunction()
"""


def find_cmake() -> str:
    """The cmake to run; skips the test where there is none."""
    found = find_program("cmake")
    if found is None:
        pytest.skip("cmake is needed")
    return found


def evaluate(folder: Path, text: str, switches: Sequence[str]) -> Mapping[str, list[tuple[str, str]]]:
    """(target or flags, source) for each assignment of ON and OFF to `switches`, in the order CMake saw them.

    Only commands that CMake runs in a script may stand in `text`, and `ext_module` and `set_flags`.
    """
    (folder / "lists.cmake").write_text(text)
    lines = [RECORDER, "function(run)", "  include(${CMAKE_CURRENT_LIST_DIR}/lists.cmake)", "endfunction()"]
    for values in itertools.product(("ON", "OFF"), repeat=len(switches)):
        pairs = list(zip(switches, values, strict=True))
        lines += [f"set({name} {value})" for name, value in pairs]
        lines += [f"set(CASE {'_'.join(f'{name}={value}' for name, value in pairs) or 'always'})", "run()"]
    (folder / "run.cmake").write_text("\n".join(lines) + "\n")
    done = subprocess.run([find_cmake(), "-P", "run.cmake"], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + text
    found: dict[str, list[tuple[str, str]]] = {}
    for line in done.stdout.splitlines():
        _, mark, record = line.partition("record:")
        if mark:
            case, owner, source = record.split(":", 2)
            found.setdefault(case, []).append((owner, source))
    return found
