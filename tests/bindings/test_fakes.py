"""Fake kernels from C++ bodies: `bindings/fakes`, and the Python module that they are written into."""

from __future__ import annotations

from dataclasses import replace

import pytest
from torch_stabilize.bindings.fakes.derive import Helper, derived
from torch_stabilize.model import Severity
from torch_stabilize.repository.layout import Library

from tests.bindings.trees import LAYOUT, STABLE_BINDINGS, Migrated, dedented, migrate

NAMES = {"x": "x", "k": "k", "w": "weight"}


@pytest.mark.parametrize(
    ("body", "lines"),
    [
        ("auto y = torch::empty_like(x); y.data_ptr<float>()[0] = 1; return y;", ["return torch.empty_like(x)"]),
        ("auto y = at::zeros({x.size(0), k}, x.options().dtype(at::kInt)); fill(y); return y;",
         ["return torch.zeros((x.size(0), k), dtype=torch.int32, device=x.device)"]),
        ("const int64_t n = w.size(-1), m = (n + k - 1) / k; at::Tensor y = x.new_empty({m}); return y;",
         ["n = weight.size(-1)", "m = (n + k - 1) // k", "return x.new_empty((m,))"]),
        ("auto in = x.contiguous(); auto y = at::empty_like(in); for (int i = 0; i < k; ++i) y.data_ptr<float>()[i] = i;"
         " return y;", ["in_ = x.contiguous()", "return torch.empty_like(in_)"]),
        ("x = x.contiguous(); auto y = torch::ones_like(x, x.scalar_type()); if (k == 0) return y; return y;",
         ["return torch.ones_like(x, dtype=x.dtype)"]),
        ("return at::empty_symint({k, x.sym_size(1)}, x.options());",
         ["return torch.empty((k, x.size(1)), dtype=x.dtype, device=x.device)"]),
        ("auto o = torch::TensorOptions().dtype(torch::kFloat16).device(x.device());\n"
         "auto y = torch::full({std::max<int64_t>(k, 1)}, 0, o); return y;", None),
        ("auto o = torch::TensorOptions().dtype(torch::kFloat16).device(x.device());\n"
         "auto y = torch::full({std::max(k, x.dim())}, 0, o); return y;",
         ["return torch.full((max(k, x.dim()),), 0, dtype=torch.float16, device=x.device)"]),
    ],
)  # fmt: skip
def test_new_tensors_of_sizes_that_the_arguments_tell(body: str, lines: list[str] | None) -> None:
    """What is used of the body's own values comes along, under names that Python can have."""
    assert derived(f"{{ {body} }}".encode(), NAMES, 1) == lines


@pytest.mark.parametrize(
    "body",
    [
        "auto y = at::empty_like(x); return y * 2;",
        "auto y = at::empty_like(x); if (k) y = at::empty({k}); return y;",
        "auto y = at::empty_like(x); y.resize_({k}); return y;",
        "if (k) return at::empty_like(x); return at::empty({k});",
        "std::vector<int64_t> s = x.sizes().vec(); s[0] = k; return at::empty(s, x.options());",
        "int64_t n = 0; for (int64_t i = 0; i < k; ++i) ++n; return at::empty({n}, x.options());",
        "return at::empty({count(x)}, x.options());",
        "return x;",
        "x.copy_(w); auto y = x.to(at::kFloat); return y;",
    ],
)
def test_results_that_the_body_does_not_tell(body: str) -> None:
    """No guess is made: views, results of ops, values that change, and functions of the project."""
    assert derived(f"{{ {body} }}".encode(), NAMES, 1) is None


