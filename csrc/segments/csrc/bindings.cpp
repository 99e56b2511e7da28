#include <torch/extension.h>

#include "segments.h"

PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
  m.doc() = "Reductions over segments of rows, and a soft threshold.";
  m.def("segment_mean_forward", &segment_mean_forward, "Means and lengths of segments", py::arg("x"), py::arg("offsets"));
  m.def("segment_mean_backward", &segment_mean_backward, "The gradient of x", py::arg("grad"), py::arg("offsets"),
        py::arg("length"), py::arg("rows"));
  m.def("scale_rows_", &scale_rows_, "Multiplies rows in place", py::arg("x"), py::arg("weight"));
  m.def("weighted_sum", &weighted_sum, py::arg("parts"), py::arg("weights") = py::none());
  m.def("soft_threshold", &soft_threshold, py::arg("x"), py::arg("by") = 0.5);
  m.def("row_max", &row_max, py::arg("x"), py::arg("bias") = py::none());
}
