#pragma once

#include <Python.h>

#define SAMPLEX_CONCAT_TOKENS(A, B) A##B
#define SAMPLEX_CONCAT(A, B) SAMPLEX_CONCAT_TOKENS(A, B)

#define SAMPLEX_QUOTE_TOKEN(A) #A
#define SAMPLEX_QUOTE(A) SAMPLEX_QUOTE_TOKEN(A)

// TORCH_LIBRARY pastes its first argument as it stands. These expand it first,
// so that the namespace can be a macro that the build defines.
#define TORCH_LIBRARY_EXPAND(NAME, MODULE) TORCH_LIBRARY(NAME, MODULE)

#define TORCH_LIBRARY_IMPL_EXPAND(NAME, KEY, MODULE) \
  TORCH_LIBRARY_IMPL(NAME, KEY, MODULE)

// An empty Python module: importing it loads the library, and loading the
// library runs the registrations.
#define REGISTER_EXTENSION(NAME)                                          \
  PyMODINIT_FUNC SAMPLEX_CONCAT(PyInit_, NAME)() {                        \
    static struct PyModuleDef definition = {                              \
        PyModuleDef_HEAD_INIT, SAMPLEX_QUOTE(NAME), nullptr, 0, nullptr}; \
    return PyModule_Create(&definition);                                  \
  }
