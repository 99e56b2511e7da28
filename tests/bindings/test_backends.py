"""For which backends a function can run, by what its body does: `bindings/effects/backends.py`."""

from __future__ import annotations

import pytest
from torch_stabilize.bindings.effects.backends import CPU, BackendFinder, Backends
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