@pytest.mark.parametrize(
    ("made", "python"),
    [
        ("x.new_full({k}, 1.5f, at::kFloat)", "x.new_full((k,), 1.5, dtype=torch.float32)"),
        ("at::empty({x.size(0) > k ? k : -k}, x.options())",
         "torch.empty(((k if x.size(0) > k else -k),), dtype=x.dtype, device=x.device)"),
        ("at::zeros({x.sizes()[0]}, x.options().requires_grad(false))",
         "torch.zeros((x.shape[0],), dtype=x.dtype, device=x.device)"),
        ("at::empty({static_cast<int64_t>(k)}, torch::dtype(at::kInt))", "torch.empty((k,), dtype=torch.int32)"),
        ("at::empty({k / 2}, torch::device(at::kCUDA))", 'torch.empty((k // 2,), device="cuda")'),
        ("at::empty({k}, at::kCPU)", 'torch.empty((k,), device="cpu")'),
        ("at::empty({k}, at::TensorOptions())", "torch.empty((k,))"),
        ("at::empty({k}, at::dtype(at::kInt).device(w.device()))",
         "torch.empty((k,), dtype=torch.int32, device=weight.device)"),
        ("at::empty({k}, w.scalar_type())", "torch.empty((k,), dtype=weight.dtype)"),
        ("at::empty(w.view({k, 2}).sizes().vec(), w.options())",
         "torch.empty(weight.view((k, 2)).shape, dtype=weight.dtype, device=weight.device)"),
        ("at::empty_like(w.to(at::kHalf))", "torch.empty_like(weight.to(torch.float16))"),
        ("at::empty_like(x.transpose(0, 1))", "torch.empty_like(x.transpose(0, 1))"),
        ("at::full({k}, false, at::kBool)", "torch.full((k,), False, dtype=torch.bool)"),
        ("at::empty({std::move(k)}, x.options())", "torch.empty((k,), dtype=x.dtype, device=x.device)"),
    ],
)  # fmt: skip
def test_sizes_and_options(made: str, python: str) -> None:
    """Options name what they say: nothing where C++ leaves a dtype or a device to the defaults."""
    assert derived(f"{{ return {made}; }}".encode(), NAMES, 1) == [f"return {python}"]


@pytest.mark.parametrize(
    "made",
    [
        "at::empty({~k}, x.options())",
        "at::empty({k << 1}, x.options())",
        "at::empty({k * 1.5 / 2}, x.options())",  # no whole number on the way
        "at::empty({count}, x.options())",
        "at::empty({k}, x.options().layout(at::kSparse))",
        "at::empty({k}, options_of(k))",
        "at::empty({k}, kSpecial)",
        "at::empty({k}, 3)",
        "at::empty({at::kSparse}, x.options())",
        "at::empty({x[0, 1]}, x.options())",
        "at::empty({x.item<int>()}, x.options())",
        "at::arange(k)",
    ],
)
def test_expressions_that_are_not_translated(made: str) -> None:
    """Bits, layouts, values of tensors and names of the project make no fake kernel, rather than a wrong one."""
    assert derived(f"{{ return {made}; }}".encode(), NAMES, 1) is None


@pytest.mark.parametrize("made", ["{y, z}", "std::make_tuple(y, z)", "std::tuple<at::Tensor, at::Tensor>(y, z)"])
def test_several_results(made: str) -> None:
    """Each is made by itself."""
    body = f"{{ auto y = at::empty_like(x); auto z = at::zeros({{k}}, x.options()); return {made}; }}"
    expected = "return torch.empty_like(x), torch.zeros((k,), dtype=x.dtype, device=x.device)"
    assert derived(body.encode(), NAMES, 2) == [expected]


UNIT = """
    #include <torch/extension.h>

    at::Tensor twice(const at::Tensor& x, int64_t times) {
      auto y = at::empty_like(x);
      y.data_ptr<float>()[0] = times * x.data_ptr<float>()[0];
      return y;
    }
    void clear(at::Tensor x) { x.data_ptr<float>()[0] = 0; }
    at::Tensor top(at::Tensor x) { x.data_ptr<float>()[0] = 0; return x; }
    at::Tensor gate(const at::Tensor& x) { return x * at::sigmoid(x); }

    PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
      m.def("twice", &twice, py::arg("x"), py::arg("times") = 2);
      m.def("clear", &clear);
      m.def("top", &top);
      m.def("gate", &gate);
    }
"""
PATH = "csrc/ext.cpp"
FILES = {
    PATH: UNIT,
    "setup.py": 'setup(name="shop", ext_modules=[CppExtension("shop._C", ["csrc/ext.cpp"])])\n',
    "shop/__init__.py": "from . import _C\n",
}
SIDE = replace(
    LAYOUT, legacy_bindings=(PATH,), libraries=(Library("_C", (PATH,)),), setup_files=("setup.py",),
    python_roots=("shop",),
)  # fmt: skip


