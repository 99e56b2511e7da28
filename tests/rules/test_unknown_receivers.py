"""Receivers and operands of unknown type: what may be a tensor is reported, what cannot be one is not."""

from __future__ import annotations

import pytest

from tests.rules.rewriting import rewrite

# A class without a name: the type of its member cannot be told.
STATE = "struct { at::Tensor kept; } state;\n"
BOX = (
    "template <class T> struct Box { T v; std::optional<T> o; std::vector<T> all; T get() const { @ } };\n"
    "void f(at::Tensor x) { Box<at::Tensor> b{x}; b.get(); Box<int> k{1}; k.get(); }"
)

# Two classes of one name: which of them is meant is not known.
TWO = "namespace one { struct D { at::Tensor w; int n; }; }\nnamespace two { struct D { at::Tensor v; }; }\n"


def told(text: str) -> list[str]:
    """The codes that are reported."""
    return [found.code for found in rewrite(STATE + text)[1].diagnostics]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("auto f() { return state.kept.exp(); }", "TSA903"),
        ("auto f() { return (state.kept).exp(); }", "TSA903"),
        ("auto f() { auto* p = &state.kept; return -*p; }", "TSA904"),
        ("auto f() { return (0, state.kept)[0]; }", "TSA904"),
        ("void f() { state.kept += 1; }", "TSA904"),
        ("auto get(int) { return state.kept; }\nauto f() { return get(1).exp(); }", "TSA903"),
        ("auto fetch = [](int) { return state.kept; };\nauto f() { return fetch(1) * 2; }", "TSA904"),
        ("auto f() { return [&] { return state.kept; }().exp(); }", "TSA903"),
        ("auto later();\nauto f() { return later() + 1; }", "TSA904"),
        ("auto f(at::Tensor x) { return lib::view(x)[0]; }", "TSA904"),
        ("auto f() { return lib::get<at::Tensor>(3) * 2; }", "TSA904"),
        ("template <class T> T twice(T);\nauto f() { return twice(state.kept).exp(); }", "TSA903"),
        ("#define TWICE(t) t * 2\nat::Tensor f() { return TWICE(state.kept); }", "TSA904"),
        ("template <class F> void each(F f);\nvoid f() { each([](auto t) { t.exp(); }); }", "TSA903"),
        ("#include <iostream>\nvoid f() { std::cout << state.kept; }", "TSA904"),
        # template parameters that mean a tensor and something else
        (BOX.replace("@", "return v + v;"), "TSA904"),
        (BOX.replace("@", "return -this->v;"), "TSA904"),
        (BOX.replace("@", "return all[0] + v;"), "TSA904"),
        (BOX.replace("@", "return o ? *o * 2 : v;"), "TSA904"),
        (BOX.replace("@", "return v.exp();"), "TSA903"),
        ("template <class T> T f(T t) { return t + t; }\nvoid g(at::Tensor x) { f(x); f(1); }", "TSA904"),
        # what no file of the project declares
        ("auto f() { return lib::get().exp(); }", "TSA903"),
        ("auto f() { auto t = lib::get(1); return (t).exp(); }", "TSA903"),
        ("auto f(lib::Layer* layer) { return layer->weight().exp(); }", "TSA903"),
        ("auto f(Layer* layer) { return layer->weight().exp(); }", "TSA903"),
        ("auto f(const lib::Layer& layer) { return layer.weight.exp(); }", "TSA903"),
        ("auto f() { return lib::layers().front().weight().exp(); }", "TSA903"),
        ("auto f() { return lib::make<int>(3).exp(); }", "TSA903"),
        ("auto f() { return get().exp(); }", "TSA903"),
        (TWO + "auto f(one::D d) { auto& [w, n] = d; return -w; }", "TSA904"),
        (TWO + "auto f(one::D d) { auto& [w, n] = d; return w.exp(); }", "TSA903"),
        (
            "struct K { template <class T> T run(T t) { return t; } };\nauto f(at::Tensor x) { return K().run(x).index({0}); }",
            "TSA903",
        ),
        # though only tensors are asked for it
        ("int f(const Layer& layer) { return layer.weight().item<int>(); }", "TSA903"),
        ("bool f(const lib::Layer& layer) { return layer.weight().is_contiguous(); }", "TSA903"),
        ("bool f() { return lib::made(3).is_contiguous(); }", "TSA903"),
        ("void any(at::Tensor);\nvoid f() { any(state.kept * 2); }", "TSA904"),
        ("void f() { unknown(state.kept * 2); }", "TSA904"),
        ("at::Tensor f(bool b, at::Tensor x) { at::Tensor y; y = state.kept * 2; return y; }", "TSA904"),
    ],
)
def test_what_may_be_a_tensor_is_reported(text: str, code: str) -> None:
    assert told(text) == [code]


