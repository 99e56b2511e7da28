# Functions for building extension modules. Nothing here knows what this
# project builds.

# Adds a Python module that holds a torch operator library.
#
#   define_extension_target(_C
#     DESTINATION samplex          # package to install into
#     LANGUAGE CUDA                # CXX or CUDA
#     SOURCES a.cpp b.cu
#     COMPILE_DEFINITIONS X Y=1    # optional
#     INCLUDE_DIRECTORIES a b      # optional
#     ARCHITECTURES 90a            # optional, CUDA only
#     USE_SABI 3.10)               # lowest CPython that can import it
function(define_extension_target NAME)
  cmake_parse_arguments(PARSE_ARGV 1 EXT "" "DESTINATION;LANGUAGE;USE_SABI"
                        "SOURCES;COMPILE_DEFINITIONS;INCLUDE_DIRECTORIES;ARCHITECTURES")

  Python_add_library(${NAME} MODULE USE_SABI ${EXT_USE_SABI} WITH_SOABI
                     ${EXT_SOURCES})
  set_target_properties(${NAME} PROPERTIES
    CXX_STANDARD 20
    CXX_STANDARD_REQUIRED ON
    CXX_VISIBILITY_PRESET hidden)
  target_compile_definitions(${NAME} PRIVATE
    TORCH_EXTENSION_NAME=${NAME} ${EXT_COMPILE_DEFINITIONS})
  target_include_directories(${NAME} SYSTEM PRIVATE
                             ${EXT_INCLUDE_DIRECTORIES})
  target_link_libraries(${NAME} PRIVATE ${TORCH_LIBRARIES})

  if(EXT_LANGUAGE STREQUAL "CUDA")
    set_target_properties(${NAME} PROPERTIES
      CUDA_STANDARD 20
      CUDA_STANDARD_REQUIRED ON
      CUDA_ARCHITECTURES "${EXT_ARCHITECTURES}")
  endif()

  install(TARGETS ${NAME} LIBRARY DESTINATION ${EXT_DESTINATION})
endfunction()

# Compiles SRCS for CUDA_ARCHS as well as for what their target is built for,
# for kernels that need instructions of one chip.
#
#   set_gencode_flags_for_srcs(SRCS a.cu CUDA_ARCHS 90a)
function(set_gencode_flags_for_srcs)
  cmake_parse_arguments(PARSE_ARGV 0 ARG "" "" "SRCS;CUDA_ARCHS")

  set(FLAGS)
  foreach(ARCH IN LISTS ARG_CUDA_ARCHS)
    list(APPEND FLAGS "-gencode=arch=compute_${ARCH},code=sm_${ARCH}")
  endforeach()
  set_property(SOURCE ${ARG_SRCS} APPEND PROPERTY
    COMPILE_OPTIONS "$<$<COMPILE_LANGUAGE:CUDA>:${FLAGS}>")
endfunction()
