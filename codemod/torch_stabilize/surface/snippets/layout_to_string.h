#include <torch/headeronly/core/Layout.h>

#include <string>

// A layout for a message: "Strided".
inline std::string layout_to_string(torch::headeronly::Layout layout) {
  using torch::headeronly::Layout;
  switch (layout) {
    case Layout::Strided: return "Strided";
    case Layout::Sparse: return "Sparse";
    case Layout::SparseCsr: return "SparseCsr";
    case Layout::SparseCsc: return "SparseCsc";
    case Layout::SparseBsr: return "SparseBsr";
    case Layout::SparseBsc: return "SparseBsc";
    case Layout::Mkldnn: return "Mkldnn";
    case Layout::Jagged: return "Jagged";
    default: return "layout " + std::to_string(static_cast<int>(layout));
  }
}