def test_the_python_module_of_a_library() -> None:
    """Functions under their names, autograd past kernels, fakes: nothing for what is put together from ops."""
    made = migrate(FILES, [PATH], SIDE)
    assert made.change.python_module == "_C_ops"
    text = made.text("shop/_C_ops.py")
    compile(text, "_C_ops.py", "exec")
    assert text.partition("import torch\n")[2] == "\n" + dedented(
        """

        from shop import _C_stable_libtorch  # noqa: F401

        clear = torch.ops.shop.clear
        gate = torch.ops.shop.gate
        top = torch.ops.shop.top
        twice = torch.ops.shop.twice

        # These kernels have no derivative, and had none as functions: their results do not require grad.
        _shop = torch.library.Library("shop", "IMPL")
        for _name in [
            "twice",
            "clear",
            "top_kernel",
        ]:
            _shop.impl(_name, torch.library.fallthrough_kernel, "Autograd")


        @torch.library.impl(_shop, "top", "CompositeImplicitAutograd")
        def _(x: torch.Tensor) -> torch.Tensor:
            torch.ops.shop.top_kernel(x)
            return x


        @torch.library.register_fake("shop::twice")
        def _(x: torch.Tensor, times: int = 2) -> torch.Tensor:
            return torch.empty_like(x)


        @torch.library.register_fake("shop::clear")
        def _(x: torch.Tensor) -> None:
            return None


        @torch.library.register_fake("shop::top_kernel")
        def _(x: torch.Tensor) -> None:
            return None
        """
    )
    assert made.messages("TSA529") == []
    assert made.messages("TSA533") == [
        "top gives back what it writes to: it calls top_kernel, which gives nothing back"
    ]


WITH_CONDITION = """
    #include <torch/all.h>

    at::Tensor twice(const at::Tensor& x) {
      auto y = at::empty_like(x);
      y.data_ptr<float>()[0] = 2 * x.data_ptr<float>()[0];
      return y;
    }
    #ifdef WIDE
    void wide(at::Tensor& x) { x.data_ptr<float>()[0] = 0; }
    #endif

    TORCH_LIBRARY(shop, m) {
      m.def("twice(Tensor x) -> Tensor", &twice);
    #ifdef WIDE
      m.def("wide(Tensor(a!) x) -> ()", &wide);
    #endif
    }
"""


def test_a_fake_kernel_of_an_operator_that_not_every_build_has() -> None:
    """torch refuses one for an operator that is not defined: the module could not be imported."""
    text = migrate({**FILES, PATH: WITH_CONDITION}, [PATH], SIDE).text("shop/_C_ops.py")
    assert '\n\n@torch.library.register_fake("shop::twice")\n' in text
    assert (
        '\n\nif hasattr(torch.ops.shop, "wide"):\n\n    @torch.library.register_fake("shop::wide")\n    def _(' in text
    )
    compile(text, "_C_ops.py", "exec")


LEGACY = """
    import torch

    from shop import _C as _legacy
    from shop import _C_stable_libtorch  # noqa: F401

    older = torch.ops.shop.older


    def __getattr__(name: str) -> object:
        \"\"\"What has not moved.\"\"\"
        return getattr(_legacy, name)
"""


