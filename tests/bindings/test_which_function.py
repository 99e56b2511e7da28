"""Which function a registration means, where several have its name."""

from __future__ import annotations

from tests.bindings.trees import BINDINGS, STABLE_BINDINGS, migrate


def _unit(namespace: str, op: str, parameters: str) -> str:
    return f"""
        namespace {namespace} {{
        void mm({parameters}) {{}}
        TORCH_LIBRARY_IMPL_EXPAND(TORCH_EXTENSION_NAME, CUDA, m) {{
          m.impl("{op}", &mm);
        }}
        }}  // namespace {namespace}
    """


def test_a_unit_that_stays_registers_its_own_function() -> None:
    made = migrate(
        {
            "csrc/dense.cu": _unit("dense", "dense_mm", "torch::Tensor& out, const torch::Tensor& a"),
            "csrc/packed.cu": _unit("packed", "packed_mm", "torch::Tensor& out"),
            BINDINGS: """
                TORCH_LIBRARY_EXPAND(TORCH_EXTENSION_NAME, m) {
                  m.def("dense_mm(Tensor! out, Tensor a) -> ()");
                  m.def("packed_mm(Tensor! out) -> ()");
                }
            """,
        },
        ["csrc/packed.cu"],
    )
    assert not made.diagnostics
    assert "packed_mm" in made.text(STABLE_BINDINGS)
    assert "dense_mm" in made.text(BINDINGS)
    assert "dense_mm" not in made.text(STABLE_BINDINGS)


def test_a_stub_in_the_other_arm_is_no_overload() -> None:
    unit = """
        #if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 750
        void gemm(torch::Tensor& out) {}
        #else
        void gemm(torch::Tensor& out, const torch::Tensor& a) { out.zero_(); }
        #endif
        TORCH_LIBRARY_IMPL_EXPAND(TORCH_EXTENSION_NAME, CUDA, m) {
          m.impl("gemm", &gemm);
        }
    """
    bindings = """
        TORCH_LIBRARY_EXPAND(TORCH_EXTENSION_NAME, m) {
          m.def("gemm(Tensor! out, Tensor a) -> ()");
        }
    """
    made = migrate({"csrc/gemm.cu": unit, BINDINGS: bindings}, ["csrc/gemm.cu"])
    assert 'm.impl("gemm", TORCH_BOX(&gemm));' in made.text("csrc/gemm.cu")


def test_overloads_of_as_many_parameters_are_told_apart() -> None:
    unit = """
        void scale(torch::Tensor& out, double factor) {}
        void scale(torch::Tensor& out, int64_t factor) {}
        TORCH_LIBRARY_IMPL_EXPAND(TORCH_EXTENSION_NAME, CUDA, m) {
          m.impl("scale", static_cast<void (*)(torch::Tensor&, int64_t)>(&scale));
        }
    """
    bindings = """
        TORCH_LIBRARY_EXPAND(TORCH_EXTENSION_NAME, m) {
          m.def("scale(Tensor! out, int factor) -> ()");
        }
    """
    made = migrate({"csrc/scale.cu": unit, BINDINGS: bindings}, ["csrc/scale.cu"])
    assert "static void scale_boxed(torch::stable::Tensor& out, int64_t factor)" in made.text("csrc/scale.cu")
