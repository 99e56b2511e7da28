"""The stable target on first use: modelled on the legacy one, in every form a project may define targets in."""

from __future__ import annotations

from textwrap import dedent

from torch_stabilize.model import Severity

from tests.buildfiles.trees import plan

MACRO = """
function(add_ext MOD_NAME)
  cmake_parse_arguments(PARSE_ARGV 1 ARG "WITH_SOABI" "DESTINATION;LANGUAGE;USE_SABI" "SOURCES;COMPILE_FLAGS")
  Python_add_library(${MOD_NAME} MODULE USE_SABI ${ARG_USE_SABI} ${ARG_SOURCES})
endfunction()
"""


def created(cmake: str, *units: str, macro: str = MACRO, **files: str) -> str:
    """What stands behind the legacy part of CMakeLists.txt once `units` have migrated."""
    tree = {"CMakeLists.txt": dedent(cmake).lstrip("\n"), "macros.cmake": macro, **files}
    return plan(tree, units, created=["csrc/stable/bindings.cpp"]).text("CMakeLists.txt")


def test_a_call_of_the_projects_own_function() -> None:
    text = created(
        """
        find_package(Torch REQUIRED)
        set(VENDOR_EXT_SRC
          "csrc/bindings.cpp"
          "csrc/norm.cpp")
        add_ext(
          _C
          DESTINATION pkg
          LANGUAGE CXX
          SOURCES ${VENDOR_EXT_SRC}
          COMPILE_FLAGS ${FLAGS}
          WITH_SOABI)
        """,
        "csrc/norm.cpp",
    )
    assert text == dedent("""\
        find_package(Torch REQUIRED)
        set(VENDOR_EXT_SRC
          "csrc/bindings.cpp")
        add_ext(
          _C
          DESTINATION pkg
          LANGUAGE CXX
          SOURCES ${VENDOR_EXT_SRC}
          COMPILE_FLAGS ${FLAGS}
          WITH_SOABI)

        #
        # _C_stable extension: built from the libtorch stable ABI alone, so that one binary
        # serves every torch from 2.11 on
        #

        if(Torch_VERSION VERSION_LESS 2.11)
          message(FATAL_ERROR
            "_C_stable needs torch 2.11 or newer, found ${Torch_VERSION}.")
        endif()

        set(VENDOR_STABLE_EXT_SRC
          "csrc/stable/bindings.cpp"
          "csrc/stable/norm.cpp")

        add_ext(
          _C_stable
          DESTINATION pkg
          LANGUAGE CXX
          SOURCES ${VENDOR_STABLE_EXT_SRC}
          COMPILE_FLAGS ${FLAGS}
          USE_SABI 3
          WITH_SOABI)

        # The oldest torch that the library runs on; hides what later ones added
        target_compile_definitions(_C_stable PRIVATE TORCH_TARGET_VERSION=0x020b000000000000ULL)
        """)


def test_a_plain_library_with_the_calls_that_belong_to_it() -> None:
    text = created(
        """
        find_package(Torch REQUIRED)
        add_library(_C MODULE csrc/bindings.cpp csrc/norm.cpp)
        # Torch, and what it needs
        target_link_libraries(_C PRIVATE ${TORCH_LIBRARIES})
        target_compile_definitions(_C PRIVATE TORCH_EXTENSION_NAME=_C)
        if(WARNINGS)
          target_compile_options(_C PRIVATE -Wall)
        endif()
        set_target_properties(_C PROPERTIES PREFIX "" OUTPUT_NAME "_C")
        install(TARGETS _C LIBRARY DESTINATION pkg)
        """,
        "csrc/norm.cpp",
        macro="",
    )
    stable = text[text.index("set(C_STABLE_SOURCES") :]
    assert "add_library(_C_stable MODULE ${C_STABLE_SOURCES})" in stable
    assert "# Torch, and what it needs\ntarget_link_libraries(_C_stable PRIVATE ${TORCH_LIBRARIES})" in stable
    assert "TORCH_EXTENSION_NAME=_C_stable" in stable
    assert "if(WARNINGS)\n  target_compile_options(_C_stable PRIVATE -Wall)\nendif()" in stable
    assert 'set_target_properties(_C_stable PROPERTIES PREFIX "" OUTPUT_NAME "_C_stable")' in stable
    assert "install(TARGETS _C_stable LIBRARY DESTINATION pkg)" in stable


def test_one_install_for_several_targets_names_the_new_one_too() -> None:
    text = created(
        """
        add_library(_C MODULE csrc/bindings.cpp csrc/norm.cpp)
        add_library(_other MODULE csrc/other.cpp)
        install(TARGETS _C _other LIBRARY DESTINATION pkg)
        """,
        "csrc/norm.cpp",
        macro="",
    )
    assert "install(TARGETS _C _C_stable _other LIBRARY DESTINATION pkg)" in text
    assert text.index("add_library(_C_stable") < text.index("install(")