def test_a_python_module_that_is_there_gets_what_has_moved_since() -> None:
    """What asked the legacy module is taken out with the last function of it."""
    text = migrate({**FILES, "shop/_C_ops.py": LEGACY}, [PATH], SIDE).text("shop/_C_ops.py")
    compile(text, "_C_ops.py", "exec")
    assert text.startswith(
        "import torch\n\nfrom shop import _C_stable_libtorch  # noqa: F401\n\nolder = torch.ops.shop.older\n\n\n"
    )
    assert "_legacy" not in text
    assert text.count("import ") == 2
    assert "\ntwice = torch.ops.shop.twice\n" in text
    assert text.count('torch.library.Library("shop", "IMPL")') == 1


def test_a_library_of_registrations_is_made_once() -> None:
    """A second one of the same name would take back what the first one registered."""
    there = LEGACY.replace("\n    older", '\n    _shop = torch.library.Library("shop", "IMPL")\n    older')
    text = migrate({**FILES, "shop/_C_ops.py": there}, [PATH], SIDE).text("shop/_C_ops.py")
    assert text.count('torch.library.Library("shop", "IMPL")') == 1
    assert '    _shop.impl(_name, torch.library.fallthrough_kernel, "Autograd")\n' in text


def test_a_legacy_module_that_keeps_a_class_is_still_asked() -> None:
    bound = UNIT.replace("    PYBIND11_MODULE", "    struct Bag {};\n    PYBIND11_MODULE")
    bound = bound.replace('      m.def("gate"', '      py::class_<Bag>(m, "Bag");\n      m.def("gate"')
    files = {**FILES, PATH: bound, "shop/_C_ops.py": LEGACY}
    text = migrate(files, [PATH], SIDE).text("shop/_C_ops.py")
    assert text.count("from shop import _C as _legacy\n") == 1
    assert text.count("return getattr(_legacy, name)\n") == 1


def test_what_gives_back_more_than_what_it_writes_to_stays_one_operator() -> None:
    """A kernel that makes a result of its own as well has a stub: nothing of it is put together in Python."""
    body = "{ x.data_ptr<float>()[0] = 0; return {x, at::empty_like(x)}; }"
    unit = UNIT.replace("at::Tensor top(at::Tensor x) { x.data_ptr<float>()[0] = 0; return x; }",
                        f"std::tuple<at::Tensor, at::Tensor> top(at::Tensor x) {body}")  # fmt: skip
    made = migrate({**FILES, PATH: unit}, [PATH], SIDE)
    assert made.messages("TSA533") == []
    assert made.messages("TSA529") == ["the fake kernel of shop::top in shop/_C_ops.py is a stub"]


def test_keyword_only_arguments_reach_the_operator_by_name() -> None:
    """`py::kw_only()` in front of an argument of a function that gives back what it writes to."""
    unit = UNIT.replace("top(at::Tensor x) {", "top(at::Tensor x, int64_t by, bool odd) {").replace(
        'm.def("top", &top);',
        'm.def("top", &top, py::arg("x"), py::kw_only(), py::arg("by") = 2, py::arg("odd") = false);',
    )
    text = migrate({**FILES, PATH: unit}, [PATH], SIDE).text("shop/_C_ops.py")
    head = (
        "def _(x: torch.Tensor, *, by: int = 2, odd: bool = False) -> torch.Tensor:\n"  # what is by default is left out
    )
    assert f"{head}    torch.ops.shop.top_kernel(x, by=by, odd=odd)\n    return x\n" in text


def test_without_a_package_the_fakes_are_listed() -> None:
    """There is no place that could be imported with the library."""
    files = {PATH: UNIT, "setup.py": 'setup(name="shop", ext_modules=[CppExtension("shop_ext", ["csrc/ext.cpp"])])\n'}
    layout = replace(SIDE, legacy_library="shop_ext", libraries=(Library("shop_ext", (PATH,)),), python_roots=())
    made = migrate(files, [PATH], layout)
    assert made.change.python_module == ""
    (said,) = [d for d in made.diagnostics if d.code == "TSA529"]
    assert 'register_fake("shop_ext::twice")' in said.help