@pytest.mark.parametrize(
    "text",
    [
        BOX.replace("at::Tensor>", "float>").replace("@", "return v + -this->v;"),
        BOX.replace("@", "int n = 1; return n + 1;"),
        TWO + "auto f(one::D d) { auto& [w, n] = d; return n + 1; }",
        "struct K { template <class T> T run(T t) { return t; } };\nauto f(int n) { return K().run(n).index(0); }",
        # of the standard library, of CUTLASS, or of the project
        "auto f() { return std::exp(2).exp(); }",
        "auto f() { return cute::shape(1).exp(); }",
        "#define GET() kept\nauto f() { return GET().exp(); }",
        "struct K : lib::Base { auto f() { return row().exp(); } auto row(); };",
        "struct Layer; auto f(Layer* layer) { return layer->weight().exp(); }",
        "namespace own { struct Row { Row exp(); }; Row row(); }\nauto f() { return own::row().exp(); }",
        "struct Row { static Row one(); Row exp(); };\nauto f() { return Row::one().exp(); }",
        "__device__ auto f() { return lib::get().exp(); }",
        "auto f(std::vector<lib::Layer> layers) { return layers.exp(); }",
        # a value that is put where no tensor can go
        "void f() { int n = state.kept * 2; }",
        "int f() { return state.kept * 2; }",
        "void f() { double d; d = state.kept * 2; }",
        "void f() { int a[state.kept * 2]; }",
        "int f(int n) { int a[9]; return a[state.kept * 2]; }",
        "void f() { if (state.kept < 2) {} }",
        "void f() { while (state.kept < 2) {} }",
        "void f() { for (; state.kept < 2;) {} }",
        "void f() { do {} while (state.kept < 2); }",
        "void f() { switch (state.kept * 2) {} }",
        "bool f(bool b) { return state.kept * 2 && b; }",
        "bool f() { return !(state.kept * 2); }",
        "int f() { return state.kept < 2 ? 1 : 0; }",
        "int f() { return (int)(state.kept * 2); }",
        "auto f() { return static_cast<int>(state.kept * 2); }",
        "auto f() { return sizeof(state.kept * 2); }",
        "void f() { k<<<state.kept * 2, 1>>>(); }",
        "int wants(int);\nint f() { return wants(state.kept * 2); }",
        "#include <vector>\nvoid f() { std::vector<int> v{1}; int n(state.kept * 2); }",
        "auto f(const char* text) { return text + (state.kept * 2); }",
        # what is no tensor
        "int number(int);\nauto f() { return number(1) * 2; }",
        "auto f() { return at::get_num_threads() * 2; }",
        "auto f() { return lib::get<int>(3) * 2; }",
        "struct Grid { Grid exp() const; Grid operator*(int) const; };\nauto f(Grid g) { return g.exp() * 2; }",
        "#define TWICE(t) t * 2\nint f(int n) { return TWICE(n); }",
        "__device__ auto f(const float* x) { auto g = [=](auto i) { return i * 2; }; return x[g(1)]; }",
        "CUTE_HOST_DEVICE auto f(Shape s) { return transform(s, [](auto x) { return x / 2; }); }",
        "template <class F> CUTLASS_DEVICE int each(F f);\nvoid f() { each([](auto x) { return x / 2; }); }",
        "template <class F> void each(F f);\nvoid f() { each([](auto i) { int a[9]; a[i] = i + 1; }); }",
        "template <class F> void each(F f);\nvoid f() { each([](auto i) { return table<i>() + i * 2; }); }",
    ],
)
def test_what_cannot_be_one_is_not(text: str) -> None:
    assert told(text) == []


def test_a_member_of_what_a_class_template_gives_back_is_typed() -> None:
    text = (
        "struct Pair { at::Tensor w; int n; };\n"
        "template <class T> struct Keep { T one; auto& get() { return one; } };\n"
        "auto f(Keep<Pair> k) { return k.get().w.exp() * k.get().n; }"
    )
    after, found = rewrite(text)
    assert not found.diagnostics
    assert "stable_aten::mul(stable_aten::exp(k.get().w), k.get().n)" in after


@pytest.mark.parametrize(
    ("text", "is_told"),
    [
        ("at::Tensor f(Blob& b) { return b.tensor().exp(); }", True),
        ("at::Tensor f(Blob* b) { auto t = b->tensor(); return t.exp(); }", True),
        ("template <class Blob> auto f(Blob& b) { return b.tensor().exp(); }", False),
        ("using Blob = Own<int>; int f(Blob& b) { return b.tensor().exp(); }", False),
        ("typedef struct { int n; } Blob; int f(Blob& b) { return b.tensor().exp(); }", False),
        ("enum Blob { A }; int f(Blob b) { return b.tensor().exp(); }", False),
        ("int f(int b) { return b.tensor().exp(); }", False),
    ],
)
def test_classes_that_nothing_declares(text: str, is_told: bool) -> None:
    """What a class of a header from outside gives back may be a tensor, also where no namespace is written."""
    assert any(d.code == "TSA903" for d in rewrite(text)[1].diagnostics) is is_told


# A class of the project with such a method: the name alone tells nothing.
HOLDER = "struct Holder { template <class T> T* data_ptr() const; };\n"


@pytest.mark.parametrize(
    "text",
    [
        "#define PICK(n, RUN) switch (n) { case 32: RUN(32); break; default: RUN(64); }\n"
        "#define LAUNCH(HD) go(out.data_ptr<float>(), HD);\nvoid f(at::Tensor& out) { PICK(out.dim(), LAUNCH); }",
        "#define TAKE(n) auto w = held.value(); auto m = w.size(n);\n"
        "void f(const std::optional<at::Tensor>& held) { TAKE(0); go(w.data_ptr<float>(), m); }",
    ],
    ids=["a macro is handed to another one", "a macro declares a variable under its own name"],
)
def test_what_macros_name_is_known(text: str) -> None:
    after, said = rewrite(f"void go(float* out, int n);\n{text}\n", others=[HOLDER])
    assert "_data_ptr<float>()" in after
    assert ".data_ptr" not in after
    assert not said.diagnostics