def test_conditions_flags_and_devices_of_the_lists() -> None:
    """`USE_CUDA` and `USE_ROCM` come from the language that the target is built in."""
    text = created(
        """
        find_package(Torch REQUIRED)
        if(HIP_FOUND)
          set(GPU_LANG "HIP")
        else()
          set(GPU_LANG "CUDA")
        endif()
        set(EXT_SRC "csrc/bindings.cpp" "csrc/norm.cu")
        if(GPU_LANG STREQUAL "CUDA")
          list(APPEND EXT_SRC "csrc/hopper.cu" "csrc/rest.cu")
          set_flags(SRCS "${EXT_SRC}" ARCHS "${ARCHS}")
        endif()
        add_ext(_C LANGUAGE ${GPU_LANG} SOURCES ${EXT_SRC} USE_SABI 3)
        """,
        "csrc/norm.cu",
        "csrc/hopper.cu",
    )
    stable = text[text.index("set(STABLE_EXT_SRC") :]
    assert stable == dedent("""\
        set(STABLE_EXT_SRC
          "csrc/stable/bindings.cpp"
          "csrc/stable/norm.cu")
        if(GPU_LANG STREQUAL "CUDA")
          list(APPEND STABLE_EXT_SRC
            "csrc/stable/hopper.cu")
        endif()

        if(GPU_LANG STREQUAL "CUDA")
          set_flags(SRCS "${STABLE_EXT_SRC}" ARCHS "${ARCHS}")
        endif()

        add_ext(_C_stable LANGUAGE ${GPU_LANG} SOURCES ${STABLE_EXT_SRC} USE_SABI 3)

        # The oldest torch that the library runs on; hides what later ones added
        target_compile_definitions(_C_stable PRIVATE TORCH_TARGET_VERSION=0x020b000000000000ULL)

        # Makes the stable headers declare the device API
        if(GPU_LANG STREQUAL "CUDA")
          target_compile_definitions(_C_stable PRIVATE USE_CUDA)
        endif()
        if(GPU_LANG STREQUAL "HIP")
          target_compile_definitions(_C_stable PRIVATE USE_ROCM)
        endif()
        """)


def test_devices_of_sources_under_conditions() -> None:
    text = created(
        """
        find_package(Torch REQUIRED)
        set(EXT_SRC csrc/bindings.cpp)
        if(GPU STREQUAL "CUDA")
          list(APPEND EXT_SRC csrc/norm.cu)
        elseif(GPU STREQUAL "HIP")
          list(APPEND EXT_SRC csrc/norm_hip.cu)
        endif()
        add_ext(_C SOURCES ${EXT_SRC} USE_SABI 3)
        """,
        "csrc/norm.cu",
        "csrc/norm_hip.cu",
    )
    assert text.endswith(
        dedent("""\
        if(GPU STREQUAL "CUDA")
          target_compile_definitions(_C_stable PRIVATE USE_CUDA)
        endif()
        if(GPU STREQUAL "HIP")
          target_compile_definitions(_C_stable PRIVATE USE_ROCM)
        endif()
        """)
    )


def test_the_new_target_makes_a_file_of_its_own() -> None:
    text = created(
        """
        add_library(ext SHARED csrc/bindings.cpp csrc/norm.cpp)
        set_target_properties(ext PROPERTIES PREFIX "" OUTPUT_NAME "_C" CXX_STANDARD 17)
        set_property(TARGET ext PROPERTY LIBRARY_OUTPUT_NAME _C)
        """,
        "csrc/norm.cpp",
    )
    name = text[text.index("add_library(", text.index("add_library(") + 1) :].split("(", 1)[1].split()[0]
    assert f'set_target_properties({name} PROPERTIES PREFIX "" OUTPUT_NAME "{name}" CXX_STANDARD 17)' in text
    assert f"set_property(TARGET {name} PROPERTY LIBRARY_OUTPUT_NAME {name})" in text
    assert 'set_target_properties(ext PROPERTIES PREFIX "" OUTPUT_NAME "_C" CXX_STANDARD 17)' in text


def test_a_file_name_from_outside_is_by_hand() -> None:
    cmake = """
    add_library(ext SHARED csrc/bindings.cpp csrc/norm.cpp)
    set_target_properties(ext PROPERTIES OUTPUT_NAME ${FILE_NAME})
    """
    planned = plan({"CMakeLists.txt": dedent(cmake)}, ["csrc/norm.cpp"], created=["csrc/stable/bindings.cpp"])
    (found,) = planned.diagnostics("TSA613")
    assert "FILE_NAME" in found.message
    assert planned.place(found) == "${FILE_NAME}"
    assert found.severity is Severity.ERROR
    known = "set(FILE_NAME _C)\n" + dedent(cmake)
    assert not plan({"CMakeLists.txt": known}, ["csrc/norm.cpp"], created=["csrc/stable/bindings.cpp"]).diagnostics(
        "TSA613"
    )


