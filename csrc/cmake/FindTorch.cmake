# Finds torch for a build without GPU kernels, whichever build of torch is
# installed. Its own configuration stops where the toolkit that it was built
# with is missing; the headers and libraries that a CPU build takes are there
# all the same. Put this folder on CMAKE_MODULE_PATH to have it used.
#
# Defines the target torch, TORCH_LIBRARIES, TORCH_INCLUDE_DIRS, Torch_VERSION.
# A torch that Torch_DIR names is found with its own configuration.
if(Torch_DIR)
  find_package(Torch CONFIG)
  return()
endif()

set(PLACES ${CMAKE_PREFIX_PATH})
list(TRANSFORM PLACES APPEND "/Torch")
find_file(TORCH_VERSION_FILE TorchConfigVersion.cmake
  PATHS ${PLACES} NO_DEFAULT_PATH)
mark_as_advanced(TORCH_VERSION_FILE)
if(TORCH_VERSION_FILE)
  include(${TORCH_VERSION_FILE})
  set(Torch_VERSION ${PACKAGE_VERSION})
  # share/cmake/Torch is where the file is.
  get_filename_component(TORCH_ROOT ${TORCH_VERSION_FILE} DIRECTORY)
  get_filename_component(TORCH_ROOT ${TORCH_ROOT}/../../.. ABSOLUTE)
  set(TORCH_INCLUDE_DIRS
    ${TORCH_ROOT}/include ${TORCH_ROOT}/include/torch/csrc/api/include)
  foreach(LIBRARY torch_cpu c10)
    find_library(TORCH_${LIBRARY} ${LIBRARY}
      PATHS ${TORCH_ROOT}/lib NO_DEFAULT_PATH)
    mark_as_advanced(TORCH_${LIBRARY})
  endforeach()
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(Torch
  REQUIRED_VARS TORCH_torch_cpu TORCH_c10 TORCH_INCLUDE_DIRS
  VERSION_VAR Torch_VERSION)

if(Torch_FOUND)
  if(NOT TARGET torch)
    add_library(torch INTERFACE IMPORTED)
    target_include_directories(torch INTERFACE ${TORCH_INCLUDE_DIRS})
    target_link_libraries(torch INTERFACE
      ${TORCH_torch_cpu} ${TORCH_c10})
  endif()
  set(TORCH_LIBRARIES torch)
endif()
