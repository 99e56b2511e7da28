"""data_ptr<T>(): what takes the pointer decides whether it is const."""

from __future__ import annotations

import pytest

from tests.rules.rewriting import rewrite, rewritten

CALLEES = (
    "void reads(const float* p);\nvoid reads_east(float const* __restrict__ p);\nvoid writes(float* p);\n"
    "template <typename T> __global__ void kernel(T* out, const T* in);\n"
    "struct Params { const float* in; float* out; };\n"
)

CASES = {
    "parameter": ("reads(x.data_ptr<float>());", "const"),
    "parameter, const on the right": ("reads_east(x.data_ptr<float>());", "const"),
    "mutable parameter": ("writes(x.data_ptr<float>());", "mutable"),
    "kernel launch, first argument": ("kernel<float><<<1, 1>>>(x.data_ptr<float>(), nullptr);", "mutable"),
    "kernel launch, second argument": ("kernel<float><<<1, 1>>>(nullptr, x.data_ptr<float>());", "const"),
    "kernel behind a variable": ("auto k = kernel<float>; k<<<1, 1>>>(nullptr, x.data_ptr<float>());", "const"),
    "either branch of a condition": ("reads(flag ? x.data_ptr<float>() : nullptr);", "const"),
    "offset": ("reads(x.data_ptr<float>() + 4);", "const"),
    "cast to a pointer to const": ("auto p = reinterpret_cast<const int*>(x.data_ptr<float>());", "const"),
    "cast to a mutable pointer": ("auto p = reinterpret_cast<int*>(x.data_ptr<float>());", "mutable"),
    "C cast": ("auto p = (const int*)x.data_ptr<float>();", "const"),
    "variable of a written type": ("const float* p = x.data_ptr<float>();", "const"),
    "variable of a mutable type": ("float* p = x.data_ptr<float>();", "mutable"),
    "auto that is read": ("auto p = x.data_ptr<float>(); float y = p[3];", "const"),
    "auto that is passed on to be read": ("auto p = x.data_ptr<float>(); reads(p);", "const"),
    "auto that is written": ("auto p = x.data_ptr<float>(); p[3] = 1.0f;", "mutable"),
    "auto that is passed on to be written": ("auto p = x.data_ptr<float>(); writes(p);", "mutable"),
    "member of type pointer to const": ("Params params; params.in = x.data_ptr<float>();", "const"),
    "mutable member": ("Params params; params.out = x.data_ptr<float>();", "mutable"),
    "one element, read": ("float y = x.data_ptr<float>()[0];", "const"),
    "one element, written": ("x.data_ptr<float>()[0] = 2.0f;", "mutable"),
    "dereferenced": ("float y = *x.data_ptr<float>();", "const"),
    "a callee nobody knows": ("unknown(x.data_ptr<float>());", "mutable"),
    "a lambda": ("auto run = [&](const float* p) {}; run(x.data_ptr<float>());", "const"),
}


@pytest.mark.parametrize("name", CASES)
def test_const_or_mutable(name: str) -> None:
    statement, kind = CASES[name]
    body = "void f(at::Tensor& x, bool flag) {{ {} }}\n"
    before = CALLEES + body.format(statement)
    after = CALLEES + body.format(statement.replace("data_ptr", f"{kind}_data_ptr")).replace(
        "at::Tensor", "torch::stable::Tensor"
    )
    assert rewritten(before) == after


def test_a_pointer_without_a_type_stays() -> None:
    assert (
        rewritten("void f(at::Tensor& x) { g(x.data_ptr()); }")
        == "void f(torch::stable::Tensor& x) { g(x.data_ptr()); }"
    )


def test_const_in_the_template_argument_moves_into_the_name() -> None:
    assert "x.const_data_ptr<float>()" in rewritten("void f(at::Tensor& x) { auto p = x.data_ptr<const float>(); }")


def test_a_pointer_in_a_macro_is_looked_up_where_the_kernel_is_declared() -> None:
    before = (
        "__global__ void copy(float* out, const float* in);\n"
        "#define LAUNCH(GRID) \\\n  copy<<<GRID, 1>>>(out.data_ptr<float>(), in.data_ptr<float>());\n"
        "void f(at::Tensor& out, at::Tensor& in) { LAUNCH(4); }\n"
    )
    after = rewritten(before)
    assert "copy<<<GRID, 1>>>(out.mutable_data_ptr<float>(), in.const_data_ptr<float>());" in after


@pytest.mark.parametrize("name", ["c10::qint8", "const c10::quint8", "at::qint32", "c10::bits8"])
def test_a_type_without_a_pointer_is_named(name: str) -> None:
    """The call would compile, and not link."""
    _, found = rewrite(f"void f(at::Tensor& x) {{ auto* p = x.data_ptr<{name}>(); (void)p; }}", "kernel.cpp")
    assert [said.message for said in found.diagnostics if "has no typed pointer" in said.message]


@pytest.mark.parametrize("name", ["uint8_t", "c10::Float8_e4m3fn", "uint32_t", "c10::BFloat16", "own::qint8x"])
def test_other_types_have_one(name: str) -> None:
    _, found = rewrite(f"void f(at::Tensor& x) {{ auto* p = x.data_ptr<{name}>(); (void)p; }}", "kernel.cpp")
    assert not [said.message for said in found.diagnostics if "has no typed pointer" in said.message]


@pytest.mark.parametrize("macro", ["AT_DISPATCH_QINT_TYPES", "AT_DISPATCH_QINT_BYTE_TYPES", "AT_DISPATCH_BIT_TYPES"])
def test_a_dispatch_over_such_types_stays(macro: str) -> None:
    text = f'void f(at::Tensor& x) {{ {macro}(x.scalar_type(), "f", [&] {{ auto* p = x.data_ptr<scalar_t>(); (void)p; }}); }}'
    made, found = rewrite(text, "kernel.cpp")
    assert macro in made
    assert [said for said in found.diagnostics if macro in said.message]