def test_a_target_inside_a_condition_stays_inside_it() -> None:
    text = created(
        """
        if(BUILD_EXT)
          set(EXT_SRC csrc/bindings.cpp csrc/norm.cpp)
          add_ext(_C SOURCES ${EXT_SRC} USE_SABI 3)
        endif()
        """,
        "csrc/norm.cpp",
    )
    assert "  add_ext(_C_stable SOURCES ${STABLE_EXT_SRC} USE_SABI 3)\n" in text
    assert text.endswith("endif()\n")
    assert text.count("if(BUILD_EXT)") == 1


def test_a_project_without_the_limited_api_is_told() -> None:
    cmake = "add_library(_C MODULE csrc/bindings.cpp csrc/norm.cpp)\n"
    planned = plan({"CMakeLists.txt": cmake}, ["csrc/norm.cpp"], created=["csrc/stable/bindings.cpp"])
    assert any("limited API" in diagnostic.message for diagnostic in planned.diagnostics("TSA602"))


WIDE = """
if(HIP_FOUND)
  set(LANG "HIP")
else()
  set(LANG "CUDA")
endif()
set(EXT_SRC csrc/bindings.cpp csrc/norm.cu)
add_ext(_C SOURCES ${EXT_SRC})

# add HIP once it works: OR LANG STREQUAL "HIP"
if(LANG STREQUAL "CUDA")
  set(STABLE_EXT_SRC
    "csrc/stable/bindings.cpp"
    "csrc/stable/cuda_only.cu")
  if(FAST)
    list(APPEND STABLE_EXT_SRC "csrc/stable/fast.cu")
  endif()

  add_ext(_C_stable SOURCES ${STABLE_EXT_SRC})
  target_compile_definitions(_C_stable PRIVATE TORCH_TARGET_VERSION=0x020b000000000000ULL)
  target_compile_definitions(_C_stable PRIVATE USE_CUDA)
endif()
"""


def test_a_stable_target_is_built_wherever_its_new_sources_were() -> None:
    """A source that was built for HIP too does not get lost on HIP; what was CUDA's stays CUDA's."""
    planned = plan({"CMakeLists.txt": WIDE, "macros.cmake": MACRO}, ["csrc/norm.cu"])
    text = planned.text("CMakeLists.txt")
    assert text[text.index("add_ext(_C SOURCES") :] == dedent("""\
        add_ext(_C SOURCES ${EXT_SRC})

        if(LANG STREQUAL "CUDA" OR LANG STREQUAL "HIP")
          set(STABLE_EXT_SRC
            "csrc/stable/bindings.cpp"
            "csrc/stable/norm.cu")

          if(LANG STREQUAL "CUDA")
            list(APPEND STABLE_EXT_SRC
              "csrc/stable/cuda_only.cu")
          if(FAST)
            list(APPEND STABLE_EXT_SRC "csrc/stable/fast.cu")
          endif()

          # if LANG STREQUAL "CUDA"
          endif()

          add_ext(_C_stable SOURCES ${STABLE_EXT_SRC})
          target_compile_definitions(_C_stable PRIVATE TORCH_TARGET_VERSION=0x020b000000000000ULL)
          if(LANG STREQUAL "CUDA")
            target_compile_definitions(_C_stable PRIVATE USE_CUDA)
          elseif(LANG STREQUAL "HIP")
            target_compile_definitions(_C_stable PRIVATE USE_ROCM)
          endif()
        endif()
        """)
    (found,) = planned.diagnostics("TSA603")
    assert "HIP" in found.message
    assert "once it works" in found.message


def test_a_condition_that_cannot_be_widened_is_an_error() -> None:
    cmake = WIDE.replace('if(LANG STREQUAL "CUDA")', "if(BUILD_STABLE AND EXTRA)")
    planned = plan({"CMakeLists.txt": cmake, "macros.cmake": MACRO}, ["csrc/norm.cu"])
    (found,) = planned.diagnostics("TSA608")
    assert "csrc/norm.cu" in found.message


def test_a_list_has_a_name_that_cmake_takes() -> None:
    text = created(
        'Python_add_library(_C.fast MODULE "csrc/bindings.cpp" "csrc/norm.cpp")\n', "csrc/norm.cpp", macro=""
    )
    assert "set(C_FAST_STABLE_SOURCES" in text
    assert "${C_FAST_STABLE_SOURCES}" in text
