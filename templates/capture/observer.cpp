// Sees every call that passes through the dispatcher, wherever it comes from: Python, TorchScript, C++, another thread.
// Built on demand for the torch of the program that is watched; it is part of no extension and is not shipped.
//
// NDEBUG has to be defined: without it the header gives RecordFunction other members than the library has.
#ifndef NDEBUG
#error "compile with -DNDEBUG"
#endif

#include <ATen/record_function.h>
#include <torch/csrc/jit/python/pybind_utils.h>
#include <torch/csrc/utils/pybind.h>

#include <dlfcn.h>

#include <cstdio>
#include <string>
#include <unordered_set>
#include <vector>

// The table of coverage.cpp, which is loaded before this: nothing of torch may be in the global scope with it.
#include "coverage.h"

namespace coverage = torch_stabilize::coverage;

namespace {

std::unordered_set<std::string> wanted;
PyObject* tell = nullptr; // called with name, overload, arguments; kept until the process ends
thread_local int inside = 0; // calls of a wanted operator that this thread is in
thread_local bool telling = false;

struct Entered : at::ObserverContext {
  PyObject* kept = nullptr; // what is told of the blocks that the call reached, once it is over
};

void begin_blocks() {
  coverage::call.store(++coverage::calls, std::memory_order_relaxed);
}

// The blocks that the last call reached, or all of them: "file+0xoffset", the offset of the address behind the call.
std::vector<std::string> blocks_of(bool all) {
  std::vector<std::string> found;
  const uint32_t last = coverage::calls.load();
  for (const auto& block : coverage::blocks) {
    const uintptr_t address = block.address.load(std::memory_order_relaxed);
    Dl_info info;
    if (address == 0 || (!all && block.call.load(std::memory_order_relaxed) != last) ||
        dladdr(reinterpret_cast<void*>(address), &info) == 0 || info.dli_fname == nullptr) {
      continue;
    }
    char offset[32]; // no stream: one of another libstdc++ than the compiler's may be loaded
    std::snprintf(offset, sizeof(offset), "+0x%zx", static_cast<size_t>(address - reinterpret_cast<uintptr_t>(info.dli_fbase)));
    found.push_back(info.dli_fname + std::string(offset));
  }
  return found;
}

bool is_wanted(const char* name) {
  return name != nullptr && wanted.count(name) != 0;
}

std::unique_ptr<at::ObserverContext> on_start(const at::RecordFunction& function) {
  if (telling || tell == nullptr || !is_wanted(function.name())) {
    return nullptr;
  }
  const bool nested = inside++ > 0;
  auto entered = std::make_unique<Entered>();
  const auto name = function.operator_name();
  py::gil_scoped_acquire gil;
  telling = true;
  try {
    py::list arguments;
    for (const auto& value : function.inputs()) {
      arguments.append(torch::jit::toPyObject(value));
    }
    const py::handle callable(tell);
    const py::object kept = callable(function.name(), name ? name->overload_name : std::string(), arguments, nested);
    if (!kept.is_none()) {
      entered->kept = py::object(kept).release().ptr();
    }
  } catch (py::error_already_set& error) {
    error.discard_as_unraisable("torch-stabilize capture"); // a fault here must not change what the program does
  } catch (const std::exception& error) {
    PyErr_SetString(PyExc_RuntimeError, error.what());
    PyErr_WriteUnraisable(nullptr);
  }
  telling = false;
  if (!nested) {
    begin_blocks();
  }
  return entered;
}

void on_end(const at::RecordFunction& /*function*/, at::ObserverContext* context) {
  if (context == nullptr) {
    return;
  }
  if (--inside == 0) {
    coverage::call.store(0, std::memory_order_relaxed);
  }
  auto* entered = static_cast<Entered*>(context);
  if (entered->kept == nullptr) {
    return;
  }
  py::gil_scoped_acquire gil;
  const auto kept = py::reinterpret_steal<py::object>(entered->kept);
  try {
    kept(blocks_of(false));
  } catch (py::error_already_set& error) {
    error.discard_as_unraisable("torch-stabilize capture");
  }
}

} // namespace

PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
  m.def("observe", [](const std::vector<std::string>& names, py::object callback) {
    wanted.insert(names.begin(), names.end());
    if (tell == nullptr) {
      at::addGlobalCallback(at::RecordFunctionCallback(on_start, on_end)
                                .needsInputs(true)
                                .scopes({at::RecordScope::FUNCTION}));
    }
    tell = callback.release().ptr();
  });
  // A call of a function that is no operator: operators that it calls are nested ones.
  m.def("enter", [] { return inside++ > 0; });
  m.def("begin", &begin_blocks);
  m.def("leave", [] {
    if (--inside == 0) {
      coverage::call.store(0, std::memory_order_relaxed);
    }
  });
  m.def("blocks", &blocks_of);
}
