"""For which backends a function can run, by what its body does: `bindings/effects/backends.py`."""

from __future__ import annotations

import pytest
from torch_stabilize.bindings.effects.backends import BackendFinder, Backends
from torch_stabilize.bindings.effects.bodies import CPU
from torch_stabilize.bindings.effects.program import Program
from torch_stabilize.source.document import Document

HEADER = "void launch_scale(float* p, int64_t n);\n"
LAUNCHER = """
__global__ void scale(float* p, int64_t n) { p[threadIdx.x] *= 2; }
void launch_scale(float* p, int64_t n) { scale<<<1, n>>>(p, n); }
"""
POINTER = "at::Tensor f(const at::Tensor& x) { auto p = x.data_ptr<float>(); p[0] = 1; return x; }"


def backends(**files: str) -> Backends:
    """What `f` is found to need; keywords are file names with `__` for the dot."""
    documents = [Document(name.replace("__", "."), text.encode()) for name, text in files.items()]
    finder = BackendFinder(Program(documents))
    document, function = next(one for one in finder.program.functions.named("f") if one[1].is_definition)
    return finder.of_function(document, function)


@pytest.mark.parametrize(
    "body",
    [
        "return at::tanh(x) * 2 + x;",
        "TORCH_CHECK(x.sizes().size() == 2, x.sizes()); return x.sum(0).reshape({-1});",
        "return x.item<double>() > 0 ? x.to(at::kCPU) : x;",
        "std::vector<int64_t> n = {1, 2}; n.data()[0] = 3; return at::zeros(n, x.options());",
        "return helper(x);",
    ],
)
def test_ops_of_torch_alone_are_composite(body: str) -> None:
    """No pointer is taken, and no kernel launched."""
    text = f"static at::Tensor helper(at::Tensor x) {{ return x + 1; }}\nat::Tensor f(const at::Tensor& x) {{ {body} }}"
    assert backends(a__cpp=text) == Backends()


@pytest.mark.parametrize(
    ("files", "keys"),
    [
        ({"a__cpp": POINTER}, ("CPU",)),
        ({"a__cpp": "at::Tensor f(at::Tensor x) { auto a = x.accessor<float, 1>(); a[0] = 1; return x; }"}, ("CPU",)),
        ({"a__cpp": "void g(at::Tensor x) { x.data_ptr(); }\nvoid f(at::Tensor x) { return g(x); }"}, ("CPU",)),
        ({"a__cpp": "struct G { static void run(at::Tensor x) { x.data_ptr(); } };\nvoid f(at::Tensor x) { G::run(x); }"},
         ("CPU",)),
        ({"a__cpp": "#define TOUCH(x) x.data_ptr<float>()\nvoid f(at::Tensor x) { TOUCH(x)[0] = 1; }"}, ("CPU",)),
        ({"a__cu": "__global__ void k(float* p) {}\nvoid f(at::Tensor x) { k<<<1, 1>>>(x.data_ptr<float>()); }"},
         ("CUDA",)),
        ({"a__cpp": HEADER + "void f(at::Tensor x) { launch_scale(x.data_ptr<float>(), 1); }", "b__cu": LAUNCHER},
         ("CUDA",)),
        ({"a__cpp": "void f(at::Tensor x) { if (x.is_cuda()) { g_gpu(x); return; } x.data_ptr<float>()[0] = 1; }",
          "b__cu": LAUNCHER + "void g_gpu(at::Tensor x) { launch_scale(x.data_ptr<float>(), 1); }"}, ("CPU", "CUDA")),
        ({"a__cpp": "at::Tensor f(at::Tensor x) { if (x.device().is_cuda()) return g_gpu(x);\n  return x.sum(0) / 2; }",
          "b__cu": LAUNCHER + "at::Tensor g_gpu(at::Tensor x) { launch_scale(x.data_ptr<float>(), 1); return x; }"},
         ("CPU", "CUDA")),  # the other arm is put together from ops
        ({"a__cpp": "#define ON_GPU(x) TORCH_CHECK(x.is_cuda(), #x)\nvoid run(void*);\n"
                    "void f(at::Tensor x) { ON_GPU(x); run(x.data_ptr()); }"}, ("CUDA",)),
        ({"a__cpp": "void f(at::Tensor x) { TORCH_CHECK(x.device().is_cpu()); run(x.data_ptr()); }"}, ("CPU",)),
    ],
)  # fmt: skip
def test_what_touches_memory_runs_for_its_devices(files: dict[str, str], keys: tuple[str, ...]) -> None:
    """Through what it calls too, in other files and in macros."""
    assert backends(**files).keys == keys


def test_what_is_defined_nowhere_is_not_known() -> None:
    """A declaration alone does not say what its function touches."""
    assert not backends(a__cpp=HEADER + "void f(at::Tensor x) { launch_scale(x.data_ptr<float>(), 1); }").is_known
    assert backends(a__cpp=POINTER).is_known


def test_a_function_that_many_ways_lead_to_is_looked_at_once() -> None:
    """Each of 40 steps is called by both of the step before: 2^40 ways."""
    last = "static void left40(at::Tensor p) { p.data_ptr<float>()[0] = 1; }\nstatic void right40(at::Tensor p) { left1(p); }\n"
    steps = "".join(
        f"static void {side}{n}(at::Tensor p) {{ left{n + 1}(p); right{n + 1}(p); }}\n"
        for n in range(39, 0, -1)
        for side in ("left", "right")
    )
    assert backends(a__cpp=last + steps + "void f(at::Tensor p) { left1(p); right1(p); }") == Backends((CPU,))