META = {
    "csrc/grow.cpp": """
        #include "ops.h"
        at::Tensor grow(const at::Tensor& x, c10::SymInt n) { return at::zeros({n.expect_int()}, x.options()); }
        at::Tensor grow_meta(const at::Tensor& x, c10::SymInt n) { return BODY; }
    """,
    "csrc/ops.h": """
        #pragma once
        at::Tensor grow(const at::Tensor& x, c10::SymInt n);
        at::Tensor grow_meta(const at::Tensor& x, c10::SymInt n);
    """,
    "csrc/torch_bindings.cpp": """
        #include "ops.h"
        TORCH_LIBRARY(shop, m) { m.def("grow(Tensor x, SymInt n) -> Tensor"); }
        TORCH_LIBRARY_IMPL(shop, CPU, m) { m.impl("grow", &grow); }
        TORCH_LIBRARY_IMPL(shop, Meta, m) { m.impl("grow", &grow_meta); }
    """,
    "setup.py": 'setup(ext_modules=[CppExtension("shop._C", ["csrc/grow.cpp", "csrc/torch_bindings.cpp"])])\n',
    "shop/__init__.py": "from . import _C\n",
}


def _meta(body: str) -> Migrated:
    files = {path: text.replace("BODY", body) for path, text in META.items()}
    return migrate(files, ["csrc/grow.cpp"], replace(LAYOUT, setup_files=("setup.py",), python_roots=("shop",)))


def test_a_meta_kernel_over_symbolic_sizes_becomes_python() -> None:
    """In the stable API SymInt is an int: compiled code would be made anew for every size."""
    made = _meta("at::empty_symint({n, x.sym_size(0)}, x.options())")
    assert "Meta" not in made.text(STABLE_BINDINGS)
    assert made.text("shop/_C_ops.py").endswith(
        dedented(
            """
            @torch.library.register_fake("shop::grow")
            def _(x: torch.Tensor, n: int) -> torch.Tensor:
                return torch.empty((n, x.size(0)), dtype=x.dtype, device=x.device)
            """
        )
    )
    assert made.messages("TSA516") == [
        "the meta kernel of grow is a fake kernel in Python now: its sizes stay symbolic"
    ]
    assert made.lost == ()


def test_a_meta_kernel_that_is_not_plain_is_left_to_do() -> None:
    """It stays registered, and what is lost is said."""
    made = _meta("at::empty_symint({sizes_for(x, n)}, x.options())")
    assert 'm.impl("grow", TORCH_BOX(&grow_meta));' in made.text(STABLE_BINDINGS)
    errors = [d for d in made.diagnostics if d.code == "TSA516" and d.severity is Severity.ERROR]
    assert [d.message for d in errors] == ["grow has a meta kernel over SymInt, which is a plain int in the stable API"]


HELPERS = {
    "halves": Helper(
        ("t", "by"),
        b"{ at::Tensor low = at::empty_like(t); at::Tensor sign = at::empty(t.sizes(), t.options().dtype(at::kBool)); "
        b"fill(low.data_ptr<float>()); return {low, sign}; }",
    ),
    "apart": Helper(("kept", "given"), b"{ if (shares(kept, given)) return kept.clone(); return kept; }"),
    "either": Helper(("a", "b"), b"{ if (a.numel()) return a; return b; }"),
}
HALVES = "torch.empty_like(x), torch.empty(x.shape, dtype=torch.bool, device=x.device)"


@pytest.mark.parametrize(
    ("body", "results", "lines"),
    [
        ("auto [y, s] = halves(x, n); return {y, s};", 2, [f"return {HALVES}"]),
        ("auto [y, s] = halves(x, n); return std::make_tuple(y, apart(s, {x}));", 2, [f"return {HALVES}"]),
        ("auto [y, s] = halves(x, n); return {s, y};", 2, [f"results = {HALVES}", "return results[1], results[0]"]),
        ("auto [y, s] = halves(x, n); return s;", 1, [f"results = {HALVES}", "return results[1]"]),
        ("auto r = halves(x, n); auto y = std::get<0>(r), s = std::get<1>(r); return {y, s};", 2, [f"return {HALVES}"]),
        ("auto [y, s] = halves(x, n); y = x + 1; return {y, s};", 2, None),
        ("auto [y, s] = halves(x + 1, n); return {y, s};", 2, None),
        ("auto [y, s] = halves(x, n); return {y, either(s, x)};", 2, None),
        ("auto [y, s] = unknown(x, n); return {y, s};", 2, None),
    ],
)
def test_results_of_a_function_of_the_project(body: str, results: int, lines: list[str] | None) -> None:
    """What it gives is known from its own body; what another makes of it is not."""
    found = derived(f"{{ {body} }}".encode(), {"x": "x", "n": "n"}, results, HELPERS.get)
    assert found == lines


