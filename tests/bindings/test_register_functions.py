"""Functions that register for the Python module that calls them."""

from __future__ import annotations

from dataclasses import replace

from torch_stabilize.repository.layout import Library

from tests.bindings.trees import LAYOUT, Migrated, dedented, migrate

API, STATS = "csrc/api.cpp", "csrc/stats.cpp"
FILES = {
    API: """
        #include <torch/extension.h>

        namespace py = pybind11;

        void init_stats(py::module_& m);

        at::Tensor same(at::Tensor x) { return x.clone(); }

        PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
          m.def("same", &same);
          init_stats(m);
        }
    """,
    STATS: """
        #include <torch/extension.h>

        double total(const at::Tensor& x) { return x.sum().item<double>(); }

        void init_stats(pybind11::module_& m) {
          m.def("total", &total, py::arg("x"));
        }
    """,
}
LEGACY = replace(LAYOUT, legacy_bindings=(API,), libraries=(Library("_C", (API,)),))


def migrated(*units: str) -> Migrated:
    return migrate(FILES, units, LEGACY)


def test_they_become_registrations_where_they_stand() -> None:
    made = migrated(API, STATS)
    assert made.lost == ()
    assert "TSA517" not in made.codes
    text = made.text(STATS)
    assert "init_stats" not in text + made.text(API)
    assert 'm.def("total(Tensor x) -> float");' in text
    assert 'm.impl("total", TORCH_BOX(&total));' in text
    assert "pybind11" not in made.text(API)
    assert (text + made.text(API)).count("PyInit__C_stable_libtorch") == 1


def test_the_module_that_stays_calls_them_no_more() -> None:
    made = migrated(STATS)
    assert made.text(API) == dedented("""
        #include <torch/extension.h>

        namespace py = pybind11;

        at::Tensor same(at::Tensor x) { return x.clone(); }

        PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
          m.def("same", &same);
        }
    """)
    assert "PyInit__C_stable_libtorch()" in made.text(STATS)
    assert made.lost == ()