LAUNCH = "__global__ void k(float* p) {}\nvoid g(at::Tensor x) { k<<<1, 1>>>(x.data_ptr<float>()); }\n"


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("struct Table { float* data_ptr() { return p; } float* p; };\n"
         "at::Tensor f(at::Tensor x) { Table t; t.data_ptr(); return x; }", ()),
        ("namespace { float cublasLikeScale(float n) { return n * 2; } }\n"
         "at::Tensor f(at::Tensor x) { return x * cublasLikeScale(2); }", ()),
        ("void gpu_kernel(at::Tensor& x) { x.mul_(2); }\nvoid f(at::Tensor x) { gpu_kernel(x); }", ()),
        ("at::Tensor f(at::Tensor x) { bool TOUCH = true; auto launch = [&] { return x + 1; }; return launch(); }", ()),
        ("void f(at::Tensor x, at::Tensor n) { TORCH_CHECK(x.is_cuda() == n.is_cuda()); x.data_ptr(); }", ("CPU",)),
        ("void f(at::Tensor x, bool b) { TORCH_CHECK(b || x.is_cuda(), 1); x.data_ptr(); }", ("CPU",)),
        ("void f(at::Tensor x) { TORCH_CHECK(x.dim() == 1, x.is_cuda()); x.data_ptr(); }", ("CPU",)),
        ("void f(at::Tensor x) { auto y = x.dim() > 1 ? x.to(at::kCUDA) : x; y.data_ptr(); }", ("CPU",)),
        ("struct G { int run; };\nint run(int n) { return n; }\nat::Tensor f(G g) { return at::ones({g.run}); }", ()),
    ],
)  # fmt: skip
def test_what_looks_like_a_kernel_or_a_check_is_none(text: str, keys: tuple[str, ...]) -> None:
    """Own classes and functions with the names of others, and devices that are compared or printed."""
    assert backends(a__cpp=text).keys == keys


@pytest.mark.parametrize(
    ("files", "keys"),
    [
        ({"a__cpp": "void f(at::Tensor x) { if (!x.is_cuda()) throw std::runtime_error(\"no\"); x.data_ptr(); }"},
         ("CUDA",)),
        ({"a__cpp": "void f(at::Tensor x) { if (x.is_cpu()) { AT_ERROR(\"no\"); } else { x.data_ptr(); } }"}, ("CPU",)),
        ({"a__cpp": "#define MUST(c) do { if (!(c)) throw 1; } while (0)\n"
                    "void f(at::Tensor x) { MUST(x.device().type() == at::kCUDA); x.data_ptr(); }"}, ("CUDA",)),
        ({"a__cpp": "#define OWN(c, ...) TORCH_CHECK((c), __VA_ARGS__)\n"
                    "void f(at::Tensor x) { OWN(x.is_cuda() && x.dim() == 2, 1); x.data_ptr(); }"}, ("CUDA",)),
        ({"a__cu": LAUNCH + "void f(at::Tensor x, at::Tensor n) { TORCH_CHECK(n.is_cpu()); g(x); n.data_ptr<int>(); }"},
         ("CUDA",)),
        ({"a__cu": LAUNCH + "void h(at::Tensor x) { x.data_ptr(); }\nvoid f(at::Tensor x) {\n"
                            "  switch (x.device().type()) { case at::kCUDA: g(x); break; default: h(x); } x.data_ptr(); }"},
         ("CPU", "CUDA")),
        ({"a__cu": LAUNCH + "void f(at::Tensor x) { const bool gpu = x.is_cuda(); x.data_ptr(); if (gpu) g(x); }"},
         ("CPU", "CUDA")),
        ({"a__cu": LAUNCH + "template <class F> void each(at::Tensor x, F run) { run(x); }\nvoid f(at::Tensor x) { each(x, g); }"},
         ("CUDA",)),
        ({"a__h": "struct Net { void run(at::Tensor x); };", "a__cu": LAUNCH + "void Net::run(at::Tensor x) { g(x); }",
          "b__cpp": "void f(at::Tensor x) { Net n; n.run(x); }"}, ("CUDA",)),
        ({"a__h": "struct Base { void go(at::Tensor x) { x.data_ptr(); } };\nstruct Net : Base {};",
          "b__cpp": "void f(at::Tensor x) { Net().go(x); }"}, ("CPU",)),
        ({"a__cu": "#define launch(k, n, p) k<<<n, 256>>>(p)\nvoid f(at::Tensor x) { launch(k, 1, x.data_ptr()); }"},
         ("CUDA",)),
        ({"a__cpp": "void f(at::Tensor x) { cublasSgemm(0, x.data_ptr<float>()); }"}, ("CUDA",)),
        ({"a__cpp": "void scale(float* p, cudaStream_t s);\nvoid f(at::Tensor x, at::Tensor y) { scale(x.data_ptr<float>(), 0); }"},
         ("CUDA",)),
        ({"a__cpp": "void scale(float* p);\nvoid f(at::Tensor x) { scale(x.data_ptr<float>()); }"}, ("CPU", "CUDA")),
    ],
)  # fmt: skip
def test_devices_are_found_by_what_decides_them(files: dict[str, str], keys: tuple[str, ...]) -> None:
    """Checks of any form, functions that are handed on, members defined elsewhere, macros in small letters."""
    assert backends(**files).keys == keys