TAGGED = """
    #include <ATen/ATen.h>
    #include <torch/library.h>

    at::Tensor twice(const at::Tensor& x) { return x * 2; }
    static const std::vector<at::Tag> kTwo = {at::Tag::pt2_compliant_tag, at::Tag::needs_fixed_stride_order};

    TORCH_LIBRARY(shop, m) {
      m.def("twice(Tensor x) -> Tensor", kTwo);
      m.def("half.int(int x) -> int", {torch::Tag::pointwise});
    #ifdef SHOP_CUDA
      m.def("third(Tensor x) -> Tensor", {at::Tag::core});
    #endif
    }
    TORCH_LIBRARY_IMPL(shop, CPU, m) { m.impl("twice", &twice); }
"""


def test_tags_are_set_where_compilers_ask_for_them() -> None:
    """Before the stable `def` takes any, the Python module adds them to operators, those that every build has or not."""
    made = migrate({**FILES, PATH: TAGGED}, [PATH], SIDE)
    assert made.messages("TSA514") == [
        "the tags of twice are set in Python: pt2_compliant_tag, needs_fixed_stride_order",
        "the tags of half.int are set in Python: pointwise",
        "the tags of third are set in Python: core",
    ]
    text = made.text("shop/_C_ops.py")
    compile(text, "_C_ops.py", "exec")
    assert (
        "\ntorch.ops.shop.twice.default.tags.extend([torch.Tag.pt2_compliant_tag, torch.Tag.needs_fixed_stride_order])\n"
        "torch.ops.shop.half.int.tags.append(torch.Tag.pointwise)\n"
        'if hasattr(torch.ops.shop, "third"):\n'
        "    torch.ops.shop.third.default.tags.append(torch.Tag.core)\n"
    ) in text


def test_from_torch_2_12_on_tags_stay_with_the_definition() -> None:
    """The stable `def` takes them as its last argument; a variable is spelled out."""
    made = migrate({**FILES, PATH: TAGGED}, [PATH], SIDE, target="2.12")
    assert made.messages("TSA514") == []
    text = " ".join(made.text(PATH).split())
    assert (
        'm.def("twice(Tensor x) -> Tensor", '
        "{torch::headeronly::Tag::pt2_compliant_tag, torch::headeronly::Tag::needs_fixed_stride_order});"
    ) in text
    assert 'm.def("half.int(int x) -> int", {torch::headeronly::Tag::pointwise});' in text


def test_a_function_that_not_every_build_has_is_asked_for() -> None:
    """`#ifdef SHOP_CUDA m.def(...)`: a build without it has no such operator, and the module can be imported all the same."""
    unit = UNIT.replace('m.def("gate", &gate);', '#ifdef SHOP_CUDA\n      m.def("gate", &gate, "Gates x");\n    #endif')
    made = migrate({**FILES, PATH: unit}, [PATH], SIDE)
    text = made.text("shop/_C_ops.py")
    compile(text, "_C_ops.py", "exec")
    assert (
        "\n# Not every build has these.\n"
        'if hasattr(torch.ops.shop, "gate"):\n'
        "    gate = torch.ops.shop.gate\n"
        '    gate.__doc__ = "Gates x"\n'
    ) in text
    assert "\ngate = " not in text
    assert "\ntwice = torch.ops.shop.twice\n" in text
